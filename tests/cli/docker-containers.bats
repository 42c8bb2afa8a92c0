#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The Engine API's containers and execs: docker's own client against our server, and requests by hand.

load ../lib

prepare() {
	file_server "$LODGE" serve docker --socket "$TEST_DIR/docker.sock" --access-log -
	within 5 test -S "$TEST_DIR/docker.sock"
}

export DOCKER_HOST=unix://$TEST_DIR/docker.sock

docker() {
	timeout -k 1 30 /usr/bin/docker "$@"
}

# api METHOD PATH [BODY]: the status and the body.
api() {
	local body=()
	[ $# -lt 3 ] || body=(-H 'Content-Type: application/json' -d "$3")
	curl -s --max-time 20 --unix-socket "$TEST_DIR/docker.sock" -X "$1" -w '\n%{http_code}' "${body[@]}" "http://d/v1.41$2"
}

status() {
	api "$@" | tail -n 1
}

# says STATUS TEXT METHOD PATH [BODY]
says() {
	local want=$1 text=$2 got
	shift 2
	got=$(api "$@")
	equal "$want" "$(tail -n 1 <<<"$got")"
	grep -qF -- "$text" <<<"$(head -n -1 <<<"$got" | jq -r .message)" || {
		echo "wanted: $text, got: $got" >&2
		return 1
	}
}

@test "run: output, errors, exit status, input; --rm leaves nothing" {
	equal "hello" "$(docker run --rm bb echo hello)"
	run --separate-stderr docker run --rm bb sh -c 'echo out; echo err >&2; exit 3'
	equal 3 "$status"
	equal out "$output"
	equal err "$stderr"
	equal "input" "$(echo input | docker run --rm -i bb cat)"
	head -c 3000000 /dev/urandom >"$TEST_DIR/bytes"
	equal "$(sha256sum <"$TEST_DIR/bytes")" "$(docker run --rm -i bb sha256sum <"$TEST_DIR/bytes")"
	docker run --rm -i bb cat <"$TEST_DIR/bytes" | cmp - "$TEST_DIR/bytes"
	run docker run --rm bb nosuch
	equal 127 "$status"
	equal "" "$(lodge ls -aq)"
}

@test "a hundred short commands: no output is lost" {
	for i in $(seq 100); do
		echo "$i"
	done >"$TEST_DIR/want"
	seq 100 | xargs -P 4 -I N timeout -k 1 60 /usr/bin/docker run --rm --network none bb echo N | sort -n >"$TEST_DIR/got"
	cmp "$TEST_DIR/want" "$TEST_DIR/got"
}

@test "a terminal: raw bytes, and its size" {
	script -qec "stty rows 33 cols 77; timeout 20 /usr/bin/docker run --rm -t bb sh -c 'sleep 0.5; stty size'" /dev/null >"$TEST_DIR/tty"
	grep -q "33 77" "$TEST_DIR/tty"
	docker run -d -t --name tty bb sleep 100
	equal true "$(docker inspect -f '{{.Config.Tty}}' tty)"
	equal 200 "$(status POST '/containers/tty/resize?h=44&w=99')"
	equal "44 99" "$(docker exec tty stty -F /proc/1/fd/0 size)"
	script -qec "stty rows 22 cols 55; timeout 20 /usr/bin/docker exec -t tty sh -c 'sleep 0.5; stty size'" /dev/null >"$TEST_DIR/tty"
	grep -q "22 55" "$TEST_DIR/tty"
}

@test "exec: streams, environment, folder, user, exit status, inspect" {
	docker run -d --name ee bb sleep 100
	equal "out" "$(docker exec ee echo out)"
	run --separate-stderr docker exec ee sh -c 'echo err >&2; exit 7'
	equal 7 "$status"
	equal err "$stderr"
	equal "x" "$(echo x | docker exec -i ee cat)"
	equal "1:/tmp:1000" "$(docker exec -e A=1 -w /tmp -u bob ee sh -c 'echo $A:$PWD:$(id -u)')"
	run docker exec ee nosuch
	equal 127 "$status"
	id=$(api POST /containers/ee/exec '{"Cmd": ["sh", "-c", "exit 4"]}' | head -n 1 | jq -r .Id)
	equal false "$(api GET "/exec/$id/json" | head -n 1 | jq .Running)"
	equal 200 "$(status POST "/exec/$id/start" '{"Detach": true}')"
	within 5 eval '[ "$(api GET "/exec/$id/json" | head -n 1 | jq .ExitCode)" = 4 ]'
	says 409 "already exited" POST "/exec/$id/start" '{"Detach": true}'
	says 404 "No such exec instance: nix" GET /exec/nix/json
	says 400 "No exec command specified" POST /containers/ee/exec '{"Cmd": []}'
	docker exec -d ee sh -c 'echo made >/made'
	within 5 docker exec ee test -e /made
}

@test "create, start, attach, wait, logs" {
	docker create --name cc -i bb sh -c 'read a; echo "got $a"; echo bad >&2' >/dev/null
	equal created "$(docker inspect -f '{{.State.Status}}' cc)"
	equal "got word" "$(echo word | docker start -ai cc 2>/dev/null)"
	equal 0 "$(docker wait cc)"
	equal "got word" "$(docker logs cc 2>/dev/null)"
	equal bad "$(docker logs cc 2>&1 >/dev/null)"
	docker logs -t cc 2>/dev/null | grep -qE '^20[0-9-]+T[0-9:.]+Z got word$'
	equal "" "$(docker logs --tail 0 cc 2>&1)"
	docker run -d --name ff bb sh -c 'for i in 1 2 3; do echo $i; sleep 0.2; done'
	equal "1 2 3" "$(docker logs -f ff | xargs)"
	docker run -d --name ww bb sh -c 'sleep 0.3; exit 9'
	equal 9 "$(docker wait ww)"
	equal 304 "$(status POST /containers/ww/stop)"
	says 400 'invalid condition: "never"' POST '/containers/ww/wait?condition=never'
}

@test "attach to one that runs; the client's end isn't the container's" {
	docker run -d -i --name aa bb sh -c 'while read x; do echo "<$x>"; done'
	(echo one; sleep 1) | docker attach aa >"$TEST_DIR/out" || true
	equal "<one>" "$(cat "$TEST_DIR/out")"
}

@test "pause, unpause, rename, kill, restart, top, changes, stats" {
	docker run -d --name pp bb sh -c 'trap "exit 5" USR1; while :; do sleep 0.1; done'
	docker pause pp
	equal paused "$(docker inspect -f '{{.State.Status}}' pp)"
	says 409 "is already paused" POST /containers/pp/pause
	docker unpause pp
	says 409 "is not paused" POST /containers/pp/unpause
	docker rename pp qq
	says 404 "No such container: p" GET /containers/pp/json
	docker exec qq sh -c 'echo x >/new; rm /etc/group'
	equal "A /new" "$(docker diff qq | grep new)"
	docker diff qq | grep -q "D /etc/group"
	docker top qq | grep -q sleep
	equal 1 "$(docker stats --no-stream --format '{{.Name}} {{.PIDs}}' qq | grep -c '^qq [1-9]')"
	pid=$(docker inspect -f '{{.State.Pid}}' qq)
	docker restart -t 1 qq
	[ "$pid" != "$(docker inspect -f '{{.State.Pid}}' qq)" ]
	within 5 docker exec qq true
	docker kill -s USR1 qq
	equal 5 "$(docker wait qq)"
	says 409 "is not running" POST /containers/qq/kill
	says 400 "invalid signal: NIX" POST '/containers/qq/kill?signal=NIX'
}

@test "cp and export: archives, the header of a path" {
	docker run -d --name xx bb sleep 100
	echo data >"$TEST_DIR/file"
	docker cp "$TEST_DIR/file" xx:/tmp/there
	equal data "$(docker exec xx cat /tmp/there)"
	docker cp xx:/tmp/there "$TEST_DIR/back"
	cmp "$TEST_DIR/file" "$TEST_DIR/back"
	docker cp xx:/etc - | tar -t | grep -q '^etc/passwd$'
	docker export xx | tar -tv | grep -q 'tmp/there$'
	stat=$(curl -sI --unix-socket "$TEST_DIR/docker.sock" "http://d/v1.41/containers/xx/archive?path=/etc" |
		tr -d '\r' | sed -n 's/^X-Docker-Container-Path-Stat: //p' | base64 -d)
	equal '["etc",2147484141]' "$(jq -c '[.name, .mode]' <<<"$stat")"
	says 404 "Could not find the file /nix in container x" GET '/containers/xx/archive?path=/nix'
	docker stop -t 0 xx
	docker cp xx:/tmp/there - | tar -xO | grep -q data
	says 400 "extraction point is not a directory" PUT '/containers/xx/archive?path=/etc/passwd'
}

@test "ps: filters, sizes, ports, what is shown" {
	docker run -d --name l1 --label a=1 --label b=2 -p 127.0.0.1:18080:80 bb sleep 100
	docker run --name l2 bb false || true
	equal l1 "$(docker ps --format '{{.Names}}')"
	equal "l2 l1" "$(docker ps -a --format '{{.Names}}' | xargs)"
	equal l1 "$(docker ps -aqf label=a=1 --format '{{.Names}}')"
	equal "" "$(docker ps -aqf label=a=2)"
	equal l2 "$(docker ps -af exited=1 --format '{{.Names}}')"
	equal l2 "$(docker ps -f status=exited --format '{{.Names}}')"
	equal l1 "$(docker ps -af name=^/l1$ --format '{{.Names}}')"
	equal "l2 l1" "$(docker ps -af ancestor=bb --format '{{.Names}}' | xargs)"
	equal l2 "$(docker ps -af since=l1 --format '{{.Names}}')"
	equal l1 "$(docker ps -f publish=18080 --format '{{.Names}}')"
	equal "127.0.0.1:18080->80/tcp" "$(docker ps --format '{{.Ports}}')"
	equal 18080 "$(docker port l1 80/tcp | cut -d: -f2)"
	[ "$(docker ps -as --format '{{.Size}}' | wc -l)" = 2 ]
	says 400 "invalid filter 'nix'" GET '/containers/json?filters=%7B%22nix%22%3A%5B%22x%22%5D%7D'
	docker rm -f l1
	equal l2 "$(docker ps -a --format '{{.Names}}')"
	docker container prune -f | grep -q "Deleted Containers"
	equal "" "$(docker ps -aq)"
}

@test "HostConfig: what is asked for is seen inside and by inspect" {
	docker volume create vol >/dev/null 2>&1 || lodge volume create vol
	docker run -d --name hh --hostname box -e A=b -w /tmp -u 1000:50 -m 64m --cpus 0.5 --pids-limit 77 --read-only \
		--tmpfs /scratch:size=1m -v vol:/data -v "$TEST_DIR:/host:ro" --cap-drop ALL --cap-add NET_BIND_SERVICE \
		--add-host there:10.1.2.3 --dns 10.9.9.9 --ulimit nofile=100:200 --shm-size 1m --init --oom-score-adj 100 \
		--sysctl net.ipv4.ip_default_ttl=42 --security-opt no-new-privileges --stop-signal USR1 --restart on-failure:3 \
		--group-add 1234 bb sleep 100
	equal box "$(docker exec hh hostname)"
	equal "b /tmp 1000 50" "$(docker exec hh sh -c 'echo $A $PWD $(id -u) $(id -g)')"
	docker exec hh id | grep -q 1234
	fails_quietly docker exec hh touch /x
	docker exec hh touch /scratch/x
	docker exec hh sh -c 'grep -q there /etc/hosts && grep -q "127.0.0.11\|10.9.9.9" /etc/resolv.conf'
	equal 100 "$(docker exec hh sh -c 'ulimit -n')"
	equal 42 "$(docker exec hh cat /proc/sys/net/ipv4/ip_default_ttl)"
	equal 0000000000000400 "$(docker exec -u 0 hh sed -n 's/^CapBnd:\t//p' /proc/1/status)"
	equal 1 "$(docker exec hh sed -n 's/^NoNewPrivs:\t//p' /proc/1/status)"
	equal "67108864 500000000 77 true 1048576" \
		"$(docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.ShmSize}}' hh)"
	equal "USR1 on-failure 3" "$(docker inspect -f '{{.Config.StopSignal}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' hh)"
	equal "/data volume /host bind" "$(docker inspect hh | jq -r '[.[0].Mounts[] | select(.Type != "tmpfs") | .Destination, .Type] | join(" ")')"
	docker run --rm --mount type=bind,source="$TEST_DIR",target=/m,readonly bb test -e /m/bb.tar
	equal vm "$(docker create --isolation vm --name vm bb true >/dev/null && docker inspect -f '{{.HostConfig.Isolation}}' vm)"
	equal vm "$(lodge inspect -f '{{.Kind}}' vm)"
}

@test "update: limits and the restart policy of one that runs" {
	docker run -d --name up -m 64m bb sh -c 'sleep 8; exit 1'
	docker update -m 32m --memory-swap 64m --cpus 0.25 --pids-limit 55 --restart on-failure:1 up
	equal "33554432 250000000 on-failure" "$(docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.RestartPolicy.Name}}' up)"
	equal 33554432 "$(docker exec up cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)"
	equal 33554432 "$(docker stats --no-stream --format '{{.MemUsage}}' up | grep -o '32MiB' | sed 's/32MiB/33554432/')"
	# the policy holds for the one that runs already
	within 25 eval '[ "$(docker inspect -f "{{.RestartCount}}" up)" = 1 ]'
	says 400 "Minimum memory limit" POST /containers/up/update '{"Memory": 5}'
}

fails_quietly() {
	! "$@" >/dev/null 2>&1
}

@test "bad requests: docker's statuses and words, and nothing is left" {
	says 404 "No such container: nix" GET /containers/nix/json
	says 404 "No such image: nix:latest" POST /containers/create '{"Image": "nix"}'
	says 400 "invalid JSON" POST /containers/create '{"Image": '
	says 400 "Memory" POST /containers/create '{"Image": "bb", "HostConfig": {"Memory": "much"}}'
	says 400 "Minimum memory limit allowed is 512KB" POST /containers/create '{"Image": "bb", "HostConfig": {"Memory": 1000}}'
	says 400 "invalid restart policy" POST /containers/create '{"Image": "bb", "HostConfig": {"RestartPolicy": {"Name": "often"}}}'
	says 400 "AutoRemove" POST /containers/create '{"Image": "bb", "HostConfig": {"AutoRemove": true, "RestartPolicy": {"Name": "always"}}}'
	says 400 "mount path must be absolute" POST /containers/create '{"Image": "bb", "HostConfig": {"Mounts": [{"Type": "bind", "Source": "x", "Target": "/y"}]}}'
	says 400 "bind source path does not exist: /nix" POST /containers/create '{"Image": "bb", "HostConfig": {"Mounts": [{"Type": "bind", "Source": "/nix", "Target": "/y"}]}}'
	says 501 "DeviceRequests" POST /containers/create '{"Image": "bb", "HostConfig": {"DeviceRequests": [{"Count": 1}]}}'
	says 404 "page not found" GET /nowhere
	docker create --name one bb true
	says 409 'The container name "/one" is already in use' POST '/containers/create?name=one' '{"Image": "bb", "Cmd": ["true"]}'
	says 400 "invalid value" GET '/containers/one/logs?stdout=1&since=never'
	says 400 "you must choose at least one stream" GET /containers/one/logs
	docker start one
	within 5 eval '[ "$(docker inspect -f "{{.State.Status}}" one)" = exited ]'
	docker run -d --name two bb sleep 100
	says 409 "stop the container before removing or force remove" DELETE /containers/two
	equal 204 "$(status DELETE '/containers/two?force=1')"
	# a version that we don't speak, either way
	equal 400 "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$TEST_DIR/docker.sock" http://d/v1.99/containers/json)"
	equal 400 "$(curl -s -o /dev/null -w '%{http_code}' --unix-socket "$TEST_DIR/docker.sock" http://d/v1.12/containers/json)"
}

@test "a kill ends what a stop waits for; nobody else waits for either" {
	docker run -d --name slow bb sh -c 'trap "" TERM; while :; do sleep 0.1; done'
	sleep 0.3
	for _ in 1 2 3 4 5 6; do
		curl -s --unix-socket "$TEST_DIR/docker.sock" -X POST "http://d/v1.41/containers/slow/stop?t=600" >/dev/null &
	done
	sleep 0.5
	timeout 3 curl -sf --unix-socket "$TEST_DIR/docker.sock" http://d/v1.41/containers/json >/dev/null
	equal 204 "$(status POST /containers/slow/kill)"
	within 5 eval '[ "$(docker inspect -f "{{.State.Status}}" slow)" = exited ]'
	wait
	equal 137 "$(docker inspect -f '{{.State.ExitCode}}' slow)"
}

@test "requests of any shape: no process dies of them" {
	for path in /images/%zz/json /images/%00/json /containers/%zz/json /networks/%zz /exec/%zz/json /volumes/%zz; do
		says 400 "invalid URL escape" GET $path
	done
	says 400 "PortBindings.80/tcp is no list" POST /containers/create '{"Image": "bb", "HostConfig": {"PortBindings": {"80/tcp": "8080"}}}'
	says 400 "HostPort is no string" POST /containers/create '{"Image": "bb", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": 8080}]}}}'
	says 501 "'/sys/x' can't be hidden" POST /containers/create '{"Image": "bb", "HostConfig": {"MaskedPaths": ["/sys/x"]}}'
	says 501 "only be empty together" POST /containers/create '{"Image": "bb", "HostConfig": {"ReadonlyPaths": []}}'
	docker run --rm --security-opt systempaths=unconfined bb sh -c 'test -w /proc/sys/net/ipv4/ip_forward'
	says 501 "StorageOpt" POST /containers/create '{"Image": "bb", "HostConfig": {"StorageOpt": {"size": "1G"}}}'
	docker run -d --name shape --pids-limit 50 bb sleep 100
	equal 200 "$(status POST /containers/shape/update '{"Privileged": true, "PidsLimit": -1}')"
	equal "false -1" "$(docker inspect -f '{{.HostConfig.Privileged}} {{.HostConfig.PidsLimit}}' shape)"
	docker exec shape sh -c 'cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null' | grep -qx max
	equal "past" "$(docker run -d --name past bb sh -c 'echo past; sleep 100' >/dev/null; sleep 0.5
		curl -sN --max-time 2 --unix-socket "$TEST_DIR/docker.sock" -X POST \
			"http://d/v1.41/containers/past/attach?logs=1&stdout=1" | tail -c 5 | tr -d '\n')"
}

