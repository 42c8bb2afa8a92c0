# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the tests of the Engine API share: a server for the file, requests whose answers are checked against Docker's
# description of them. Loaded after lib.bash; call serve_docker in prepare.

DOCKER_SOCKET=$TEST_DIR/docker.sock

serve_docker() {
	file_server "$LODGE" serve docker --socket "$DOCKER_SOCKET" --idle-exit 0
	within 5 test -S "$DOCKER_SOCKET"
}

# api METHOD PATH [CURL'S OPTIONS...]: sets status and body; a path without a version is 1.47's. An answer that isn't as
# described fails.
api() {
	local method=$1 path=$2
	shift 2
	[[ $path == /v1.* ]] || path=/v1.47$path
	status=$(curl -sS --unix-socket "$DOCKER_SOCKET" -X "$method" -o "$TEST_DIR/body" -w '%{http_code}' --max-time 60 \
		"$@" "http://d$path" 3>&-) || return 1
	body=$(tr -d '\0' <"$TEST_DIR/body" | head -c 200000)
	printf '%s %s %s\n' "$method" "$path" "$status" >>"$TEST_DIR/asked"
	"$TOP/tests/swagger-check" "$method" "$path" "$status" "$TEST_DIR/body"
}

# post PATH JSON
post() {
	api POST "$1" -H 'Content-Type: application/json' -d "$2"
}

# is STATUS [JQ-FILTER [WANT]]: of the last answer. Without WANT the filter's result must be true.
is() {
	local got
	if [ "$status" != "$1" ]; then
		printf 'wanted status %s, got %s: %.2000s\n' "$1" "$status" "$body" >&2
		return 1
	fi
	[ $# -gt 1 ] || return 0
	got=$(jq -r "$2" "$TEST_DIR/body") || return 1
	equal "${3-true}" "$got"
}

# says STATUS TEXT: the message of an error holds it.
says() {
	is "$1" || return 1
	[[ $(jq -r .message "$TEST_DIR/body") == *"$2"* ]] || {
		printf 'wanted "%s", got %s\n' "$2" "$body" >&2
		return 1
	}
}
