#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Registries: Debian's docker-registry without TLS, with TLS and a password, with client certificates; and one that
# lies. All on loopback.
load ../lib
load ../registry

prepare() {
	mkdir -p "$CONF" "$XDG_RUNTIME_DIR"
	make_certs
	htpasswd -Bbn me secret >"$TEST_DIR/htpasswd" 2>/dev/null
	layered "$TEST_DIR/layout" img
}

plain() { registry 5000; }

tls() {
	registry 5443 "tls: {certificate: $TEST_DIR/certs/server.crt, key: $TEST_DIR/certs/server.key}" \
		"auth: {htpasswd: {realm: test, path: $TEST_DIR/htpasswd}}"
	mkdir -p "$CONF/certs.d/localhost:5443"
	cp "$TEST_DIR/certs/ca.crt" "$CONF/certs.d/localhost:5443/"
}

fill() { # the plain registry gets the image
	skopeo copy -q --dest-tls-verify=false "oci:$TEST_DIR/layout:img" "docker://127.0.0.1:5000/$1" >/dev/null
}

@test "pull, run, pull again, remove" {
	plain
	fill app:1
	run lodge image pull 127.0.0.1:5000/app:1
	[[ $output == *"1: Pulling from 127.0.0.1:5000/app"*"Pull complete"*"Digest: sha256:"*"Downloaded newer image"* ]]
	equal three "$(lodge run --rm --network none 127.0.0.1:5000/app:1 cat /three)"
	equal 6000000 "$(lodge run --rm --network none 127.0.0.1:5000/app:1 stat -c %s /random)"
	equal 127.0.0.1:5000/app:1 "$(lodge image pull -q 127.0.0.1:5000/app:1)"
	lodge image pull 127.0.0.1:5000/app:1 | grep "Image is up to date for 127.0.0.1:5000/app:1"
	# what it is called there
	digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://127.0.0.1:5000/app:1)
	equal "[127.0.0.1:5000/app@$digest]" "$(lodge image inspect --format '{{.RepoDigests}}' 127.0.0.1:5000/app:1)"
	equal 0 "$(partials)"
	store_is_whole
	lodge image rm 127.0.0.1:5000/app:1
	# by digest
	lodge image pull "127.0.0.1:5000/app@$digest"
	equal three "$(lodge run --rm --network none "127.0.0.1:5000/app@$digest" cat /three)"
	lodge image rm "127.0.0.1:5000/app@$digest"
}

@test "run pulls what isn't there: missing, always, never" {
	plain
	fill app:1
	fails 125 "no such image" lodge run --rm --network none --pull never 127.0.0.1:5000/app:1 true
	run --separate-stderr lodge run --rm --network none 127.0.0.1:5000/app:1 cat /three
	equal three "$output"
	[[ $stderr == *"Unable to find image '127.0.0.1:5000/app:1' locally"* ]]
	# another image by the same name is only found out by looking
	lodge image tag bb 127.0.0.1:5000/app:1
	fails 1 "No such file" sh -c '"$LODGE" run --rm --network none --pull missing 127.0.0.1:5000/app:1 cat /three; s=$?; echo "lodge: ran"; exit $s'
	equal three "$(lodge run -q --rm --network none --pull always 127.0.0.1:5000/app:1 cat /three)"
	fails 125 "invalid pull" lodge run --rm --pull sometimes 127.0.0.1:5000/app:1 true
	lodge create -q --pull always --name made 127.0.0.1:5000/app:1
	lodge rm made
	lodge image rm 127.0.0.1:5000/app:1
}

