#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Sigstore signatures beside an image, made by the program openssl as cosign makes them: policy.json's "sigstoreSigned".
load ../lib
load ../registry

R=127.0.0.1:5000
KIND=application/vnd.dev.cosign.simplesigning.v1+json

prepare() {
	mkdir -p "$CONF/registries.d" "$XDG_RUNTIME_DIR" "$TEST_DIR/keys"
	BYTES=1000 layered "$TEST_DIR/layout" img
	cd "$TEST_DIR/keys"
	openssl ecparam -name prime256v1 -genkey -noout -out ec.key
	openssl ecparam -name prime256v1 -genkey -noout -out other.key
	openssl genrsa -out rsa.key 2048 2>/dev/null
	openssl genpkey -algorithm ed25519 -out ed.key
	for k in ec other rsa ed; do openssl pkey -in $k.key -pubout -out $k.pub; done
	printf 'docker:\n  127.0.0.1:5000:\n    use-sigstore-attachments: true\n' >"$CONF/registries.d/x.yaml"
}

setup() {
	rm -rf "$TEST_DIR/reg5000"
	registry 5000
	rm -f "$CONF/policy.json"
	skopeo --insecure-policy copy -q --dest-tls-verify=false "oci:$TEST_DIR/layout:img" docker://$R/app:1
	DIGEST=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' docker://$R/app:1)
	: >"$TEST_DIR/layers"
}

blob() { # FILE: into the repository; prints its digest
	local digest to
	digest=sha256:$(sha256sum "$1" | cut -d ' ' -f 1)
	to=$(curl -sfi -X POST "http://$R/v2/app/blobs/uploads/" | tr -d '\r' | awk 'tolower($1) == "location:" { print $2 }')
	curl -sf -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" "$to&digest=$digest"
	echo "$digest"
}

payload() { # REFERENCE [DIGEST]
	printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}' \
		"$1" "${2:-$DIGEST}" >"$TEST_DIR/payload"
}

# sign KEY: one more layer with the payload and its signature
sign() {
	local key=$TEST_DIR/keys/$1.key sig
	if [ "$1" = ed ]; then
		sig=$(openssl pkeyutl -sign -rawin -inkey "$key" -in "$TEST_DIR/payload" | base64 -w 0)
	else
		sig=$(openssl dgst -sha256 -sign "$key" "$TEST_DIR/payload" | base64 -w 0)
	fi
	layer "$sig" "$(blob "$TEST_DIR/payload")"
}

layer() { # SIGNATURE DIGEST
	jq -nc --arg t "${TYPE:-$KIND}" --arg s "$1" --arg d "$2" --argjson n "$(stat -c %s "$TEST_DIR/payload")" \
		'{mediaType: $t, digest: $d, size: $n, annotations: {"dev.cosignproject.cosign/signature": $s}}' >>"$TEST_DIR/layers"
}

# attach: the layers so far become the attachment
attach() {
	local config
	printf '{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":[]},"config":{}}' >"$TEST_DIR/config"
	config=$(blob "$TEST_DIR/config")
	jq -sc --arg d "$config" --argjson n "$(stat -c %s "$TEST_DIR/config")" \
		'{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json",
		config: {mediaType: "application/vnd.oci.image.config.v1+json", digest: $d, size: $n}, layers: .}' \
		"$TEST_DIR/layers" >"$TEST_DIR/manifest"
	curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$TEST_DIR/manifest" \
		"http://$R/v2/app/manifests/${DIGEST/:/-}.sig"
	: >"$TEST_DIR/layers"
}

# policy MEMBERS: the rule's, beside its type
policy() {
	echo "{\"default\": [{\"type\": \"reject\"}], \"transports\": {\"docker\": {\"$R\": [{\"type\": \"sigstoreSigned\", $1}]}}}" \
		>"$CONF/policy.json"
}

pull() {
	lodge image pull -q $R/app:1
}

pulls() {
	equal $R/app:1 "$(pull)"
	lodge image rm $R/app:1 >/dev/null
}

key() { printf '"keyPath": "%s"' "$TEST_DIR/keys/$1.pub"; }

