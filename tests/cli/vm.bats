# SPDX-License-Identifier: MIT
# Machines that boot by themselves: from a kernel, a disk, a CD; their devices, snapshots, saved states.

load ../lib
load ../machine

prepare() {
	make_machine "$TEST_DIR"
	cd "$TEST_DIR"
	printf 'marker of a raw disk' >raw.img
	truncate -s 8M raw.img
	qemu-img create -q -f qcow2 blank.qcow2 32M
	(printf 'first cd' && head -c 65528 /dev/zero) >one.iso
	(printf 'other cd' && head -c 65528 /dev/zero) >two.iso
}

setup() {
	cd "$TEST_DIR"
}

# --- what it boots ------------------------------------------------------------------------------------------

@test "a kernel: console, log, list, power button" {
	vm_up box
	inside_says box 'echo 4$((1+1))' 42
	run -3 inside box 'exit 3'
	equal running "$(state box)"
	lodge logs box | grep -q 'up with 1 processors'
	lodge ls | grep -q box
	equal vm "$(lodge inspect --format '{{.Kind}}' box)"
	# the button; its system switches itself off
	vm_stop box
	equal exited "$(state box)"
}

@test "a disk's boot sector by BIOS, a CD's by order, and UEFI" {
	# prints to the first serial port and stops: mov dx,0x3f8; mov si,text; lodsb; test; out; jmp; hlt
	printf '\xba\xf8\x03\xbe\x16\x7c\x31\xc0\x8e\xd8\xac\x84\xc0\x74\x03\xee\xeb\xf8\xf4\xeb\xfd\x90booted from the disk\0' >mbr.img
	truncate -s 510 mbr.img
	printf '\x55\xaa' >>mbr.img
	truncate -s 1M mbr.img
	lodge vm run -d --name disk --network none -m 64M --disk mbr.img,format=raw >/dev/null
	within 120 has_log disk 'booted from the disk'
	lodge rm -f disk >/dev/null
	lodge vm run -d --name disk --network none -m 64M --machine pc --disk raw.img,format=raw,bus=ide,boot=2 \
		--disk mbr.img,format=raw,readonly,bus=scsi,boot=1 >/dev/null
	within 120 has_log disk 'booted from the disk'
	lodge vm run -d --name uefi --network none -m 128M --firmware uefi --cdrom one.iso >/dev/null
	within 120 has_log uefi 'BdsDxe'
	[ -s "$LODGE_ROOT/guests/$(lodge ls -q --no-trunc --filter name=uefi)/vars.fd" ]
}

@test "microvm" {
	vm_up tiny --machine microvm --disk raw.img,format=raw
	inside_says tiny 'head -c 20 /dev/vda' 'marker of a raw disk'
}

@test "disks in all formats that QEMU reads" {
	local format letters=abcde disks=()
	for format in qcow2 vmdk vdi vhdx; do
		qemu-img convert -f raw -O $format raw.img disk.$format
		disks+=(--disk disk.$format)
	done
	vm_up box --disk raw.img,format=raw "${disks[@]}"
	for i in 0 1 2 3 4; do
		inside_says box "head -c 20 /dev/vd${letters:i:1}" 'marker of a raw disk'
	done
	inside box 'echo written | dd of=/dev/vde conv=notrunc; sync'
	vm_stop box
	qemu-img convert -f vhdx -O raw disk.vhdx back.img
	equal written "$(head -n 1 back.img)"
}

@test "what is written to a volatile disk is gone; one of its own stays" {
	vm_up box --disk raw.img,format=raw,volatile --disk size=16M,serial=mine
	inside box 'printf xxxx | dd of=/dev/vda conv=notrunc; printf kept | dd of=/dev/vdb; sync; cat /sys/block/vdb/serial'
	vm_stop box
	equal 'marker' "$(head -c 6 raw.img)"
	vm_start box
	inside_says box 'head -c 4 /dev/vda; head -c 4 /dev/vdb; cat /sys/block/vdb/serial' 'markkeptmine'
	[ -z "$(find "$LODGE_ROOT/guests" -name '*.volatile' -newer "$TEST_DIR/one.iso" -size +1M)" ]
}

