# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The rows: what is measured, how each tool is asked for it, and the bars. Sourced by run.sh.
#
# ask[TOOL/WHAT] is a command; % in it is a number where many are started. A tool without an entry has no
# such thing. `lodge` is the program under test; `limit` is what the kernel alone takes (limit.c).

declare -A ask

lodge=$LODGE

ask[lodge/run-none]="$lodge run --rm --network none bb /bin/true"
ask[docker/run-none]="$docker run --rm --network none bb /bin/true"
ask[podman/run-none]="podman run --rm --network none bb /bin/true"
ask[lxc/run-none]="lxc-execute -P $TEST_DIR/lxc -n app -- /bin/true"
ask[limit/run-none]="$DIR/limit $ROOT $TEST_DIR/limit limitbench /bin/true"

ask[lodge/run-bridge]="$lodge run --rm bb /bin/true"
ask[docker/run-bridge]="$docker run --rm bb /bin/true"
ask[podman/run-bridge]="podman run --rm --network podman bb /bin/true"
ask[lxc/run-bridge]="lxc-execute -P $TEST_DIR/lxc -n appnet -- /bin/true"
ask[limit/run-bridge]="$DIR/limit -b limitbench $ROOT $TEST_DIR/limit limitbench /bin/true"

ask[lodge/start-still]="$lodge run -d --network none --name bench% bb /bin/still"
ask[docker/start-still]="$docker run -d --network none --name bench% bb /bin/still"
ask[podman/start-still]="podman run -d --network none --name bench% bb /bin/still"
ask[lxc/start-still]="sh $DIR/lxc-start.sh bench%"

ask[lodge/remove]="$lodge rm -f bench%"
ask[docker/remove]="$docker rm -f bench%"
ask[podman/remove]="podman rm -f -t 0 bench%"
ask[lxc/remove]="lxc-stop -k -P $TEST_DIR/lxcmany -n bench%"

ask[lodge/stop]="$lodge stop bench%"
ask[docker/stop]="$docker stop bench%"
ask[podman/stop]="podman stop bench%"

ask[lodge/exec]="$lodge exec bench1 /bin/true"
ask[docker/exec]="$docker exec bench1 /bin/true"
ask[podman/exec]="podman exec bench1 /bin/true"
ask[lxc/exec]="lxc-attach -P $TEST_DIR/lxcmany -n bench1 -- /bin/true"

ask[lodge/ls]="$lodge ls"
ask[docker/ls]="$docker ps"
ask[podman/ls]="podman ps"

line=$(printf '0123456789%.0s' {1..10})
talk="yes $line | head -c 104857600"
for tool in lodge docker podman; do
	program=$tool
	[ $tool = docker ] && program=$docker
	[ $tool = lodge ] && program=$lodge
	ask[$tool/log-write]="$program run -d --name bench1 --network none bb sh -c '$talk' && $program wait bench1"
	ask[$tool/log-read]="$program logs bench1"
	ask[$tool/big-file]="$program exec bench1 dd if=/dev/urandom of=/big bs=1M count=100"
	ask[$tool/cp-out]="$program cp bench1:/big $DIR/out-$tool"
	ask[$tool/cp-in]="$program cp $DIR/big bench1:/tmp/big"
done

cat >"$DIR/lxc-start.sh" <<SCRIPT
mkdir -p $TEST_DIR/lxcmany/\$1
sed 's/lxc.uts.name.*/lxc.uts.name = '\$1/ $TEST_DIR/lxc/app/config >$TEST_DIR/lxcmany/\$1/config
exec lxc-start -P $TEST_DIR/lxcmany -n \$1
SCRIPT

# --- parts ------------------------------------------------------------------------------------------------

tell() { # TOOL WHAT [NUMBER]: does it, quietly
	local command=${ask[$1/$2]:-}
	[ -n "$command" ] || return 0
	sh -c "${command//%/${3:-1}}" >/dev/null 2>&1 </dev/null
}

