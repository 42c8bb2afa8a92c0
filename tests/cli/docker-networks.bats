#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The Engine API's networks.

load ../lib
load ../docker-api

prepare() {
	serve_docker
	lodge run --rm bb true # bridge and table
}

network() { # NAME [MEMBERS]
	post /networks/create "{\"Name\":\"$1\"${2:+,$2}}"
	is 201 '.Id|length' 64
}

@test "bridge, host and none are there and stay" {
	api GET /networks
	is 200 '[.[].Name]|sort|join(" ")' 'bridge host none'
	for name in bridge host none; do
		api GET /networks/$name
		is 200 .Name $name
		api DELETE /networks/$name
		says 403 "$name is a pre-defined network and cannot be removed"
		post /networks/create "{\"Name\":\"$name\"}"
		says 403 "operation is not permitted on predefined $name network"
	done
	api GET /networks/bridge
	is 200 '.Options["com.docker.network.bridge.name"]' lodge0
	api GET /networks/host
	id=$(jq -r .Id "$TEST_DIR/body")
	api GET "/networks/${id:0:12}"
	is 200 .Driver host
}

@test "a network is made as asked for, and shown so" {
	network web '"IPAM":{"Config":[{"Subnet":"10.77.0.0/24","Gateway":"10.77.0.9","IPRange":"10.77.0.128/25",
		"AuxiliaryAddresses":{"r":"10.77.0.129"}}]},"Labels":{"l":"1"},"Attachable":true,
		"Options":{"com.docker.network.driver.mtu":"1400","com.docker.network.bridge.name":"br-web7"}'
	api GET /networks/web
	is 200 '.IPAM.Config[0] == {"Subnet":"10.77.0.0/24","IPRange":"10.77.0.128/25","Gateway":"10.77.0.9","AuxiliaryAddresses":{"r":"10.77.0.129"}}'
	is 200 '.Attachable and .Labels.l == "1" and (.Internal|not) and .Options["com.docker.network.driver.mtu"] == "1400"'
	lodge run -d --name aa --network web bb sleep 100
	# .128 is the range's first, .129 is reserved
	for name in bb cc; do lodge run -d --name $name --network web bb sleep 100; done
	api GET /networks/web
	is 200 '[.Containers[].IPv4Address]|any(. == "10.77.0.129/24")' false
	is 200 '.Containers|length' 3
	is 200 '.Containers[]|select(.Name == "aa")|.EndpointID|length' 64
	equal 1400 "$(cat /sys/class/net/br-web7/mtu)"
	api DELETE /networks/web
	says 403 'has active endpoints'
	lodge rm -f aa bb cc
	api DELETE /networks/web
	is 204
	api GET /networks/web
	says 404 'network web not found'
}

@test "what a network can't be" {
	network web '"IPAM":{"Config":[{"Subnet":"10.77.0.0/24"}]}'
	post /networks/create '{"Name":"web","CheckDuplicate":true}'
	says 409 'network with name web already exists'
	post /networks/create '{"Name":"two","IPAM":{"Config":[{"Subnet":"10.77.0.0/16"}]}}'
	says 403 'Pool overlaps with other one on this address space'
	post /networks/create '{"Name":"x","Driver":"weave"}'
	says 404 'plugin "weave" not found'
	post /networks/create '{"Name":"x","Driver":"overlay"}'
	says 503 'This node is not a swarm manager'
	post /networks/create '{"Name":"x","IPAM":{"Config":[{"Subnet":"10.0.0.0"}]}}'
	says 400 'invalid subnet'
	post /networks/create '{"Name":"x","Options":{"com.docker.network.bridge.enable_icc":"false"}}'
	is 501
	post /networks/create '{}'
	says 400 'name is empty'
	post /networks/create '{"Name":"x","Internal":"yes"}'
	says 400 'Internal has the wrong type'
}

@test "IPv6, internal, macvlan and ipvlan" {
	network six '"EnableIPv6":true,"Internal":true'
	api GET /networks/six
	is 200 '.EnableIPv6 and .Internal and (.IPAM.Config|length == 2) and (.IPAM.Config[1].Subnet|startswith("fd"))'
	network mac '"Driver":"macvlan","Options":{"parent":"up0","macvlan_mode":"bridge"},"IPAM":{"Config":[{"Subnet":"198.51.100.0/24","Gateway":"198.51.100.1","IPRange":"198.51.100.64/26"}]}'
	run -0 lodge run --rm --network mac bb ping -c 1 -W 2 198.51.100.1
	api GET /networks/mac
	is 200 .Driver macvlan
	api DELETE /networks/mac
	is 204
	ip link add beside type veth peer name beside2
	ip link set beside up
	network ip '"Driver":"ipvlan","Options":{"parent":"beside","ipvlan_mode":"l2"},"IPAM":{"Config":[{"Subnet":"203.0.113.0/24"}]}'
	run lodge run --rm --network ip bb ip -4 -o address show eth0
	ip link delete beside
	# some kernels have none, and say so
	[[ $output == *203.0.113.* || $output == *'this kernel has no ipvlan'* ]]
}