@test "a signature by the key of the policy: ECDSA, RSA, Ed25519" {
	payload $R/app:1
	for k in ec rsa ed; do
		policy "$(key $k)"
		sign $k
		attach
		pulls
	done
	# as data, and one of several
	policy "\"keyData\": \"$(base64 -w 0 "$TEST_DIR/keys/ed.pub")\""
	pulls
	policy "\"keyDatas\": [\"$(base64 -w 0 "$TEST_DIR/keys/ec.pub")\", \"$(base64 -w 0 "$TEST_DIR/keys/ed.pub")\"]"
	pulls
	policy "\"keyPaths\": [\"$TEST_DIR/keys/ec.pub\", \"$TEST_DIR/keys/ed.pub\"]"
	pulls
	policy "\"keyPaths\": [\"$TEST_DIR/keys/ec.pub\", \"$TEST_DIR/keys/rsa.pub\"]"
	fails 1 "isn't one of the keys" pull
	# any of several signatures
	sign other
	sign ec
	attach
	pulls
	# the other dialect asks the same policy
	"$LODGE" skopeo copy -q --remove-signatures --src-tls-verify=false docker://$R/app:1 "oci:$TEST_DIR/out:1"
	policy "$(key rsa)"
	run -1 "$LODGE" skopeo copy -q --src-tls-verify=false docker://$R/app:1 "oci:$TEST_DIR/out:1"
	[[ $output == *"Source image rejected"*"no sigstore signature of '$R/app:1' fits"* ]]
}

@test "no signature, another's, another image's, one that was changed" {
	policy "$(key ec)"
	fails 1 "has no sigstore signature" pull
	payload $R/app:1
	sign other
	attach
	fails 1 "isn't one of the keys" pull
	payload $R/app:1 sha256:$(printf '0%.0s' {1..64})
	sign ec
	attach
	fails 1 "the image is" pull
	# a signature under another text
	payload $R/app:1
	sig=$(openssl dgst -sha256 -sign "$TEST_DIR/keys/ec.key" "$TEST_DIR/payload" | base64 -w 0)
	payload $R/app:1 sha256:$(printf '1%.0s' {1..64})
	layer "$sig" "$(blob "$TEST_DIR/payload")"
	attach
	fails 1 "isn't one of the keys" pull
	# a text that is none, by the right key
	printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":"%s"},"type":"atomic container signature"},"optional":{}}' \
		$R/app:1 "$DIGEST" >"$TEST_DIR/payload"
	sign ec
	attach
	fails 1 "isn't that of a container's signature" pull
	# a layer of another type is no signature
	payload $R/app:1
	TYPE=application/octet-stream sign ec
	attach
	fails 1 "has no sigstore signature" pull
	sign ec
	attach
	pulls
	# the same, but nobody asked for attachments to be looked at
	mv "$CONF/registries.d/x.yaml" "$TEST_DIR/x.yaml"
	fails 1 "use-sigstore-attachments" pull
	printf 'docker:\n  %s/app:\n    lookaside: file:///none\n' $R >"$CONF/registries.d/y.yaml"
	fails 1 "has no sigstore signature" pull
	rm "$CONF/registries.d/y.yaml"
	mv "$TEST_DIR/x.yaml" "$CONF/registries.d/x.yaml"
}

@test "the name that was signed: with a tag, without, another" {
	payload $R/app:2
	sign ec
	attach
	policy "$(key ec)"
	fails 1 "the signature is for '$R/app:2'" pull
	policy "$(key ec), \"signedIdentity\": {\"type\": \"matchRepository\"}"
	pulls
	# by its digest, any tag is right
	policy "$(key ec)"
	lodge image pull -q "$R/app@$DIGEST"
	lodge image rm "$R/app@$DIGEST"
	# cosign signs the repository only
	payload $R/app
	sign ec
	attach
	policy "$(key ec)"
	fails 1 "the signature is for '$R/app'" pull
	policy "$(key ec), \"signedIdentity\": {\"type\": \"matchRepository\"}"
	pulls
	payload example.com/upstream
	sign ec
	attach
	fails 1 "the signature is for 'example.com/upstream'" pull
	policy "$(key ec), \"signedIdentity\": {\"type\": \"exactRepository\", \"dockerRepository\": \"example.com/upstream\"}"
	pulls
}

