#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Engines of others run their containers through the runtime: podman, a Docker daemon, containerd, from Debian.

load ../lib
load ../runc

prepare() {
	make_root "$TEST_DIR/rootfs"
	tar -C "$TEST_DIR/rootfs" --numeric-owner -cf "$TEST_DIR/root.tar" .
}

teardown() {
	[ ! -s "$TEST_DIR/pid" ] || kill "$(<"$TEST_DIR/pid")" 2>/dev/null || true
	[ ! -s "$TEST_DIR/pid" ] || within 10 gone "$(<"$TEST_DIR/pid")"
	rm -f "$TEST_DIR/pid"
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

# ends STATUS COMMAND...
ends() {
	status=0
	output=$("${@:2}" 2>&1) || status=$?
	equal "$1" "$status" || {
		echo "$output" >&2
		return 1
	}
}

@test "podman" {
	command -v podman >/dev/null || skip "no podman"
	# limits that its default asks for may be above what this caller can set
	printf '[containers]\ndefault_ulimits = []\n' >"$TEST_DIR/containers.conf"
	export CONTAINERS_CONF=$TEST_DIR/containers.conf HOME=$TEST_DIR
	pod() {
		podman --root "$TEST_DIR/pod" --runroot "$TEST_DIR/podrun" --cgroup-manager cgroupfs --events-backend file \
			--runtime "$LODGE_RUNC" "$@"
	}
	pod import -q "$TEST_DIR/root.tar" bb >/dev/null
	ends 7 pod run --rm --network none bb sh -c 'echo out; exit 7'
	equal out "$output"
	ends 127 pod run --rm --network none bb nope
	ends 126 pod run --rm --network none bb /etc/passwd
	pod run -d --name c1 --network none -m 64m bb sleep 100 >/dev/null
	equal lodge-runc "$(pod inspect --format '{{.OCIRuntime}}' c1 | sed 's:.*/::')"
	ends 5 pod exec c1 sh -c 'echo in; exit 5'
	ends 127 pod exec c1 nope
	equal "5 /tmp b" "$(pod exec -u 5 -w /tmp -e A=b c1 sh -c 'echo $(id -u) $(pwd) $A')"
	pod pause c1 >/dev/null
	equal paused "$(pod inspect --format '{{.State.Status}}' c1)"
	pod unpause c1 >/dev/null
	pod top c1 | grep -q sleep
	pod stop -t 0 c1 >/dev/null
	equal 137 "$(pod inspect --format '{{.State.ExitCode}}' c1)"
	pod start c1 >/dev/null
	pod rm -f -t 0 c1 >/dev/null
	pod run --rm -t --network none bb tty | grep -q /dev/pts/0
	pod run --rm --network none --cap-drop all --read-only bb sh -c 'grep -q "CapEff:.*0000000000000000" /proc/self/status && ! touch /x 2>/dev/null'
}

@test "a Docker daemon" {
	command -v dockerd >/dev/null || skip "no dockerd"
	export DOCKER_HOST=unix://$TEST_DIR/docker.sock
	local docker=/usr/bin/docker
	dockerd --data-root "$TEST_DIR/docker" --exec-root "$TEST_DIR/docker-run" --pidfile "$TEST_DIR/docker.pid" -H "$DOCKER_HOST" \
		--storage-driver overlay2 --add-runtime "lodge=$LODGE_RUNC" >"$TEST_DIR/dockerd.log" 2>&1 </dev/null 3>&- &
	echo $! >"$TEST_DIR/pid"
	within 30 $docker info >/dev/null
	$docker import "$TEST_DIR/root.tar" bb >/dev/null
	ends 7 $docker run --rm --runtime lodge bb sh -c 'ip addr show eth0 | grep -q inet && exit 7'
	ends 127 $docker run --rm --runtime lodge bb nope
	[[ $output == *"executable file not found"* ]]
	$docker run -d --runtime lodge --name c1 bb sleep 100 >/dev/null
	equal lodge "$($docker inspect --format '{{.HostConfig.Runtime}}' c1)"
	ends 5 $docker exec c1 sh -c 'exit 5'
	$docker update -m 64m --memory-swap 128m c1 >/dev/null
	cgroup_v2 || equal 67108864 "$($docker exec c1 cat /sys/fs/cgroup/memory/memory.limit_in_bytes)"
	$docker pause c1 >/dev/null
	equal paused "$($docker inspect --format '{{.State.Status}}' c1)"
	$docker unpause c1 >/dev/null
	$docker top c1 | grep -q sleep
	$docker restart -t 0 c1 >/dev/null
	$docker rm -f c1 >/dev/null
	$docker run --rm --runtime lodge -t bb tty | grep -q /dev/pts/0
	$docker run --rm --runtime lodge --privileged bb sh -c '[ "$(ls /dev | wc -l)" -gt 20 ]'
	ends 0 $docker run --rm --runtime lodge -m 32m --pids-limit 30 --read-only --tmpfs /t -v "$TEST_DIR/rootfs:/s:ro" bb \
		sh -c '! touch /q 2>/dev/null && touch /t/q && ! touch /s/q 2>/dev/null'
}

@test "containerd" {
	command -v containerd >/dev/null || skip "no containerd"
	local address=$TEST_DIR/ctd.sock
	containerd --root "$TEST_DIR/ctd" --state "$TEST_DIR/ctd-run" --address "$address" >"$TEST_DIR/ctd.log" 2>&1 </dev/null 3>&- &
	echo $! >"$TEST_DIR/pid"
	c() {
		ctr -a "$address" "$@"
	}
	within 20 c version >/dev/null 2>&1
	# a bundle's root that is there: no image is needed
	ends 7 c run --rm --runc-binary "$LODGE_RUNC" --rootfs "$TEST_DIR/rootfs" t1 sh -c 'echo out; exit 7'
	equal out "$output"
	c run -d --runc-binary "$LODGE_RUNC" --rootfs "$TEST_DIR/rootfs" t2 sleep 100
	c task ls | grep -q 't2.*RUNNING'
	ends 5 c task exec --exec-id e1 t2 sh -c 'exit 5'
	c task pause t2
	c task ls | grep -q 't2.*PAUSED'
	c task resume t2
	c task kill -s KILL t2
	within 5 sh -c "ctr -a '$address' task ls | grep -q 't2.*STOPPED'"
	c task rm t2 >/dev/null 2>&1 || true
	c c rm t2
}
