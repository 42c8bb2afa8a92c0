#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The ways to a registry: through proxies, by HTTP/2, with tokens for which an identity token is given; what is sent
# once more and what isn't. Names end in ".test", which only the proxy knows.
load ../lib
load ../registry

prepare() {
	mkdir -p "$CONF" "$XDG_RUNTIME_DIR"
	make_certs
	layered "$TEST_DIR/layout" img
}

fill() { # the registry at 5000 gets the image
	skopeo copy -q --dest-tls-verify=false "oci:$TEST_DIR/layout:img" "docker://127.0.0.1:5000/$1" >/dev/null
}

# proxy PORT [NAME=VALUE...]: its log is proxyPORT.log
proxy() {
	local port=$1
	shift
	: >"$TEST_DIR/proxy$port.log"
	env "$@" "$TOP/tests/proxy" "$port" "$TEST_DIR/proxy$port.log" 2>"$TEST_DIR/proxy$port.err" 3>&- &
	PROXY=$!
	within 10 port_open "$port"
}

tls() {
	registry 5443 "tls: {certificate: $TEST_DIR/certs/server.crt, key: $TEST_DIR/certs/server.key}"
	mkdir -p "$CONF/certs.d/registry.test:5443" "$CONF/certs.d/localhost:5443"
	cp "$TEST_DIR/certs/ca.crt" "$CONF/certs.d/registry.test:5443/"
	cp "$TEST_DIR/certs/ca.crt" "$CONF/certs.d/localhost:5443/"
}

@test "HTTPS_PROXY: a tunnel; with a password; NO_PROXY and loopback go straight" {
	tls
	proxy 3128
	lodge image tag bb registry.test:5443/app:1
	HTTPS_PROXY=http://127.0.0.1:3128 lodge image push -q registry.test:5443/app:1
	lodge image rm registry.test:5443/app:1
	equal registry.test:5443/app:1 "$(HTTPS_PROXY=http://127.0.0.1:3128 lodge image pull -q registry.test:5443/app:1)"
	equal "CONNECT registry.test:5443" "$(cut -d ' ' -f 1,2 "$TEST_DIR/proxy3128.log" | sort -u)"
	# the name in small letters, and the other dialect
	n=$(wc -l <"$TEST_DIR/proxy3128.log")
	equal '["1"]' "$(https_proxy=http://127.0.0.1:3128 lodge skopeo list-tags docker://registry.test:5443/app | jq -c .Tags)"
	within 5 sh -c '[ "$(wc -l <"$1")" -gt "$2" ]' x "$TEST_DIR/proxy3128.log" "$n"
	lodge image rm registry.test:5443/app:1
	# one that asks who we are
	proxy 3129 PASSWORD=joe:pw
	HTTPS_PROXY=http://joe:pw@127.0.0.1:3129 lodge image pull -q registry.test:5443/app:1
	lodge image rm registry.test:5443/app:1
	fails 1 407 env HTTPS_PROXY=http://joe:no@127.0.0.1:3129 "$LODGE" image pull registry.test:5443/app:1
	grep -q '407$' "$TEST_DIR/proxy3129.log"
	# past it
	: >"$TEST_DIR/proxy3128.log"
	export HTTPS_PROXY=http://127.0.0.1:3128 HTTP_PROXY=http://127.0.0.1:3128
	lodge image pull -q localhost:5443/app:1
	lodge image rm localhost:5443/app:1
	REGISTRY_HTTP_ADDR=0.0.0.0:5000 registry 5000
	fill app:1
	for no in 198.51.100.2 198.51.100.0/24 'other.test, 198.51.100.2' 198.51.100.2:5000 '*'; do
		NO_PROXY=$no lodge image pull -q --tls-verify=false 198.51.100.2:5000/app:1
		lodge image rm 198.51.100.2:5000/app:1
	done
	equal "" "$(cat "$TEST_DIR/proxy3128.log")"
	NO_PROXY=198.51.100.20,198.51.100.2:5001 lodge image pull -q --tls-verify=false 198.51.100.2:5000/app:1
	grep -q 198.51.100.2:5000 "$TEST_DIR/proxy3128.log"
	lodge image rm 198.51.100.2:5000/app:1
}

