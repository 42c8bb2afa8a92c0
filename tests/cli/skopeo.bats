#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# skopeo's command line between folders, archives and the store, beside the real skopeo and umoci: what ours writes
# theirs read, and the other way round.
load ../lib

ours() {
	(exec -a skopeo "$LODGE" "$@")
}

real() {
	command skopeo --insecure-policy "$@"
}

prepare() {
	"$TOP/tests/layouts" "$TEST_DIR/l"
}

# The digest of what a layout calls by this tag.
digest() { # LAYOUT TAG
	jq -r --arg t "$2" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $t).digest' "$1/index.json"
}

setup() {
	cd "$TEST_DIR"
	rm -rf o r x
	mkdir o r
}

@test "copy: a layout to dir, as skopeo writes it" {
	run -0 ours copy oci:l:one dir:o/d
	equal "$output" "$(real copy oci:l:one dir:r/d)"
	diff -r o/d r/d
}

@test "copy: to a layout and an archive of one, byte for byte; theirs reads it" {
	ours copy -q oci:l:one oci:o/l:one
	equal "$(digest l one)" "$(digest o/l one)"
	ours copy -q oci:o/l:one oci-archive:o/a.tar:one
	real copy -q oci-archive:o/a.tar:one dir:r/d
	real copy -q oci:l:one dir:r/e
	diff -r r/d r/e
	umoci unpack --image o/l:one x
	equal one "$(cat x/rootfs/etc/name)"
}

@test "copy: what theirs writes is read: dir, oci, archives" {
	real copy -q oci:l:one oci-archive:r/oci.tar:one
	real copy -q oci:l:one docker-archive:r/docker.tar:example.com/one:1
	real copy -q oci:l:one dir:r/d
	ours copy -q oci-archive:r/oci.tar:one dir:o/d
	diff -r o/d r/d
	ours copy -q docker-archive:r/docker.tar dir:o/e
	real copy -q docker-archive:r/docker.tar dir:r/e
	diff -r o/e r/e
	gzip r/docker.tar
	ours copy -q docker-archive:r/docker.tar.gz:example.com/one:1 dir:o/f
	diff -r o/f r/e
}

@test "copy: to docker-archive, with further names, for theirs, podman's and our load" {
	ours copy -q --additional-tag x/y:2 oci:l:one docker-archive:o/a.tar:one:1
	equal '["docker.io/library/one:1","docker.io/x/y:2"]' "$(tar -xOf o/a.tar manifest.json | jq -c '.[0].RepoTags')"
	real copy -q docker-archive:o/a.tar:x/y:2 dir:r/d
	run -0 lodge image load -i o/a.tar
	equal "Loaded image: one:1
Loaded image: x/y:2" "$output"
	lodge image rm one:1 x/y:2
	run -1 ours copy -q oci:l:one docker-archive:o/a.tar:one:1
	[[ $output == *"docker-archive doesn't support modifying existing images"* ]]
}

@test "copy: into the store and out of it, the original manifest kept, the tars exact" {
	ours copy -q oci:l:one containers-storage:one:1
	cmp <(ours inspect --raw containers-storage:one:1) "l/blobs/sha256/$(digest l one | cut -d: -f2)"
	equal "$(digest l one)" "$(lodge image ls --digests --format '{{.Digest}}' one)"
	ours copy -q containers-storage:one:1 dir:o/d
	for d in $(jq -r '.layers[].digest' o/d/manifest.json | cut -d: -f2); do
		equal "$d" "$(sha256sum <"o/d/$d" | cut -c-64)"
	done
	# the tars of the original
	equal "$(jq -r '.layers[].digest' o/d/manifest.json)" \
		"$(ours inspect --config oci:l:one | jq -r '.rootfs.diff_ids[]')"
	ours copy -q containers-storage:one:1 oci:o/l:back
	real copy -q oci:o/l:back dir:r/d
	ours delete containers-storage:one:1
	run -1 ours inspect containers-storage:one:1
	equal "" "$(lodge fsck)"
}

