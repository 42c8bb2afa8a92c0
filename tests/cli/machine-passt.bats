#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Machines whose card is served by passt: a user's, who may make no taps and bridges, and root's on request.
load ../lib
load ../machine

# as_user COMMAND...: in a store of a user's own
as_user() {
	setpriv --reuid 1000 --regid 1000 --clear-groups env -u LODGE_ROOT -u LODGE_RUN HOME="$TEST_DIR/user" \
		XDG_DATA_HOME="$TEST_DIR/user/data" XDG_RUNTIME_DIR="$TEST_DIR/user/run" "$@"
}

mine() {
	as_user "$LODGE" "$@"
}

prepare() {
	make_machine "$TEST_DIR"
	install -d -o 1000 -g 1000 "$TEST_DIR/user" "$TEST_DIR/user/run"
	install -m 644 "$TEST_DIR/kernel" "$TEST_DIR/bzimage"
	mkdir "$TEST_DIR/www"
	echo 'from the outside' >"$TEST_DIR/www/file"
	file_server nsenter -t "$OUTSIDE" -n busybox httpd -f -p 80 -h "$TEST_DIR/www"
	within 5 sh -c 'wget -qO- http://198.51.100.1/file | grep -q outside'
	mine image import - bb <"$TEST_DIR/bb.tar" >/dev/null
	# which is not so everywhere, and then the mirror would be asked
	as_user test -r "$MACHINE_KERNEL" || skip "users may not read the host's kernel"
	mine run --rm --vm --network none bb true
}

teardown() {
	local guest
	for guest in $(mine ls -aq); do mine rm -f "$guest" >/dev/null; done
	for guest in $("$LODGE" ls -aq); do "$LODGE" rm -f "$guest" >/dev/null; done
	within 5 no_passt && within 3 no_leak
}

no_passt() {
	! pgrep '^passt' >/dev/null
}

serve='mkdir -p /www; echo "from the machine" >/www/file; httpd -f -p 80 -h /www & trap "exit 5" TERM; while :; do sleep 1 & wait $!; done'

reached() { # PORT
	wget -qO- -T 5 "http://127.0.0.1:$1/file" 2>/dev/null | grep -q 'from the machine'
}

@test "a user's machine: its kernel, its card, a server on the host's side, a published port" {
	run mine run --rm --vm bb sh -c 'uname -r; wget -qO- http://198.51.100.1/file; cat /sys/class/net/eth0/address; ip route'
	[ "$status" = 0 ]
	[[ $output == *'from the outside'* ]]
	[[ $output == *02:42:0a:58:00:02* ]]
	[[ $output == *'default via 10.88.0.1 dev eth0'* ]]
	mine run -d --vm --name web -p 127.0.0.1:18080:80 bb sh -c "$serve" >/dev/null
	within 20 reached 18080
	equal '127.0.0.1:18080->80/tcp' "$(mine ls --format '{{.Ports}}')"
	equal passt "$(mine inspect --format '{{range $k, $v := .NetworkSettings.Networks}}{{$k}}{{end}}' web)"
	run -0 mine exec web uname
	mine stop web >/dev/null
	equal 5 "$(mine inspect --format '{{.State.ExitCode}}' web)"
	no_passt
	mine start web >/dev/null
	within 20 reached 18080
	! reached 18081
}

@test "a user's machine that boots by itself: DHCP and a published port" {
	mine vm create --name box --kernel "$TEST_DIR/bzimage" --initrd "$TEST_DIR/initrd" -m 192M -p 18080:80 -p 18053:53/udp \
		--append 'console=ttyS0 quiet loglevel=0 tsc_early_khz=2000000' >/dev/null
	mine start box >/dev/null
	lodge() { mine "$@"; }
	within 120 vm_booted box 1
	inside_says box 'ip -4 address show eth0' 10.88.0.2/16
	inside_says box 'wget -qO- http://198.51.100.1/file' 'from the outside'
	inside box 'mkdir /www; echo "from the machine" >/www/file; httpd -p 80 -h /www'
	within 20 reached 18080
	# its busybox has no server for UDP
	ss -Hlun 'sport = :18053' | grep -q '0.0.0.0:18053'
	# a forwarded port of TCP is one of UDP for passt, if nobody says otherwise
	equal '' "$(ss -Hlun 'sport = :18080')"
}

