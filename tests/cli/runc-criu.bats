#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# checkpoint and restore through criu(8). Debian's criu is older than some kernels, so this runs in the test machine.

load ../lib
load ../runc

setup() {
	command -v criu >/dev/null || skip "no criu"
	criu check >/dev/null 2>&1 || skip "criu can't work on this kernel"
	IMG=$TEST_DIR/img
	rm -rf "$IMG"
}

teardown() {
	runtime_clean
}

# a container that counts in its /tmp/n, in $ID
counter() {
	ID=$(new_id)
	bundle "${1:-.}" sh -c 'n=0; while :; do n=$((n + 1)); echo $n >/tmp/n; sleep 0.05; done'
	rm -f "$TEST_DIR/rootfs/tmp/n"
	runtime run -d -b "$BUNDLE" "$ID" </dev/null >"$TEST_DIR/out" 2>&1
	within 5 count_above 3
}

count() {
	cat "$TEST_DIR/rootfs/tmp/n" 2>/dev/null
}

count_above() {
	local n
	n=$(count)
	[ "${n:-0}" -gt "$1" ]
}

# it goes on from where it was, in less time than it needed for that
goes_on() {
	local from=$1
	within 5 count_above "$from"
	[ "$(count)" -lt $((from + 60)) ]
}

log_of() {
	cat "$TEST_DIR/out2" >&2
	grep -E 'Error|Warn' "$IMG/$1.log" | tail -n 20 >&2
	return 1
}

restore() {
	runtime restore -b "$BUNDLE" --image-path "$IMG" "$@" </dev/null >"$TEST_DIR/out2" 2>&1 || log_of restore
}

checkpoint() {
	runtime checkpoint --image-path "$IMG" "$@" >"$TEST_DIR/out2" 2>&1 || log_of dump
}

@test "checkpoint ends it, restore goes on: processes, files, limits, the record" {
	ID=$(new_id)
	rm -f "$TEST_DIR/rootfs/tmp/n"
	bundle '.linux.resources.pids.limit = 77 | .annotations = {"a": "b"}' \
		sh -c 'sleep 777 & n=0; while :; do n=$((n + 1)); echo $n >/tmp/n; sleep 0.05; done'
	runtime run -d -b "$BUNDLE" "$ID" </dev/null >"$TEST_DIR/out" 2>&1
	within 5 count_above 3
	runtime exec -d "$ID" sleep 888 </dev/null >/dev/null 2>&1
	checkpoint "$ID"
	# no child of the first process
	grep -q 'level=warning msg="1 process that was brought in from outside isn.t in the checkpoint' "$TEST_DIR/out2"
	refuses 1 "container does not exist" runtime state "$ID"
	[ -s "$IMG/dump.log" ] && [ -s "$IMG/inventory.img" ]
	[ -z "$(find /sys/fs/cgroup -name "$ID")" ]
	n=$(count)
	restore -d --pid-file "$TEST_DIR/pid" "$ID"
	equal "running b" "$(state_of "$ID" '"\(.status) \(.annotations.a)"')"
	equal "$(<"$TEST_DIR/pid")" "$(state_of "$ID" .pid)"
	goes_on "$n"
	runtime exec "$ID" ps >"$TEST_DIR/out2"
	grep -q 'sleep 777' "$TEST_DIR/out2" || { cat "$TEST_DIR/out2" >&2; return 1; }
	if cgroup_v2; then
		equal 77 "$(cat "/sys/fs/cgroup/$ID/pids.max")"
	else
		equal 77 "$(cat "/sys/fs/cgroup/pids/$ID/pids.max")"
	fi
	# the rules for devices, which criu doesn't know
	refuses_device "$ID"
	! mount | grep -q "$TEST_DIR/rootfs"
}

refuses_device() {
	mknod -m 666 "$TEST_DIR/rootfs/tmp/kmsg" c 1 11
	runtime exec "$1" head -c1 /tmp/kmsg 2>&1 | grep -q "Operation not permitted"
	rm "$TEST_DIR/rootfs/tmp/kmsg"
}

