#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# An image as a virtual machine: what `run` promises for a container, seen from inside of a machine.
load ../lib

prepare() {
	# the machines' kernel is made ready before the first test's clock runs
	lodge run --rm --vm --network none bb true
}

# machine [OPTION...] -- COMMAND...: runs to the end
machine() {
	lodge run --rm --vm --network none "$@"
}

# started NAME [OPTION...]: a machine that lives for the test and leaves on SIGTERM
started() {
	local name=$1
	shift
	lodge run -d --vm --name "$name" "$@" bb sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 1 & wait $!; done' >/dev/null
}

@test "run --vm: a kernel of its own, streams, status" {
	run --separate-stderr machine bb sh -c 'uname -r; cat /proc/sys/kernel/hostname; echo oops >&2; exit 7'
	[ "$status" = 7 ]
	[ "${lines[0]}" = "$(ls "$LODGE_ROOT/kernels" | sed 's/-[0-9]*$//')" ]
	[[ ${lines[1]} =~ ^[0-9a-f]{12}$ ]]
	equal oops "$stderr"
}

@test "LODGE_TRACE=json tells how the machine's own time went: kernel, modules, steps, in order" {
	LODGE_TRACE=json lodge run --rm --vm --network none bb true 2>"$TEST_DIR/trace"
	run jq -rn '[inputs | select(.at == "machine" or (.step == "link-up" and .subject == "lo")) | .step] |
		map(select(IN("hello", "kernel", "port", "link-up", "started", "exit", "end"))) | join(" ")' "$TEST_DIR/trace"
	equal "hello kernel port link-up started exit end" "$output"
	jq -en '[inputs | select(.step == "module" and .us > 0)] | length > 3' "$TEST_DIR/trace"
	# nothing is told that wasn't asked for
	run lodge run --rm --vm --network none bb cat /proc/cmdline
	[[ $output != *lodge.trace* ]]
}

@test "the command is process 1 and sees no other" {
	run machine bb sh -c 'echo $$; ls /proc | grep -c "^[0-9]"'
	[ "${lines[0]}" = 1 ]
	[ "${lines[1]}" -le 4 ]
}

@test "standard input, large, both ways" {
	head -c 3000000 /dev/urandom >"$TEST_DIR/in"
	machine -i bb cat <"$TEST_DIR/in" >"$TEST_DIR/out"
	cmp "$TEST_DIR/in" "$TEST_DIR/out"
}

@test "without -i the command reads an end" {
	run machine bb sh -c 'cat; echo done'
	equal done "$output"
}

@test "environment, user, groups, folder, host name, limits" {
	run machine -e A="x y" -u bob --group-add 50 -w /home/bob -h box -m 128m --cpus 2 --ulimit nofile=99:100 bb \
		sh -c 'echo "$A"; id -un; id -G; pwd; hostname; nproc; ulimit -n; awk "/MemTotal/ { print (\$2 < 131072) }" /proc/meminfo'
	[ "$status" = 0 ]
	equal 'x y|bob|1000 50|/home/bob|box|2|99|1' "$(IFS='|'; echo "${lines[*]}")"
}

@test "capabilities as a container's; --cap-drop and --privileged" {
	local caps='awk "/CapEff/ { print \$2 }" /proc/self/status'
	equal "$(lodge run --rm bb sh -c "$caps")" "$(machine bb sh -c "$caps")"
	equal 0000000000000000 "$(machine --cap-drop ALL bb sh -c "$caps")"
	run machine --privileged bb sh -c 'mkdir /m && mount -t tmpfs x /m && ls /dev/vda'
	[ "$status" = 0 ]
}

@test "folders, files and volumes of the host; read-only stays so" {
	mkdir "$TEST_DIR/shared"
	echo one >"$TEST_DIR/shared/file"
	echo alone >"$TEST_DIR/single"
	chmod 777 "$TEST_DIR/shared"
	run machine -v "$TEST_DIR/shared:/d" -v "$TEST_DIR/single:/etc/single:ro" -v vol:/v --tmpfs /t:size=1m bb sh -c '
		cat /d/file /etc/single; echo two >/d/new; echo kept >/v/k
		echo x >/etc/single || echo refused
		awk "\$2 == \"/t\" { print \$3 }" /proc/mounts; ls -A /etc/single'
	[ "$status" = 0 ]
	[[ $output == *one*alone*refused*tmpfs* ]]
	equal two "$(cat "$TEST_DIR/shared/new")"
	equal kept "$(lodge run --rm -v vol:/v bb cat /v/k)"
	[ -z "$(pgrep virtiofsd)" ]
}

