#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# test.sh quick|auto|full: builds, runs the suites, prints what failed and its log; the last line counts.
#   quick  unit tests, fuzz corpora: no root, under 10 s
#   auto   and the command line, as root, in the cgroup mode of this machine
#   full   and the same in a virtual machine with cgroup v2, and the quick tests under ASan and UBSan
set -euo pipefail
. tools/lib.sh

level=${1:-full}
logs=()
rc=0

# run_suite NAME BUILD_DIR [MESON TEST OPTION...]
run_suite() {
	local name=$1 dir=$2
	shift 2
	step "tests: $name"
	# `meson test` prints a line for each; the logs of failed ones come from tools/count, in full
	meson test -C "$dir" --no-rebuild --logbase "log-$name" --num-processes "$(nproc)" "$@" \
		</dev/null || rc=1
	logs+=("$dir/meson-logs/log-$name.json")
}

case $level in
quick) need build ;;
auto) need build run test vm ;;
full) need build run test vm ;;
*) die "no test level '$level': quick, auto or full" ;;
esac
if [ "$level" != quick ] && [ "$(id -u)" != 0 ]; then
	die "the $level tests start containers and need root; ./dev test quick doesn't"
fi

# Test programs are built with the program's own flags, warnings being errors.
build_dir build-test --buildtype=release -Ddeveloper=true
link_programs build-test

run_suite quick build-test --suite quick
if [ "$level" != quick ]; then
	run_suite auto build-test --suite auto
fi
if [ "$level" = full ]; then
	run_suite v2 build-test --suite full
	# without -Werror: what sanitizers add to the code makes gcc see faults that aren't there
	build_dir build-asan --buildtype=debugoptimized -Db_sanitize=address,undefined
	export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	run_suite sanitized build-asan --suite quick
fi
tools/count "${logs[@]}" || rc=1
exit $rc