@test "keys that are none, and what can't be checked" {
	payload $R/app:1
	sign ec
	attach
	policy '"keyPath": "/none.pub"'
	fails 1 "cannot read the key '/none.pub'" pull
	policy "\"keyPath\": \"$TEST_DIR/keys/ec.key\""
	fails 1 "no public key in PEM" pull
	policy '"fulcio": {"caPath": "/ca", "oidcIssuer": "https://x/", "subjectEmail": "a@b"}, "rekorPublicKeyPath": "/r"'
	fails 1 "wants sigstore's 'fulcio'" pull
	policy "$(key ec), \"rekorPublicKeyPath\": \"/r\""
	fails 1 "wants sigstore's 'rekorPublicKeyPath'" pull
	policy '"pki": {"caRootsPath": "/ca", "subjectEmail": "a@b"}'
	fails 1 "wants sigstore's 'pki'" pull
	policy "$(key ec), \"keyData\": \"QQ==\""
	fails 1 "needs one of" pull
	policy "$(key ec)"
	pulls
	# an attachment that is something else
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}' >"$TEST_DIR/index"
	curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary "@$TEST_DIR/index" \
		"http://$R/v2/app/manifests/${DIGEST/:/-}.sig"
	fails 1 "not an image of OCI" pull
	store_is_whole
}

# attached REPOSITORY: how many signatures the image has there
attached() {
	curl -sf -H "Accept: application/vnd.oci.image.manifest.v1+json" "http://$R/v2/$1/manifests/${DIGEST/:/-}.sig" | jq '.layers | length'
}

@test "copies and sync carry signatures along, through registries and folders, and skopeo does so with ours" {
	local copy="$LODGE skopeo --insecure-policy copy -q --src-tls-verify=false --dest-tls-verify=false"
	local theirs="skopeo --insecure-policy --registries.d $CONF/registries.d copy -q --src-tls-verify=false --dest-tls-verify=false"
	payload $R/app:1
	sign ec
	sign rsa
	attach
	$copy docker://$R/app:1 docker://$R/second:1
	equal 2 "$(attached second)"
	# the same once more are no more
	$copy docker://$R/app:1 docker://$R/second:1
	equal 2 "$(attached second)"
	$copy docker://$R/second:1 "dir:$TEST_DIR/dir"
	equal sigstore-json "$(head -n 1 "$TEST_DIR/dir/signature-1" | tr -d '\0')"
	equal "$KIND" "$(tail -n +2 "$TEST_DIR/dir/signature-2" | jq -r .mimeType)"
	$copy "dir:$TEST_DIR/dir" docker://$R/third:1
	$theirs "dir:$TEST_DIR/dir" docker://$R/fourth:1
	$theirs docker://$R/third:1 "dir:$TEST_DIR/theirs"
	cmp <(tail -n +2 "$TEST_DIR/dir/signature-2" | jq -S .) <(tail -n +2 "$TEST_DIR/theirs/signature-2" | jq -S .)
	"$LODGE" skopeo --insecure-policy sync --src docker --dest docker --src-tls-verify=false --dest-tls-verify=false \
		$R/app:1 $R/fifth 2>/dev/null >/dev/null
	for name in second third fourth fifth/app; do
		equal 2 "$(attached $name)"
		echo "{\"default\": [{\"type\": \"reject\"}], \"transports\": {\"docker\": {\"$R\": [{\"type\": \"sigstoreSigned\", $(key ec),
			\"signedIdentity\": {\"type\": \"exactReference\", \"dockerReference\": \"$R/app:1\"}}]}}}" >"$CONF/policy.json"
		lodge image pull -q $R/$name:1
		lodge image rm $R/$name:1 >/dev/null
	done
	rm "$CONF/policy.json"
	# what can't keep them says so, as skopeo does
	for run in "$copy" "$theirs"; do
		run -1 $run docker://$R/app:1 "oci:$TEST_DIR/oci:1"
		[[ $output == *"Can not copy signatures"* ]]
	done
	run -1 $copy --dest-compress-format zstd docker://$R/app:1 docker://$R/sixth:1
	[[ $output == *"Can not copy signatures"* ]]
	$copy --remove-signatures docker://$R/app:1 docker://$R/sixth:1
	equal "" "$(attached sixth)"
	# nor where nobody has said that there are such
	mkdir "$TEST_DIR/none"
	run -1 "$LODGE" skopeo --insecure-policy --registries.d "$TEST_DIR/none" copy -q --dest-tls-verify=false "dir:$TEST_DIR/dir" \
		docker://$R/sixth:2
	[[ $output == *"sigstore signatures"*"disabled"* ]]
	# a file that says it is one and isn't
	printf '\0sigstore-json\n{"mimeType": 1}' >"$TEST_DIR/dir/signature-1"
	run -1 $copy "dir:$TEST_DIR/dir" docker://$R/sixth:3
	[[ $output == *"the signature 'signature-1'"*"it lacks its type"* ]]
	rm -rf "$TEST_DIR"/{dir,theirs,oci,none}
}