@test "push: everything, nothing, a mount; skopeo and podman read it" {
	plain
	lodge image tag bb 127.0.0.1:5000/a/one:1
	run lodge image push 127.0.0.1:5000/a/one:1
	[[ $output == *": Pushed"* ]]
	run lodge image push 127.0.0.1:5000/a/one:1
	[[ $output == *"Layer already exists"* ]]
	lodge image tag bb 127.0.0.1:5000/b/two:2
	lodge image tag bb 127.0.0.1:5000/b/two:3
	run lodge image push -a 127.0.0.1:5000/b/two
	[[ $output == *"Mounted from another repository"*"2: digest: sha256:"*"3: digest: sha256:"* ]]
	equal '["2","3"]' "$(skopeo list-tags --tls-verify=false docker://127.0.0.1:5000/b/two | jq -c ".Tags | sort")"
	equal "$(lodge image inspect --format '{{.Id}}' bb)" \
		"$(skopeo inspect --tls-verify=false --raw docker://127.0.0.1:5000/b/two:3 | jq -r .config.digest)"
	# another reads what we wrote: digests are checked there
	skopeo copy -q --src-tls-verify=false docker://127.0.0.1:5000/a/one:1 "dir:$TEST_DIR/dir"
	rm -rf "$TEST_DIR/dir"
	for n in a/one:1 b/two:2 b/two:3; do lodge image rm 127.0.0.1:5000/$n; done
	fails 1 "no such image" lodge image push 127.0.0.1:5000/none:1
	lodge image pull -a 127.0.0.1:5000/b/two
	equal 2 "$(lodge image ls 127.0.0.1:5000/b/two -q --no-trunc | wc -l)"
	lodge image rm 127.0.0.1:5000/b/two:2 127.0.0.1:5000/b/two:3
}

@test "TLS with an authority of its own, a password, login and logout" {
	tls
	lodge image tag bb localhost:5443/app:1
	fails 1 "wants a user and a password; lodge login localhost:5443" lodge image push localhost:5443/app:1
	fails 1 "doesn't take" sh -c 'echo wrong | "$LODGE" login -u me --password-stdin localhost:5443'
	[ ! -e "$XDG_RUNTIME_DIR/containers/auth.json" ]
	echo secret | lodge login -u me --password-stdin localhost:5443 | grep -q "Login Succeeded"
	equal me "$(lodge login --get-login localhost:5443)"
	equal 600 "$(stat -c %a "$XDG_RUNTIME_DIR/containers/auth.json")"
	# podman's tools take it from there
	lodge image push -q localhost:5443/app:1
	skopeo inspect --cert-dir "$CONF/certs.d/localhost:5443" docker://localhost:5443/app:1 >/dev/null
	lodge image pull -q localhost:5443/app:1
	lodge logout localhost:5443
	fails 1 "not logged into" lodge logout localhost:5443
	fails 1 "wants a user" lodge image pull localhost:5443/app:1
	lodge image pull -q --creds me:secret localhost:5443/app:1
	fails 1 "doesn't take the user" lodge image pull --creds me:wrong localhost:5443/app:1
	# docker's file, and another one
	mkdir -p "$HOME/.docker"
	printf '{"auths": {"localhost:5443": {"auth": "%s"}}}' "$(printf me:secret | base64)" >"$HOME/.docker/config.json"
	lodge image pull -q localhost:5443/app:1
	mv "$HOME/.docker/config.json" "$TEST_DIR/other.json"
	lodge image pull -q --authfile "$TEST_DIR/other.json" localhost:5443/app:1
	# a helper
	mkdir -p "$TEST_DIR/bin"
	cat >"$TEST_DIR/bin/docker-credential-test" <<-'H'
		#!/bin/sh
		[ "$1" = get ] && [ "$(cat)" = localhost:5443 ] && echo '{"ServerURL": "x", "Username": "me", "Secret": "secret"}'
	H
	chmod +x "$TEST_DIR/bin/docker-credential-test"
	echo '{"credHelpers": {"localhost:5443": "test"}}' >"$HOME/.docker/config.json"
	PATH=$TEST_DIR/bin:$PATH lodge image pull -q localhost:5443/app:1
	rm "$HOME/.docker/config.json"
	# certificates
	rm -r "$CONF/certs.d/localhost:5443"
	fails 1 "certificate" lodge image pull --tls-verify --creds me:secret localhost:5443/app:1
	lodge image pull -q --tls-verify=false --creds me:secret localhost:5443/app:1
	lodge image pull -q --tls-verify --cert-dir "$TEST_DIR/certs-ca" --creds me:secret localhost:5443/app:1 && false
	mkdir "$TEST_DIR/ca-only" && cp "$TEST_DIR/certs/ca.crt" "$TEST_DIR/ca-only"
	lodge image pull -q --tls-verify --cert-dir "$TEST_DIR/ca-only" --creds me:secret localhost:5443/app:1
	lodge image rm localhost:5443/app:1
}

