#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The Engine API's volumes.

load ../lib
load ../docker-api

prepare() {
	serve_docker
}

@test "volumes are made, shown, listed and removed" {
	post /volumes/create '{"Name":"data","Labels":{"a":"b"}}'
	is 201 .Name data
	is 201 .Driver local
	is 201 '.Mountpoint == "'"$LODGE_ROOT"'/volumes/data"'
	[ -d "$LODGE_ROOT/volumes/data" ]
	post /volumes/create '{"Name":"data"}'
	is 201 .Labels.a b
	api GET /volumes/data
	is 200 '.Labels == {"a":"b"} and .Options == null and .Scope == "local"'
	api GET /volumes
	is 200 '[.Volumes[].Name]|join(" ")' data
	api DELETE /volumes/data
	is 204
	[ ! -e "$LODGE_ROOT/volumes/data" ]
	api GET /volumes/data
	says 404 'get data: no such volume'
	api DELETE /volumes/data
	says 404 'get data: no such volume'
	api DELETE '/volumes/data?force=1'
	is 204
}

@test "volumes without a name are anonymous, and prune takes them alone" {
	post /volumes/create '{}'
	is 201 '.Name|length' 64
	is 201 '.Labels|has("com.docker.volume.anonymous")'
	head -c 5000 /dev/zero >"$(jq -r .Mountpoint "$TEST_DIR/body")/file"
	post /volumes/create '{"Name":"kept","Labels":{"keep":"1"}}'
	is 201
	api POST /volumes/prune
	is 200 '(.VolumesDeleted|length) == 1 and .SpaceReclaimed == 5000'
	api POST /volumes/prune -G --data-urlencode 'filters={"all":["1"],"label!":["keep"]}'
	is 200 '.VolumesDeleted|length' 0
	api POST /volumes/prune -G --data-urlencode 'filters={"all":["1"],"label":["keep=1"]}'
	is 200 '.VolumesDeleted[0]' kept
	post /volumes/create '{"Name":"old"}'
	api POST /v1.41/volumes/prune
	is 200 '.VolumesDeleted[0]' old
}

@test "filters of the list" {
	post /volumes/create '{"Name":"v1","Labels":{"x":"1"}}'
	post /volumes/create '{"Name":"v2"}'
	lodge run -d --name user -v v2:/v bb sleep 100
	for pair in 'name=v1:v1' 'label=x=1:v1' 'dangling=true:v1' 'dangling=false:v2' 'driver=local:v1 v2' 'driver=x:'; do
		word=${pair%:*}
		api GET /volumes -G --data-urlencode "filters={\"${word%%=*}\":{\"${word#*=}\":true}}"
		is 200 '[.Volumes[].Name]|join(" ")' "${pair##*:}"
	done
	api GET /volumes -G --data-urlencode 'filters={"nope":["1"]}'
	says 400 "invalid filter 'nope'"
	api DELETE /volumes/v2
	says 409 "remove v2: volume is in use - [$(lodge inspect --format '{{.Id}}' user)]"
	api GET '/system/df?type=volume'
	is 200 '[.Volumes[]|select(.Name == "v2")|.UsageData.RefCount][0]' 1
}

@test "a volume that is a folder of the host" {
	mkdir "$TEST_DIR/shared"
	post /volumes/create '{"Name":"bound","DriverOpts":{"type":"none","o":"bind","device":"'"$TEST_DIR/shared"'"}}'
	is 201 .Options.o bind
	lodge run --rm -v bound:/v bb sh -c 'echo in >/v/file'
	equal in "$(cat "$TEST_DIR/shared/file")"
	post /volumes/create '{"Name":"mem","DriverOpts":{"type":"tmpfs","o":"size=1m","device":"tmpfs"}}'
	is 501
	api DELETE /volumes/bound
	is 204
	[ -f "$TEST_DIR/shared/file" ]
	rm -rf "$TEST_DIR/shared"
}

@test "what a volume can't be" {
	post /volumes/create '{"Name":"../x"}'
	says 400 'includes invalid characters for a local volume name'
	post /volumes/create '{"Name":"v","Driver":"nfs"}'
	says 404 'plugin "nfs" not found'
	post /volumes/create '{"Name":"vv","DriverOpts":{"foo":"1"}}'
	says 400 'create vv: invalid option: "foo"'
	post /volumes/create '{"Name":"vv","DriverOpts":{"o":"size=1m"}}'
	says 400 'missing required option: "device"'
	post /volumes/create '{"Name":"vv","Labels":{"a":1}}'
	says 400 'map of strings'
	post /volumes/create '{"Name":'
	says 400 'invalid JSON'
}

@test "docker's own client" {
	command -v docker >/dev/null || skip "no docker client"
	export DOCKER_HOST=unix://$DOCKER_SOCKET
	equal web "$(docker volume create --label a=b web)"
	equal web "$(docker volume ls -q --filter label=a)"
	equal b "$(docker volume inspect --format '{{.Labels.a}}' web)"
	docker volume rm web
	run docker volume inspect web
	[ "$status" = 1 ]
}
