#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The runtime for a user without privileges: ranges of subuid(5), and a part of the cgroups that was given to the user.

load ../lib
load ../runc

USER_ID=12345

# The user is there for as long as this file's mount namespace, or machine.
prepare() {
	local file line
	make_root "$TEST_DIR/rootfs"
	mkdir -p "$TEST_DIR/home/state"
	cp -a "$TEST_DIR/rootfs" "$TEST_DIR/home/rootfs"
	chown -R $USER_ID:$USER_ID "$TEST_DIR/home"
	chmod 711 "$TEST_DIR"
	command -v newuidmap >/dev/null || return 0
	for file in passwd group shadow subuid subgid; do
		case $file in
		passwd) line="walter:x:$USER_ID:$USER_ID::$TEST_DIR/home:/bin/sh" ;;
		group) line="walter:x:$USER_ID:" ;;
		shadow) line="walter:*:19000::::::" ;;
		*) line="walter:200000:65536" ;;
		esac
		cp -p "/etc/$file" "$TEST_DIR/$file"
		echo "$line" >>"$TEST_DIR/$file"
		mount --bind "$TEST_DIR/$file" "/etc/$file"
	done
}

setup() {
	command -v newuidmap >/dev/null || skip "no uidmap"
	DELEGATED= WITHIN= RUNTIME_DIR=
}

teardown() {
	local id
	for id in $(ls "$TEST_DIR/home/state" 2>/dev/null); do runtime delete -f "$id" || true; done
	[ -z "$DELEGATED" ] || take_back
}

# Gives walter a part of all hierarchies: $GIVEN, with memory, pids and cpu; on v2 his processes are in $GIVEN/self, from
# where they may go to the others.
give() {
	local dir top=lodge-given-$$
	GIVEN=$top/walter DELEGATED=
	for dir in /sys/fs/cgroup /sys/fs/cgroup/{unified,memory,pids,cpu,cpu\,cpuacct,cpuacct,devices,freezer}; do
		case $(stat -f -c %T "$dir" 2>/dev/null) in
		cgroup2fs)
			mkdir "$dir/$top"
			! cgroup_v2 || echo "+memory +pids +cpu" >"$dir/$top/cgroup.subtree_control"
			mkdir -p "$dir/$GIVEN/self"
			chown $USER_ID "$dir/$GIVEN/"{self,self/cgroup.procs,cgroup.subtree_control,cgroup.procs}
			WITHIN=$dir/$GIVEN/self
			;;
		cgroupfs)
			mkdir -p "$dir/$GIVEN"
			chown $USER_ID "$dir/$GIVEN/"{cgroup.procs,tasks}
			;;
		*) continue ;;
		esac
		chown $USER_ID "$dir/$GIVEN"
		DELEGATED+=" $dir/$GIVEN $dir/$top"
	done
}

take_back() {
	local dir
	[ -z "$WITHIN" ] || within 5 rmdir "$WITHIN"
	WITHIN=
	for dir in $DELEGATED; do [ ! -e "$dir" ] || rmdir "$dir"; done
}

# the value that a container of walter's has in a file of v2 or of v1
limit_of() { # ID V2-FILE V1-CONTROLLER V1-FILE
	if cgroup_v2; then cat "/sys/fs/cgroup/$GIVEN/$1/$2"; else cat "/sys/fs/cgroup/$3/$GIVEN/$1/$4"; fi
}

# as_walter COMMAND...: with the user's ids, without any privilege; in the cgroup $WITHIN when that is set
as_walter() {
	(
		[ -z "$WITHIN" ] || echo $BASHPID >"$WITHIN/cgroup.procs"
		cd "$TEST_DIR/home"
		exec setpriv --reuid $USER_ID --regid $USER_ID --clear-groups \
			env -u XDG_RUNTIME_DIR HOME="$TEST_DIR/home" ${RUNTIME_DIR:+XDG_RUNTIME_DIR="$RUNTIME_DIR"} "$@"
	)
}

# The same for the runtime, whose state is the user's.
runtime() {
	as_walter "$LODGE_RUNC" --root "$TEST_DIR/home/state" "$@"
}