@test "leave-running; work-path; a container is restored in the foreground" {
	counter
	checkpoint --leave-running --work-path "$TEST_DIR/work" "$ID"
	[ -s "$TEST_DIR/work/dump.log" ] && [ ! -e "$IMG/dump.log" ]
	equal running "$(state_of "$ID")"
	n=$(count)
	goes_on "$n"
	runtime delete -f "$ID"
	runtime restore -b "$BUNDLE" --image-path "$IMG" "$ID" </dev/null >"$TEST_DIR/out2" 2>&1 &
	restorer=$!
	within 10 eval '[ "$(state_of "$ID" 2>/dev/null)" = running ]'
	runtime kill "$ID" KILL
	status=0; wait $restorer || status=$?
	equal 137 $status
	refuses 1 "container does not exist" runtime state "$ID"
}

@test "pre-dump, and a dump on top of it" {
	counter
	checkpoint --pre-dump "$ID"
	equal running "$(state_of "$ID")"
	mv "$IMG" "$TEST_DIR/img0"
	checkpoint --parent-path ../img0 "$ID"
	[ -e "$IMG/parent" ]
	n=$(count)
	restore -d "$ID"
	goes_on "$n"
	rm -rf "$TEST_DIR/img0"
}

@test "a bind mount's source may be another one then; a network namespace with a path" {
	mkdir -p "$TEST_DIR/one" "$TEST_DIR/two"
	echo 1 >"$TEST_DIR/one/x"; echo 2 >"$TEST_DIR/two/x"
	ip netns add "lodge-criu-$$"
	local mount='.mounts += [{destination: "/data", type: "bind", source: $ENV.DATA, options: ["rbind", "ro"]}]
		| .linux.namespaces |= map(if .type == "network" then .path = "/run/netns/lodge-criu-'$$'" else . end)'
	DATA=$TEST_DIR/one counter "$mount"
	equal 1 "$(runtime exec "$ID" cat /data/x)"
	checkpoint "$ID"
	sed -i "s#$TEST_DIR/one#$TEST_DIR/two#" "$BUNDLE/config.json"
	restore -d "$ID"
	equal 2 "$(runtime exec "$ID" cat /data/x)"
	equal "$(stat -Lc %i "/run/netns/lodge-criu-$$")" "$(stat -Lc %i "/proc/$(state_of "$ID" .pid)/ns/net")"
	runtime delete -f "$ID"
	ip netns delete "lodge-criu-$$"
}

@test "another id with manage-cgroups-mode ignore" {
	counter
	checkpoint --manage-cgroups-mode ignore "$ID"
	n=$(count)
	ID=$(new_id)
	restore -d --manage-cgroups-mode ignore "$ID"
	goes_on "$n"
	[ -n "$(find /sys/fs/cgroup -name "$ID")" ]
	grep -q "$ID" "/proc/$(state_of "$ID" .pid)/cgroup"
}

@test "a terminal is handed over by the console socket" {
	ID=$(new_id)
	bundle '.process.terminal = true' sh -c 'while read -r line; do echo "got $line"; done'
	console "$TEST_DIR/sock" "$TEST_DIR/said"
	runtime run -d --console-socket "$TEST_DIR/sock" -b "$BUNDLE" "$ID"
	echo one >"$TEST_DIR/said.in"
	within 5 grep -q 'got one' "$TEST_DIR/said"
	checkpoint "$ID"
	kill "$CONSOLE" 2>/dev/null || true
	console "$TEST_DIR/sock" "$TEST_DIR/said"
	restore -d --console-socket "$TEST_DIR/sock" "$ID"
	echo two >"$TEST_DIR/said.in"
	within 5 grep -q 'got two' "$TEST_DIR/said"
}

@test "with a user namespace" {
	counter '.linux.namespaces += [{type: "user"}] | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 100000}]
		| .linux.gidMappings = .linux.uidMappings'
	checkpoint "$ID"
	n=$(count)
	restore -d "$ID"
	goes_on "$n"
}

@test "hooks run when the namespaces are there; one that fails leaves nothing" {
	counter '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "jq -r .pid >>\($ENV.TEST_DIR)/hookpid"]}]'
	checkpoint "$ID"
	rm -f "$TEST_DIR/hookpid"
	restore -d "$ID"
	equal "$(state_of "$ID" .pid)" "$(<"$TEST_DIR/hookpid")"
	checkpoint "$ID"
	jq '.hooks.createRuntime = [{path: "/bin/false"}]' "$BUNDLE/config.json" >"$TEST_DIR/c" && mv "$TEST_DIR/c" "$BUNDLE/config.json"
	refuses 1 "error running createRuntime hook #0" runtime restore -d -b "$BUNDLE" --image-path "$IMG" "$ID"
	[ -z "$(find /sys/fs/cgroup -name "$ID")" ]
}

