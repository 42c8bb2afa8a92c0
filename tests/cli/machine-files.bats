#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is inside of a machine: files, changes, processes, figures; of one that runs, of one that doesn't, and of one
# whose monitor was killed. A machine and a container of the same image stand beside each other for the whole file.
load ../lib

script='
	mkdir -p /d/sub /into /e
	echo inner >/d/sub/f; chown 1000:50 /d/sub/f; chmod 4711 /d/sub/f; touch -d @1000000001 /d/sub/f
	ln /d/sub/f /d/hard; ln -s sub /d/link; ln -s /d/sub/f /absolute; mkfifo /d/fifo
	chmod 750 /d; touch -d @1000000000 /d/sub
	rm /etc/group; echo x >>/etc/passwd; rm -r /var/log
	touch /ready; while :; do date +%s >/tick; sleep 0.2; done'

prepare() {
	lodge run -d --name box bb sh -c "$script"
	lodge run -d --vm --name mach -m 128m --tmpfs /small:size=1m bb sh -c "$script"
	within 20 lodge exec box test -e /ready
	within 20 lodge exec mach test -e /ready
	lodge ls -aq --no-trunc >"$TEST_DIR/kept"
}

# As lib's, but the two stay.
teardown() {
	remember_ids
	lodge ls -aq --no-trunc | grep -vxFf "$TEST_DIR/kept" | xargs -r "$LODGE" rm -fv >/dev/null
	if ! within 3 no_leak; then
		diff "$TEST_DIR/before" <(snapshot) >&2 || true
		snapshot >"$TEST_DIR/before"
		return 1
	fi
}

teardown_file() {
	lodge rm -fv box mach
}

# both COMMAND...: the command, a shell script with $g for the guest, does the same with either: what it prints, what
# it leaves in the folder that it runs in, and the words of its failures.
both() {
	local g began
	began=$(date +%s)
	for g in box mach; do
		mkdir -p "$TEST_DIR/both/$g"
		(
			set +e # refusals are a part of it
			cd "$TEST_DIR/both/$g"
			eval "$*"
			# what was made meanwhile has the time of its turn
			find . -printf '%P %M %U %G %n %l ' \( -type f -printf '%s %Ts' -o -printf - \) -printf '\n' | sort |
				awk -v began="$began" '$NF ~ /^[0-9]+$/ && $NF >= began { $NF = "now" } { print }'
			find . -type f -print0 | sort -z | xargs -0r md5sum
		) 2>&1 | sed "s/'$g'/GUEST/g" >"$TEST_DIR/said.$g"
	done
	rm -rf "$TEST_DIR/both"
	diff "$TEST_DIR/said.box" "$TEST_DIR/said.mach" >&2
}

# what lies in a folder of the guest, by its own words
look() { # GUEST FOLDER
	lodge exec "$1" sh -c "cd $2 && find . | sort | xargs stat -c '%n %A %u %g %h' && find . -type f | sort | xargs md5sum"
}

@test "cp out as from a container: folders, contents, files, links, owners" {
	both 'lodge cp $g:/d new; lodge cp $g:/d new; mkdir there; lodge cp $g:/d there
		lodge cp $g:/d/. there; lodge cp $g:/d/sub/f f; lodge cp $g:/d/sub/f there/
		lodge cp $g:/d/link l; lodge cp -L $g:/d/link followed; lodge cp $g:/absolute a; lodge cp -L $g:/absolute b
		lodge cp -a $g:/d kept; lodge cp $g:d/hard relative; lodge cp $g:/d/../d/sub up'
	equal "$(lodge exec mach hostname)" "$(lodge cp mach:/etc/hostname - | tar -xO)"
	grep -q '^kept/sub/f -rws--x--x 1000 50 2' "$TEST_DIR/said.mach"
}