@test "client certificates" {
	registry 5444 "tls: {certificate: $TEST_DIR/certs/server.crt, key: $TEST_DIR/certs/server.key, clientcas: [$TEST_DIR/certs/ca.crt]}"
	mkdir -p "$CONF/certs.d/localhost:5444"
	cp "$TEST_DIR/certs/ca.crt" "$CONF/certs.d/localhost:5444/"
	lodge image tag bb localhost:5444/app:1
	fails 1 "cannot get 'https://localhost:5444" lodge image push localhost:5444/app:1
	cp "$TEST_DIR/certs/client.crt" "$CONF/certs.d/localhost:5444/client.cert"
	fails 1 "has no key" lodge image push localhost:5444/app:1
	cp "$TEST_DIR/certs/client.key" "$CONF/certs.d/localhost:5444/client.key"
	lodge image push -q localhost:5444/app:1
	lodge image rm localhost:5444/app:1
}

@test "plain http only where it is allowed; mirrors, rewrites, blocks, short names" {
	plain
	fill real/app:1
	fails 1 "cannot get" lodge image pull --tls-verify 127.0.0.1:5000/real/app:1
	cat >"$CONF/registries.conf" <<-'C'
		unqualified-search-registries = ["127.0.0.1:5009", "127.0.0.1:5000"]
		[[registry]]
		prefix = "example.com/team"
		location = "127.0.0.1:5000/real"
		insecure = true
		[[registry]]
		prefix = "mirrored.example.com"
		location = "127.0.0.1:5009"
		[[registry.mirror]]
		location = "127.0.0.1:5008"
		[[registry.mirror]]
		location = "127.0.0.1:5000/real"
		[[registry]]
		location = "bad.example.com"
		blocked = true
		[aliases]
		"short" = "example.com/team/app"
	C
	equal example.com/team/app:1 "$(lodge image pull -q example.com/team/app:1)"
	equal mirrored.example.com/app:1 "$(lodge image pull -q mirrored.example.com/app:1)"
	fails 1 "is blocked" lodge image pull bad.example.com/app:1
	equal example.com/team/app:1 "$(lodge image pull -q short:1)"
	# the first registry of the list isn't there
	equal 127.0.0.1:5000/real/app:1 "$(lodge image pull -q real/app:1)"
	equal three "$(lodge run --rm --network none real/app:1 cat /three)"
	echo 'x = [' >"$CONF/registries.conf"
	fails 1 "registries.conf" lodge image pull short:1
	rm "$CONF/registries.conf"
	lodge image rm example.com/team/app:1 mirrored.example.com/app:1 127.0.0.1:5000/real/app:1
}

@test "policy.json: accept, reject, signatures of GPG" {
	plain
	fill app:1
	echo '{"default": [{"type": "reject"}]}' >"$CONF/policy.json"
	fails 1 "rejected by the policy of 'default'" lodge image pull 127.0.0.1:5000/app:1
	echo '{"default": [{"type": "reject"}], "transports": {"docker": {"127.0.0.1:5000": [{"type": "insecureAcceptAnything"}]}}}' \
		>"$CONF/policy.json"
	lodge image pull -q 127.0.0.1:5000/app:1
	echo '{"default": [{"type": "nonsense"}]}' >"$TEST_DIR/policy.json"
	fails 1 "unknown type 'nonsense'" lodge image pull --signature-policy "$TEST_DIR/policy.json" 127.0.0.1:5000/app:1
	# a key, a signature made by skopeo, and where it lies
	export GNUPGHOME=$TEST_DIR/gpg
	mkdir -m 700 "$GNUPGHOME" "$CONF/registries.d"
	for who in good other; do
		gpg --batch --quiet --passphrase '' --quick-generate-key $who@example.com rsa2048 sign 1d
		gpg --armor --export $who@example.com >"$TEST_DIR/$who.asc"
	done
	printf 'docker:\n  127.0.0.1:5000:\n    lookaside: file://%s/sigs\n    sigstore: file://%s/sigs\n' "$TEST_DIR" "$TEST_DIR" >"$CONF/registries.d/x.yaml"
	signed() {
		echo '{"default": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "'"$TEST_DIR/$1.asc"'"}]}' >"$TEST_DIR/policy.json"
		lodge image pull -q --signature-policy "$TEST_DIR/policy.json" 127.0.0.1:5000/app:1
	}
	fails 1 "has no signature" signed good
	manifest=$TEST_DIR/manifest.json
	skopeo inspect --raw --tls-verify=false docker://127.0.0.1:5000/app:1 >"$manifest"
	hex=$(sha256sum "$manifest" | cut -d ' ' -f 1)
	mkdir -p "$TEST_DIR/sigs/app@sha256=$hex"
	sig=$TEST_DIR/sigs/app@sha256=$hex/signature-1
	skopeo standalone-sign "$manifest" 127.0.0.1:5000/app:1 good@example.com -o "$sig"
	signed good
	fails 1 "isn't one of the keys" signed other
	# for another image, and another name
	skopeo standalone-sign "$manifest" 127.0.0.1:5000/app:2 good@example.com -o "$sig"
	fails 1 "the signature is for '127.0.0.1:5000/app:2'" signed good
	echo '{"schemaVersion": 2}' >"$manifest"
	skopeo standalone-sign "$manifest" 127.0.0.1:5000/app:1 good@example.com -o "$sig"
	fails 1 "the image is" signed good
	rm "$CONF/policy.json"
	gpgconf --kill all
	lodge image rm 127.0.0.1:5000/app:1
}

