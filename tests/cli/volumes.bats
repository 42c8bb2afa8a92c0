#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Volumes, binds, tmpfs: -v and --mount.
load ../lib

in_guest() {
	lodge run --rm --network none "$@"
}

prepare() {
	mkdir -p "$TEST_DIR/shared/sub"
	echo host >"$TEST_DIR/shared/file"
}

@test "-v HOST:GUEST both ways, :ro one way" {
	equal host "$(in_guest -v "$TEST_DIR/shared:/mnt" bb cat /mnt/file)"
	in_guest -v "$TEST_DIR/shared:/mnt" bb sh -c 'echo guest >/mnt/new'
	equal guest "$(cat "$TEST_DIR/shared/new")"
	run in_guest -v "$TEST_DIR/shared:/mnt:ro" bb touch /mnt/x
	[[ $output == *"Read-only file system"* ]]
	rm "$TEST_DIR/shared/new"
}

@test "-v of a file; of a folder that isn't there makes it; --mount doesn't" {
	equal host "$(in_guest -v "$TEST_DIR/shared/file:/etc/one" bb cat /etc/one)"
	in_guest -v "$TEST_DIR/made:/mnt" bb true
	[ -d "$TEST_DIR/made" ]
	rmdir "$TEST_DIR/made"
	fails 125 notmade in_guest --mount "type=bind,source=$TEST_DIR/notmade,target=/mnt" bb true
	[ ! -e "$TEST_DIR/notmade" ]
}

@test "--mount type=bind with readonly and propagation" {
	run in_guest --mount "type=bind,src=$TEST_DIR/shared,dst=/mnt,readonly" bb touch /mnt/x
	[[ $output == *"Read-only file system"* ]]
	run in_guest --mount "type=bind,src=$TEST_DIR/shared,dst=/mnt,bind-propagation=rslave" bb grep ' /mnt ' /proc/self/mountinfo
	[[ $output == *master:* || $output == *" /mnt "* ]]
}

@test "--mount type=tmpfs" {
	run in_guest --mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=0710 bb sh -c 'grep " /t " /proc/mounts; stat -c %a /t'
	[[ $output == *size=1024k* ]]
	[ "${lines[-1]}" = 710 ]
}

@test "a named volume is made, filled from the image, kept and shared" {
	in_guest -v data:/etc bb sh -c 'test -e /etc/passwd && echo one >/etc/mark'
	equal one "$(in_guest -v data:/x bb cat /x/mark)"
	equal data "$(lodge volume ls -q)"
	fails 1 data lodge volume create data --driver nosuch
	lodge volume rm data
	# nocopy leaves it empty
	equal "" "$(in_guest -v bare:/etc:nocopy bb ls -A /etc | grep passwd || true)"
	lodge volume rm bare
}

@test "a filled volume keeps owner and mode of its folder" {
	equal "1000 1000" "$(in_guest -v home:/home/bob bb stat -c '%u %g' /home/bob)"
	lodge volume rm home
}

@test "volume create, inspect, ls, rm, prune" {
	equal v1 "$(lodge volume create --label k=v v1)"
	lodge volume inspect v1 | jq -e '.[0].Name == "v1" and .[0].Labels.k == "v"'
	[ -d "$(lodge volume inspect --format '{{.Mountpoint}}' v1)" ]
	lodge run -d --name u1 -v v1:/v --network none bb sleep 100
	fails 1 v1 lodge volume rm v1
	lodge rm -f u1
	lodge volume create unused >/dev/null
	lodge volume prune -af
	equal "" "$(lodge volume ls -q)"
	fails 1 nosuch lodge volume rm nosuch
	fails 1 nosuch lodge volume inspect nosuch
	fails 1 'a/b' lodge volume create a/b
}

@test "rm -v removes anonymous volumes, not named ones" {
	lodge run --name a1 -v /anon -v named:/named --network none bb true
	equal 2 "$(lodge volume ls -q | wc -l)"
	lodge rm -v a1
	equal named "$(lodge volume ls -q)"
	lodge volume rm named
}

@test "mount targets can't leave the root through links" {
	mkdir -p "$TEST_DIR/evil/etc"
	make_root "$TEST_DIR/evil"
	ln -s ../../../../../../../../"$TEST_DIR" "$TEST_DIR/evil/out"
	ln -sfn /../../"$TEST_DIR/shared" "$TEST_DIR/evil/abs"
	tar -C "$TEST_DIR/evil" -cf "$TEST_DIR/evil.tar" .
	lodge image import "$TEST_DIR/evil.tar" evil >/dev/null
	# made inside of the root, or refused: not followed out of it
	run in_guest -v "$TEST_DIR/shared:/out/inside" evil true
	[ ! -e "$TEST_DIR/inside" ]
	run in_guest -w /abs/deep evil true
	[ ! -e "$TEST_DIR/shared/deep" ]
	lodge image rm evil
}

@test "a volume over a mount over a volume: order is the targets'" {
	equal "host" "$(in_guest --tmpfs /a -v "$TEST_DIR/shared:/a/b" bb cat /a/b/file)"
	in_guest -v "$TEST_DIR/shared/sub:/a/b" --tmpfs /a bb test -d /a/b
	fails 125 /same in_guest -v one:/same -v two:/same bb true
	lodge volume prune -af >/dev/null
}
