#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# --systemd-cgroup: containers in scopes that systemd makes. In a machine whose process 1 is systemd (vmtest -s), and in
# its process ids, since it is told the container's.

load ../lib
load ../runc

setup() {
	[ -d /run/systemd/system ] || skip "systemd isn't process 1"
	runtime() {
		"$LODGE_RUNC" --root "$TEST_DIR/state" --systemd-cgroup "$@"
	}
}

teardown() {
	[ -d /run/systemd/system ] || return 0
	local id
	for id in $(ls "$TEST_DIR/state" 2>/dev/null); do runtime delete -f "$id" || true; done
	[ -z "$(systemctl list-units --all --no-legend 'lodge*' 'runc-*' | tee /dev/stderr)" ]
	[ -z "$(find /sys/fs/cgroup -name '*rt-*')" ]
}

# sleeper FILTER: in $ID, whose scope is lodge-$ID.scope in lodge-test.slice, and $CG
sleeper() {
	ID=$(new_id)
	bundle ".linux.cgroupsPath = \"lodge-test.slice:lodge:$ID\" | ${1:-.}" sleep 1000
	runtime run -d -b "$BUNDLE" "$ID" </dev/null >/dev/null
	UNIT=lodge-$ID.scope
	CG=/lodge.slice/lodge-test.slice/$UNIT
}

property() {
	systemctl show -p "$1" --value "$UNIT"
}

@test "a scope in its slice, with properties and files; gone with the container" {
	cgroup_v2 || skip "of v2; v1 has its own"
	sleeper '.linux.resources.memory = {limit: 67108864, reservation: 33554432, swap: 100663296} | .linux.resources.pids.limit = 42
		| .linux.resources.cpu = {shares: 2048, quota: 50000, period: 200000, cpus: "0"}'
	equal "$CG" "$(property ControlGroup)"
	equal lodge-test.slice "$(property Slice)"
	equal "active yes container $ID" "$(property ActiveState) $(property Delegate) $(property Description)"
	equal "67108864 33554432 33554432 42" "$(property MemoryMax) $(property MemoryLow) $(property MemorySwapMax) $(property TasksMax)"
	equal "79 250ms 200ms 0" "$(property CPUWeight) $(property CPUQuotaPerSecUSec) $(property CPUQuotaPeriodUSec) $(property AllowedCPUs)"
	equal "67108864 42 79" "$(cat "/sys/fs/cgroup$CG"/{memory.max,pids.max,cpu.weight} | xargs)"
	equal "$(state_of "$ID" .pid)" "$(cat "/sys/fs/cgroup$CG/cgroup.procs")"
	# the container sees its own root
	equal 0::/ "$(runtime exec "$ID" cat /proc/self/cgroup)"
	# without the option, by what the record says
	"$LODGE_RUNC" --root "$TEST_DIR/state" delete -f "$ID"
	equal inactive "$(property ActiveState)"
	[ ! -e "/sys/fs/cgroup$CG" ]
}

@test "the name and slice when none are given; crun's option" {
	ID=$(new_id)
	bundle . sleep 1000
	"$LODGE_RUNC" --root "$TEST_DIR/state" --cgroup-manager=systemd run -d -b "$BUNDLE" "$ID" </dev/null >/dev/null
	UNIT=runc-$ID.scope
	equal "/system.slice/$UNIT active" "$(property ControlGroup) $(property ActiveState)"
	runtime delete -f "$ID"
}