@test "cp out: the same refusals, in the same words" {
	both 'echo file >file; mkdir dir dir/f; lodge cp $g:/nothing x; lodge cp $g:/d/sub/f none/; lodge cp $g:/d file
		lodge cp $g:/d/sub/f/ x; lodge cp $g:/d/sub/f dir; lodge cp $g:/d/sub/f no/where'
	equal 6 "$(grep -c '^lodge: ' "$TEST_DIR/said.mach")"
}

@test "cp in as into a container" {
	both 'mkdir -p t/sub/deep; echo 1 >t/one; echo 2 >t/sub/deep/two; ln -s one t/link; ln t/one t/hard
		chown 1000:50 t/one; chmod 4711 t/one; lodge cp t $g:/in; lodge cp t $g:/in; lodge cp t/. $g:/into; lodge cp t/one $g:/into/renamed
		lodge cp t/one $g:/absolute; lodge cp -a t/one $g:/into/owned; lodge cp t/link $g:/into/l; lodge cp -L t/link $g:into/ll
		look $g /in; look $g /into; look $g /d; lodge exec $g rm -r /in /into; lodge exec $g mkdir /into'
	grep -q '^./owned -rws--x--x 1000 50' "$TEST_DIR/said.mach"
	grep -q '^./renamed -rws--x--x 0 0' "$TEST_DIR/said.mach"
}

@test "cp in: the same refusals, in the same words" {
	both 'mkdir -p t/d; echo 1 >f; lodge cp f $g:/no/where; lodge cp f $g:/none/; lodge cp t $g:/ready; lodge cp f $g:/ready/
		lodge cp gone $g:/; lodge exec $g mkdir -p /e/f; lodge exec $g touch /e/d; lodge cp f $g:/e; lodge cp t/d $g:/e; lodge cp t/. $g:/e'
	equal 8 "$(grep -c '^lodge: ' "$TEST_DIR/said.mach")"
}

@test "cp - : archives out and in, plain, compressed and sparse" {
	both 'lodge cp $g:/d - | tar -t; lodge cp $g:/d/. - | tar -t; lodge cp -L $g:/d/link - | tar -t; lodge cp $g:/d/sub/f - | tar -xO
		mkdir t; echo 1 >t/a; chown 1000:50 t/a; truncate -s 2M t/holes; printf end >>t/holes; truncate -s 3M t/holes
		tar -cS t | lodge cp - $g:/into; look $g /into; tar -cz t | lodge cp -a - $g:/into; look $g /into
		lodge cp - $g:/nothing </dev/null; lodge cp - $g:/ready </dev/null
		tar -c t | head -c 700 | lodge cp - $g:/into; lodge exec $g rm -r /into; lodge exec $g mkdir /into; rm -r t'
	grep -q 'is cut short' "$TEST_DIR/said.mach"
}

@test "large data, both ways; a slow reader; a full disk inside" {
	head -c 8M /dev/urandom >"$TEST_DIR/big"
	lodge cp "$TEST_DIR/big" mach:/big
	lodge cp mach:/big "$TEST_DIR/back"
	cmp "$TEST_DIR/big" "$TEST_DIR/back"
	equal "$(md5sum <"$TEST_DIR/big")" "$(lodge cp mach:/big - | (sleep 1; tar -xO) | md5sum)"
	fails 1 'No space left' lodge cp "$TEST_DIR/big" mach:/small/big
	# whoever reads no more ends it on both sides
	lodge cp mach:/big - | head -c 1000 >/dev/null
	within 5 eval '! lodge top mach | grep -q pack'
	lodge exec mach rm /big
}

@test "diff and export as of a container" {
	both 'lodge diff $g | grep -v -e tick -e small; lodge export $g | tar -t | grep -v -e small -e dev/ | sort'
	grep -qx 'C /etc/passwd' "$TEST_DIR/said.mach"
	grep -qx 'D /etc/group' "$TEST_DIR/said.mach"
	! grep hosts <(lodge diff mach) || false
}