@test "copy: an index, one of it, all of it, another machine's" {
	ours copy -q oci:l:multi oci:o/l:this
	ours --override-arch arm64 copy -q oci:l:multi oci:o/l:arm
	equal arm64 "$(ours inspect oci:o/l:arm | jq -r .Architecture)"
	equal amd64 "$(real inspect oci:o/l:this | jq -r .Architecture)"
	ours copy -q --all oci:l:multi oci:o/l:all
	equal "$(digest l multi)" "$(digest o/l all)"
	ours copy -q --multi-arch all --format v2s2 oci:l:multi dir:o/s2
	equal application/vnd.docker.distribution.manifest.list.v2+json "$(jq -r .mediaType o/s2/manifest.json)"
	real copy -q --all dir:o/s2 oci:r/back:all
	run -1 ours --override-arch mips copy oci:l:multi dir:o/none
	[[ $output == *'no image found in manifest list for architecture mips'* ]]
	[ ! -e o/none ]
	run -1 ours copy --all oci:l:multi docker-archive:o/x.tar:x:1
	[ ! -e o/x.tar ]
	run -1 ours copy --all --multi-arch system oci:l:multi dir:o/none
}

@test "copy: index-only writes nothing else" {
	ours copy -q --multi-arch index-only oci:l:multi dir:o/d
	equal "manifest.json version" "$(ls o/d | xargs)"
}

@test "copy: an artifact passes as it is" {
	ours copy -q oci:l:artifact oci:o/l:a
	equal "$(digest l artifact)" "$(digest o/l a)"
	run -1 ours copy -q --format v2s2 oci:l:artifact dir:o/d
}

@test "copy: schema 2 as skopeo converts it, and back" {
	ours copy -q --format v2s2 oci:l:one dir:o/d
	real copy -q --format v2s2 oci:l:one dir:r/d
	cmp o/d/manifest.json r/d/manifest.json
	ours copy -q --format oci dir:o/d oci:o/l:back
	# nothing of the image is lost on the way
	equal "$(ours inspect --config --raw oci:l:one)" "$(ours inspect --config --raw oci:o/l:back)"
	run -1 ours copy -q --format v2s1 oci:l:one dir:o/e
	[[ $output == *"'v2s1' isn't written"* ]]
	run -1 ours copy -q --format nonsense oci:l:one dir:o/e
	[[ $output == *"Choose one of the supported formats: 'oci', 'v2s1', or 'v2s2'"* ]]
}

@test "copy: gzip, zstd, plain, levels" {
	ours copy -q --dest-compress-format zstd oci:l:one oci:o/l:z
	equal application/vnd.oci.image.layer.v1.tar+zstd "$(ours inspect --raw oci:o/l:z | jq -r '.layers[0].mediaType')"
	real copy -q oci:o/l:z dir:r/z
	ours copy -q dir:r/z docker-archive:o/z.tar:z:1
	equal "$(ours inspect --config oci:l:one | jq -r '.rootfs.diff_ids[]')" \
		"$(tar -xOf o/z.tar manifest.json | jq -r '.[0].Layers[]' | xargs -I% sh -c 'tar -xOf o/z.tar % | sha256sum' | sed 's/^\(.*\)  -/sha256:\1/')"
	ours copy -q --dest-decompress oci:l:one dir:o/plain
	equal application/vnd.oci.image.layer.v1.tar "$(jq -r '.layers[0].mediaType' o/plain/manifest.json)"
	ours copy -q --dest-compress dir:o/plain dir:o/packed
	ours copy -q oci:l:plain oci:o/l:packed
	equal application/vnd.oci.image.layer.v1.tar+gzip "$(ours inspect --raw oci:o/l:packed | jq -r '.layers[0].mediaType')"
	ours copy -q --dest-oci-accept-uncompressed-layers oci:l:plain oci:o/l:plain
	equal "$(digest l plain)" "$(digest o/l plain)"
	ours copy -q --dest-compress-format gzip --dest-compress-level 1 oci:l:plain dir:o/fast
	ours copy -q --dest-compress-format gzip --dest-compress-level 9 oci:l:plain dir:o/small
	[ "$(jq '[.layers[].size] | add' o/fast/manifest.json)" -gt "$(jq '[.layers[].size] | add' o/small/manifest.json)" ]
	run -1 ours copy -q --dest-compress-format lzma oci:l:one dir:o/e
	[[ $output == *'cannot find compressor for \"lzma\"'* ]]
	run -1 ours copy -q --dest-compress-format zstd --preserve-digests oci:l:one dir:o/e
	run -1 ours copy -q --dest-compress --dest-decompress oci:l:one dir:o/e
	[ ! -e o/e ]
}