# --- devices ------------------------------------------------------------------------------------------------

@test "disks come and go while it runs, and the next start has them" {
	vm_up box
	run -0 lodge vm attach-disk box raw.img,format=raw,serial=extra
	equal disk0 "$output"
	within 40 inside_says box 'cat /sys/block/vda/serial; head -c 20 /dev/vda' 'extramarker of a raw disk'
	fails 125 "in use by the machine 'box'" lodge vm run --name second --network none --disk raw.img,format=raw
	lodge vm attach-disk box size=16M,bus=scsi,id=own
	within 40 inside_says box 'ls /sys/block' sda
	vm_stop box
	vm_start box
	inside_says box 'cat /sys/block/vda/serial; ls /sys/block' extra
	inside_says box 'ls /sys/block' sda
	lodge vm detach-disk box disk0
	! inside_says box 'ls /sys/block' 'vda'
	fails 1 "has no disk 'disk0'" lodge vm detach-disk box disk0
	# and raw.img is free
	vm_make third --disk raw.img,format=raw
}

@test "CDs are changed" {
	vm_up box --cdrom file=one.iso,bus=scsi
	inside_says box 'head -c 8 /dev/sr0' 'first cd'
	lodge vm insert box two.iso
	within 40 inside_says box 'head -c 8 /dev/sr0' 'other cd'
	lodge vm eject box
	! inside box 'head -c 8 /dev/sr0'
	lodge vm insert box one.iso
	within 40 inside_says box 'head -c 8 /dev/sr0' 'first cd'
	fails 1 "has no drive 'cd7'" lodge vm eject --drive cd7 box
}

@test "memory and processors" {
	vm_up box --cpus-max 3 -m 256M
	lodge vm set-memory box 128M
	within 60 sh -c "'$LODGE' vm qmp box query-balloon | grep -q 134217728"
	lodge vm set-vcpus box 2
	within 40 inside_says box 'ls -d /sys/devices/system/cpu/cpu[0-9]' cpu1
	fails 1 'can have 1 to 3 processors' lodge vm set-vcpus box 4
	fails 1 'can have 16 to 256 MiB of memory' lodge vm set-memory box 1G
	vm_stop box
	vm_start box
	has_log box 'up with 2 processors'
	within 60 sh -c "'$LODGE' vm qmp box query-balloon | grep -q 134217728"
}

@test "network cards come and go" {
	lodge network create --subnet 10.77.0.0/24 back >/dev/null
	vm_up box
	run -0 lodge vm attach-nic box back --ip 10.77.0.9
	mac=$output
	within 40 inside_says box 'cat /sys/class/net/*/address' "$mac"
	# its address, and names, without a restart
	inside box 'ip link set eth0 up; udhcpc -q -n -i eth0 -s /bin/bound'
	inside_says box 'ip -4 address show eth0' 10.77.0.9/24
	lodge run -d --name peer --network back bb sleep 100 >/dev/null
	inside_says box 'ping -c 1 -W 2 peer' '1 packets received'
	within 40 lodge exec peer ping -c 1 -W 1 10.77.0.9 >/dev/null
	fails 125 "address '10.77.0.9'" lodge run --rm --network back --ip 10.77.0.9 bb true
	lodge vm detach-nic box back
	! inside_says box 'cat /sys/class/net/*/address' "$mac"
	lodge run --rm --network back --ip 10.77.0.9 bb true
	# one that is there at the end takes all along
	lodge vm attach-nic box back
	vm_stop box
	lodge run --rm --network back --ip 10.77.0.3 bb true
}

