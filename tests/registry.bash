# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the tests of registries share: Debian's docker-registry in several dresses, and one that lies.
# All of the user's files are in TEST_DIR/home.

export HOME=$TEST_DIR/home XDG_RUNTIME_DIR=$TEST_DIR/xdg XDG_CONFIG_HOME=$TEST_DIR/home/.config
CONF=$HOME/.config/containers

# Processes of setup_file would keep bats waiting, so each test starts the registries that it needs.
eval "$(declare -f teardown | sed '1s/teardown/teardown_of_lib/')"
teardown() {
	jobs -p | xargs -r kill 2>/dev/null || true
	wait 2>/dev/null || true
	teardown_of_lib
}

# registry PORT [LINE...]: one more, whose "http:" section has the lines, or "auth:" where they begin so
registry() {
	local port=$1 line
	shift
	{
		printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n'
		printf 'storage: {filesystem: {rootdirectory: %s/reg%s}, delete: {enabled: true}}\n' "$TEST_DIR" "$port"
		for line; do case $line in auth:*) echo "$line" ;; esac done
		printf 'http:\n  addr: 127.0.0.1:%s\n' "$port"
		for line; do case $line in auth:*) ;; *) echo "  $line" ;; esac done
	} >"$TEST_DIR/reg$port.yml"
	docker-registry serve "$TEST_DIR/reg$port.yml" >"$TEST_DIR/reg$port.log" 2>&1 3>&- &
	within 10 port_open "$port"
}

port_open() {
	(: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# An authority of our own, a server's certificate by it, and a client's
make_certs() {
	local dir=$TEST_DIR/certs
	mkdir -p "$dir"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/ca.key" -out "$dir/ca.crt" \
		-subj "/CN=test authority" -days 2 2>/dev/null
	for name in server client; do
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/$name.key" -out "$dir/$name.csr" \
			-subj "/CN=$name" 2>/dev/null
		openssl x509 -req -in "$dir/$name.csr" -CA "$dir/ca.crt" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
			-extfile <(echo 'subjectAltName=DNS:localhost,DNS:registry.test,IP:127.0.0.1') -out "$dir/$name.crt" 2>/dev/null
	done
}

# layered FOLDER NAME: an image of three layers, the second of some MB that don't compress
layered() {
	local dir=$TEST_DIR/layered
	mkdir -p "$dir/one" "$dir/two" "$dir/three"
	make_root "$dir/one"
	echo "$2" >"$dir/one/etc/which"
	head -c "${BYTES:-6000000}" /dev/urandom >"$dir/two/random"
	echo three >"$dir/three/three"
	for n in one two three; do
		tar -C "$dir/$n" --numeric-owner -czf "$dir/$n.tar.gz" .
	done
	"$TOP/tests/layout" "$1" "$2" "$dir"/{one,two,three}.tar.gz
	rm -rf "$dir"
}

liar() { # PORT LAYOUT
	"$TOP/tests/liar" "$1" "$2" "$TEST_DIR/liar.log" 2>"$TEST_DIR/liar.err" 3>&- &
	within 10 port_open "$1"
}

# The store is whole, and what it says it takes is what it takes.
store_is_whole() {
	local says is
	lodge fsck
	says=$(lodge system df --format '{{.Bytes}}' | awk '{ n += $1 } END { print n }')
	is=$(du -s --block-size=1 "$LODGE_ROOT" | cut -f 1)
	equal "$is" "$says"
}

partials() {
	find "$LODGE_ROOT/blobs" -name '*.part' | wc -l
}
