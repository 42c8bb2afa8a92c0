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

# What a bundle's owner may do to it.
change() {
	local r=$1/rootfs
	rm -rf "$r/a/sub" "$r/etc/group"
	mv "$r/a/hard" "$r/a/harder"
	mkdir -p "$r/new/deep"
	echo hello >"$r/new/deep/f"
	ln "$r/new/deep/f" "$r/new/again"
	ln -s deep/f "$r/new/link"
	mkfifo "$r/new/fifo"
	mknod "$r/new/dev" b 7 3
	truncate -s 5M "$r/new/sparse"
	printf x | dd of="$r/new/sparse" bs=1 seek=3000000 conv=notrunc status=none
	echo more >>"$r/etc/passwd"
	rm "$r/keep/n"
	rmdir "$r/keep"
	echo file >"$r/keep"
	chown 5:6 "$r/op/new"
	chmod 4711 "$r/op/new"
	touch -d @1234567890 "$r/op/new"
	setcap cap_net_raw+ep "$r/op/new"
	python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.note", b"\0\1"); os.setxattr(sys.argv[1], "trusted.t", b"t")' "$r/new"
	touch -d @1300000000 "$r/new/deep" "$r/new" "$r/etc" "$r/a" "$r/op" "$r"
}

@test "repack: what was done to a bundle is what the new image has" {
	cd "$TEST_DIR"
	lodge image unpack --image l:t b
	change b
	lodge image repack --image l:two b
	lodge image unpack --image l:two ours
	umoci unpack --image l:two theirs
	equal "$(tree_of b/rootfs)" "$(tree_of ours/rootfs)"
	equal "$(tree_of b/rootfs)" "$(tree_of theirs/rootfs)"
	# holes stay holes
	[ "$(stat -c %b ours/rootfs/new/sparse)" -lt 100 ]
	# only what differs
	layer=l/blobs/sha256/$(skopeo inspect --raw oci:l:two | jq -r '.layers[-1].digest' | cut -c8-)
	[ "$(tar tzf "$layer" | grep -c '^a/cap$\|^lib')" = 0 ]
	equal a/.wh.sub "$(tar tzf "$layer" | grep wh.sub)"
	equal 3 "$(skopeo inspect --raw oci:l:two | jq '.layers | length')"
	[[ $(skopeo inspect --raw oci:l:two | jq -r '.layers[-1].mediaType') == *.tar+gzip ]]
	equal 'lodge image repack' "$(skopeo inspect --config oci:l:two | jq -r '.history[-1].created_by')"
	rm -rf b ours theirs
}

@test "repack: a bundle of umoci's, and umoci one of ours" {
	cd "$TEST_DIR"
	umoci unpack --image l:t b
	change b
	lodge image repack --image l:x b
	lodge image unpack --image l:x ours
	equal "$(tree_of b/rootfs)" "$(tree_of ours/rootfs)"
	umoci repack --refresh-bundle --image l:y b
	# nothing is left that differs, in the record that umoci wrote
	lodge image repack --image l:z b
	equal "" "$(tar tzf "l/blobs/sha256/$(skopeo inspect --raw oci:l:z | jq -r '.layers[-1].digest' | cut -c8-)")"
	# what umoci can't say of holes and fractions of seconds, it doesn't
	echo again >ours/rootfs/again
	umoci repack --image l:u ours
	lodge image unpack --image l:u v
	equal again "$(<v/rootfs/again)"
	rm -rf b ours v
}

@test "repack: history, refresh, masks, ids" {
	cd "$TEST_DIR"
	lodge image unpack --image l:t --uid-map 0:70000:2000 --gid-map 0:70000:2000 b
	echo 1 >b/rootfs/one
	run -1 lodge image repack --image l:h b
	[[ $output == *"isn't mapped"* ]]
	run -1 umoci stat --image l:h
	chown 70005:70006 b/rootfs/one
	lodge image repack --image l:h --refresh-bundle --history.author A --history.comment C --history.created_by B \
		--history.created 2026-01-02T03:04:05Z b
	equal '{"author":"A","comment":"C","created":"2026-01-02T03:04:05Z","created_by":"B"}' \
		"$(skopeo inspect --config oci:l:h | jq -Sc '.history[-1]')"
	layer() {
		tar --numeric-owner -tvzf "l/blobs/sha256/$(skopeo inspect --raw "oci:l:$1" | jq -r '.layers[-1].digest' | cut -c8-)"
	}
	[[ $(layer h) == *' 5/6 '*one ]]
	equal 1 "$(find b -maxdepth 1 -name '*.mtree' | wc -l)"
	equal h "$(jq -r '.from_descriptor_path.descriptor_walk[0].annotations[]' b/umoci.json)"
	mkdir b/rootfs/data
	touch b/rootfs/data/x b/rootfs/two
	chown -R 70000:70000 b/rootfs/data b/rootfs/two
	lodge image repack --image l:i --no-history --mask-path /data b
	equal "$(skopeo inspect --config oci:l:h | jq '.history | length')" \
		"$(skopeo inspect --config oci:l:i | jq '.history | length')"
	[[ $(layer i) == *two* && $(layer i) != *data* ]]
	umoci config --image l:t --tag v --config.volume /data
	lodge image unpack --image l:v c
	mkdir -p c/rootfs/data/x
	lodge image repack --image l:w c
	[[ $(layer w) != *data* ]]
	lodge image repack --image l:w --no-mask-volumes c
	[[ $(layer w) == *data/x* ]]
	run -1 lodge image repack --image l:w --history.created yesterday c
	run -1 lodge image repack --image bbl:w c
	[[ $output == *"isn't of this layout"* ]]
	run -1 lodge image repack --image l:w l
	[[ $output == *'no bundle'* ]]
	[[ $(lodge explain image repack --image l:never c) == *'| gzip >'* ]]
	run -1 umoci stat --image l:never
	rm -rf b c
}

