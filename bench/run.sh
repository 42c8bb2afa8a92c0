#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# run.sh [NAME...]: measures rows (all when none is named; --list names them) beside the peers, interleaved
# in one run, and prints a table with the bars. BENCH_ROUNDS (15), BENCH_QUIET (percent that others may use, 15),
# BENCH_PEERS ("docker podman lxc limit") change how.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. tools/lib.sh
TOP=$PWD

if [ "${1:-}" != --inside ]; then
	names=$(sed -n 's/^rows="\(.*\)"$/\1/p' bench/rows.sh)
	if [ "${1:-}" = --list ]; then
		printf '%s\n' $names
		exit 0
	fi
	[ $# -gt 0 ] || set -- $names
	for name; do
		[[ " $names " == *" $name "* ]] || die "no row '$name'; ./dev bench --list names them"
	done
	[ "$(id -u)" = 0 ] || die "benchmarks need root"
	need build run test bench
	[[ " $* " != *" lowest_memory "* && " $* " != *" vm_"* ]] || need vm
	build_dir build --buildtype=release
	link_programs build
	# inside there is no mirror
	if [[ " $* " == *" vm_"* && ! -f build/debian-12.tar ]]; then
		root=$(mktemp -d)
		LODGE_ROOT=$root LODGE_RUN=$root/run build/lodge image build-from-mirror -q debian:12 >/dev/null
		LODGE_ROOT=$root LODGE_RUN=$root/run build/lodge image save -o build/debian-12.tar debian:12
		rm -rf "$root"
	fi
	exec tests/hermetic "$0" --inside "$@"
fi
shift

rounds=${BENCH_ROUNDS:-15} quiet=${BENCH_QUIET:-15} peers=${BENCH_PEERS:-docker podman lxc limit}
LODGE=${BENCH_LODGE:-$TOP/build/lodge}
# Without a journal ext4 goes past each inode that was deleted within a minute whenever it makes one, so whoever
# removes a hundred guests slows down the next tool. What users have has a journal.
if [ "$(stat -f -c %T "$TEST_DIR")" = ext2/ext3 ] && [ -z "$(ls /proc/fs/jbd2 2>/dev/null)" ]; then
	truncate -s 64G "$TEST_DIR/disk"
	mkfs.ext4 -q "$TEST_DIR/disk"
	mkdir "$TEST_DIR/fs"
	mount -o loop "$TEST_DIR/disk" "$TEST_DIR/fs"
	export TEST_DIR=$TEST_DIR/fs
fi
DIR=$TEST_DIR/bench
ROOT=$DIR/root
mkdir -p "$ROOT"
for name in pair limit still; do
	flags=-static
	[ $name = pair ] && flags=
	gcc -O2 -D_GNU_SOURCE $flags -o "$DIR/$name" "bench/$name.c"
done
. bench/peers.sh
trap stop_peers EXIT
make_common_root
for peer in $peers lodge; do
	"setup_$peer" || die "cannot set up $peer"
done
. bench/rows.sh

echo "$(uname -sr), $(nproc) processors, $(awk '/MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), $(. /etc/os-release && echo "$PRETTY_NAME"); medians of $rounds"
echo
echo '| row | bar | peer | peer | ours | ratio | |'
echo '|---|---|---|---|---|---|---|'
for name; do
	"row_$name"
done
