#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Known ways out of containers, each tried. What a test guards is named by the function whose lines, taken out, let it
# fail: built that way, each of them does.

load ../lib
load ../runc

teardown() {
	runtime_clean
}

# a root of one's own, that an attacker has prepared
evil_root() {
	rm -rf "$TEST_DIR/evil"
	cp -a "$TEST_DIR/rootfs" "$TEST_DIR/evil"
}

evil() {
	bundle '.root.path = "'"$TEST_DIR"'/evil" | '"$1" "${@:2}"
}

# exec_protected() in host/spawn.c
@test "CVE-2019-5736: the runtime's program can't be written to from a container" {
	ID=$(new_id)
	bundle . sleep 100
	runtime create --pid-file "$TEST_DIR/pid" -b "$BUNDLE" "$ID"
	# a container that has it open only needs to wait for its end
	exec 9<"/proc/$(<"$TEST_DIR/pid")/exe"
	runtime delete -f "$ID"
	status=0
	output=$( (: >>/proc/self/fd/9) 2>&1) || status=$?
	exec 9<&-
	[[ $status != 0 && ($output == *"Read-only file system"* || $output == *"Operation not permitted"*) ]]
}

# step_undumpable
@test "CVE-2016-9962: nobody traces the runtime's process in a container" {
	ID=$(new_id)
	bundle . sleep 100
	runtime create --pid-file "$TEST_DIR/pid" -b "$BUNDLE" "$ID"
	# by a process with all the rights that the container has
	status=0
	output=$(setpriv --inh-caps=-all --bounding-set -all,+kill,+audit_write,+net_bind_service \
		readlink "/proc/$(<"$TEST_DIR/pid")/root" 2>&1) || status=$?
	[ $status != 0 ]
}

# check_not_proc() in host/step-mount.c, the part on "/proc" itself
@test "CVE-2019-16884: a volume can't pretend to be /proc" {
	mkdir -p "$TEST_DIR/fake/self/attr"
	bundle '.mounts += [{destination: "/proc", type: "bind", source: "'"$TEST_DIR"'/fake", options: ["bind"]}]' true
	refuses 1 "cannot mount at '/proc'" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.mounts |= map(select(.type != "proc")) | .mounts += [{destination: "/proc", type: "bind", source: "'"$TEST_DIR"'/fake", options: ["bind"]}]' true
	refuses 1 "cannot mount at '/proc'" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.mounts += [{destination: "/proc/../proc", type: "tmpfs", source: "x"}]' true
	refuses 1 "/proc is the kernel's" runtime run -b "$BUNDLE" "$(new_id)"
}

# PATH_NOFOLLOW_LAST for proc and sysfs in mount_in_run()
@test "CVE-2019-19921: /proc that is a link isn't mounted through" {
	evil_root
	rmdir "$TEST_DIR/evil/proc"
	ln -s /etc "$TEST_DIR/evil/proc"
	evil . true
	refuses 1 "cannot make the mount point '/proc'" runtime run -b "$BUNDLE" "$(new_id)"
}

# RESOLVE_IN_ROOT in host/path.c
@test "CVE-2021-30465: links in the root don't lead a mount out of it" {
	evil_root
	mkdir -p "$TEST_DIR/host"
	ln -s "$(printf '../%.0s' {1..20})$TEST_DIR/host" "$TEST_DIR/evil/link"
	evil '.mounts += [{destination: "/link/in", type: "tmpfs", source: "x"}]' grep -c "$TEST_DIR/host/in" /proc/mounts
	runtime run -b "$BUNDLE" "$(new_id)" || true
	[ ! -e "$TEST_DIR/host/in" ]
}

# check_not_proc(), the part on what is in a procfs
@test "CVE-2023-27561: a link to /proc/sys doesn't let a volume lie over it" {
	evil_root
	ln -s /proc/sys "$TEST_DIR/evil/link"
	evil '.mounts += [{destination: "/link/kernel", type: "tmpfs", source: "x"}]' true
	refuses 1 "/proc is the kernel's" runtime run -b "$BUNDLE" "$(new_id)"
	evil '.mounts += [{destination: "/link", type: "bind", source: "/tmp", options: ["bind"]}]' true
	refuses 1 "/proc is the kernel's" runtime run -b "$BUNDLE" "$(new_id)"
}

