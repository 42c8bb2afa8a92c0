#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# lodge registry: its options, and the clients of others: skopeo, podman, docker, curl.

load ../lib
load ../registry-serve

prepare() {
	mkdir -p "$TEST_DIR/home/.docker"
	lodge image save -o "$TEST_DIR/bb.docker.tar" bb
	skopeo copy -q "docker-archive:$TEST_DIR/bb.docker.tar" "oci:$TEST_DIR/bb.oci:bb"
	# a CA, a server's and a client's certificate
	openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=ca -keyout "$TEST_DIR/ca.key" -out "$TEST_DIR/ca.pem" 2>/dev/null
	for name in server client; do
		openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout "$TEST_DIR/$name.key" -out "$TEST_DIR/$name.csr" 2>/dev/null
		openssl x509 -req -in "$TEST_DIR/$name.csr" -CA "$TEST_DIR/ca.pem" -CAkey "$TEST_DIR/ca.key" -CAcreateserial -days 30 \
			-extfile <(echo subjectAltName=IP:127.0.0.1,DNS:localhost) -out "$TEST_DIR/$name.pem" 2>/dev/null
	done
	htpasswd -Bbn -C 5 bob secret >"$TEST_DIR/users"
	htpasswd -Bbn -C 5 eve other >>"$TEST_DIR/users"
}

teardown() {
	[ ! -s "$TEST_DIR/docker.pid" ] || kill "$(<"$TEST_DIR/docker.pid")" 2>/dev/null || true
	[ ! -s "$TEST_DIR/docker.pid" ] || within 10 gone "$(<"$TEST_DIR/docker.pid")" || true
	rm -f "$TEST_DIR/docker.pid"
	end_servers
}

sk() {
	HOME=$TEST_DIR/home REGISTRY_AUTH_FILE=$TEST_DIR/home/auth.json skopeo "$@"
}

@test "skopeo: copy both ways, list-tags, inspect, delete; digests are kept" {
	serve
	local to=docker://$ADDRESS/test/bb from=oci:$TEST_DIR/bb.oci:bb
	sk copy -q --dest-tls-verify=false "$from" "$to:1"
	sk copy -q --dest-tls-verify=false --format v2s2 "$from" "$to:docker"
	# between repositories: blobs are mounted or found, not sent
	sk copy -q --src-tls-verify=false --dest-tls-verify=false "$to:1" "docker://$ADDRESS/other/bb:1"
	equal "$(sk inspect --raw "$from" | sha256sum)" "$(sk inspect --tls-verify=false --raw "$to:1" | sha256sum)"
	equal application/vnd.docker.distribution.manifest.v2+json "$(sk inspect --tls-verify=false --raw "$to:docker" | jq -r .mediaType)"
	equal '["1","docker"]' "$(sk list-tags --tls-verify=false "$to" | jq -c .Tags)"
	sk copy -q --src-tls-verify=false "docker://$ADDRESS/other/bb:1" "dir:$TEST_DIR/reg/back"
	diff <(jq -r .layers[].digest "$TEST_DIR/reg/back/manifest.json") <(sk inspect --raw "$from" | jq -r .layers[].digest)
	sk delete --tls-verify=false "$to:1"
	fails_with "manifest unknown" sk inspect --tls-verify=false "$to:1"
	equal '["docker"]' "$(sk list-tags --tls-verify=false "$to" | jq -c .Tags)"
	# each layer and each configuration lies there once
	equal "$(find "$REG/repositories" -type f -printf '%i\n' | sort -u | wc -l)" "$(find "$REG/blobs" -type f | wc -l)"
	stop_server
	contents_whole
}

# fails_with TEXT COMMAND...
fails_with() {
	local text=$1
	shift
	status=0
	output=$("$@" 2>&1) || status=$?
	[ "$status" != 0 ] && [[ $output == *"$text"* ]] || {
		echo "status $status: $output" >&2
		return 1
	}
}

