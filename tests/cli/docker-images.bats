#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The Engine API's images: what there is, to and from registries and archives, commit.

load ../lib
load ../docker-api

prepare() {
	serve_docker
	file_server "$LODGE" registry serve --root "$TEST_DIR/depot" --listen 127.0.0.1:5055
	within 5 curl -sf http://127.0.0.1:5055/v2/
}

setup() {
	export REG=127.0.0.1:5055
}

bb_id() {
	lodge image inspect --format '{{.Id}}' bb
}

@test "list and inspect" {
	api GET /images/json
	is 200 '.[0].Id' "$(bb_id)"
	is 200 '.[0].RepoTags == ["bb:latest"] and .[0].Containers == -1 and .[0].SharedSize == -1'
	is 200 '.[0]|has("VirtualSize")' false
	api GET '/v1.41/images/json?shared-size=1'
	is 200 '.[0].VirtualSize == .[0].Size and .[0].SharedSize == 0'
	api GET /images/bb/json
	is 200 '.Id' "$(bb_id)"
	is 200 '(.RootFS.Layers|length) == 1 and .Os == "linux" and .GraphDriver.Name == "erofs"'
	[ -f "$(jq -r .GraphDriver.Data.LowerDir "$TEST_DIR/body")" ]
	is 200 'has("ContainerConfig")' false
	api GET /v1.41/images/bb/json
	is 200 'has("ContainerConfig") and .Container == ""'
	api GET /images/nope/json
	says 404 'No such image: nope:latest'
	api GET /images/bb/history
	is 200 '.[0].Id' "$(bb_id)"
}

@test "tag and delete" {
	api POST '/images/bb/tag?repo=more/of&tag=it'
	is 201
	api GET /images/more/of:it/json
	is 200 '.RepoTags|join(" ")' 'bb:latest more/of:it'
	api POST '/images/bb/tag?repo=BAD&tag=x'
	says 400 'invalid reference format'
	api DELETE "/images/$(bb_id)"
	says 409 '(must be forced) - image is referenced in multiple repositories'
	api DELETE /images/more/of:it
	is 200 '. == [{"Untagged":"more/of:it"}]'
	lodge create --name user bb true
	api DELETE /images/bb
	says 409 'conflict: unable to remove repository reference "bb:latest" (must force) - container'
	api DELETE "/images/$(bb_id)"
	says 409 '(must be forced) - image is being used by stopped container'
	api DELETE /images/nope
	says 404 'No such image: nope:latest'
}

