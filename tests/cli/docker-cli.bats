# SPDX-License-Identifier: MIT
# Our docker command against a dockerd of Debian's: what it shows, streams, ends with.
bats_require_minimum_version 1.5.0
: "${LODGE:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/build/lodge}"

setup_file() {
	mkdir -p "$TEST_DIR/bin" "$TEST_DIR/bb/bin" "$TEST_DIR"/bb/{dev,etc,proc,root,sys,tmp}
	ln -s "$LODGE" "$TEST_DIR/bin/docker"
	cp "$(readlink -f "$(command -v busybox)")" "$TEST_DIR/bb/bin/busybox"
	chroot "$TEST_DIR/bb" /bin/busybox --install -s /bin
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$TEST_DIR/bb/etc/passwd"
	tar -C "$TEST_DIR/bb" --numeric-owner -cf "$TEST_DIR/bb.tar" .
	export PATH=$TEST_DIR/bin:$PATH DOCKER_HOST=unix://$TEST_DIR/docker.sock DOCKER_CONFIG=$TEST_DIR/config
	(
		for fd in /proc/self/fd/*; do
			fd=${fd##*/}
			[ "$fd" -le 2 ] || eval "exec $fd>&-"
		done
		exec dockerd --data-root "$TEST_DIR/docker" --exec-root "$TEST_DIR/docker-run" \
			--pidfile "$TEST_DIR/docker.pid" -H "$DOCKER_HOST"
	) </dev/null &>"$TEST_DIR/dockerd.log" &
	for _ in $(seq 300); do
		docker version -f '{{.Server.Version}}' >/dev/null 2>&1 && break
		sleep 0.1
	done
	docker import "$TEST_DIR/bb.tar" bb >/dev/null
}

teardown_file() {
	docker ps -aq | xargs -r docker rm -f >/dev/null || true
	kill "$(cat "$TEST_DIR/docker.pid")"
	for _ in $(seq 100); do [ -e "$TEST_DIR/docker.pid" ] && sleep 0.1; done
	find /sys/fs/cgroup -depth -type d -path '*/docker*' -exec rmdir {} + 2>/dev/null || true
}

teardown() {
	docker ps -aq | xargs -r docker rm -fv >/dev/null
}

pty() {
	"$BATS_TEST_DIRNAME/../pty" "$@"
}

@test "run: streams are apart, the status is the command's" {
	run --separate-stderr docker run --rm bb sh -c 'echo out; echo err >&2; exit 3'
	[ "$status" = 3 ]
	[ "$output" = out ]
	# shellcheck disable=SC2154
	[ "$stderr" = err ]
	[ "$(echo hello | docker run --rm -i bb cat)" = hello ]
	[ "$(head -c 3000000 /dev/zero | docker run --rm -i bb cat | wc -c)" = 3000000 ]
	[ "$(docker run --rm -a stdout bb sh -c 'echo o; echo e >&2' 2>&1)" = o ]
	[ -z "$(docker ps -aq)" ]
}

@test "run: 125, 126 and 127" {
	run docker run --rm bb nosuch
	[ "$status" = 127 ]
	[[ $output == "docker: Error response from daemon: "*"Run 'docker run --help' for more information" ]]
	run docker run --rm bb /etc
	[ "$status" = 126 ]
	run docker run --name 'a b' bb true
	[ "$status" = 125 ]
	run docker run --pull never bb:nosuch true
	[ "$status" = 125 ]
	[[ $output == *"No such image: bb:nosuch"* ]]
}

