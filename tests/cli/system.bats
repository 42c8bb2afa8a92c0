#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The commands about the program and the host.
load ../lib

@test "system df equals du" {
	lodge run --name w1 --network none -v data:/data bb sh -c 'head -c 3000000 /dev/urandom >/x; head -c 1000000 /dev/urandom >/data/x'
	total=$(lodge system df --format json | jq -s 'map(.Bytes) | add')
	used=$(du -s --block-size=1 "$LODGE_ROOT" | cut -f 1)
	[ "$total" = "$used" ] || { lodge system df; du -a "$LODGE_ROOT"; echo "df $total, du $used"; false; }
	lodge rm w1
	lodge volume rm data
}

@test "system prune removes what nothing needs" {
	lodge run --name old --network none bb true
	lodge run -d --name new --network none bb sleep 100
	lodge network create unused
	run lodge system prune -f
	[ "$status" = 0 ]
	equal new "$(lodge ls -a --format '{{.Names}}')"
	[[ $(lodge network ls --format '{{.Name}}') != *unused* ]]
}

@test "fsck finds nothing, then what was broken, then mends it" {
	lodge fsck
	lodge create --name c1 --network none bb true
	id=$(lodge inspect --format '{{.Id}}' c1)
	mkdir -p "$LODGE_ROOT/guests/$(printf 'f%.0s' $(seq 64))"
	run lodge fsck
	[ "$status" != 0 ]
	[[ $output == *ffffffff* ]]
	lodge fsck --repair
	[ ! -e "$LODGE_ROOT/guests/$(printf 'f%.0s' $(seq 64))" ]
	lodge fsck
	rm -rf "${LODGE_ROOT:?}/guests/$id"
	run lodge fsck
	[ "$status" != 0 ]
	lodge fsck --repair
	lodge fsck
}

@test "doctor says what this host has, each lack with its mend" {
	run lodge doctor
	[ "$status" -le 1 ]
	for word in kernel cgroup overlay 'user namespaces' nft KVM; do
		grep -qi -- "$word" <<<"$output" || { echo "no '$word' in: $output"; false; }
	done
	if cgroup_v2; then [[ $output == *v2* ]]; else [[ $output == *hybrid* || $output == *v1* ]]; fi
}

@test "where names the file of a command" {
	for command in run ls "image import" "network create"; do
		# shellcheck disable=SC2086
		file=$(lodge where $command)
		[ -f "$TOP/${file%%:*}" ] || { echo "$command: $file"; false; }
	done
	fails 1 nosuch lodge where nosuch
}

@test "version, applets, completion, help" {
	[[ $(lodge version) == *[0-9].[0-9]* ]]
	[[ $(lodge --version) == *[0-9].[0-9]* ]]
	lodge applets | grep -q lodge
	for shell in bash zsh fish; do
		[ "$(lodge completion $shell | wc -l)" -gt 3 ]
	done
	lodge completion bash | bash -n
	[[ $(lodge --help) == *run* ]]
	[[ $(lodge run --help) == *--memory* ]]
}

@test "bash completes commands, options and names" {
	lodge create --name somebody --network none bb true
	complete_words() {
		bash --norc -c '. <("$LODGE" completion bash); PATH=$(dirname "$LODGE"):$PATH
			COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
			f=$(complete -p lodge | sed "s/.*-F \([^ ]*\) .*/\1/"); $f lodge "${COMP_WORDS[COMP_CWORD]}" ""; echo "${COMPREPLY[@]}"' bash "$@"
	}
	[[ $(complete_words lodge insp) == *inspect* ]]
	[[ $(complete_words lodge run --memory-s) == *--memory-swap* ]]
	[[ $(complete_words lodge rm someb) == *somebody* ]]
}

@test "every command has help of at most 80 columns and refuses unknown options" {
	LODGE=$LODGE "$TOP/tools/check-help"
}

@test "the trace gives every step its time" {
	LODGE_TRACE=json lodge run --rm --network none bb true 2>"$TEST_DIR/trace"
	[ "$(grep -c '^{' "$TEST_DIR/trace")" -gt 10 ]
	grep '^{' "$TEST_DIR/trace" | jq -es 'all(.step or .event)' >/dev/null || { head -n 3 "$TEST_DIR/trace"; false; }
	rm "$TEST_DIR/trace"
}

@test "nothing is resident when no guest runs" {
	lodge run -d --name g1 bb sleep 1000
	pgrep -f lodge-monitor >/dev/null
	lodge rm -f g1
	within 2 eval '! pgrep -x lodge >/dev/null && ! pgrep -x lodge-monitor >/dev/null'
}

@test "the program a guest is started from can't be written from inside" {
	programs=$(find "$(dirname "$(readlink -f "$LODGE")")" -type f -perm -u+x -name 'lodge*')
	[ "$(wc -l <<<"$programs")" -ge 3 ]
	before=$(xargs sha256sum <<<"$programs")
	lodge run --rm --privileged --network none --pid host bb sh -c '
		for p in /proc/[0-9]*/exe; do
			case $(readlink $p) in *lodge*) ( : >$p ) 2>/dev/null && echo written; (echo x >>$p) 2>/dev/null && echo written;; esac
		done; true' >"$TEST_DIR/out" 2>&1
	! grep -q written "$TEST_DIR/out"
	equal "$before" "$(xargs sha256sum <<<"$programs")"
}