@test "skopeo: an index with all its images" {
	serve
	local m size digest
	m=$(sk inspect --raw "oci:$TEST_DIR/bb.oci:bb")
	size=${#m} digest=$(printf %s "$m" | sha256sum | cut -d' ' -f1)
	cp -r "$TEST_DIR/bb.oci" "$TEST_DIR/reg/all"
	jq -nc --arg d "sha256:$digest" --argjson s "$size" '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json",
		manifests: [{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s, platform: {os: "linux", architecture: "amd64"}}]}' \
		>"$TEST_DIR/reg/index"
	local i=$(sha256sum <"$TEST_DIR/reg/index" | cut -d' ' -f1)
	cp "$TEST_DIR/reg/index" "$TEST_DIR/reg/all/blobs/sha256/$i"
	jq -nc --arg d "sha256:$i" --argjson s "$(stat -c %s "$TEST_DIR/reg/index")" '{schemaVersion: 2, manifests: [{mediaType:
		"application/vnd.oci.image.index.v1+json", digest: $d, size: $s, annotations: {"org.opencontainers.image.ref.name": "all"}}]}' \
		>"$TEST_DIR/reg/all/index.json"
	sk copy -q --all --dest-tls-verify=false "oci:$TEST_DIR/reg/all:all" "docker://$ADDRESS/multi:1"
	cmp <(sk inspect --tls-verify=false --raw "docker://$ADDRESS/multi:1") "$TEST_DIR/reg/index"
	sk copy -q --src-tls-verify=false "docker://$ADDRESS/multi:1" "dir:$TEST_DIR/reg/one"
	cmp <(printf %s "$m") "$TEST_DIR/reg/one/manifest.json"
	# without a tag, the image lives on by its index
	lodge registry gc --root "$REG" --grace 0s --untagged | grep -q "^removed 0 manifests, 0 blobs"
}

@test "podman: push and pull over TLS, with a password" {
	serve --tls-cert "$TEST_DIR/server.pem" --tls-key "$TEST_DIR/server.key" --htpasswd "$TEST_DIR/users" --access-log "$TEST_DIR/reg/log"
	printf '[containers]\ndefault_ulimits = []\n' >"$TEST_DIR/containers.conf"
	export CONTAINERS_CONF=$TEST_DIR/containers.conf HOME=$TEST_DIR/home REGISTRY_AUTH_FILE=$TEST_DIR/home/podman.json
	pod() {
		podman --root "$TEST_DIR/reg/pod" --runroot "$TEST_DIR/reg/podrun" --storage-driver vfs --cgroup-manager cgroupfs --events-backend file "$@"
	}
	mkdir -p "$TEST_DIR/reg/certs"
	echo '{}' >"$REGISTRY_AUTH_FILE"
	cp "$TEST_DIR/ca.pem" "$TEST_DIR/reg/certs/ca.crt"
	pod load -q -i "$TEST_DIR/bb.docker.tar" >/dev/null
	pod tag "$(pod images -q)" localhost/bb
	fails_with "unauthorized" pod push -q --cert-dir "$TEST_DIR/reg/certs" localhost/bb "$ADDRESS/p/bb:1"
	fails_with "invalid username/password" pod login --cert-dir "$TEST_DIR/reg/certs" -u bob -p wrong "$ADDRESS"
	pod login --cert-dir "$TEST_DIR/reg/certs" -u bob -p secret "$ADDRESS"
	pod push -q --cert-dir "$TEST_DIR/reg/certs" localhost/bb "$ADDRESS/p/bb:1"
	pod rmi -a -f >/dev/null
	pod pull -q --cert-dir "$TEST_DIR/reg/certs" "$ADDRESS/p/bb:1" >/dev/null
	pod image exists "$ADDRESS/p/bb:1"
	# not without the CA
	fails_with "certificate signed by unknown authority" pod pull -q "$ADDRESS/p/bb:1"
	grep -q '^127.0.0.1:[0-9]* bob .*"PUT /v2/p/bb/manifests/1" 201' "$TEST_DIR/reg/log"
	pod logout "$ADDRESS"
	stop_server
}