@test "HTTP_PROXY: whole addresses; one that isn't there" {
	registry 5000
	fill app:1
	proxy 3128
	export HTTP_PROXY=http://127.0.0.1:3128 HTTPS_PROXY=http://127.0.0.1:3128
	lodge image pull -q --tls-verify=false registry.test:5000/app:1
	grep -q '^GET http://registry.test:5000/v2/app/manifests/1 ' "$TEST_DIR/proxy3128.log"
	lodge image tag registry.test:5000/app:1 registry.test:5000/again:1
	lodge image push -q --tls-verify=false registry.test:5000/again:1
	grep -q '^PUT http://registry.test:5000/v2/again/manifests/1 ' "$TEST_DIR/proxy3128.log"
	equal '["1"]' "$(curl -s http://127.0.0.1:5000/v2/again/tags/list | jq -c .tags)"
	lodge image rm registry.test:5000/app:1 registry.test:5000/again:1
	HTTP_PROXY=http://127.0.0.1:3999 HTTPS_PROXY=http://127.0.0.1:3999
	fails 1 "127.0.0.1 port 3999" lodge image pull --tls-verify=false registry.test:5000/app:1
}

@test "HTTP/2: pull and push" {
	registry 5000
	fill app:1
	nghttpx -f127.0.0.1,5443 -b127.0.0.1,5000 --errorlog-file="$TEST_DIR/h2.err" --accesslog-file="$TEST_DIR/h2.log" \
		--accesslog-format='$alpn $request $status' "$TEST_DIR/certs/server.key" "$TEST_DIR/certs/server.crt" \
		>"$TEST_DIR/h2.out" 2>&1 3>&- &
	within 10 port_open 5443
	mkdir -p "$CONF/certs.d/localhost:5443"
	cp "$TEST_DIR/certs/ca.crt" "$CONF/certs.d/localhost:5443/"
	lodge image pull -q localhost:5443/app:1
	equal three "$(lodge run --rm --network none localhost:5443/app:1 cat /three)"
	lodge image tag bb localhost:5443/new:1
	lodge image push -q localhost:5443/new:1
	equal '["1"]' "$(curl -s http://127.0.0.1:5000/v2/new/tags/list | jq -c .tags)"
	lodge skopeo copy -q docker://localhost:5443/app:1 docker://localhost:5443/other:1
	for wanted in 'GET /v2/app/manifests/1' 'GET /v2/app/blobs/' 'PATCH /v2/new/blobs/' 'PUT /v2/new/manifests/1' \
		'PUT /v2/other/manifests/1'; do
		within 5 grep -q "^h2 $wanted" "$TEST_DIR/h2.log"
	done
	! grep -v '^h2 ' "$TEST_DIR/h2.log"
	lodge image rm localhost:5443/app:1 localhost:5443/new:1
}

# A registry that takes tokens only
token_registry() {
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$TEST_DIR/token.key" -out "$TEST_DIR/token.crt" -subj /CN=tokens \
		-days 2 2>/dev/null
	"$TOP/tests/token-server" 5050 "$TEST_DIR/token.key" "$TEST_DIR/token.crt" "$TEST_DIR/token.log" \
		2>"$TEST_DIR/token.err" 3>&- &
	within 10 port_open 5050
	: >"$TEST_DIR/token.log"
	REGISTRY_LOG_ACCESSLOG_DISABLED=false registry 5000 \
		"auth: {token: {realm: 'http://127.0.0.1:5050/token', service: registry, issuer: tests, rootcertbundle: $TEST_DIR/token.crt}}"
}