@test "copy: a layer that lies or is cut short is refused, and nothing is left" {
	for tag in lie short; do
		for to in dir:o/d oci:o/l:x oci-archive:o/a.tar:x docker-archive:o/b.tar:x containers-storage:x; do
			run -1 ours copy -q "oci:l:$tag" $to
		done
	done
	equal "" "$(ls o)"
	equal "" "$(lodge fsck)"
	# and what was there stays
	ours copy -q oci:l:one oci:o/l:one
	find o | sort >x
	run -1 ours copy -q oci:l:lie oci:o/l:one
	find o | sort | diff x -
	ours copy -q oci:l:one dir:o/d
	run -1 ours copy -q oci:l:lie dir:o/d
	real copy -q dir:o/d dir:r/d
}

@test "copy: dir takes the place of another image, and of nothing else" {
	ours copy -q oci:l:one dir:o/d
	ours copy -q oci:l:plain dir:o/d
	real copy -q oci:l:plain dir:r/d
	diff -r o/d r/d
	mkdir o/mine
	touch o/mine/thesis
	run -1 ours copy -q oci:l:one dir:o/mine
	[[ $output == *"don't want to overwrite important data"* ]]
	equal thesis "$(ls o/mine)"
}

@test "copy: --digestfile, --quiet, --debug" {
	run -0 ours copy -q --digestfile o/f oci:l:one dir:o/d
	equal "" "$output"
	equal "$(digest l one)" "$(cat o/f)"
	run -0 --separate-stderr ours --debug copy -q oci:l:one dir:o/e
	equal "" "$output"
	[[ $stderr == *'level=debug msg="Copying config sha256:'* ]]
}

@test "copy: shared blobs are read from their folder" {
	cp -r l o/s
	mv o/s/blobs o/shared
	run -1 ours copy -q oci:o/s:one dir:o/d
	ours copy -q --src-shared-blob-dir o/shared oci:o/s:one dir:o/d
	equal "$(ours inspect oci:l:one)" "$(ours inspect --shared-blob-dir o/shared oci:o/s:one)"
}

@test "copy: what isn't supported says so" {
	for option in --decryption-key=k --encryption-key=k --encrypt-layer=0 --sign-by-sigstore-private-key=k --dest-precompute-digests; do
		run -1 ours copy -q $option oci:l:one dir:o/d
		[[ $output == *'not supported'* ]]
	done
	run -1 ours copy -q --additional-tag x:1 oci:l:one dir:o/d
	run -1 ours copy -q --dest-shared-blob-dir o/x oci:l:one oci:o/l:x
	[ ! -e o/d ]
}

@test "inspect: as skopeo shows it" {
	for image in oci:l:one oci:l:multi oci:l:plain; do
		for how in "" --raw --config "--config --raw" "--format={{.Created}}_{{.Labels}}_{{.Layers}}_{{.Env}}_{{.Digest}}" \
			"--config --format={{.OS}}_{{.Config.Env}}_{{.Config.ExposedPorts}}_{{.RootFS.DiffIDs}}_{{.Created}}"; do
			equal "$(real inspect $how $image)" "$(ours inspect $how $image)"
		done
	done
	real copy -q oci:l:one docker-archive:r/a.tar:some/name:1
	for image in docker-archive:r/a.tar docker-archive:r/a.tar:some/name:1 docker-archive:r/a.tar:@0; do
		equal "$(real inspect $image)" "$(ours inspect $image)"
	done
	ours copy -q oci:l:one containers-storage:one:1
	equal docker.io/library/one "$(ours inspect containers-storage:one:1 | jq -r .Name)"
	lodge image rm one:1
	run -1 ours inspect --raw --format x oci:l:one
}

