#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Images looked at: diff, mount, tree, outdated.
load ../lib

prepare() {
	"$TOP/tests/layouts" "$TEST_DIR/l"
	lodge skopeo --insecure-policy copy -q "oci:$TEST_DIR/l:one" containers-storage:one:1
	lodge skopeo --insecure-policy copy -q "oci:$TEST_DIR/l:plain" containers-storage:plain:1
	printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: 127.0.0.1:5000}\n' \
		"$TEST_DIR/registry" >"$TEST_DIR/registry.yml"
	file_server docker-registry serve "$TEST_DIR/registry.yml"
	within 10 curl -s -o /dev/null http://127.0.0.1:5000/v2/
}

@test "diff: added, changed, deleted" {
	equal "C /etc
C /etc/name
A /new" "$(lodge image diff plain:1 one:1)"
	equal "C /etc
C /etc/name
D /new" "$(lodge image diff one:1 plain:1)"
	equal "" "$(lodge image diff one:1 one:1)"
	run -1 lodge image diff one:1 none:1
}

@test "mount: read-only, stays, keeps the image, goes" {
	at=$(lodge image mount one:1)
	equal one "$(cat "$at/etc/name")"
	run -1 touch "$at/x"
	equal "$at" "$(lodge image mount one:1)"
	equal "one:1  $at" "$(lodge image mount)"
	run -1 lodge image rm one:1
	[[ $output == *'is mounted'* ]]
	lodge image prune -af >/dev/null
	equal one "$(cat "$at/etc/name")"
	lodge image unmount one:1
	[ ! -e "$at" ]
	run -1 lodge image unmount one:1
	# one layer needs no overlay; explain mounts nothing
	lodge skopeo --insecure-policy copy -q "oci:$TEST_DIR/l:plain" containers-storage:plain:1
	lodge image import -q "$TEST_DIR/bb.tar" bb
	lodge skopeo --insecure-policy copy -q "oci:$TEST_DIR/l:one" containers-storage:one:1
	[[ $(lodge explain image mount plain:1) == *'mount '* ]]
	equal "" "$(lodge image mount)"
	at=$(lodge image mount plain:1)
	equal base "$(cat "$at/etc/name")"
	[[ $(lodge explain image unmount plain:1) == *"umount -l $at"* ]]
	lodge image unmount --all
	equal "" "$(lodge image mount)"
	equal "" "$(lodge fsck)"
}

@test "tree: layers, and whose they are" {
	run -0 lodge image tree one:1
	[[ ${lines[1]} == 'Tags:     [one:1]' ]]
	[[ ${lines[4]} == '├── ID: '*'Top Layer of: [plain:1]' ]]
	[[ ${lines[5]} == '└── ID: '*'Top Layer of: [one:1]' ]]
}

@test "outdated: current, outdated, gone, unknown" {
	r=127.0.0.1:5000
	push() { lodge skopeo copy -q --all --dest-tls-verify=false "oci:$TEST_DIR/l:$1" "docker://$r/$2"; }
	pull() { lodge skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$r/$1" "containers-storage:$r/$1"; }
	state() { lodge image outdated --format '{{.State}}' "$r/$1"; }
	push one x:1
	pull x:1
	equal current "$(state x:1)"
	push plain x:1
	equal outdated "$(state x:1)"
	equal "$r/x:1" "$(lodge image outdated -q "$r/x:1")"
	# the registry has an index, the store what was chosen of it
	push multi m:1
	pull m:1
	equal current "$(state m:1)"
	lodge image tag "$r/x:1" "$r/none:1"
	equal gone "$(state none:1)"
	lodge image tag bb "$r/bb:1"
	equal unknown "$(state bb:1)"
	lodge image rm "$r/x:1" "$r/none:1" "$r/m:1" "$r/bb:1"
	run -1 lodge image outdated none:1
}

@test "the mount points of layers are in memory, unless there are some on the disk already" {
	local run=$TEST_DIR/elsewhere digest
	mkdir -p "$run/full/layers/old"
	digest=$(lodge image inspect bb | jq -r '.[0].RootFS.Layers[0]')
	for kind in empty full full; do
		LODGE_RUN=$run/$kind lodge run --rm --network none bb true
		mountpoint -q "$run/$kind/layers/${digest#sha256:}"
	done
	equal tmpfs "$(stat -f -c %T "$run/empty/layers")"
	equal "$(stat -f -c %T "$run")" "$(stat -f -c %T "$run/full/layers")"
	[ -d "$run/full/layers/old" ]
	# once
	equal "$([ "$(stat -f -c %T "$run")" = tmpfs ] && echo 0 || echo 1)" "$(awk -v at="$run/empty/layers" '$5 == at' /proc/self/mountinfo | wc -l)"
	lodge explain run bb true | grep -q 'mkdir -p -m 711 .*layers && .* mount -t tmpfs -o nosuid,nodev,noexec,mode=711,size=1m lodge'
	umount "$run"/*/layers/* "$run/empty/layers" || true
	rm -rf "$run"
}

@test "fsck beside living commands that remove and add finds nothing" {
	local i pid failed=
	for i in $(seq 12); do
		mkdir -p "$TEST_DIR/l$i"
		seq "$i" 20000 >"$TEST_DIR/l$i/file"
		tar -C "$TEST_DIR/l$i" -cf "$TEST_DIR/l$i.tar" .
	done
	(
		for i in $(seq 12) $(seq 12); do
			lodge image import "$TEST_DIR/l$i.tar" "gone:$i" >/dev/null
			lodge image rm "gone:$i" >/dev/null
		done
	) &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		lodge fsck >"$TEST_DIR/found" 2>&1 || { failed=1; cat "$TEST_DIR/found"; }
	done
	wait $pid
	[ -z "$failed" ]
	lodge fsck
	equal "" "$(lodge image ls -q gone)"
	rm -rf "$TEST_DIR"/l*
}
