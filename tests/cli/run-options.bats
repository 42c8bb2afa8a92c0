#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The options of `lodge run`, each by its effect as the container sees it.
load ../lib

in_guest() { # OPTIONS... IMAGE COMMAND...
	lodge run --rm --network none "$@"
}

@test "run prints what the command prints and ends with its status" {
	run in_guest bb sh -c 'echo out; echo err >&2; exit 3'
	[ "$status" = 3 ]
	[[ $output == *out* && $output == *err* ]]
	equal out "$(in_guest bb sh -c 'echo out; echo err >&2' 2>/dev/null)"
}

@test "the guest has its own root, processes, host name" {
	run in_guest bb sh -c 'echo $$; ps | wc -l; hostname; ls /'
	[ "$status" = 0 ]
	[ "${lines[0]}" = 1 ]
	[ "${lines[1]}" -le 4 ]
	[[ ${lines[2]} =~ ^[0-9a-f]{12}$ ]]
	[[ $output == *proc* ]]
	in_guest bb test -d /home/bob
}

@test "-d prints the id and returns; --name names" {
	id=$(lodge run -d --name one --network none bb sleep 100)
	[[ $id =~ ^[0-9a-f]{64}$ ]]
	equal "$id" "$(lodge inspect --format '{{.Id}}' one)"
	equal running "$(state one)"
	fails 125 one lodge run -d --name one --network none bb sleep 100
	equal 1 "$(lodge ls -aq | wc -l)"
}

@test "-i hands over standard input to its end" {
	equal 12 "$(printf '1\n2\n' | in_guest -i bb sh -c 'while read -r x; do printf %s "$x"; done')"
	# without -i there is none
	equal "" "$(echo text | in_guest bb cat)"
}

@test "-i carries bytes unchanged" {
	head -c 3000000 /dev/urandom >"$TEST_DIR/bytes"
	in_guest -i bb cat <"$TEST_DIR/bytes" | cmp - "$TEST_DIR/bytes"
}

@test "--rm removes the container and its anonymous volumes" {
	lodge run --rm --network none -v /data bb touch /data/x
	equal "" "$(lodge ls -aq)"
	equal "" "$(lodge volume ls -q)"
	lodge run -d --rm --name brief --network none bb sleep 0.2
	within 5 eval '[ -z "$(lodge ls -aq)" ]'
}

