#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The Engine API's section "System", and what is refused.

load ../lib
load ../docker-api

prepare() {
	serve_docker
}

@test "ping, version, info" {
	api GET /_ping
	is 200
	api GET /version
	is 200 .ApiVersion 1.47
	api GET /info
	is 200 '.NCPU == '"$(nproc)"' and .KernelVersion == "'"$(uname -r)"'" and .Name == "'"$(uname -n)"'"'
	is 200 '.Images == 1 and .DockerRootDir == "'"$LODGE_ROOT"'" and .OSType == "linux" and .Driver == "erofs"'
	is 200 '.MemTotal/1024|floor' "$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)"
	id=$(jq -r .ID "$TEST_DIR/body")
	api GET /v1.41/info
	is 200 .ID "$id"
	is 200 'has("KernelMemory") and (has("CDISpecDirs")|not)'
}

@test "disk usage" {
	lodge create --name user bb true
	api GET /system/df
	is 200 '.Images[0].Containers == 1 and .LayersSize > 0 and .BuildCache == []'
	api GET '/system/df?type=image'
	is 200 '.Volumes == null and (.Images|length) == 1'
	api GET '/system/df?type=nonsense'
	says 400 'unknown object type: nonsense'
	api GET /v1.41/system/df
	is 200 '.Images[0].VirtualSize > 0'
}

# events SINCE FILTERS: until now
events() {
	api GET /events -G --data-urlencode "since=$1" --data-urlencode "until=$(date +%s.%N)" \
		--data-urlencode "filters=${2:-{\}}"
}

@test "events of all types, past ones" {
	since=$(date +%s.%N)
	lodge run --name ev --label a=b bb true
	id=$(lodge inspect --format '{{.Id}}' ev)
	lodge image tag bb evtag:1
	lodge image rm evtag:1
	post /volumes/create '{"Name":"evvol"}'
	api DELETE /volumes/evvol
	post /networks/create '{"Name":"evnet"}'
	api DELETE /networks/evnet
	lodge rm ev
	events "$since"
	is 200
	equal 'container create
container start
container die
image tag
image untag
volume create
volume destroy
network create
network destroy
container destroy' "$(jq -r '.Type + " " + .Action' "$TEST_DIR/body")"
	events "$since" '{"type":["container"],"event":["die"]}'
	is 200 .Actor.Attributes.exitCode 0
	is 200 '.id == "'"$id"'" and .status == "die" and .scope == "local" and .time * 1000000000 <= .timeNano'
	events "$since" '{"label":["a=b"],"event":["start"]}'
	is 200 .Actor.Attributes.name ev
	events "$since" '{"volume":["evvol"]}'
	equal 'create destroy' "$(jq -r .Action "$TEST_DIR/body" | xargs)"
	events "$since" '{"container":["ev"]}'
	equal 'create start die destroy' "$(jq -r .Action "$TEST_DIR/body" | xargs)"
	api GET '/events?since=20&until=10'
	says 400 'cannot be after'
}

@test "events that come while one waits, and the watcher's end" {
	curl -sN --unix-socket "$DOCKER_SOCKET" http://d/v1.47/events >"$TEST_DIR/live" 3>&- &
	watcher=$!
	within 5 pgrep -x lodge-taker
	sleep 0.2
	lodge image tag bb live:1
	within 5 grep -q '"Action":"tag"' "$TEST_DIR/live"
	lodge image rm live:1
	kill $watcher
	within 5 eval '! pgrep -x lodge-taker'
}

@test "who we are to a registry" {
	htpasswd -Bbc "$TEST_DIR/users" joe secret 2>/dev/null
	"$LODGE" registry serve --root "$TEST_DIR/depot" --listen 127.0.0.1:5057 --htpasswd "$TEST_DIR/users" >/dev/null 2>&1 3>&- &
	server=$!
	within 5 eval 'curl -s -o /dev/null http://127.0.0.1:5057/v2/'
	post /auth '{"username":"joe","password":"secret","serveraddress":"127.0.0.1:5057"}'
	is 200 .Status 'Login Succeeded'
	post /auth '{"username":"joe","password":"wrong","serveraddress":"127.0.0.1:5057"}'
	says 401 unauthorized
	lodge image tag bb 127.0.0.1:5057/bb:1
	api POST '/images/127.0.0.1:5057/bb/push?tag=1' -H "X-Registry-Auth: $(printf '{"username":"joe","password":"secret"}' | base64 -w0)"
	is 200 'select(.aux)|.aux.Tag' 1
	api POST '/images/127.0.0.1:5057/bb/push?tag=1'
	grep -q '"error"' "$TEST_DIR/body"
	lodge image rm 127.0.0.1:5057/bb:1
	api POST '/images/create?fromImage=127.0.0.1:5057/bb&tag=1'
	is 404
	kill $server
}

@test "what isn't here says so" {
	api POST /session
	is 501
	api POST /build
	says 501 'build is not supported yet'
	api POST /build/prune
	is 200 '.SpaceReclaimed' 0
	for path in /swarm /nodes /services /tasks /secrets /configs /nodes/x /services/x; do
		api GET $path
		says 503 'This node is not a swarm manager'
	done
	api POST /swarm/leave
	says 503 'not part of a swarm'
	api GET /plugins
	is 200 . '[]'
	api GET /plugins/x/json
	says 404 'plugin "x" not found'
	api POST /plugins/pull
	is 501
}