@test "-it: a terminal, its size, and its resize" {
	export PTY_PATIENCE=60
	run "$TOP/tests/pty" 33x77 'expect:[#$] ' 'send:stty size\r' 'expect:33 77' 'resize:20x60' 'sleep:1' 'send:stty size\r' \
		'expect:20 60' 'send:exit 4\r' -- "$LODGE" run --rm -it --vm --network none bb sh
	[ "$status" = 4 ] || { echo "status $status: $output"; false; }
}

@test "a long life: logs, exec, attach, pause, stats, stop" {
	started m1 --network none
	equal running "$(state m1)"
	within 5 has_log m1 up
	run lodge exec m1 sh -c 'echo "in $(uname -s)"; exit 3'
	[ "$status" = 3 ]
	equal "in Linux" "$output"
	equal "a b" "$(echo 'a b' | lodge exec -i -e X=1 -u bob m1 sh -c 'cat')"
	run "$TOP/tests/pty" 'expect:[#$] ' 'send:tty\r' 'expect:/dev/pts/[0-9]' 'send:exit 6\r' -- "$LODGE" exec -it m1 sh
	[ "$status" = 6 ] || { echo "status $status: $output"; false; }
	lodge exec -d m1 sh -c 'echo there >/tmp/by-detached'
	within 5 lodge exec m1 test -s /tmp/by-detached
	lodge pause m1
	equal paused "$(state m1)"
	run timeout 2 "$LODGE" exec m1 true
	[ "$status" != 0 ]
	lodge unpause m1
	lodge exec m1 true
	run lodge stats --no-stream --format '{{.Name}} {{.MemUsage}}' m1
	[[ $output == m1\ *MiB* ]]
	lodge stop m1
	equal exited "$(state m1)"
	equal 5 "$(lodge inspect --format '{{.State.ExitCode}}' m1)"
}

@test "what it wrote is there after a restart" {
	started m1 --network none
	lodge exec m1 sh -c 'echo data >/root/file; rm /etc/group'
	lodge restart -t 5 m1
	equal data "$(lodge exec m1 cat /root/file)"
	fails 1 "" lodge exec m1 ls /etc/group || [ "$status" = 1 ]
	lodge kill m1
	within 10 is_state m1 exited
	equal 137 "$(lodge inspect --format '{{.State.ExitCode}}' m1)"
	lodge start m1
	equal data "$(lodge exec m1 cat /root/file)"
}

@test "restart policy" {
	lodge run -d --vm --network none --name r1 --restart on-failure:1 bb sh -c 'echo turn; exit 9'
	within 40 is_state r1 exited
	equal 2 "$(lodge logs r1 | grep -c turn)"
	equal 1 "$(lodge inspect --format '{{.RestartCount}}' r1)"
}

@test "machines and containers in one network reach each other by name" {
	lodge network create n1
	lodge run -d --name c1 --network n1 bb sh -c 'while :; do echo from-c1 | nc -l -p 99; done'
	lodge run -d --vm --name m1 --network n1 -p 127.0.0.1:18081:80 bb sh -c 'while :; do echo from-m1 | nc -l -p 80; done'
	equal from-c1 "$(lodge exec m1 nc -w 5 c1 99 </dev/null)"
	equal from-m1 "$(lodge exec c1 nc -w 5 m1 80 </dev/null)"
	within 5 sh -c 'timeout 5 nc -w 3 127.0.0.1 18081 </dev/null | grep -q from-m1'
	equal "$(lodge inspect --format '{{(index .NetworkSettings.Networks "n1").IPAddress}}' m1)" "$(guest_address m1)"
	lodge rm -f m1 c1
}

@test "a command that isn't there, or can't be executed" {
	fails 127 "no-such-thing" machine bb no-such-thing
	fails 126 "/etc/passwd" machine bb /etc/passwd
}