@test "top: the machine's processes" {
	run lodge top mach
	[ "$status" = 0 ]
	[[ ${lines[0]} =~ ^UID\ +PID\ +PPID\ +C\ +STIME\ +TTY\ +TIME\ +CMD$ ]]
	[[ ${lines[1]} =~ ^root\ +1\ +0\ +[0-9]+\ +[0-9]{2}:[0-9]{2}\ +\?\ +[0-9]{2}:[0-9]{2}:[0-9]{2}\ +sh\ -c ]]
	[ "$(wc -l <<<"$output")" -ge 2 ]
	[[ $(lodge top mach -ef) == UID* ]]
	fails 1 "as by 'ps -ef' only" lodge top mach aux
}

# received and sent by now: as stats has it, and as the machine itself
network() {
	lodge stats --no-stream --format '{{.NetIO}}' mach | sed 's|/||; s/kB/ 1000/g; s/MB/ 1000000/g; s/\([0-9]\)B/\1 1/g' |
		awk '{ printf "%d %d ", $1 * $2, $3 * $4 }'
	lodge exec mach awk '/eth0:/ { print $2, $10 }' /proc/net/dev
}

@test "stats: the network as the machine sees it" {
	gateway=$(lodge exec mach ip route | awk '/default/ { print $3 }')
	before=$(network)
	# more bytes are sent than come back: nobody has the second address
	lodge exec mach ping -c 5 -i 0.1 -s 1400 "$gateway" >/dev/null
	lodge exec mach ping -c 6 -i 0.1 -W 1 -s 1400 198.51.100.77 >/dev/null || true
	after=$(network)
	# received, sent; by the machine's own count the same
	[[ $(lodge stats --no-stream --format '{{.MemUsage}}' mach) == */\ 128MiB ]]
	awk -v b="$before" -v a="$after" 'BEGIN {
		split(b, x); split(a, y)
		for (i = 1; i <= 4; i++) d[i] = y[i] - x[i]
		exit !(d[3] > 7000 && d[4] > d[3] + 7000 && d[1] > 0.9 * d[3] && d[1] < 1.1 * d[3] &&
			d[2] > 0.9 * d[4] && d[2] < 1.1 * d[4])
	}' || { echo "before: $before, after: $after" >&2; return 1; }
}

@test "paused: says so, and hangs nowhere" {
	lodge pause mach
	fails 1 'is paused' timeout 5 "$LODGE" cp mach:/ready -
	fails 1 'is paused' timeout 5 "$LODGE" diff mach
	fails 1 'is paused' timeout 5 "$LODGE" top mach
	lodge unpause mach
	lodge cp mach:/ready - >/dev/null
}

@test "stopped: files as before, the state too" {
	lodge create --vm --name still -v data:/data bb sh -c 'cat /given /data/given' >/dev/null
	echo for-you >"$TEST_DIR/given"
	mkdir "$TEST_DIR/tree" "$TEST_DIR/tree/data"
	cp "$TEST_DIR/given" "$TEST_DIR/tree/data"
	mv "$TEST_DIR/given" "$TEST_DIR/tree"
	lodge cp "$TEST_DIR/tree/." still:/
	is_state still created
	equal for-you "$(cat "$LODGE_ROOT/volumes/data/given")"
	equal $'for-you\nfor-you' "$(lodge start -a still)"
	is_state still exited
	equal 'A /given' "$(lodge diff still | grep -v data)"
	export=$(lodge export still | tar -t)
	[[ $export == *./given* && $export != *data/given* ]]
	fails 1 'no such file' lodge cp still:/nothing -
	equal exited "$(state still)"
	[ -z "$(ls "$LODGE_RUN/held")" ]
	[ ! -e "$LODGE_ROOT"/guests/*/held ]
	equal '' "$(lodge fsck)"
	lodge rm -v still
	lodge volume rm data
}

@test "explain starts no machine" {
	lodge create --vm --name still bb true >/dev/null
	for command in "cp still:/etc/passwd x" "cp $TEST_DIR/bb.tar still:/x" "cp mach:/ready x"; do
		# shellcheck disable=SC2086
		run lodge explain $command
		[ "$status" = 0 ]
		[[ $output == *lodge-init* ]]
	done
	[ -z "$(pgrep -f hold=1)" ]
	[ ! -e "$LODGE_ROOT"/guests/*/held ]
}