@test "filters and prune" {
	network first '"Labels":{"x":"1"}'
	network two
	lodge run -d --name user --network two bb sleep 100
	for pair in 'name=first:first' 'label=x:first' 'type=builtin:bridge host none' 'type=custom:first two' 'driver=null:none' \
		'dangling=true:first' 'dangling=false:bridge host none two' 'scope=swarm:'; do
		word=${pair%:*}
		api GET /networks -G --data-urlencode "filters={\"${word%%=*}\":[\"${word#*=}\"]}"
		is 200 '[.[].Name]|sort|join(" ")' "${pair##*:}"
	done
	api GET /networks -G --data-urlencode 'filters={"type":["x"]}'
	says 400 'invalid filter'
	api POST /networks/prune -G --data-urlencode 'filters={"label!":["x"]}'
	is 200 '.NetworksDeleted'  null
	api POST /networks/prune
	is 200 '.NetworksDeleted|join(" ")' first
}

@test "containers that don't run join and leave" {
	network web '"IPAM":{"Config":[{"Subnet":"10.77.0.0/24"}]}'
	lodge create --name guest bb sleep 100
	post /networks/web/connect '{"Container":"guest","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.77.0.50"},"Aliases":["nick"]}}'
	is 200
	post /networks/web/connect '{"Container":"guest"}'
	says 403 'endpoint with name guest already exists in network web'
	lodge start guest
	lodge exec guest ip -4 -o address show eth1 | grep -q 10.77.0.50/24
	equal 0 "$(lodge run --rm --network web bb ping -c 1 -W 2 nick >/dev/null; echo $?)"
	lodge stop -t 0 guest
	post /networks/web/disconnect '{"Container":"guest"}'
	is 200
	post /networks/web/disconnect '{"Container":"guest"}'
	says 403 'is not connected to network web'
	lodge start guest
	run lodge exec guest ip -4 -o address show eth1
	[ "$status" != 0 ]
	post /networks/web/connect '{"Container":"nobody"}'
	says 404 'No such container: nobody'
	post /networks/host/connect '{"Container":"guest"}'
	is 400
}

@test "containers that run join and leave" {
	network web '"IPAM":{"Config":[{"Subnet":"10.77.0.0/24"}]}'
	lodge run -d --name other --network web bb sleep 100
	lodge run -d --name guest --restart always bb sleep 100
	post /networks/web/connect '{"Container":"guest","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.77.0.50"}}}'
	is 200
	lodge exec guest ip -4 -o address show eth1 | grep -q 10.77.0.50/24
	lodge exec other ping -c 1 -W 2 guest
	# the way out is the first network's still
	lodge exec guest ip route | grep -q '^default .* dev eth0'
	api GET /networks/web
	is 200 '[.Containers[]|select(.Name == "guest")|.IPv4Address][0]' 10.77.0.50/24
	# and it is there again after the guest's own restart
	pid=$(guest_pid guest)
	kill -KILL "$pid"
	within 5 eval 'p=$(guest_pid guest) && [ "$p" != 0 ] && [ "$p" != '"$pid"' ]'
	within 5 eval 'lodge exec guest ip -4 -o address show eth1 | grep -q 10.77.0.50/24'
	post /networks/web/disconnect '{"Container":"guest"}'
	is 200
	run lodge exec guest ip -4 -o address show eth1
	[ "$status" != 0 ]
	api GET /networks/web
	is 200 '[.Containers[].Name]|join(" ")' other
	lodge exec guest ip route | grep -q '^default .* dev eth0'
	[ ! -e "$LODGE_RUN/networks/web/leases/10.77.0.50" ]
}

@test "docker's own client" {
	command -v docker >/dev/null || skip "no docker client"
	export DOCKER_HOST=unix://$DOCKER_SOCKET
	id=$(docker network create --subnet 10.78.0.0/24 --label a=b web)
	equal web "$(docker network inspect --format '{{.Name}}' "${id:0:12}")"
	equal web "$(docker network ls --filter label=a --format '{{.Name}}')"
	docker network rm web
	equal 'bridge host none' "$(docker network ls --format '{{.Name}}' | sort | xargs)"
}
