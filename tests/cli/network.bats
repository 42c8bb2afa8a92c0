#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Networks: addresses, names, NAT, published ports.
load ../lib

# serve NAME PORT [run options...]: a guest that answers each connection with its name.
serve() {
	local name=$1 port=$2
	shift 2
	lodge run -d --name "$name" "$@" bb sh -c "while :; do echo $name | nc -l -p $port; done" >/dev/null
}

ask() { # ADDRESS PORT: what the server says
	timeout 3 nc -w 2 "$1" "$2" </dev/null
}

ask_is() {
	[ "$(ask "$1" "$2")" = "$3" ]
}

@test "none has only lo; host is the host's" {
	equal lo "$(lodge run --rm --network none bb sh -c 'ls /sys/class/net' | xargs)"
	[[ $(lodge run --rm --network none bb ip address show lo) == *127.0.0.1* ]]
	equal "$(readlink /proc/self/ns/net)" "$(lodge run --rm --network host bb readlink /proc/self/ns/net)"
	[[ $(lodge run --rm --network host bb ip address) == *198.51.100.2* ]]
}

@test "the default network: an address, a gateway, the outside through NAT" {
	lodge run -d --name a1 bb sleep 100
	address=$(guest_address a1)
	equal "$address" "$(lodge inspect --format '{{.NetworkSettings.IPAddress}}' a1)"
	[[ $(lodge exec a1 ip route) == *"default via"* ]]
	outside sh -c 'echo from outside | nc -l -q 1 -p 7000 >/dev/null' &
	within 3 outside sh -c 'ss -ltn | grep -q :7000'
	equal "from outside" "$(lodge exec a1 nc -w 2 198.51.100.1 7000 </dev/null)"
	wait $!
}

@test "the subnet is clear of the host's routes" {
	lodge run -d --name a1 bb sleep 100
	network=$(guest_address a1 | cut -d. -f1-2)
	[ "$network" != 198.51 ]
	[ "$(ip route | grep -c "^$network")" -le 1 ]
}

@test "guests of the default network reach each other by address" {
	serve a1 80
	lodge run -d --name b1 bb sleep 100
	address=$(guest_address a1)
	within 5 eval '[ "$(lodge exec b1 nc -w 1 '"$address"' 80 </dev/null)" = a1 ]'
}

@test "-p: from 127.0.0.1, from the host's address, from outside, from the guest itself" {
	serve web 80 -p 8080:80
	within 5 ask_is 127.0.0.1 8080 web
	within 5 ask_is 198.51.100.2 8080 web
	within 5 eval '[ "$(outside timeout 3 nc -w 2 198.51.100.2 8080 </dev/null)" = web ]'
	lodge run -d --name other bb sleep 100
	gateway=$(lodge exec other ip route | awk '/default/ { print $3 }')
	within 5 eval '[ "$(lodge exec other nc -w 1 '"$gateway"' 8080 </dev/null)" = web ]'
	equal 0.0.0.0:8080 "$(lodge port web 80 | head -n 1)"
	[[ $(lodge port web) == *"80/tcp -> 0.0.0.0:8080"* ]]
	lodge stop -t 0 web
	run ask 127.0.0.1 8080
	[ "$output" = "" ]
}

@test "-p over IPv6" {
	serve web 80 -p 8081:80
	within 5 ask_is ::1 8081 web || within 5 ask_is 2001:db8:7::2 8081 web
	within 5 eval '[ "$(outside timeout 3 nc -w 2 2001:db8:7::2 8081 </dev/null)" = web ]'
}

@test "-p ADDRESS:PORT:PORT is there only" {
	serve web 80 -p 127.0.0.1:8082:80
	within 5 ask_is 127.0.0.1 8082 web
	run outside timeout 2 nc -w 1 198.51.100.2 8082 </dev/null
	[ "$output" != web ]
}

