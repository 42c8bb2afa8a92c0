#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Death at any moment: the next command cleans up, fsck finds nothing.
load ../lib

# after_crash: one further command, then nothing may be wrong.
after_crash() {
	local problems
	lodge ls -a >/dev/null
	problems=$(lodge fsck) || {
		printf 'fsck after %s: %s\n' "$1" "$problems" >&2
		return 1
	}
}

# Kills the program that runs a plan after each step in turn, until a run survives. "lodge" makes guests,
# "lodge-monitor" starts them.
fault_loop() { # PROGRAM NAME COMMAND...
	local program=$1 name="$2, $1" n=0 rc
	shift 2
	while [ $n -lt 200 ]; do
		rc=0
		LODGE_FAULT=$program:kill:$n timeout 30 "$LODGE" "$@" >/dev/null 2>&1 </dev/null || rc=$?
		after_crash "$name, step $n"
		lodge rm -f victim >/dev/null 2>&1 || true
		after_crash "$name, step $n, after rm"
		[ $rc != 0 ] || return 0
		n=$((n + 1))
	done
	echo "no run of '$name' came to its end" >&2
	return 1
}

# As above with a step that fails: the command says so, once, and leaves nothing at once.
failing_loop() { # PROGRAM NAME COMMAND...
	local program=$1 name="$2, $1" n=0 rc
	shift 2
	while [ $n -lt 200 ]; do
		rc=0
		output=$(LODGE_FAULT=$program:fail:$n timeout 30 "$LODGE" "$@" 2>&1 </dev/null) || rc=$?
		if [ $rc = 0 ]; then
			lodge rm -f victim >/dev/null 2>&1 || true
			return 0
		fi
		[ "$(grep -c '^lodge: ' <<<"$output")" = 1 ] || {
			printf 'step %s of %s: %s\n' $n "$name" "$output" >&2
			return 1
		}
		lodge rm -f victim >/dev/null 2>&1 || true
		after_crash "$name, failing step $n"
		n=$((n + 1))
	done
	return 1
}

@test "run without network, killed after each step" {
	fault_loop lodge run-none run --name victim --network none bb true
}

@test "run with network, volume and port, killed after each step" {
	fault_loop lodge run-bridge run --name victim -p 8090:80 -v data:/data -v /anon bb true
	lodge volume prune -af >/dev/null
}

@test "a start without network, its monitor killed after each step" {
	fault_loop lodge-monitor run-none run --name victim --network none bb true
}

@test "a start with network and port, its monitor killed after each step" {
	fault_loop lodge-monitor run-bridge run --name victim -p 8090:80 bb true
}

@test "create, killed after each step" {
	fault_loop lodge create create --name victim --network none bb true
}

@test "rm, killed after each step" {
	local n=0 rc=1
	while [ $rc != 0 ] && [ $n -lt 50 ]; do
		lodge run -d --name victim bb sleep 1000 >/dev/null
		rc=0
		LODGE_FAULT=kill:$n "$LODGE" rm -f victim >/dev/null 2>&1 || rc=$?
		after_crash "rm, step $n"
		lodge rm -f victim >/dev/null 2>&1 || true
		after_crash "rm, step $n, after rm"
		n=$((n + 1))
	done
}

@test "network create and rm, volume create and rm, killed after each step" {
	local n
	for n in 0 1 2 3 4 5; do
		LODGE_FAULT=kill:$n "$LODGE" network create victim >/dev/null 2>&1 || true
		after_crash "network create $n"
		LODGE_FAULT=kill:$n "$LODGE" network rm victim >/dev/null 2>&1 || true
		after_crash "network rm $n"
		lodge network rm victim >/dev/null 2>&1 || true
		LODGE_FAULT=kill:$n "$LODGE" volume create victim >/dev/null 2>&1 || true
		after_crash "volume create $n"
		LODGE_FAULT=kill:$n "$LODGE" volume rm victim >/dev/null 2>&1 || true
		after_crash "volume rm $n"
		lodge volume rm victim >/dev/null 2>&1 || true
	done
}

@test "run, with each step failing in turn" {
	failing_loop lodge run run --rm --name victim -p 8091:80 bb true
	failing_loop lodge-monitor run run --rm --name victim -p 8091:80 bb true
}

