/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "image/policy-priv.h"

static int check(const char *json, const char *transport, const char *scope)
{
	_cleanup_(policy_freep) struct policy *p = NULL;
	struct policy_image i = { .transport = transport, .scope = scope, .reference = scope };
	struct err e = { 0 };

	g_assert_cmpint(policy_parse(json, strlen(json), &p, &e), ==, 0);
	return policy_check(p, &i, &e);
}

#define YES	 "[{\"type\":\"insecureAcceptAnything\"}]"
#define SIGSTORE "{\"type\":\"sigstoreSigned\","
#define NO	 "[{\"type\":\"reject\"}]"

/* Only the most precise requirements count. */
static void test_scopes(void)
{
	static const char json[] =
		"{\"default\":" NO ",\"transports\":{"
		"\"docker\":{\"docker.io/library/a\":" YES ",\"docker.io/library/a:2\":" NO
		",\"r.com:5000\":" YES ",\"r.com:5000/no\":" NO ",\"*.w.com\":" YES "},"
		"\"dir\":{\"/ok\":" YES ",\"/ok/not\":" NO "},\"oci\":{\"\":" YES "}}}";
	static const struct {
		const char *transport, *scope;
		bool yes;
	} rows[] = {
		{ "docker", "docker.io/library/a:1", true },
		{ "docker", "docker.io/library/a:2", false },
		{ "docker", "docker.io/library/ab:1", false },
		{ "docker", "r.com:5000/x/y:1", true },
		{ "docker", "r.com:5000/no/y@sha256:00", false },
		{ "docker", "r.com/x:1", false },
		{ "docker", "b.a.w.com/x:1", true },
		{ "docker", "b.a.w.com:80/x:1", true },
		{ "docker", "w.com/x:1", false },
		{ "dir", "/ok/x", true },
		{ "dir", "/ok/not/x", false },
		{ "dir", "/okay", false },
		{ "oci", "/any", true },
		{ "docker-archive", "", false },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		int r = check(json, rows[i].transport, rows[i].scope);

		if ((r >= 0) != rows[i].yes)
			g_test_message("%s:%s", rows[i].transport, rows[i].scope);
		g_assert_cmpint(r, ==, rows[i].yes ? 0 : -EPERM);
	}
}

static void test_strict(void)
{
	static const char *const bad[] = { "{}", "[]", "{\"default\":[]}",
		"{\"default\":" YES ",\"x\":1}", "{\"default\":" YES ",\"default\":" NO "}",
		"{\"default\":[{\"type\":\"other\"}]}",
		"{\"default\":[{\"type\":\"reject\",\"x\":1}]}",
		"{\"default\":[{\"type\":\"signedBy\"}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"a\","
		"\"keyData\":\"b\"}]}",
		"{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPath\":\"a\","
		"\"signedIdentity\":{\"type\":\"exactReference\"}}]}",
		"{\"default\":[{\"type\":\"sigstoreSigned\"}]}",
		"{\"default\":[" SIGSTORE "\"keyPath\":\"\"}]}",
		"{\"default\":[" SIGSTORE "\"keyPaths\":[]}]}",
		"{\"default\":[" SIGSTORE "\"keyDatas\":[1]}]}",
		"{\"default\":[" SIGSTORE "\"keyPath\":\"a\",\"keyDatas\":[\"b\"]}]}",
		"{\"default\":[" SIGSTORE "\"keyPath\":\"a\",\"pki\":{}}]}",
		"{\"default\":[" SIGSTORE "\"fulcio\":{}}]}",
		"{\"default\":[" SIGSTORE "\"keyPath\":\"a\",\"rekor\":\"b\"}]}",
		"{\"default\":[" SIGSTORE
		"\"keyPath\":\"a\",\"signedIdentity\":{\"type\":\"x\"}}]}" };
	static const char *const unsupported[] = { "{\"default\":[" SIGSTORE "\"pki\":{}}]}",
		"{\"default\":[" SIGSTORE "\"fulcio\":{},\"rekorPublicKeyPath\":\"x\"}]}",
		"{\"default\":[" SIGSTORE "\"keyPath\":\"/none\",\"rekorPublicKeyData\":\"x\"}]}" };

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		struct policy *p = NULL;
		struct err e = { 0 };

		g_assert_cmpint(policy_parse(bad[i], strlen(bad[i]), &p, &e), ==, -E_INVALID);
	}
	/* what can't be checked is no yes */
	for (unsigned i = 0; i < G_N_ELEMENTS(unsupported); i++)
		g_assert_cmpint(check(unsupported[i], "docker", "a/b:1"), ==, -E_UNSUPPORTED);
	g_assert_cmpint(
		check("{\"default\":[" SIGSTORE "\"keyPath\":\"/none\"}]}", "docker", "a/b:1"), ==,
		-EIO);
	g_assert_cmpint(
		check("{\"default\":[" SIGSTORE "\"keyData\":\"bm9uZQ==\"}]}", "docker", "a/b:1"),
		==, -E_INVALID);
	g_assert_cmpint(check("{\"default\":[{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\","
			      "\"keyPath\":\"a\"}]}",
				"docker", "a/b:1"),
		==, -EPERM);
}