# pairs WHAT [pair options...]: every tool that can, interleaved; lines of pair.c
pairs() {
	local what=$1 tool
	local -a words=()
	shift
	for tool in lodge $peers; do
		[ -z "${ask[$tool/$what]:-}" ] || words+=("$tool" "${ask[$tool/$what]//%/1}")
	done
	"$DIR/pair" -n "$rounds" -w 2 -g 30 -q "$quiet" "$@" "${words[@]}"
}

# bars_ratio TITLE LINES BAR...: a BAR is PEER:MAX_RATIO (our median by the peer's)
bars_ratio() {
	local title=$1 lines=$2 bar
	shift 2
	for bar; do
		awk -F'\t' -v peer="${bar%%:*}" -v max="${bar##*:}" -v title="$title" '
			$1 == "lodge" { ours = $5; failed = $3 }
			$1 == peer { theirs = $5; bad = $3 }
			END {
				if (theirs == "" || ours == "") {
					printf "| %s | %.4g | %s | - | - | - | not measured |\n", title, max, peer
					exit
				}
				ratio = ours / theirs
				printf "| %s | %.4g | %s | %.2f ms | %.2f ms | %.4f | %s%s%s |\n", title, max, peer,
					theirs, ours, ratio, ratio <= max && !failed ? "pass" : "MISS",
					failed ? ", " failed " of ours failed" : "", bad ? ", " bad " of theirs failed" : ""
			}' <<<"$lines"
	done
}

bar_value() { # TITLE MAX UNIT VALUE [PEER THEIRS]
	awk -v title="$1" -v max="$2" -v unit="$3" -v ours="$4" -v peer="${5:--}" -v theirs="${6:--}" 'BEGIN {
		printf "| %s | %s %s | %s | %s | %s %s | - | %s |\n", title, max, unit, peer, theirs, ours, unit,
			ours != "" && ours + 0 <= max + 0 ? "pass" : "MISS"
	}'
}

# start_many TOOL COUNT [-p]: a line of pair.c
start_many() {
	"$DIR/pair" -m "$2" ${3:-} "$1" "${ask[$1/start-still]}" || true
}

middle_of() { # FIELD LINES: the median of three
	cut -f "$1" <<<"$2" | grep . | sort -n | sed -n 2p
}

remove_many() {
	"$DIR/pair" -m "$2" "$1" "${ask[$1/remove]}" >/dev/null || true
	if [ "$1" = lxc ]; then rm -rf "$TEST_DIR/lxcmany"; fi
}

for_all() { # WHAT [NUMBER]: of every tool that has it
	local tool
	for tool in lodge $peers; do tell "$tool" "$1" "${2:-1}" || true; done
}

around() { # WHAT: for pair's -b and -a: that of the tool whose turn it is
	local tool text='case $PAIR_NAME in '
	for tool in lodge $peers; do
		[ -z "${ask[$tool/$1]:-}" ] || text+="$tool) ${ask[$tool/$1]//%/1};; "
	done
	echo "$text esac >/dev/null 2>&1; true"
}

# pss_of NAME: KiB of all processes of that name, and how many
pss_of() {
	local pid
	for pid in $(pgrep -x "$1"); do
		awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup"
	done | awk '{ s += $1 } END { printf "%d %d\n", s, NR }'
}

# --- rows -------------------------------------------------------------------------------------------------

row_run_none() {
	bars_ratio "run --rm, no network" "$(pairs run-none)" docker:0.0556 podman:0.0833 lxc:0.75 limit:2.5
}

row_run_bridge() {
	bars_ratio "run --rm, bridge" "$(pairs run-bridge)" docker:0.0556 podman:0.0556 lxc:0.6 limit:3
}

row_exec() {
	for_all start-still
	bars_ratio "exec true" "$(pairs exec)" docker:0.125
	for_all remove
}