# ranged FILTER COMMAND...: a bundle whose 0 is the user and whose others are of the user's ranges
ranged() {
	local filter=$1
	shift
	as_walter rm -f config.json
	as_walter "$LODGE_RUNC" spec --rootless
	jq --argjson words "$(printf '%s\n' "$@" | jq -R . | jq -s .)" '.process.terminal = false | .root.readonly = false
		| .process.args = $words
		| .linux.uidMappings += [{containerID: 1, hostID: 200000, size: 65536}] | .linux.gidMappings = .linux.uidMappings
		| '"$filter" "$TEST_DIR/home/config.json" >"$TEST_DIR/c"
	cp "$TEST_DIR/c" "$TEST_DIR/home/config.json"
}

@test "ranges of ids: files, users, groups" {
	ranged '.process.capabilities |= map_values(. + ["CAP_CHOWN"])' sh -c 'xargs </proc/self/uid_map; xargs </proc/self/gid_map; touch /tmp/bobs; chown 1000:50 /tmp/bobs; id -u; cat /proc/self/setgroups'
	equal "0 $USER_ID 1 1 200000 65536 0 $USER_ID 1 1 200000 65536 0 allow" "$(runtime run one | xargs)"
	equal 200999:200049 "$(stat -c %u:%g "$TEST_DIR/home/rootfs/tmp/bobs")"
	rm "$TEST_DIR/home/rootfs/tmp/bobs"
	ranged '.process.user = {uid: 1000, gid: 1000, additionalGids: [50]}' sh -c 'id -u; id -g; id -G; touch /tmp/bobs'
	equal "1000 1000 1000 50" "$(runtime run one | xargs)"
	equal 200999:200999 "$(stat -c %u:%g "$TEST_DIR/home/rootfs/tmp/bobs")"
	[ -z "$(ls "$TEST_DIR/home/state")" ]
}

@test "ids that aren't the user's are refused" {
	ranged '.linux.uidMappings[1].hostID = 300000' true
	status=0; output=$(runtime run one 2>&1) || status=$?
	equal 1 $status
	[[ $output == *"cannot map the ids '0 $USER_ID 1,1 300000 65536'"*/etc/subuid* ]] || { echo "$output" >&2; return 1; }
	[ -z "$(ls "$TEST_DIR/home/state")" ]
}

@test "create, start, exec, kill, delete" {
	ranged '.process.user = {uid: 1000, gid: 1000}' sleep 1000
	runtime create --pid-file "$TEST_DIR/home/pid" one </dev/null >/dev/null 2>&1
	equal created "$(runtime state one | jq -r .status)"
	runtime start one
	equal "$(<"$TEST_DIR/home/pid") running" "$(runtime state one | jq -r '"\(.pid) \(.status)"')"
	equal walter "$(runtime list | awk '$1 == "one" { print $6 }')"
	equal 200999 "$(stat -c %u "/proc/$(<"$TEST_DIR/home/pid")")"
	equal 1000 "$(runtime exec one id -u)"
	equal "0 7" "$(runtime exec -u 0:7 one sh -c 'id -u; id -g' | xargs)"
	equal "runc" "$(runtime exec one hostname)"
	equal "1 sleep 1000" "$(runtime exec one ps -o pid,args | awk '$1 == 1 { print $1, $2, $3 }')"
	runtime exec -d --pid-file "$TEST_DIR/home/pid2" one sleep 2000 </dev/null >/dev/null 2>&1
	equal "sleep 2000" "$(xargs -0 <"/proc/$(<"$TEST_DIR/home/pid2")/cmdline")"
	status=0; runtime exec one sh -c 'exit 7' || status=$?
	equal 7 $status
	runtime kill one KILL
	within 5 eval '[ "$(runtime state one | jq -r .status)" = stopped ]'
	runtime delete one
	[ -z "$(ls "$TEST_DIR/home/state")" ]
	[ ! -e "/proc/$(<"$TEST_DIR/home/pid2")" ]
}