@test "a registry that lies gets a clear error, and the store stays whole" {
	liar 5001 "$TEST_DIR/layout"
	check() { fails 1 "$2" timeout 60 "$LODGE" image pull "127.0.0.1:5001/$1/x:1"; store_is_whole; }
	check wrong "is damaged"
	check other "digest is"
	check size "bytes"
	check small "larger than"
	check endless "larger than"
	check huge "larger than"
	check layers "more than 500"
	check bomb "grows more than 400 times"
	check html "a web page"
	check loop "redirects more than 10 times"
	check nojson "line 1"
	check schema1 "version 1"
	check type "application/x-strange"
	check config "isn't an image"
	check noimage "no image for linux/amd64"
	equal 0 "$(lodge image ls -q 127.0.0.1:5001/wrong/x | wc -l)"
	lodge image prune -af >/dev/null || true
	lodge image import "$TEST_DIR/bb.tar" bb >/dev/null
}

@test "what passes is tried again: 429 with Retry-After, 503, a lost connection; redirects take no password along" {
	liar 5001 "$TEST_DIR/layout"
	for kind in busy flaky index token expired norange; do
		lodge image pull -q "127.0.0.1:5001/$kind/x:1"
		lodge image rm "127.0.0.1:5001/$kind/x:1" >/dev/null
	done
	lodge image pull -q --creds me:secret "127.0.0.1:5001/redirect/x:1"
	lodge image rm "127.0.0.1:5001/redirect/x:1"
	grep -q '^GET /elsewhere/' "$TEST_DIR/liar.log"
	! grep '^GET /elsewhere/' "$TEST_DIR/liar.log" | grep -v ' -$'
	fails 1 "no image for linux/s390x" lodge image pull --platform linux/s390x 127.0.0.1:5001/index/x:1
}

@test "an interrupted pull goes on where it was" {
	BYTES=20000000 layered "$TEST_DIR/big" img
	liar 5001 "$TEST_DIR/big"
	# each connection ends at 90 %, the next one gets the rest
	lodge image pull -q 127.0.0.1:5001/cut/x:1
	lodge image rm 127.0.0.1:5001/cut/x:1
	largest=$(jq -r '.layers | max_by(.size) | .digest' "$TEST_DIR/big/blobs/sha256/$(jq -r '.manifests[0].digest' "$TEST_DIR/big/index.json" | cut -d : -f 2)")
	size=$(stat -c %s "$TEST_DIR/big/blobs/sha256/${largest#*:}")
	sent() { awk -v d="$largest" 'index($2, d) { n += $4 } END { print n + 0 }' "$TEST_DIR/liar.log"; }
	equal "$size" "$(sent)"
	# killed in the middle: the next command goes on
	: >"$TEST_DIR/liar.log"
	"$LODGE" image pull -q 127.0.0.1:5001/slow/x:1 &
	pid=$!
	within 20 sh -c '[ "$(cat "$LODGE_ROOT"/blobs/sha256/*.part 2>/dev/null | wc -c)" -gt 8000000 ]'
	kill -KILL $pid
	wait $pid || true
	store_is_whole
	before=$(stat -c %s "$LODGE_ROOT/blobs/sha256/${largest#*:}.part")
	lodge image pull -q 127.0.0.1:5001/fast/x:1
	equal three "$(lodge run --rm --network none 127.0.0.1:5001/fast/x:1 cat /three)"
	grep "/fast/x/blobs/$largest 206 $((size - before)) bytes=$before-" "$TEST_DIR/liar.log"
	equal 0 "$(partials)"
	# what is left of one that nobody goes on with is pruned
	lodge image rm 127.0.0.1:5001/fast/x:1
	fails 1 "" timeout -s KILL 60 "$LODGE" image pull 127.0.0.1:5001/short/x:1
	[ "$(partials)" -gt 0 ]
	lodge image prune -f
	equal 0 "$(partials)"
	store_is_whole
}

