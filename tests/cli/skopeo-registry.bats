#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# skopeo's command line with registries (Debian's docker-registry) and with docker's daemon, beside the real one.
load ../lib

ours() {
	(exec -a skopeo "$LODGE" "$@")
}

real() {
	command skopeo --insecure-policy "$@"
}

R=127.0.0.1:5000

start_registry() { # PORT [YAML]: without TLS
	mkdir -p "$TEST_DIR/registry-$1"
	cat >"$TEST_DIR/registry-$1.yml" <<-CONF
		version: 0.1
		log: {level: error}
		storage: {filesystem: {rootdirectory: $TEST_DIR/registry-$1}, delete: {enabled: true}}
		http: {addr: 127.0.0.1:$1}
		${2:-}
	CONF
	file_server docker-registry serve "$TEST_DIR/registry-$1.yml"
	within 10 curl -s -o /dev/null "http://127.0.0.1:$1/v2/"
}

prepare() {
	"$TOP/tests/layouts" "$TEST_DIR/l"
	htpasswd -Bbn joe secret >"$TEST_DIR/htpasswd" 2>/dev/null ||
		printf 'joe:%s\n' "$(python3 -c 'import crypt; print(crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH)).replace("$2b$", "$2y$"))')" >"$TEST_DIR/htpasswd"
	start_registry 5000
	start_registry 5001 "auth: {htpasswd: {realm: test, path: $TEST_DIR/htpasswd}}"
}

digest() { # LAYOUT TAG
	jq -r --arg t "$2" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t).digest' "$1/index.json"
}

setup() {
	cd "$TEST_DIR"
	export REGISTRY_AUTH_FILE=$TEST_DIR/auth.json
	rm -rf o r auth.json
	mkdir o r
}

@test "copy: to a registry and back, by tag and digest; theirs sees the same" {
	ours copy -q --dest-tls-verify=false oci:l:one docker://$R/t/one:1
	equal "$(real inspect --tls-verify=false docker://$R/t/one:1)" "$(ours inspect --tls-verify=false docker://$R/t/one:1)"
	equal "$(real inspect -n --config --tls-verify=false docker://$R/t/one:1)" "$(ours inspect --no-tags --config --tls-verify=false docker://$R/t/one:1)"
	ours copy -q --src-tls-verify=false docker://$R/t/one:1 oci:o/l:one
	equal "$(digest l one)" "$(digest o/l one)"
	ours copy -q --src-tls-verify=false "docker://$R/t/one@$(digest l one)" dir:o/d
	real copy -q oci:l:one dir:r/d
	diff -r o/d r/d
	run -1 ours copy -q oci:l:one docker://$R/t/one:1
	run -1 ours inspect --tls-verify=false docker://$R/t/one:none
}

@test "copy: all of an index, an artifact, plain layers are compressed" {
	ours copy -q --all --dest-tls-verify=false oci:l:multi docker://$R/t/multi:1
	equal "$(digest l multi)" "$(real inspect --raw --tls-verify=false docker://$R/t/multi:1 | sha256sum | sed 's/\(.*\)  -/sha256:\1/')"
	ours --override-arch arm64 copy -q --src-tls-verify=false docker://$R/t/multi:1 oci:o/l:arm
	equal arm64 "$(real inspect oci:o/l:arm | jq -r .Architecture)"
	ours copy -q --dest-tls-verify=false oci:l:artifact docker://$R/t/artifact:1
	equal "$(digest l artifact)" "$(ours inspect --raw --tls-verify=false docker://$R/t/artifact:1 | sha256sum | sed 's/\(.*\)  -/sha256:\1/')"
	ours copy -q --dest-tls-verify=false oci:l:plain docker://$R/t/plain:1
	equal application/vnd.oci.image.layer.v1.tar+gzip "$(real inspect --raw --tls-verify=false docker://$R/t/plain:1 | jq -r '.layers[0].mediaType')"
	real copy -q --src-tls-verify=false docker://$R/t/plain:1 docker-archive:r/a.tar:x:1
}