@test "limits in a part of the cgroups that was given to the user" {
	give
	ranged '.linux.cgroupsPath = "/'$GIVEN'/one" | .linux.resources = {memory: {limit: 33554432}, pids: {limit: 20},
		cpu: {shares: 512, quota: 50000, period: 100000}}' sleep 1000
	runtime run -d one </dev/null >/dev/null 2>&1
	equal 33554432 "$(limit_of one memory.max memory memory.limit_in_bytes)"
	equal 20 "$(limit_of one pids.max pids pids.max)"
	equal 512 "$(if cgroup_v2; then echo 512; else limit_of one - cpu cpu.shares; fi)"
	pid=$(runtime state one | jq .pid)
	grep -q "/$GIVEN/one" "/proc/$pid/cgroup"
	# they hold, for a process that exec brings, too
	status=0
	runtime exec one sh -c 'n=0; while [ $n -lt 30 ]; do sleep 5 & n=$((n + 1)); done' >"$TEST_DIR/said" 2>&1 || status=$?
	[ $status != 0 ] && grep -q "can't fork" "$TEST_DIR/said"
	status=0; runtime exec one sh -c 'dd if=/dev/zero of=/dev/null bs=64M count=1' || status=$?
	equal 137 $status
	runtime update --memory 67108864 --pids-limit 30 one
	equal "67108864 30" "$(limit_of one memory.max memory memory.limit_in_bytes) $(limit_of one pids.max pids pids.max)"
	runtime pause one
	equal paused "$(runtime state one | jq -r .status)"
	runtime resume one
	runtime ps one | grep -q 'sleep 1000'
	runtime events --stats one | jq -e '.data.pids.current > 0' >/dev/null
	runtime kill one KILL
	within 5 eval '[ "$(runtime state one | jq -r .status)" = stopped ]'
	runtime delete one
	[ -z "$(find /sys/fs/cgroup -path "*/$GIVEN/one")" ]
}

@test "v2: the cgroup lies beside the caller's when none is named; a controller that wasn't given" {
	cgroup_v2 || skip "no v2 tree with controllers"
	give
	ranged '.linux.resources.pids.limit = 9' cat /proc/self/cgroup
	equal 0::/ "$(runtime run one)"
	ranged '.linux.resources.pids.limit = 9' sleep 1000
	runtime run -d one </dev/null >/dev/null 2>&1
	equal 9 "$(limit_of one pids.max)"
	# from elsewhere: no right to move a process
	WITHIN= runtime exec one true 2>&1 | grep -q "stays outside of the container's cgroup"
	runtime delete -f one
	ranged '.linux.resources.cpu.cpus = "0"' true
	status=0; output=$(runtime run one 2>&1) || status=$?
	equal 1 $status
	[[ $output == *"cpuset-cpus isn't available: its controller isn't enabled for the cgroup '$GIVEN/one'"* ]] || { echo "$output" >&2; return 1; }
	[ ! -e "/sys/fs/cgroup/$GIVEN/one" ]
}

@test "without a part of the cgroups: nothing asked for works, limits and paths are refused" {
	ranged . true
	runtime run one
	ranged '.linux.resources.pids.limit = 9' true
	status=0; output=$(runtime run one 2>&1) || status=$?
	equal 1 $status
	[[ $output == *"rootless needs no limits + no cgrouppath when no permission is granted for cgroups"* ]] || { echo "$output" >&2; return 1; }
	ranged '.linux.cgroupsPath = "/lodge-nobodys"' true
	status=0; output=$(runtime run one 2>&1) || status=$?
	equal 1 $status
	[[ $output == *"no permission to make the cgroup 'lodge-nobodys'"* ]]
	[ -z "$(ls "$TEST_DIR/home/state")" ]
}

# --- systemd's manager of the user ---

# Starts it as logind would, without PAM and without a bus; walter's processes are in its part of the cgroups.
manager() {
	[ -d /run/systemd/system ] || skip "systemd isn't process 1"
	RUNTIME_DIR=/run/user/$USER_ID
	if ! systemctl is-active --quiet user@$USER_ID.service; then
		mkdir -p $RUNTIME_DIR /run/systemd/system/user{,-runtime-dir}@.service.d
		chown $USER_ID $RUNTIME_DIR
		printf 'account required pam_permit.so\nsession required pam_permit.so\n' >/etc/pam.d/systemd-user
		printf '[Service]\nExecStart=\nExecStart=/bin/true\n' >/run/systemd/system/user-runtime-dir@.service.d/test.conf
		printf '[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%%i\n' >/run/systemd/system/user@.service.d/test.conf
		systemctl daemon-reload
		systemctl start user@$USER_ID.service
	fi
	MANAGED=/user.slice/user-$USER_ID.slice/user@$USER_ID.service
	WITHIN=/sys/fs/cgroup$MANAGED/init.scope
}

