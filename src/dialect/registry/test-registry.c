/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "dialect/registry/manifest.h"
#include "dialect/registry/names.h"

#define D "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void test_names(void)
{
	static const char *const good[] = { "a", "0", "a/b/c", "a.b", "a_b", "a__b", "a-b", "a---b",
		"library/debian", "a1/b.c-d_e" };
	static const char *const bad[] = { "", "/", "/a", "a/", "a//b", "A", "a..b", ".a", "a.",
		"_a", "a_", "a___b", "-a", "a-", "..", "a/..", "a/../b", "a/.", "a b", "a\n",
		"a/_tags", "a._b", "\xc3\xa4", "a:b", "a@b" };
	g_autofree char *longest = g_strnfill(REGISTRY_NAME_MAX, 'a');
	g_autofree char *longer = g_strnfill(REGISTRY_NAME_MAX + 1, 'a');

	for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
		g_assert_true(registry_is_name(good[i]));
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(registry_is_name(bad[i]));
	g_assert_true(registry_is_name(longest));
	g_assert_false(registry_is_name(longer));
}

static void test_tags(void)
{
	static const char *const good[] = { "1", "latest", "_", "A.b-c_d", "1.0..x" };
	static const char *const bad[] = { "", ".", "..", ".a", "-a", "a/b", "a:b", "a b", "a\n" };
	g_autofree char *longest = g_strnfill(128, 'a'), *longer = g_strnfill(129, 'a');
	char id[REGISTRY_UPLOAD_SIZE], other[REGISTRY_UPLOAD_SIZE];

	for (size_t i = 0; i < G_N_ELEMENTS(good); i++)
		g_assert_true(registry_is_tag(good[i]));
	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(registry_is_tag(bad[i]));
	g_assert_true(registry_is_tag(longest));
	g_assert_false(registry_is_tag(longer));
	g_assert_true(registry_is_digest(D));
	g_assert_false(registry_is_digest(D "0"));
	g_assert_false(registry_is_digest("sha256:"));
	g_assert_false(registry_is_digest("sha512:00"));
	g_assert_cmpint(registry_new_upload(id), ==, 0);
	g_assert_cmpint(registry_new_upload(other), ==, 0);
	g_assert_true(registry_is_upload(id));
	g_assert_cmpstr(id, !=, other);
	id[35] = '\0';
	g_assert_false(registry_is_upload(id));
	g_assert_false(registry_is_upload(""));
	g_assert_false(registry_is_upload("../../../../../../../../../../../../"));
}

static int read_text(const char *text, const char *type, struct manifest *m)
{
	return manifest_read(text, strlen(text), type, m, NULL);
}

static void test_manifests(void)
{
	static const char image[] =
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"c/c\",\"digest\":\"" D
		"\",\"size\":0},\"layers\":[{\"mediaType\":\"l/l\",\"digest\":\"" D
		"\",\"size\":7,\"urls\":[\"http://x\"]}],\"subject\":{\"mediaType\":\"s/"
		"s\",\"digest\":\"" D "\",\"size\":1},\"annotations\":{\"a\":\"b\"}}";
	static const char oci[] = "application/vnd.oci.image.manifest.v1+json";
	static const char index[] = "application/vnd.oci.image.index.v1+json";
	struct manifest m;

	g_assert_cmpint(read_text(image, oci, &m), ==, 0);
	g_assert_cmpstr(m.media_type, ==, oci);
	g_assert_cmpstr(m.artifact_type, ==, "c/c");
	g_assert_cmpstr(m.subject, ==, D);
	g_assert_nonnull(m.annotations);
	g_assert_cmpuint(m.refs->len, ==, 2);
	g_assert_false(g_array_index(m.refs, struct manifest_ref, 0).foreign);
	g_assert_true(g_array_index(m.refs, struct manifest_ref, 1).foreign);
	g_assert_cmpint(g_array_index(m.refs, struct manifest_ref, 1).size, ==, 7);
	manifest_done(&m);
	/* of another type than it says, or of none */
	g_assert_cmpint(read_text(image, NULL, &m), ==, -E_INVALID);
	g_assert_cmpint(read_text(image, index, &m), ==, -E_INVALID);
	g_assert_cmpint(read_text(image, "application/json", &m), ==, -E_INVALID);
	g_assert_cmpint(read_text("{\"schemaVersion\":2,\"manifests\":[]}", index, &m), ==, 0);
	g_assert_null(m.artifact_type);
	manifest_done(&m);
	g_assert_cmpint(
		read_text("{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"" D "\",\"size\":1}]}",
			index, &m),
		==, -E_INVALID);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/registry/names", test_names);
	g_test_add_func("/registry/tags", test_tags);
	g_test_add_func("/registry/manifests", test_manifests);
	return g_test_run();
}
