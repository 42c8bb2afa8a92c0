#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Bad input: a one-line error that names what failed, the status that users expect, nothing left behind
# (which lib.bash looks at after each test).
load ../lib

in_guest() {
	lodge run --rm --network none "$@"
}

@test "statuses: 125 ours, 126 not executable, 127 not there, 128+n a signal" {
	fails 127 nosuch in_guest bb nosuch
	fails 127 /no/such in_guest bb /no/such
	fails 126 /etc/passwd in_guest bb /etc/passwd
	fails 126 /etc in_guest bb /etc
	run in_guest bb sh -c 'kill -TERM $$; sleep 1'
	[ "$status" = 143 ] || [ "$status" = 0 ] # process 1 ignores what it has no handler for
	run in_guest --init bb sh -c 'kill -KILL $$'
	[ "$status" = 137 ]
	run in_guest bb sh -c 'exit 255'
	[ "$status" = 255 ]
	fails 125 nosuch in_guest nosuch true
	equal "" "$(lodge ls -aq)"
}

@test "a script without an interpreter" {
	printf '#!/no/interpreter\n' >"$TEST_DIR/script"
	chmod +x "$TEST_DIR/script"
	run in_guest -v "$TEST_DIR/script:/script" bb /script
	[ "$status" = 127 ] || [ "$status" = 126 ]
	rm "$TEST_DIR/script"
}

@test "images: unknown, bad reference" {
	fails 125 nosuch:1 in_guest nosuch:1 true
	fails 125 'BAD//ref' in_guest 'BAD//ref' true
	fails 1 nosuch lodge image rm nosuch
	fails 1 nosuch lodge image inspect nosuch
}

@test "usage: unknown command, option, too few operands" {
	fails 125 nosuch lodge nosuch
	fails 125 --nosuch lodge ls --nosuch
	fails 125 run lodge run
	fails 125 rm lodge rm
	fails 125 exec lodge exec onlyone
}

@test "networks that exclude each other, in any order" {
	lodge network create one >/dev/null
	fails 125 "can't be combined" lodge run --rm --network none --network one bb true
	fails 125 "can't be combined" lodge run --rm --network one --network none bb true
	fails 125 "can't be combined" lodge run --rm --network host --network one bb true
	lodge network rm one >/dev/null
}

@test "a full disk is an error and leaves nothing" {
	mkdir "$TEST_DIR/small"
	mount -t tmpfs -o size=3m small "$TEST_DIR/small"
	LODGE_ROOT=$TEST_DIR/small/root LODGE_RUN=$TEST_DIR/small/run fails 1 "o space left" lodge image import "$TEST_DIR/bb-big.tar" big ||
		{ umount -l "$TEST_DIR/small"; rmdir "$TEST_DIR/small"; return 1; }
	run env LODGE_ROOT="$TEST_DIR/small/root" LODGE_RUN="$TEST_DIR/small/run" "$LODGE" fsck
	[ "$status" = 0 ]
	[ "$(du -sk "$TEST_DIR/small" | cut -f 1)" -lt 1000 ]
	umount "$TEST_DIR/small"
	rmdir "$TEST_DIR/small"
}

prepare() {
	make_root "$TEST_DIR/bbig"
	head -c 8000000 /dev/urandom >"$TEST_DIR/bbig/big"
	tar -C "$TEST_DIR/bbig" -cf "$TEST_DIR/bb-big.tar" .
	rm -rf "$TEST_DIR/bbig"
}

@test "a guest that fills its disk sees it; we survive" {
	mkdir "$TEST_DIR/small"
	mount -t tmpfs -o size=8m small "$TEST_DIR/small"
	rc=0
	(
		export LODGE_ROOT=$TEST_DIR/small/root LODGE_RUN=$TEST_DIR/small/run
		set -e
		lodge image import "$TEST_DIR/bb.tar" bb >/dev/null
		in_guest bb sh -c 'cat /dev/zero >/fill; echo done=$?' 2>&1 | grep "No space left"
		equal "" "$(lodge ls -aq)"
		in_guest bb true
		lodge fsck
	) || rc=$?
	for layer in "$TEST_DIR"/small/run/layers/* "$TEST_DIR"/small/run/layers; do umount -l "$layer" 2>/dev/null || true; done
	umount -l "$TEST_DIR/small"
	rmdir "$TEST_DIR/small"
	return $rc
}

@test "a corrupt record is an error, not a crash" {
	id=$(lodge create --name c1 --network none bb true)
	"$(command -v sqlite3 || echo false)" "$LODGE_ROOT/state.db" "update guests set spec='{' where name='c1'" 2>/dev/null ||
		python3 - "$LODGE_ROOT/state.db" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
tables = [r[0] for r in db.execute("select name from sqlite_master where type='table'")]
for t in tables:
    columns = [r[1] for r in db.execute(f'pragma table_info("{t}")')]
    if 'spec' in columns and 'name' in columns:
        db.execute(f"update \"{t}\" set spec='{{' where name='c1'")
db.commit()
PY
	run lodge start c1
	[ "$status" = 1 ]
	[[ $output == *"'c1'"* || $output == *corrupt* ]]
	run lodge fsck
	[ "$status" != 0 ]
	[[ $output == *"$id"* || $output == *"${id:0:12}"* || $output == *c1* ]]
	# it can still be got rid of
	lodge rm -f c1 || lodge fsck --repair
	lodge fsck
	equal "" "$(lodge ls -aq)"
}

@test "a corrupt database is an error, not a crash" {
	mkdir -p "$TEST_DIR/corrupt"
	head -c 8192 /dev/urandom >"$TEST_DIR/corrupt/state.db"
	LODGE_ROOT=$TEST_DIR/corrupt fails 1 state.db lodge ls
	rm -rf "$TEST_DIR/corrupt"
}

@test "roots that can't be used" {
	LODGE_ROOT=/proc/nothere fails 1 /proc/nothere lodge image import "$TEST_DIR/bb.tar" x
}

@test "output that can't be written is an error" {
	run bash -c '"$LODGE" image ls >/dev/full'
	[ "$status" != 0 ]
	[[ $output == *"o space left"* ]]
}

@test "a closed pipe ends quietly" {
	lodge run -d --name y1 --network none bb sh -c 'i=0; while [ $i -lt 20000 ]; do echo line; i=$((i+1)); done'
	lodge wait y1
	run bash -c '"$LODGE" logs y1 | head -n 1'
	[ "$status" = 0 ]
	equal line "$output"
}
