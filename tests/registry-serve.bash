# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the tests of `lodge registry` share: a server for each test. Loaded after lib.bash.

# serve [OPTION...]: a server of $REG, on a port of the kernel's choice; sets ADDRESS and SERVER.
serve() {
	REG=$TEST_DIR/reg/r
	mkdir -p "$TEST_DIR/reg"
	# what the last one said isn't what this one says
	rm -f "$TEST_DIR/reg/out"
	"$LODGE" registry serve --root "$REG" --listen 127.0.0.1:0 "$@" >"$TEST_DIR/reg/out" 2>"$TEST_DIR/reg/err" 3>&- </dev/null &
	SERVER=$!
	echo $SERVER >>"$TEST_DIR/reg/pids"
	within 5 grep -qs listening "$TEST_DIR/reg/out" || {
		cat "$TEST_DIR/reg/err" >&2
		return 1
	}
	ADDRESS=$(sed -n 's/^listening on //p' "$TEST_DIR/reg/out" | head -n 1)
	export SERVER ADDRESS REG
}

# stop_server: by SIGTERM; it ends well, and its workers with it.
stop_server() {
	kill "$SERVER"
	within 12 gone "$SERVER"
	wait "$SERVER"
	within 2 no_workers
}

# kill_server: at whatever it is doing.
kill_server() {
	kill -KILL "$SERVER"
	wait "$SERVER" 2>/dev/null || true
	within 2 no_workers
}

gone() {
	! kill -0 "$1" 2>/dev/null || [ "$(awk '{ print $3 }' "/proc/$1/stat")" = Z ]
}

no_workers() {
	! pgrep -x lodge-worker >/dev/null
}

end_servers() {
	local pid
	while read -r pid; do
		kill -KILL "$pid" 2>/dev/null || true
	done < <(cat "$TEST_DIR/reg/pids" 2>/dev/null)
	within 2 no_workers
	rm -rf "$TEST_DIR/reg"
}

protocol() { # SECTION [ARGUMENT...]
	python3 "$TOP/tests/registry-client.py" "$1" "$ADDRESS" "$REG" "${@:2}"
}

# every content has the digest that it is named by
contents_whole() {
	(cd "$REG/blobs/sha256" && find . -type f -printf '%f  %f\n' | sha256sum -c --quiet)
}