@test "copy: from one registry to another; into the store and out" {
	ours copy -q --dest-tls-verify=false oci:l:one docker://$R/t/two:1
	ours copy -q --src-tls-verify=false --dest-tls-verify=false --dest-creds joe:secret docker://$R/t/two:1 docker://127.0.0.1:5001/x/two:2
	equal "$(digest l one)" "$(real inspect --tls-verify=false --creds joe:secret docker://127.0.0.1:5001/x/two:2 | jq -r .Digest)"
	ours copy -q --src-tls-verify=false docker://$R/t/two:1 containers-storage:two:1
	equal "$(digest l one)" "$(lodge image ls --digests --format '{{.Digest}}' two)"
	ours copy -q --dest-tls-verify=false containers-storage:two:1 docker://$R/t/stored:1
	equal "$(ours inspect --config oci:l:one)" "$(real inspect --config --tls-verify=false docker://$R/t/stored:1)"
	lodge image rm two:1
}

@test "credentials: given, kept by login, wrong, none" {
	for how in "--creds joe:secret" "--username joe --password secret"; do
		run -1 ours inspect --tls-verify=false $how docker://127.0.0.1:5001/x/none:1
		[[ $output != *401* && $output != *nauthorized* && $output != *'authentication required'* ]]
	done
	run -1 ours copy -q --dest-tls-verify=false oci:l:one docker://127.0.0.1:5001/x/one:1
	run -1 ours copy -q --dest-tls-verify=false --dest-creds joe:wrong oci:l:one docker://127.0.0.1:5001/x/one:1
	run -1 ours login --tls-verify=false -u joe -p wrong 127.0.0.1:5001
	equal "Login Succeeded!" "$(echo secret | ours login --tls-verify=false -u joe --password-stdin 127.0.0.1:5001)"
	equal joe "$(ours login --get-login 127.0.0.1:5001)"
	equal joe "$(real login --get-login 127.0.0.1:5001)"
	ours copy -q --dest-tls-verify=false oci:l:one docker://127.0.0.1:5001/x/one:1
	run -1 ours copy -q --src-no-creds --src-tls-verify=false docker://127.0.0.1:5001/x/one:1 dir:o/d
	equal "Removed login credentials for 127.0.0.1:5001" "$(ours logout 127.0.0.1:5001)"
	run -1 ours logout 127.0.0.1:5001
	# what theirs keeps is ours, too
	real login --tls-verify=false -u joe -p secret 127.0.0.1:5001
	ours copy -q --src-tls-verify=false docker://127.0.0.1:5001/x/one:1 dir:o/d
	ours logout --all
	run -1 ours inspect --tls-verify=false --creds joe:secret --no-creds docker://127.0.0.1:5001/x/one:1
}

@test "list-tags and delete" {
	for tag in b a; do
		ours copy -q --dest-tls-verify=false oci:l:one docker://$R/tags:$tag
	done
	equal "$(real list-tags --tls-verify=false docker://$R/tags)" "$(ours list-tags --tls-verify=false docker://$R/tags)"
	run -1 ours list-tags --tls-verify=false docker://$R/tags:a
	ours copy -q --dest-tls-verify=false oci:l:plain docker://$R/tags:gone
	ours delete --tls-verify=false docker://$R/tags:gone
	run -1 real inspect --tls-verify=false docker://$R/tags:gone
	real inspect --tls-verify=false docker://$R/tags:a
}

@test "sync: a repository to folders, back, and as a file says" {
	ours copy -q --dest-tls-verify=false oci:l:one docker://$R/s/x:1
	ours copy -q --dest-tls-verify=false oci:l:plain docker://$R/s/x:2
	ours sync --src docker --dest dir --src-tls-verify=false $R/s/x o/s
	real sync --src docker --dest dir --src-tls-verify=false $R/s/x r/s
	diff -r o/s r/s
	ours sync --scoped --src docker --dest dir --src-tls-verify=false $R/s/x:1 o/scoped
	diff -r "o/scoped/$R/s/x:1" o/s/x:1
	run -1 ours sync --src docker --dest dir --src-tls-verify=false $R/s/x:1 o/s
	[[ $output == *'Refusing to overwrite destination directory'* ]]
	ours sync --src dir --dest docker --dest-tls-verify=false o/s $R/back
	equal "$(real inspect --raw --tls-verify=false docker://$R/s/x:1)" "$(real inspect --raw --tls-verify=false docker://$R/back/x:1)"
	cat >o/sync.yml <<-YAML
		$R:
		    tls-verify: false
		    images:
		        s/x: ["2"]
		    images-by-tag-regex:
		        back/x: ^1\$
	YAML
	ours sync --src yaml --dest dir o/sync.yml o/y
	equal "x:1
x:2" "$(ls o/y)"
	sed -i 's/"2"/"no"/' o/sync.yml
	run -1 ours sync --src yaml --dest dir o/sync.yml o/z
	run -1 --separate-stderr ours sync --keep-going --src yaml --dest dir o/sync.yml o/w
	[ -d o/w/x:1 ]
	printf '%s:\n    images-by-semver: {}\n' $R >o/sync.yml
	run -1 ours sync --src yaml --dest dir o/sync.yml o/v
}