row_ls() {
	local n tool
	for_all start-still
	bars_ratio "ls, 1 guest" "$(pairs ls)" docker:0.3333
	for n in $(seq 2 50); do
		for tool in lodge docker podman; do tell $tool start-still "$n"; done
	done
	bars_ratio "ls, 50 guests" "$(pairs ls)" docker:0.3333
	for n in $(seq 50); do
		for tool in lodge docker podman; do tell $tool remove "$n"; done
	done
	for_all remove
}

row_stop() {
	bars_ratio "stop, leaves on SIGTERM" \
		"$(pairs stop -b "$(around start-still)" -a "$(around remove)")" docker:0.2
}

row_rm() {
	bars_ratio "rm -f of a running one" \
		"$(pairs remove -b "$(around start-still)" -a "rm -rf $TEST_DIR/lxcmany")" docker:0.2
}

# Waits until the kernel has cleaned up the network namespaces that have ended: that takes it seconds for a hundred
# guests, under the lock that every new one needs, and would fall on the next tool alone.
settle() {
	local still=0
	while [ $still -lt 10 ]; do
		still=$((still + 1))
		if cat /proc/[0-9]*/comm 2>/dev/null | grep -q '+netns'; then still=0; fi
		sleep 0.1
	done
}

# The middle one of three rounds, for each tool, in turning order.
row_start_100() {
	local mode title tool order
	local -A got
	for mode in "" -p; do
		title="start 100, one after another"
		[ -z "$mode" ] || title="start 100 at once"
		got=()
		for order in "docker lxc lodge" "lxc lodge docker" "lodge docker lxc"; do
			for tool in $order; do
				got[$tool]+=$(start_many $tool 100 $mode)$'\n'
				remove_many $tool 100
				settle
			done
		done
		bar_value "$title" "$(middle_of 4 "${got[docker]}" | awk '{ printf "%.0f", $1 / 15 }')" ms \
			"$(middle_of 4 "${got[lodge]}")" docker "$(middle_of 4 "${got[docker]}") ms"
		bar_value "$title" "$(middle_of 4 "${got[lxc]}")" ms "$(middle_of 4 "${got[lodge]}")" \
			lxc "$(middle_of 4 "${got[lxc]}") ms"
		bar_value "$title: slowest" 2000 ms "$(cut -f 5 <<<"${got[lodge]}" | sort -n | tail -n 1)"
		bar_value "$title: failed" 0 "" "$(awk '{ s += $3 } END { print s + 0 }' <<<"${got[lodge]}")" "docker, lxc" \
			"$(awk '{ s += $3 } END { print s + 0 }' <<<"${got[docker]}"), $(awk '{ s += $3 } END { print s + 0 }' <<<"${got[lxc]}")"
	done
}

row_memory() {
	local n=20 kib count conmon conmons shim shims pid
	start_many lodge $n >/dev/null
	start_many podman $n >/dev/null
	start_many docker $n >/dev/null
	sleep 2
	read -r kib count < <(pss_of lodge-monitor)
	read -r conmon conmons < <(pss_of conmon)
	read -r shim shims < <(pss_of containerd-shim)
	[ "$count" = $n ] || kib=99999999
	bar_value "memory of our processes, a guest" 0.25 MiB "$(awk "BEGIN { printf \"%.3f\", $kib / 1024 / $n }")" \
		"conmon, shim" "$(awk "BEGIN { printf \"%.2f, %.2f MiB\", $conmon / 1024 / ($conmons ? $conmons : 1),
			$shim / 1024 / ($shims ? $shims : 1) }")"
	remove_many lodge $n
	remove_many podman $n
	remove_many docker $n
	bar_value "processes resident without guests" 0 "" "$(ps -e -o comm= | grep -cxE 'lodge|lodge-monitor' || true)" "dockerd, containerd" \
		"$(for pid in $(pgrep -x dockerd) $(pgrep -x containerd); do
			awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup"
		done | awk '{ s += $1 } END { printf "%.0f MiB", s / 1024 }')"
}