@test "-p without a host port picks one" {
	serve web 80 -p 127.0.0.1::80
	port=$(lodge port web 80 | head -n 1)
	[[ $port == 127.0.0.1:* ]]
	within 5 ask_is 127.0.0.1 "${port##*:}" web
}

@test "-p udp" {
	lodge run -d --name u1 -p 9000:9000/udp bb sleep 100
	# busybox has no udp server: one of the host's in the guest's network
	nsenter -t "$(guest_pid u1)" -n nc -u -l 9000 >"$TEST_DIR/got" 3>&- &
	within 5 eval 'echo hello | nc -u -w 1 127.0.0.1 9000; grep -q hello "$TEST_DIR/got"'
	kill $! 2>/dev/null || true
	equal 9000/udp "$(lodge port u1 | head -n 1 | cut -d" " -f 1)"
}

@test "-p range: one element, each port its own" {
	before=$(nft -j list ruleset | jq '[.nftables[] | (.map // .set // empty) | (.elem // [])[]] | length')
	lodge run -d --name r1 -p 7100-7199:7100-7199 -p 7300-7301:100-101 bb sh -c \
		'for i in 100 101 7100; do while :; do echo $i | nc -l -p $i; done & done; while :; do echo 7199 | nc -l -p 7199; done'
	within 5 ask_is 127.0.0.1 7100 7100
	within 5 ask_is 127.0.0.1 7199 7199
	within 5 ask_is 127.0.0.1 7300 100
	within 5 ask_is 127.0.0.1 7301 101
	after=$(nft -j list ruleset | jq '[.nftables[] | (.map // .set // empty) | (.elem // [])[]] | length')
	[ $((after - before)) -le 16 ]
	equal 102 "$(lodge port r1 | grep -c 0.0.0.0)"
	fails 125 7100-7105 lodge run --rm -p 7100-7105:100-199 bb true
}

@test "a port in use is refused, by a guest's and by a host's" {
	serve web 80 -p 8083:80
	fails 125 8083 lodge run -d --name second -p 8083:80 bb sleep 100
	nc -l 8084 </dev/null >/dev/null 3>&- &
	within 3 sh -c 'ss -ltn | grep -q :8084'
	fails 125 8084 lodge run -d --name third -p 8084:80 bb sleep 100
	kill $!
	[ "$(state second 2>/dev/null)" != running ]
	# the first one is untouched
	within 5 ask_is 127.0.0.1 8083 web
}

@test "a user's network: names, aliases, its own subnet, isolation" {
	lodge network create --subnet 10.99.0.0/24 --gateway 10.99.0.1 net1
	serve db 5432 --network net1 --network-alias database
	lodge run -d --name app --network net1 bb sleep 100
	[[ $(guest_address db) == 10.99.0.* ]]
	within 5 eval '[ "$(lodge exec app nc -w 1 db 5432 </dev/null)" = db ]'
	within 5 eval '[ "$(lodge exec app nc -w 1 database 5432 </dev/null)" = db ]'
	[[ $(lodge exec app nslookup db) == *"$(guest_address db)"* ]]
	# a guest of another network can't
	lodge run -d --name stranger bb sleep 100
	run lodge exec stranger nc -w 1 "$(guest_address db)" 5432 </dev/null
	[ "$output" != db ]
	# names go when their guest goes
	lodge rm -f db
	run lodge exec app nslookup db
	[ "$status" != 0 ]
}

@test "--ip asks for an address; a taken one is refused" {
	lodge network create --subnet 10.98.0.0/24 net2
	lodge run -d --name a1 --network net2 --ip 10.98.0.77 bb sleep 100
	equal 10.98.0.77 "$(guest_address a1)"
	fails 125 10.98.0.77 lodge run -d --name b1 --network net2 --ip 10.98.0.77 bb sleep 100
	fails 125 10.97 lodge run -d --name c1 --network net2 --ip 10.97.0.1 bb sleep 100
}

