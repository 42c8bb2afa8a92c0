#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Images that are a machine's disk: import, listing, removal, files that mean harm. tests/disk-boot boots one.
load ../lib

prepare() {
	# two MiB that are recognised: a mark at both ends
	head -c 2097152 /dev/zero >"$TEST_DIR/raw"
	printf begin | dd of="$TEST_DIR/raw" conv=notrunc status=none
	printf end | dd of="$TEST_DIR/raw" bs=1 seek=2097149 conv=notrunc status=none
}

path_of() {
	lodge image inspect --format '{{.Disk.Path}}' "$1"
}

same_content() { # IMAGE
	qemu-img compare -f raw -F qcow2 "$TEST_DIR/raw" "$(path_of "$1")"
}

@test "raw, qcow2, vmdk, vdi, vhdx and vpc become qcow2 that qemu-img accepts" {
	for format in raw qcow2 vmdk vdi vhdx vpc; do
		qemu-img convert -f raw -O $format $([ $format != vpc ] || echo -o force_size=on) "$TEST_DIR/raw" "$TEST_DIR/d"
		lodge image import --disk "$TEST_DIR/d" d:$format
		same_content d:$format
		qemu-img check -q -f qcow2 "$(path_of d:$format)"
		equal 2097152 "$(lodge image inspect --format '{{.Disk.VirtualSize}}' d:$format)"
		# told, it is read so, whatever it looks like
		lodge image import --disk --format $format -q "$TEST_DIR/d" d:told
		same_content d:told
		rm "$TEST_DIR/d"
	done
	lodge image prune -af >/dev/null
	equal "" "$(ls "$LODGE_ROOT/disks")"
	lodge image import "$TEST_DIR/bb.tar" bb >/dev/null
}

@test "--format raw keeps what looks like another format" {
	qemu-img create -q -f qcow2 -b "$TEST_DIR/raw" -F raw "$TEST_DIR/q"
	lodge image import --disk --format raw "$TEST_DIR/q" d
	# in whole sectors
	equal $((($(stat -c %s "$TEST_DIR/q") + 511) / 512 * 512)) "$(lodge image inspect --format '{{.Disk.VirtualSize}}' d)"
	lodge image rm d
	rm "$TEST_DIR/q"
}

@test "vmdk as VMware's tools export it" {
	qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "$TEST_DIR/raw" "$TEST_DIR/s.vmdk"
	lodge image import --disk "$TEST_DIR/s.vmdk" d
	same_content d
	lodge image rm d
	rm "$TEST_DIR/s.vmdk"
}