@test "docker: push, pull, the same image in a second repository" {
	command -v dockerd >/dev/null || skip "no dockerd"
	serve --access-log "$TEST_DIR/reg/log"
	export DOCKER_HOST=unix://$TEST_DIR/docker.sock HOME=$TEST_DIR/home
	local docker=/usr/bin/docker digest
	dockerd --data-root "$TEST_DIR/docker" --exec-root "$TEST_DIR/docker-run" --pidfile "$TEST_DIR/docker.pid" -H "$DOCKER_HOST" \
		--storage-driver overlay2 --iptables=false --bridge=none >"$TEST_DIR/dockerd.log" 2>&1 </dev/null 3>&- &
	within 30 $docker info >/dev/null
	$docker load -q -i "$TEST_DIR/bb.docker.tar"
	$docker tag bb "$ADDRESS/d/bb:1"
	$docker tag bb "$ADDRESS/d/second:1"
	$docker push -q "$ADDRESS/d/bb:1"
	digest=$($docker inspect --format '{{index .RepoDigests 0}}' "$ADDRESS/d/bb:1" | sed 's/.*@//')
	equal "$digest" "sha256:$(curl -sf -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' "http://$ADDRESS/v2/d/bb/manifests/1" | sha256sum | cut -d' ' -f1)"
	$docker push "$ADDRESS/d/second:1" | grep -q "Mounted from d/bb"
	$docker rmi -f "$ADDRESS/d/bb:1" "$ADDRESS/d/second:1" bb >/dev/null
	$docker pull -q "$ADDRESS/d/second:1"
	$docker pull -q "$ADDRESS/d/bb@$digest"
	fails_with "manifest for $ADDRESS/d/bb:nope not found" $docker pull "$ADDRESS/d/bb:nope"
	$docker image ls --digests | grep -q "$digest"
}

@test "lodge itself: push, pull, run" {
	serve
	lodge image tag bb "$ADDRESS/own/bb:1"
	lodge image push -q "$ADDRESS/own/bb:1"
	lodge image rm "$ADDRESS/own/bb:1" >/dev/null
	lodge image pull -q "$ADDRESS/own/bb:1"
	equal out "$(lodge run --rm --network none "$ADDRESS/own/bb:1" echo out)"
	lodge image rm "$ADDRESS/own/bb:1" >/dev/null
	stop_server
	contents_whole
}

@test "names and passwords" {
	serve --htpasswd "$TEST_DIR/users" --realm "this one"
	curl -si "http://$ADDRESS/v2/" >"$TEST_DIR/reg/answer"
	grep -q '^HTTP/1.1 401 ' "$TEST_DIR/reg/answer"
	grep -q '^WWW-Authenticate: Basic realm="this one"' "$TEST_DIR/reg/answer"
	grep -q UNAUTHORIZED "$TEST_DIR/reg/answer"
	status_of() { curl -s -o /dev/null -w '%{http_code}' "$@"; }
	for user in bob:secret eve:other; do equal 200 "$(status_of -u $user "http://$ADDRESS/v2/")"; done
	for user in bob:other eve:secret bob: bob:secre bob:secret1 nobody:secret :; do equal 401 "$(status_of -u $user "http://$ADDRESS/v2/")"; done
	for auth in 'Basic' 'Basic !!!' 'Basic Ym9i' 'Bearer Ym9iOnNlY3JldA==' 'Basic Ym9iOnNlY3JldAA='; do
		equal 401 "$(status_of -H "Authorization: $auth" "http://$ADDRESS/v2/_catalog")"
	done
	equal 401 "$(status_of -u bob:wrong -X POST "http://$ADDRESS/v2/a/blobs/uploads/")"
	[ ! -e "$REG/repositories/a" ]
	# the file counts as it is, also for those that were right before
	htpasswd -Bb -C 5 "$TEST_DIR/users" bob new
	equal 401 "$(status_of -u bob:secret "http://$ADDRESS/v2/")"
	equal 200 "$(status_of -u bob:new "http://$ADDRESS/v2/")"
	htpasswd -Bb -C 5 "$TEST_DIR/users" bob secret
	stop_server
	htpasswd -sb "$TEST_DIR/users" old sha 2>/dev/null
	fails 1 "line 5 has no bcrypt hash" lodge registry serve --root "$REG" --listen 127.0.0.1:0 --htpasswd "$TEST_DIR/users"
	htpasswd -D "$TEST_DIR/users" old
}

