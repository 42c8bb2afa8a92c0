# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What the scripts of ./dev share. To be sourced from the top of the checkout.

die() {
	echo "dev: $*" >&2
	exit 1
}

step() {
	printf '\033[1m== %s\033[0m\n' "$*" >&2
}

# --- packages --------------------------------------------------------------------------------------------
# One line a group: what its verbs need, by the names of Debian's packages.

packages() {
	case $1 in
	build)
		# the static libraries (.a) of GLib and SQLite come with their -dev packages
		echo gcc libc6-dev meson ninja-build pkg-config libglib2.0-dev libpcre2-dev libjansson-dev \
			libsqlite3-dev libseccomp-dev zlib1g-dev libzstd-dev liblzma-dev libyaml-dev libisal-dev libssl-dev \
			libarchive-dev libcurl4-openssl-dev
		;;
	run)
		echo mmdebstrap debian-archive-keyring gpgv nftables busybox-static erofs-utils \
			e2fsprogs dosfstools mtools qemu-utils libarchive13 qemu-system-x86 qemu-system-common passt
		;;
	test)
		echo bats jq python3 socat netcat-openbsd iproute2 strace curl procps util-linux \
			openssh-client genisoimage podman conmon docker.io containerd runc \
			criu nftables iptables systemd dbus uidmap skopeo umoci docker-registry gnupg gpg gpg-agent gpgv \
			apache2-utils openssl nghttp2-proxy python3-docker python3-yaml python3-jsonschema
		;;
	vm)
		# cloud-init as the measure of our seeds; without a datasource it doesn't run
		echo qemu-system-x86 qemu-system-common passt linux-image-cloud-amd64 cpio kmod busybox-static \
			ovmf qemu-guest-agent fdisk cloud-init cloud-image-utils python3-yaml
		;;
	check) echo clang-format python3 jq ;;
	fuzz) echo clang libclang-rt-14-dev ;;
	bench)
		echo docker.io podman crun runc lxc conmon containernetworking-plugins netavark aardvark-dns \
			iptables jq busybox-static time docker-registry skopeo umoci isal strace
		;;
	*) die "no group of packages '$1'" ;;
	esac
}

# need GROUP...: installs what is missing of them, and nothing when nothing is.
need() {
	local group package
	local -a missing=()
	for group; do
		for package in $(packages "$group"); do
			[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
				missing+=("$package")
		done
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	install_packages "${missing[@]}"
}

install_packages() {
	local -a as_root=(env DEBIAN_FRONTEND=noninteractive)
	local rc=0 policy=/usr/sbin/policy-rc.d made=

	command -v apt-get >/dev/null || die "these packages are missing, and there is no apt here: $*"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "not root, and these packages are missing: $*"
		as_root=(sudo "${as_root[@]}")
	fi
	step "installing: $*"
	# The lists of a fresh machine are empty or old; asking costs less than updating.
	if ! apt-get -s install --no-install-recommends "$@" >/dev/null 2>&1; then
		"${as_root[@]}" apt-get update -q >&2
	fi
	# Nothing that is installed for a test or a comparison may start a service.
	if [ ! -e $policy ] && [ "$(id -u)" = 0 ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
		made=1
	fi
	if ! "${as_root[@]}" apt-get install -y -q --no-install-recommends "$@" </dev/null >&2; then
		"${as_root[@]}" apt-get update -q >&2
		"${as_root[@]}" apt-get install -y -q --no-install-recommends "$@" </dev/null >&2 || rc=$?
	fi
	[ -z "$made" ] || rm -f $policy
	[ $rc = 0 ] || die "apt-get could not install: $*"
}

# --- building --------------------------------------------------------------------------------------------

# build_dir DIR [MESON OPTION...]: sets up once, then builds what changed; quiet unless something does.
build_dir() {
	local dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		step "setting up $dir"
		meson setup "$dir" "$@" >&2
	fi
	if ! ninja -C "$dir" -n 2>/dev/null | grep -q 'no work to do'; then
		step "building $dir"
		ninja -C "$dir" >&2
	fi
}

# DIR/lodge and the two programs that it starts, wherever below DIR/src they are built.
link_programs() {
	local dir=$1 name path
	for name in lodge lodge-monitor lodge-init lodge-runc; do
		path=$(find "$dir/src" -name $name -type f -perm -u+x | head -n 1)
		[ -n "$path" ] || die "the build left no $name in $dir/src"
		ln -sfn "${path#"$dir/"}" "$dir/$name"
	done
}

c_files() {
	find src tests bench -name '*.[ch]' | sort
}
