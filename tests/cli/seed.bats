#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# cloud-init's seeds against the programs that are the measure: cloud-init itself, isoinfo, mount, cloud-localds.
load ../lib

prepare() {
	ssh-keygen -q -t ed25519 -N '' -f "$TEST_DIR/key"
}

seed() {
	"$SEED_TOOL" "$@"
}

@test "cloud-init's schema says of the same files that they are good, or bad" {
	command -v cloud-init >/dev/null || skip "no cloud-init"
	for f in "$TOP"/tests/seed/*.yaml; do
		ours=0 theirs=0
		said=$(seed check user-data "$f" 2>&1) || ours=$?
		cloud-init schema -c "$f" >/dev/null 2>&1 || theirs=$?
		case ${f##*/} in
		good-*) [ $ours = 0 ] && [ $theirs = 0 ] && [ -z "$said" ] ;;
		bad-*) [ $ours = 1 ] && [ $theirs != 0 ] && [[ $said == "user-data '$f' line "*", column "* ]] ;;
		# newer versions refuse what older ones pass over
		warn-*) [ $ours = 0 ] && [[ $said == *"unknown key"* ]] ;;
		*) false ;;
		esac || { echo "$f: ours $ours, theirs $theirs: $said"; false; }
	done
}

@test "the line of a fault is the one that cloud-init marks" {
	command -v cloud-init >/dev/null || skip "no cloud-init"
	for name in bad-type bad-enum bad-number bad-bool bad-null bad-power; do
		f=$TOP/tests/seed/$name.yaml
		theirs=$(cloud-init schema -c "$f" --annotate 2>/dev/null | grep -n '# E1' | head -n 1 | cut -d : -f 1)
		ours=$(seed check user-data "$f" 2>&1 | sed 's/.* line \([0-9]*\),.*/\1/')
		# a value that begins below its key is marked at the key by theirs
		[ "$ours" = "$theirs" ] || [ "$ours" = $((theirs + 1)) ] || { echo "$name: $ours, theirs $theirs"; false; }
	done
}

@test "a CD that isoinfo, blkid and mount read, with the user's bytes" {
	seed make nocloud "$TEST_DIR/s.iso" id=i-1 host=box user-data="$TOP/tests/seed/good-many.yaml" key="$TEST_DIR/key.pub" report
	equal 600 "$(stat -c %a "$TEST_DIR/s.iso")"
	isoinfo -d -i "$TEST_DIR/s.iso" | grep -x 'Volume id: cidata'
	isoinfo -d -i "$TEST_DIR/s.iso" | grep -q 'Joliet with UCS level 3'
	isoinfo -d -i "$TEST_DIR/s.iso" | grep -q 'Rock Ridge signatures'
	equal cidata "$(blkid -o value -s LABEL "$TEST_DIR/s.iso")"
	for form in -R -J; do
		equal "/meta-data /user-data /vendor-data" "$(isoinfo $form -f -i "$TEST_DIR/s.iso" | sort | xargs)"
		isoinfo $form -x /user-data -i "$TEST_DIR/s.iso" | cmp - "$TOP/tests/seed/good-many.yaml"
	done
	isoinfo -R -x /meta-data -i "$TEST_DIR/s.iso" | grep -qF "$(cut -d ' ' -f 2 "$TEST_DIR/key.pub")"
	seed make config-drive "$TEST_DIR/c.iso" id=i-1 user-data="$TOP/tests/seed/good-many.yaml"
	equal config-2 "$(blkid -o value -s LABEL "$TEST_DIR/c.iso")"
	isoinfo -R -x /openstack/latest/user_data -i "$TEST_DIR/c.iso" | cmp - "$TOP/tests/seed/good-many.yaml"
	isoinfo -R -x /openstack/latest/meta_data.json -i "$TEST_DIR/c.iso" | jq -e '.uuid == "i-1"'
	rm "$TEST_DIR"/*.iso
}

@test "the same files as cloud-localds makes of them" {
	command -v cloud-localds >/dev/null || skip "no cloud-localds"
	printf 'version: 2\nethernets: {}\n' >"$TEST_DIR/net"
	seed make nocloud "$TEST_DIR/s.iso" id=i-1 host=box user-data="$TOP/tests/seed/good-users.yaml" network-config="$TEST_DIR/net"
	isoinfo -R -x /meta-data -i "$TEST_DIR/s.iso" >"$TEST_DIR/meta"
	cloud-localds -N "$TEST_DIR/net" "$TEST_DIR/t.iso" "$TOP/tests/seed/good-users.yaml" "$TEST_DIR/meta"
	equal "$(isoinfo -R -f -i "$TEST_DIR/t.iso" | sort)" "$(isoinfo -R -f -i "$TEST_DIR/s.iso" | sort)"
	for f in $(isoinfo -R -f -i "$TEST_DIR/t.iso"); do
		cmp <(isoinfo -R -x "$f" -i "$TEST_DIR/t.iso") <(isoinfo -R -x "$f" -i "$TEST_DIR/s.iso")
	done
	rm "$TEST_DIR"/*.iso "$TEST_DIR/net" "$TEST_DIR/meta"
}

@test "cloud-init reads our vendor-data's parts" {
	command -v cloud-init >/dev/null || skip "no cloud-init"
	printf '#!/bin/sh\necho "given: ä"\n' >"$TEST_DIR/v"
	seed make nocloud "$TEST_DIR/s.iso" id=i-1 vendor-data="$TEST_DIR/v" user=alice password='$6$a$b' report
	isoinfo -R -x /vendor-data -i "$TEST_DIR/s.iso" >"$TEST_DIR/vendor"
	python3 - "$TEST_DIR/vendor" "$TEST_DIR/v" <<-'END'
		import email, sys, yaml
		parts = email.message_from_bytes(open(sys.argv[1], 'rb').read()).get_payload()
		types = [p.get_content_type() for p in parts]
		assert types == ['text/plain', 'text/cloud-config', 'text/cloud-boothook'], types
		assert parts[0].get_payload(decode=True) == open(sys.argv[2], 'rb').read()
		user = yaml.safe_load(parts[1].get_payload())['user']
		assert user == {'name': 'alice', 'lock_passwd': False, 'passwd': '$6$a$b'}, user
		hook = parts[2].get_payload()
		assert hook.startswith('#cloud-boothook\n#!/bin/sh\n')
		open(sys.argv[1], 'w').write(hook)
	END
	sh -n "$TEST_DIR/vendor"
	rm "$TEST_DIR"/s.iso "$TEST_DIR/v" "$TEST_DIR/vendor"
}

@test "a seed that can't be right isn't written" {
	printf '#cloud-config\nusers: [\n' >"$TEST_DIR/u"
	run seed make nocloud "$TEST_DIR/s.iso" id=i-1 user-data="$TEST_DIR/u"
	[ "$status" = 1 ]
	equal "user-data '$TEST_DIR/u' line 3, column 1: did not find expected node content" "$output"
	run seed make nocloud "$TEST_DIR/s.iso" id=i-1 key="$TEST_DIR/key"
	[ "$status" = 1 ]
	[[ $output == *"is a private key; give the public one"* ]]
	equal "" "$(find "$TEST_DIR" -maxdepth 1 -name 's.iso*')"
	rm "$TEST_DIR/u"
}
