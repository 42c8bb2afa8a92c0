# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The row of sudden deaths: SIGKILL at a random moment of a pull, a push, an rm, a prune or of two of them at once,
# to the command alone or to all its processes; at once an fsck, and what the store says it takes beside du. A store
# and a registry (Debian's) of its own. KILLS_ROUNDS (1000) and KILLS_SEED change it. Sourced by rows.sh.

kills_registry=127.0.0.1:5050

# An image of three layers of its own above one that all share; files of all sizes, more than half of it random.
kills_layout() { # NAME
	local dir=$kills/make n
	[ -e "$kills/base.tar.gz" ] || tar -C "$ROOT" --numeric-owner -cf - . | gzip -1 >"$kills/base.tar.gz"
	rm -rf "$dir"
	for n in 1 2 3; do
		mkdir -p "$dir/$n/srv/$1/$n"
		head -c $((n * 400000)) /dev/urandom >"$dir/$n/srv/$1/$n/random"
		seq "$n" $((n * 40000)) >"$dir/$n/srv/$1/$n/text"
		(cd "$dir/$n/srv/$1/$n" && split -a 3 -l 400 text)
		tar -C "$dir/$n" --numeric-owner -cf - . | gzip -1 >"$dir/$n.tar.gz"
	done
	tests/layout "$kills/layout" "$1" "$kills/base.tar.gz" "$dir"/{1,2,3}.tar.gz
	skopeo copy -q --dest-tls-verify=false "oci:$kills/layout:$1" "docker://$kills_registry/src/$1:1"
}

kills_set_up() {
	local name
	kills=$DIR/kills
	mkdir -p "$kills"
	printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s"}\n' \
		"$kills/registry" $kills_registry >"$kills/registry.yml"
	docker-registry serve "$kills/registry.yml" >"$kills/registry.log" 2>&1 </dev/null &
	kills_server=$!
	until (: <"/dev/tcp/${kills_registry/:/\/}") 2>/dev/null; do sleep 0.1; done
	for name in a b; do kills_layout $name; done
}

# kills_command KIND IMAGE: the words of it, in `words`
kills_command() {
	case $1 in
	pull) words=("$LODGE" image pull -q "$kills_registry/src/$2:1") ;;
	push) words=("$LODGE" image push -q "$kills_registry/dst/$2-$round:1") ;;
	rm) words=("$LODGE" image rm "$kills_registry/src/$2:1") ;;
	prune) words=("$LODGE" image prune -a -f) ;;
	esac
}

kills_has() {
	"$LODGE" image inspect "$kills_registry/src/$1:1" >/dev/null 2>&1
}

# What the command needs to have something to do; the store has been looked at before.
kills_prepare() { # KIND IMAGE
	case $1 in
	pull) if kills_has "$2"; then "$LODGE" image rm "$kills_registry/src/$2:1"; fi ;;
	*) kills_has "$2" || "$LODGE" image pull -q "$kills_registry/src/$2:1" ;;
	esac
	[ "$1" != push ] || "$LODGE" image tag "$kills_registry/src/$2:1" "$kills_registry/dst/$2-$round:1"
}

# How long it takes when it isn't killed: the middle one of five, in microseconds.
kills_measure() { # KIND
	local round from
	rm -f "$kills/took-$1"
	for round in m1 m2 m3 m4 m5; do
		kills_prepare "$1" a
		kills_command "$1" a
		from=${EPOCHREALTIME/./}
		"${words[@]}" || echo "the $1 failed"
		echo $((${EPOCHREALTIME/./} - from)) >>"$kills/took-$1"
		"$LODGE" image rm "$kills_registry/dst/a-$round:1" 2>/dev/null || true
	done >/dev/null
	kills_took[$1]=$(sort -n "$kills/took-$1" | sed -n 3p)
}

# kills_one KIND IMAGE: starts it, and kills it somewhere within its time or a little later
kills_one() {
	local -a words how=()
	local after
	after=$(awk -v n=$((RANDOM * 32768 + RANDOM)) -v max="${kills_took[$1]}" 'BEGIN { printf "%.6f", (n / 2 ^ 30 * 1.15 * max + 200) / 1e6 }')
	# without --foreground all its processes are killed, with it only the first
	[ $((RANDOM % 2)) = 0 ] || how=(--foreground)
	kills_command "$1" "$2"
	timeout "${how[@]}" -s KILL "$after" "${words[@]}" >/dev/null 2>&1 </dev/null
}

