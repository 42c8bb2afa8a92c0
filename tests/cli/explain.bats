#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# explain: shows the plan as commands, changes nothing, needs no root. Runs under tests/nochange, a
# system-call filter that kills what changes the host.
load ../lib

explain() {
	"$NOCHANGE" "$LODGE" explain "$@"
}

@test "the filter does kill a change" {
	run "$NOCHANGE" mkdir "$TEST_DIR/changed"
	[ "$status" = 159 ]
	[ ! -e "$TEST_DIR/changed" ]
	run "$NOCHANGE" mount -t tmpfs t /mnt
	[ "$status" = 159 ]
	run "$NOCHANGE" sh -c ": >$TEST_DIR/changed"
	[ "$status" != 0 ]
	[ ! -e "$TEST_DIR/changed" ]
	run "$NOCHANGE" true
	[ "$status" = 0 ]
}

@test "run: the whole way to the command" {
	run explain run --name x1 -m 64m -p 8080:80 -v "$TEST_DIR:/data" bb sh -c 'echo hi'
	[ "$status" = 0 ]
	for word in unshare overlay pivot_root 'nft ' veth 8080 67108864 seccomp /data 'echo hi'; do
		[[ $output == *"$word"* ]] || { echo "no '$word' in: $output"; false; }
	done
	equal "" "$(lodge ls -aq)"
}

@test "every command that changes something explains itself" {
	lodge run -d --name g1 bb sleep 1000
	lodge create --name c1 --network none bb true
	lodge network create n1
	lodge volume create v1
	before=$(lodge ls -a --format '{{.Names}} {{.State}}' | sort)
	for command in "create bb true" "start c1" "stop g1" "restart g1" "kill g1" "pause g1" "rm -f g1" "rename g1 h1" \
		"exec g1 true" "network create m1" "network rm n1" "volume create w1" "volume rm v1"; do
		# shellcheck disable=SC2086
		run explain $command
		[ "$status" = 0 ] || { echo "$command: $status $output"; false; }
		[ -n "$output" ] || { echo "$command explains nothing"; false; }
	done
	equal "$before" "$(lodge ls -a --format '{{.Names}} {{.State}}' | sort)"
	lodge volume rm v1
}

@test "needs no root" {
	mkdir -p "$TEST_DIR/nobody"
	chown 65534:65534 "$TEST_DIR/nobody"
	as_nobody() {
		setpriv --reuid 65534 --regid 65534 --clear-groups env -u LODGE_ROOT -u LODGE_RUN HOME="$TEST_DIR/nobody" \
			XDG_DATA_HOME="$TEST_DIR/nobody/data" XDG_RUNTIME_DIR="$TEST_DIR/nobody/run" "$@"
	}
	as_nobody "$LODGE" image import - bb <"$TEST_DIR/bb.tar"
	run as_nobody "$NOCHANGE" "$LODGE" explain run --network none bb true
	rm -rf "$TEST_DIR/nobody"
	[ "$status" = 0 ] || { echo "$output"; false; }
	[[ $output == *pivot_root* ]]
}

@test "what it shows is shell: every line parses" {
	explain run --name x1 -e 'A=it'"'"'s "x"' -v "$TEST_DIR:/data" bb sh -c 'echo "a b"' >"$TEST_DIR/plan"
	bash -n "$TEST_DIR/plan"
}

@test "errors are errors here too" {
	fails 125 nosuch explain run nosuch true
	fails 125 --nosuch explain run --nosuch bb
}