@test "who waits for a container that is removed is told" {
	docker create -i --name early bb cat
	curl -s -N --max-time 20 --unix-socket "$TEST_DIR/docker.sock" -X POST "http://d/v1.41/containers/early/attach?stream=1&stdout=1" &
	within 5 eval 'pgrep -x lodge-taker'
	docker rm early
	within 5 eval '! pgrep -x lodge-taker'
	wait
}

@test "clients that vanish leave no process behind" {
	docker run -d --name vv bb sleep 100
	for path in 'logs?follow=1&stdout=1' 'stats'; do
		curl -s -N --max-time 1 --unix-socket "$TEST_DIR/docker.sock" "http://d/v1.41/containers/vv/$path" >/dev/null || true
	done
	curl -s --max-time 1 --unix-socket "$TEST_DIR/docker.sock" -X POST "http://d/v1.41/containers/vv/wait" >/dev/null || true
	docker create -i --name never bb cat
	timeout -s KILL 1 /usr/bin/docker attach never || true
	timeout -s KILL 1 curl -s -N --unix-socket "$TEST_DIR/docker.sock" -X POST -H 'Connection: Upgrade' -H 'Upgrade: tcp' \
		"http://d/v1.41/containers/never/attach?stream=1&stdout=1" || true
	within 8 eval '! pgrep -x lodge-taker'
	equal running "$(docker inspect -f '{{.State.Status}}' vv)"
}