@test "open connections are a blocker, and go along when that is asked" {
	command -v iptables-restore >/dev/null || command -v nft >/dev/null || skip "criu locks networks by iptables"
	ID=$(new_id)
	bundle . sh -c 'nc -l -p 7777 -e cat & sleep 1; (while :; do echo hi; sleep 0.1; done) | nc 127.0.0.1 7777 >/tmp/n'
	rm -f "$TEST_DIR/rootfs/tmp/n"
	runtime run -d -b "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	within 10 test -s "$TEST_DIR/rootfs/tmp/n"
	status=0; output=$(runtime checkpoint --image-path "$IMG" "$ID" 2>&1) || status=$?
	equal 1 $status
	grep -q "open TCP connections" <<<"$output"
	[ ! -e "$IMG" ]
	checkpoint --tcp-established "$ID"
	n=$(wc -l <"$TEST_DIR/rootfs/tmp/n")
	restore -d --tcp-established "$ID"
	within 10 eval '[ "$(wc -l <"$TEST_DIR/rootfs/tmp/n")" -gt $((n + 3)) ]'
}

@test "what is refused, and that nothing is changed by it" {
	counter
	said() { # TEXT COMMAND...
		status=0; output=$(runtime "${@:2}" 2>&1) || status=$?
		[ "$status" = 1 ] && [[ $output == *"$1"* ]] || { echo "$status: $output" >&2; return 1; }
		equal running "$(state_of "$ID")"
	}
	said "Invalid manage-cgroups-mode" checkpoint --manage-cgroups-mode x "$ID"
	said "namespace uts is not supported" checkpoint --empty-ns uts "$ID"
	said "--lazy-pages needs --page-server" checkpoint --lazy-pages "$ID"
	said "must be relative" checkpoint --parent-path /x "$ID"
	said "container with given ID already exists" restore -d -b "$BUNDLE" --image-path "$TEST_DIR" "$ID"
	mkdir "$TEST_DIR/empty"
	said "criu failed" restore -d -b "$BUNDLE" --image-path "$TEST_DIR/empty" "x$ID"
	said "log file: $TEST_DIR/empty/restore.log" restore -d -b "$BUNDLE" --image-path "$TEST_DIR/empty" "x$ID"
	said "'/nope/criu' isn't installed" --criu /nope/criu checkpoint "$ID"
	[ -z "$(find /sys/fs/cgroup -name "x$ID")" ]
}

# --- criu's rarer options, each for what it does ---

# python SCRIPT [FILTER]: a container of it in $ID; the host's programs are bound at /usr. It counts by count() and says
# where it is by /tmp/n.
python() {
	ID=$(new_id)
	mkdir -p "$TEST_DIR/rootfs/usr"
	for link in lib lib64; do [ -L "$TEST_DIR/rootfs/$link" ] || ln -s usr/$link "$TEST_DIR/rootfs/$link"; done
	rm -f "$TEST_DIR/rootfs/tmp/n"
	printf 'import os, socket, time, fcntl\nn = 0\ndef count():\n    global n\n    n += 1\n    open("/tmp/n.new", "w").write(f"{n}\\n"); os.rename("/tmp/n.new", "/tmp/n"); time.sleep(0.05)\n%s\n' \
		"$1" >"$TEST_DIR/rootfs/tmp/script"
	bundle '.mounts += [{destination: "/usr", type: "bind", source: "/usr", options: ["rbind", "ro"]}] | '"${2:-.}" \
		/usr/bin/python3 /tmp/script
	[ -n "${NOT_STARTED:-}" ] && return
	runtime run -d -b "$BUNDLE" "${@:3}" "$ID" </dev/null >"$TEST_DIR/out" 2>&1
	within 20 count_above 3
}

# not_without OPTION TEXT CHECKPOINT-ARGUMENT...: fails without the option, by criu's log, and works with it; it has gone
# on in between.
not_without() {
	local option=$1 text=$2
	shift 2
	status=0
	runtime checkpoint --image-path "$IMG" "$@" "$ID" >"$TEST_DIR/out2" 2>&1 || status=$?
	equal 1 $status
	grep -qE "$text" "$IMG/dump.log" || { grep Error "$IMG/dump.log" >&2; return 1; }
	n=$(count)
	within 5 count_above "$n"
	rm -rf "$IMG"
	checkpoint "$option" "$@" "$ID"
	n=$(count)
}

