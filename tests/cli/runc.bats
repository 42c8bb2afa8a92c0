#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The OCI runtime: its commands, and a container's life. runc(8) is what it must do.

load ../lib
load ../runc

teardown() {
	runtime_clean
}

# a container that sleeps, in $ID
sleeper() {
	ID=$(new_id)
	bundle "${1:-.}" sleep 1000
	runtime run -d -b "$BUNDLE" "$ID"
}

@test "run: output, exit status, and nothing stays" {
	equal "hello" "$(ran . echo hello)"
	status=0; ran . sh -c 'exit 7' || status=$?
	equal 7 $status
	sleeper
	status=0; runtime exec "$ID" sh -c 'kill -9 $$' || status=$?
	equal 137 $status
	runtime delete -f "$ID"
	[ -z "$(ls -A "$TEST_DIR/state")" ]
}

@test "run: standard input and descriptors that are kept" {
	bundle . cat
	equal "in" "$(echo in | runtime run -b "$BUNDLE" "$(new_id)")"
	bundle . sh -c 'cat <&3; ls /proc/self/fd | wc -l'
	equal "kept 5" "$(runtime run --preserve-fds 1 -b "$BUNDLE" "$(new_id)" 3<<<kept 4<<<no | xargs)"
	bundle . true
	refuses 1 "unable to preserve fd" runtime run --preserve-fds 30 -b "$BUNDLE" "$(new_id)"
}

@test "run passes signals on" {
	ID=$(new_id)
	bundle . sh -c 'trap "echo got; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
	"$LODGE_RUNC" --root "$TEST_DIR/state" run -b "$BUNDLE" "$ID" >"$TEST_DIR/out" &
	within 5 grep -q ready "$TEST_DIR/out"
	kill -TERM $!
	status=0; wait $! || status=$?
	equal 3 $status
	grep -q got "$TEST_DIR/out"
}

@test "create, start, state, list, kill, delete" {
	ID=$(new_id)
	bundle '.annotations = {"a.b": "c@d"}' sleep 1000
	runtime create --pid-file "$TEST_DIR/pid" -b "$BUNDLE" "$ID"
	equal created "$(state_of "$ID")"
	equal "$(<"$TEST_DIR/pid")" "$(state_of "$ID" .pid)"
	equal "$BUNDLE" "$(state_of "$ID" .bundle)"
	equal "c@d" "$(state_of "$ID" '.annotations["a.b"]')"
	# only the command is missing
	equal "$(readlink "/proc/$(<"$TEST_DIR/pid")/root")" "$(readlink "/proc/$(<"$TEST_DIR/pid")/cwd")"
	[ "$(readlink "/proc/$(<"$TEST_DIR/pid")/ns/mnt")" != "$(readlink /proc/self/ns/mnt)" ]
	refuses_in 1 "container with given ID already exists" runtime create -b "$BUNDLE" "$ID"
	runtime start "$ID"
	equal running "$(state_of "$ID")"
	within 2 grep -qx sleep "/proc/$(<"$TEST_DIR/pid")/comm"
	refuses_in 1 "cannot start an already running container" runtime start "$ID"
	refuses_in 1 "that is not stopped: running" runtime delete "$ID"
	equal "$ID" "$(runtime list -q)"
	equal "running $ID" "$(runtime list -f json | jq -r '.[0] | "\(.status) \(.id)"')"
	runtime list | grep -q "^$ID .*running .*$BUNDLE"
	runtime kill "$ID" KILL
	within 2 is_stopped
	equal 0 "$(state_of "$ID" .pid)"
	refuses_in 1 "container not running" runtime kill "$ID" KILL
	refuses_in 1 "cannot start a container that has stopped" runtime start "$ID"
	runtime delete "$ID"
	refuses 1 "container does not exist" runtime state "$ID"
}