@test "a restart by policy has the devices of today" {
	lodge network create --subnet 10.77.0.0/24 back >/dev/null
	vm_up box --restart always --network bridge -p 80
	address=$(lodge inspect --format '{{.NetworkSettings.IPAddress}}' box)
	ports=$(lodge ls --format '{{.Ports}}')
	lodge vm attach-disk box raw.img,format=raw,serial=extra
	mac=$(lodge vm attach-nic box back --ip 10.77.0.9)
	kill -9 "$(guest_pid box)"
	within 120 vm_booted box 2
	inside_says box 'cat /sys/block/vda/serial' extra
	inside_says box 'cat /sys/class/net/*/address' "$mac"
	inside_says box 'ip -4 address show eth0' "$address/16"
	equal "$ports" "$(lodge ls --format '{{.Ports}}')"
	lodge vm detach-nic box back
	lodge vm detach-disk box disk0
	lodge run --rm --network back --ip 10.77.0.9 bb true
	kill -9 "$(guest_pid box)"
	within 120 vm_booted box 3
	! inside_says box 'ls /sys/block' vda
	! inside_says box 'cat /sys/class/net/*/address' "$mac"
	lodge rm -f box >/dev/null
}

@test "its address, names and a published port" {
	vm_make box --network bridge -p 8088:80 >/dev/null
	vm_start box
	lodge run -d --name peer bb sleep 100 >/dev/null
	address=$(lodge inspect --format '{{.NetworkSettings.IPAddress}}' box)
	inside_says box 'ip -4 address show eth0' "$address/16"
	lodge exec peer ping -c 1 -W 2 box >/dev/null
	inside_says box 'ping -c 1 -W 2 peer' '1 packets received'
	inside box 'echo from the machine | nc -l -p 80 >/dev/null 2>&1 &'
	within 40 sh -c 'nc -N 127.0.0.1 8088 </dev/null | grep -q "from the machine"'
}

@test "a seed: what the guest tells of its boot" {
	printf '#cloud-config\nhostname: told\n' >user
	vm_make box --user-data user >/dev/null
	vm_start box
	# as cloud-init in there would
	inside_says box 'grep -a hostname: /dev/vda' 'hostname: told'
	fails 1 'told nothing of its boot in 1 s' lodge vm wait-boot -t 1 box
	equal null "$(lodge inspect --format '{{json .Machine.Boot}}' box)"
	tell() {
		inside box "for p in /sys/class/virtio-ports/*; do grep -q lodge.boot \$p/name && echo '$1' >/dev/\${p##*/}; done; true"
	}
	tell 'not what is expected'
	fails 1 'told nothing' lodge vm wait-boot -t 1 box
	tell '{"lodge":1,"boot":"b","instance":"i","result":{"v1":{"datasource":"D","errors":[]}},"keys":[],"addresses":["10.0.0.7"]}'
	equal 'done 10.0.0.7' "$(lodge vm wait-boot -t 10 -f '{{.Status}} {{index .Addresses 0}}' box)"
	equal done "$(lodge inspect --format '{{.Machine.Boot.Status}}' box)"
	tell '{"lodge":1,"boot":"b","instance":"i","result":{"v1":{"datasource":"D","errors":["no"]}},"keys":[],"addresses":[]}'
	run -1 lodge vm wait-boot -t 10 -f '{{.Status}}' box
	equal error "$output"
	# of this boot, not of the last one
	vm_stop box
	vm_start box
	fails 1 'told nothing' lodge vm wait-boot -t 1 box
	fails 1 'without a seed' lodge vm wait-boot "$(vm_make other)"
}

@test "VNC at a Unix socket and at 127.0.0.1" {
	vm_up box --vnc "$TEST_DIR/vnc"
	equal 'RFB 003.008' "$(socat -T2 - "UNIX-CONNECT:$TEST_DIR/vnc" </dev/null | head -n 1)"
	lodge rm -f box >/dev/null
	[ ! -e "$TEST_DIR/vnc" ]
	vm_up box --vnc :7 --vga virtio --tablet
	equal 'RFB 003.008' "$(socat -T2 - TCP:127.0.0.1:5907 </dev/null | head -n 1)"
	vm_make other --vnc :7
	fails 1 "VNC address ':7' is in use" lodge start other
}

