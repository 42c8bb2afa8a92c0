#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Terminals, attach, exec, signals.
load ../lib

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
	[ "$status" = 4 ]
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
	run pty 'expect:[#$] ' 'send:x=kept\r' 'sleep:0.2' 'send:\x10\x11' -- "$LODGE" run -it --name d --network none bb sh
	[ "$status" = 0 ]
	equal running "$(state d)"
	run pty 'send:\r' 'expect:[#$] ' 'send:echo v=$x\r' 'expect:v=kept' 'send:exit 7\r' -- "$LODGE" attach d
	[ "$status" = 7 ]
	within 3 is_state d exited
}

@test "--detach-keys of one's own" {
	run pty 'expect:[#$] ' 'send:\x01x' -- "$LODGE" run -it --detach-keys ctrl-a,x --name d --network none bb sh
	[ "$status" = 0 ]
	equal running "$(state d)"
	fails 125 nonsense lodge run -d --detach-keys nonsense --network none bb true
}

@test "several clients see the same; one may leave" {
	lodge run -d -i --name m --network none bb sh -c 'while read -r l; do echo "got $l"; done'
	lodge attach --no-stdin m >"$TEST_DIR/c1" &
	c1=$!
	lodge attach --no-stdin m >"$TEST_DIR/c2" &
	c2=$!
	sleep 0.3
	echo one | timeout 5 "$LODGE" attach --sig-proxy=false m >"$TEST_DIR/c3" || true
	within 3 grep -q 'got one' "$TEST_DIR/c1"
	within 3 grep -q 'got one' "$TEST_DIR/c2"
	kill -9 $c1
	lodge kill m
	wait $c2 || true
}

@test "attach gives the guest's status; a stopped one is refused" {
	lodge run -d --name a --network none bb sh -c 'sleep 0.5; exit 5'
	run lodge attach --no-stdin a
	[ "$status" = 5 ]
	fails 1 a lodge attach a
}

@test "signals are handed on; --sig-proxy=false keeps them" {
	"$LODGE" run --name s --network none bb sh -c 'trap "echo term; exit 33" TERM; echo up; while :; do sleep 0.02; done' \
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
	"$LODGE" run --name s --network none bb sh -c 'echo up; while :; do echo tick; sleep 0.05; done' >/dev/null 3>&- &
	pid=$!
	within 5 has_log s up
	kill -9 $pid
	sleep 0.2
	equal running "$(state s)"
	n=$(lodge logs s | wc -l)
	within 5 eval '[ "$(lodge logs s | wc -l)" -gt '"$n"' ]'
	lodge stop -t 0 s
	equal exited "$(state s)"
}

@test "start -a -i" {
	lodge create -i --name c --network none bb cat
	equal hello "$(echo hello | lodge start -ai c)"
}

@test "exec: status, streams, -i, -e, -w, -u, -d, -t, --privileged" {
	sleeper g
	run lodge exec g sh -c 'echo out; echo err >&2; exit 8'
	[ "$status" = 8 ]
	[[ $output == *out* && $output == *err* ]]
	equal hi "$(echo hi | lodge exec -i g cat)"
	equal "1 /tmp 1000" "$(lodge exec -e A=1 -w /tmp -u bob g sh -c 'echo $A $PWD $(id -u)')"
	lodge exec -d g sh -c 'echo bg >/bg; sleep 100'
	within 3 lodge exec g test -s /bg
	run lodge exec -t g tty
	[[ $output == *pts* ]]
	equal 00000000a80425fb "$(lodge exec g awk '/CapEff/{print $2}' /proc/self/status)"
	[ "$(lodge exec --privileged g awk '/CapEff/{print $2}' /proc/self/status)" != 00000000a80425fb ]
	equal 2 "$(lodge exec g grep -h Seccomp: /proc/self/status | awk '{print $2}')"
	# the same namespaces
	equal "$(readlink "/proc/$(guest_pid g)/ns/mnt")" "$(lodge exec g readlink /proc/self/ns/mnt)"
	equal "$(readlink "/proc/$(guest_pid g)/ns/pid")" "$(lodge exec g readlink /proc/self/ns/pid)"
}

@test "exec: what can't be run" {
	sleeper g
	fails 127 nosuch lodge exec g nosuch
	fails 126 /etc/passwd lodge exec g /etc/passwd
	fails 1 nosuch lodge exec nosuch true
	run lodge exec g sh -c 'kill -9 $$'
	[ "$status" = 137 ]
	lodge stop -t 0 g
	fails 1 running lodge exec g true
}

@test "exec -it: a terminal" {
	sleeper g
	run pty 25x90 'expect:[#$] ' 'send:stty size\r' 'expect:25 90' 'send:exit 11\r' -- "$LODGE" exec -it g sh
	[ "$status" = 11 ]
}

@test "exec carries bytes unchanged" {
	sleeper g
	head -c 2000000 /dev/urandom >"$TEST_DIR/bytes"
	lodge exec -i g cat <"$TEST_DIR/bytes" | cmp - "$TEST_DIR/bytes"
}

@test "a killed exec client doesn't hurt the guest" {
	sleeper g
	"$LODGE" exec g sh -c 'while :; do echo x; done' >/dev/null 3>&- &
	sleep 0.3
	kill -9 $!
	lodge exec g true
	equal running "$(state g)"
}