kills_say() { # WHAT TEXT
	printf 'round %s, %s: %s\n' "$round" "$1" "$2" | tee -a "$kills/found" >&2
}

kills_look() { # WHAT
	local text says is
	text=$("$LODGE" fsck 2>&1) || {
		kills_findings=$((kills_findings + 1))
		kills_say "$1" "$text"
		"$LODGE" fsck >/dev/null 2>&1 || kills_say "$1" "still there at the next fsck"
		"$LODGE" fsck --repair >/dev/null 2>&1 || true
	}
	says=$("$LODGE" system df --format '{{.Bytes}}' | awk '{ n += $1 } END { print n }')
	is=$(du -s --block-size=1 "$LODGE_ROOT" | cut -f 1)
	[ "$says" = "$is" ] || {
		kills_differ=$((kills_differ + 1))
		kills_say "$1" "df says $says, du $is"
	}
}

kills_round() {
	local kinds=(pull push rm prune) one two="" image pids rc
	one=${kinds[RANDOM % 4]}
	image=$([ $((RANDOM % 2)) = 0 ] && echo a || echo b)
	[ $((round % 3)) != 0 ] || two=${kinds[RANDOM % 4]}
	kills_prepare "$one" "$image"
	if [ -z "$two" ]; then
		rc=0
		{ kills_one "$one" "$image" || rc=$?; } 2>/dev/null
	else
		# of one image or of two, and the second is sometimes let to its end
		[ "$two" = pull ] || kills_prepare "$two" b
		{ kills_one "$one" "$image"; } 2>/dev/null &
		pids=($!)
		if [ $((RANDOM % 3)) = 0 ]; then
			kills_command "$two" b
			"${words[@]}" >/dev/null 2>&1 </dev/null &
		else
			{ kills_one "$two" b; } 2>/dev/null &
		fi
		pids+=($!)
		rc=0
		wait "${pids[0]}" || rc=$?
		wait "${pids[1]}" || true
	fi
	[ $rc != 137 ] || kills_hit=$((kills_hit + 1))
	kills_look "$one${two:+ and $two} of $image"
	# a pull goes on where the killed one was
	if [ "$one" = pull ] && [ $((RANDOM % 2)) = 0 ]; then
		"$LODGE" image pull -q "$kills_registry/src/$image:1" >/dev/null || {
			kills_findings=$((kills_findings + 1))
			kills_say "$one" "the next pull failed"
		}
	fi
}

row_image_kills() {
	local kills kills_server kills_findings=0 kills_differ=0 kills_hit=0 round kind rounds=${KILLS_ROUNDS:-1000}
	local LODGE_ROOT LODGE_RUN
	local -A kills_took=()
	local -a words
	RANDOM=${KILLS_SEED:-$$}
	kills_set_up
	export LODGE_ROOT=$kills/root LODGE_RUN=$kills/run
	for ((round = 1; round <= rounds; round++)); do
		# again and again, since the machine isn't always as fast
		[ $((round % 50)) != 1 ] || for kind in pull push rm prune; do kills_measure $kind; done
		kills_round >/dev/null
		# what the pushes left on the other side
		if [ $((round % 50)) = 0 ]; then
			rm -rf "$kills/registry/docker/registry/v2/repositories/dst"
			"$LODGE" image ls --format '{{.Repository}}:{{.Tag}}' | { grep /dst/ || true; } | xargs -r "$LODGE" image rm >/dev/null
			[ -z "${KILLS_TELL:-}" ] || echo "$round rounds, $kills_hit hit, $kills_findings findings, $kills_differ differences" >&2
		fi
	done
	bar_value "killed $rounds times (in $kills_hit before it was done): findings" 0 "" $kills_findings
	bar_value "killed $rounds times: df unlike du" 0 "" $kills_differ
	kill "$kills_server"
	rm -rf "$kills"
}