@test "an identity token is given for access tokens, never shown to the registry" {
	token_registry
	mkdir -p "$HOME/.docker" "$TEST_DIR/bin"
	# as docker login keeps it
	printf '{"auths": {"127.0.0.1:5000": {"auth": "%s", "identitytoken": "r-good"}}}' "$(printf '<token>:' | base64)" \
		>"$HOME/.docker/config.json"
	lodge image tag bb 127.0.0.1:5000/a/one:1
	lodge image push -q 127.0.0.1:5000/a/one:1
	equal "POST refresh_token r-good repository:a/one:pull,push" "$(sort -u "$TEST_DIR/token.log")"
	: >"$TEST_DIR/token.log"
	lodge image pull -q 127.0.0.1:5000/a/one:1
	equal "POST refresh_token r-good repository:a/one:pull" "$(cat "$TEST_DIR/token.log")"
	# a mount needs a token for both
	: >"$TEST_DIR/token.log"
	lodge image tag bb 127.0.0.1:5000/b/two:1
	run lodge image push 127.0.0.1:5000/b/two:1
	[[ $output == *"Mounted from another repository"* ]]
	grep -qx "POST refresh_token r-good repository:b/two:pull,push repository:a/one:pull" "$TEST_DIR/token.log"
	# out of a helper, whose name for it is <token>
	cat >"$TEST_DIR/bin/docker-credential-test" <<-'H'
		#!/bin/sh
		[ "$1" = get ] && cat >/dev/null && echo '{"ServerURL": "x", "Username": "<token>", "Secret": "r-good"}'
	H
	chmod +x "$TEST_DIR/bin/docker-credential-test"
	echo '{"credHelpers": {"127.0.0.1:5000": "test"}}' >"$HOME/.docker/config.json"
	PATH=$TEST_DIR/bin:$PATH lodge image pull -q 127.0.0.1:5000/b/two:1
	# one that isn't good any more
	sed -i s/r-good/r-bad/ "$TEST_DIR/bin/docker-credential-test"
	PATH=$TEST_DIR/bin:$PATH fails 1 "doesn't take" lodge image pull 127.0.0.1:5000/b/two:1
	rm "$HOME/.docker/config.json"
	# by a password the same server is asked the other way
	: >"$TEST_DIR/token.log"
	lodge image pull -q --creds me:secret 127.0.0.1:5000/b/two:1
	equal "GET - - repository:b/two:pull" "$(cat "$TEST_DIR/token.log")"
	lodge skopeo copy -q --src-creds me:secret --dest-creds me:secret --src-tls-verify=false --dest-tls-verify=false \
		docker://127.0.0.1:5000/b/two:1 docker://127.0.0.1:5000/c/three:1
	grep -q 'POST /v2/c/three/blobs/uploads/?mount=.*&from=b/two HTTP/1.1" 201' "$TEST_DIR/reg5000.log"
	! grep -q 'PATCH /v2/c/three' "$TEST_DIR/reg5000.log"
	lodge image rm 127.0.0.1:5000/a/one:1 127.0.0.1:5000/b/two:1
}

