#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Limits: what the guest reads in its own cgroup, in v1 and v2, and that they hold.
load ../lib

in_guest() {
	lodge run --rm --network none "$@"
}

# limit V1_FILE V2_FILE OPTIONS...: the file's text in a guest with these options.
limit() {
	local v1=$1 v2=$2
	shift 2
	if cgroup_v2; then
		in_guest "$@" bb cat "/sys/fs/cgroup/$v2"
	else
		in_guest "$@" bb cat "/sys/fs/cgroup/$v1"
	fi
}

@test "-m" {
	equal 67108864 "$(limit memory/memory.limit_in_bytes memory.max -m 64m)"
	equal 67108864 "$(limit memory/memory.limit_in_bytes memory.max --memory 65536k)"
	fails 125 512k in_guest -m 1k bb true
}

@test "-m holds: the guest is killed, and it says why" {
	run lodge run --name big --network none -m 16m bb sh -c 'x=$(head -c 80000000 /dev/zero | tr "\0" x); echo survived'
	[[ $output != *survived* ]]
	[ "$status" != 0 ]
	equal true "$(lodge inspect --format '{{.State.OOMKilled}}' big)"
}

@test "--memory-swap, --memory-reservation, --memory-swappiness" {
	if cgroup_v2; then
		equal 33554432 "$(limit - memory.swap.max -m 64m --memory-swap 96m)"
		equal 33554432 "$(limit - memory.low -m 64m --memory-reservation 32m)"
	else
		equal 33554432 "$(limit memory/memory.soft_limit_in_bytes - -m 64m --memory-reservation 32m)"
		equal 10 "$(limit memory/memory.swappiness - --memory-swappiness 10)"
		[ -e /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes ] || skip "no swap accounting in this kernel"
		equal 100663296 "$(limit memory/memory.memsw.limit_in_bytes - -m 64m --memory-swap 96m)"
	fi
}

@test "--cpus, --cpu-period and --cpu-quota" {
	if cgroup_v2; then
		equal "50000 100000" "$(limit - cpu.max --cpus 0.5)"
		equal "20000 50000" "$(limit - cpu.max --cpu-period 50000 --cpu-quota 20000)"
	else
		equal 50000 "$(limit cpu/cpu.cfs_quota_us - --cpus 0.5)"
		equal 20000 "$(limit cpu/cpu.cfs_quota_us - --cpu-period 50000 --cpu-quota 20000)"
		equal 50000 "$(limit cpu/cpu.cfs_period_us - --cpu-period 50000 --cpu-quota 20000)"
	fi
	fails 125 cpus in_guest --cpus 1000 bb true
	fails 125 cpus in_guest --cpus 0.5 --cpu-quota 1000 bb true
}

@test "--cpu-shares" {
	if cgroup_v2; then
		[ "$(limit - cpu.weight --cpu-shares 512)" -lt 100 ]
	else
		equal 512 "$(limit cpu/cpu.shares - --cpu-shares 512)"
	fi
}

@test "--cpuset-cpus, --cpuset-mems" {
	equal 0 "$(limit cpuset/cpuset.cpus cpuset.cpus --cpuset-cpus 0)"
	equal 0 "$(limit cpuset/cpuset.mems cpuset.mems --cpuset-mems 0)"
	[[ $(in_guest --cpuset-cpus 0 bb grep Cpus_allowed_list /proc/self/status) == *"	0" ]]
	fails 125 cpuset in_guest --cpuset-cpus 4095 bb true
}

@test "--pids-limit holds" {
	equal 7 "$(limit pids/pids.max pids.max --pids-limit 7)"
	run in_guest --pids-limit 5 bb sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait'
	[[ $output == *fork* ]]
	# no limit: the file says so, or there is no cgroup for it
	run limit pids/pids.max pids.max --pids-limit -1
	[[ $output == max || $output == *"No such file"* ]]
}

@test "--device-read-bps and the other three" {
	disk=$(lsblk -dno PATH,TYPE 2>/dev/null | awk '$2 == "disk" { print $1; exit }')
	[ -b "$disk" ] || skip "no disk here"
	numbers=$((0x$(stat -c %t "$disk"))):$((0x$(stat -c %T "$disk")))
	if cgroup_v2; then
		[[ $(limit - io.max --device-read-bps "$disk:1mb") == *"$numbers"*rbps=1048576* ]]
		[[ $(limit - io.max --device-write-iops "$disk:99") == *"$numbers"*wiops=99* ]]
	else
		[[ $(limit blkio/blkio.throttle.read_bps_device - --device-read-bps "$disk:1mb") == *"$numbers 1048576"* ]]
		[[ $(limit blkio/blkio.throttle.write_iops_device - --device-write-iops "$disk:99") == *"$numbers 99"* ]]
	fi
}

@test "a guest sees its own cgroup as the root, and read-only" {
	if cgroup_v2; then
		equal 0::/ "$(in_guest bb cat /proc/self/cgroup)"
	else
		in_guest bb sh -c 'while IFS=: read -r n c p; do [ "$p" = / ] || exit 1; done </proc/self/cgroup'
	fi
	run in_guest bb mkdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x
	[ "$status" = 1 ]
}

@test "all processes of a guest are in its cgroup, exec's too" {
	lodge run -d --name g1 --pids-limit 50 --network none bb sleep 100
	lodge exec -d g1 sleep 200
	file=$(cgroup_v2 && echo cgroup.procs || echo pids/cgroup.procs)
	[ "$(lodge exec g1 sh -c "wc -l </sys/fs/cgroup/$file")" -ge 3 ]
}

@test "--cgroup-parent" {
	run lodge run -d --name p1 --cgroup-parent lodge-test-parent --network none bb sleep 100
	[ "$status" = 0 ]
	find /sys/fs/cgroup -maxdepth 2 -name lodge-test-parent | grep -q .
	lodge rm -f p1
	find /sys/fs/cgroup -depth -name 'lodge-test-parent*' -exec rmdir {} + 2>/dev/null || true
}

@test "stats counts what the guest uses" {
	lodge run -d --name busy --network none -m 64m bb sh -c 'while :; do :; done'
	run lodge stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}' busy
	[ "$status" = 0 ]
	[[ $output == busy*%*"/ 64MiB"*1 ]]
}
