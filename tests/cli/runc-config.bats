#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# config.json of the OCI runtime, area by area: each setting by its effect inside. runtime-spec 1.2.

load ../lib
load ../runc

teardown() {
	runtime_clean
}

@test "process: user, groups, umask, cwd, env, HOME" {
	equal "1000 1000 5 7 0077 /tmp x" "$(ran '.process.user = {"uid": 1000, "gid": 1000, "umask": 63, "additionalGids": [5, 7]}
		| .process.cwd = "/tmp" | .process.env += ["A=x"]' \
		sh -c 'echo $(id -u) $(id -g) $(grep Groups /proc/self/status | cut -f2) $(umask) $(pwd) $A' | xargs)"
	equal /home/bob "$(ran '.process.user.uid = 1000 | .process.env = ["PATH=/bin"]' sh -c 'echo $HOME')" ||
		equal / "$(ran '.process.user.uid = 1000 | .process.env = ["PATH=/bin"]' sh -c 'echo $HOME')"
	equal /made/here "$(ran '.process.cwd = "/made/here"' pwd)"
	rmdir "$TEST_DIR/rootfs/made/here" "$TEST_DIR/rootfs/made"
}

@test "process: five sets of capabilities" {
	output=$(ran '.process.noNewPrivileges = false | .process.user.uid = 1000 | .process.capabilities =
		{bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"], effective: ["CAP_KILL"], permitted: ["CAP_KILL", "CAP_CHOWN"],
		 inheritable: ["CAP_CHOWN"], ambient: ["CAP_CHOWN"]}' grep Cap /proc/self/status)
	grep -q 'CapInh:.*0000000000000001' <<<"$output"
	grep -q 'CapPrm:.*0000000000000001' <<<"$output"
	grep -q 'CapBnd:.*0000000000002021' <<<"$output"
	grep -q 'CapAmb:.*0000000000000001' <<<"$output"
	bundle '.process.capabilities.bounding = ["CAP_NOPE"]' true
	refuses 1 "'process.capabilities.bounding' has the unknown capability 'CAP_NOPE'" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "process: limits, oom score, priorities, processors" {
	equal "50 60" "$(ran '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 50, hard: 60}]' sh -c 'echo $(ulimit -Sn) $(ulimit -Hn)')"
	equal 500 "$(ran '.process.oomScoreAdj = 500' cat /proc/self/oom_score_adj)"
	equal 3 "$(ran '.process.scheduler = {policy: "SCHED_BATCH", nice: 5}' sh -c 'cut -d" " -f41 /proc/self/stat')"
	equal "5" "$(ran '.process.scheduler = {policy: "SCHED_OTHER", nice: 5}' sh -c 'cut -d" " -f19 /proc/self/stat')"
	equal "best-effort: prio 6" "$(ran '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}' sh -c 'ionice -p $$')"
	equal 0 "$(ran '.process.execCPUAffinity = {initial: "0", final: "0"}' sh -c 'grep Cpus_allowed_list /proc/self/status | cut -f2')"
	bundle '.process.rlimits = [{type: "RLIMIT_NOPE", soft: 1, hard: 1}]' true
	refuses 1 "'process.rlimits[0].type' is 'RLIMIT_NOPE'" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.process.rlimits += .process.rlimits' true
	refuses 1 "'process.rlimits[1].type'" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "process: no new privileges, personality, labels without their modules" {
	equal 1 "$(ran . grep -c 'NoNewPrivs.*1' /proc/self/status)"
	equal 1 "$(ran '.process.noNewPrivileges = false' grep -c 'NoNewPrivs.*0' /proc/self/status)"
	if [ "$(uname -m)" = x86_64 ]; then equal i686 "$(ran '.linux.personality = {domain: "LINUX32"}' uname -m)"; fi
	if ! grep -qs selinux /sys/kernel/security/lsm; then
		bundle '.process.selinuxLabel = "a:b:c"' true
		refuses 1 "'process.selinuxLabel'" runtime run -b "$BUNDLE" "$(new_id)"
		bundle '.linux.mountLabel = "a:b:c"' true
		refuses 1 "'linux.mountLabel'" runtime run -b "$BUNDLE" "$(new_id)"
	fi
	if ! grep -qs Y /sys/module/apparmor/parameters/enabled; then
		bundle '.process.apparmorProfile = "p"' true
		refuses 1 "'process.apparmorProfile'" runtime run -b "$BUNDLE" "$(new_id)"
	fi
}

@test "root: read-only, names" {
	equal no "$(ran '.root.readonly = true' sh -c 'touch /x 2>/dev/null && echo yes || echo no')"
	equal "box dom" "$(ran '.hostname = "box" | .domainname = "dom"' sh -c 'echo $(hostname) $(cat /proc/sys/kernel/domainname)')"
	bundle '.linux.namespaces -= [{type: "uts"}]' true
	refuses 1 "unable to set hostname without a private UTS namespace" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.root.path = "/nope"' true
	refuses 1 "'root.path': invalid rootfs '/nope'" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "mounts: binds, options, recursive ones, propagation" {
	mkdir -p "$TEST_DIR/src/sub"
	echo data >"$TEST_DIR/src/file"
	mount -t tmpfs sub "$TEST_DIR/src/sub"
	local bind='.mounts += [{destination: "/m/n", type: "bind", source: "'$TEST_DIR'/src", options: ["rbind", $opt]}]'
	equal data "$(ran "${bind/\$opt/\"rw\"}" cat /m/n/file)"
	output=$(ran "${bind/\$opt/\"ro\"}" sh -c 'touch /m/n/x 2>/dev/null || echo ro; touch /m/n/sub/x && echo rw')
	equal "ro rw" "$(xargs <<<"$output")"
	output=$(ran "${bind/\$opt/\"rro\"}" sh -c 'touch /m/n/x 2>/dev/null || echo ro; touch /m/n/sub/x 2>/dev/null || echo ro')
	equal "ro ro" "$(xargs <<<"$output")"
	ran "${bind/\$opt/\"rnosuid\",\"rnodev\",\"rnoexec\"}" grep ' /m/n/sub ' /proc/mounts | grep -q 'nosuid,nodev,noexec'
	ran "${bind/\$opt/\"rshared\"}" grep ' /m/n ' /proc/self/mountinfo | grep -q 'shared:'
	equal data "$(ran '.mounts += [{destination: "/f", type: "bind", source: "'"$TEST_DIR"'/src/file", options: ["bind"]}]' cat /f)"
	umount "$TEST_DIR/src/sub"
	ln -s /nowhere "$TEST_DIR/src/dangling"
	bundle '.mounts += [{destination: "/f", type: "bind", source: "'"$TEST_DIR"'/src/dangling", options: ["bind"]}]' true
	refuses 1 "cannot bind '$TEST_DIR/src/dangling': No such file or directory" runtime run -b "$BUNDLE" "$(new_id)"
	rm -rf "$TEST_DIR/rootfs/m" "$TEST_DIR/rootfs/f"
}

@test "mounts: tmpfs with and without what it hides" {
	mkdir -p "$TEST_DIR/rootfs/t/deep"
	echo up >"$TEST_DIR/rootfs/t/deep/file"
	equal 0 "$(ran '.mounts += [{destination: "/t", type: "tmpfs", source: "x", options: ["size=1m"]}]' sh -c 'ls /t | wc -l')"
	equal up "$(ran '.mounts += [{destination: "/t", type: "tmpfs", source: "x", options: ["tmpcopyup"]}]' cat /t/deep/file)"
	rm -rf "$TEST_DIR/rootfs/t"
}

@test "mounts: ids mapped" {
	mkdir -p "$TEST_DIR/owned"
	echo x >"$TEST_DIR/owned/file"
	chown 1000:1000 "$TEST_DIR/owned/file"
	output=$(ran '.mounts += [{destination: "/ids", type: "bind", source: "'"$TEST_DIR"'/owned", options: ["bind", "idmap"],
		uidMappings: [{containerID: 1000, hostID: 2000, size: 10}], gidMappings: [{containerID: 1000, hostID: 3000, size: 10}]}]' \
		stat -c '%u %g' /ids/file 2>&1) || {
		grep -q "lacks id-mapped mounts" <<<"$output" && skip "this file system has none"
	}
	equal "2000 3000" "$output"
	bundle '.mounts += [{destination: "/ids", type: "bind", source: "/", options: ["bind", "idmap"]}]' true
	refuses 1 "neither the mount nor the container has mappings" runtime run -b "$BUNDLE" "$(new_id)"
	rmdir "$TEST_DIR/rootfs/ids"
}

@test "namespaces: new, by path, the host's; time offsets" {
	for kind in pid network ipc uts; do
		local file=$kind
		[ $kind != network ] || file=net
		[ "$(ran . readlink /proc/self/ns/$file)" != "$(readlink /proc/self/ns/$file)" ]
		equal "$(readlink /proc/self/ns/$file)" "$(ran 'del(.hostname) | .linux.namespaces |= map(select(.type != "'$kind'"))' readlink /proc/self/ns/$file)"
	done
	equal "$(nsenter -t "$OUTSIDE" -n readlink /proc/self/ns/net)" \
		"$(ran '(.linux.namespaces[] | select(.type == "network")).path = "/proc/'"$OUTSIDE"'/ns/net"' readlink /proc/self/ns/net)"
	if [ -e /proc/self/ns/time ]; then
		up=$(ran '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {boottime: {secs: 1000000}, monotonic: {secs: 5}}' cut -d. -f1 /proc/uptime)
		[ "$up" -gt 1000000 ]
	fi
	bundle '.linux.namespaces += [{type: "moon"}]' true
	refuses 1 "'linux.namespaces[5].type' is 'moon'" runtime run -b "$BUNDLE" "$(new_id)" ||
		refuses 1 "'linux.namespaces[6].type' is 'moon'" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.linux.namespaces |= map(select(.type != "mount"))' true
	refuses 1 "'linux.namespaces' has no 'mount'" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "a user namespace: mappings, devices, files" {
	mkdir -p "$TEST_DIR/mapped"
	make_root "$TEST_DIR/mapped"
	chown -R 100000:100000 "$TEST_DIR/mapped"
	output=$(ran '.root.path = "'"$TEST_DIR"'/mapped" | .linux.namespaces += [{type: "user"}] | .mounts |= map(select(.type != "sysfs" and .type != "cgroup"))
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}] | .linux.gidMappings = .linux.uidMappings' \
		sh -c 'id -u; cat /proc/self/uid_map; echo x >/dev/null; stat -c %u /; touch /made; stat -c %u /made')
	equal "0 0 100000 1000 0 0" "$(xargs <<<"$output")"
	equal 100000 "$(stat -c %u "$TEST_DIR/mapped/made")"
	bundle '.linux.namespaces += [{type: "user"}]' true
	refuses 1 "'linux.uidMappings' and 'linux.gidMappings' must be there" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "devices: the usual ones, more, rules" {
	equal "crw-rw-rw- 1, 3" "$(ran . ls -l /dev/null | awk '{ print $1, $5, $6 }')"
	equal "crw-r----- 5 6 10, 229" "$(ran '.linux.devices = [{path: "/dev/x/fuse", type: "c", major: 10, minor: 229, fileMode: 416, uid: 5, gid: 6}]' \
		ls -l /dev/x/fuse | awk '{ print $1, $3, $4, $5, $6 }')"
	equal prw-r--r-- "$(ran '.linux.devices = [{path: "/dev/p", type: "p", fileMode: 420}]' ls -l /dev/p | cut -c1-10)"
	# there, and the cgroup decides; whether the kernel has such a device doesn't matter
	local fuse='.linux.devices = [{path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 438}]'
	local try='(: </dev/fuse) 2>&1 | grep -q "not permitted" && echo denied || echo open'
	equal denied "$(ran "$fuse" sh -c "$try")"
	equal open "$(ran "$fuse"' | .linux.resources.devices += [{allow: true, type: "c", major: 10, minor: 229, access: "r"}]' sh -c "$try")"
	equal denied "$(ran "$fuse"' | .linux.resources.devices += [{allow: true, access: "rwm"}, {allow: false, type: "c", major: 10, minor: 229, access: "rwm"}]' sh -c "$try")"
	bundle '.linux.devices = [{path: "/dev/x", type: "q"}]' true
	refuses 1 "'linux.devices[0].type' is 'q'" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "resources: in the files of this host's cgroups" {
	ID=$(new_id)
	bundle '.linux.cgroupsPath = "/rt-parent/'"$ID"'" | .linux.resources += {memory: {limit: 33554432, swap: 33554432}, pids: {limit: 44},
		cpu: {shares: 512, quota: 50000, period: 100000, cpus: "0"}}' sleep 100
	runtime run -d -b "$BUNDLE" "$ID"
	local at=/sys/fs/cgroup path=rt-parent/$ID
	if cgroup_v2; then
		equal "33554432 0 44 50000 100000 0" "$(cd $at/$path && cat memory.max memory.swap.max pids.max cpu.max cpuset.cpus | xargs)" ||
			equal "33554432 44 50000 100000 0" "$(cd $at/$path && cat memory.max pids.max cpu.max cpuset.cpus | xargs)"
		equal 20 "$(cat $at/$path/cpu.weight)"
	else
		equal "33554432 44 50000 512 0" "$(cd $at && cat memory/$path/memory.limit_in_bytes pids/$path/pids.max cpu/$path/cpu.cfs_quota_us \
			cpu/$path/cpu.shares cpuset/$path/cpuset.cpus | xargs)"
	fi
	runtime delete -f "$ID"
	[ -z "$(find $at -path "*/rt-parent/*" -type d)" ]
	find $at -depth -name rt-parent -type d -exec rmdir {} +
}

@test "resources: unified, and what makes no sense" {
	if cgroup_v2; then
		ID=$(new_id)
		bundle '.linux.resources.unified = {"memory.high": "20971520", "pids.max": "12"}' sleep 100
		runtime run -d -b "$BUNDLE" "$ID"
		equal "20971520 12" "$(cd "/sys/fs/cgroup/$ID" && cat memory.high pids.max | xargs)"
		runtime delete -f "$ID"
	fi
	bundle '.linux.resources.unified = {"a/b": "1"}' true
	refuses 1 "'linux.resources'" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.linux.resources.memory.limit = "much"' true
	refuses 1 "'linux.resources.memory.limit' is not a whole number" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.linux.resources.memory.limit = 1000' true
	refuses 1 "memory limit of 1000 bytes is below the minimum" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.linux.intelRdt = {closID: "x"}' true
	refuses 1 "'linux.intelRdt' is not supported" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "sysctls, masked and read-only paths" {
	equal 7777 "$(ran '.linux.sysctl = {"kernel.shmmax": "7777"}' cat /proc/sys/kernel/shmmax)"
	bundle '.linux.sysctl = {"kernel.panic": "1"}' true
	refuses 1 "'linux.sysctl[\"kernel.panic\"]'" runtime run -b "$BUNDLE" "$(new_id)"
	equal "0 0" "$(ran '.linux.maskedPaths = ["/home", "/etc/group", "/absent"]' sh -c 'echo $(ls /home | wc -l) $(wc -c </etc/group)')"
	equal ro "$(ran '.linux.readonlyPaths = ["/etc"]' sh -c 'touch /etc/x 2>/dev/null || echo ro')"
}

@test "seccomp: actions, arguments, architectures, unknown calls" {
	local filter='.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"],
		syscalls: [{names: ["mkdir", "mkdirat", "nosuchcall"], action: $act}]}'
	equal "Operation not permitted" "$(ran "${filter/\$act/\"SCMP_ACT_ERRNO\"}" sh -c 'mkdir /q 2>&1 | sed "s/.*: //"')"
	equal "No space left on device" "$(ran "${filter/\$act/\"SCMP_ACT_ERRNO\", errnoRet: 28}" sh -c 'mkdir /q 2>&1 | sed "s/.*: //"')"
	status=0; ran "${filter/\$act/\"SCMP_ACT_KILL_PROCESS\"}" mkdir /q || status=$?
	equal 159 $status
	bundle "${filter/\$act/\"SCMP_ACT_NOPE\"}" true
	refuses 1 "'linux.seccomp': seccomp profile: bad action 'SCMP_ACT_NOPE'" runtime run -b "$BUNDLE" "$(new_id)"
	bundle "${filter/\$act/\"SCMP_ACT_NOTIFY\"}" true
	refuses 1 "'linux.seccomp.listenerPath' must be there" runtime run -b "$BUNDLE" "$(new_id)"
}

# The listener of seccomp's notifications: takes the descriptor and the state, and answers every call with errno 99.
listener() {
	rm -f "$1"
	python3 - "$1" "$2" 3>&- <<-'PY' &
		import array, fcntl, socket, struct, sys
		s = socket.socket(socket.AF_UNIX)
		s.bind(sys.argv[1])
		s.listen(1)
		c = s.accept()[0]
		data, control, _, _ = c.recvmsg(65536, socket.CMSG_SPACE(4))
		fd = array.array("i", control[0][2])[0]
		open(sys.argv[2], "wb").write(data)
		while True:
		    req = bytearray(80) # struct seccomp_notif
		    try:
		        fcntl.ioctl(fd, 0xC0502100, req)
		    except OSError:
		        break
		    id = struct.unpack_from("Q", req)[0]
		    fcntl.ioctl(fd, 0xC0182101, struct.pack("QqiI", id, 0, -99, 0))
	PY
	CONSOLES+=" $!"
	within 20 test -S "$1"
}

@test "seccomp: notifications go to the listener, with the state" {
	export ASK=$TEST_DIR/ask
	listener "$ASK" "$TEST_DIR/asked"
	bundle '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $ENV.ASK, listenerMetadata: "meta",
		syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_NOTIFY"}]} | .annotations = {k: "v"}' \
		sh -c 'mkdir /tmp/dir; echo status $?'
	output=$(runtime run -b "$BUNDLE" "rt-$BATS_TEST_NUMBER-ask" 2>&1)
	grep -q "Cannot assign requested address" <<<"$output"
	grep -q "status 1" <<<"$output"
	[ ! -e "$TEST_DIR/rootfs/tmp/dir" ]
	jq -e --arg id "rt-$BATS_TEST_NUMBER-ask" --arg dir "$BUNDLE" '.fds == ["seccompFd"] and .metadata == "meta" and .pid > 0
		and .state.id == $id and .state.bundle == $dir and .state.status == "creating" and .state.annotations.k == "v"' "$TEST_DIR/asked"
	# nobody listens
	rm -f "$TEST_DIR/ask"
	refuses 1 "cannot connect to '$TEST_DIR/ask'" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "limits of huge pages" {
	[ -d /sys/kernel/mm/hugepages/hugepages-2048kB ] || skip "this kernel has no huge pages"
	ID=$(new_id)
	bundle '.linux.resources.hugepageLimits = [{pageSize: "2MB", limit: 4194304}]' sleep 100
	# into a file: the container has the streams, too, and a pipe would be read until its end
	if ! runtime run -d -b "$BUNDLE" "$ID" >"$TEST_DIR/said" 2>&1 </dev/null; then # a host without the controller
		grep -q hugetlb "$TEST_DIR/said"
		return
	fi
	equal 4194304 "$(cat "/sys/fs/cgroup/hugetlb/$ID/hugetlb.2MB.limit_in_bytes" "/sys/fs/cgroup/$ID/hugetlb.2MB.max" \
		"/sys/fs/cgroup/unified/$ID/hugetlb.2MB.max" 2>/dev/null)"
	runtime delete -f "$ID"
	bundle '.linux.resources.hugepageLimits = [{pageSize: "3MB", limit: 1}]' true
	refuses 1 "hugetlb" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "limits of rdma: set where the host has such a device, said where not" {
	bundle '.linux.resources.rdma = {nosuchdev: {hcaHandles: 3, hcaObjects: 10}}' true
	refuses 1 "rdma" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.linux.resources.rdma = {x: 7}' true
	refuses 1 "'linux.resources.rdma[\"x\"]' is not a pair of limits" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "an unprivileged user: one id" {
	mkdir -p "$TEST_DIR/home"
	chown 12345:12345 "$TEST_DIR/home"
	chmod 711 "$TEST_DIR"
	(cd "$TEST_DIR/home" && rm -f config.json && "$LODGE_RUNC" spec --rootless)
	jq --arg root "$TEST_DIR/rootfs" '.process.terminal = false | .root.path = $root
		| .process.args = ["sh", "-c", "id -u; hostname; cat /proc/self/uid_map"]
		| .linux.uidMappings[0].hostID = 12345 | .linux.gidMappings[0].hostID = 12345' \
		"$TEST_DIR/home/config.json" >"$TEST_DIR/c" && mv "$TEST_DIR/c" "$TEST_DIR/home/config.json"
	chmod 644 "$TEST_DIR/home/config.json"
	output=$(cd "$TEST_DIR/home" && setpriv --reuid 12345 --regid 12345 --clear-groups \
		env -u XDG_RUNTIME_DIR "$LODGE_RUNC" --root "$TEST_DIR/home/state" run rootless 2>&1 </dev/null) || {
		echo "$output" >&2
		return 1
	}
	equal "0 runc 0 12345 1" "$(xargs <<<"$output")"
	[ -z "$(ls -A "$TEST_DIR/home/state")" ]
}

@test "rootfsPropagation" {
	ran '.linux.rootfsPropagation = "shared"' grep ' / / ' /proc/self/mountinfo | grep -q shared: ||
		ran '.linux.rootfsPropagation = "shared"' awk '$5 == "/"' /proc/self/mountinfo | grep -q shared:
	ran '.linux.rootfsPropagation = "unbindable"' awk '$5 == "/"' /proc/self/mountinfo | grep -q unbindable
	bundle '.linux.rootfsPropagation = "sideways"' true
	refuses 1 "'linux.rootfsPropagation' is 'sideways'" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "--no-pivot, and exec there" {
	ID=$(new_id)
	bundle . sleep 100
	runtime run -d --no-pivot -b "$BUNDLE" "$ID"
	equal "$(ls "$TEST_DIR/rootfs")" "$(runtime exec "$ID" ls /)"
}

@test "bad input is refused in one line, with its place" {
	BUNDLE=$TEST_DIR/bad
	mkdir -p "$BUNDLE"
	refuses 1 "JSON specification file config.json not found" runtime run -b "$BUNDLE" "$(new_id)"
	echo '{' >"$BUNDLE/config.json"
	refuses 1 "invalid JSON at line" runtime run -b "$BUNDLE" "$(new_id)"
	echo '[]' >"$BUNDLE/config.json"
	refuses 1 "not a JSON object" runtime run -b "$BUNDLE" "$(new_id)"
	echo '{"ociVersion": "2.0.0", "root": {"path": "/x"}}' >"$BUNDLE/config.json"
	refuses 1 "'ociVersion' is '2.0.0'" runtime run -b "$BUNDLE" "$(new_id)"
	truncate -s 100M "$BUNDLE/config.json"
	refuses 1 "has more than" runtime run -b "$BUNDLE" "$(new_id)"
	printf '%*s' 10000 '' | tr ' ' '[' >"$BUNDLE/config.json"
	refuses 1 "objects and lists in each other" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.process.args = []' x
	refuses 1 "'process.args' must not be empty" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.process.cwd = "tmp"' true
	refuses 1 "'process.cwd' must be an absolute path" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.mounts[2].options = 5' true
	refuses 1 "'mounts[2].options' is not a list" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.hooks.prestart = [{path: "sh"}]' true
	refuses 1 "'hooks.prestart[0].path' is not an absolute path" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.unknown = {a: 1} | .linux.unknown = 7' echo fine
	equal fine "$(runtime run -b "$BUNDLE" "$(new_id)")"
	bundle . /etc/passwd
	refuses 1 'exec: "/etc/passwd": permission denied' runtime run -b "$BUNDLE" "$(new_id)"
	refuses 1 "invalid container ID format" runtime run -b "$BUNDLE" ../x
}
