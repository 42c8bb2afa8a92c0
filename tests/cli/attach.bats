#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Terminals, attach, exec, signals.
load ../lib

# what is slow is an emulated machine
[ -z "${VMTEST:-}" ] || export PTY_PATIENCE=60

pty() {
	"$TOP/tests/pty" "$@"
}

sleeper() {
	lodge run -d --name "$1" --network none bb sleep 1000 >/dev/null
}

@test "-it: a terminal with its size, resized with the window" {
	run pty 33x77 'expect:[#$] ' 'send:stty size\r' 'expect:33 77' 'resize:20x60' 'sleep:0.3' \
		'send:stty size\r' 'expect:20 60' 'send:tty; echo $TERM\r' 'expect:/dev/(console|pts/0)' 'expect:xterm' \
		'send:exit 4\r' -- "$LODGE" run --rm -it --network none bb sh
	[ "$status" = 4 ] || { echo "status $status: $output"; false; }
}

@test "-it: ^C reaches the guest's program" {
	run pty 'expect:[#$] ' 'send:sleep 50\r' 'sleep:0.3' 'send:\x03' 'expect:[#$] ' 'send:echo st=$?\r' 'expect:st=130' \
		'send:exit\r' -- "$LODGE" run --rm -it --network none bb sh
	[ "$status" != 99 ]
}

@test "-t without a terminal on our side is refused with -i" {
	fails 1 terminal lodge run --rm -it --network none bb true </dev/null
}

@test "-t alone gives the guest a terminal" {
	run lodge run --rm -t --network none bb sh -c 'test -t 1 && echo yes'
	[[ $output == *yes* ]]
}

@test "detach keys leave the guest running; attach comes back" {
	run pty 'expect:[#$] ' 'send:x=kept\r' 'sleep:0.2' 'send:\x10\x11' -- "$LODGE" run -it --name d1 --network none bb sh
	[ "$status" = 0 ]
	equal running "$(state d1)"
	run pty 'send:\r' 'expect:[#$] ' 'send:echo v=$x\r' 'expect:v=kept' 'send:exit 7\r' -- "$LODGE" attach d1
	[ "$status" = 7 ]
	within 3 is_state d1 exited
}

@test "--detach-keys of one's own" {
	run pty 'expect:[#$] ' 'send:\x01x' -- "$LODGE" run -it --detach-keys ctrl-a,x --name d1 --network none bb sh
	[ "$status" = 0 ]
	equal running "$(state d1)"
	fails 125 nonsense lodge attach --detach-keys nonsense d1
}

@test "several clients see the same; one may leave" {
	lodge run -d -i --name m1 --network none bb sh -c 'while read -r l; do echo "got $l"; done'
	lodge attach --no-stdin m1 >"$TEST_DIR/c1" &
	c1=$!
	lodge attach --no-stdin m1 >"$TEST_DIR/c2" &
	c2=$!
	sleep 0.3
	echo one | timeout 5 "$LODGE" attach --sig-proxy=false m1 >"$TEST_DIR/c3" || true
	within 3 grep -q 'got one' "$TEST_DIR/c1"
	within 3 grep -q 'got one' "$TEST_DIR/c2"
	kill -9 $c1
	lodge kill m1
	wait $c2 || true
}

@test "attach gives the guest's status; a stopped one is refused" {
	lodge run -d --name a1 --network none bb sh -c 'sleep 0.5; exit 5'
	run lodge attach --no-stdin a1
	[ "$status" = 5 ]
	fails 1 a1 lodge attach a1
}

@test "signals are handed on; --sig-proxy=false keeps them" {
	"$LODGE" run --name s1 --network none bb sh -c 'trap "echo term; exit 33" TERM; echo up; while :; do sleep 0.02; done' \
		>"$TEST_DIR/out" 3>&- &
	pid=$!
	within 5 grep -q up "$TEST_DIR/out"
	kill -TERM $pid
	rc=0
	wait $pid || rc=$?
	equal 33 "$rc"
	grep -q term "$TEST_DIR/out"
}

@test "a guest outlives the command that started it, and kill -9 of it" {
	"$LODGE" run --name s1 --network none bb sh -c 'echo up; while :; do echo tick; sleep 0.05; done' >/dev/null 3>&- &
	pid=$!
	within 5 has_log s1 up
	kill -9 $pid
	sleep 0.2
	equal running "$(state s1)"
	n=$(lodge logs s1 | wc -l)
	within 5 eval '[ "$(lodge logs s1 | wc -l)" -gt '"$n"' ]'
	lodge stop -t 0 s1
	equal exited "$(state s1)"
}

@test "start -a -i" {
	lodge create -i --name c1 --network none bb cat
	equal hello "$(echo hello | lodge start -ai c1)"
}

@test "exec: status, streams, -i, -e, -w, -u, -d, -t, --privileged" {
	sleeper g1
	run lodge exec g1 sh -c 'echo out; echo err >&2; exit 8'
	[ "$status" = 8 ]
	[[ $output == *out* && $output == *err* ]]
	equal hi "$(echo hi | lodge exec -i g1 cat)"
	equal "1 /tmp 1000" "$(lodge exec -e A=1 -w /tmp -u bob g1 sh -c 'echo $A $PWD $(id -u)')"
	lodge exec -d g1 sh -c 'echo bg >/bg; sleep 100'
	within 3 lodge exec g1 test -s /bg
	run lodge exec -t g1 tty
	[[ $output == *pts* ]]
	equal 00000000a80425fb "$(lodge exec g1 awk '/CapEff/{print $2}' /proc/self/status)"
	[ "$(lodge exec --privileged g1 awk '/CapEff/{print $2}' /proc/self/status)" != 00000000a80425fb ]
	equal 2 "$(lodge exec g1 grep -h Seccomp: /proc/self/status | awk '{print $2}')"
	# the same namespaces
	equal "$(readlink "/proc/$(guest_pid g1)/ns/mnt")" "$(lodge exec g1 readlink /proc/self/ns/mnt)"
	equal "$(readlink "/proc/$(guest_pid g1)/ns/pid")" "$(lodge exec g1 readlink /proc/self/ns/pid)"
}

@test "exec: what can't be run" {
	sleeper g1
	fails 127 nosuch lodge exec g1 nosuch
	fails 126 /etc/passwd lodge exec g1 /etc/passwd
	fails 1 nosuch lodge exec nosuch true
	run lodge exec g1 sh -c 'kill -9 $$'
	[ "$status" = 137 ]
	lodge stop -t 0 g1
	fails 1 running lodge exec g1 true
}

@test "exec -it: a terminal" {
	sleeper g1
	run pty 25x90 'expect:[#$] ' 'send:stty size\r' 'expect:25 90' 'send:exit 11\r' -- "$LODGE" exec -it g1 sh
	[ "$status" = 11 ]
}

@test "exec carries bytes unchanged" {
	sleeper g1
	head -c 2000000 /dev/urandom >"$TEST_DIR/bytes"
	lodge exec -i g1 cat <"$TEST_DIR/bytes" | cmp - "$TEST_DIR/bytes"
}

@test "a killed exec client doesn't hurt the guest" {
	sleeper g1
	"$LODGE" exec g1 sh -c 'while :; do echo x; done' >/dev/null 3>&- &
	sleep 0.3
	kill -9 $!
	lodge exec g1 true
	equal running "$(state g1)"
}
