#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Images: sources, listing, removal, and archives that mean harm.
load ../lib

archive() { # COMMAND FILE: tests/archives makes them
	"$TOP/tests/archives" "$1" "$TEST_DIR/bb.tar" "$2"
}

@test "import from a tar, compressed, a pipe, a folder" {
	gzip -c "$TEST_DIR/bb.tar" >"$TEST_DIR/bb.tar.gz"
	zstd -q -c "$TEST_DIR/bb.tar" >"$TEST_DIR/bb.tar.zst" 2>/dev/null || cp "$TEST_DIR/bb.tar" "$TEST_DIR/bb.tar.zst"
	for source in bb.tar.gz bb.tar.zst bb; do
		lodge image import "$TEST_DIR/$source" t1
		equal ok "$(lodge run --rm --network none t1 echo ok)"
		lodge image rm t1
	done
	lodge image import - t1 <"$TEST_DIR/bb.tar"
	equal ok "$(lodge run --rm --network none t1 echo ok)"
	lodge image rm t1
	rm "$TEST_DIR"/bb.tar.*
}

@test "the same content is kept once" {
	size() { du -sk "$LODGE_ROOT/layers" | cut -f 1; }
	before=$(size)
	lodge image import "$TEST_DIR/bb.tar" again
	equal "$before" "$(size)"
	lodge image rm again
	equal ok "$(lodge run --rm --network none bb echo ok)"
}

@test "owners, modes, links, times, xattrs come through" {
	mkdir -p "$TEST_DIR/odd/d"
	make_root "$TEST_DIR/odd"
	(cd "$TEST_DIR/odd/d" && echo a >a && ln a hard && ln -s a soft && mkfifo pipe && chown 12:34 a && chmod 4750 a &&
		touch -d 2001-02-03T04:05:06Z a && printf 'a name with\nnewline' >'x
y' && setfattr -n user.k -v v a 2>/dev/null || true)
	truncate -s 3000000 "$TEST_DIR/odd/d/sparse"
	tar -C "$TEST_DIR/odd" --xattrs --sparse -cf "$TEST_DIR/odd.tar" .
	lodge image import "$TEST_DIR/odd.tar" odd
	run lodge run --rm --network none odd sh -c 'cd d; stat -c "%a %u %g %Y %h" a; readlink soft; test -p pipe && echo fifo
		[ "$(stat -c %i a)" = "$(stat -c %i hard)" ] && echo same; stat -c %s sparse; ls | wc -l'
	equal "4750 12 34 981173106 2" "${lines[0]}"
	equal "a fifo same 3000000" "$(printf '%s ' "${lines[@]:1:4}" | xargs)"
	lodge image rm odd
	rm -rf "$TEST_DIR"/odd*
}

@test "docker save archives, OCI archives and layouts" {
	for kind in docker oci oci-layout; do
		archive $kind "$TEST_DIR/$kind"
		lodge image import "$TEST_DIR/$kind"
		equal "from config /work" "$(lodge run --rm --network none sample:1 sh -c 'echo $WHO $PWD')"
		# whiteouts of the second layer hide what the first has
		lodge run --rm --network none sample:1 sh -c 'test ! -e /hidden && test -e /kept && test ! -e /opaque/old && test -e /opaque/new'
		equal "hello" "$(lodge run --rm --network none sample:1)"
		lodge image rm sample:1
		rm -rf "${TEST_DIR:?}/$kind"
	done
}

@test "save and import give back the same image" {
	archive oci "$TEST_DIR/oci"
	lodge image import "$TEST_DIR/oci"
	id=$(lodge image inspect --format '{{.Id}}' sample:1)
	lodge image save -o "$TEST_DIR/saved.tar" sample:1
	lodge image rm sample:1
	lodge image import "$TEST_DIR/saved.tar"
	equal "$id" "$(lodge image inspect --format '{{.Id}}' sample:1)"
	equal hello "$(lodge run --rm --network none sample:1)"
	lodge image rm sample:1
	rm "$TEST_DIR/oci" "$TEST_DIR/saved.tar"
}

@test "ls, inspect, history, rm, prune" {
	run lodge image ls
	[[ ${lines[0]} == *REPOSITORY*TAG*"IMAGE ID"*CREATED*SIZE* ]]
	[[ ${lines[1]} == bb*latest* ]]
	lodge image inspect bb | jq -e '.[0].Id and .[0].Size > 0 and .[0].Architecture'
	[[ $(lodge image history bb) == *IMAGE*CREATED*SIZE* ]]
	lodge run -d --name u1 --network none bb sleep 100
	fails 1 bb lodge image rm bb
	lodge image import "$TEST_DIR/bb.tar" other
	lodge image rm other
	archive oci "$TEST_DIR/oci"
	lodge image import "$TEST_DIR/oci"
	lodge image prune -af
	run ! lodge image inspect sample:1
	lodge image inspect bb >/dev/null
	rm "$TEST_DIR/oci"
}

@test "removing an image gives its bytes back" {
	before=$(du -sk "$LODGE_ROOT" | cut -f 1)
	make_root "$TEST_DIR/r"
	head -c 5000000 /dev/urandom >"$TEST_DIR/r/bytes"
	lodge image import "$TEST_DIR/r" rr
	lodge run --rm --network none rr true
	[ "$(du -sk "$LODGE_ROOT" | cut -f 1)" -ge $((before + 4800)) ]
	lodge image rm rr
	[ "$(du -sk "$LODGE_ROOT" | cut -f 1)" -le $((before + 200)) ]
	rm -rf "$TEST_DIR/r"
}

@test "layers are EROFS that erofs-utils accept" {
	command -v fsck.erofs >/dev/null || skip "no erofs-utils"
	[ "$(find "$LODGE_ROOT/layers" -name '*.erofs' | wc -l)" -ge 1 ]
	for f in "$LODGE_ROOT"/layers/*.erofs; do fsck.erofs "$f"; done
}

@test "busybox from the host's own" {
	lodge image build-from-mirror busybox
	equal ok "$(lodge run --rm --network none busybox echo ok)"
	lodge image rm busybox
}

# PATH with all programs but those that make Debian roots.
without_bootstrap() {
	local f
	mkdir -p "$TEST_DIR/programs"
	for f in /usr/sbin/* /usr/bin/* /sbin/* /bin/*; do
		case ${f##*/} in
		mmdebstrap | debootstrap) ;;
		*) [ -e "$TEST_DIR/programs/${f##*/}" ] || echo "$f" ;;
		esac
	done | xargs ln -sf -t "$TEST_DIR/programs"
}

