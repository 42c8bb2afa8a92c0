#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check.sh: all that can be said about the source without running a guest.
set -u
. tools/lib.sh

rc=0
check() {
	"$@" || rc=1
}
check tools/check-layers
check tools/check-syntax
check tools/check-help
check tools/gen-readme --check
exit $rc
