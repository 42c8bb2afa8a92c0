#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The log: what is kept, shown and thrown away.
load ../lib

talk() { # NAME SCRIPT [OPTIONS...]
	local name=$1 script=$2
	shift 2
	lodge run -d --name "$name" --network none "$@" bb sh -c "$script" >/dev/null
	lodge wait "$name" >/dev/null
}

@test "both streams, each to its own" {
	talk a1 'echo out; echo err >&2'
	equal out "$(lodge logs a1 2>/dev/null)"
	equal err "$(lodge logs a1 2>&1 >/dev/null)"
}

@test "-n, -t, --since, --until" {
	talk a1 'for i in 1 2 3 4 5; do echo $i; done; sleep 1.1; echo 6'
	equal "5 6" "$(lodge logs -n 2 a1 | xargs)"
	equal "5 6" "$(lodge logs --tail 2 a1 | xargs)"
	equal "" "$(lodge logs -n 0 a1)"
	equal "1 2 3 4 5 6" "$(lodge logs --tail all a1 | xargs)"
	[[ $(lodge logs -t -n 1 a1) =~ ^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]+Z\ 6$ ]]
	moment=$(lodge logs -t a1 | awk '/ 6$/ { print $1 }')
	equal 6 "$(lodge logs --since "$moment" a1)"
	equal "1 2 3 4 5" "$(lodge logs --until "$moment" a1 | grep -v 6 | xargs)"
	fails 1 since lodge logs --since nonsense a1
}

@test "-f follows to the end, also over a restart of the reader" {
	lodge run -d --name f1 --network none bb sh -c 'for i in 1 2 3; do echo $i; sleep 0.3; done' >/dev/null
	equal "1 2 3" "$(timeout 10 "$LODGE" logs -f f1 | xargs)"
}

@test "lines without an end, empty lines, long lines, bytes" {
	talk a1 'printf "no end"'
	equal "no end" "$(lodge logs a1)"
	talk b1 'echo; echo x; echo'
	equal 3 "$(lodge logs b1 | wc -l)"
	talk c1 'head -c 100000 /dev/zero | tr "\0" y; echo'
	equal 100001 "$(lodge logs c1 | wc -c)"
	talk d1 'head -c 50000 /dev/urandom >/r; cat /r'
	lodge cp d1:/r "$TEST_DIR/r"
	lodge logs d1 | cmp - "$TEST_DIR/r"
	rm "$TEST_DIR/r"
}

@test "rotation: --log-opt max-size, max-file bound what is kept" {
	talk a1 'i=0; while [ $i -lt 3000 ]; do echo "line $i 0123456789012345678901234567890123456789"; i=$((i+1)); done' \
		--log-opt max-size=20k --log-opt max-file=3
	id=$(lodge inspect --format '{{.Id}}' a1)
	total=$(find "$LODGE_ROOT/guests/$id" -name 'log*' -printf '%s\n' | awk '{ s += $1 } END { print s }')
	[ "$total" -le $((3 * 20 * 1024 + 8192)) ]
	[ "$(find "$LODGE_ROOT/guests/$id" -name 'log*' | wc -l)" -le 3 ]
	equal "line 2999 0123456789012345678901234567890123456789" "$(lodge logs -n 1 a1)"
	# what is kept hangs together
	lodge logs a1 | awk '{ if (n && $2 != n + 1) exit 1; n = $2 }'
}

@test "a guest that writes without pause: all is kept, and the monitor's memory goes back" {
	lodge run -d --name a1 --network none --log-opt max-size=200m bb \
		sh -c 'seq 1 300000; echo end >&2; sleep 60' >/dev/null
	said_end() { [ "$(lodge logs a1 2>&1 >/dev/null)" = end ]; }
	within 20 said_end
	equal "$(seq 1 300000 | sha256sum)" "$(lodge logs a1 2>/dev/null | sha256sum)"
	sleep 1
	# the buffers are some 190 KiB; what remains is libc's and ours
	pid=$(sed -n 's/^monitor \([0-9]*\) .*/\1/p' "$LODGE_RUN/guests/$(lodge inspect --format '{{.Id}}' a1)/status")
	dirty=$(awk '/^Private_Dirty:/ { print $2 }' "/proc/$pid/smaps_rollup")
	echo "private: $dirty KiB"
	[ "$dirty" -lt 180 ]
}

@test "a terminal's output is logged as it is" {
	talk t1 'echo one; printf "\033[1mtwo\033[0m\n"' -t
	[[ $(lodge logs t1 | od -c | head -n 4) == *'\r'*'\n'* ]]
}

@test "logs of nothing" {
	fails 1 nosuch lodge logs nosuch
	lodge create --name c1 --network none bb true
	equal "" "$(lodge logs c1)"
}
