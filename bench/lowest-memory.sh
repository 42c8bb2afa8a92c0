#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# lowest-memory.sh LODGE IMAGE.tar: the smallest -m, in KiB, with which a guest still runs /bin/true.
set -eu
lodge=$1
export LODGE_ROOT=$TEST_DIR/root LODGE_RUN=$TEST_DIR/run
"$lodge" image import "$2" bb >/dev/null
lowest=
for kib in 4096 2048 1024 768 512 448 384 320 256; do
	# three times: it must hold, not happen
	for _ in 1 2 3; do
		"$lodge" run --rm --network none -m ${kib}k bb /bin/true >/dev/null 2>&1 || break 2
	done
	lowest=$kib
done
echo "${lowest:-999999}"
