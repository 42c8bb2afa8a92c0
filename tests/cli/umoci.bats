#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Layouts unpacked to bundles, beside umoci.
load ../lib

prepare() {
	"$TOP/tests/umoci-layers" "$TEST_DIR"
	"$TOP/tests/layout" "$TEST_DIR/l" t "$TEST_DIR/1.tar.gz" "$TEST_DIR/2.tar" >/dev/null
	make_root "$TEST_DIR/bb-root"
	tar -C "$TEST_DIR/bb-root" --numeric-owner -cf "$TEST_DIR/bb-layer.tar" .
	"$TOP/tests/layout" "$TEST_DIR/bbl" latest "$TEST_DIR/bb-layer.tar" >/dev/null
	cd "$TEST_DIR"
}

# All of a tree that a layer can say, a line each: names, types, modes, owners, links, sizes, times, devices, content,
# attributes.
tree_of() {
	"$TOP/tests/tree-of" "$1"
}

@test "unpack: the files of umoci, of the same content" {
	cd "$TEST_DIR"
	lodge image unpack --image l:t ours
	umoci unpack --image l:t theirs
	equal "$(tree_of theirs/rootfs)" "$(tree_of ours/rootfs)"
	equal "$(ls theirs)" "$(ls ours)"
	[ ! -e ours/rootfs/a/gone ]
	equal new "$(ls ours/rootfs/op)"
	# the link of the second layer stays inside
	[ -e ours/rootfs/tmp/out/pwn ]
	[ ! -e /tmp/out/pwn ]
	# no names of ours where umoci has others
	equal "$(jq -c 'del(.. | .platform?)' theirs/umoci.json)" "$(jq -c . ours/umoci.json)"
	equal 'root bob' "$(jq -r '.process.env[] | select(startswith("HOME"))' ours/config.json | sed 's/HOME=.root/root bob/')"
	# umoci sees nothing that has changed
	umoci repack --image l:same ours
	skopeo inspect --raw oci:l:same | jq -r '.layers[-1].digest' | cut -c8- >"$TEST_DIR/digest"
	equal "" "$(tar tzf "l/blobs/sha256/$(<"$TEST_DIR/digest")")"
	rm -rf ours theirs
}

@test "unpack: what it refuses, and leaves nothing of" {
	cd "$TEST_DIR"
	run -125 lodge image unpack out
	run -1 lodge image unpack --image l:none out
	[ ! -e out ]
	mkdir full
	touch full/x
	run -1 lodge image unpack --image l:t full
	[[ $output == *"isn't empty"* ]]
	run -1 lodge image unpack --image l:t --uid-map 0:5 out
	[[ $output == *'belong together'* ]]
	run -1 lodge image unpack --image l:t --uid-map x:5:1 --gid-map 0:5 out
	# ids that aren't mapped
	run -1 lodge image unpack --image l:t --uid-map 0:5 --gid-map 0:5 out
	[ ! -e out ]
	"$TOP/tests/layouts" "$TEST_DIR/bad"
	run -1 lodge image unpack --image bad:lie out
	[ ! -e out ]
	run -1 lodge image unpack --image bad:short out
	run -1 lodge image unpack --image bad:artifact out
	# an empty folder that was there stays
	mkdir empty
	run -1 lodge image unpack --image bad:lie empty
	equal "" "$(ls -A empty)"
	[[ $(lodge explain image unpack --image l:t out) == *"mkdir -m 755 $TEST_DIR/out/rootfs"* ]]
	[ ! -e out ]
	rm -rf full empty bad
}

@test "unpack: ids are mapped, folders' links kept, rootless" {
	cd "$TEST_DIR"
	lodge image unpack --image l:t --uid-map 0:70000:2000 --gid-map 0:80000:2000 m
	equal "71000 81000" "$(stat -c '%u %g' m/rootfs/a/f)"
	equal '[{"containerID":0,"hostID":70000,"size":2000}]' "$(jq -c .linux.uidMappings m/config.json)"
	[ ! -L m/rootfs/usrlib ]
	lodge image unpack --image l:t --keep-dirlinks k
	equal lib "$(readlink k/rootfs/usrlib)"
	[ -e k/rootfs/lib/z ]
	lodge image unpack --image l:t --rootless r
	equal "0 0" "$(stat -c '%u %g' r/rootfs/a/f)"
	equal "08e80710e807" "$(python3 -c 'import os; print(os.getxattr("r/rootfs/a/f", "user.rootlesscontainers").hex())')"
	equal true "$(jq .map_options.rootless r/umoci.json)"
	equal 0 "$(jq '[.linux.namespaces[] | select(.type == "network")] | length' r/config.json)"
	rm -rf m k r
}

@test "unpack: a death leaves what the next command takes away" {
	cd "$TEST_DIR"
	python3 - "$TEST_DIR/slow.tar" <<'PY'
import sys, tarfile
with tarfile.open(sys.argv[1], 'w') as t:
    for i in range(60000):
        t.addfile(tarfile.TarInfo('f%d' % i))
PY
	"$TOP/tests/layout" "$TEST_DIR/slow" t "$TEST_DIR/slow.tar" >/dev/null
	"$LODGE" image unpack --image slow:t out &
	pid=$!
	within 10 test -d out/rootfs
	kill -9 $pid
	wait $pid || true
	[ -d out ]
	lodge image ls >/dev/null
	within 5 test ! -e out
	rm -rf slow slow.tar
}

@test "unpack: lodge-runc and runc run it" {
	cd "$TEST_DIR"
	lodge image unpack --image bbl b
	jq '.process.terminal = false | .process.args = ["sh", "-c", "echo hi; id -u; pwd"]' b/config.json >c.json
	mv c.json b/config.json
	equal $'hi\n0\n/' "$("$(dirname "$LODGE")/lodge-runc" --root "$TEST_DIR/runs" run -b b u1)"
	equal $'hi\n0\n/' "$(runc --root "$TEST_DIR/runs2" run -b b u2)"
	rm -rf b
}