@test "its monitor is killed: the next command brings its names back" {
	local id
	lodge run -d --name peer bb sh -c 'while :; do nc -l -p 99; done' >/dev/null
	vm_make box --network bridge >/dev/null
	vm_start box
	id=$(lodge inspect --format '{{.Id}}' box)
	inside box '(while sleep 1; do echo asked | nc -w 2 peer 99; done >/dev/null 2>&1 &)'
	within 40 has_log peer asked
	kill -9 "$(sed -n 's/^monitor \([0-9]*\) .*/\1/p' "$LODGE_RUN/guests/$id/status")"
	# nobody answers: what is said comes to an end
	sleep 6
	before=$(lodge logs peer | grep -c asked)
	lodge ls | grep -q unmonitored
	within 40 sh -c "[ \"\$('$LODGE' logs peer | grep -c asked)\" -gt $before ]"
	# there is one, however many commands come by
	lodge ls >/dev/null
	lodge inspect box >/dev/null
	equal 1 "$(pgrep -fc "lodge-monito[r] .*stand-in")"
	lodge rm -f box >/dev/null
	within 5 sh -c '! pgrep -f "lodge-monito[r] .*stand-in"'
}

# --- states ----------------------------------------------------------------------------------------------------

@test "internal snapshots: memory and disks" {
	vm_up box --disk blank.qcow2
	inside box 'echo before >/file; printf before | dd of=/dev/vda; sync'
	lodge vm snapshot create box one
	fails 1 'already' lodge vm snapshot create box one
	inside box 'rm /file; printf after. | dd of=/dev/vda; sync'
	lodge vm snapshot list box | grep -qE '^one +internal'
	lodge vm snapshot revert box one
	inside_says box 'cat /file; dd if=/dev/vda bs=6 count=1 iflag=direct 2>/dev/null || head -c 6 /dev/vda' before
	fails 1 "no snapshot 'two'" lodge vm snapshot revert box two
	inside_says box 'echo alive' alive
	vm_stop box
	lodge vm snapshot create box off
	lodge vm snapshot list --format '{{.Name}}' box | grep -q off
	lodge vm snapshot revert box off
	lodge vm snapshot delete box off
	lodge vm snapshot delete box one
	equal '' "$(lodge vm snapshot list --format '{{.Name}}' box)"
	vm_make raw --disk raw.img,format=raw
	fails 1 "is raw, which can't hold snapshots" lodge vm snapshot create raw one
}

@test "external snapshots" {
	cp raw.img base.img
	vm_up box --disk base.img,format=raw
	lodge vm snapshot create --external box one
	inside box 'printf AFTER | dd of=/dev/vda conv=notrunc; sync'
	equal marker "$(head -c 6 base.img)"
	lodge vm snapshot list box | grep -qE '^one +external'
	fails 1 'runs' lodge vm snapshot revert box one
	vm_stop box
	vm_start box
	inside_says box 'head -c 5 /dev/vda' AFTER
	vm_stop box
	lodge vm snapshot revert box one
	vm_start box
	inside_says box 'head -c 6 /dev/vda' marker
}

files_of() { # GUEST: of its disks, in its folder
	find "$LODGE_ROOT/guests/$(lodge inspect --format '{{.Id}}' "$1")" -name '*.qcow2' | wc -l
}

