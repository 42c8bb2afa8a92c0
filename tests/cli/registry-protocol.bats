#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The registry's protocol, to the byte, and clients that don't keep to it (tests/registry-client.py).

load ../lib
load ../registry-serve

teardown() {
	end_servers
}

@test "blobs: push, pull, mount, delete" {
	serve
	protocol blobs
	stop_server
	contents_whole
}

@test "ranges, entity tags" {
	serve
	protocol ranges
}

@test "uploads in chunks, out of order, with wrong digests, given up" {
	serve
	protocol chunks
}

@test "uploads that are cut go on" {
	serve
	protocol cut
}

@test "manifests: types, tags, what is refused" {
	serve
	protocol manifests
	contents_whole
}

@test "lists of tags and repositories, in pages" {
	serve
	protocol lists
}

@test "referrers" {
	serve
	protocol referrers
}

@test "no path leads out" {
	serve
	protocol paths
}

@test "HTTP: pipelines, continue, what is malformed" {
	serve
	protocol http
}

@test "slow clients go, others don't wait for them" {
	serve --timeout 2s
	protocol slow
}

@test "a thousand connections in bounded memory" {
	serve
	protocol many
}

@test "an upload goes on after the server was killed" {
	serve
	place=$(protocol half)
	kill_server
	serve
	protocol rest "$place"
	stop_server
	contents_whole
}

@test "killed at any moment: what was acknowledged is there, what is there is whole" {
	serve
	touch "$TEST_DIR/reg/done"
	# on a busy machine a round may see no push at all
	for round in $(seq 100); do
		[ "$round" -le 15 ] || [ "$(wc -l <"$TEST_DIR/reg/done")" -le 30 ] || break
		for n in 1 2 3; do
			protocol fill "r$round-$n" >>"$TEST_DIR/reg/done" 3>&- &
			echo $! >"$TEST_DIR/reg/filler$n"
		done
		sleep "0.$((RANDOM % 5 + 2))"
		kill_server
		wait $(cat "$TEST_DIR"/reg/filler?)
		serve
	done
	[ "$(wc -l <"$TEST_DIR/reg/done")" -gt 30 ]
	protocol verify <"$TEST_DIR/reg/done"
	# and nothing is lost by a collection, whatever was left half done
	lodge registry gc --root "$REG" --grace 0s --upload-age 0s
	protocol verify <"$TEST_DIR/reg/done"
	# two names for each content: the repository's and the registry's
	[ -z "$(find "$REG/blobs" -type f -links 1)" ]
	stop_server
}

@test "garbage is collected while others push" {
	serve
	touch "$TEST_DIR/reg/done"
	for n in 1 2 3; do
		protocol fill "g$n" >>"$TEST_DIR/reg/done" 3>&- &
		echo $! >"$TEST_DIR/reg/filler$n"
	done
	rounds=0
	until [ "$(wc -l <"$TEST_DIR/reg/done")" -gt 60 ] && [ $((rounds += 1)) -gt 40 ]; do
		lodge registry gc --root "$REG" --untagged >/dev/null
	done
	kill_server
	wait $(cat "$TEST_DIR"/reg/filler?)
	serve
	protocol verify <"$TEST_DIR/reg/done"
}

# origin: what a cache fetches from; sets ORIGIN.
origin() {
	mkdir -p "$TEST_DIR/reg"
	python3 "$TOP/tests/registry-client.py" origin - "$TEST_DIR/reg" >"$TEST_DIR/reg/port" 3>&- &
	echo $! >>"$TEST_DIR/reg/pids"
	within 5 test -s "$TEST_DIR/reg/port"
	ORIGIN=http://127.0.0.1:$(<"$TEST_DIR/reg/port")
}

@test "a cache streams, resumes, checks" {
	origin
	serve --proxy-of "$ORIGIN"
	protocol cache
	stop_server
	contents_whole
	equal "" "$(ls "$REG/fetches")"
}

@test "a cache that was killed goes on with what it has" {
	origin
	serve --proxy-of "$ORIGIN"
	protocol stalled
	kill_server
	equal 2000000 "$(cat "$REG"/fetches/* | wc -c)"
	serve --proxy-of "$ORIGIN"
	protocol gone_on
	stop_server
	contents_whole
}