@test "two pulls of one image at once, and a prune meanwhile" {
	liar 5001 "$TEST_DIR/layout"
	SLOW=0.02
	lodge image pull -q 127.0.0.1:5001/slow/x:1 &
	one=$!
	lodge image pull -q 127.0.0.1:5001/slow/x:1 &
	two=$!
	for _ in 1 2 3 4 5; do
		lodge image prune -f >/dev/null
		sleep 0.2
	done
	wait $one
	wait $two
	equal three "$(lodge run --rm --network none 127.0.0.1:5001/slow/x:1 cat /three)"
	store_is_whole
	lodge image rm 127.0.0.1:5001/slow/x:1
}

@test "a full disk" {
	liar 5001 "$TEST_DIR/layout"
	mkdir -p "$TEST_DIR/small"
	mount -t tmpfs -o size=4m small "$TEST_DIR/small"
	fails 1 "No space left" env LODGE_ROOT="$TEST_DIR/small/root" "$LODGE" image pull 127.0.0.1:5001/good/x:1
	LODGE_ROOT=$TEST_DIR/small/root lodge fsck
	umount "$TEST_DIR/small"
}

@test "killed at any moment, the store is whole" {
	liar 5001 "$TEST_DIR/layout"
	plain
	for round in $(seq "${ROUNDS:-12}"); do
		timeout -s KILL "0.$(printf %03d $((RANDOM % 400 + 10)))" "$LODGE" image pull -q 127.0.0.1:5001/good/x:1 >/dev/null 2>&1 || true
		store_is_whole
		if lodge image inspect 127.0.0.1:5001/good/x:1 >/dev/null 2>&1; then
			lodge image tag 127.0.0.1:5001/good/x:1 "127.0.0.1:5000/k$round:1"
			timeout -s KILL "0.$(printf %03d $((RANDOM % 300 + 10)))" "$LODGE" image push -q "127.0.0.1:5000/k$round:1" >/dev/null 2>&1 || true
			timeout -s KILL "0.0$((RANDOM % 90 + 10))" "$LODGE" image rm "127.0.0.1:5000/k$round:1" 127.0.0.1:5001/good/x:1 >/dev/null 2>&1 || true
			timeout -s KILL "0.0$((RANDOM % 90 + 10))" "$LODGE" image prune -f >/dev/null 2>&1 || true
			store_is_whole
		fi
	done
	lodge image pull -q 127.0.0.1:5001/good/x:1
	equal three "$(lodge run --rm --network none 127.0.0.1:5001/good/x:1 cat /three)"
	lodge image rm 127.0.0.1:5001/good/x:1
	lodge image ls --format '{{.Repository}}:{{.Tag}}' | { grep '^127' || true; } | xargs -r "$LODGE" image rm
	lodge image prune -f
	store_is_whole
}

@test "progress as JSON, as lines; explain" {
	plain
	fill app:1
	lodge image pull --progress json 127.0.0.1:5000/app:1 | jq -se 'map(select(.progressDetail)) | map(.status) | index("Pull complete")'
	lodge image rm 127.0.0.1:5000/app:1
	lodge image pull --progress tty 127.0.0.1:5000/app:1 | grep "3 of 3 layers" >/dev/null
	lodge image pull --progress plain 127.0.0.1:5000/app:1 | grep "Already exists" >/dev/null
	fails 125 "invalid progress" lodge image pull --progress x 127.0.0.1:5000/app:1
	lodge image rm 127.0.0.1:5000/app:1
	lodge explain image pull 127.0.0.1:5000/app:1 | grep -q "skopeo copy docker://127.0.0.1:5000/app:1"
	equal 0 "$(lodge image ls -q 127.0.0.1:5000/app | wc -l)"
	equal 127.0.0.1:5000/app:1 "$(lodge image pull --policy missing -q 127.0.0.1:5000/app:1)"
	equal 127.0.0.1:5000/app:1 "$(lodge image pull --policy never 127.0.0.1:5000/app:1)"
	fails 1 "no such image" lodge image pull --policy never 127.0.0.1:5000/none:1
	lodge image rm 127.0.0.1:5000/app:1
}
