# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# A system for machines that boot by themselves, small enough to boot in seconds without KVM: a kernel of this
# host's, busybox and the guest agent in an initial file system, which obeys lines on its serial console.

MACHINE_KERNEL=$(find /boot -name 'vmlinuz-*-cloud-amd64' | sort -V | tail -n 1)

make_machine() { # FOLDER: kernel initrd
	local dir=$1 release=${MACHINE_KERNEL#/boot/vmlinuz-} root=$1/initrd.d module file
	[ -n "$MACHINE_KERNEL" ] || skip "no kernel /boot/vmlinuz-*-cloud-amd64"
	mkdir -p "$root"/{bin,etc,modules,proc,sys,dev,run,var/run,usr/sbin,lib64,lib/x86_64-linux-gnu}
	cp "$MACHINE_KERNEL" "$dir/kernel"
	cp "$(readlink -f "$(command -v busybox)")" "$root/bin/busybox"
	for module in virtio_pci virtio_blk virtio_net virtio_balloon virtio_console virtio_scsi virtio_rng af_packet sr_mod sd_mod \
		button evdev; do
		modprobe -S "$release" --show-depends "$module" | while read -r kind file _; do
			[ "$kind" = insmod ] || continue
			grep -qsx "${file##*/}" "$root/order" && continue
			cp "$file" "$root/modules/"
			echo "${file##*/}" >>"$root/order"
		done
	done
	cp /usr/sbin/qemu-ga "$root/usr/sbin/"
	ldd /usr/sbin/qemu-ga | grep -oE '/[^ ]+' | while read -r file; do
		cp --parents -L "$file" "$root/"
	done
	cat >"$root/init" <<-'TEXT'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		export PATH=/bin:/usr/sbin
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs dev /dev
		while read -r module; do insmod /modules/$module; done </order
		ip link set lo up
		printf '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip address add $ip/$mask dev $interface\nip route add default via $router\n' >/bin/bound
		printf 'for d in $dns; do echo nameserver $d; done >/etc/resolv.conf\n' >>/bin/bound
		chmod +x /bin/bound
		if [ -e /sys/class/net/eth0 ]; then
			ip link set eth0 up
			udhcpc -q -n -i eth0 -s /bin/bound >/dev/null 2>&1
		fi
		for event in /dev/input/event*; do
			(head -c 24 $event >/dev/null && poweroff -f) &
		done
		for port in /sys/class/virtio-ports/*; do
			[ "$(cat $port/name 2>/dev/null)" = org.qemu.guest_agent.0 ] && qemu-ga -p /dev/${port##*/} >/dev/null 2>&1 &
		done
		exec 0<>/dev/ttyS0 1>&0 2>&0
		stty -echo
		echo "up with $(nproc) processors"
		while read -r line; do
			[ -n "$line" ] || continue
			(eval "$line") 2>&1
			printf '\nstatus:%s\n' $?
		done
		poweroff -f
	TEXT
	chmod +x "$root/init"
	(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/initrd"
}

# vm_make NAME [OPTION...]: a machine of this system, not started.
vm_make() {
	local name=$1 network=(--network none)
	shift
	[[ " $* " != *' --network '* ]] || network=()
	lodge vm create --name "$name" --kernel "$TEST_DIR/kernel" --initrd "$TEST_DIR/initrd" \
		--append 'console=ttyS0 quiet loglevel=0 tsc_early_khz=2000000' -m 192M "${network[@]}" "$@"
}

# vm_up NAME [OPTION...]: made and up.
vm_up() {
	vm_make "$@" >/dev/null && vm_start "$1"
}

vm_start() {
	local n
	n=$(vm_boots "$1")
	lodge start "$1" >/dev/null && within 120 vm_booted "$1" $((n + 1))
}

vm_stop() {
	lodge stop -t 60 "$1" >/dev/null && equal 0 "$(lodge inspect --format '{{.State.ExitCode}}' "$1")"
}

# How often it has come up.
vm_boots() {
	lodge logs "$1" | grep -c 'up with' || true
}

vm_booted() { # NAME N
	[ "$(vm_boots "$1")" -ge "$2" ]
}

# inside NAME LINE: its output and status.
inside() {
	local out pid rc=0
	out=$(mktemp "$TEST_DIR/said.XXXXXX")
	lodge vm console "$1" < <(printf '\n%s\n' "$2"; exec sleep 60 2>/dev/null 3>&-) >"$out" 2>/dev/null 3>&- &
	pid=$!
	within 40 grep -q '^status:' "$out" || rc=125
	kill $pid 2>/dev/null || true
	wait $pid 2>/dev/null || true
	tr -d '\r' <"$out" | sed '/^status:/,$d'
	[ $rc = 125 ] || rc=$(tr -d '\r' <"$out" | sed -n 's/^status://p' | head -n 1)
	rm -f "$out"
	return "$rc"
}

inside_says() { # NAME LINE TEXT
	[[ $(inside "$1" "$2") == *"$3"* ]]
}