static void test_identities(void)
{
#define DIGEST "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	static const struct {
		const char *id, *image, *claimed;
		bool yes;
	} rows[] = {
		{ NULL, "r.com/a:1", "r.com/a:1", true },
		{ NULL, "r.com/a:1", "r.com/a:2", false },
		{ NULL, "r.com/a" DIGEST, "r.com/a:2", true },
		{ NULL, "r.com/a:1", "r.com/a", false },
		{ NULL, NULL, "r.com/a:1", false },
		{ NULL, "r.com/a" DIGEST, "r.com/a", false },
		{ "{\"type\":\"matchExact\"}", "r.com/a:1", "r.com/a", false },
		{ "{\"type\":\"matchRepository\"}", "r.com/a:1", "r.com/a", true },
		{ "{\"type\":\"exactRepository\",\"dockerRepository\":\"x.com/a\"}", NULL,
			"x.com/a", true },
		{ "{\"type\":\"matchExact\"}", "r.com/a" DIGEST, "r.com/a:2", false },
		{ "{\"type\":\"matchRepository\"}", "r.com/a:1", "r.com/a:2", true },
		{ "{\"type\":\"matchRepository\"}", "r.com/a:1", "r.com/b:1", false },
		{ "{\"type\":\"exactReference\",\"dockerReference\":\"x.com/a:1\"}", NULL,
			"x.com/a:1", true },
		{ "{\"type\":\"exactRepository\",\"dockerRepository\":\"x.com/a\"}", NULL,
			"x.com/a:9", true },
		{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5/v\",\"signedPrefix\":\"v.com\"}",
			"m:5/v/p/i:1", "v.com/p/i:1", true },
		{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5/v\",\"signedPrefix\":\"v.com\"}",
			"m:5/vv/p:1", "v.com/p:1", false },
		{ "{\"type\":\"remapIdentity\",\"prefix\":\"m:5/v\",\"signedPrefix\":\"v.com\"}",
			"o.com/p:1", "o.com/p:1", true },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
		json_t *id = rows[i].id ? json_loads(rows[i].id, 0, NULL) : NULL;

		g_test_message("%u", i);
		g_assert_cmpint(
			policy_identity_fits(id, rows[i].image, rows[i].claimed), ==, rows[i].yes);
		json_decref(id);
	}
}

static void test_payload(void)
{
	static const char *const bad[] = { "", "{}",
		"{\"critical\":{\"type\":\"x\",\"image\":{\"docker-manifest-digest\":\"d\"},"
		"\"identity\":{\"docker-"
		"reference\":\"r\"}},\"optional\":{}}",
		"{\"critical\":{\"type\":\"atomic container "
		"signature\",\"image\":{\"docker-manifest-digest\":\"d\","
		"\"y\":1},\"identity\":{\"docker-reference\":\"r\"}},\"optional\":{}}",
		"{\"critical\":{\"type\":\"atomic container "
		"signature\",\"image\":{\"docker-manifest-digest\":\"d\"},"
		"\"identity\":{\"docker-reference\":\"r\"}},\"optional\":{},\"z\":1}" };
	static const char good[] =
		"{\"critical\":{\"type\":\"atomic container "
		"signature\",\"image\":{\"docker-manifest-digest\":\"d\"},"
		"\"identity\":{\"docker-reference\":\"r\"}},\"optional\":{\"any\":1}}";
	static const char cosign[] =
		"{\"critical\":{\"identity\":{\"docker-reference\":\"r\"},"
		"\"image\":{\"docker-manifest-digest\":\"d\"},"
		"\"type\":\"cosign container image signature\"},\"optional\":null}";
	g_autofree char *digest = NULL, *reference = NULL, *digest2 = NULL, *reference2 = NULL;
	struct err e = { 0 };

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_cmpint(policy_payload(bad[i], strlen(bad[i]), POLICY_SIMPLE, &digest,
					&reference, &e),
			==, -E_CORRUPT);
	g_assert_cmpint(
		policy_payload(good, strlen(good), POLICY_SIMPLE, &digest, &reference, &e), ==, 0);
	g_assert_cmpstr(digest, ==, "d");
	g_assert_cmpstr(reference, ==, "r");
	/* a signature of the one kind is none of the other */
	g_assert_cmpint(
		policy_payload(good, strlen(good), POLICY_SIGSTORE, &digest2, &reference2, &e), ==,
		-E_CORRUPT);
	g_assert_cmpint(
		policy_payload(cosign, strlen(cosign), POLICY_SIMPLE, &digest2, &reference2, &e),
		==, -E_CORRUPT);
	g_assert_cmpint(
		policy_payload(cosign, strlen(cosign), POLICY_SIGSTORE, &digest2, &reference2, &e),
		==, 0);
	g_assert_cmpstr(digest2, ==, "d");
	g_assert_cmpstr(reference2, ==, "r");
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/policy/scopes", test_scopes);
	g_test_add_func("/policy/strict", test_strict);
	g_test_add_func("/policy/identities", test_identities);
	g_test_add_func("/policy/payload", test_payload);
	return g_test_run();
}
