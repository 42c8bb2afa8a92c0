# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the tests of the runtime share, on top of lib.bash: bundles, and asking the runtime.

: "${LODGE_RUNC:=$(dirname "$LODGE")/lodge-runc}"
export LODGE_RUNC

runtime() {
	"$LODGE_RUNC" --root "$TEST_DIR/state" "$@"
}

prepare() {
	make_root "$TEST_DIR/rootfs"
	mkdir -p "$TEST_DIR/spec"
	(cd "$TEST_DIR/spec" && "$LODGE_RUNC" spec)
}

# bundle FILTER [COMMAND...]: the default configuration, changed by jq; in $BUNDLE.
bundle() {
	local filter=$1
	shift
	BUNDLE=$TEST_DIR/bundle
	mkdir -p "$BUNDLE"
	jq --arg root "$TEST_DIR/rootfs" --argjson words "$(printf '%s\n' "$@" | jq -R . | jq -s .)" \
		'.process.terminal = false | .root.path = $root | .root.readonly = false
		| .process.args = $words | '"$filter" "$TEST_DIR/spec/config.json" >"$BUNDLE/config.json"
}

# ran FILTER COMMAND...: runs a container of it and prints what it says.
ran() {
	bundle "$@"
	runtime run -b "$BUNDLE" "$(new_id)"
}

new_id() {
	echo "rt-$BATS_TEST_NUMBER-$$-$RANDOM"
}

# refuses STATUS TEXT COMMAND...: it ends with STATUS, says TEXT in the log's form, and leaves no container.
refuses() {
	local want=$1 text=$2
	shift 2
	status=0
	output=$("$@" 2>&1) || status=$?
	output=${output//\\/} # the log's form escapes quotes
	if [ "$status" != "$want" ] || [[ $output != *"$text"* ]]; then
		printf 'wanted status %s and "%s"\n got status %s: %s\n' "$want" "$text" "$status" "$output" >&2
		return 1
	fi
	[ -z "$(ls -A "$TEST_DIR/state" 2>/dev/null)" ]
}

# Beside the guests' leaks: containers, cgroups and mounts of the runtime.
runtime_clean() {
	local id
	# shellcheck disable=SC2086
	[ -z "${CONSOLES:-}" ] || kill $CONSOLES 2>/dev/null || true
	CONSOLES=
	for id in $(ls "$TEST_DIR/state" 2>/dev/null); do runtime delete -f "$id" || true; done
	[ -z "$(find /sys/fs/cgroup -name "rt-$BATS_TEST_NUMBER-*" 2>/dev/null)" ] || {
		find /sys/fs/cgroup -name "rt-$BATS_TEST_NUMBER-*" >&2
		return 1
	}
	! grep -q " $TEST_DIR/rootfs" /proc/self/mountinfo
}

state_of() {
	runtime state "$1" | jq -r "${2:-.status}"
}

# console SOCKET FILE: takes a terminal's master from the runtime and copies what it says to FILE; in $CONSOLE its
# process. A line written to FILE.in goes to the terminal.
console() {
	rm -f "$1" "$2.in"
	mkfifo "$2.in"
	python3 - "$1" "$2" 3>&- <<-'PY' &
		import array, os, select, socket, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(1)
		c = s.accept()[0]
		data, control, _, _ = c.recvmsg(4096, socket.CMSG_SPACE(4))
		master = array.array("i", control[0][2])[0]
		out = open(sys.argv[2], "wb", buffering=0)
		given = os.open(sys.argv[2] + ".in", os.O_RDWR | os.O_NONBLOCK)
		while True:
		    for fd in select.select([master, given], [], [])[0]:
		        try:
		            b = os.read(fd, 4096)
		        except OSError:
		            sys.exit()
		        if not b:
		            sys.exit()
		        if fd == master:
		            out.write(b)
		        else:
		            os.write(master, b)
	PY
	CONSOLE=$!
	CONSOLES+=" $CONSOLE"
	within 20 test -S "$1"
}
