# SPDX-License-Identifier: MIT
# What docker's command line says without a server: help, wrong usage, contexts, configuration.
bats_require_minimum_version 1.5.0
: "${LODGE:=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/build/lodge}"

setup_file() {
	mkdir -p "$TEST_DIR/bin"
	ln -s "$LODGE" "$TEST_DIR/bin/docker"
}

setup() {
	PATH=$TEST_DIR/bin:$PATH
	export DOCKER_CONFIG=$TEST_DIR/config
	rm -rf "$DOCKER_CONFIG"
	unset DOCKER_HOST DOCKER_CONTEXT
}

# says STATUS TEXT COMMAND...: the status, and all that is written.
says() {
	local want=$1 text=$2
	shift 2
	run "$@"
	[ "$status" = "$want" ] || { echo "status $status: $output"; return 1; }
	[ "$output" = "$text" ] || { printf 'wanted:\n%s\ngot:\n%s\n' "$text" "$output"; return 1; }
}

# tests/golden/docker-help.txt has what docker 28.2.2 prints: "#### COMMAND", then its text.
@test "the help of each command is docker's to the byte" {
	local name file=$TEST_DIR/help n=0
	export DOCKER_CONFIG=/root/.docker
	while read -r name; do
		# shellcheck disable=SC2086
		$name --help </dev/null >"$file" 2>"$file.err"
		diff <(awk -v want="#### $name" '/^#### / { on = $0 == want; next } on' \
			"$BATS_TEST_DIRNAME/../golden/docker-help.txt") "$file"
		[ ! -s "$file.err" ]
		n=$((n + 1))
	done < <(sed -n 's/^#### //p' "$BATS_TEST_DIRNAME/../golden/docker-help.txt")
	[ $n -gt 100 ]
}

@test "help is as wide as the terminal" {
	run "$BATS_TEST_DIRNAME/../pty" 24x200 -- docker ps --help
	[ "$status" = 0 ]
	[[ $output == *"'table TEMPLATE':   Print output in table format using the given Go template"* ]]
}

@test "wrong options end with 125, wrong operands with 1, in docker's words" {
	says 125 "unknown flag: --foo

Usage:  docker ps [OPTIONS]

Run 'docker ps --help' for more information" docker ps --foo
	says 125 "unknown shorthand flag: 'y' in -y

Usage:  docker ps [OPTIONS]

Run 'docker ps --help' for more information" docker ps -y
	says 125 "invalid argument \"x\" for \"-a, --all\" flag: strconv.ParseBool: parsing \"x\": invalid syntax

Usage:  docker ps [OPTIONS]

Run 'docker ps --help' for more information" docker ps --all=x
	says 1 "docker: 'docker ps' accepts no arguments

Usage:  docker ps [OPTIONS]

Run 'docker ps --help' for more information" docker ps x
	says 1 "docker: 'docker rm' requires at least 1 argument

Usage:  docker rm [OPTIONS] CONTAINER [CONTAINER...]

See 'docker rm --help' for more information" docker rm
	says 1 "docker: 'docker port' requires at least 1 and at most 2 arguments

Usage:  docker port CONTAINER [PRIVATE_PORT[/PROTO]]

Run 'docker port --help' for more information" docker port
	says 1 "docker: unknown command: docker foo

Run 'docker --help' for more information" docker foo
	says 1 "unknown help topic: foo" docker help foo
}

