#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tour.sh: runs the tour of README.md with build/lodge in a store of its own and records what it prints in
# tools/tour.out. The image is the one that `./dev run` made, when it is there.
set -euo pipefail
lodge=$PWD/build/lodge
dir=$(mktemp -d /var/tmp/lodge-tour.XXXXXX)
trap '"$lodge" ls -aq | xargs -r "$lodge" rm -f >/dev/null 2>&1; umount "$dir"/run/layers/* "$dir"/run/layers 2>/dev/null; rm -rf "$dir"' EXIT

"$lodge" image inspect debian:12 >/dev/null 2>&1 || "$lodge" image build-from-mirror debian:12
"$lodge" image save -o "$dir/debian.tar" debian:12
export LODGE_ROOT=$dir/root LODGE_RUN=$dir/run
"$lodge" image import "$dir/debian.tar" >/dev/null

# the first machine says more, and prepares the kernel
"$lodge" run --rm --vm --network none debian:12 true >/dev/null 2>&1

tour() {
	local line
	while IFS= read -r line; do
		[ -n "$line" ] || continue
		printf '# %s\n' "$line"
		eval "${line//lodge /\"\$lodge\" }" 2>&1
	done
}
tour >tools/tour.out <<'TOUR'
lodge image ls
lodge run --rm debian:12 cat /etc/debian_version
lodge run -d --name web -p 8080:80 -m 64m debian:12 sh -c 'echo up; exec sleep 1000'
lodge ls
lodge port web
lodge exec web sh -c 'cat /proc/1/cmdline | tr "\0" " "; hostname -i'
lodge logs -t web
lodge rm -f web
lodge run --rm --vm debian:12 uname -r
lodge explain run --rm --network none -m 64m debian:12 true | cut -c 1-96 | tail -n 7
lodge system df
TOUR