@test "--file-locks" {
	python 'f = open("/tmp/lock", "w"); fcntl.flock(f, fcntl.LOCK_EX)
while True: count()'
	not_without --file-locks "file lock|--file-locks"
	restore -d --file-locks "$ID"
	goes_on "$n"
	status=0; runtime exec "$ID" /usr/bin/flock -n /tmp/lock true || status=$?
	equal 1 $status
}

@test "--tcp-skip-in-flight" {
	python 's = socket.socket(); s.bind(("127.0.0.1", 7777)); s.listen(5); c = socket.create_connection(("127.0.0.1", 7777))
while True: count()'
	not_without --tcp-skip-in-flight "In-flight connection" --tcp-established
	restore -d --tcp-established "$ID"
	goes_on "$n"
	# it still listens
	runtime exec "$ID" /usr/bin/python3 -c 'import socket; socket.create_connection(("127.0.0.1", 7777), 5)'
}

@test "--ext-unix-sk" {
	python3 - "$TEST_DIR/rootfs" "$TEST_DIR/heard" 3>&- >"$TEST_DIR/out2" 2>&1 <<-'PY' &
		import os, socket, sys
		out = open(sys.argv[2], "wb", buffering=0)
		os.chroot(sys.argv[1])
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("/tmp/sock")
		while True: out.write(s.recv(100))
	PY
	CONSOLES+=" $!"
	within 20 test -S "$TEST_DIR/rootfs/tmp/sock" || { cat "$TEST_DIR/out2" >&2; return 1; }
	# connected on the outside, and handed to the container as 3
	NOT_STARTED=1 python 'while True: os.write(3, b"%d\n" % n); count()' '.linux.namespaces |= map(select(.type != "network"))'
	python3 - "$TEST_DIR/rootfs" "$LODGE_RUNC" --root "$TEST_DIR/state" run -d -b "$BUNDLE" --preserve-fds 1 "$ID" </dev/null \
		>"$TEST_DIR/out" 2>&1 <<-'PY'
		import os, socket, sys
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		here = os.open("/", os.O_RDONLY)
		os.chroot(sys.argv[1]); s.connect("/tmp/sock"); os.fchdir(here); os.chroot(".")
		os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
		null = os.open("/dev/null", os.O_RDONLY); os.dup2(null, 0)
		os.execv(sys.argv[2], sys.argv[2:])
	PY
	within 20 count_above 3
	not_without --ext-unix-sk "xternal socket|ext-unix-sk"
	was=$(wc -l <"$TEST_DIR/heard")
	restore -d --ext-unix-sk "$ID"
	goes_on "$n"
	within 5 eval '[ "$(wc -l <"$TEST_DIR/heard")" -gt "$was" ]'
	rm "$TEST_DIR/rootfs/tmp/sock"
}

@test "--empty-ns network: there, and nothing of it is kept" {
	ID=$(new_id)
	counter '.process.capabilities |= map_values(. + ["CAP_NET_ADMIN"])'
	runtime exec "$ID" ip address add 192.0.2.1/32 dev lo
	checkpoint --leave-running "$ID"
	ls "$IMG" | grep -q ^netdev
	rm -rf "$IMG"
	checkpoint --empty-ns network "$ID"
	! ls "$IMG" | grep -q ^netdev
	n=$(count)
	restore -d --empty-ns network "$ID"
	goes_on "$n"
	! runtime exec "$ID" ip address | grep -q 192.0.2.1
	[ "$(readlink "/proc/$(state_of "$ID" .pid)/ns/net")" != "$(readlink /proc/self/ns/net)" ]
}