row_log() {
	local lines rounds=5
	lines=$(pairs log-write -a "$(around remove)")
	# the issue's 0.6 s and 0.3 s stand beside podman's 0.9 s and 3.8 s of the same run
	bars_ratio "100 MiB to the log" "$lines" podman:0.6667 docker:0.2069
	for_all log-write
	lines=$(pairs log-read)
	bars_ratio "logs of 100 MiB" "$lines" podman:0.0789 docker:0.0429
	for_all remove
}

row_cp() {
	local rounds=7
	for_all start-still
	for_all big-file
	head -c 104857600 /dev/urandom >"$DIR/big"
	bars_ratio "cp of 100 MiB out" "$(pairs cp-out)" docker:0.4
	bars_ratio "cp of 100 MiB in" "$(pairs cp-in)" docker:0.4
	for_all remove
	rm -f "$DIR"/big "$DIR"/out-*
}

row_lowest_memory() {
	local kib
	# the machine sees the files of this one, but not what is mounted here: the image goes by a plain path
	kib=$("$TOP/tests/vmtest" -t 300 -- "$TOP/tests/hermetic" "$TOP/bench/lowest-memory.sh" "$LODGE" \
		"$DIR/bb.tar" | tail -n 1)
	bar_value "lowest -m that runs true, v2" 512 KiB "${kib:-999999}"
}

row_ports() {
	local before after one many
	local -a time=("$DIR/pair" -n 7 -w 1 -q "$quiet" -a "$lodge rm -f ports")
	echo "$lodge run -d --name ports $(for p in $(seq 20000 2 21998); do printf -- "-p %d:%d " "$p" $((p + 1)); done) bb /bin/still" >"$DIR/singles"
	before=$(ps -e | wc -l)
	one=$("${time[@]}" one "$lodge run -d --name ports -p 9000:9000 bb /bin/still" | cut -f 5)
	many=$("${time[@]}" many "$lodge run -d --name ports -p 20000-20999:20000-20999 bb /bin/still" | cut -f 5)
	bar_value "1000 ports as a range: added" 50 ms "$(awk "BEGIN { printf \"%.2f\", $many - $one }")"
	many=$("${time[@]}" many "exec \$(cat $DIR/singles)" | cut -f 5) || true
	bar_value "1000 single ports: added" 50 ms "$(awk "BEGIN { printf \"%.2f\", $many - $one }")"
	$lodge run -d --name ports -p 20000-20999:20000-20999 bb /bin/still >/dev/null
	after=$(ps -e | wc -l)
	bar_value "1000 ports: processes beside guest and monitor" 0 "" $((after - before - 2))
	$lodge rm -f ports >/dev/null
}

row_guests_1000() {
	local ours
	ours=$(start_many lodge 1000)
	bar_value "1000 guests: failed" 0 "" "$(cut -f 3 <<<"$ours")"
	bar_value "1000 guests: not running" 0 "" $((1000 - $($lodge ls -q | wc -l)))
	bar_value "1000 guests: time of a start, last hundred by first" 2 "" \
		"$(awk -F'\t' '{ printf "%.2f", $7 / $6 }' <<<"$ours")" - \
		"$(awk -F'\t' '{ printf "%.1f ms, %.1f ms", $6, $7 }' <<<"$ours")"
	remove_many lodge 1000
}

. bench/machine.sh
. bench/runtime.sh
. bench/images.sh
. bench/images-local.sh
. bench/kills.sh
. bench/docker.sh

rows="run_none run_bridge exec ls stop rm start_100 memory log cp lowest_memory ports guests_1000 vm_run vm_memory vm_ls vm_files runtime_run runtime_steps runtime_memory runtime_100 pull pull_here pull_memory pull_start pull_cut image_load image_save image_rm image_copy image_kills docker_server docker_client docker_streams"