@test "v1: a scope in all hierarchies; update; systemd's own rules of devices are no wider" {
	! cgroup_v2 || skip "of v1"
	sleeper '.linux.resources.memory = {limit: 67108864} | .linux.resources.pids.limit = 42
		| .linux.resources.cpu = {shares: 2048, quota: 50000, period: 200000, cpus: "0"}'
	equal "$CG active yes" "$(property ControlGroup) $(property ActiveState) $(property Delegate)"
	equal "67108864 42 2048 250ms strict" "$(property MemoryLimit) $(property TasksMax) $(property CPUShares) $(
		property CPUQuotaPerSecUSec) $(property DevicePolicy)"
	v1() { cat "/sys/fs/cgroup/$1$CG/$2"; }
	equal "67108864 42 2048 0" "$(v1 memory memory.limit_in_bytes) $(v1 pids pids.max) $(v1 cpu cpu.shares) $(v1 cpuset cpuset.cpus)"
	# in each hierarchy, and nowhere else
	equal "$CG" "$(cut -d: -f3 "/proc/$(state_of "$ID" .pid)/cgroup" | sort -u)"
	equal "$CG" "$(runtime exec "$ID" cut -d: -f3 /proc/self/cgroup | sort -u)"
	runtime update --memory 128m --pids-limit 9 "$ID"
	equal "134217728 9" "$(property MemoryLimit) $(property TasksMax)"
	systemctl daemon-reload
	equal "134217728 9" "$(v1 memory memory.limit_in_bytes) $(v1 pids pids.max)"
	! v1 devices devices.list | grep -E '\*:\* .*[rw]'
	v1 devices devices.list | grep -qx 'c 136:\* rwm'
	runtime pause "$ID"
	equal paused "$(state_of "$ID")"
	runtime resume "$ID"
	runtime delete -f "$ID"
	equal inactive "$(property ActiveState)"
	[ -z "$(find /sys/fs/cgroup -name "$UNIT")" ]
}

@test "update reaches the unit and the files; pause, kill, ps" {
	cgroup_v2 || skip "of v2; v1 has its own"
	sleeper
	runtime update --memory 64m --pids-limit 9 --cpu-share 512 "$ID"
	equal "67108864 9 20" "$(property MemoryMax) $(property TasksMax) $(property CPUWeight)"
	equal "67108864 9 20" "$(cat "/sys/fs/cgroup$CG"/{memory.max,pids.max,cpu.weight} | xargs)"
	systemctl daemon-reload
	equal "67108864 9" "$(cat "/sys/fs/cgroup$CG"/{memory.max,pids.max} | xargs)"
	runtime pause "$ID"
	equal paused "$(state_of "$ID")"
	runtime resume "$ID"
	runtime ps "$ID" | grep -q 'sleep 1000'
	runtime kill "$ID" KILL
	within 5 eval '[ "$(state_of "$ID")" = stopped ]'
	runtime delete "$ID"
}