@test "external snapshots are deleted: while it runs and while it doesn't, in any order" {
	cp raw.img base.img
	vm_up box --disk base.img,format=raw
	for name in one two three; do
		lodge vm snapshot create --external box $name
		inside box "printf $name | dd of=/dev/vda bs=1M seek=2 conv=notrunc; sync"
	done
	equal 3 "$(files_of box)"
	# one in the middle, then the top one: the guest writes on
	lodge vm snapshot delete box two
	equal 'one three ' "$(lodge vm snapshot list --format '{{.Name}}' box | sort | tr '\n' ' ')"
	equal 2 "$(files_of box)"
	inside_says box 'dd if=/dev/vda bs=1M skip=2 count=1 iflag=direct 2>/dev/null | head -c 5' three
	lodge vm snapshot delete box three
	equal 1 "$(files_of box)"
	inside box 'printf later | dd of=/dev/vda bs=1M seek=3 conv=notrunc; sync'
	equal marker "$(head -c 6 base.img)"
	vm_stop box
	vm_start box
	inside_says box 'dd if=/dev/vda bs=1M skip=2 count=1 2>/dev/null | head -c 5; dd if=/dev/vda bs=1M skip=3 count=1 2>/dev/null | head -c 5' threelater
	# of a chain that QEMU was started with
	lodge vm snapshot create --external box four
	vm_stop box
	vm_start box
	lodge vm snapshot delete box one
	equal 1 "$(files_of box)"
	equal three "$(dd if=base.img bs=1M skip=2 count=1 2>/dev/null | head -c 5)"
	inside box 'printf last! | dd of=/dev/vda bs=1M seek=4 conv=notrunc; sync'
	vm_stop box
	lodge vm snapshot create --external box five
	# while it doesn't run
	lodge vm snapshot delete box four
	equal 1 "$(files_of box)"
	lodge vm snapshot delete box five
	equal 0 "$(files_of box)"
	equal last! "$(dd if=base.img bs=1M skip=4 count=1 2>/dev/null | head -c 5)"
	equal '' "$(lodge vm snapshot list --format '{{.Name}}' box)"
	fails 1 "no snapshot 'five'" lodge vm snapshot delete box five
	vm_start box
	inside_says box 'dd if=/dev/vda bs=1M skip=4 count=1 2>/dev/null | head -c 5' last!
}

@test "the deletion of an external snapshot, killed after each of its steps, is gone on with" {
	local n
	for n in 0 1 2; do
		cp raw.img base.img
		vm_make box --disk base.img,format=raw >/dev/null
		lodge vm snapshot create --external box one
		lodge vm snapshot create --external box two
		LODGE_FAULT=kill:$n lodge vm snapshot delete box one || true
		if lodge vm snapshot list --format '{{.Name}}' box | grep -qx one; then
			fails 1 'its state is gone' lodge vm snapshot revert box one
			lodge vm snapshot delete box one
		fi
		equal two "$(lodge vm snapshot list --format '{{.Name}}' box)"
		vm_start box
		inside_says box 'head -c 6 /dev/vda' marker
		lodge rm -f box >/dev/null
	done
}

@test "a saved state goes on where it was" {
	vm_up box --disk blank.qcow2
	inside box 'echo here >/file; cut -d. -f1 /proc/uptime >/up'
	lodge vm save box "$TEST_DIR/state"
	equal exited "$(state box)"
	fails 1 'cannot make' lodge vm save box "$TEST_DIR/state" || fails 1 'not running' lodge vm save box "$TEST_DIR/state"
	lodge vm restore box "$TEST_DIR/state"
	inside_says box 'cat /file' here
	lodge vm reset box
	within 60 vm_booted box 2
	! inside_says box 'cat /file' here
	vm_stop box
	echo 'not a state' >bad
	fails 1 "is not the saved state of a machine" lodge vm restore box bad
	head -c 100000 state >cut
	fails 1 'go on from' lodge vm restore box cut || fails 1 "didn't start" lodge vm restore box cut
	rm state
}

@test "the guest agent" {
	vm_up box
	within 60 lodge vm agent box ping
	run -3 lodge vm agent box exec sh -c 'echo out; echo err >&2; exit 3'
	[[ $output == *out* ]] && [[ $output == *err* ]]
	lodge vm agent box interfaces | jq -e '.[] | select(.name == "lo")' >/dev/null
	lodge vm agent box fsfreeze status | grep -q thawed
	lodge vm agent box guest-get-time | grep -q '[0-9]'
	fails 1 'guest agent' lodge vm agent box guest-nonsense
	inside box 'killall qemu-ga' || true
	fails 1 "didn't answer in 1 s" lodge vm agent -t 1 box ping
	lodge rm -f box >/dev/null
	vm_up box --no-agent
	fails 1 'has no port for a guest agent' lodge vm agent box ping
}