@test "skopeo: from one repository of a registry to another nothing is sent" {
	REGISTRY_LOG_ACCESSLOG_DISABLED=false registry 5000
	fill from/app:1
	n=$(skopeo inspect --raw --tls-verify=false docker://127.0.0.1:5000/from/app:1 | jq '.layers | length + 1')
	lodge skopeo copy -q --src-tls-verify=false --dest-tls-verify=false docker://127.0.0.1:5000/from/app:1 \
		docker://127.0.0.1:5000/to/app:2
	mounted() { grep -c "\"POST /v2/$1/blobs/uploads/?mount=sha256:[0-9a-f]*&from=from/app HTTP/1.1\" 201" "$TEST_DIR/reg5000.log"; }
	equal "$n" "$(mounted to/app)"
	! grep -E '"(PATCH|PUT) /v2/to/app/blobs' "$TEST_DIR/reg5000.log"
	# nor read, but for the configuration
	config=$(skopeo inspect --raw --tls-verify=false docker://127.0.0.1:5000/from/app:1 | jq -r .config.digest)
	! grep '"GET /v2/from/app/blobs/.*"lodge"' "$TEST_DIR/reg5000.log" | grep -v "$config"
	equal "$(skopeo inspect --raw --tls-verify=false docker://127.0.0.1:5000/from/app:1 | sha256sum)" \
		"$(skopeo inspect --raw --tls-verify=false docker://127.0.0.1:5000/to/app:2 | sha256sum)"
	skopeo copy -q --src-tls-verify=false docker://127.0.0.1:5000/to/app:2 "dir:$TEST_DIR/dir"
	rm -rf "$TEST_DIR/dir"
	# another registry is another matter
	registry 5001
	lodge skopeo copy -q --src-tls-verify=false --dest-tls-verify=false docker://127.0.0.1:5000/from/app:1 \
		docker://127.0.0.1:5001/from/app:1
	skopeo copy -q --src-tls-verify=false docker://127.0.0.1:5001/from/app:1 "dir:$TEST_DIR/dir"
	rm -rf "$TEST_DIR/dir"
}

# killed_push PORT FOLDER: a push by the proxy, killed when the registry's folder has some megabytes
killed_push() {
	head -c 20000000 /dev/urandom >"$TEST_DIR/random"
	tar -C "$TEST_DIR" -cf "$TEST_DIR/random.tar" random
	lodge image import "$TEST_DIR/random.tar" "registry.test:$1/big:1" >/dev/null
	proxy 3128 RATE=8000000
	export HTTP_PROXY=http://127.0.0.1:3128 HTTPS_PROXY=http://127.0.0.1:3128
	"$LODGE" image push -q --tls-verify=false "registry.test:$1/big:1" >/dev/null 2>&1 3>&- &
	pid=$!
	within 30 sh -c '[ "$(du -s --apparent-size --block-size=1 "$1" 2>/dev/null | cut -f 1)" -gt 12000000 ]' x "$2" 2>/dev/null
	kill -KILL $pid
	wait $pid || true
	sent() { awk '$1 == "PATCH" { n += $3 } END { print n + 0 }' "$TEST_DIR/proxy3128.log"; }
	within 10 sh -c 'grep -q "^PATCH" "$1"' x "$TEST_DIR/proxy3128.log"
	first=$(sent)
	[ "$first" -gt 10000000 ]
	[ "$first" -lt 20000000 ]
}

@test "a push that was killed goes on where it was: lodge registry serve" {
	"$LODGE" registry serve --root "$TEST_DIR/own" --listen 127.0.0.1:5002 >"$TEST_DIR/own.log" 2>&1 3>&- &
	server=$!
	within 10 port_open 5002
	killed_push 5002 "$TEST_DIR/own"
	lodge image push -q --tls-verify=false registry.test:5002/big:1
	within 5 sh -c '[ "$(grep -c "^PATCH" "$1")" -ge 2 ]' x "$TEST_DIR/proxy3128.log"
	twice=$(($(sent) - 20000000))
	[ "$twice" -lt 1048576 ]
	lodge image rm registry.test:5002/big:1
	lodge image pull -q --tls-verify=false registry.test:5002/big:1
	lodge skopeo copy -q --src-tls-verify=false docker://127.0.0.1:5002/big:1 "dir:$TEST_DIR/dir"
	rm -rf "$TEST_DIR/dir"
	lodge image rm registry.test:5002/big:1
	kill $server
	within 12 sh -c '! kill -0 '$server' 2>/dev/null || [ "$(cut -d " " -f 3 /proc/'$server'/stat)" = Z ]'
}

# killed_copy FROM TO FOLDER [OPTION...]: a copy by the proxy, killed when the registry's folder has some megabytes
killed_copy() {
	local from=$1 to=$2 folder=$3
	shift 3
	proxy 3128 RATE=8000000
	export HTTP_PROXY=http://127.0.0.1:3128 HTTPS_PROXY=http://127.0.0.1:3128
	"$LODGE" skopeo --insecure-policy copy -q --dest-tls-verify=false "$@" "$from" "$to" >/dev/null 2>&1 3>&- &
	pid=$!
	within 30 sh -c '[ "$(du -s --apparent-size --block-size=1 "$1" 2>/dev/null | cut -f 1)" -gt 12000000 ]' x "$folder" 2>/dev/null
	kill -KILL $pid
	wait $pid || true
	sent() { awk '$1 == "PATCH" { n += $3 } END { print n + 0 }' "$TEST_DIR/proxy3128.log"; }
	within 10 sh -c 'grep -q "^PATCH" "$1"' x "$TEST_DIR/proxy3128.log"
	first=$(sent)
	[ "$first" -gt 10000000 ]
	[ "$first" -lt 20000000 ]
	lodge skopeo --insecure-policy copy -q --dest-tls-verify=false "$@" "$from" "$to"
	within 5 sh -c '[ "$(grep -c "^PATCH" "$1")" -ge 2 ]' x "$TEST_DIR/proxy3128.log"
	twice=$(($(sent) - 20000000))
	[ "$twice" -lt 1048576 ] && [ "$twice" -gt -1048576 ]
	kill $PROXY
	wait $PROXY || true
}

@test "a copy that was killed goes on where it was, as it is and compressed anew" {
	head -c 20000000 /dev/urandom >"$TEST_DIR/random"
	tar -C "$TEST_DIR" -cf "$TEST_DIR/random.tar" random
	"$TOP/tests/layout" "$TEST_DIR/plain" big "$TEST_DIR/random.tar"
	gzip -kf "$TEST_DIR/random.tar"
	"$TOP/tests/layout" "$TEST_DIR/packed" big "$TEST_DIR/random.tar.gz"
	"$LODGE" registry serve --root "$TEST_DIR/own4" --listen 127.0.0.1:5004 >"$TEST_DIR/own4.log" 2>&1 3>&- &
	server=$!
	within 10 port_open 5004
	killed_copy "oci:$TEST_DIR/packed:big" docker://registry.test:5004/packed:1 "$TEST_DIR/own4"
	# the target has it as the source does
	equal "$(jq -r '.manifests[0].digest' "$TEST_DIR/packed/index.json")" \
		"$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://127.0.0.1:5004/packed:1)"
	# what must be large is the folder's growth
	skopeo delete --tls-verify=false docker://127.0.0.1:5004/packed:1
	"$LODGE" registry gc --root "$TEST_DIR/own4" --grace 0s >/dev/null
	killed_copy "oci:$TEST_DIR/plain:big" docker://registry.test:5004/plain:1 "$TEST_DIR/own4"
	skopeo copy -q --src-tls-verify=false docker://127.0.0.1:5004/plain:1 "oci:$TEST_DIR/back:1"
	gzip -dc "$TEST_DIR/back/blobs/sha256/$(jq -r '.layers[0].digest' "$TEST_DIR/back/blobs/sha256/$(jq -r '.manifests[0].digest' \
		"$TEST_DIR/back/index.json" | cut -d : -f 2)" | cut -d : -f 2)" | cmp - "$TEST_DIR/random.tar"
	kill $server
	within 12 sh -c '! kill -0 '$server' 2>/dev/null || [ "$(cut -d " " -f 3 /proc/'$server'/stat)" = Z ]'
	rm -rf "$TEST_DIR"/{plain,packed,back,own4,random*}
}

# It gives an upload up that ended in the middle of a request ("upload resumed at wrong offest"), so all is sent again.
@test "a push that was killed is whole at the second attempt: docker-registry" {
	registry 5003
	killed_push 5003 "$TEST_DIR/reg5003"
	lodge image push -q --tls-verify=false registry.test:5003/big:1
	lodge image rm registry.test:5003/big:1
	lodge image pull -q --tls-verify=false registry.test:5003/big:1
	skopeo copy -q --src-tls-verify=false docker://127.0.0.1:5003/big:1 "dir:$TEST_DIR/dir"
	rm -rf "$TEST_DIR/dir"
	lodge image rm registry.test:5003/big:1
}