@test "repack: rootless owners go back; an index stays one" {
	cd "$TEST_DIR"
	lodge image unpack --image l:t --rootless r
	chmod 600 r/rootfs/a/f
	lodge image repack --image l:r r
	lodge image unpack --image l:r p
	equal "1000 1000 600" "$(stat -c '%u %g %a' p/rootfs/a/f)"
	if id nobody >/dev/null 2>&1; then
		mkdir -m 777 user
		cp -r l user/l
		chown -R nobody user
		as() {
			setpriv --reuid=nobody --clear-groups env -u LODGE_ROOT -u LODGE_RUN XDG_DATA_HOME="$TEST_DIR/user/d" \
				XDG_RUNTIME_DIR="$TEST_DIR/user/r" "$LODGE" "$@"
		}
		as image unpack --rootless --image user/l:t user/b
		echo x >user/b/rootfs/x
		chown nobody user/b/rootfs/x
		as image repack --image user/l:n user/b
		lodge image unpack --image user/l:n user/p
		equal "1000 1000" "$(stat -c '%u %g' user/p/rootfs/a/f)"
		equal "0 x" "$(stat -c %u user/p/rootfs/x) $(<user/p/rootfs/x)"
		rm -rf user
	fi
	"$TOP/tests/layouts" "$TEST_DIR/multi"
	lodge image unpack --image multi:multi m
	echo x >m/rootfs/x
	lodge image repack --image multi:m2 --refresh-bundle m
	equal 2 "$(skopeo inspect --raw oci:multi:m2 | jq '.manifests | length')"
	equal amd64 "$(skopeo inspect --override-arch amd64 oci:multi:m2 | jq -r .Architecture)"
	lodge image unpack --image multi:m2 n
	equal "$(cd m/rootfs && grep -r .)" "$(cd n/rootfs && grep -r .)"
	# and once more, by the refreshed bundle
	lodge image repack --image multi:m3 m
	rm -rf r p m n multi
}

@test "repack: a record that is wrong" {
	cd "$TEST_DIR"
	lodge image unpack --image l:t b
	record=$(echo b/*.mtree)
	cp "$record" good
	for line in '../x type=file' 'a/b type=file' '\400 type=file' '. type=dir' '/unset all'; do
		{ cat good | sed '$d'; printf '%s\n' "$line"; } >"$record"
		run -1 lodge image repack --image l:bad b
		[[ $output == *'of the bundle'*'record'* ]]
	done
	printf '..\n' >"$record"
	run -1 lodge image repack --image l:bad b
	run -1 umoci stat --image l:bad
	rm -rf b good
}

podman_() {
	podman --root "$TEST_DIR/pod" --runroot "$TEST_DIR/podrun" --storage-driver vfs "$@"
}

@test "podman reads what copy and save write" {
	cd "$TEST_DIR"
	lodge skopeo --insecure-policy copy -q "containers-storage:bb" oci:pl:bb
	podman_ pull -q oci:pl:bb
	equal "$(lodge image inspect bb | jq -r '.[0].Config.Cmd | tojson')" \
		"$(podman_ image inspect "$(podman_ images -q | head -1)" | jq -r '.[0].Config.Cmd | tojson')"
	at=$(podman_ image mount "$(podman_ images -q | head -1)")
	[ -x "$at/bin/busybox" ]
	podman_ image unmount -a >/dev/null
	podman_ rmi -af >/dev/null
	lodge image save -o bb-saved.tar bb
	podman_ load -q -i bb-saved.tar
	[[ $(podman_ images --format '{{.Repository}}:{{.Tag}}') == *bb:latest ]]
	podman_ rmi -af >/dev/null
	rm -rf pl bb-saved.tar pod podrun
}
