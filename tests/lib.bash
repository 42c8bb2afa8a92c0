# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the command-line tests share: a store of their own, images, waiting, and the leak check.
# Loaded by each file of tests/cli/, which runs under tests/hermetic.

bats_require_minimum_version 1.5.0

TOP=$(cd "${BATS_TEST_DIRNAME:-.}/../.." && pwd)
: "${LODGE:=$TOP/build/lodge}"
: "${TEST_DIR:?run the tests through ./dev test, or tests/hermetic bats FILE}"
export LODGE TOP

lodge() {
	"$LODGE" "$@"
}

# --- a store for the file, and the same state after every test ------------------------------------------

setup_file() {
	export LODGE_ROOT=$TEST_DIR/root LODGE_RUN=$TEST_DIR/run
	echo none >"$TEST_DIR/ids"
	import_busybox
	if declare -F prepare >/dev/null; then prepare; fi
	snapshot >"$TEST_DIR/before"
}

# file_server COMMAND...: runs beside all tests of a file, from prepare on. It has none of bats' descriptors, or bats
# would wait for its end.
file_server() {
	(
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		exec "$@"
	) </dev/null &>"$TEST_DIR/server.$((${servers:-0} + 1)).log" &
	echo $! >>"$TEST_DIR/servers"
	servers=$((${servers:-0} + 1))
}

teardown_file() {
	local pid
	[ -f "$TEST_DIR/servers" ] || return 0
	while read -r pid; do kill "$pid" 2>/dev/null || true; done <"$TEST_DIR/servers"
}

teardown() {
	remember_ids
	lodge ls -aq --no-trunc 2>/dev/null | xargs -r "$LODGE" rm -fv >/dev/null 2>&1 || true
	[ -z "$(ls -A "$LODGE_ROOT/volumes" 2>/dev/null)" ] || lodge volume prune -af >/dev/null 2>&1 || true
	lodge network ls --format '{{.Name}}' 2>/dev/null | grep -vxE 'bridge|host|none' |
		xargs -r "$LODGE" network rm >/dev/null 2>&1 || true
	# Removal is done when the command is; only the kernel's own work (a veth's end) may lag.
	if ! within 3 no_leak; then
		echo "left behind by '$BATS_TEST_DESCRIPTION' (< before, > after):" >&2
		diff "$TEST_DIR/before" <(snapshot) >&2 || true
		# said once: the next test starts from what there is
		lodge fsck --repair >&2 || true
		snapshot >"$TEST_DIR/before"
		return 1
	fi
}

no_leak() {
	[ "$(<"$TEST_DIR/before")" = "$(snapshot)" ]
}

# The ids that this store ever had, for the cgroups' names.
remember_ids() {
	grep -ohE '\b[0-9a-f]{64}\b' "$LODGE_RUN/events" 2>/dev/null | sort -u - "$TEST_DIR/ids" -o "$TEST_DIR/ids" || true
}

# All that a guest has on the host, a line each. Layers and the folder of their mount points stay mounted and the
# networks' frame (bridge, table) stays loaded while there are images and networks; elements and links belong to guests.
snapshot() {
	remember_ids
	awk -v dir="$TEST_DIR/" 'index($5, dir) == 1 { print "mount", $5 }' /proc/self/mountinfo |
		grep -vE "^mount $LODGE_RUN/layers(/|$)" | sort
	find /sys/fs/cgroup -mindepth 2 -type d 2>/dev/null | grep -Ff "$TEST_DIR/ids" | sed 's/^/cgroup /'
	ip -o link | awk -F': ' '{ sub(/@.*/, "", $2); if ($2 !~ /^(lodge0|br-)/) print "link", $2 }' | sort
	# maps have what guests publish, sets the networks' bridges and subnets
	nft -j list ruleset 2>/dev/null | jq -r '.nftables[] | (.map // empty) | .name as $n
		| (.elem // [])[] | "element \($n) \(tojson)"' | sort
	find "$LODGE_ROOT/guests" "$LODGE_ROOT/journal" "$LODGE_ROOT/volumes" "$LODGE_RUN/guests" \
		-mindepth 1 -maxdepth 1 2>/dev/null | sort
	find "$LODGE_RUN/networks" -type l 2>/dev/null | sort
}

# --- images -----------------------------------------------------------------------------------------------

# A root of busybox and its links in FOLDER.
make_root() {
	local dir=$1
	mkdir -p "$dir"/{bin,dev,etc,home/bob,proc,root,run,sbin,sys,tmp,usr/bin,usr/sbin,var/log}
	chmod 1777 "$dir/tmp"
	chown 1000:1000 "$dir/home/bob"
	cp "$(readlink -f "$(command -v busybox)")" "$dir/bin/busybox"
	chroot "$dir" /bin/busybox --install -s /bin
	printf 'root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n' >"$dir/etc/passwd"
	printf 'root:x:0:\nbob:x:1000:\nstaff:x:50:bob\n' >"$dir/etc/group"
}

import_busybox() {
	make_root "$TEST_DIR/bb"
	tar -C "$TEST_DIR/bb" --numeric-owner -cf "$TEST_DIR/bb.tar" .
	lodge image import "$TEST_DIR/bb.tar" bb >/dev/null
}

# --- waiting and asking ---------------------------------------------------------------------------------

# within SECONDS COMMAND...: tries until it succeeds.
within() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt "$end" ] || return 1
		sleep 0.05
	done
}

state() {
	lodge inspect --format '{{.State.Status}}' "$1"
}

is_state() {
	[ "$(state "$1" 2>/dev/null)" = "$2" ]
}

has_log() { # GUEST PATTERN
	lodge logs "$1" 2>&1 | grep -q -- "$2"
}

# The guest's first process as the host sees it.
guest_pid() {
	lodge inspect --format '{{.State.Pid}}' "$1"
}

guest_address() {
	lodge exec "$1" ip -4 -o address show eth0 | awk '{ sub("/.*", "", $4); print $4 }'
}

# runs STATUS TEXT COMMAND...: the command ends with STATUS and writes a line that holds TEXT.
fails() {
	local want=$1 text=$2
	shift 2
	status=0
	output=$("$@" 2>&1) || status=$?
	if [ "$status" != "$want" ] || [[ $output != *"$text"* ]]; then
		printf 'wanted status %s and "%s"\n' "$want" "$text" >&2
		printf 'got status %s: %s\n' "$status" "$output" >&2
		return 1
	fi
	# A one-line error, from the program and not from a shell.
	[ "$(grep -c '^lodge: ' <<<"$output")" = 1 ]
}

# equal WANT GOT: says both when they differ.
equal() {
	[ "$1" = "$2" ] || {
		printf 'wanted: %s\n   got: %s\n' "$1" "$2" >&2
		return 1
	}
}

cgroup_v2() {
	[ -f /sys/fs/cgroup/cgroup.controllers ]
}

outside() {
	nsenter -t "$OUTSIDE" -n "$@"
}