# as refuses, with containers there
refuses_in() {
	local want=$1 text=$2
	shift 2
	status=0
	output=$("$@" 2>&1) || status=$?
	output=${output//\\/}
	[ "$status" = "$want" ] && [[ $output == *"$text"* ]] || {
		echo "status $status: $output" >&2
		return 1
	}
}

is_stopped() {
	[ "$(state_of "$ID")" = stopped ]
}

@test "a created container can be deleted, one that runs with force" {
	ID=$(new_id)
	bundle . true
	runtime create -b "$BUNDLE" "$ID"
	runtime delete "$ID"
	sleeper
	runtime delete -f "$ID"
	runtime delete -f "$ID"
	refuses 1 "container does not exist" runtime delete "$ID"
}

@test "exec: status, environment, user, directory, capabilities" {
	sleeper
	status=0; output=$(runtime exec "$ID" sh -c 'echo in; exit 5') || status=$?
	equal "in 5" "$output $status"
	equal "b" "$(runtime exec -e A=b "$ID" sh -c 'echo $A')"
	equal "/tmp" "$(runtime exec --cwd /tmp "$ID" pwd)"
	equal "5 6 7" "$(runtime exec -u 5:6 -g 7 "$ID" sh -c 'echo $(id -u) $(id -g) $(grep Groups /proc/self/status | cut -f2)')"
	equal "CapPrm: 0000000020000420" "$(runtime exec "$ID" grep CapPrm /proc/self/status | xargs)"
	equal "CapPrm: 0000000020000424" "$(runtime exec --cap CAP_DAC_READ_SEARCH "$ID" grep CapPrm /proc/self/status | xargs)"
	refuses_in 255 'exec: "nope": executable file not found in $PATH' runtime exec "$ID" nope
	refuses_in 255 "no such file or directory" runtime exec "$ID" /nope
	refuses_in 255 "permission denied" runtime exec "$ID" /etc/passwd
	refuses_in 255 "container does not exist" runtime exec nobody true
	# in the container's namespaces and cgroup
	pid=$(state_of "$ID" .pid)
	equal "$(readlink "/proc/$pid/ns/pid")" "$(runtime exec "$ID" readlink /proc/self/ns/pid)"
	if cgroup_v2; then # with a cgroup namespace of its own
		equal 0::/ "$(runtime exec "$ID" cat /proc/self/cgroup)"
	else
		equal "$(sort "/proc/$pid/cgroup")" "$(runtime exec "$ID" cat /proc/self/cgroup | sort)"
	fi
}

@test "exec: a process file, detached, with a pid file" {
	sleeper
	cat >"$TEST_DIR/process.json" <<-JSON
		{"args": ["sleep", "77"], "cwd": "/tmp", "user": {"uid": 3, "gid": 4, "additionalGids": [9]}, "env": ["A=1"],
		 "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}], "noNewPrivileges": true}
	JSON
	runtime exec -d --pid-file "$TEST_DIR/pid2" -p "$TEST_DIR/process.json" "$ID"
	pid=$(<"$TEST_DIR/pid2")
	equal "3 4" "$(awk '/^(Uid|Gid):/ { printf "%s%s", s, $2; s = " " }' "/proc/$pid/status")"
	grep -q 'Max open files *50 *60' "/proc/$pid/limits"
	equal "NoNewPrivs: 1" "$(grep NoNewPrivs "/proc/$pid/status" | xargs)"
	runtime ps "$ID" | grep -q 'sleep 77'
	runtime ps -f json "$ID" | jq -e "index($pid)" >/dev/null
	refuses_in 255 "'args' is not a list" runtime exec -p <(echo '{"args": 7}') "$ID"
}

@test "terminals: in the foreground, and by a console socket" {
	bundle '.process.terminal = true | .process.consoleSize = {"height": 33, "width": 77}' \
		sh -c 'tty; ls -l /dev/console | cut -c1'
	output=$(script -qec "$LODGE_RUNC --root $TEST_DIR/state run -b $BUNDLE $(new_id)" /dev/null </dev/null | tr -d '\r\0')
	grep -q /dev/pts/0 <<<"$output"
	grep -q 'c$' <<<"$output"
	bundle '.process.terminal = true' true
	refuses 1 "cannot allocate tty if runc will detach without setting console socket" \
		runtime run -d -b "$BUNDLE" "$(new_id)"
	refuses 1 "cannot allocate tty" runtime create -b "$BUNDLE" "$(new_id)"
	bundle . true
	refuses 1 "cannot use console socket" runtime create --console-socket /x -b "$BUNDLE" "$(new_id)"
}

@test "the console socket gets the terminal of run and of exec" {
	ID=$(new_id)
	bundle '.process.terminal = true | .process.consoleSize = {"height": 33, "width": 77}' \
		sh -c 'stty size; while read -r line; do echo "got $line"; done'
	console "$TEST_DIR/sock" "$TEST_DIR/said"
	runtime run -d --console-socket "$TEST_DIR/sock" -b "$BUNDLE" "$ID"
	echo one >"$TEST_DIR/said.in"
	within 5 grep -q 'got one' "$TEST_DIR/said"
	console "$TEST_DIR/sock2" "$TEST_DIR/said2"
	runtime exec -d -t --console-socket "$TEST_DIR/sock2" "$ID" sh -c 'tty; read -r x; echo "exec $x"'
	echo two >"$TEST_DIR/said2.in"
	within 5 grep -q 'exec two' "$TEST_DIR/said2"
	grep -q /dev/pts/ "$TEST_DIR/said2"
	refuses_in 255 "cannot connect to '/nope/sock'" runtime exec -d -t --console-socket /nope/sock "$ID" true
}

@test "runc of others lists, kills and deletes what this one made" {
	command -v runc >/dev/null || skip "no runc"
	sleeper '.annotations = {"x": "y"}'
	equal running "$(runc --root "$TEST_DIR/state" state "$ID" | jq -r .status)"
	runc --root "$TEST_DIR/state" list -q | grep -qx "$ID"
	runc --root "$TEST_DIR/state" kill "$ID" KILL
	within 2 is_stopped
	runc --root "$TEST_DIR/state" delete "$ID"
	[ ! -e "$TEST_DIR/state/$ID" ]
}

@test "pause and resume; exec in a paused container" {
	sleeper
	runtime pause "$ID"
	equal paused "$(state_of "$ID")"
	refuses_in 255 "cannot exec in a paused container" runtime exec "$ID" true
	refuses_in 1 "not running" runtime pause "$ID"
	runtime resume "$ID"
	equal running "$(state_of "$ID")"
	refuses_in 1 "container not paused" runtime resume "$ID"
	runtime exec "$ID" true
}

@test "kill: names, numbers, all" {
	sleeper
	runtime exec -d "$ID" sleep 88
	refuses_in 1 'unknown signal "BLA"' runtime kill "$ID" BLA
	runtime kill --all "$ID" 9
	within 2 is_stopped
	runtime delete "$ID"
}

@test "events and update" {
	sleeper
	runtime events --stats "$ID" | jq -e '.type == "stats" and .data.memory.usage.usage > 0 and .data.pids.current >= 0' >/dev/null
	runtime update --memory 64m --pids-limit 33 "$ID"
	if cgroup_v2; then
		equal 67108864 "$(cat "/sys/fs/cgroup/$ID/memory.max")"
	else
		equal 67108864 "$(cat "/sys/fs/cgroup/memory/$ID/memory.limit_in_bytes")"
	fi
	refuses_in 1 "isn't a size" runtime update --memory many "$ID"
	refuses_in 1 "Intel RDT" runtime update --l3-cache-schema x "$ID"
	echo '{"memory": {"limit": 33554432}}' | runtime update -r - "$ID"
	runtime events --stats "$ID" | jq -e '.data.memory.usage.limit == 33554432' >/dev/null
}

@test "spec, features, version, help" {
	(cd "$TEST_DIR" && rm -rf sp && mkdir sp && cd sp && "$LODGE_RUNC" spec && cmp config.json ../spec/config.json)
	if command -v runc >/dev/null; then
		(cd "$TEST_DIR/sp" && rm config.json && runc spec && cmp config.json ../spec/config.json)
		(cd "$TEST_DIR/sp" && rm config.json && runc spec --rootless && mv config.json a && "$LODGE_RUNC" spec --rootless && cmp config.json a)
	fi
	refuses 1 "File config.json exists. Remove it first" "$LODGE_RUNC" spec -b "$TEST_DIR/spec"
	runtime features | jq -e '.linux.namespaces | index("time")' >/dev/null
	runtime --version | grep -q '^spec: 1.2'
	runtime run --help | grep -q -- --console-socket
	"$LODGE" runc --version | grep -q '^runc version'
	ln -s "$LODGE" "$TEST_DIR/crun"
	LODGE_LIBEXEC=$(dirname "$LODGE_RUNC") "$TEST_DIR/crun" --version | grep -q '^crun version'
}

@test "the log: text, JSON, a file" {
	refuses 1 'level=error msg="container does not exist"' runtime state nobody
	refuses 1 '"msg": "container does not exist"' runtime --log-format json state nobody ||
		refuses 1 '"msg":"container does not exist"' runtime --log-format json state nobody
	refuses 1 "container does not exist" runtime --log "$TEST_DIR/log" --log-format json state nobody
	jq -e '.level == "error" and .msg == "container does not exist"' "$TEST_DIR/log" >/dev/null
	refuses 1 "unknown flag: --foo" runtime run --foo x
	refuses 1 "invalid log-format" runtime --log-format xml list
	refuses 1 "requires exactly 1 argument" runtime run a b
}

@test "hooks: all six points, their order, the state, environment" {
	ID=$(new_id)
	log=$TEST_DIR/hooks
	rm -f "$log"
	cat >"$TEST_DIR/hook" <<-'SH'
		#!/bin/sh
		echo "$1 $(tr -d ' ' | sed 's/.*"status":"\([a-z]*\)".*/\1/') $V" >>"$2"
	SH
	chmod +x "$TEST_DIR/hook"
	cp "$TEST_DIR/hook" "$TEST_DIR/rootfs/hook"
	local names='["prestart","createRuntime","createContainer","poststart","poststop"]'
	bundle . sleep 1000
	jq --arg root "$TEST_DIR/rootfs" --arg hook "$TEST_DIR/hook" --arg log "$log" '.process.terminal = false | .root.path = $root
		| .root.readonly = false | .process.args = ["sleep", "1000"]
		| .hooks = ('"$names"' | map({key: ., value: [{path: $hook, args: ["hook", ., $log], env: ["PATH=/bin:/usr/bin", "V=x"], timeout: 10}]}) | from_entries)
		| .hooks.startContainer = [{path: "/hook", args: ["hook", "startContainer", "/hooklog"], env: ["PATH=/bin", "V=y"]}]' \
		"$TEST_DIR/spec/config.json" >"$BUNDLE/config.json"
	runtime create -b "$BUNDLE" "$ID"
	equal "prestart creating x;createRuntime creating x;createContainer creating x" "$(paste -sd';' "$log")"
	runtime start "$ID"
	within 2 test -s "$TEST_DIR/rootfs/hooklog"
	equal "startContainer created y" "$(cat "$TEST_DIR/rootfs/hooklog")"
	equal "poststart running x" "$(tail -n1 "$log")"
	runtime delete -f "$ID"
	equal "poststop stopped x" "$(tail -n1 "$log")"
	rm -f "$TEST_DIR/rootfs/hook" "$TEST_DIR/rootfs/hooklog"
}

@test "hooks that fail or hang leave nothing" {
	bundle '.hooks.prestart = [{path: "/bin/sh", args: ["sh", "-c", "echo oops; exit 4"]}]' true
	refuses 1 "error running prestart hook #0: exit status 4, output: oops" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.hooks.createRuntime = [{path: "/bin/sleep", args: ["sleep", "60"], timeout: 1}]' true
	refuses 1 "error running createRuntime hook #0: hook ran past specified timeout of 1.0s" runtime create -b "$BUNDLE" "$(new_id)"
	bundle '.hooks.prestart = [{path: "/nope"}]' true
	refuses 1 "'/nope': No such file or directory" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.hooks.poststart = [{path: "/bin/false"}]' sleep 1000
	refuses 1 "error running poststart hook #0" runtime run -d -b "$BUNDLE" "$(new_id)"
}

@test "killed in the middle of create: delete takes the rest away" {
	ID=$(new_id)
	bundle '.hooks.prestart = [{path: "/bin/sleep", args: ["sleep", "2"]}]' true
	"$LODGE_RUNC" --root "$TEST_DIR/state" create -b "$BUNDLE" "$ID" &
	within 5 test -d "$TEST_DIR/state/$ID"
	sleep 0.2
	kill -KILL $!
	wait $! || true
	runtime delete -f "$ID"
	[ ! -e "$TEST_DIR/state/$ID" ]
	[ -z "$(find /sys/fs/cgroup -name "$ID")" ]
}

@test "many at once" {
	bundle . true
	local pids=() p
	for n in $(seq 30); do
		runtime run -b "$BUNDLE" "rt-$BATS_TEST_NUMBER-m-$n" &
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
}

@test "exec --cgroup: a part of the container's, on v1 of one controller" {
	sleeper '.linux.resources.memory.limit = 67108864 | .linux.resources.pids.limit = 50'
	if cgroup_v2; then
		mkdir "/sys/fs/cgroup/$ID/part"
		runtime exec -d --cgroup part "$ID" sleep 55
		[ -n "$(cat "/sys/fs/cgroup/$ID/part/cgroup.procs")" ]
		refuses_in 255 "cgroup v2 has one tree" runtime exec --cgroup memory:part "$ID" true
		refuses_in 255 "no cgroup" runtime exec --cgroup nope "$ID" true
		refuses_in 255 "bad path" runtime exec --cgroup ../.. "$ID" true
		return
	fi
	mkdir "/sys/fs/cgroup/memory/$ID/part"
	runtime exec -d --cgroup memory:part --pid-file "$TEST_DIR/pid2" "$ID" sleep 55
	grep -q "memory:/$ID/part$" "/proc/$(<"$TEST_DIR/pid2")/cgroup"
	grep -q "pids:/$ID$" "/proc/$(<"$TEST_DIR/pid2")/cgroup"
	runtime exec -d --cgroup part --pid-file "$TEST_DIR/pid2" "$ID" sleep 55
	grep -q "memory:/$ID/part$" "/proc/$(<"$TEST_DIR/pid2")/cgroup"
	# where there is no such part it is in the container's, never outside
	grep -q "pids:/$ID$" "/proc/$(<"$TEST_DIR/pid2")/cgroup"
	refuses_in 255 "cannot join the cgroup" runtime exec --cgroup nope "$ID" true
	refuses_in 255 "cannot join the cgroup" runtime exec --cgroup pids:part "$ID" true
	refuses_in 255 "unknown controller" runtime exec --cgroup bla:part "$ID" true
	refuses_in 255 "bad path" runtime exec --cgroup ../.. "$ID" true
}

@test "limits of kernel memory are ignored with a warning" {
	bundle '.linux.resources.memory.kernel = 1000000' echo ran
	output=$(runtime --log "$TEST_DIR/log2" run -b "$BUNDLE" "$(new_id)")
	equal ran "$output"
	grep -q 'level=warning msg="Kernel memory settings are ignored' "$TEST_DIR/log2"
	sleeper
	runtime --log "$TEST_DIR/log3" update --kernel-memory 1m "$ID"
	grep -q 'level=warning msg="Kernel memory' "$TEST_DIR/log3"
}

@test "checkpoint and restore without criu" {
	sleeper
	refuses_in 1 "'/nope/criu' isn't installed" runtime --criu /nope/criu checkpoint --image-path "$TEST_DIR/img" "$ID"
	[ ! -e "$TEST_DIR/img" ]
	refuses_in 1 "'/nope/criu' isn't installed" runtime --criu /nope/criu restore --image-path "$TEST_DIR" -b "$BUNDLE" "x$ID"
	[ ! -e "$TEST_DIR/state/x$ID" ]
	equal running "$(state_of "$ID")"
}

@test "--debug writes the steps into the log, and nothing without it" {
	bundle . true
	runtime --log "$TEST_DIR/quiet" run -b "$BUNDLE" "$(new_id)"
	[ ! -s "$TEST_DIR/quiet" ]
	runtime --debug --log "$TEST_DIR/steps" --log-format json run -b "$BUNDLE" "$(new_id)"
	jq -es 'all(.level == "debug") and any(.msg | contains("pivot_root"))' "$TEST_DIR/steps"
}

@test "--systemd-cgroup without systemd" {
	[ ! -d /run/systemd/system ] || skip "systemd runs here"
	bundle . true
	refuses 1 "systemd cgroup flag passed, but systemd support" runtime --systemd-cgroup run -b "$BUNDLE" "$(new_id)"
}
