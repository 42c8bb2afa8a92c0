# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Rows about images in files and layouts, with an image of three layers: a root, 20,000 small files, one of 200 MiB.
# Sourced by rows.sh.

real=$DIR/real.tar

# Made once by docker, and pushed to a registry on loopback.
make_real_image() {
	local c=$DIR/real
	[ ! -e "$real" ] || return 0
	mkdir -p "$c/small"
	{ find /usr/share /usr/lib/python3 /usr/include -xdev -type f -size -16k 2>/dev/null || true; } | sed 20000q |
		tar -cf - -T - 2>/dev/null | tar -C "$c/small" -xf -
	{ find /usr/bin /usr/lib/x86_64-linux-gnu -xdev -type f -size +20k | sort | xargs cat 2>/dev/null || true; } |
		head -c 209715200 >"$c/big"
	printf 'FROM bb\nCOPY small /srv/small\nCOPY big /srv/big\nCMD ["/bin/true"]\n' >"$c/Dockerfile"
	DOCKER_BUILDKIT=0 $docker build -q -t real:1 "$c" >/dev/null
	$docker save -o "$real" real:1
	$lodge image load -q -i "$real" >/dev/null
	printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: 127.0.0.1:5000}\n' \
		"$DIR/registry" >"$DIR/registry.yml"
	docker-registry serve "$DIR/registry.yml" >"$DIR/registry.log" 2>&1 </dev/null &
	until (: </dev/tcp/127.0.0.1/5000) 2>/dev/null; do sleep 0.1; done
	skopeo --insecure-policy copy -q --dest-tls-verify=false "docker-archive:$real" docker://127.0.0.1:5000/real:1
	rm -rf "$c"
}

ask[lodge/image-load]="$lodge image load -q -i $real"
ask[docker/image-load]="$docker load -q -i $real"
ask[lodge/image-save]="$lodge image save -o $DIR/saved-lodge.tar real:1"
ask[docker/image-save]="$docker save -o $DIR/saved-docker.tar real:1"
ask[lodge/image-rm]="$lodge image rm real:1"
ask[docker/image-rm]="$docker rmi real:1"
ask[lodge/image-copy]="$lodge skopeo --insecure-policy copy -q --src-tls-verify=false docker://127.0.0.1:5000/real:1 oci:$DIR/copy-lodge:1"
ask[skopeo/image-copy]="skopeo --insecure-policy copy -q --src-tls-verify=false docker://127.0.0.1:5000/real:1 oci:$DIR/copy-skopeo:1"
ask[lodge/image-copied]="rm -rf $DIR/copy-lodge"
ask[skopeo/image-copied]="rm -rf $DIR/copy-skopeo"

row_image_load() {
	local rounds=5
	make_real_image
	bars_ratio "load of a docker archive" "$(pairs image-load -b "$(around image-rm)")" docker:0.25
}

row_image_save() {
	local rounds=5
	make_real_image
	bars_ratio "save to a docker archive" "$(pairs image-save)" docker:0.4
	rm -f "$DIR"/saved-*.tar
}

row_image_rm() {
	local rounds=5
	make_real_image
	bars_ratio "rm of an image" "$(pairs image-rm -b "$(around image-load)")" docker:0.2
	for_all image-load
}

row_image_copy() {
	local rounds=5 peers=skopeo
	make_real_image
	bars_ratio "copy docker:// to oci:" "$(pairs image-copy -b "$(around image-copied)")" skopeo:0.6
	for_all image-copied
}