@test "what a machine can't have is refused at once" {
	fails 125 "--network" lodge run --rm --vm --network host bb true
	fails 125 "--pid" lodge run --rm --vm --network none --pid host bb true
	fails 125 "--device" lodge run --rm --vm --network none --device /dev/null bb true
	fails 125 "at least" lodge run --rm --vm --network none -m 16m bb true
}

@test "QEMU killed: ls and inspect are true at once, and nothing stays" {
	started m1
	kill -9 "$(guest_pid m1)"
	within 3 is_state m1 exited
	equal 137 "$(lodge inspect --format '{{.State.ExitCode}}' m1)"
	lodge rm m1
}

@test "the starter killed while the machine boots: nothing stays" {
	"$LODGE" run --rm --vm --name m1 bb true &
	pid=$!
	within 5 is_state m1 running || is_state m1 starting
	kill -9 $pid
	within 10 sh -c "! '$LODGE' inspect m1 >/dev/null 2>&1 || [ \"\$('$LODGE' inspect --format '{{.State.Status}}' m1)\" = exited ]"
	within 5 sh -c '! pgrep -x qemu-system-x86 >/dev/null'
}

@test "a kernel that panics: its words, a status, and nothing stays" {
	run machine --privileged bb sh -c 'echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger'
	[ "$status" = 255 ]
	[[ $output == *"lodge: the machine ended: Kernel panic"* ]]
}

@test "an image of many layers" {
	local dir=$TEST_DIR/many
	mkdir "$dir"
	python3 - "$dir" "$TEST_DIR/bb.tar" <<'END'
import hashlib, io, json, os, sys, tarfile
out, first = sys.argv[1:]
def put(data):
    name = hashlib.sha256(data).hexdigest()
    os.makedirs(out + '/blobs/sha256', exist_ok=True)
    open(out + '/blobs/sha256/' + name, 'wb').write(data)
    return {'digest': 'sha256:' + name, 'size': len(data)}
layers = [open(first, 'rb').read()]
for i in range(39):
    f = io.BytesIO()
    with tarfile.open(fileobj=f, mode='w') as t:
        for name in ('which', 'layer%d' % i):
            e = tarfile.TarInfo(name)
            e.size = 3
            t.addfile(e, io.BytesIO(b'%02d\n' % i))
    layers.append(f.getvalue())
config = {'architecture': 'amd64', 'os': 'linux', 'config': {},
          'rootfs': {'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(l).hexdigest() for l in layers]}}
m = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.manifest.v1+json',
     'config': dict(put(json.dumps(config).encode()), mediaType='application/vnd.oci.image.config.v1+json'),
     'layers': [dict(put(l), mediaType='application/vnd.oci.image.layer.v1.tar') for l in layers]}
m = dict(put(json.dumps(m).encode()), mediaType=m['mediaType'], annotations={'org.opencontainers.image.ref.name': 'many'})
open(out + '/index.json', 'w').write(json.dumps({'schemaVersion': 2, 'manifests': [m]}))
open(out + '/oci-layout', 'w').write('{"imageLayoutVersion": "1.0.0"}')
END
	lodge image import "$dir" many
	run machine many sh -c 'cat /which; ls / | grep -c layer'
	equal "38 39" "${lines[*]}"
	lodge image rm many
}

@test "QEMU has no rights: a user of its own, no capabilities, a filter, a network of its own" {
	started m1
	pid=$(guest_pid m1)
	run cat "/proc/$pid/status"
	[ "$(awk '/^Uid:/ { print ($2 >= 1879048192) }' <<<"$output")" = 1 ]
	equal 0000000000000000 "$(awk '/^CapBnd:/ { print $2 }' <<<"$output")"
	equal 2 "$(awk '/^Seccomp:/ { print $2 }' <<<"$output")"
	equal 1 "$(awk '/^NoNewPrivs:/ { print $2 }' <<<"$output")"
	[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	! ls -l "/proc/$pid/fd" | grep -q "state.db"
}

@test "explain prints QEMU's command line and changes nothing" {
	run lodge explain run --rm --vm -p 8080:80 bb true
	[ "$status" = 0 ]
	[[ $output == *"# in the machine"*"exec /usr/bin/qemu-system-x86_64"*"-sandbox on"* ]]
	[[ $output == *"ip tuntap add dev lv"* ]]
}
