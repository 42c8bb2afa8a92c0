# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Machines beside QEMU started by hand, with the same QEMU and kernel. Sourced by rows.sh; run.sh says how.

# The fastest that was found by hand for this kernel to reach a busybox init that switches off: microvm
# with qboot, the uncompressed kernel by its PVH entry, and a command line without what it needn't do.
make_by_hand() {
	local khz kernel
	[ -z "${by_hand:-}" ] || return 0
	$lodge image import "$TOP/build/debian-12.tar" >/dev/null
	$lodge run --rm --vm --network none bb /bin/true # prepares the kernel
	kernel=$(echo "$LODGE_ROOT"/kernels/*)
	khz=$(awk -F: '/cpu MHz/ { printf "%d", $2 * 1000; exit }' /proc/cpuinfo)
	by_hand="qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot -bios qboot.rom \
-accel tcg,thread=single -kernel $kernel/vmlinux"
	by_hand_words="console=ttyS0 quiet loglevel=0 panic=-1 tsc_early_khz=$khz nokaslr mitigations=off \
random.trust_cpu=on cryptomgr.notests audit=0 apparmor=0 8250.nr_uarts=1"
	mkdir -p "$DIR/first/bin"
	cp "$(readlink -f "$(command -v busybox)")" "$DIR/first/bin/busybox"
	printf '#!/bin/busybox sh\n/bin/busybox poweroff -f\n' >"$DIR/first/init"
	chmod +x "$DIR/first/init"
	(cd "$DIR/first" && find . | cpio -o -H newc --quiet) >"$DIR/first.cpio"
	ask[qemu/vm-run]="$by_hand -M microvm -m 256 -serial null -initrd $DIR/first.cpio -append '$by_hand_words'"
	ask[lodge/vm-run]="$lodge run --rm --vm debian:12 /bin/true"
	ask[lodge/vm-run-none]="$lodge run --rm --vm --network none debian:12 /bin/true"
}

row_vm_run() {
	local peers=qemu
	make_by_hand
	bars_ratio "run --vm debian:12 true" "$(pairs vm-run)" qemu:1.15
	ask[qemu/vm-run-none]=${ask[qemu/vm-run]}
	bars_ratio "run --vm, no network" "$(pairs vm-run-none)" qemu:1.15
}

row_vm_memory() {
	local n=8 i kib count
	make_by_hand
	for i in $(seq $n); do $lodge run -d --vm --name "bench$i" -m 128m bb /bin/still >/dev/null; done
	sleep 2
	read -r kib count < <(pss_of lodge-monitor)
	[ "$count" = $n ] || kib=99999999
	bar_value "our processes beside QEMU, a machine" 1 MiB "$(awk "BEGIN { printf \"%.3f\", $kib / 1024 / $n }")"
	remove_many lodge $n
}

row_vm_ls() {
	local i
	make_by_hand
	for i in $(seq 48); do tell lodge start-still "$i"; done
	for i in 49 50; do $lodge run -d --vm --name "bench$i" -m 128m bb /bin/still >/dev/null; done
	bar_value "ls, 48 containers and 2 machines" 15 ms "$(peers='' pairs ls | awk -F'\t' '{ print $5 }')"
	remove_many lodge 50
}

# The work, timed by the guest's own clock, in hundredths of a second.
vm_work='read a b </proc/uptime; eval "$work" >/dev/null 2>&1; read c d </proc/uptime; echo "took $a $c"'

took() {
	tr -d '\r' | awk '/^took/ { printf "%.2f", $3 - $2 }'
}

# plain DISK WORK: a machine by hand with that ext4 disk
plain() {
	local first=$DIR/plain
	rm -rf "$first"
	mkdir -p "$first"/{bin,root,proc,dev,sys}
	(cd "$first" && cpio -id --quiet <"$(echo "$LODGE_ROOT"/kernels/*/modules.cpio)")
	cp "$DIR/first/bin/busybox" "$first/bin/busybox"
	rm -f "$first/init"
	cat >"$first/init" <<-INIT
		#!/bin/busybox sh
		b=/bin/busybox
		\$b mount -t proc proc /proc; \$b mount -t devtmpfs dev /dev; \$b mount -t sysfs sys /sys
		while read -r m on; do [ "\$on" = pci ] || \$b insmod /modules/\$m; done </order 2>/dev/null
		\$b mount -t ext4 -o noatime /dev/vda /root
		export PATH=/bin work='$2'
		exec 2>/dev/null
		\$b mount --bind /proc /root/proc; \$b mount --bind /dev /root/dev
		\$b chroot /root /bin/sh -c '$vm_work'
		\$b umount /root/dev /root/proc /root
		\$b poweroff -f
	INIT
	chmod +x "$first/init"
	(cd "$first" && find . | cpio -o -H newc --quiet) >"$DIR/plain.cpio"
	eval "$by_hand -M microvm -m 512 -global virtio-mmio.force-legacy=false -serial stdio -initrd $DIR/plain.cpio \
-append '$by_hand_words' -drive file=$1,format=raw,if=none,id=d -device virtio-blk-device,drive=d" </dev/null | took
}

# beside TITLE OURS THEIRS: a row of the table without a bar
beside() {
	awk -v title="$1" -v ours="$2" -v theirs="$3" 'BEGIN {
		printf "| %s | - | QEMU by hand, ext4 | %s s | %s s | %.2f | |\n", title, theirs, ours, theirs > 0 ? ours / theirs : 0
	}'
}

row_vm_files() {
	local read='tar -cf /dev/null /files' write='dd if=/dev/zero of=/big bs=1M count=1024 conv=fsync'
	local tree=$DIR/tree i ours shared theirs
	make_by_hand
	mkdir -p "$tree"
	cp -a "$ROOT/." "$tree/"
	mkdir -p "$tree/files"
	python3 -c 'import os, sys
for i in range(20000):
    d = "%s/%d" % (sys.argv[1], i // 200)
    os.makedirs(d, exist_ok=True)
    open("%s/%d" % (d, i), "wb").write(b"%d\n" % i * 40)' "$tree/files"
	tar -C "$tree" --numeric-owner -cf "$DIR/tree.tar" .
	$lodge image import "$DIR/tree.tar" tree >/dev/null
	truncate -s 3G "$DIR/tree.ext4"
	mke2fs -q -F -t ext4 -d "$tree" "$DIR/tree.ext4" >/dev/null
	theirs=$(plain "$DIR/tree.ext4" "$read")
	ours=$($lodge run --rm --vm --network none -e "work=$read" tree sh -c "$vm_work" | took)
	shared=$($lodge run --rm --vm --network none -e "work=$read" -v "$tree/files:/files" bb sh -c "$vm_work" | took)
	beside "20000 files read, layers" "$ours" "$theirs"
	beside "20000 files read, virtiofs" "$shared" "$theirs"
	theirs=$(plain "$DIR/tree.ext4" "$write")
	ours=$($lodge run --rm --vm --network none -e "work=$write" tree sh -c "$vm_work" | took)
	mkdir -p "$DIR/shared"
	shared=$($lodge run --rm --vm --network none -e "work=${write/big/s/big}" -v "$DIR/shared:/s" bb sh -c "$vm_work" | took)
	beside "1 GiB written, the machine's disk" "$ours" "$theirs"
	beside "1 GiB written, virtiofs" "$shared" "$theirs"
	rm -rf "$tree" "$DIR"/tree.* "$DIR/shared"
}
