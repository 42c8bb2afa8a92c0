#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# fuzz.sh NAME [SECONDS]: one fuzz target with libFuzzer, on its corpus; alone lists the names.
# What it finds is written to build-fuzz/findings/; a mended crash belongs into tests/corpus/NAME/.
set -euo pipefail
. tools/lib.sh

if [ $# -eq 0 ]; then
	find src -name 'fuzz-*.c' ! -name fuzz-main.c -printf '%f\n' | sed 's/^fuzz-\(.*\)\.c$/\1/' | sort
	exit 0
fi
name=$1 seconds=${2:-60}
source=$(find src -name "fuzz-$name.c" | head -n 1)
[ -n "$source" ] || die "no fuzz target '$name'; ./dev fuzz lists them"
need build fuzz
if [ ! -f build-fuzz/build.ninja ]; then
	CC=clang meson setup build-fuzz -Dfuzzers=true --buildtype=debugoptimized >&2
fi
ninja -C build-fuzz "fuzz-$name" >&2
mkdir -p build-fuzz/findings "build-fuzz/corpus-$name"
program=build-fuzz/fuzz-$name
[ -x "$program" ] || die "the build left no $program"
seeds=()
[ -d "tests/corpus/$name" ] && seeds=("tests/corpus/$name")
exec "$program" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix=build-fuzz/findings/ \
	"build-fuzz/corpus-$name" "${seeds[@]}"