@test "who has which rights; what of the host stays out of reach" {
	local id pid
	mine run -d --vm --name box bb sleep 1000 >/dev/null
	pid=$(mine inspect --format '{{.State.Pid}}' box)
	# QEMU: a namespace of its own for everything, nothing allowed even there
	[ "$(readlink "/proc/$pid/ns/user")" != "$(readlink /proc/self/ns/user)" ]
	[ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]
	[ "$(readlink "/proc/$pid/ns/pid")" != "$(readlink /proc/self/ns/pid)" ]
	grep -q '^CapEff:	0000000000000000' "/proc/$pid/status"
	grep -q '^NoNewPrivs:	1' "/proc/$pid/status"
	grep -q '^Seccomp:	2' "/proc/$pid/status"
	# a server at the host's 127.0.0.1, by the gateway's address
	socat TCP-LISTEN:19999,bind=127.0.0.1,fork,reuseaddr EXEC:'echo secret' 3>&- &
	server=$!
	within 5 sh -c 'nc -N 127.0.0.1 19999 </dev/null | grep -q secret'
	run mine exec box sh -c 'nc -w 2 10.88.0.1 19999 </dev/null'
	[[ $output != *secret* ]]
	kill $server
	# root's passt is not root
	lodge run -d --vm --network passt --name rooted bb sleep 1000 >/dev/null
	id=$(lodge inspect --format '{{.Id}}' rooted)
	pid=$(cut -d' ' -f1 "$LODGE_RUN/guests/$id/passt.pid")
	grep -q "^Uid:	$((0x70000000 + 0x${id:0:6}))	" "/proc/$pid/status"
}

@test "root's, beside bridges; low ports; it starts again" {
	lodge run -d --vm --network passt --name web -p 80:80 --restart always bb sh -c "$serve" >/dev/null
	within 20 reached 80
	kill -9 "$(guest_pid web)"
	within 20 sh -c "[ \"\$('$LODGE' inspect --format '{{.RestartCount}}' web)\" = 1 ]"
	within 30 reached 80
	run lodge exec web wget -qO- http://198.51.100.1/file
	equal 'from the outside' "$output"
}

@test "passt killed, the monitor killed: nothing stays" {
	local id
	lodge run -d --vm --network passt --name box bb sleep 1000 >/dev/null
	id=$(lodge inspect --format '{{.Id}}' box)
	kill -9 "$(sed -n 's/^monitor \([0-9]*\) .*/\1/p' "$LODGE_RUN/guests/$id/status")"
	lodge exec box true || true
	lodge rm -f box >/dev/null
	within 5 no_passt
	lodge run -d --vm --network passt --name box bb sleep 1000 >/dev/null
	pkill '^passt'
	equal running "$(state box)"
	lodge rm -f box >/dev/null
}

@test "what can't be is one line" {
	fails 125 "network 'passt' is for machines" lodge run --rm --network passt bb true
	lodge network create back >/dev/null
	fails 125 "can't be combined" lodge run --rm --vm --network passt --network back bb true
	lodge network rm back >/dev/null
	fails 125 'no addresses to choose from' lodge run --rm --vm --network passt --ip 10.88.0.9 bb true
	fails 125 "can't publish a port of 'sctp'" lodge run --rm --vm --network passt -p 80:80/sctp bb true
	fails 125 'it has IPv4 only' lodge run --rm --vm --network passt -p '[::1]:80:80' bb true
	fails 1 "can't be called 'passt'" lodge network create passt
	nc -lk 127.0.0.1 18080 3>&- &
	server=$!
	within 5 nc -N -z 127.0.0.1 18080
	fails 125 "Failed to bind" mine run --rm --vm -p 127.0.0.1:18080:80 bb true
	kill $server
	fails 125 'needs root' mine run --rm --vm --cpus 1.5 bb true
	fails 125 'which needs root' mine run --rm --vm -v "$TEST_DIR/www:/www" bb true
	run -0 mine explain run --vm -p 8080:80 bb true
	[[ $output == *'/usr/bin/passt --foreground'*'--tcp-ports 0.0.0.0/8080:80 --udp-ports none'* ]]
	[[ $output == *'addr.type=fd'* ]]
}