@test "debootstrap where mmdebstrap is missing" {
	without_bootstrap
	PATH=$TEST_DIR/programs fails 1 mmdebstrap lodge image build-from-mirror debian:12
	# it is told what it shall do; what it would load is a root of busybox here
	make_root "$TEST_DIR/r"
	cat >"$TEST_DIR/programs/debootstrap" <<-SCRIPT
		#!/bin/bash
		printf '%s\n' "\$@" >"$TEST_DIR/asked"
		echo 'W: Failure trying to run: chroot' >&2
		[ -e "$TEST_DIR/r" ] || exit 1
		cp -a "$TEST_DIR/r" "\${@: -2:1}"
	SCRIPT
	chmod +x "$TEST_DIR/programs/debootstrap"
	PATH=$TEST_DIR/programs lodge image build-from-mirror --mirror http://mirror.invalid/debian debian:12
	for word in --variant=minbase --force-check-gpg --components=main bookworm http://mirror.invalid/debian \
		--keyring=/usr/share/keyrings/debian-archive-keyring.gpg; do
		grep -qxe "$word" "$TEST_DIR/asked"
	done
	run lodge run --rm --network none debian:bookworm sh -c \
		'cat /etc/apt/sources.list.d/debian.sources; test -x /usr/sbin/policy-rc.d && test -f /etc/machine-id'
	[ "$status" = 0 ]
	[[ $output == *"URIs: http://mirror.invalid/debian"*"Suites: bookworm"* && $output != *security* ]]
	lodge image rm debian:12 debian:bookworm
	# and when it fails
	rm -r "$TEST_DIR/r"
	PATH=$TEST_DIR/programs fails 1 debootstrap lodge image build-from-mirror debian:12
	ls -A "$LODGE_ROOT/cache"; [ -z "$(find "$LODGE_ROOT/cache" -name "build*")" ]
	lodge fsck
	rm -r "$TEST_DIR/programs" "$TEST_DIR/asked"
}

# --- hostile ----------------------------------------------------------------------------------------------

@test "hostile archives are refused or made harmless, and leave nothing" {
	used=$(du -sk "$LODGE_ROOT" | cut -f 1)
	for kind in truncated garbage empty absolute dotdot link-out hardlink-out deep long-name huge-size gzip-bomb \
		bad-checksum pax-bomb duplicate; do
		archive $kind "$TEST_DIR/hostile"
		run timeout 60 "$LODGE" image import "$TEST_DIR/hostile" hostile
		[ "$status" -le 1 ] || { echo "$kind: status $status: $output"; false; }
		case $kind in
		truncated | garbage | empty | huge-size | gzip-bomb | bad-checksum | pax-bomb)
			[ "$status" = 1 ] || { echo "$kind is accepted"; false; }
			[ "$(grep -c '^lodge: ' <<<"$output")" = 1 ]
			;;
		esac
		if [ "$status" = 0 ]; then
			lodge run --rm --network none hostile /bin/true || true
			lodge image rm hostile
		fi
		[ ! -e /lodge-hostile ] && [ ! -e "$TEST_DIR/lodge-hostile" ] && [ ! -e "$LODGE_ROOT/lodge-hostile" ]
		lodge fsck
	done
	[ "$(du -sk "$LODGE_ROOT" | cut -f 1)" -le $((used + 100)) ]
	rm -f "$TEST_DIR/hostile"
}

@test "hostile documents of image archives are refused" {
	for kind in docker-no-layer docker-bad-json docker-wrong-digest oci-wrong-digest oci-no-index oci-loop docker-dotdot; do
		archive $kind "$TEST_DIR/hostile"
		fails 1 "" lodge image import "$TEST_DIR/hostile" || { echo "$kind: $output"; false; }
	done
	lodge fsck
	rm -rf "$TEST_DIR/hostile"
}
