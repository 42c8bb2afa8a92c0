# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The OCI runtime beside crun and runc, on the configuration that `runc spec` writes. Sourced by rows.sh.
#
# Debian's crun refuses a hybrid host, so all are measured in a mount namespace that shows one kind of cgroups: v1
# (the unified tree unmounted), then v2 alone.

runtime=$(dirname "$LODGE")/lodge-runc
bundles=$DIR/bundles

setup_bundles() {
	[ ! -d "$bundles" ] || return 0
	mkdir -p "$bundles/true" "$bundles/still" "$TEST_DIR/limit"
	gcc -O2 -shared -fPIC -w -o "$DIR/norlimit.so" bench/norlimit.c
	(cd "$bundles/true" && "$runtime" spec)
	jq --arg root "$ROOT" '.process.terminal = false | .root.path = $root | .process.args = ["/bin/still"]' \
		"$bundles/true/config.json" >"$bundles/still/config.json"
	jq '.process.args = ["/bin/true"]' "$bundles/still/config.json" >"$bundles/true/config.json"
}

# in_view v1|v2 COMMAND...
in_view() {
	local view=$1
	shift
	case $view in
	v1) unshare -m --propagation private sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' sh "$@" ;;
	v2) unshare -m --propagation private sh -c 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"' sh "$@" ;;
	esac
}

asked_of() { # TOOL: the program with its state of its own
	case $1 in
	lodge) echo "$runtime --root $DIR/rt-lodge" ;;
	crun) echo "env LD_PRELOAD=$DIR/norlimit.so crun --root $DIR/rt-crun" ;;
	runc) echo "runc --root $DIR/rt-runc" ;;
	esac
}

# runtime_pairs VIEW FORM [pair options...]: FORM with RT as each tool
runtime_pairs() {
	local view=$1 form=$2 tool
	local -a words=()
	shift 2
	for tool in lodge crun runc; do
		command -v $tool >/dev/null || [ $tool = lodge ] || continue
		words+=("$tool" "${form//RT/$(asked_of $tool)}")
	done
	in_view "$view" "$DIR/pair" -n "$rounds" -w 2 -g 30 -q "$quiet" "$@" "${words[@]}"
}

# before and after a measured command, for the tool whose turn it is
runtime_around() {
	local tool text='case $PAIR_NAME in '
	for tool in lodge crun runc; do text+="$tool) ${1//RT/$(asked_of $tool)};; "; done
	echo "$text esac >/dev/null 2>&1; true"
}

row_runtime_run() {
	local view
	setup_bundles
	for view in v1 v2; do
		bars_ratio "runtime: run true, $view" "$(runtime_pairs $view "RT run -b $bundles/true b\$\$")" crun:0.45 runc:0.25
	done
	bars_ratio "runtime: run true, this host" "$("$DIR/pair" -n "$rounds" -w 2 -g 30 -q "$quiet" \
		lodge "$runtime --root $DIR/rt-lodge run -b $bundles/true b1" limit "$DIR/limit $ROOT $TEST_DIR/limit limitbench /bin/true")" limit:2
}

row_runtime_steps() {
	local one="RT run -d -b $bundles/still b1 </dev/null" gone="RT delete -f b1"
	setup_bundles
	bars_ratio "runtime: create, start, delete" "$(runtime_pairs v1 "RT create -b $bundles/still b1 </dev/null >/dev/null 2>&1 && RT start b1 && RT delete -f b1")" crun:0.5
	bars_ratio "runtime: exec true" "$(runtime_pairs v1 "RT exec b1 /bin/true" -b "$(runtime_around "$one")" -a "$(runtime_around "$gone")")" crun:0.5
	bars_ratio "runtime: state" "$(runtime_pairs v1 "RT state b1" -b "$(runtime_around "$one")" -a "$(runtime_around "$gone")")" crun:0.5
	bars_ratio "runtime: kill" "$(runtime_pairs v1 "RT kill b1 KILL" -b "$(runtime_around "$one")" -a "$(runtime_around "$gone")")" crun:0.5
	bars_ratio "runtime: delete" "$(runtime_pairs v1 "RT delete b1" -b "$(runtime_around "$one; RT kill b1 KILL; sleep 0.1")" \
		-a "$(runtime_around "$gone")")" crun:0.5
}

peak_of() { # TOOL: KiB, the least of five
	local n
	for n in 1 2 3 4 5; do
		in_view v1 /usr/bin/time -f %M $(asked_of "$1") run -b "$bundles/true" "m$n" 2>&1 | tail -n 1
	done | sort -n | head -n 1
}

row_runtime_memory() {
	local theirs
	setup_bundles
	theirs=$(peak_of crun)
	bar_value "runtime: peak memory of run" "$(awk "BEGIN { printf \"%.0f\", $theirs * 0.6 }")" KiB "$(peak_of lodge)" crun "$theirs KiB"
}

row_runtime_100() {
	local ours theirs
	setup_bundles
	theirs=$(in_view v1 "$DIR/pair" -m 100 -p crun "$(asked_of crun) run -b $bundles/true c%")
	ours=$(in_view v1 "$DIR/pair" -m 100 -p lodge "$(asked_of lodge) run -b $bundles/true c%")
	bar_value "runtime: 100 runs at once" "$(cut -f 4 <<<"$theirs" | awk '{ printf "%.0f", $1 / 2 }')" ms "$(cut -f 4 <<<"$ours")" \
		crun "$(cut -f 4 <<<"$theirs") ms"
	bar_value "runtime: 100 runs at once: failed" 0 "" "$(cut -f 3 <<<"$ours")" crun "$(cut -f 3 <<<"$theirs")"
}