# --- what goes wrong ---------------------------------------------------------------------------------------------

@test "QEMU is killed" {
	vm_up box
	kill -9 "$(guest_pid box)"
	within 20 is_state box exited
	equal 137 "$(lodge inspect --format '{{.State.ExitCode}}' box)"
	fails 1 'is not running' lodge vm qmp box query-status
}

@test "bad input is one line" {
	fails 125 'nothing to boot from' lodge vm create
	fails 125 'cannot use the disk' lodge vm create --disk "$TEST_DIR/nothing.qcow2"
	fails 125 "isn't known; say format=raw" lodge vm create --disk raw.img
	qemu-img create -q -f qcow2 -b "$TEST_DIR/blank.qcow2" -F qcow2 over.qcow2
	fails 125 'below it; say format=qcow2' lodge vm create --disk over.qcow2
	head -c 60 blank.qcow2 >cut.qcow2
	fails 125 "cannot use the disk '$TEST_DIR/cut.qcow2'" lodge vm create --disk cut.qcow2,format=qcow2
	qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse split.vmdk 8M
	fails 125 'several files' lodge vm create --disk split.vmdk
	fails 125 'at least 16 MiB' lodge vm create --disk blank.qcow2 -m 4M
	fails 125 "unknown key 'size2'" lodge vm create --disk size2=4
	fails 125 "has no bus 'ide'" lodge vm create --disk blank.qcow2,bus=ide
	fails 125 "invalid machine 'i440'" lodge vm create --disk blank.qcow2 --machine i440
	fails 125 'no such image' lodge vm create nothing
	fails 125 'root file system, not a disk' lodge vm create bb
	fails 125 "user-data" lodge vm create --disk blank.qcow2 --user-data <(printf '#cloud-config\nusers: [}\n')
	lodge run -d --name cont bb sleep 100 >/dev/null
	fails 1 'not a machine' lodge vm reset cont
	vm_make gone --disk blank.qcow2
	mv kernel kernel.away
	fails 1 "kernel '$TEST_DIR/kernel' is not there" lodge start gone
	mv kernel.away kernel
}

@test "a kernel that only root may read" {
	install -m 600 kernel secret
	lodge vm create --name box --seed none --kernel secret --initrd initrd --append 'console=ttyS0 quiet' -m 192M \
		--network none >/dev/null
	vm_start box
}

@test "a chain of disks that is said to be meant" {
	qemu-img convert -f raw -O qcow2 raw.img below.qcow2
	qemu-img create -q -f qcow2 -b below.qcow2 -F qcow2 above.qcow2
	vm_up box --disk above.qcow2,format=qcow2
	inside_says box 'head -c 20 /dev/vda' 'marker of a raw disk'
	# what the header says later doesn't count
	vm_stop box
	qemu-img rebase -u -f qcow2 -b /etc/hostname -F raw above.qcow2
	vm_start box
	inside_says box 'head -c 20 /dev/vda' 'marker of a raw disk'
}

@test "explain shows QEMU's command line and what it is told" {
	run -0 lodge explain vm run --disk blank.qcow2 --vnc :3
	[[ $output == *'exec /usr/bin/qemu-system-x86_64 -name guest='* ]]
	[[ $output == *'display-update'* ]]
	vm_make box --disk blank.qcow2 >/dev/null
	run -0 lodge explain vm attach-disk box size=1G
	[[ $output == *'qemu-img create -q -f qcow2'* ]]
	equal created "$(state box)"
	vm_start box
	run -0 lodge explain vm attach-disk box size=1G
	[[ $output == *'# to QEMU: {"execute":"device_add"'* ]]
	run -0 lodge explain vm snapshot create box one
	[[ $output == *'"execute":"snapshot-save"'* ]]
	run -0 lodge explain vm save box /nowhere/file
	[[ $output == *'"execute":"migrate"'* ]]
}
