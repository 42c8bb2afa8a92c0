#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Restart policies.
load ../lib

starts() {
	lodge inspect --format '{{.RestartCount}}' "$1"
}

restarted() { # NAME COUNT
	[ "$(starts "$1")" -ge "$2" ]
}

@test "no: ends and stays" {
	lodge run -d --name a1 --network none bb false
	within 3 is_state a1 exited
	sleep 0.3
	equal 0 "$(starts a1)"
}

@test "on-failure:2 gives up after two" {
	lodge run -d --name a1 --restart on-failure:2 --network none bb sh -c 'echo run; exit 3'
	within 10 is_state a1 exited
	equal 2 "$(starts a1)"
	equal 3 "$(lodge logs a1 | grep -c run)"
	equal 3 "$(lodge inspect --format '{{.State.ExitCode}}' a1)"
}

@test "on-failure: success ends it" {
	lodge run -d --name a1 --restart on-failure --network none bb sh -c 'test -e /second || { touch /second; exit 1; }'
	within 10 is_state a1 exited
	equal 1 "$(starts a1)"
	equal 0 "$(lodge inspect --format '{{.State.ExitCode}}' a1)"
}

@test "always: again and again, until a stop" {
	lodge run -d --name a1 --restart always --network none bb sh -c 'sleep 0.05'
	within 15 restarted a1 3
	lodge stop -t 0 a1
	equal exited "$(state a1)"
	n=$(starts a1)
	sleep 1
	equal "$n" "$(starts a1)"
	equal exited "$(state a1)"
}

@test "unless-stopped: killed from outside comes back, stopped doesn't" {
	lodge run -d --name a1 --restart unless-stopped --network none bb sleep 1000
	kill -9 "$(guest_pid a1)"
	within 10 restarted a1 1
	within 5 is_state a1 running
	lodge stop -t 0 a1
	sleep 0.5
	equal exited "$(state a1)"
}

@test "back-off: restarts become rarer" {
	lodge run -d --name a1 --restart always --network none bb false
	sleep 3
	[ "$(starts a1)" -le 8 ]
	[ "$(starts a1)" -ge 2 ]
	lodge rm -f a1
}

@test "a restarted guest keeps its network and files" {
	lodge run -d --name a1 --restart on-failure:1 bb sh -c \
		'ip -4 address show eth0 | grep -o "inet [0-9.]*"; test -e /f && exit 0; touch /f; exit 1'
	within 10 is_state a1 exited
	equal 2 "$(lodge logs a1 | grep -c inet)"
}

@test "boot starts what wants to run" {
	lodge run -d --name yes --restart always --network none bb sleep 1000
	lodge run -d --name nope --network none bb sleep 1000
	# as after a power cut: everything of the run folder is gone
	for g in yes nope; do
		monitor=$(sed -n 's/^monitor \([0-9]*\) .*/\1/p' "$LODGE_RUN/guests/$(lodge inspect --format '{{.Id}}' $g)/status")
		kill -9 "$monitor" "$(guest_pid $g)"
	done
	sleep 0.2
	lodge boot
	equal running "$(state yes)"
	[ "$(state nope)" != running ]
}