@test "TLS: versions, clients' certificates, big files" {
	serve --tls-cert "$TEST_DIR/server.pem" --tls-key "$TEST_DIR/server.key" --tls-client-ca "$TEST_DIR/ca.pem"
	local c=(curl -s --cacert "$TEST_DIR/ca.pem") mine=(--cert "$TEST_DIR/client.pem" --key "$TEST_DIR/client.key") d
	! "${c[@]}" "https://$ADDRESS/v2/"
	equal 1.1 "$("${c[@]}" "${mine[@]}" -o /dev/null -w '%{http_version}' "https://$ADDRESS/v2/")"
	! "${c[@]}" "${mine[@]}" --tls-max 1.1 "https://$ADDRESS/v2/"
	equal 200 "$("${c[@]}" "${mine[@]}" --tlsv1.2 --tls-max 1.2 -o /dev/null -w '%{http_code}' "https://$ADDRESS/v2/")"
	head -c 20000000 /dev/urandom >"$TEST_DIR/reg/big"
	d=sha256:$(sha256sum <"$TEST_DIR/reg/big" | cut -d' ' -f1)
	equal 201 "$("${c[@]}" "${mine[@]}" --data-binary "@$TEST_DIR/reg/big" -o /dev/null -w '%{http_code}' "https://$ADDRESS/v2/b/blobs/uploads/?digest=$d")"
	"${c[@]}" "${mine[@]}" "https://$ADDRESS/v2/b/blobs/$d" | cmp - "$TEST_DIR/reg/big"
	"${c[@]}" "${mine[@]}" -r 5-9 "https://$ADDRESS/v2/b/blobs/$d" | cmp - <(tail -c +6 "$TEST_DIR/reg/big" | head -c 5)
	# plain HTTP isn't understood, and somebody who says nothing is in nobody's way
	! curl -s "http://$ADDRESS/v2/"
	stop_server
	fails 1 "cannot use the key" lodge registry serve --root "$REG" --listen 127.0.0.1:0 --tls-cert "$TEST_DIR/server.pem" --tls-key "$TEST_DIR/client.key"
	fails 1 "cannot use the certificate '/nowhere'" lodge registry serve --root "$REG" --listen 127.0.0.1:0 --tls-cert /nowhere
	fails 125 "need --tls-cert" lodge registry serve --root "$REG" --listen 127.0.0.1:0 --tls-key "$TEST_DIR/client.key"
	cat "$TEST_DIR/server.pem" "$TEST_DIR/server.key" >"$TEST_DIR/reg/both.pem"
	serve --tls-cert "$TEST_DIR/reg/both.pem"
	equal '{}' "$("${c[@]}" "https://$ADDRESS/v2/")"
}

