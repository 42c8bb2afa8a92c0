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

@test "skopeo: what a copy, a deletion, a login and a signature change" {
	local to=$TEST_DIR/to row
	while IFS='|' read -r row want; do
		# shellcheck disable=SC2086
		run explain skopeo $row
		[ "$status" = 0 ] && [[ $output == *"$want"* ]] || { echo "$row: $status, wanted '$want': $output"; false; }
		bash -n <<<"$output"
	done <<-ROWS
		copy docker://debian:12 oci:$to:12|mkdir -p -m 755 $to/blobs/sha256
		copy -a dir:$TEST_DIR/x containers-storage:y|skopeo copy --all dir:$TEST_DIR/x containers-storage:y
		copy --digestfile $to containers-storage:bb dir:$to|mkdir -p -m 755 $to
		delete docker://localhost:5000/a/b:1|curl -X DELETE https://localhost:5000/v2/a/b/manifests/1
		delete containers-storage:bb|rm -rf
		login -u me -p you localhost:5000|login --username me localhost:5000
		logout localhost:5000|logout localhost:5000
		standalone-sign -o $to $TEST_DIR/bb.tar a/b:1 ABC|gpg --local-user ABC --sign --output $to
		inspect docker://localhost:5000/a/b|changes nothing
		list-tags docker://localhost:5000/a/b|changes nothing
	ROWS
	[ ! -e "$to" ]
	lodge image inspect bb >/dev/null
	run explain skopeo copy dir:x zzz:y
	[ "$status" = 1 ]
	[[ $output == *"unknown transport"* ]]
}

@test "runc: what each command of the runtime changes" {
	local b=$TEST_DIR/bundle root=$TEST_DIR/state id=explained-$$ runc want row
	runc=$(dirname "$LODGE")/lodge-runc
	mkdir -p "$b"
	make_root "$b/rootfs"
	explain runc spec -b "$b" | grep -q "^cat >$b/config.json"
	[ ! -e "$b/config.json" ]
	"$runc" spec -b "$b"
	jq '.process.terminal = false | .process.args = ["sleep", "1000"]' "$b/config.json" >"$b/new"
	mv "$b/new" "$b/config.json"
	for row in run create; do
		run explain runc --root "$root" $row -b "$b" "$id"
		[ "$status" = 0 ]
		for want in unshare pivot_root "mount -t proc proc $b/rootfs/proc" "state.json"; do
			[[ $output == *"$want"* ]] || { echo "no '$want' in: $output"; false; }
		done
	done
	[ ! -e "$root" ]
	"$runc" --root "$root" create -b "$b" "$id" </dev/null >/dev/null 2>&1
	explain crun --root "$root" start "$id" | grep -q exec.fifo
	"$runc" --root "$root" start "$id"
	while IFS='|' read -r row want; do
		# shellcheck disable=SC2086
		run explain runc --root "$root" ${row/ID/$id}
		[ "$status" = 0 ] && [[ $output == *"$want"* ]] || { echo "$row: $status, wanted '$want': $output"; false; }
	done <<-ROWS
		kill ID KILL|kill -9 
		exec ID true|nsenter
		update --pids-limit 7 ID|7
		pause ID|freez
		delete -f ID|rm -r $root/$id
		state ID|changes nothing
		list|changes nothing
	ROWS
	equal running "$("$runc" --root "$root" state "$id" | jq -r .status)"
	"$runc" --root "$root" delete -f "$id"
	rm -rf "$b"
}