@test "disks that need other files, are encrypted, compressed or none are refused and leave nothing" {
	cd "$TEST_DIR"
	qemu-img create -q -f qcow2 -b /etc/hostname -F raw b.qcow2
	fails 1 "backing file" lodge image import --disk b.qcow2 d
	qemu-img create -q -f qcow2 -o data_file=x.data,data_file_raw=on x.qcow2 1M
	fails 1 "external data" lodge image import --disk x.qcow2 d
	qemu-img create -q -f vmdk -o subformat=monolithicFlat f.vmdk 1M
	fails 1 "extents" lodge image import --disk f.vmdk d
	qemu-img create -q -f vmdk p.vmdk 1M
	qemu-img create -q -f vmdk -b p.vmdk -F vmdk c.vmdk
	fails 1 "a parent" lodge image import --disk c.vmdk d
	# it measures how fast the processor is first, and gives up where others use it
	within 20 qemu-img create -q -f qcow2 --object secret,id=s,data=x \
		-o encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10 l.qcow2 1M
	fails 1 "encrypted" lodge image import --disk l.qcow2 d
	gzip -c raw >raw.gz
	fails 1 "compressed (gzip)" lodge image import --disk raw.gz d
	: >empty
	fails 1 "is empty" lodge image import --disk empty d
	fails 1 "neither a file nor a disk" lodge image import --disk /dev/null d
	fails 1 "No such file" lodge image import --disk nothing d
	head -c 200 p.vmdk >cut.vmdk
	fails 1 "" lodge image import --disk cut.vmdk d
	# a size that nothing has
	qemu-img create -q -f qcow2 big.qcow2 100T
	fails 1 "larger than 64 TiB" lodge image import --disk big.qcow2 d
	fails 1 "isn't a qcow2 image" lodge image import --disk --format qcow2 raw d
	fails 125 "invalid format" lodge image import --disk --format qed raw d
	fails 125 "--format is for --disk" lodge image import --format raw raw d
	fails 125 "not for a disk" lodge image import --disk -c 'CMD x' raw d
	fails 1 "isn't an image reference" lodge image import --disk raw 'BAD NAME'
	rm -f ./*.qcow2 ./*.vmdk x.data raw.gz empty
	equal "" "$(ls "$LODGE_ROOT/disks" "$LODGE_ROOT/cache" | grep -v ^seccomp | grep -v : | xargs)"
	lodge fsck
}

@test "a disk isn't a container's image, nor one to save" {
	lodge image import --disk -m 'mine' "$TEST_DIR/raw" d:1
	fails 125 "machine's disk" lodge run --rm --network none d:1 true
	fails 1 "machine's disk" lodge image save -o "$TEST_DIR/s.tar" d:1
	[ ! -e "$TEST_DIR/s.tar" ]
	equal disk "$(lodge image ls --format '{{.Kind}}' d)"
	equal layers "$(lodge image ls --format '{{.Kind}}' bb)"
	lodge image history d:1 | grep -q mine
	lodge image tag d:1 e:1
	lodge image rm d:1
	same_content e:1
	lodge image rm e:1
	equal "" "$(ls "$LODGE_ROOT/disks")"
}

@test "the same disk is kept once; system df is what du says; fsck finds damage" {
	lodge image import --disk "$TEST_DIR/raw" d:1
	lodge image import --disk "$TEST_DIR/raw" d:2
	equal 1 "$(ls "$LODGE_ROOT/disks" | wc -l)"
	equal "$(du -s --block-size=1 "$LODGE_ROOT" | cut -f 1)" "$(lodge system df --format json | jq -s 'map(.Bytes // .bytes) | add')"
	lodge fsck
	path=$(path_of d:1)
	chmod 600 "$path"
	printf x | dd of="$path" bs=1 seek=300000 conv=notrunc status=none
	run lodge fsck
	[ "$status" != 0 ]
	[[ $output == *"is damaged"* ]]
	lodge image rm d:1
	lodge image rm d:2
	equal "" "$(ls "$LODGE_ROOT/disks")"
	lodge fsck
	# what no record knows
	head -c 1000 /dev/urandom >"$LODGE_ROOT/disks/$(printf '0%.0s' {1..64}).qcow2"
	touch "$LODGE_ROOT/disks/odd"
	run lodge fsck --repair
	[[ $output == *"no image names"*"(removed)"* && $output == *"unknown file"* ]]
	equal "" "$(ls "$LODGE_ROOT/disks")"
	rm -rf "$LODGE_ROOT/lost"
}

@test "killed while it imports, nothing is left" {
	truncate -s 200M "$TEST_DIR/large"
	for part in 0 60 120 180; do
		dd if=/dev/urandom of="$TEST_DIR/large" bs=1M count=20 seek=$part conv=notrunc status=none
	done
	for delay in 0.02 0.1 0.3; do
		"$LODGE" image import --disk "$TEST_DIR/large" large >/dev/null 2>&1 &
		pid=$!
		sleep $delay
		kill -KILL $pid 2>/dev/null || true
		wait $pid || true
		lodge image rm large >/dev/null 2>&1 || true
		lodge fsck
		equal "" "$(ls "$LODGE_ROOT/disks")"
		equal "" "$(find "$LODGE_ROOT/cache" -name 'disk.*')"
	done
	"$LODGE" image import --disk "$TEST_DIR/large" large >/dev/null 2>&1 &
	pid=$!
	sleep 0.1
	kill -INT $pid 2>/dev/null || true
	wait $pid || true
	lodge image rm large >/dev/null 2>&1 || true
	equal "" "$(find "$LODGE_ROOT/cache" -name 'disk.*')"
	rm "$TEST_DIR/large"
}

@test "build-from-mirror --disk: what is refused, and a mirror that isn't there" {
	fails 1 "too small" lodge image build-from-mirror debian:12 --disk 100M
	fails 1 "too large" lodge image build-from-mirror debian:12 --disk 100T
	fails 1 "Debian 12 and later" lodge image build-from-mirror debian:11 --disk 2G
	fails 1 "amd64 only" lodge image build-from-mirror debian:12 --disk 2G --arch arm64
	fails 125 "not for busybox" lodge image build-from-mirror busybox --disk 2G
	fails 125 "disk" lodge image build-from-mirror debian:12 --disk x
	fails 1 "" lodge image build-from-mirror -q debian:12 --disk 2G --mirror http://127.0.0.1:1/debian
	equal "" "$(find "$LODGE_ROOT/cache" "$LODGE_ROOT/disks" -mindepth 1 -not -name 'seccomp*')"
	lodge fsck
}

@test "explain shows the commands and makes nothing" {
	run lodge explain image build-from-mirror debian:12 --disk 4G
	for word in mmdebstrap mkfs.vfat mcopy mke2fs grub-bios-setup "qemu-img convert -f raw -O qcow2"; do
		[[ $output == *"$word"* ]] || { echo "no $word: $output"; false; }
	done
	run lodge explain image import --disk "$TEST_DIR/raw" never-made
	[[ $output == *"qemu-img convert -f raw -O qcow2"* ]]
	run ! lodge image inspect never-made
	equal "" "$(ls "$LODGE_ROOT/disks")"
}