@test "-e, --env-file: order, the caller's value, nothing else" {
	printf '# comment\n\nA=file\nB=from file\nCALLER\n' >"$TEST_DIR/env"
	CALLER=mine OTHER=yours run in_guest --env-file "$TEST_DIR/env" -e A=option -e OTHER bb env
	[[ $output == *A=option* && $output == *"B=from file"* ]]
	[[ $output == *CALLER=mine* && $output == *OTHER=yours* ]]
	[[ $output == *PATH=/* && $output == *HOSTNAME=* && $output == *HOME=/root* ]]
	[[ $output != *LODGE_ROOT* ]]
	fails 125 nothere in_guest --env-file /nothere bb env
}

@test "-w sets and makes the working folder" {
	equal /tmp "$(in_guest -w /tmp bb pwd)"
	equal /new/deep "$(in_guest -w /new/deep bb pwd)"
}

@test "-u by name, number, with group; HOME and groups follow" {
	equal "1000 1000 /home/bob" "$(in_guest -u bob bb sh -c 'echo $(id -u) $(id -g) $HOME')"
	equal "1000 50" "$(in_guest -u bob:staff bb sh -c 'echo $(id -u) $(id -g)')"
	equal "1234 0" "$(in_guest -u 1234 bb sh -c 'echo $(id -u) $(id -g)')"
	equal "12 34" "$(in_guest -u 12:34 bb sh -c 'echo $(id -u) $(id -g)')"
	[[ $(in_guest -u bob bb id) == *staff* ]]
	fails 125 nobodyhere in_guest -u nobodyhere bb id
}

@test "a user that isn't root has no capabilities" {
	run in_guest -u bob bb grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status
	[ "$(grep -c 0000000000000000 <<<"$output")" = 3 ]
}

@test "--hostname, --domainname" {
	run in_guest --hostname box --domainname example.org bb sh -c 'hostname; cat /proc/sys/kernel/domainname; cat /etc/hostname'
	[ "${lines[0]}" = box ]
	[ "${lines[1]}" = example.org ]
	[ "${lines[2]}" = box ]
	equal box "$(in_guest --hostname box bb sh -c 'echo $HOSTNAME')"
}

@test "--add-host and --dns write the guest's files" {
	run lodge run --rm --add-host printer:192.0.2.9 --dns 192.0.2.53 --dns-search example.org bb \
		sh -c 'cat /etc/hosts /etc/resolv.conf'
	[[ $output =~ 192\.0\.2\.9[[:space:]]+printer ]]
	[[ $output =~ 127\.0\.0\.1[[:space:]]+localhost ]]
	[[ $output == *"search example.org"* ]]
}

@test "--entrypoint replaces, the command follows it" {
	equal "a b" "$(in_guest --entrypoint echo bb a b)"
	equal "-c x" "$(in_guest --entrypoint /bin/echo bb -c x)"
}

@test "-l and --label-file are in inspect and filter ls" {
	printf 'tier=back\n' >"$TEST_DIR/labels"
	lodge run -d --name l1 --network none -l app=web --label-file "$TEST_DIR/labels" bb sleep 100
	equal web "$(lodge inspect --format '{{index .Config.Labels "app"}}' l1)"
	equal back "$(lodge inspect --format '{{index .Config.Labels "tier"}}' l1)"
	equal l1 "$(lodge ls --filter label=app=web --format '{{.Names}}')"
	equal "" "$(lodge ls -q --filter label=app=db)"
}

@test "--init reaps and forwards signals" {
	lodge run -d --init --name i1 --network none bb sleep 100
	equal 1 "$(lodge exec i1 sh -c 'grep -c init /proc/1/comm')"
	lodge exec i1 sh -c 'sleep 0.1 & exit 0'
	sleep 0.4
	equal 0 "$(lodge exec i1 sh -c 'grep -ls "^State:.Z" /proc/[0-9]*/status | wc -l')"
	lodge stop -t 5 i1
	equal 143 "$(lodge inspect --format '{{.State.ExitCode}}' i1)"
}

@test "--read-only: the root can't be written, volumes and tmpfs can" {
	fails_in() { run in_guest --read-only "$@"; }
	run in_guest --read-only bb touch /x
	[ "$status" = 1 ]
	[[ $output == *"Read-only file system"* ]]
	in_guest --read-only --tmpfs /scratch -v /data bb sh -c 'touch /scratch/x /data/x /dev/shm/x'
}

@test "--tmpfs with its options" {
	run in_guest --tmpfs /scratch:size=1m,mode=700,noexec bb sh -c 'grep " /scratch " /proc/mounts; stat -c %a /scratch'
	[[ $output == *"tmpfs /scratch tmpfs"* && $output == *noexec* && $output == *size=1024k* ]]
	[ "${lines[-1]}" = 700 ]
}

@test "--shm-size" {
	[[ $(in_guest --shm-size 5m bb df -k /dev/shm | tail -n 1) == *" 5120 "* ]]
	[[ $(in_guest bb df -k /dev/shm | tail -n 1) == *" 65536 "* ]]
}

@test "--ulimit; a limit above the caller's is a clear error where it can't be set" {
	equal "512 600" "$(in_guest --ulimit nofile=512:600 bb sh -c 'echo $(ulimit -Sn) $(ulimit -Hn)')"
	equal 0 "$(in_guest --ulimit core=0 bb sh -c 'ulimit -c')"
	fails 125 ulimit in_guest --ulimit nosuch=1 bb true
	fails 125 soft in_guest --ulimit nofile=9:3 bb true
	if capsh --has-p=cap_sys_resource 2>/dev/null || [ "$((0x$(awk '/CapEff/{print $2}' /proc/self/status) >> 24 & 1))" = 1 ]; then
		skip "this caller may raise limits"
	fi
	fails 125 nofile in_guest --ulimit "nofile=$(($(ulimit -Hn) + 1))" bb true
}

caps_of() { # OPTIONS...
	in_guest "$@" bb sh -c 'awk "/CapBnd/{print \$2}" /proc/self/status'
}

@test "capabilities: the default set, --cap-add, --cap-drop, ALL" {
	equal 00000000a80425fb "$(caps_of)"
	equal 00000000a80425fa "$(caps_of --cap-drop CHOWN)"
	equal 00000000a80425fa "$(caps_of --cap-drop cap_chown)"
	equal 00000000a80435fb "$(caps_of --cap-add NET_ADMIN)"
	equal 0000000000000000 "$(caps_of --cap-drop ALL)"
	equal 0000000000001000 "$(caps_of --cap-drop ALL --cap-add NET_ADMIN)"
	fails 125 CAP_NOSUCH in_guest --cap-add CAP_NOSUCH bb true
	# all five sets
	run in_guest bb grep Cap /proc/self/status
	[[ $output == *"CapEff:	00000000a80425fb"* && $output == *"CapPrm:	00000000a80425fb"* ]]
	[[ $output == *"CapAmb:	0000000000000000"* ]]
}

@test "--security-opt: no-new-privileges, seccomp, systempaths" {
	status_of() { in_guest "$@" bb grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status; }
	[[ $(status_of) == *"Seccomp:	2"* ]]
	[[ $(status_of --security-opt no-new-privileges) == *"NoNewPrivs:	1"* ]]
	[[ $(status_of --security-opt no-new-privileges=true) == *"NoNewPrivs:	1"* ]]
	[[ $(status_of --security-opt seccomp=unconfined) == *"Seccomp:	0"* ]]
	equal 0 "$(in_guest bb sh -c 'wc -c </proc/timer_list')"
	[ "$(in_guest --security-opt systempaths=unconfined bb sh -c 'head -c 1 /proc/timer_list | wc -c')" = 1 ]
	fails 125 nosuch in_guest --security-opt nosuch=1 bb true
}

@test "the default seccomp filter refuses what it should" {
	# mount(2) needs a capability and a filter that allows it; unshare(2) of a user namespace is filtered
	run in_guest --cap-add SYS_ADMIN bb sh -c 'mkdir /m; mount -t tmpfs t /m && echo mounted'
	[[ $output == *mounted* ]]
	run in_guest bb unshare -U true
	[ "$status" != 0 ]
	[[ $output == *"Operation not permitted"* ]]
	run in_guest --security-opt seccomp=unconfined bb unshare -U true
	[ "$status" = 0 ]
}

@test "--security-opt seccomp=FILE is a profile of its own" {
	cat >"$TEST_DIR/profile.json" <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW",
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
JSON
	run in_guest --security-opt "seccomp=$TEST_DIR/profile.json" bb mkdir /x
	[ "$status" = 1 ]
	[[ $output == *"Function not implemented"* ]]
	echo '{' >"$TEST_DIR/broken.json"
	fails 125 broken.json in_guest --security-opt "seccomp=$TEST_DIR/broken.json" bb true
}

@test "masked and read-only paths of /proc" {
	run in_guest bb sh -c 'echo 1 >/proc/sys/kernel/domainname'
	[[ $output == *"Read-only file system"* ]]
	run in_guest bb sh -c 'mkdir /proc/irq/x; echo x >/proc/irq/default_smp_affinity'
	[[ $output == *"Read-only file system"* ]]
	run in_guest bb sh -c 'touch /sys/x'
	[ "$status" = 1 ]
	equal 0 "$(in_guest bb sh -c 'head -c 10 /proc/kcore 2>/dev/null | wc -c')"
}

@test "--privileged: everything is open" {
	run in_guest --privileged bb sh -c 'awk "/CapEff/{print \$2}" /proc/self/status; grep Seccomp: /proc/self/status
		echo 0 >/proc/sys/kernel/domainname && echo written; ls /dev | wc -l; mount -t tmpfs t /tmp && echo mounted'
	# all that the caller has
	equal "$(awk '/CapBnd/{print $2}' /proc/self/status)" "${lines[0]}"
	[[ $output == *"Seccomp:	0"* && $output == *written* && $output == *mounted* ]]
	[ "$(in_guest bb sh -c 'ls /dev | wc -l')" -lt "$(in_guest --privileged bb sh -c 'ls /dev | wc -l')" ]
}

@test "/dev: what is there, and nothing else may be made" {
	run in_guest bb sh -c 'echo x >/dev/null; head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c
		readlink /dev/stdin; mknod /tmp/sda b 8 0 && head -c 1 /tmp/sda'
	[[ $output == *"4"*"4"* && $output == *"/proc/self/fd/0"* ]]
	[[ $output == *"Operation not permitted"* ]]
}

@test "--device gives one, with its rights" {
	[ -c /dev/net/tun ] || mknod "$TEST_DIR/tun" c 10 200
	dev=$([ -c /dev/net/tun ] && echo /dev/net/tun || echo "$TEST_DIR/tun")
	run in_guest --device "$dev:/dev/mytun" bb stat -c '%F %t:%T' /dev/mytun
	equal "character special file a:c8" "$output"
	run in_guest --device "/dev/full:/dev/f:r" bb sh -c 'head -c 1 /dev/f | wc -c; echo x >/dev/f'
	[[ ${lines[0]} == 1 ]]
	fails 125 /dev/nothere in_guest --device /dev/nothere bb true
}

@test "--device-cgroup-rule allows a node to be used" {
	mknod "$TEST_DIR/x" c 1 11 2>/dev/null || true
	run in_guest --device-cgroup-rule 'c 1:11 rw' bb sh -c 'mknod /tmp/kmsg c 1 11 && exec 3>/tmp/kmsg && echo open'
	[[ $output == *open* || $output == *"Operation not permitted"* ]]
	run in_guest bb sh -c 'mknod /tmp/kmsg c 1 11 && exec 3>/tmp/kmsg && echo open'
	[[ $output != *open* ]]
	fails 125 rule in_guest --device-cgroup-rule 'nonsense' bb true
}

@test "--pid host, --pid container:NAME" {
	[ "$(in_guest --pid host bb sh -c 'echo $$')" != 1 ]
	lodge run -d --name first --network none bb sleep 4321
	[[ $(in_guest --pid container:first bb ps) == *"sleep 4321"* ]]
	fails 125 nosuch in_guest --pid container:nosuch bb true
}

@test "--ipc host, private, container:NAME" {
	ns() { in_guest "$@" bb readlink /proc/self/ns/ipc; }
	equal "$(readlink /proc/self/ns/ipc)" "$(ns --ipc host)"
	[ "$(ns --ipc private)" != "$(readlink /proc/self/ns/ipc)" ]
	lodge run -d --name first --network none --ipc shareable bb sleep 100
	equal "$(lodge exec first readlink /proc/self/ns/ipc)" "$(ns --ipc container:first)"
	# and its /dev/shm, as POSIX shared memory needs; in both directions
	lodge exec first sh -c 'echo hello >/dev/shm/word'
	equal hello "$(in_guest --ipc container:first bb sh -c 'cat /dev/shm/word; echo back >/dev/shm/word')"
	equal back "$(lodge exec first cat /dev/shm/word)"
	equal "" "$(in_guest --ipc private bb ls /dev/shm)"
	in_guest --ipc container:first bb grep -q ' /dev/shm .*nosuid,nodev,noexec' /proc/mounts
	# what that guest makes of the path leads nowhere else
	lodge run -d --name sly --network none --privileged --pid host bb \
		sh -c 'umount /dev/shm; rmdir /dev/shm; ln -s /proc/1/root/etc /dev/shm; exec sleep 100'
	within 5 lodge exec sly test -h /dev/shm
	fails 125 /dev/shm in_guest --ipc container:sly bb ls /dev/shm
}

@test "--uts host; not together with --hostname" {
	equal "$(hostname)" "$(in_guest --uts host bb hostname)"
	fails 125 hostname in_guest --uts host --hostname x bb true
}

@test "--cgroupns host and private" {
	equal "$(readlink /proc/self/ns/cgroup)" "$(in_guest --cgroupns host bb readlink /proc/self/ns/cgroup)"
	[ "$(in_guest --cgroupns private bb readlink /proc/self/ns/cgroup)" != "$(readlink /proc/self/ns/cgroup)" ]
	[[ $(in_guest --cgroupns private bb cat /proc/self/cgroup) == *":/" ]]
}

@test "--userns: a mapped root is nobody on the host" {
	run lodge run -d --name mapped --userns private --network none bb sleep 100
	[[ $output != *"lacks id-mapped mounts"* ]] || skip "$output"
	[ "$status" = 0 ] || { echo "$output"; false; }
	pid=$(guest_pid mapped)
	[ "$(stat -c %u "/proc/$pid")" != 0 ]
	equal 0 "$(lodge exec mapped id -u)"
	[ "$(lodge exec mapped readlink /proc/self/ns/user)" != "$(readlink /proc/self/ns/user)" ]
	lodge exec mapped sh -c 'touch /root/x && chown 5:5 /root/x'
}

@test "--stop-signal and --stop-timeout" {
	lodge run -d --name s1 --stop-signal USR1 --network none bb \
		sh -c 'trap "exit 42" USR1; while :; do sleep 0.05; done'
	lodge stop s1
	equal 42 "$(lodge inspect --format '{{.State.ExitCode}}' s1)"
	lodge run -d --name t1 --stop-timeout 1 --network none bb sh -c 'trap "" TERM; while :; do sleep 0.05; done'
	start=$(date +%s)
	lodge stop t1
	[ $(($(date +%s) - start)) -le 4 ]
	equal 137 "$(lodge inspect --format '{{.State.ExitCode}}' t1)"
}

@test "--sysctl of a namespace; one of the host is refused" {
	equal 12345 "$(in_guest --sysctl kernel.msgmax=12345 bb cat /proc/sys/kernel/msgmax)"
	equal 1 "$(in_guest --sysctl net.ipv4.ip_forward=1 bb cat /proc/sys/net/ipv4/ip_forward)"
	fails 125 vm.swappiness in_guest --sysctl vm.swappiness=10 bb true
}

@test "--group-add" {
	[[ $(in_guest --group-add staff --group-add 77 bb id -G) == *50*77* ]]
}

@test "--oom-score-adj" {
	equal 500 "$(in_guest --oom-score-adj 500 bb cat /proc/self/oom_score_adj)"
}

@test "--cidfile holds the id and isn't overwritten" {
	rm -f "$TEST_DIR/cid"
	lodge run -d --cidfile "$TEST_DIR/cid" --name c1 --network none bb sleep 100
	equal "$(lodge inspect --format '{{.Id}}' c1)" "$(cat "$TEST_DIR/cid")"
	fails 125 "$TEST_DIR/cid" lodge run --cidfile "$TEST_DIR/cid" --network none bb true
	rm -f "$TEST_DIR/cid"
}

@test "what a guest writes stays with it" {
	lodge run --name w1 --network none bb sh -c 'echo kept >/file; rm /etc/group'
	lodge start -a w1 || true
	equal kept "$(lodge cp w1:/file - | tar -xO)"
	in_guest bb test ! -e /file
	in_guest bb test -e /etc/group
}

@test "no descriptor of ours reaches the guest" {
	equal "0 1 2" "$(in_guest bb sh -c 'ls /proc/$$/fd | grep -v 255 | head -n 3 | xargs echo')"
	run in_guest bb sh -c 'ls -l /proc/self/fd'
	[[ $output != *"$TEST_DIR"* ]]
	exec 9<"$TEST_DIR/bb.tar"
	run in_guest bb sh -c 'ls -l /proc/1/fd'
	exec 9<&-
	[[ $output != *bb.tar* ]]
}

@test "no signal is ignored or blocked in the guest, whatever the caller ignores" {
	# job control aside, a shell's background processes ignore SIGINT and SIGQUIT; nohup ignores SIGHUP
	run nohup "$LODGE" run --rm --network none bb grep -E 'Sig(Blk|Ign)' /proc/self/status
	[[ $output == *"SigBlk:	0000000000000000"* && $output == *"SigIgn:	0000000000000000"* ]]
}

@test "the options' bad values are one-line errors" {
	fails 125 "--nosuch" in_guest --nosuch bb true
	fails 125 memory in_guest -m abc bb true
	fails 125 publish lodge run --rm -p 99999:1 bb true
	fails 125 name in_guest --name 'a b' bb true
	fails 125 volume in_guest -v :/x bb true
	fails 125 mount in_guest --mount type=nosuch,target=/x bb true
	fails 125 restart in_guest --restart sometimes bb true
	fails 125 restart lodge run --rm --restart always --network none bb true
	fails 125 network lodge run --rm --network nosuch bb true
	fails 125 SIGNOSUCH in_guest --stop-signal SIGNOSUCH bb true
	fails 125 env in_guest -e =x bb true
	equal "" "$(lodge ls -aq)"
}