@test "signatures beside a registry, and a policy that asks for them" {
	export GNUPGHOME=$TEST_DIR/gnupg
	mkdir -m 700 -p "$GNUPGHOME" o/registries.d o/sigs
	gpg --batch --quiet --passphrase '' --quick-generate-key test@example.com default default never 2>/dev/null
	key=$(gpg --list-keys --with-colons | awk -F: '/^fpr/ { print $10; exit }')
	gpg --export >o/key.gpg
	printf 'docker:\n  %s:\n    lookaside: file://%s/o/sigs\n    lookaside-staging: file://%s/o/sigs\n    sigstore: file://%s/o/sigs\n    sigstore-staging: file://%s/o/sigs\n' \
		$R "$TEST_DIR" "$TEST_DIR" "$TEST_DIR" "$TEST_DIR" >o/registries.d/test.yaml
	cat >o/policy.json <<-JSON
		{"default": [{"type": "reject"}], "transports": {
		  "docker": {"$R": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "$TEST_DIR/o/key.gpg"}]},
		  "dir": {"$TEST_DIR/l": [{"type": "insecureAcceptAnything"}]}}}
	JSON
	ours --registries.d o/registries.d copy -q --dest-tls-verify=false --sign-by "$key" oci:l:one docker://$R/signed:1
	ours copy -q --dest-tls-verify=false oci:l:plain docker://$R/unsigned:1
	ours --policy o/policy.json --registries.d o/registries.d copy -q --src-tls-verify=false --remove-signatures docker://$R/signed:1 oci:o/l:x
	command skopeo --policy o/policy.json --registries.d o/registries.d copy -q --src-tls-verify=false --remove-signatures docker://$R/signed:1 oci:r/l:x
	run -1 ours --policy o/policy.json --registries.d o/registries.d copy -q --src-tls-verify=false docker://$R/unsigned:1 dir:o/d
	[[ $output == *'Source image rejected'* ]]
	run -1 ours --policy o/policy.json copy -q oci:l:one dir:o/d
	ours --policy o/policy.json --insecure-policy copy -q oci:l:one dir:o/d
	gpgconf --kill gpg-agent
}

@test "docker-daemon: in and out" {
	mkdir -p "$TEST_DIR/docker"
	dockerd --data-root "$TEST_DIR/docker" --exec-root "$TEST_DIR/docker-run" --pidfile "$TEST_DIR/docker.pid" --bridge none \
		--iptables=false -H "unix://$TEST_DIR/docker.sock" --storage-driver vfs >"$TEST_DIR/dockerd.log" 2>&1 3>&- &
	within 30 curl -s -o /dev/null --unix-socket "$TEST_DIR/docker.sock" http://d/_ping || { tail -5 "$TEST_DIR/dockerd.log" >&2; false; }
	host=unix://$TEST_DIR/docker.sock
	ours copy -q --dest-daemon-host "$host" oci:l:one docker-daemon:one:1
	equal '["one:1"]' "$(curl -s --unix-socket "$TEST_DIR/docker.sock" http://d/images/one:1/json | jq -c .RepoTags)"
	ours copy -q --src-daemon-host "$host" docker-daemon:one:1 dir:o/d
	real copy -q --src-daemon-host "$host" docker-daemon:one:1 dir:r/d
	diff -r o/d r/d
	export DOCKER_HOST=$host
	equal "$(real inspect --daemon-host "$host" docker-daemon:one:1)" "$(ours inspect docker-daemon:one:1)"
	run -1 ours inspect docker-daemon:none:1
	run -1 ours inspect docker-daemon:one
	[[ $output == *'neither a tag nor a digest'* ]]
	run -1 ours copy -q --dest-daemon-host tcp://127.0.0.1:1 oci:l:one docker-daemon:one:1
	kill "$(cat "$TEST_DIR/docker.pid")"
	within 20 [ ! -e "$TEST_DIR/docker.pid" ]
}