@test "stopped: whoever copies may be killed" {
	lodge create --vm --name still bb cat /kept >/dev/null
	echo kept >"$TEST_DIR/kept-file"
	lodge cp "$TEST_DIR/kept-file" still:/kept
	(exec "$LODGE" cp - still:/) < <(sleep 30) &
	copier=$!
	within 10 pgrep -f 'lodge-monitor.*hold=1' >/dev/null
	sleep 2
	kill -KILL $copier
	# the next one waits for the end of that machine, and finds all as it was
	equal kept "$(lodge start -a still)"
	[ -z "$(pgrep -f hold=1)" ]
	# with its monitor
	(exec "$LODGE" cp - still:/) < <(sleep 30) &
	copier=$!
	within 10 pgrep -f 'lodge-monitor.*hold=1' >/dev/null
	sleep 2
	kill -KILL $copier $(pgrep -f 'lodge-monitor.*hold=1')
	within 2 eval '[[ $(lodge fsck) == *"started for its files"* ]]'
	[[ $(lodge fsck --repair) == *mended* ]]
	equal '' "$(lodge fsck)"
	equal kept "$(lodge start -a still)"
}

@test "a killed monitor: the machine goes on, is seen, and can be stopped" {
	mkdir -p "$TEST_DIR/shared"
	lodge run -d --vm --name orphan -v "$TEST_DIR/shared:/shared" -p 8081:80 bb sh -c '
		while :; do date +%s >>/ticks; tail -n 1 /ticks >/shared/new; mv /shared/new /shared/tick; echo said
		sleep 0.1; done' >/dev/null
	within 10 test -s "$TEST_DIR/shared/tick"
	kill -KILL "$(lodge inspect --format '{{.State.MonitorPid}}' orphan)"
	before=$(cat "$TEST_DIR/shared/tick")
	sleep 2
	[ "$(cat "$TEST_DIR/shared/tick")" -gt "$before" ]
	[[ $(lodge ls) == *unmonitored*orphan* ]]
	[[ $(lodge fsck) == *"'orphan' runs, but its monitor was killed"* ]]
	fails 1 'no monitor' lodge kill -s HUP orphan
	fails 1 'no monitor' lodge cp orphan:/ticks -
	fails 1 'it is running' lodge rm orphan
	[ -n "$(lodge stats --no-stream --format '{{.CPUPerc}}' orphan)" ]
	sleep 2 # lodge-init writes what there is
	written=$(cat "$TEST_DIR/shared/tick")
	lodge stop orphan
	is_state orphan exited
	[ -z "$(pgrep virtiofsd)" ]
	lodge cp orphan:/ticks "$TEST_DIR/ticks"
	[ $((written - $(tail -n 1 "$TEST_DIR/ticks"))) -le 4 ]
	lodge start orphan
	kill -KILL "$(lodge inspect --format '{{.State.MonitorPid}}' orphan)"
	lodge rm -f orphan
	[ -z "$(pgrep virtiofsd)" ]
}

@test "a killed monitor: the command's end is the machine's" {
	lodge run -d --vm --name orphan bb sh -c 'sleep 2; echo end >/end' >/dev/null
	kill -KILL "$(lodge inspect --format '{{.State.MonitorPid}}' orphan)"
	within 10 is_state orphan exited
	equal 255 "$(lodge wait orphan)"
	equal end "$(lodge cp orphan:/end - | tar -xO)"
}
