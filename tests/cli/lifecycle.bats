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
	id=$(lodge create --name g --network none bb sh -c 'trap "exit 9" TERM; echo up; while :; do sleep 0.02; done')
	[[ $id =~ ^[0-9a-f]{64}$ ]]
	equal created "$(state g)"
	equal g "$(lodge start g)"
	equal running "$(state g)"
	within 5 has_log g up
	equal g "$(lodge stop g)"
	equal exited "$(state g)"
	equal 9 "$(lodge inspect --format '{{.State.ExitCode}}' g)"
	lodge start g
	equal running "$(state g)"
	fails 1 running lodge rm g
	lodge rm -f g
	fails 1 g lodge inspect g
	# start of a running one, stop of a stopped one: nothing to do
	sleeper s
	lodge start s
	lodge stop -t 0 s
	lodge stop -t 0 s
}

@test "commands take ids, unique prefixes and several names" {
	sleeper a
	sleeper b
	id=$(lodge inspect --format '{{.Id}}' a)
	equal running "$(state "$id")"
	equal running "$(state "${id:0:12}")"
	run lodge stop -t 0 a b nosuch
	[ "$status" = 1 ]
	[[ $output == *a* && $output == *b* && $output == *"'nosuch'"* ]]
	equal exited "$(state a)"
	equal exited "$(state b)"
	lodge rm a b
}

@test "kill: by signal name and number; restart policies don't matter" {
	sleeper a
	lodge kill -s KILL a
	within 3 is_state a exited
	equal 137 "$(lodge inspect --format '{{.State.ExitCode}}' a)"
	lodge run -d --name t --network none bb sh -c 'trap "echo usr1" USR1; echo up; while :; do sleep 0.02; done'
	within 5 has_log t up
	lodge kill -s 10 t
	within 5 has_log t usr1
	lodge kill --signal SIGUSR1 t
	equal running "$(state t)"
	fails 1 running lodge kill a
	fails 1 NOSUCH lodge kill -s NOSUCH t
}

@test "restart" {
	polite a
	pid=$(guest_pid a)
	lodge restart a
	equal running "$(state a)"
	[ "$pid" != "$(guest_pid a)" ]
	lodge stop a
	lodge restart a
	equal running "$(state a)"
}

@test "pause and unpause" {
	lodge run -d --name p --network none bb sh -c 'while :; do echo tick; sleep 0.05; done'
	within 5 has_log p tick
	lodge pause p
	equal paused "$(state p)"
	n=$(lodge logs p | wc -l)
	sleep 0.4
	equal "$n" "$(lodge logs p | wc -l)"
	fails 1 paused lodge pause p
	fails 1 paused lodge exec p true
	lodge unpause p
	equal running "$(state p)"
	within 5 eval '[ "$(lodge logs p | wc -l)" -gt '"$n"' ]'
	fails 1 paused lodge unpause p
	# a paused one can be stopped and removed
	lodge pause p
	lodge stop -t 1 p
	equal exited "$(state p)"
}

@test "wait prints the status" {
	lodge run -d --name w --network none bb sh -c 'sleep 0.5; exit 6'
	equal 6 "$(lodge wait w)"
	equal 6 "$(lodge wait w)"
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
	equal "$(lodge ls -a)" "$(lodge ps -a)"
}

@test "inspect: JSON and templates" {
	sleeper a -m 64m -e X=1 -v /vol
	lodge inspect a | jq -e '.[0] | .Name and .Id and .State.Running and .Config.Env and .HostConfig.Memory == 67108864'
	equal "sleep" "$(lodge inspect -f '{{index .Config.Cmd 0}}' a)"
	equal /vol "$(lodge inspect -f '{{range .Mounts}}{{.Destination}}{{end}}' a)"
	fails 1 nosuch lodge inspect a nosuch
	fails 1 Nosuch lodge inspect -f '{{.Nosuch}}' a
}

@test "top lists the guest's processes" {
	sleeper a
	run lodge top a
	[[ ${lines[0]} == *PID*CMD* || ${lines[0]} == *PID*COMMAND* ]]
	[[ $output == *"sleep 1000"* ]]
	lodge stop -t 0 a
	fails 1 running lodge top a
}