@test "values of run are refused before anything is asked" {
	local row value text
	while IFS='|' read -r row value text; do
		run docker run "$row" "$value" image
		[ "$status" = 125 ] || { echo "$row $value: status $status"; return 1; }
		[[ ${lines[0]} == *"$text" ]] || { echo "$row $value: ${lines[0]}"; return 1; }
	done <<-'ROWS'
		-m|x|invalid size: 'x'
		--cpus|x|failed to parse x as a rational number
		--cpus|0.0000000001|value is too precise
		--cpu-period|x|strconv.ParseInt: parsing "x": invalid syntax
		--blkio-weight|70000|strconv.ParseUint: parsing "70000": value out of range
		--health-interval|10|time: missing unit in duration "10"
		--ulimit|x|invalid ulimit argument: x
		--ulimit|foo=1|invalid ulimit type: foo
		--mount|x|invalid field 'x' must be a key=value pair
		--mount|type=bind,target=/x,tmpfs-size=1m|cannot mix 'tmpfs-*' options with mount type 'bind'
		--gpus|x=y|unexpected key 'x' in 'x=y'
		--add-host|x|bad format for add-host: "x"
		--env|=|invalid environment variable: =
		--label|=|invalid label '=': empty name
		--dns|x|IP address is not correctly formatted: x
		--attach|x|valid streams are STDIN, STDOUT and STDERR
		--sysctl|a|sysctl 'a' is not allowed
		-p|x|invalid containerPort: x
		-p|1:2:3:4|invalid IP address: 1:2
		-p|80-81:80-82|invalid ranges specified for container and host Ports: 80-82 and 80-81
		--pid|foo|--pid: invalid PID mode
		--memory-swappiness|200|Valid memory swappiness range is 0-100
		--device|/dev/null:/x:foo|bad mode specified: foo
		--restart|a:b|maximum retry count must be an integer
		--security-opt|foo|Invalid --security-opt: "foo"
		--env-file|/nosuch|open /nosuch: no such file or directory
	ROWS
}

@test "no server: the words of docker, and its statuses" {
	says 1 "Cannot connect to the Docker daemon at unix:///nosuch. Is the docker daemon running?" docker -H unix:///nosuch ps
	says 125 "docker: Cannot connect to the Docker daemon at unix:///nosuch. Is the docker daemon running?

Run 'docker run --help' for more information" docker -H unix:///nosuch run x
	DOCKER_HOST=tcp://127.0.0.1:1 says 1 \
		"Cannot connect to the Docker daemon at tcp://127.0.0.1:1. Is the docker daemon running?" docker ps
	says 1 "conflicting options: cannot specify both --host and --context" docker -H unix:///x -c y ps
}

@test "contexts are made, chosen, shown and removed" {
	run docker context create far --description "far away" --docker host=tcp://192.0.2.1:2375
	[ "${lines[0]}" = far ]
	[ "${lines[1]}" = 'Successfully created context "far"' ]
	says 1 'context "far" already exists' docker context create far --docker host=tcp://192.0.2.1:2375
	[ "$(docker context inspect far -f '{{.Endpoints.docker.Host}} {{.Metadata.Description}}')" = "tcp://192.0.2.1:2375 far away" ]
	# the folder's name is docker's: the sha256 of the context's
	[ -s "$DOCKER_CONFIG/contexts/meta/$(printf far | sha256sum | cut -d' ' -f1)/meta.json" ]
	docker context use far
	[ "$(docker context show)" = far ]
	[ "$(jq -r .currentContext "$DOCKER_CONFIG/config.json")" = far ]
	[ "$(DOCKER_CONTEXT=default docker context show)" = default ]
	[[ $(docker context ls) == *"far *     far away"*"tcp://192.0.2.1:2375"* ]]
	says 1 'context "far" is in use, set -f flag to force remove' docker context rm far
	docker context update far --description other
	[ "$(docker context inspect far -f '{{.Metadata.Description}}')" = other ]
	docker context use default
	docker context rm far
	says 1 'context "far" does not exist' docker context rm far
	run docker context use far
	[[ $output == 'context "far": context not found: open '* ]]
}

@test "what is not there yet says so and fails" {
	local name
	for name in "build ." "compose up" "swarm init" "service ls" "plugin ls" "manifest inspect x" "trust sign x" "buildx ls"; do
		# shellcheck disable=SC2086
		run docker $name
		[ "$status" = 1 ]
		[ "${#lines[@]}" = 1 ]
		[[ $output == *"is not there yet: it will be done by "* ]]
	done
}