# of a unit of walter's
property() {
	as_walter systemctl --user show -p "$1" --value "$UNIT"
}

@test "a service with Delegate=yes" {
	[ -d /run/systemd/system ] || skip "systemd isn't process 1"
	ranged '.linux.resources.pids.limit = 9' sh -c 'n=0; while [ $n -lt 20 ]; do sleep 5 & n=$((n + 1)); done'
	cat >"$TEST_DIR/service.sh" <<-'SCRIPT'
		cgroup=/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)
		mkdir "$cgroup/self" && echo $$ >"$cgroup/self/cgroup.procs"
		exec "$LODGE_RUNC" --root state run one
	SCRIPT
	# by a file: systemd-run needs a bus
	cat >/run/systemd/system/lodge-test.service <<-UNIT
		[Service]
		Type=oneshot
		User=$USER_ID
		Delegate=yes
		WorkingDirectory=$TEST_DIR/home
		Environment=LODGE_RUNC=$LODGE_RUNC
		StandardOutput=file:$TEST_DIR/said
		StandardError=inherit
		ExecStart=/bin/bash $TEST_DIR/service.sh
	UNIT
	systemctl daemon-reload
	status=0
	systemctl start lodge-test.service || status=$?
	rm /run/systemd/system/lodge-test.service
	[ $status != 0 ] && grep -q "can't fork" "$TEST_DIR/said" || { cat "$TEST_DIR/said" >&2; return 1; }
	[ -z "$(ls "$TEST_DIR/home/state")" ]
}

@test "--systemd-cgroup: a scope of the user's own manager" {
	manager
	ranged '.linux.resources = {memory: {limit: 33554432}, pids: {limit: 20}}' sleep 1000
	runtime --systemd-cgroup run -d one </dev/null >/dev/null 2>&1 ||
		{ runtime --systemd-cgroup run -d one </dev/null; false; }
	UNIT=runc-one.scope
	equal "$MANAGED/user.slice/$UNIT active yes" "$(property ControlGroup) $(property ActiveState) $(property Delegate)"
	equal "33554432 20" "$(property MemoryMax) $(property TasksMax)"
	CG=/sys/fs/cgroup$MANAGED/user.slice/$UNIT
	equal "33554432 20" "$(cat "$CG"/{memory.max,pids.max} | xargs)"
	equal "$(runtime state one | jq .pid)" "$(cat "$CG/cgroup.procs")"
	equal 0::/ "$(runtime exec one cat /proc/self/cgroup)"
	status=0
	runtime exec one sh -c 'n=0; while [ $n -lt 30 ]; do sleep 5 & n=$((n + 1)); done' >"$TEST_DIR/said" 2>&1 || status=$?
	[ $status != 0 ] && grep -q "can't fork" "$TEST_DIR/said"
	runtime update --pids-limit 30 one
	equal "30 30" "$(property TasksMax) $(cat "$CG/pids.max")"
	runtime pause one
	equal paused "$(runtime state one | jq -r .status)"
	runtime resume one
	runtime kill one KILL
	within 5 eval '[ "$(runtime state one | jq -r .status)" = stopped ]'
	runtime delete one
	equal inactive "$(property ActiveState)"
	[ ! -e "$CG" ]
}

@test "--systemd-cgroup: a slice of the user's; no manager" {
	manager
	ranged '.linux.cgroupsPath = "lodge-test.slice:lodge:two"' cat /proc/self/cgroup
	equal 0::/ "$(runtime --systemd-cgroup run two)"
	ranged '.linux.cgroupsPath = "lodge-test.slice:lodge:two"' sleep 1000
	runtime --systemd-cgroup run -d two </dev/null >/dev/null 2>&1
	UNIT=lodge-two.scope
	equal "$MANAGED/lodge.slice/lodge-test.slice/$UNIT" "$(property ControlGroup)"
	# found without XDG_RUNTIME_DIR, too
	RUNTIME_DIR= runtime delete -f two
	equal inactive "$(property ActiveState)"
	RUNTIME_DIR=$TEST_DIR/home
	status=0; output=$(runtime --systemd-cgroup run two 2>&1) || status=$?
	equal 1 $status
	[[ $output == *"systemd support for managing cgroups is not available"* ]] || { echo "$output" >&2; return 1; }
}
