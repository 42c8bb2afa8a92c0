# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Rows of the Engine API: docker's own client against our server and against dockerd; our client in its own process.
# Sourced by rows.sh.

ours=unix://$TEST_DIR/ours.sock

serve_ours() {
	"$lodge" serve docker --socket "$TEST_DIR/ours.sock" >"$DIR/serve.log" 2>&1 &
	server=$!
	for _ in $(seq 50); do
		[ -S "$TEST_DIR/ours.sock" ] && break
		sleep 0.1
	done
	# our server's images are the dialect's, whoever brought them
	$docker -H "$ours" image inspect bb >/dev/null
}

# ask_both TITLE BAR WORDS...: docker WORDS of both servers
ask_both() {
	local title=$1 bar=$2
	shift 2
	bars_ratio "$title" "$("$DIR/pair" -n "$rounds" -w 2 -g 30 -q "$quiet" lodge "$docker -H $ours $*" docker "$docker $*")" "docker:$bar"
}

row_docker_server() {
	local server
	serve_ours
	ask_both "docker's client, our server: run --rm, no network" 0.25 run --rm --network none bb /bin/true
	ask_both "docker's client, our server: run --rm, bridge" 0.25 run --rm bb /bin/true
	ask_both "docker's client, our server: ps" 0.25 ps
	ask_both "docker's client, our server: image inspect" 0.25 image inspect bb
	kill $server
	wait $server || true
}

row_docker_client() {
	local mine="env -u DOCKER_HOST $lodge docker" # in its own process, not by the dockerd beside
	for what in "run --rm --network none bb /bin/true" "run --rm bb /bin/true"; do
		bars_ratio "our client: ${what%% bb*}" "$("$DIR/pair" -n "$rounds" -w 2 -g 30 -q "$quiet" lodge "$mine $what" docker "$docker $what")" docker:0.0625
	done
	for what in ps "image inspect bb" images; do
		bars_ratio "our client: $what" "$("$DIR/pair" -n "$rounds" -w 2 -g 30 -q "$quiet" lodge "$mine $what" docker "$docker $what")" docker:0.3333
	done
}

# What serving costs: a hundred streams that say something every second, or nothing at all.
row_docker_streams() {
	local server kib=0 pid i
	serve_ours
	$docker -H "$ours" run -d --name streams --network none bb /bin/still >/dev/null
	for i in $(seq 50); do
		curl -sN --max-time 20 --unix-socket "$TEST_DIR/ours.sock" http://d/v1.41/containers/streams/stats >/dev/null &
		curl -sN --max-time 20 --unix-socket "$TEST_DIR/ours.sock" http://d/v1.41/events >/dev/null &
	done
	sleep 5
	for pid in $server $(pgrep -P "$server"); do
		kib=$((kib + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")))
	done
	bar_value "docker's server: memory with 100 streams" 12 MiB "$(awk "BEGIN { printf \"%.1f\", $kib / 1024 }")"
	$docker -H "$ours" rm -f streams >/dev/null
	kill $server
	wait
}