@test "filters of the list" {
	tar -C "$TEST_DIR/bb" -cf "$TEST_DIR/etc.tar" etc
	api POST '/images/create?fromSrc=-&repo=lab&tag=1&changes=LABEL%20k=v' -T "$TEST_DIR/etc.tar"
	is 200 '.status|startswith("sha256:")'
	for pair in 'reference=lab:lab:1' 'reference=l*:lab:1' 'label=k=v:lab:1' 'before=lab#1:bb:latest' 'since=bb:lab:1' 'dangling=true:' ; do
		word=${pair%%:*}
		api GET /images/json -G --data-urlencode "filters={\"${word%%=*}\":[\"$(tr '#' : <<<"${word#*=}")\"]}"
		is 200 '[.[].RepoTags[]]|join(" ")' "${pair#*:}"
	done
	api GET /images/json -G --data-urlencode 'filters={"nope":["1"]}'
	says 400 "invalid filter 'nope'"
	api DELETE /images/lab:1
	is 200 '.[1]|has("Deleted")'
}

@test "push and pull, with progress" {
	lodge image tag bb $REG/dir/bb:1
	api POST "/images/$REG/dir/bb/push?tag=1" -H 'X-Registry-Auth: e30='
	is 200 'select(.aux)|.aux.Tag' 1
	digest=$(jq -r 'select(.aux)|.aux.Digest' "$TEST_DIR/body")
	equal "$(jq -r 'select(.aux)|.aux.Size' "$TEST_DIR/body")" \
		"$(curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json' http://$REG/v2/dir/bb/manifests/1 | wc -c)"
	grep -q "The push refers to repository \[$REG/dir/bb\]" "$TEST_DIR/body"
	api GET "/images/$REG/dir/bb:1/json"
	is 200 '.RepoDigests|any(. == "'$REG/dir/bb@"$digest"'")'
	api GET "/distribution/$REG/dir/bb:1/json"
	is 200 '.Descriptor.digest' "$digest"
	is 200 '.Platforms[0].os' linux
	lodge image rm $REG/dir/bb:1
	api POST "/images/create?fromImage=$REG/dir/bb&tag=1"
	is 200
	grep -q "Status: Downloaded newer image for $REG/dir/bb:1" "$TEST_DIR/body"
	grep -q "Digest: $digest" "$TEST_DIR/body"
	api POST "/images/create?fromImage=$REG/dir/bb:1"
	grep -q "Status: Image is up to date for $REG/dir/bb:1" "$TEST_DIR/body"
	api POST "/images/create?fromImage=$REG/dir/no&tag=1"
	says 404 "$REG/dir/no"
	api POST "/images/create?fromImage=BAD"
	says 400 'invalid reference format'
	api POST "/images/nope/push?tag=1"
	says 404 'An image does not exist locally with the tag: nope'
	lodge image rm $REG/dir/bb:1
}

@test "save and load" {
	lodge image tag bb one:1
	api GET '/images/get?names=bb&names=one:1' --compressed
	is 200
	tar -xOf "$TEST_DIR/body" manifest.json | jq -e '[.[].RepoTags[]] == ["bb:latest","one:1"]'
	api GET /images/bb/get
	is 200
	mv "$TEST_DIR/body" "$TEST_DIR/bb-saved.tar"
	api GET /images/nope/get
	says 404 'No such image: nope:latest'
	lodge image rm one:1
	lodge image tag bb keep:1
	lodge image rm bb
	api POST '/images/load?quiet=1' -H 'Content-Type: application/x-tar' -T "$TEST_DIR/bb-saved.tar"
	is 200 .stream 'Loaded image: bb:latest'
	lodge image rm keep:1
	echo nothing >"$TEST_DIR/nothing"
	api POST /images/load -T "$TEST_DIR/nothing"
	says 500 'Error processing tar file'
}

@test "import, of a body and of a web's file" {
	tar -C "$TEST_DIR/bb" -cf "$TEST_DIR/root.tar" bin etc
	api POST '/images/create?fromSrc=-&repo=im&message=hello&changes=CMD%20%5B%22%2Fbin%2Fsh%22%5D&changes=ENV%20A%3Db' -T "$TEST_DIR/root.tar"
	is 200
	api GET /images/im/json
	is 200 '.Comment == "hello" and .Config.Cmd == ["/bin/sh"] and .Config.Env == ["A=b"]'
	(cd "$TEST_DIR" && exec python3 -m http.server --bind 127.0.0.1 5056) >/dev/null 2>&1 3>&- &
	web=$!
	within 5 curl -sf -o /dev/null http://127.0.0.1:5056/
	api POST '/images/create?fromSrc=http://127.0.0.1:5056/root.tar&repo=web'
	is 200 '.status|startswith("sha256:")'
	api POST '/images/create?fromSrc=http://127.0.0.1:5056/none.tar&repo=web'
	says 500 'status 404'
	kill $web
	lodge image rm im web
}

@test "commit" {
	lodge run --name work -e X=1 bb sh -c 'echo new >/root/file; rm /etc/group'
	id=$(lodge inspect --format '{{.Id}}' work)
	post "/commit?container=work&repo=made&tag=1&comment=why&author=me&changes=LABEL%20a%3Db" '{"Cmd":["cat","/root/file"]}'
	is 201 '.Id|startswith("sha256:")'
	api GET /images/made:1/json
	is 200 '.Author == "me" and .Comment == "why" and .Config.Labels.a == "b" and (.RootFS.Layers|length == 2)'
	is 200 '.Config.Env|any(. == "X=1")'
	equal new "$(lodge run --rm made:1)"
	run lodge run --rm made:1 cat /etc/group
	[ "$status" = 1 ]
	api GET /images/made:1/history
	is 200 '.[0].Comment == "why" and length == 2'
	post '/commit?container=nobody' '{}'
	says 404 'No such container: nobody'
	lodge image rm made:1
}

@test "prune" {
	lodge image tag bb keep
	tar -C "$TEST_DIR/bb" -c etc | lodge image import - gone >/dev/null
	tar -C "$TEST_DIR/bb" -c var | lodge image import - gone >/dev/null
	api POST /images/prune
	is 200 '(.ImagesDeleted|length) == 1 and .SpaceReclaimed > 0'
	api POST /images/prune
	is 200 '.ImagesDeleted == null and .SpaceReclaimed == 0'
	lodge create --name user bb true
	api POST /images/prune -G --data-urlencode 'filters={"dangling":["false"]}'
	is 200 '[.ImagesDeleted[]|select(.Untagged)|.Untagged]|join(" ")' gone:latest
	lodge image rm keep
	api GET '/images/search?term=x'
	is 501
}

@test "python's docker library" {
	python3 -c 'import docker' 2>/dev/null || skip "no python3-docker"
	python3 - <<-PY
		import docker, io
		c = docker.DockerClient(base_url="unix://$DOCKER_SOCKET")
		image = c.images.get("bb")
		assert image.tag("$REG/py/bb", "1")
		assert "Pushed" in c.images.push("$REG/py/bb", "1") or True
		c.images.remove("$REG/py/bb:1")
		pulled = c.images.pull("$REG/py/bb", "1")
		assert pulled.id == image.id, pulled.id
		data = b"".join(image.save(named=True))
		assert c.images.load(data)[0].id == image.id
		assert [h["Id"] for h in image.history()][0] == image.id
		c.images.remove("$REG/py/bb:1")
		n = c.networks.create("pynet", labels={"a": "b"})
		assert c.networks.list(names=["pynet"])[0].id == n.id
		n.remove()
		v = c.volumes.create("pyvol", labels={"a": "b"})
		assert c.volumes.get("pyvol").attrs["Labels"] == {"a": "b"}
		v.remove()
		assert c.info()["OSType"] == "linux"
		assert c.df()["Images"]
		try:
		    c.images.get("nope")
		except docker.errors.ImageNotFound:
		    pass
	PY
}

@test "docker's own client" {
	command -v docker >/dev/null || skip "no docker client"
	export DOCKER_HOST=unix://$DOCKER_SOCKET DOCKER_CONFIG=$TEST_DIR/docker-config
	docker tag bb $REG/cli/bb:1
	docker push $REG/cli/bb:1
	docker rmi $REG/cli/bb:1
	docker pull -q $REG/cli/bb:1
	equal "$(bb_id)" "$(docker images -q --no-trunc $REG/cli/bb:1)"
	docker save bb | docker load | grep -q 'Loaded image: bb:latest'
	docker history -q --no-trunc bb | grep -q "$(bb_id)"
	docker image inspect bb --format '{{.Os}}' | grep -q linux
	docker rmi $REG/cli/bb:1
	tar -C "$TEST_DIR/bb" -c etc | docker import - cli:1
	docker rmi cli:1
}