@test "--page-server: memory goes there" {
	mkdir -p "$TEST_DIR/pages"
	criu page-server -D "$TEST_DIR/pages" --address 127.0.0.1 --port 7788 -o server.log 3>&- &
	CONSOLES+=" $!"
	counter
	within 10 nc -z 127.0.0.1 7789 2>/dev/null || sleep 1
	checkpoint --page-server 127.0.0.1:7788 "$ID"
	! ls "$IMG" | grep -q ^pages-
	ls "$TEST_DIR/pages" | grep -q ^pages-
	n=$(count)
	cp "$TEST_DIR/pages"/*.img "$IMG"
	restore -d "$ID"
	goes_on "$n"
	rm -rf "$TEST_DIR/pages"
}

@test "--auto-dedup: memory that is in the later images leaves the earlier ones; restored memory leaves them all" {
	python 'b = bytearray(b"x" * (8 << 20))
while True:
    for i in range(0, len(b), 4096): b[i] = n % 256
    count()'
	checkpoint --pre-dump "$ID"
	mv "$IMG" "$TEST_DIR/img0"
	within 5 count_above "$(($(count) + 1))"
	before=$(du -k "$TEST_DIR/img0"/pages-*.img | awk '{ n += $1 } END { print n }')
	checkpoint --auto-dedup --parent-path ../img0 "$ID"
	after=$(du -k "$TEST_DIR/img0"/pages-*.img | awk '{ n += $1 } END { print n }')
	[ $((before - after)) -gt 7000 ] || { echo "$before $after" >&2; return 1; }
	before=$(du -k "$IMG"/pages-*.img | awk '{ n += $1 } END { print n }')
	n=$(count)
	restore -d --auto-dedup "$ID"
	goes_on "$n"
	after=$(du -k "$IMG"/pages-*.img | awk '{ n += $1 } END { print n }')
	[ $((before - after)) -gt 7000 ] || { echo "$before $after" >&2; return 1; }
	rm -rf "$TEST_DIR/img0"
}

@test "--lazy-pages with --status-fd: it runs before its memory is there" {
	python 'b = bytearray(os.urandom(4 << 20)); s = sum(b)
while True: count(); assert sum(b) == s'
	mkfifo "$TEST_DIR/status"
	runtime checkpoint --lazy-pages --page-server 127.0.0.1:7799 --status-fd 7 --image-path "$IMG" "$ID" 7<>"$TEST_DIR/status" \
		>"$TEST_DIR/out2" 2>&1 3>&- &
	dumper=$!
	timeout 20 head -c1 "$TEST_DIR/status" | cmp - <(printf '\0') || log_of dump
	n=$(count)
	mkdir -p "$TEST_DIR/work"
	criu lazy-pages --page-server --address 127.0.0.1 --port 7799 -D "$IMG" -W "$TEST_DIR/work" -o lazy.log 3>&- &
	CONSOLES+=" $!"
	within 10 test -S "$TEST_DIR/work/lazy-pages.socket"
	old=$ID ID=$(new_id)
	restore -d --lazy-pages --work-path "$TEST_DIR/work" "$ID"
	goes_on "$n"
	wait $dumper
	refuses_state "$old"
	rm -rf "$TEST_DIR/status" "$TEST_DIR/work"
}

refuses_state() {
	status=0; output=$(runtime state "$1" 2>&1) || status=$?
	[ $status = 1 ] && [[ $output == *"does not exist"* ]]
}

@test "--manage-cgroups-mode: soft, full" {
	for mode in soft full; do
		rm -rf "$IMG"
		counter '.linux.resources.pids.limit = 77'
		checkpoint --manage-cgroups-mode $mode "$ID"
		n=$(count)
		restore -d --manage-cgroups-mode $mode "$ID"
		goes_on "$n"
		equal 77 "$(cat "/sys/fs/cgroup/$ID/pids.max")"
		runtime delete -f "$ID"
	done
}

@test "podman container checkpoint and restore" {
	command -v podman >/dev/null || skip "no podman"
	tar -C "$TEST_DIR/rootfs" --numeric-owner -cf "$TEST_DIR/root.tar" bin etc tmp
	pod() {
		podman --root "$TEST_DIR/pod" --runroot "$TEST_DIR/pod-run" --cgroup-manager cgroupfs --events-backend file \
			--runtime "$LODGE_RUNC" --storage-driver vfs "$@" 3>&-
	}
	pod import "$TEST_DIR/root.tar" lodge-rt >/dev/null
	pod run -d --name one --net none lodge-rt sh -c 'n=0; while :; do n=$((n + 1)); echo $n >/n; sleep 0.05; done' >/dev/null
	within 5 eval '[ "$(pod exec one cat /n)" -gt 3 ]'
	pod container checkpoint one
	equal exited "$(pod inspect --format '{{.State.Status}}' one)"
	pod container restore one
	equal running "$(pod inspect --format '{{.State.Status}}' one)"
	n=$(pod exec one cat /n)
	within 5 eval '[ "$(pod exec one cat /n)" -gt "$n" ]'
	pod container checkpoint -e "$TEST_DIR/one.tar.gz" one
	pod rm -f -t 0 one >/dev/null
	pod container restore -i "$TEST_DIR/one.tar.gz" -n two
	equal running "$(pod inspect --format '{{.State.Status}}' two)"
	pod rm -f -t 0 two >/dev/null
}