@test "read-only, and without deletion" {
	serve
	sk copy -q --dest-tls-verify=false "oci:$TEST_DIR/bb.oci:bb" "docker://$ADDRESS/r/bb:1"
	stop_server
	find "$REG" -printf '%p %T@ %n\n' | sort >"$TEST_DIR/reg/before"
	serve --read-only
	sk copy -q --src-tls-verify=false "docker://$ADDRESS/r/bb:1" "dir:$TEST_DIR/reg/out-dir"
	for request in "POST r/bb/blobs/uploads/" "PUT r/bb/manifests/2" "DELETE r/bb/manifests/1"; do
		curl -si -X "${request% *}" "http://$ADDRESS/v2/${request#* }" >"$TEST_DIR/reg/answer"
		grep -q '^HTTP/1.1 405' "$TEST_DIR/reg/answer"
		grep -q UNSUPPORTED "$TEST_DIR/reg/answer"
	done
	stop_server
	diff "$TEST_DIR/reg/before" <(find "$REG" -printf '%p %T@ %n\n' | sort)
	serve --no-delete
	equal 405 "$(curl -s -o /dev/null -w '%{http_code}' -X DELETE "http://$ADDRESS/v2/r/bb/manifests/1")"
	sk copy -q --dest-tls-verify=false "oci:$TEST_DIR/bb.oci:bb" "docker://$ADDRESS/r/bb:2"
	stop_server
	fails 1 "is not the folder of a registry" lodge registry serve --root "$TEST_DIR/home" --listen 127.0.0.1:0 --read-only
}

@test "gc: what nothing needs goes, and nothing else" {
	serve
	local to=docker://$ADDRESS/gc/bb
	sk copy -q --dest-tls-verify=false "oci:$TEST_DIR/bb.oci:bb" "$to:1"
	sk copy -q --dest-tls-verify=false --format v2s2 "oci:$TEST_DIR/bb.oci:bb" "$to:1"
	curl -sf --data-binary hello -o /dev/null "http://$ADDRESS/v2/gc/bb/blobs/uploads/?digest=sha256:$(printf hello | sha256sum | cut -d' ' -f1)"
	upload=$(curl -sfi -X POST "http://$ADDRESS/v2/gc/bb/blobs/uploads/" | tr -d '\r' | sed -n 's/^Location: //p')
	before=$(find "$REG" | sort)
	# all of it is young
	equal "removed 0 manifests, 0 blobs, 0 uploads, 0 repositories; 0 contents of 0B" "$(lodge registry gc --root "$REG" -m)"
	equal "$before" "$(find "$REG" | sort)"
	lodge registry gc --root "$REG" -m -n --grace 0s | grep -q "^would remove 1 manifests, 1 blobs, 0 uploads"
	lodge explain registry gc --root "$REG" -m --grace 0s | grep -q "^would remove 1 manifests, 1 blobs, 0 uploads"
	equal "$before" "$(find "$REG" | sort)"
	# the blob that nothing names
	equal "removed 0 manifests, 1 blobs, 0 uploads, 0 repositories; 1 contents of 5B" "$(lodge registry gc --root "$REG" --grace 0s)"
	# the manifest whose tag another one has now; both have the same layer
	lodge registry gc --root "$REG" -m --grace 0s | grep -q "^removed 1 manifests, 0 blobs, 0 uploads, 0 repositories; 1 contents"
	sk copy -q --src-tls-verify=false "$to:1" "dir:$TEST_DIR/reg/back"
	equal 204 "$(curl -s -o /dev/null -w '%{http_code}' "http://$ADDRESS$upload")"
	lodge registry gc --root "$REG" --upload-age 0s | grep -q " 1 uploads,"
	equal 404 "$(curl -s -o /dev/null -w '%{http_code}' "http://$ADDRESS$upload")"
	# with the last tag all goes
	sk delete --tls-verify=false "$to:1"
	lodge registry gc --root "$REG" --grace 0s | grep -q " 1 repositories;"
	equal "" "$(find "$REG/blobs" "$REG/repositories" -type f)"
	equal '{"repositories":[]}' "$(curl -s "http://$ADDRESS/v2/_catalog")"
	# and the server goes on
	sk copy -q --dest-tls-verify=false "oci:$TEST_DIR/bb.oci:bb" "$to:1"
	fails 1 "is not the folder of a registry" lodge registry gc --root "$TEST_DIR/home"
	fails 125 "--root is missing" lodge registry gc
}