# check_inside() in host/step-clone.c
@test "CVE-2024-21626: no descriptor of the runtime becomes the working directory" {
	local n
	ID=$(new_id)
	bundle . sleep 100
	runtime run -d -b "$BUNDLE" "$ID"
	for n in $(seq 3 12); do
		bundle '.process.cwd = "/proc/self/fd/'"$n"'"' ls -a
		status=0
		output=$(runtime run -b "$BUNDLE" "$(new_id)" 2>&1) || status=$?
		[ $status = 1 ]
		status=0
		output=$(runtime exec --cwd /proc/self/fd/$n "$ID" ls -a 2>&1) || status=$?
		[ $status = 255 ]
	done
}

# path_mkdirs_in() in host/path.c looks every component up in the root
@test "CVE-2024-45310: mount points aren't made outside of the root" {
	evil_root
	mkdir -p "$TEST_DIR/victim"
	ln -s "$TEST_DIR/victim" "$TEST_DIR/evil/data"
	evil '.mounts += [{destination: "/data/new/dir", type: "bind", source: "/tmp", options: ["bind"]},
		{destination: "/data/file", type: "bind", source: "/etc/hosts", options: ["bind"]}]' true
	runtime run -b "$BUNDLE" "$(new_id)" || true
	[ -z "$(ls -A "$TEST_DIR/victim")" ]
}

# mask_run() in host/step-mount.c looks at the device's number
@test "CVE-2025-31133: /dev/null that isn't one hides nothing, so nothing runs" {
	echo trap >"$TEST_DIR/notnull"
	mkdir -p "$TEST_DIR/dev"
	ln -sf /proc/sysrq-trigger "$TEST_DIR/dev/null"
	bundle '.mounts |= map(select(.destination | startswith("/dev") | not)) | .mounts += [{destination: "/dev", type: "bind",
		source: "'"$TEST_DIR"'/dev", options: ["rbind"]}]' true
	refuses 1 "/dev/null isn't the null device" runtime run -b "$BUNDLE" "$(new_id)"
	rm "$TEST_DIR/dev/null"
	cp "$TEST_DIR/notnull" "$TEST_DIR/dev/null"
	refuses 1 "/dev/null isn't the null device" runtime run -b "$BUNDLE" "$(new_id)"
}

# check_not_proc() in console_run()
@test "CVE-2025-52565: the console isn't bound over the kernel's files" {
	evil_root
	ln -s /proc/sys/kernel/hostname "$TEST_DIR/evil/dev/console"
	mkdir -p "$TEST_DIR/evil/dev/pts"
	evil '.process.terminal = true | .mounts |= map(select(.destination != "/dev"))' true
	refuses 1 "/proc is the kernel's" runtime run -b "$BUNDLE" "$(new_id)"
}

# check_not_proc(), and proc_write() in host/step-proc.c
@test "CVE-2025-52881: what the runtime writes to /proc reaches the kernel" {
	bundle '.linux.sysctl = {"net.ipv4.ip_forward": "1"} | .mounts += [{destination: "/proc/sys/net", type: "tmpfs", source: "x"}]' true
	refuses 1 "/proc is the kernel's" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.mounts += [{destination: "/proc/self/attr", type: "tmpfs", source: "x"}]' true
	refuses 1 "" runtime run -b "$BUNDLE" "$(new_id)"
	# what lxcfs puts there is fine
	bundle '.mounts += [{destination: "/proc/uptime", type: "bind", source: "/etc/hosts", options: ["bind", "ro"]}]' cat /proc/uptime
	equal "$(cat /etc/hosts)" "$(runtime run -b "$BUNDLE" "$(new_id)")"
}