@test "run: options have their effect" {
	local out
	out=$(docker run --rm --network none -h hh -e A=1 -w /tmp -u 1:2 --read-only --tmpfs /mnt:size=64k --ulimit nofile=100:200 \
		--cap-drop ALL --cap-add NET_ADMIN --add-host foo:1.2.3.4 --dns 9.9.9.9 -v "$TEST_DIR/bb:/host:ro" --mount type=tmpfs,target=/mt,tmpfs-size=1m bb sh -c '
			hostname; pwd; id -u; echo $A; ulimit -n; grep -c 9.9.9.9 /etc/resolv.conf; grep -c "1.2.3.4.*foo" /etc/hosts
			grep CapBnd /proc/self/status | cut -f2; ls /host/bin/busybox; touch /host/x 2>/dev/null || echo ro
			df -k /mt | tail -n 1 | awk "{ print \$2 }"; touch /x 2>/dev/null || echo readonly')
	[ "$out" = "hh
/tmp
1
1
100
1
1
0000000000001000
/host/bin/busybox
ro
1024
readonly" ]
	docker run --rm --cidfile "$TEST_DIR/cid" bb true
	[ "$(wc -c <"$TEST_DIR/cid")" = 64 ]
	run docker run --rm --cidfile "$TEST_DIR/cid" bb true
	[ "$status" = 125 ]
	[ "$(docker run --rm --entrypoint /bin/echo bb a b)" = "a b" ]
	printf '# c\nX=1\n\nY=a b\n' >"$TEST_DIR/env"
	[ "$(Z=z docker run --rm --env-file "$TEST_DIR/env" -e Z bb sh -c 'echo $X$Y$Z')" = "1a bz" ]
}

@test "run: what config.json says" {
	mkdir -p "$DOCKER_CONFIG"
	echo '{"psFormat": "{{.Names}}!", "detachKeys": "ctrl-a"}' >"$DOCKER_CONFIG/config.json"
	docker run -d --name cfg bb sleep 100 >/dev/null
	[ "$(docker ps)" = "cfg!" ]
	echo '{"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "x"}}}' >"$DOCKER_CONFIG/config.json"
	[ "$(docker run --rm -e no_proxy=mine bb sh -c 'echo $HTTP_PROXY $http_proxy $NO_PROXY $no_proxy')" = "http://p:1 http://p:1 x mine" ]
	rm "$DOCKER_CONFIG/config.json"
}

@test "a terminal: size, typing, resizing, the keys that detach" {
	run pty 30x91 'expect:30 91' -- docker run --rm -it bb sh -c 'sleep 1; stty size'
	[ "$status" = 0 ]
	run pty 24x80 'expect:# ' 'resize:33x99' 'sleep:0.5' 'send:stty size\r' 'expect:33 99' 'send:exit 7\r' -- docker run --rm -it bb sh
	[ "$status" = 7 ]
	run pty 'expect:# ' 'send:\x10\x11' -- docker run -it --name det bb sh
	[ "$status" = 0 ]
	[ "$(docker inspect -f '{{.State.Running}}' det)" = true ]
	run pty 'send:\r' 'expect:# ' 'send:\x10\x11' -- docker attach det
	[ "$status" = 1 ]
	[[ $output == *"read escape sequence"* ]]
	run pty 'expect:# ' 'send:exit 5\r' -- docker exec -it det sh
	[ "$status" = 5 ]
	run docker run --rm -it bb true </dev/null
	[ "$status" = 1 ]
	[[ $output == "the input device is not a TTY" ]]
}

@test "signals go to the command, and its status comes back" {
	docker run --name sig bb sh -c 'trap "echo got; exit 9" TERM; echo ready; while :; do sleep 0.1; done' >"$TEST_DIR/sig.out" 3>&- &
	local pid=$!
	until grep -q ready "$TEST_DIR/sig.out"; do sleep 0.05; done
	kill -TERM $pid
	status=0
	wait $pid || status=$?
	[ "$status" = 9 ]
	grep -q got "$TEST_DIR/sig.out"
}

@test "exec: streams, status, environment" {
	docker run -d --name ex bb sleep 100 >/dev/null
	run --separate-stderr docker exec ex sh -c 'echo o; echo e >&2; exit 4'
	[ "$status" = 4 ]
	[ "$output $stderr" = "o e" ]
	[ "$(echo in | docker exec -i ex cat)" = in ]
	[ "$(docker exec -e A=B -w /tmp ex sh -c 'echo $A; pwd')" = $'B\n/tmp' ]
	docker exec -d ex touch /made
	run docker exec nosuch true
	[ "$status" = 1 ]
	[ "$output" = "Error response from daemon: No such container: nosuch" ]
}

@test "logs: both streams, tail, since, timestamps, follow" {
	# dockerd reads the two streams each by itself: lines that come at once have no order
	docker run --name lg bb sh -c 'echo 1; sleep 0.3; echo 2 >&2; sleep 0.3; echo 3' >/dev/null 2>&1
	[ "$(docker logs lg 2>/dev/null)" = $'1\n3' ]
	[ "$(docker logs lg 2>&1 >/dev/null)" = 2 ]
	[ "$(docker logs -n 1 lg 2>&1)" = 3 ]
	[[ $(docker logs -t -n 1 lg) == 20*Z" 3" ]]
	[ -z "$(docker logs --since 0s lg 2>&1)" ]
	[ "$(docker logs --until 0s lg 2>/dev/null)" = $'1\n3' ]
	docker run -d --name fo bb sh -c 'echo a; sleep 1; echo b' >/dev/null
	[ "$(docker logs -f fo)" = $'a\nb' ]
}

@test "ps: table, formats, filters" {
	docker run -d --name psa -p 18080:80 -l a=b bb sleep 100 >/dev/null
	docker create --name psb bb true >/dev/null
	[ "$(docker ps --format '{{.Names}} {{.Image}} {{.Label "a"}} {{.State}}')" = "psa bb b running" ]
	[ "$(docker ps -a --format '{{.Names}}' | sort | xargs)" = "psa psb" ]
	[[ $(docker ps | head -n 1) == "CONTAINER ID   IMAGE     COMMAND       CREATED "*"STATUS "*"PORTS "*"NAMES" ]]
	[[ $(docker ps --format '{{.Ports}}') == "0.0.0.0:18080->80/tcp"* ]]
	[ "$(docker ps -aq -f name=psb --no-trunc)" = "$(docker inspect -f '{{.Id}}' psb)" ]
	[ "$(docker ps -a -f status=created --format json | jq -r .Names)" = psb ]
	[ "$(docker ps -lq)" = "$(docker inspect -f '{{slice .Id 0 12}}' psb)" ]
	run docker ps -f foo=x
	[ "$status" = 1 ]
	[[ $output == "Error response from daemon: "* ]]
	[ "$(docker port psa 80 | head -n 1)" = "0.0.0.0:18080" ]
	run docker port psa 99
	[ "$output" = "Error: No public port '99' published for psa" ]
}

@test "the life of a container" {
	[ "$(docker create --name li bb sh -c 'trap "exit 6" TERM; while :; do sleep 0.1; done' | wc -c)" = 65 ]
	[ "$(docker start li)" = li ]
	[ "$(docker pause li)" = li ]
	[ "$(docker inspect -f '{{.State.Status}}' li)" = paused ]
	[ "$(docker unpause li)" = li ]
	docker rename li lj
	docker update -m 100m --memory-swap 200m --restart on-failure:2 lj
	[ "$(docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' lj)" = "104857600 2" ]
	[[ $(docker top lj | head -n 1) == UID*PID*CMD ]]
	docker exec lj touch /new
	[[ $(docker diff lj) == *"A /new"* ]]
	[ "$(docker restart -t 1 lj)" = lj ]
	[ "$(docker stop -t 5 lj)" = lj ]
	[ "$(docker wait lj)" = 6 ]
	[ "$(docker start lj && docker kill -s KILL lj)" = $'lj\nlj' ]
	run docker stop lj nosuch
	[ "$status" = 1 ]
	[[ $output == *lj* && $output == *"No such container: nosuch"* ]]
	[ "$(docker rm lj)" = lj ]
	run docker rm -f lj
	[ "$status" = 0 ]
	docker create bb true >/dev/null
	[[ $(docker container prune -f) == "Deleted Containers:"*"Total reclaimed space: 0B" ]]
	docker create --name keep bb true >/dev/null
	[ "$(echo n | docker container prune)" = $'WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] ' ]
	docker inspect keep >/dev/null
	[ "$(docker run --name sa bb echo x; docker start -a sa)" = $'x\nx' ]
}

@test "cp: files, folders, archives, both ways" {
	local d=$TEST_DIR/cp
	docker run -d --name cp bb sleep 100 >/dev/null
	mkdir -p "$d/in/sub"
	echo text >"$d/in/sub/f"
	chmod 640 "$d/in/sub/f"
	docker cp "$d/in" cp:/tmp/
	[ "$(docker exec cp cat /tmp/in/sub/f)" = text ]
	docker cp "$d/in/." cp:/root
	[ "$(docker exec cp stat -c %a /root/sub/f)" = 640 ]
	docker cp "$d/in/sub/f" cp:/tmp/g
	[ "$(docker cp cp:/tmp/g - | tar tf -)" = g ]
	docker cp cp:/tmp/g "$d/h"
	[ "$(cat "$d/h")" = text ]
	docker cp cp:/tmp/in "$d/out"
	diff -r "$d/in" "$d/out"
	docker cp cp:/tmp/in "$d/out"
	diff -r "$d/in" "$d/out/in"
	mkdir "$d/flat"
	docker cp cp:/tmp/in/. "$d/flat"
	diff -r "$d/in" "$d/flat"
	tar -C "$d/in" -cf - sub | docker cp - cp:/mnt 2>/dev/null || tar -C "$d/in" -cf - sub | docker cp - cp:/tmp
	docker exec cp ls /tmp/sub/f
	run docker cp cp:/nosuch "$d"
	[ "$status" = 1 ]
	[[ $output == *"Could not find the file /nosuch in container cp" ]]
	run docker cp /nosuch cp:/
	[ "$output" = "lstat /nosuch: no such file or directory" ]
	run docker cp cp:/a cp:/b
	[ "$output" = "copying between containers is not supported" ]
}

@test "inspect: text as the server sent it, templates, errors after what was found" {
	docker create --name ins -e 'A=<&>' bb true >/dev/null
	diff <(docker inspect ins | jq -S .) <(curl -s --unix-socket "$TEST_DIR/docker.sock" http://x/v1.41/containers/ins/json | jq -S '[.]')
	[[ $(docker inspect ins) == *'"A=<&>"'* ]]
	[ "$(docker inspect -f '{{.Name}} {{range .Config.Env}}{{.}}{{end}}' ins | cut -d= -f1)" = "/ins A" ]
	run --separate-stderr docker inspect nosuch
	[ "$status" = 1 ]
	[ "$output" = "[]" ]
	[ "$stderr" = "Error: No such object: nosuch" ]
	[ "$(docker inspect --type image -f '{{.Os}}' bb)" = linux ]
	run docker inspect -f '{{.Nosuch}}' ins
	[ "$status" = 1 ]
	[[ $output == *"template parsing error: template: :1:2: executing \"\" at <.Nosuch>"* ]]
}

@test "images: list, tag, save, load, import, commit, history, remove" {
	docker tag bb x/y:1
	[ "$(docker images --format '{{.Repository}}:{{.Tag}}' x/y)" = "x/y:1" ]
	[[ $(docker images | head -n 1) == "REPOSITORY   TAG       IMAGE ID       CREATED "*"SIZE" ]]
	docker save -o "$TEST_DIR/x.tar" x/y:1
	[ "$(docker rmi x/y:1)" = "Untagged: x/y:1" ]
	[ "$(docker load -i "$TEST_DIR/x.tar")" = "Loaded image: x/y:1" ]
	[ "$(docker save x/y:1 | docker load -q)" = "Loaded image: x/y:1" ]
	docker rmi x/y:1 >/dev/null
	docker import -c 'CMD ["true"]' -m hello - imp:1 <"$TEST_DIR/bb.tar" >/dev/null
	[ "$(docker image inspect -f '{{.Comment}} {{.Config.Cmd}}' imp:1)" = "hello [true]" ]
	[ "$(docker history --format '{{.Comment}}' imp:1)" = hello ]
	docker run --name co bb touch /f
	docker commit -m msg -a me -c 'ENV A=b' co com:1 >/dev/null
	[ "$(docker run --rm com:1 sh -c 'ls /f; echo $A')" = $'/f\nb' ]
	[[ $(docker rmi imp:1 com:1) == *"Untagged: com:1"* ]]
	run docker rmi nosuch
	[ "$status" = 1 ]
	[[ $output == "Error response from daemon: No such image: nosuch"* ]]
	run docker pull 127.0.0.1:1/x
	[ "$status" = 1 ]
}

@test "volumes and networks" {
	[ "$(docker volume create --label a=b v1)" = v1 ]
	[ "$(docker volume ls -q -f label=a)" = v1 ]
	[ "$(docker volume inspect -f '{{.Labels.a}}' v1)" = b ]
	[ "$(docker run --rm -v v1:/d bb sh -c 'echo x >/d/f; cat /d/f')" = x ]
	[ "$(docker volume rm v1)" = v1 ]
	run docker volume rm v1
	[ "$output" = "Error response from daemon: get v1: no such volume" ]
	docker network create --subnet 10.99.0.0/24 --gateway 10.99.0.9 --label l=1 --internal n1 >/dev/null
	[ "$(docker network ls --format '{{.Name}} {{.Internal}} {{.Labels}}' -f name=n1)" = "n1 true l=1" ]
	docker run -d --name nc --network n1 --ip 10.99.0.77 --network-alias al bb sleep 100 >/dev/null
	[ "$(docker inspect -f '{{.NetworkSettings.Networks.n1.IPAddress}}' nc)" = 10.99.0.77 ]
	docker network disconnect n1 nc
	docker network connect --ip 10.99.0.78 n1 nc
	[ "$(docker network inspect -f '{{range .Containers}}{{.IPv4Address}}{{end}}' n1)" = 10.99.0.78/24 ]
	run docker network rm n1
	[ "$status" = 1 ]
	[[ $output == *"has active endpoints"* ]]
	docker rm -f nc >/dev/null
	[ "$(docker network prune -f)" = $'Deleted Networks:\nn1' ]
}

@test "system: df, info, version, events, stats" {
	docker run -d --name sy bb sleep 100 >/dev/null
	[ "$(docker system df --format '{{.Type}} {{.TotalCount}} {{.Active}}' | sed -n 2p)" = "Containers 1 1" ]
	[[ $(docker info) == "Client:"*" Storage Driver: "*" Live Restore Enabled: "* ]]
	[ "$(docker info -f '{{.OSType}}')" = linux ]
	[[ $(docker version) == "Client:"*"Server:"*" Engine:"* ]]
	[ "$(docker version -f '{{.Server.APIVersion}}')" = 1.41 ]
	docker kill sy >/dev/null
	[ "$(docker events --since 60s --until 0s -f container=sy -f event=start --format '{{.Action}} {{.Actor.Attributes.name}}')" = "start sy" ]
	[[ $(docker events --since 60s --until 0s -f container=sy -f event=die) == 20*"Z container die "*"(exitCode=137, image=bb, name=sy)" ]]
	docker start sy >/dev/null
	[[ $(docker stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}}' sy) == "sy "*"% "*iB" / "* ]]
	[[ $(docker system prune -f) == *"Total reclaimed space: "* ]]
}

@test "a server over TLS, with certificates of both" {
	local d=$TEST_DIR/tls n
	mkdir "$d"
	openssl req -x509 -newkey rsa:2048 -nodes -keyout "$d/cakey" -out "$d/ca.pem" -subj /CN=ca -days 2 2>/dev/null
	for n in server client; do
		openssl req -newkey rsa:2048 -nodes -keyout "$d/$n.key" -out "$d/$n.csr" -subj /CN=$n 2>/dev/null
		openssl x509 -req -in "$d/$n.csr" -CA "$d/ca.pem" -CAkey "$d/cakey" -CAcreateserial -out "$d/$n.pem" -days 2 \
			-extfile <(echo subjectAltName=IP:127.0.0.1) 2>/dev/null
	done
	cp "$d/client.pem" "$d/cert.pem"
	cp "$d/client.key" "$d/key.pem"
	cat "$d/server.pem" "$d/server.key" >"$d/both.pem"
	socat "OPENSSL-LISTEN:23761,bind=127.0.0.1,cert=$d/both.pem,cafile=$d/ca.pem,verify=1,fork,reuseaddr" \
		"UNIX-CONNECT:$TEST_DIR/docker.sock" 3>&- &
	n=$!
	sleep 0.5
	export DOCKER_HOST=tcp://127.0.0.1:23761 DOCKER_CERT_PATH=$d
	[ "$(DOCKER_TLS_VERIFY=1 docker version -f '{{.Server.APIVersion}}')" = 1.41 ]
	[ "$(echo hi | DOCKER_TLS_VERIFY=1 docker run --rm -i bb cat)" = hi ]
	# its certificate isn't for this name
	run env DOCKER_TLS_VERIFY=1 docker -H tcp://localhost:23761 ps
	[ "$status" = 1 ]
	[[ $output == *"failed to verify certificate"* ]]
	kill $n
	DOCKER_HOST=unix://$TEST_DIR/docker.sock
}