@test "events: what happened, in order, and as it happens" {
	since=$(date +%s)
	sleeper a
	lodge stop -t 0 a
	lodge rm a
	run lodge events --since "$since" --until "$(($(date +%s) + 1))" --format '{{.Action}}'
	equal "create start die stop destroy" "$(grep -xE 'create|start|die|stop|destroy' <<<"$output" | xargs)"
	timeout 5 "$LODGE" events --format '{{.Action}}' >"$TEST_DIR/events" &
	sleep 0.3
	sleeper b
	within 3 grep -q start "$TEST_DIR/events"
	kill $!
}

@test "cp: files and folders, in and out, running and stopped, through tar" {
	sleeper a
	echo text >"$TEST_DIR/f"
	lodge cp "$TEST_DIR/f" a:/tmp/
	equal text "$(lodge exec a cat /tmp/f)"
	lodge cp a:/etc/passwd "$TEST_DIR/passwd"
	grep -q bob "$TEST_DIR/passwd"
	mkdir -p "$TEST_DIR/tree/sub"
	echo deep >"$TEST_DIR/tree/sub/x"
	ln -sf sub/x "$TEST_DIR/tree/link"
	lodge cp "$TEST_DIR/tree" a:/opt
	equal deep "$(lodge exec a cat /opt/sub/x)"
	lodge cp "$TEST_DIR/tree/." a:/tmp
	equal sub/x "$(lodge exec a readlink /tmp/link)"
	lodge cp a:/opt "$TEST_DIR/back"
	diff -r "$TEST_DIR/tree" "$TEST_DIR/back"
	equal text "$(lodge cp a:/tmp/f - | tar -xO f)"
	tar -C "$TEST_DIR" -c f | lodge cp - a:/root
	equal text "$(lodge exec a cat /root/f)"
	lodge stop -t 0 a
	lodge cp "$TEST_DIR/f" a:/stopped
	lodge cp a:/stopped "$TEST_DIR/again"
	cmp "$TEST_DIR/f" "$TEST_DIR/again"
	fails 1 /nothere lodge cp a:/nothere "$TEST_DIR/x"
	fails 1 nothere lodge cp "$TEST_DIR/nothere" a:/x
	fails 1 nosuch lodge cp nosuch:/x "$TEST_DIR/x"
	rm -rf "$TEST_DIR"/{back,tree,f,passwd,again}
}

@test "cp doesn't follow the guest's links out of its root" {
	sleeper a
	echo secret >"$TEST_DIR/secret"
	lodge exec a sh -c "ln -s $TEST_DIR/secret /leak; ln -s ../../../../../..$TEST_DIR /up"
	run lodge cp -L a:/leak "$TEST_DIR/stolen"
	[ ! -e "$TEST_DIR/stolen" ] || ! grep -q secret "$TEST_DIR/stolen"
	echo x >"$TEST_DIR/in"
	run lodge cp "$TEST_DIR/in" a:/up/planted
	[ ! -e "$TEST_DIR/planted" ]
	rm -f "$TEST_DIR"/{secret,stolen,in}
}

@test "diff names what was added, changed and deleted" {
	lodge run --name d --network none bb sh -c 'touch /new; rm /etc/group; echo x >>/etc/passwd; mkdir /folder'
	run lodge diff d
	[[ $output == *"A /new"* && $output == *"D /etc/group"* && $output == *"C /etc/passwd"* ]]
	[[ $output == *"A /folder"* && $output == *"C /etc"* ]]
	[[ $output != *proc* && $output != *dev* ]]
}

@test "export is the whole root as a tar" {
	lodge run --name x --network none bb sh -c 'echo mine >/mine; rm /etc/group'
	lodge export x >"$TEST_DIR/x.tar"
	tar -tf "$TEST_DIR/x.tar" >"$TEST_DIR/list"
	grep -qE '^(\./)?bin/busybox$' "$TEST_DIR/list"
	grep -qE '^(\./)?mine$' "$TEST_DIR/list"
	! grep -qE 'etc/group$' "$TEST_DIR/list"
	lodge export -o "$TEST_DIR/y.tar" x
	cmp "$TEST_DIR/x.tar" "$TEST_DIR/y.tar"
	rm "$TEST_DIR"/{x,y}.tar
}

@test "rm: what is running isn't removed; -f of nothing is an error" {
	sleeper a
	fails 1 a lodge rm a
	equal a "$(lodge rm -f a)"
	fails 1 nosuch lodge rm nosuch
}
