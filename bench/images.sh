# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Rows of images and registries. The image has three layers: programs, 20000 small files, one file of 200 MiB. The
# registry is Debian's, on loopback. Sourced by rows.sh.

REF=127.0.0.1:5000/bench:1

image_registry() {
	local i=$DIR/image
	[ ! -d "$i" ] || return 0
	mkdir -p "$i/big"
	(
		# head ends what comes before it
		set +o pipefail
		find /usr/bin /usr/lib -xdev -type f -size -1M | sort | head -3500 | tar -C / -cf "$i/one.tar" -T -
		find /usr/share /usr/lib/python3 /usr/include -xdev -type f -size -16k | sort | head -20000 | tar -C / -cf "$i/two.tar" -T -
		find /usr/bin /usr/lib/x86_64-linux-gnu -xdev -type f -size +20k | sort | head -3000 | xargs cat | head -c 209715200 >"$i/big/big"
	) 2>/dev/null || true
	tar -C "$i/big" -cf "$i/three.tar" .
	printf '%s\0' "$i"/{one,two,three}.tar | xargs -0 -n 1 -P 2 gzip -6
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
		now=$(for p in $pid $(pgrep -P $pid || true); do awk '/^Pss:/ { print $2 }' "/proc/$p/smaps_rollup" 2>/dev/null || true; done | awk '{ n += $1 } END { print n + 0 }')
		[ "$now" -le $most ] || most=$now
		sleep 0.02
	done
	bar_value "pull: memory of all its processes" 40960 KiB "$most"
	$lodge image rm $REF >/dev/null
}

# Each start is the first one after the pull.
row_pull_start() {
	local n kind lines dir=$DIR/many
	local -a tars=()
	image_registry
	for n in $(seq 39); do
		mkdir -p "$dir/$n/srv"
		seq "$n" $((n + 2000)) >"$dir/$n/srv/$n"
		tar -C "$dir/$n" --numeric-owner -czf "$dir/$n.tar.gz" .
		tars+=("$dir/$n.tar.gz")
	done
	gzip -1 <"$DIR/bb.tar" >"$dir/base.tar.gz"
	tests/layout "$dir/layout" start1 "$dir/base.tar.gz"
	tests/layout "$dir/layout" start40 "$dir/base.tar.gz" "${tars[@]}"
	for kind in start1 start40; do
		skopeo copy -q --dest-tls-verify=false "oci:$dir/layout:$kind" "docker://${REF%/*}/$kind:1"
		ask[$kind/start]="$lodge run --rm --network none ${REF%/*}/$kind:1 /bin/true"
	done
	lines=$("$DIR/pair" -n "$rounds" -w 2 -g 30 -q "$quiet" \
		-b "$lodge image rm ${REF%/*}/\$PAIR_NAME:1 >/dev/null 2>&1; $lodge image pull -q ${REF%/*}/\$PAIR_NAME:1 >/dev/null" \
		start1 "${ask[start1/start]}" start40 "${ask[start40/start]}")
	bar_value "start from 40 layers just pulled: more than from 1" 10 ms \
		"$(awk -F'\t' '{ t[$1] = $5; failed += $3 } END { if (!failed) printf "%.2f", t["start40"] - t["start1"] }' <<<"$lines")" \
		"1 layer, 40" "$(awk -F'\t' '{ printf "%s%.2f", (NR > 1 ? ", " : ""), $5 } END { print " ms" }' <<<"$lines")"
	$lodge image rm "${REF%/*}/start1:1" "${REF%/*}/start40:1" >/dev/null
	rm -rf "$dir"
}

# The registry that lies ends each blob at 90 %: to be gone on with at once ("cut"), or by the next pull ("short").
row_pull_cut() {
	local log=$DIR/liar.log at=127.0.0.1:5051 kind size server
	image_registry
	tests/liar "${at#*:}" "$DIR/image/layout" "$log" >/dev/null 2>&1 </dev/null &
	server=$!
	until (: <"/dev/tcp/${at/:/\/}") 2>/dev/null; do sleep 0.1; done
	size=$(stat -c %s "$DIR"/image/*.gz | awk '{ n += $1 } END { print n }')
	for kind in cut short; do
		: >"$log"
		if [ $kind = short ]; then
			$lodge image pull -q $at/short/bench:1 >/dev/null 2>&1 && echo "nothing was cut" >&2
			$lodge image pull -q $at/whole/bench:1 >/dev/null
		else
			$lodge image pull -q $at/cut/bench:1 >/dev/null
		fi
		# configurations are blobs, too, of some hundred bytes
		bar_value "bytes fetched twice, $([ $kind = cut ] && echo "the connection cut" || echo "the pull ended") at 90 %" 1048576 "" \
			"$(awk -v size="$size" '$1 == "GET" && $2 ~ /\/blobs\// { n += $4; m++ } END { if (m > 6) printf "%d", n - size }' "$log")"
		$lodge image rm $at/${kind/short/whole}/bench:1 >/dev/null
	done
	kill "$server"
}
