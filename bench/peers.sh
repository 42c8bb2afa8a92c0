# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The peers, set up from Debian's packages inside tests/hermetic: own network, mounts, processes; all their
# state is below TEST_DIR and is gone with it. Sourced by run.sh. DIR: scratch; ROOT: a busybox root.

docker=/usr/bin/docker # of Debian's package, whatever else is in PATH
DOCKER_HOST=unix://$TEST_DIR/docker.sock
CONTAINERS_CONF=$TEST_DIR/containers.conf
CONTAINERS_STORAGE_CONF=$TEST_DIR/storage.conf
export DOCKER_HOST CONTAINERS_CONF CONTAINERS_STORAGE_CONF

# The same root for everybody: busybox, and the process of still.c.
make_common_root() {
	local applet
	mkdir -p "$ROOT"/{bin,dev/pts,dev/shm,dev/mqueue,etc,proc,root,run,sys,tmp,usr/bin,var}
	cp "$(readlink -f "$(command -v busybox)")" "$ROOT/bin/busybox"
	for applet in $(busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$ROOT/bin/$applet"
	done
	cp "$DIR/still" "$ROOT/bin/still"
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$ROOT/etc/passwd"
	printf 'root:x:0:\n' >"$ROOT/etc/group"
	tar -C "$ROOT" --numeric-owner -cf "$DIR/bb.tar" .
}

setup_docker() {
	local tries=0
	mkdir -p "$TEST_DIR/docker" "$TEST_DIR/docker-run"
	dockerd --data-root "$TEST_DIR/docker" --exec-root "$TEST_DIR/docker-run" --pidfile "$TEST_DIR/docker.pid" \
		-H "$DOCKER_HOST" --storage-driver overlay2 >"$TEST_DIR/dockerd.log" 2>&1 </dev/null &
	until $docker info >/dev/null 2>&1; do
		sleep 0.2
		if [ $((tries += 1)) -gt 150 ]; then
			tail -n 5 "$TEST_DIR/dockerd.log" >&2
			return 1
		fi
	done
	$docker import "$DIR/bb.tar" bb:latest >/dev/null
}

setup_podman() {
	mkdir -p "$TEST_DIR/podman" "$TEST_DIR/podman-run"
	# limits that its default asks for may be above what this caller can set
	cat >"$CONTAINERS_CONF" <<-CONF
		[containers]
		default_ulimits = []
		[engine]
		runtime = "runc"
		cgroup_manager = "cgroupfs"
		events_logger = "file"
	CONF
	cat >"$CONTAINERS_STORAGE_CONF" <<-CONF
		[storage]
		driver = "overlay"
		graphroot = "$TEST_DIR/podman"
		runroot = "$TEST_DIR/podman-run"
	CONF
	podman import -q "$DIR/bb.tar" bb:latest >/dev/null
}

# lxc has no images: a folder is the root. app runs a command, appnet too on a bridge of its own.
setup_lxc() {
	local name
	ip link add lxcbench type bridge
	ip address add 10.212.0.1/16 dev lxcbench
	ip link set lxcbench up
	for name in app appnet; do
		mkdir -p "$TEST_DIR/lxc/$name"
		lxc_config "$TEST_DIR/lxc/$name" "$name" $([ $name = appnet ] && echo net)
	done
}

lxc_config() { # FOLDER NAME [net]
	cat >"$1/config" <<-CONF
		lxc.rootfs.path = dir:$ROOT
		lxc.uts.name = $2
		lxc.apparmor.profile = unconfined
		lxc.mount.auto = proc:mixed sys:ro
		lxc.autodev = 1
		lxc.tty.max = 0
		lxc.pty.max = 16
		lxc.signal.halt = SIGTERM
		lxc.init.cmd = /bin/still
	CONF
	if [ "${3:-}" = net ]; then
		cat >>"$1/config" <<-CONF
			lxc.net.0.type = veth
			lxc.net.0.link = lxcbench
			lxc.net.0.flags = up
			lxc.net.0.ipv4.address = 10.212.0.9/16
			lxc.net.0.ipv4.gateway = 10.212.0.1
		CONF
	else
		echo 'lxc.net.0.type = empty' >>"$1/config"
	fi
}

setup_limit() {
	ip link add limitbench type bridge
	ip address add 10.213.0.1/16 dev limitbench
	ip link set limitbench up
	mkdir -p "$TEST_DIR/limit"
}

setup_lodge() {
	export LODGE_ROOT=$TEST_DIR/lodge LODGE_RUN=$TEST_DIR/lodge-run
	"$LODGE" image import "$DIR/bb.tar" bb >/dev/null
}

# What hides behind a name, as tests/hermetic ends everything else: only cgroups outlive processes.
stop_peers() {
	local name
	if [ -s "$TEST_DIR/docker.pid" ]; then
		$docker ps -aq 2>/dev/null | xargs -r $docker rm -f >/dev/null 2>&1 || true
		kill "$(cat "$TEST_DIR/docker.pid")" 2>/dev/null || true
		for _ in $(seq 50); do [ -e "$TEST_DIR/docker.pid" ] && sleep 0.1; done
	fi
	podman ps -aq 2>/dev/null | xargs -r podman rm -f -t 0 >/dev/null 2>&1 || true
	for name in docker libpod_parent lxc.; do
		find /sys/fs/cgroup -depth -type d -path "*/$name*" -exec rmdir {} + 2>/dev/null || true
	done
}