@test "network create refuses a subnet or a name in use" {
	lodge network create --subnet 10.96.0.0/24 n1
	fails 1 n1 lodge network create --subnet 10.95.0.0/24 n1
	fails 1 10.96 lodge network create --subnet 10.96.0.0/16 m1
	fails 1 198.51.100 lodge network create --subnet 198.51.100.0/25 m1
	fails 1 subnet lodge network create --subnet 300.1.0.0/16 m1
}

@test "network ls, inspect, rm, prune" {
	lodge network create n1
	[[ $(lodge network ls --format '{{.Name}} {{.Driver}}') == *"n1 bridge"* ]]
	lodge network inspect n1 | jq -e '.[0].Name == "n1"'
	lodge run -d --name a1 --network n1 bb sleep 100
	fails 1 n1 lodge network rm n1
	lodge rm -f a1
	lodge network rm n1
	run ! lodge network inspect n1
	lodge network create p1
	lodge network prune -f
	run ! lodge network inspect p1
	fails 1 bridge lodge network rm bridge
}

@test "container:NAME shares the network" {
	serve web 80
	equal "$(lodge exec web readlink /proc/self/ns/net)" \
		"$(lodge run --rm --network container:web bb readlink /proc/self/ns/net)"
	within 5 eval '[ "$(lodge run --rm --network container:web bb nc -w 1 127.0.0.1 80 </dev/null)" = web ]'
	fails 125 nosuch lodge run --rm --network container:nosuch bb true
	fails 125 port lodge run --rm --network container:web -p 1:1 bb true
}

@test "the host's firewall stays as it is" {
	nft add table inet mine '{ chain c { type filter hook input priority 0; policy accept; }; }'
	before=$(nft list table inet mine)
	lodge run --rm -p 8085:80 bb true
	equal "$before" "$(nft list table inet mine)"
	nft delete table inet mine
	[[ $(nft list tables) == *"inet lodge"* ]]
	equal 1 "$(nft list tables | wc -l)"
}

@test "no process serves a port" {
	before=$(ps -e | wc -l)
	lodge run -d --name a1 --network none bb sleep 100
	one=$(ps -e | wc -l)
	lodge run -d --name b1 -p 6000-6049:6000-6049 bb sleep 100
	two=$(ps -e | wc -l)
	equal $((one - before)) $((two - one))
}

@test "names outside are asked of the host's servers" {
	skip_if_no_resolver() { [ -s /etc/resolv.conf ] || skip "no resolver"; }
	skip_if_no_resolver
	lodge network create n1
	lodge run -d --name a1 --network n1 bb sleep 100
	[[ $(lodge exec a1 cat /etc/resolv.conf) == *"nameserver 127.0.0.11"* ]]
	# nobody answers here; it must be an answer (SERVFAIL or a timeout), not a hang
	run lodge exec a1 timeout 15 nslookup example.org
	[ "$status" != 0 ]
}

@test "a guest whose monitor is killed has its names again with the next command" {
	local pid
	lodge run -d --name peer bb sleep 100 >/dev/null
	lodge run -d --name lone bb sleep 100 >/dev/null
	pid=$(guest_pid lone)
	kill -9 "$(sed -n 's/^monitor \([0-9]*\) .*/\1/p' "$LODGE_RUN/guests/$(lodge inspect --format '{{.Id}}' lone)/status")"
	! nsenter -t "$pid" -m -n -p -r -w /bin/busybox ping -c 1 -W 2 peer
	lodge ls | grep -q unmonitored
	within 5 nsenter -t "$pid" -m -n -p -r -w /bin/busybox ping -c 1 -W 2 peer
	# and what goes out is passed on from the host's side: an answer, not a hang
	run nsenter -t "$pid" -m -n -p -r -w /bin/busybox nslookup nowhere.invalid
	[[ $output == *"can't find"* ]] || [[ $output == *'no servers'* ]]
	lodge rm -f lone >/dev/null
	within 5 sh -c '! pgrep -f "lodge-monito[r] .*stand-in"'
}
