#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The states of a guest and the commands that change them.
load ../lib

sleeper() { # NAME [OPTIONS...]
	local name=$1
	shift
	lodge run -d --name "$name" --network none "$@" bb sleep 1000 >/dev/null
}

# answers SIGTERM at once
polite() {
	lodge run -d --name "$1" --network none bb sh -c 'trap "exit 0" TERM; while :; do sleep 0.02; done' >/dev/null
}

@test "create, start, stop, start again, rm" {
	id=$(lodge create --name g1 --network none bb sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.02; done')
	[[ $id =~ ^[0-9a-f]{64}$ ]]
	equal created "$(state g1)"
	equal g1 "$(lodge start g1)"
	equal running "$(state g1)"
	within 5 has_log g1 up
	equal g1 "$(lodge stop g1)"
	equal exited "$(state g1)"
	equal 9 "$(lodge inspect --format '{{.State.ExitCode}}' g1)"
	lodge start g1
	equal running "$(state g1)"
	fails 1 running lodge rm g1
	lodge rm -f g1
	fails 1 g1 lodge inspect g1
	# start of a running one, stop of a stopped one: nothing to do
	sleeper s1
	lodge start s1
	lodge stop -t 0 s1
	lodge stop -t 0 s1
}

@test "commands take ids, unique prefixes and several names" {
	sleeper a1
	sleeper b1
	id=$(lodge inspect --format '{{.Id}}' a1)
	equal running "$(state "$id")"
	equal running "$(state "${id:0:12}")"
	run lodge stop -t 0 a1 b1 nosuch
	[ "$status" = 1 ]
	[[ $output == *a* && $output == *b* && $output == *"'nosuch'"* ]]
	equal exited "$(state a1)"
	equal exited "$(state b1)"
	lodge rm a1 b1
}

@test "kill: by signal name and number; restart policies don't matter" {
	sleeper a1
	lodge kill -s KILL a1
	within 3 is_state a1 exited
	equal 137 "$(lodge inspect --format '{{.State.ExitCode}}' a1)"
	lodge run -d --name t1 --network none bb sh -c 'trap "echo usr1" USR1; echo up; while :; do sleep 0.02; done'
	within 5 has_log t1 up
	lodge kill -s 10 t1
	within 5 has_log t1 usr1
	lodge kill --signal SIGUSR1 t1
	equal running "$(state t1)"
	fails 1 running lodge kill a1
	fails 1 NOSUCH lodge kill -s NOSUCH t1
}

@test "restart" {
	polite a1
	pid=$(guest_pid a1)
	lodge restart a1
	equal running "$(state a1)"
	[ "$pid" != "$(guest_pid a1)" ]
	lodge stop a1
	lodge restart a1
	equal running "$(state a1)"
}

@test "pause and unpause" {
	lodge run -d --name p1 --network none bb sh -c 'while :; do echo tick; sleep 0.05; done'
	within 5 has_log p1 tick
	lodge pause p1
	equal paused "$(state p1)"
	n=$(lodge logs p1 | wc -l)
	sleep 0.4
	equal "$n" "$(lodge logs p1 | wc -l)"
	fails 1 paused lodge pause p1
	fails 1 paused lodge exec p1 true
	lodge unpause p1
	equal running "$(state p1)"
	within 5 eval '[ "$(lodge logs p1 | wc -l)" -gt '"$n"' ]'
	fails 1 paused lodge unpause p1
	# a paused one can be stopped and removed
	lodge pause p1
	lodge stop -t 1 p1
	equal exited "$(state p1)"
}

@test "wait prints the status" {
	lodge run -d --name w1 --network none bb sh -c 'sleep 0.5; exit 6'
	equal 6 "$(lodge wait w1)"
	equal 6 "$(lodge wait w1)"
	fails 1 nosuch lodge wait nosuch
}

@test "rename" {
	sleeper old
	lodge rename old new
	equal running "$(state new)"
	fails 1 old lodge inspect old
	sleeper third
	fails 1 third lodge rename new third
	fails 1 'b d' lodge rename new 'b d'
}

@test "ls: columns, -a, -q, -l, -n, filters, formats" {
	sleeper one -l k=v
	lodge run --name two --network none bb false || true
	run lodge ls
	[[ ${lines[0]} == *"CONTAINER ID"*IMAGE*COMMAND*CREATED*STATUS*PORTS*NAMES* ]]
	[[ ${lines[1]} == *bb*'"sleep 1000"'*Up*one* ]]
	equal 2 "${#lines[@]}"
	[[ $(lodge ls -a) == *"Exited (1)"*two* ]]
	[[ $(lodge ls -aq) =~ ^[0-9a-f]{12}.[0-9a-f]{12}$ ]]
	equal two "$(lodge ls -l --format '{{.Names}}')"
	equal two "$(lodge ls -n 1 --format '{{.Names}}')"
	equal two "$(lodge ls -a --filter status=exited --format '{{.Names}}')"
	equal two "$(lodge ls -a --filter exited=1 --format '{{.Names}}')"
	equal one "$(lodge ls -a --filter name=on --format '{{.Names}}')"
	lodge ls -a --format json | jq -es 'length == 2 and .[0].Names == "two"'
	[[ $(lodge ls --format 'table {{.Names}}\t{{.Status}}') == NAMES*STATUS* ]]
	fails 1 nosuch lodge ls --filter nosuch=1
	fails 1 template lodge ls --format '{{.Names'
	equal "$(lodge ls -aq)" "$(lodge ps -aq)"
}

@test "inspect: JSON and templates" {
	sleeper a1 -m 64m -e X=1 -v /vol
	lodge inspect a1 | jq -e '.[0] | .Name and .Id and .State.Running and .Config.Env and .HostConfig.Memory == 67108864'
	equal "sleep" "$(lodge inspect -f '{{index .Config.Cmd 0}}' a1)"
	equal /vol "$(lodge inspect -f '{{range .Mounts}}{{.Destination}}{{end}}' a1)"
	fails 1 nosuch lodge inspect a1 nosuch
	fails 1 Nosuch lodge inspect -f '{{.Nosuch}}' a1
}

@test "top lists the guest's processes" {
	sleeper a1
	run lodge top a1
	[[ ${lines[0]} == *PID*CMD* || ${lines[0]} == *PID*COMMAND* ]]
	[[ $output == *"sleep 1000"* ]]
	lodge stop -t 0 a1
	fails 1 running lodge top a1
}

@test "events: what happened, in order, and as it happens" {
	since=$(date +%s.%N)
	sleeper a1
	lodge stop -t 0 a1
	lodge rm a1
	run lodge events --since "$since" --until "$(($(date +%s) + 1))" --format '{{.Action}}'
	equal "create start die stop destroy" "$(grep -xE 'create|start|die|stop|destroy' <<<"$output" | xargs)"
	timeout 5 "$LODGE" events --format '{{.Action}}' >"$TEST_DIR/events" &
	sleep 0.3
	sleeper b1
	within 3 grep -q start "$TEST_DIR/events"
	kill $!
}

@test "cp: files and folders, in and out, running and stopped, through tar" {
	sleeper a1
	echo text >"$TEST_DIR/f"
	lodge cp "$TEST_DIR/f" a1:/tmp/
	equal text "$(lodge exec a1 cat /tmp/f)"
	lodge cp a1:/etc/passwd "$TEST_DIR/passwd"
	grep -q bob "$TEST_DIR/passwd"
	mkdir -p "$TEST_DIR/tree/sub"
	echo deep >"$TEST_DIR/tree/sub/x"
	ln -sf sub/x "$TEST_DIR/tree/link"
	lodge cp "$TEST_DIR/tree" a1:/opt
	equal deep "$(lodge exec a1 cat /opt/sub/x)"
	lodge cp "$TEST_DIR/tree/." a1:/tmp
	equal sub/x "$(lodge exec a1 readlink /tmp/link)"
	lodge cp a1:/opt "$TEST_DIR/back"
	diff -r "$TEST_DIR/tree" "$TEST_DIR/back"
	equal text "$(lodge cp a1:/tmp/f - | tar -xO f)"
	tar -C "$TEST_DIR" -c f | lodge cp - a1:/root
	equal text "$(lodge exec a1 cat /root/f)"
	lodge stop -t 0 a1
	lodge cp "$TEST_DIR/f" a1:/stopped
	lodge cp a1:/stopped "$TEST_DIR/again"
	cmp "$TEST_DIR/f" "$TEST_DIR/again"
	fails 1 /nothere lodge cp a1:/nothere "$TEST_DIR/x"
	fails 1 nothere lodge cp "$TEST_DIR/nothere" a1:/x
	fails 1 nosuch lodge cp nosuch:/x "$TEST_DIR/x"
	rm -rf "$TEST_DIR"/{back,tree,f,passwd,again}
}

@test "cp doesn't follow the guest's links out of its root" {
	sleeper a1
	echo secret >"$TEST_DIR/secret"
	lodge exec a1 sh -c "ln -s $TEST_DIR/secret /leak; ln -s ../../../../../..$TEST_DIR /up"
	run lodge cp -L a1:/leak "$TEST_DIR/stolen"
	[ ! -e "$TEST_DIR/stolen" ] || ! grep -q secret "$TEST_DIR/stolen"
	echo x >"$TEST_DIR/in"
	run lodge cp "$TEST_DIR/in" a1:/up/planted
	[ ! -e "$TEST_DIR/planted" ]
	rm -f "$TEST_DIR"/{secret,stolen,in}
}

@test "diff names what was added, changed and deleted" {
	lodge run --name d1 --network none bb sh -c 'touch /new; rm /etc/group; echo x >>/etc/passwd; mkdir /folder'
	run lodge diff d1
	[[ $output == *"A /new"* && $output == *"D /etc/group"* && $output == *"C /etc/passwd"* ]]
	[[ $output == *"A /folder"* && $output == *"C /etc"* ]]
	[[ $output != *proc* && $output != *dev* ]]
}

@test "diff doesn't tell of what every guest gets; it does of other mount points" {
	# an image without any of it
	mkdir -p "$TEST_DIR/bare/bin"
	cp "$(readlink -f "$(command -v busybox)")" "$TEST_DIR/bare/bin/busybox"
	lodge image import "$TEST_DIR/bare" bare >/dev/null
	for image in bb bare; do
		lodge run --name "d-$image" "$image" /bin/busybox true
		equal "" "$(lodge diff "d-$image")"
	done
	lodge run --name d2 --network none --tmpfs /data -w /work bb sh -c 'chmod 700 /etc'
	equal "A /data,C /etc,A /work" "$(lodge diff d2 | paste -sd,)"
	lodge run --name d3 bare /bin/busybox sh -c '/bin/busybox rm -f /etc/nosuch; echo 1 >/etc/mine'
	equal "A /etc,A /etc/mine" "$(lodge diff d3 | paste -sd,)"
	lodge rm d-bare d3 >/dev/null
	lodge image rm bare >/dev/null
	rm -r "$TEST_DIR/bare"
}

@test "export is the whole root as a tar" {
	lodge run --name x1 --network none bb sh -c 'echo mine >/mine; rm /etc/group'
	lodge export x1 >"$TEST_DIR/x.tar"
	tar -tf "$TEST_DIR/x.tar" >"$TEST_DIR/list"
	grep -qE '^(\./)?bin/busybox$' "$TEST_DIR/list"
	grep -qE '^(\./)?mine$' "$TEST_DIR/list"
	! grep -qE 'etc/group$' "$TEST_DIR/list"
	lodge export -o "$TEST_DIR/y.tar" x1
	cmp "$TEST_DIR/x.tar" "$TEST_DIR/y.tar"
	rm "$TEST_DIR"/{x,y}.tar
}

@test "rm: what is running isn't removed; -f of nothing is an error" {
	sleeper a1
	fails 1 a1 lodge rm a1
	equal a1 "$(lodge rm -f a1)"
	fails 1 nosuch lodge rm nosuch
}