@test "errors: skopeo's words on standard error, status 1" {
	while IFS='|' read -r words; do
		run -1 --separate-stderr ours $words
		equal "" "$output"
		mine=${stderr#*level=}
		run -1 --separate-stderr real $words
		equal "${stderr#*level=}" "$mine"
	done <<-'WORDS'
		copy oci:l:none dir:o/x
		inspect oci:l
		inspect oci:nodir:x
		inspect foo:bar
		inspect dir:nodir
		inspect
		inspect a b
		list-tags oci:l:one
		delete dir:l
		copy --bad a b
		copy --format bad oci:l:one dir:o/x
		standalone-sign a b
		sync a b
		sync --src dir --dest foo a b
		sync --src dir --dest dir a b
		bogus
	WORDS
	run -0 ours copy oci:l:one
	[[ $output == *'skopeo copy'* ]]
	run -0 ours --version
	[[ $output == 'skopeo version 1.9'* ]]
}

@test "list-tags of an archive; manifest-digest" {
	real copy -q --additional-tag x:2 oci:l:one docker-archive:r/a.tar:x:1
	equal "$(real list-tags docker-archive:r/a.tar)" "$(ours list-tags docker-archive:r/a.tar)"
	ours copy -q oci:l:one dir:o/d
	equal "$(real manifest-digest o/d/manifest.json)" "$(ours manifest-digest o/d/manifest.json)"
	run -1 ours manifest-digest nofile
	[[ $output == *'Error reading manifest from nofile: open nofile: no such file or directory'* ]]
}

@test "signing: ours is verified by theirs and the other way round" {
	export GNUPGHOME=$TEST_DIR/gnupg
	mkdir -m 700 -p "$GNUPGHOME"
	gpg --batch --quiet --passphrase '' --quick-generate-key test@example.com default default never 2>/dev/null
	key=$(gpg --list-keys --with-colons | awk -F: '/^fpr/ { print $10; exit }')
	ours copy -q oci:l:one dir:o/d
	ours standalone-sign -o o/sig o/d/manifest.json example.com/x:1 "$key"
	real standalone-verify o/d/manifest.json example.com/x:1 "$key" o/sig
	real standalone-sign -o r/sig o/d/manifest.json example.com/x:1 "$key"
	run -0 ours standalone-verify o/d/manifest.json example.com/x:1 "$key" r/sig
	equal "Signature verified, digest $(digest l one)" "$output"
	run -1 ours standalone-verify o/d/manifest.json example.com/y:1 "$key" r/sig
	run -1 ours standalone-verify o/d/version example.com/x:1 "$key" r/sig
	run -1 ours standalone-verify o/d/manifest.json example.com/x:1 "${key//[0-9]/0}" r/sig
	head -c 100 r/sig >r/cut
	run -1 ours standalone-verify o/d/manifest.json example.com/x:1 "$key" r/cut
	# with the copy; and they go along, or are left behind, or are in the way
	ours copy -q --sign-by "$key" --sign-identity example.com/x:1 oci:l:one dir:o/signed
	real standalone-verify o/signed/manifest.json example.com/x:1 "$key" o/signed/signature-1
	ours copy -q dir:o/signed dir:o/again
	cmp o/signed/signature-1 o/again/signature-1
	ours copy -q --remove-signatures dir:o/signed dir:o/bare
	[ ! -e o/bare/signature-1 ]
	run -1 ours copy -q dir:o/signed oci:o/l:x
	[[ $output == *'Can not copy signatures'* ]]
	run -1 ours copy -q --dest-decompress dir:o/signed dir:o/changed
	gpgconf --kill gpg-agent
}

@test "sync: folders, nothing to find, dry" {
	mkdir -p o/from
	run -1 ours sync --src dir --dest docker o/from 127.0.0.1:1
	[[ $output == *'No images to sync found in'* ]]
	ours copy -q oci:l:one dir:o/from/x:1
	run -0 ours sync --dry-run --src dir --dest docker o/from 127.0.0.1:1
	[[ $output == *'Would have copied image'*'to="docker://127.0.0.1:1/x:1"'* ]]
}

@test "digests by another algorithm than sha256 are refused in one line, wherever they are verified" {
	local d=$TEST_DIR/sha512 long=sha512:$(printf 0%.0s {1..128}) row
	echo x >"$TEST_DIR/x"
	tar -C "$TEST_DIR" -cf "$TEST_DIR/x.tar" x
	"$TOP/tests/layout" "$d" img "$TEST_DIR/x.tar"
	jq --arg d "$long" '.manifests[0].digest = $d' "$d/index.json" >"$d/new"
	mv "$d/new" "$d/index.json"
	tar -C "$d" -cf "$TEST_DIR/sha512.tar" .
	for row in "image load -i $TEST_DIR/sha512.tar" "image pull 127.0.0.1:1/app@$long" \
		"skopeo copy oci:$d:img dir:$TEST_DIR/out" "skopeo copy oci-archive:$TEST_DIR/sha512.tar:img dir:$TEST_DIR/out" \
		"skopeo copy docker://127.0.0.1:1/app@$long dir:$TEST_DIR/out" "skopeo inspect docker://127.0.0.1:1/app@$long"; do
		# shellcheck disable=SC2086
		run "$LODGE" $row
		[ "$status" = 1 ] && [[ $output == *"'sha512:"*"only sha256 is read"* ]] && [ "${#lines[@]}" = 1 ] || { echo "$row: $output"; false; }
	done
	rm -rf "$d" "$TEST_DIR"/{x,x.tar,sha512.tar,out}
}