@test "a cache of another registry: skopeo, with and without the other; with its password" {
	serve --htpasswd "$TEST_DIR/users" --access-log "$TEST_DIR/reg/log" --tls-cert "$TEST_DIR/server.pem" --tls-key "$TEST_DIR/server.key"
	local origin=$ADDRESS origin_pid=$SERVER cache
	mkdir -p "$TEST_DIR/home/.config/containers/certs.d/$origin"
	cp "$TEST_DIR/ca.pem" "$TEST_DIR/home/.config/containers/certs.d/$origin/ca.crt"
	export HOME=$TEST_DIR/home REGISTRY_AUTH_FILE=$TEST_DIR/home/auth.json
	echo '{}' >"$REGISTRY_AUTH_FILE"
	skopeo copy -q --dest-creds bob:secret --dest-cert-dir "$TEST_DIR/home/.config/containers/certs.d/$origin" \
		"oci:$TEST_DIR/bb.oci:bb" "docker://$origin/o/bb:1"
	# nobody is logged in there
	cp -r "$REG" "$TEST_DIR/reg/origin"
	"$LODGE" registry serve --root "$TEST_DIR/reg/cache" --listen 127.0.0.1:0 --proxy-of "https://$origin" >"$TEST_DIR/reg/out2" 3>&- &
	echo $! >>"$TEST_DIR/reg/pids"
	within 5 grep -q listening "$TEST_DIR/reg/out2"
	cache=$(sed -n 's/^listening on //p' "$TEST_DIR/reg/out2")
	equal 403 "$(curl -s -o /dev/null -w '%{http_code}' "http://$cache/v2/o/bb/manifests/1")"
	echo secret | lodge login -u bob --password-stdin "$origin"
	: >"$TEST_DIR/reg/log"
	skopeo copy -q --src-tls-verify=false "docker://$cache/o/bb:1" "dir:$TEST_DIR/reg/one"
	[ "$(grep -c ' bob .*"GET /v2/o/bb/blobs/' "$TEST_DIR/reg/log")" = 2 ]
	: >"$TEST_DIR/reg/log"
	skopeo copy -q --src-tls-verify=false "docker://$cache/o/bb:1" "dir:$TEST_DIR/reg/two"
	# only the tag is asked for
	[ "$(grep -c '"GET' "$TEST_DIR/reg/log")" = 0 ]
	grep -q '"HEAD /v2/o/bb/manifests/1' "$TEST_DIR/reg/log"
	kill "$origin_pid"
	within 12 gone "$origin_pid"
	skopeo copy -q --src-tls-verify=false "docker://$cache/o/bb:1" "dir:$TEST_DIR/reg/three"
	diff -r "$TEST_DIR/reg/one" "$TEST_DIR/reg/three"
	equal 502 "$(curl -s -o /dev/null -w '%{http_code}' "http://$cache/v2/o/bb/manifests/2")"
	fails 125 "can't be --read-only" lodge registry serve --root "$REG" --listen :0 --proxy-of http://x --read-only
	fails 1 "is not the address of a registry" lodge registry serve --root "$REG" --listen :0 --proxy-of http://x/y
	fails 125 "--fetchers is 1 to" lodge registry serve --root "$REG" --listen :0 --fetchers 0
}

@test "sockets: of the file system, from systemd, on every address; idle exit" {
	serve --listen "unix:$TEST_DIR/reg/sock"
	grep -q "^listening on unix:$TEST_DIR/reg/sock" "$TEST_DIR/reg/out"
	equal '{}' "$(curl -s --unix-socket "$TEST_DIR/reg/sock" http://x/v2/)"
	equal '{}' "$(curl -s "http://$ADDRESS/v2/")"
	fails 1 "cannot listen on 'unix:$TEST_DIR/reg/sock'" lodge registry serve --root "$REG" --listen "unix:$TEST_DIR/reg/sock"
	fails 1 "cannot listen on '$ADDRESS'" lodge registry serve --root "$REG" --listen "$ADDRESS"
	kill_server
	# the killed one's socket gives way
	serve --listen "unix:$TEST_DIR/reg/sock"
	stop_server
	[ ! -e "$TEST_DIR/reg/sock" ]
	fails 125 "nowhere to listen" lodge registry serve --root "$REG"
	fails 1 "has no port" lodge registry serve --root "$REG" --listen localhost
	serve --listen :0
	port=$(sed -n 's/^listening on \[::\]:\|^listening on 0.0.0.0://p' "$TEST_DIR/reg/out" | tail -n 1)
	equal '{}' "$(curl -s "http://127.0.0.1:$port/v2/")"
	stop_server
	# as systemd starts it, and ended by itself
	python3 - "$LODGE" "$REG" >"$TEST_DIR/reg/activated" <<'PY'
import os, socket, subprocess, sys, urllib.request, time
s = socket.socket()
s.bind(('127.0.0.1', 0))
s.listen(16)
os.dup2(s.fileno(), 3, True)
note = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
note.bind('\0lodge-test')
note.settimeout(5)
began = time.time()
p = subprocess.Popen(['sh', '-c', 'LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET=@lodge-test exec "$0" registry serve --root "$1" --idle-exit 1s',
                      sys.argv[1], sys.argv[2]], pass_fds=[3])
print(note.recv(100).decode())
print(urllib.request.urlopen('http://127.0.0.1:%d/v2/' % s.getsockname()[1]).read().decode())
print(p.wait(10), time.time() - began >= 1)
PY
	equal "listening on 127.0.0.1 READY=1 {} 0 True" "$(sed 's/:[0-9]*$//' "$TEST_DIR/reg/activated" | sort | tr '\n' ' ' | awk '{ print $4, $5, $6, $3, $7, $1, $2 }')" ||
		cat "$TEST_DIR/reg/activated" >&2
}

@test "at the end what was begun is finished" {
	serve
	head -c 50000000 /dev/zero >"$TEST_DIR/reg/zero"
	d=sha256:$(sha256sum <"$TEST_DIR/reg/zero" | cut -d' ' -f1)
	curl -s --limit-rate 20M --data-binary "@$TEST_DIR/reg/zero" -o /dev/null -w '%{http_code}' \
		"http://$ADDRESS/v2/z/blobs/uploads/?digest=$d" >"$TEST_DIR/reg/code" 3>&- &
	client=$!
	sleep 0.5
	stop_server
	wait $client
	equal 201 "$(<"$TEST_DIR/reg/code")"
	[ -e "$REG/repositories/z/_blobs/$d" ]
}

@test "what an option can't be" {
	fails 125 "--root is missing" lodge registry serve --listen :0
	fails 125 "--connections is 1 to" lodge registry serve --root "$TEST_DIR/reg" --listen :0 --connections 0
	fails 125 "--workers is 1 to" lodge registry serve --root "$TEST_DIR/reg" --listen :0 --workers 65
	fails 125 "--timeout" lodge registry serve --root "$TEST_DIR/reg" --listen :0 --timeout 0s
	fails 125 "--realm" lodge registry serve --root "$TEST_DIR/reg" --listen :0 --realm 'a"b'
	lodge explain registry serve --root "$TEST_DIR/reg" --listen :0 | grep -q "^mkdir -p $TEST_DIR/reg/blobs"
	[ ! -e "$TEST_DIR/reg" ]
	# one connection at a time, one worker: others wait, and come to their turn
	serve --connections 2 --workers 1
	for n in 1 2 3 4 5 6 7 8; do
		curl -s -m 20 -o /dev/null -w '%{http_code}\n' "http://$ADDRESS/v2/_catalog" 3>&- &
	done >"$TEST_DIR/reg/codes"
	within 20 eval '[ "$(grep -c 200 "$TEST_DIR/reg/codes")" = 8 ]'
}