@test "SIGKILL at random moments" {
	local i
	for i in $(seq 20); do
		timeout -s KILL "0.0$((i * 7 % 50 + 10))" "$LODGE" run --name victim bb true >/dev/null 2>&1 || true
		lodge rm -f victim >/dev/null 2>&1 || true
		after_crash "random $i"
	done
}

@test "image import, killed while it writes" {
	local i
	for i in 1 2 3 4 5; do
		(head -c 300000 "$TEST_DIR/bb.tar"; sleep 5) | timeout -s KILL 0.3 "$LODGE" image import - half >/dev/null 2>&1 || true
		after_crash "import $i"
	done
	run ! lodge image inspect half
	equal "$(lodge system df --format '{{.Size}}' | wc -l)" "$(lodge system df --format '{{.Size}}' | wc -l)"
}

# All that the store has of images.
content() {
	find "$LODGE_ROOT/blobs" "$LODGE_ROOT/layers" | sort
}

import_other() {
	mkdir -p "$TEST_DIR/other"
	echo other >"$TEST_DIR/other/file"
	tar -C "$TEST_DIR/other" -cf - . | lodge image import - other
}

@test "image rm while another command adds or collects content: the next one removes what it had" {
	local how before
	before=$(content)
	for how in -s -x; do
		import_other
		exec 9<>"$LODGE_RUN/locks/content-collect"
		flock $how 9
		lodge image rm other
		# it isn't a finding that something waits
		lodge fsck
		exec 9>&-
		lodge fsck
		equal "$before" "$(content)"
		equal 0 "$(find "$LODGE_ROOT/journal" -type f | wc -l)"
	done
}

@test "a killed image rm that is finished late leaves the image alone that came meanwhile" {
	local command
	for command in "image rm other" "image prune -af"; do
		import_other
		lodge image save -o "$TEST_DIR/other.tar" other
		# so that nothing else goes
		lodge create --name victim --network none bb true
		status=0
		LODGE_FAULT=kill:0 "$LODGE" $command || status=$?
		equal 137 "$status"
		mv "$LODGE_ROOT/journal" "$TEST_DIR/journal"
		run ! lodge image inspect other
		lodge image load -i "$TEST_DIR/other.tar"
		rmdir "$LODGE_ROOT/journal" 2>/dev/null || true
		mv "$TEST_DIR/journal" "$LODGE_ROOT/journal"
		lodge fsck
		equal 0 "$(find "$LODGE_ROOT/journal" -type f | wc -l)"
		lodge image inspect other >/dev/null
		lodge image rm other
		lodge rm victim
		lodge fsck
	done
}

@test "a killed monitor: the guest's end is noticed, nothing stays" {
	lodge run -d --name victim bb sleep 1000
	pid=$(guest_pid victim)
	monitor=$(sed -n 's/^monitor \([0-9]*\) .*/\1/p' "$LODGE_RUN/guests/$(lodge inspect --format '{{.Id}}' victim)/status")
	kill -9 "$monitor"
	sleep 0.1
	lodge ls -a >/dev/null
	lodge rm -f victim
	! kill -0 "$pid" 2>/dev/null
	after_crash "monitor"
}

@test "a guest killed from outside is exited, and can be started again" {
	lodge run -d --name g1 bb sleep 1000
	kill -9 "$(guest_pid g1)"
	within 3 is_state g1 exited
	lodge start g1
	equal running "$(state g1)"
	lodge exec g1 true
}

@test "many at once, one name: one wins" {
	local i
	for i in 1 2 3 4 5 6; do
		"$LODGE" run -d --name same --network none bb sleep 100 >"$TEST_DIR/race.$i" 2>&1 3>&- &
	done
	wait
	equal 1 "$(grep -lE '^[0-9a-f]{64}$' "$TEST_DIR"/race.* | wc -l)"
	rm "$TEST_DIR"/race.*
	after_crash race
}

@test "ten at once with addresses: all run, all different" {
	local i
	for i in $(seq 10); do
		"$LODGE" run -d --name "n$i" bb sleep 100 >/dev/null 3>&- &
	done
	wait
	equal 10 "$(lodge ls -q | wc -l)"
	equal 10 "$(for i in $(seq 10); do guest_address "n$i"; done | sort -u | wc -l)"
}