@test "annotations are properties" {
	sleeper '.annotations = {"org.systemd.property.TimeoutStopSec": "uint64 12", "org.systemd.property.CollectMode": "'"'"'inactive-or-failed'"'"'"}'
	equal "12s inactive-or-failed" "$(property TimeoutStopUSec) $(property CollectMode)"
	runtime delete -f "$ID"
	bundle '.annotations = {"org.systemd.property.CollectMode": "nonsense("}' true
	refuses 1 "annotations[\"org.systemd.property.CollectMode\"]" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.annotations = {"org.systemd.property.NoSuchThing": "true"}' true
	refuses 1 "systemd says no to" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "run in the foreground; what is refused" {
	equal hi "$(ran . echo hi)"
	bundle '.linux.cgroupsPath = "/a/b"' true
	refuses 1 'expected cgroupsPath to be of format "slice:prefix:name"' runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.linux.cgroupsPath = "a/b.slice:x:y"' true
	refuses 1 "invalid slice name 'a/b.slice'" runtime run -b "$BUNDLE" "$(new_id)"
	bundle '.linux.cgroupsPath = "system.slice:x:y.slice"' true
	refuses 1 "which holds no processes" runtime run -b "$BUNDLE" "$(new_id)"
	bundle . /nope
	refuses 1 "no such file or directory" runtime run -b "$BUNDLE" "$(new_id)"
}

@test "many at once" {
	bundle . true
	local pids=() p
	for n in $(seq 8); do
		runtime run -b "$BUNDLE" "rt-$BATS_TEST_NUMBER-m-$n" &
		pids+=($!)
	done
	for p in "${pids[@]}"; do wait "$p"; done
}

@test "devices are guarded by the rules" {
	sleeper
	mknod -m 666 "$TEST_DIR/rootfs/tmp/kmsg" c 1 11
	runtime exec "$ID" head -c1 /tmp/kmsg 2>&1 | grep -q "Operation not permitted"
	rm "$TEST_DIR/rootfs/tmp/kmsg"
	systemctl daemon-reload
	runtime exec "$ID" head -c1 /dev/zero >/dev/null
}

@test "podman with systemd as its manager of cgroups" {
	command -v podman >/dev/null || skip "no podman"
	systemctl start dbus.service
	tar -C "$TEST_DIR/rootfs" --numeric-owner -cf "$TEST_DIR/root.tar" .
	pod() {
		podman --root "$TEST_DIR/pod" --runroot "$TEST_DIR/pod-run" --cgroup-manager systemd --events-backend file \
			--runtime "$LODGE_RUNC" --storage-driver vfs "$@"
	}
	pod import "$TEST_DIR/root.tar" lodge-rt >/dev/null
	pod run -d --name one --net none --memory 64m lodge-rt sleep 1000 >/dev/null
	UNIT=libpod-$(pod inspect --format '{{.Id}}' one).scope
	equal "active 67108864" "$(property ActiveState) $(property "$(cgroup_v2 && echo MemoryMax || echo MemoryLimit)")"
	equal machine.slice "$(property Slice)"
	equal hello "$(pod exec one echo hello)"
	pod stats --no-stream --format '{{.Name}}' one | grep -q one
	pod rm -f -t 0 one >/dev/null
	equal inactive "$(property ActiveState)"
}

@test "checkpoint, and restore into a scope" {
	criu check >/dev/null 2>&1 || skip "criu can't work here"
	cgroup_v2 || skip "of v2"
	ID=$(new_id)
	IMG=$TEST_DIR/img
	bundle ".linux.cgroupsPath = \"lodge-test.slice:lodge:$ID\" | .linux.resources.pids.limit = 77" \
		sh -c 'n=0; while :; do n=$((n + 1)); echo $n >/tmp/n; sleep 0.05; done'
	runtime run -d -b "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	UNIT=lodge-$ID.scope
	within 5 test -s "$TEST_DIR/rootfs/tmp/n"
	runtime checkpoint --image-path "$IMG" "$ID" || { grep Error "$IMG/dump.log" >&2; return 1; }
	equal inactive "$(property ActiveState)"
	n=$(<"$TEST_DIR/rootfs/tmp/n")
	# into another slice than it was in
	jq '.linux.cgroupsPath |= sub("test"; "other")' "$BUNDLE/config.json" >"$TEST_DIR/c" && mv "$TEST_DIR/c" "$BUNDLE/config.json"
	runtime restore -d -b "$BUNDLE" --image-path "$IMG" "$ID" </dev/null >/dev/null 2>&1 || { grep Error "$IMG/restore.log" >&2; return 1; }
	within 5 eval '[ "$(<"$TEST_DIR/rootfs/tmp/n")" -gt "$n" ]'
	CG=/lodge.slice/lodge-other.slice/$UNIT
	equal "active $CG 77 77" "$(property ActiveState) $(property ControlGroup) $(property TasksMax) $(cat "/sys/fs/cgroup$CG/pids.max")"
	# nobody but the container is in it
	grep -qx "$(state_of "$ID" .pid)" "/sys/fs/cgroup$CG/cgroup.procs"
	for pid in $(cat "/sys/fs/cgroup$CG/cgroup.procs"); do grep -qE "^(sh|sleep)$" "/proc/$pid/comm" || [ ! -e "/proc/$pid" ]; done
	mknod -m 666 "$TEST_DIR/rootfs/tmp/kmsg" c 1 11
	runtime exec "$ID" head -c1 /tmp/kmsg 2>&1 | grep -q "Operation not permitted"
	rm "$TEST_DIR/rootfs/tmp/kmsg"
	runtime delete -f "$ID"
	equal inactive "$(property ActiveState)"
	[ ! -e "/sys/fs/cgroup$CG" ]
	# one that fails leaves no scope
	mkdir "$TEST_DIR/empty"
	refuses 1 "criu failed" runtime restore -d -b "$BUNDLE" --image-path "$TEST_DIR/empty" "$ID"
	equal inactive "$(property ActiveState)"
	[ ! -e "/sys/fs/cgroup$CG" ]
}
