# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Rows of images and registries. The image has three layers: programs, 20000 small files, one file of 200 MiB. The
# registry is Debian's, on loopback. Sourced by rows.sh.

REF=127.0.0.1:5000/bench:1

image_registry() {
	local i=$DIR/image
	[ ! -d "$i" ] || return 0
	mkdir -p "$i/big"
	find /usr/bin /usr/lib -xdev -type f -size -1M 2>/dev/null | sort | head -3500 | tar -C / -cf "$i/one.tar" -T - 2>/dev/null
	find /usr/share /usr/lib/python3 /usr/include -xdev -type f -size -16k 2>/dev/null | sort | head -20000 | tar -C / -cf "$i/two.tar" -T - 2>/dev/null
	find /usr/bin /usr/lib/x86_64-linux-gnu -xdev -type f -size +20k 2>/dev/null | sort | head -3000 | xargs cat 2>/dev/null |
		head -c 209715200 >"$i/big/big"
	tar -C "$i/big" -cf "$i/three.tar" .
	gzip -6 "$i"/*.tar
	tests/layout "$i/layout" bench "$i"/{one,two,three}.tar.gz
	printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:5000"}\n' \
		"$i/registry" >"$i/registry.yml"
	docker-registry serve "$i/registry.yml" >/dev/null 2>&1 &
	until (: <"/dev/tcp/127.0.0.1/5000") 2>/dev/null; do sleep 0.1; done
	skopeo copy -q --dest-tls-verify=false "oci:$i/layout:bench" "docker://$REF"
}

# The others make a runnable root of it; umoci does for skopeo.
ask[lodge/pull]="$lodge image pull -q $REF"
ask[docker/pull]="$docker pull -q $REF"
ask[podman/pull]="podman pull -q --tls-verify=false $REF"
ask[skopeo/pull]="skopeo copy -q --src-tls-verify=false docker://$REF oci:$DIR/oci:1 && umoci unpack --image $DIR/oci:1 $DIR/bundle"
ask[igzip/pull]="for f in $DIR/image/*.gz; do igzip -dc \$f >/dev/null && sha256sum \$f; done"
ask[lodge/unpull]="$lodge image rm $REF"
ask[docker/unpull]="$docker rmi $REF"
ask[podman/unpull]="podman rmi $REF"
ask[skopeo/unpull]="rm -rf $DIR/oci $DIR/bundle"

row_pull() {
	local rounds=${BENCH_ROUNDS:-5} peers="docker podman skopeo igzip"
	image_registry
	bars_ratio "pull of three layers to a runnable root" "$(pairs pull -a "$(around unpull); sync")" \
		docker:0.25 podman:0.25 skopeo:0.25 igzip:2
}

row_pull_here() {
	local requests before
	image_registry
	$lodge image pull -q $REF >/dev/null
	bar_value "pull of an image that is here" 15 ms "$("$DIR/pair" -n "$rounds" -w 2 -q "$quiet" lodge "${ask[lodge/pull]}" | cut -f 5)"
	requests=$(strace -f -e trace=sendto -o /dev/stdout "$LODGE" image pull -q $REF | grep -c '"[A-Z]* /v2/')
	bar_value "pull of an image that is here: requests" 1 "" "$requests"
	$lodge image rm $REF >/dev/null
}

# The sum of all processes of one pull, looked at every 20 ms: what each has for itself, and its share of the rest.
row_pull_memory() {
	local pid most=0 now
	image_registry
	$lodge image pull -q $REF >/dev/null &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		now=$(for p in $pid $(pgrep -P $pid); do awk '/^Pss:/ { print $2 }' "/proc/$p/smaps_rollup" 2>/dev/null; done | awk '{ n += $1 } END { print n + 0 }')
		[ "$now" -le $most ] || most=$now
		sleep 0.02
	done
	bar_value "pull: memory of all its processes" 40960 KiB "$most"
	$lodge image rm $REF >/dev/null
}
