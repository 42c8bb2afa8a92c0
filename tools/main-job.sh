#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The main job, from an empty machine to a container that answers: main-job.sh LODGE
set -euo pipefail
lodge=$(readlink -f "$1")
image=debian:12
main=dev-main web=dev-web

[ "$(id -u)" = 0 ] || { echo "main-job: needs root for the container; try: sudo ./dev run" >&2; exit 1; }

run() {
	printf '\n\033[1m$ lodge %s\033[0m\n' "$*"
	"$lodge" "$@"
}
quietly() {
	"$lodge" "$@" >/dev/null 2>&1 || true
}

# An interrupted run may have left its guests.
quietly rm -f $main $web

if ! "$lodge" image inspect $image >/dev/null 2>&1; then
	run image build-from-mirror $image
fi

# What a guest is: its own system, name, address and limits.
# shellcheck disable=SC2016 # to be expanded in the guest
report='
. /etc/os-release
echo "system     $PRETTY_NAME"
echo "host name  $(hostname)"
echo "address    $(hostname -I)"
if [ -f /sys/fs/cgroup/memory.max ]; then
	echo "memory     $(cat /sys/fs/cgroup/memory.max) bytes"
	echo "processes  $(cat /sys/fs/cgroup/pids.max)"
	echo "cpu        $(cat /sys/fs/cgroup/cpu.max) microseconds"
else
	echo "memory     $(cat /sys/fs/cgroup/memory/memory.limit_in_bytes) bytes"
	echo "processes  $(cat /sys/fs/cgroup/pids/pids.max)"
	echo "cpu        $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) $(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us) microseconds"
fi
echo "files      $(ulimit -n)"
'
printf '\n\033[1m$ lodge run --name %s --hostname guest -m 256m --cpus 0.5 --pids-limit 100 %s sh -c ...\033[0m\n' $main $image
"$lodge" run --name $main --hostname guest -m 256m --cpus 0.5 --pids-limit 100 --ulimit nofile=512:512 \
	$image sh -c "$report"

# A server in the guest (perl is in every Debian) and a request from the host.
# shellcheck disable=SC2016
server='
use IO::Socket::INET;
my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 8, ReuseAddr => 1) or die "listen: $!";
$SIG{TERM} = sub { exit 0 };
while (my $c = $s->accept) {
	while (defined(my $l = <$c>)) { last if $l =~ /^\r?$/ }
	my $text = "hello from " . `hostname`;
	print $c "HTTP/1.0 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text";
	close $c;
}
'
printf '\n\033[1m$ lodge run -d --name %s --hostname web -p 127.0.0.1::80 %s perl -e ...\033[0m\n' $web $image
"$lodge" run -d --name $web --hostname web -p 127.0.0.1::80 $image perl -e "$server"
trap 'quietly stop $web' EXIT

run port $web
address=$("$lodge" port $web 80 | head -n 1)

fetch() {
	exec 3<>"/dev/tcp/${address%:*}/${address##*:}" || return 1
	printf 'GET / HTTP/1.0\r\n\r\n' >&3
	tail -n 1 <&3
	exec 3>&-
}
printf '\n\033[1m$ GET http://%s/\033[0m\n' "$address"
answer=
for _ in $(seq 50); do
	if answer=$(fetch 2>/dev/null) && [ -n "$answer" ]; then
		break
	fi
	sleep 0.1
done
[ -n "$answer" ] || { echo "main-job: no answer at $address" >&2; "$lodge" logs $web >&2; exit 1; }
echo "$answer"

# the same image with a kernel of its own
if command -v qemu-system-x86_64 >/dev/null; then
	run run --rm --vm $image uname -srm
fi

run ls -a
