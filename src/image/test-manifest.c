/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "codec/press.h"
#include "codec/sha256.h"
#include "image/layout.h"
#include "image/manifest.h"
#include "image/sign.h"
#include "image/squeeze.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

static struct err test_err;

static void ok(int r)
{
	if (r < 0)
		g_error("%s", test_err.text);
}

static struct manifest *parse(const char *text, const char *type)
{
	struct manifest *m = NULL;

	ok(manifest_parse(text, strlen(text), type, &m, &test_err));
	return m;
}

static void test_refused(void)
{
	static const struct {
		const char *text, *type;
		int code;
	} t[] = {
		{ "", NULL, -E_CORRUPT },
		{ "[]", NULL, -E_CORRUPT },
		{ "{}", NULL, -E_CORRUPT },
		{ "{\"schemaVersion\":1,\"fsLayers\":[]}", NULL, -E_UNSUPPORTED },
		{ "{\"manifests\":[],\"layers\":[]}", NULL, -E_CORRUPT },
		{ "{\"manifests\":[]}", TYPE_OCI_MANIFEST, -E_CORRUPT },
		{ "{\"config\":{\"digest\":\"" A "\",\"size\":1},\"layers\":[]}", TYPE_OCI_INDEX,
			-E_CORRUPT },
		{ "{\"config\":{\"digest\":\"sha256:x\",\"size\":1},\"layers\":[]}", NULL,
			-E_CORRUPT },
		{ "{\"config\":{\"digest\":\"" A "\",\"size\":-1},\"layers\":[]}", NULL,
			-E_CORRUPT },
		{ "{\"config\":{\"digest\":\"" A "\"},\"layers\":[]}", NULL, -E_CORRUPT },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
		struct manifest *m;

		g_assert_cmpint(
			manifest_parse(t[i].text, strlen(t[i].text), t[i].type, &m, &test_err), ==,
			t[i].code);
	}
}

static void test_many_layers(void)
{
	g_autoptr(GString) s =
		g_string_new("{\"config\":{\"digest\":\"" A "\",\"size\":1},\"layers\":[");
	struct manifest *m;

	for (unsigned i = 0; i < 10000; i++)
		g_string_append_printf(s, "%s{\"digest\":\"" B "\",\"size\":1}", i ? "," : "");
	g_string_append(s, "]}");
	g_assert_cmpint(manifest_parse(s->str, s->len, NULL, &m, &test_err), ==, -E_LIMIT);
}

#define MEMBER(d, arch, variant)                                   \
	"{\"mediaType\":\"" TYPE_OCI_MANIFEST "\",\"digest\":\"" d \
	"\",\"size\":1,\"platform\":{\"os\":\"linux\",\"architecture\":\"" arch "\"" variant "}}"

static void test_choose(void)
{
	static const char index[] = "{\"manifests\":[" MEMBER(A, "amd64", "") "," MEMBER(
		B, "arm", ",\"variant\":\"v6\"") "," MEMBER(C, "arm", ",\"variant\":\"v7\"") "]}";
	_cleanup_(manifest_freep) struct manifest *m = parse(index, NULL);
	const struct descriptor *d;

	g_assert_true(m->index && m->oci);
	ok(manifest_choose(m, "linux", "amd64", NULL, &d, &test_err));
	g_assert_cmpstr(d->digest, ==, A);
	ok(manifest_choose(m, NULL, "arm", NULL, &d, &test_err));
	g_assert_cmpstr(d->digest, ==, C);
	ok(manifest_choose(m, NULL, "arm", "v6", &d, &test_err));
	g_assert_cmpstr(d->digest, ==, B);
	g_assert_cmpint(
		manifest_choose(m, "windows", "amd64", NULL, &d, &test_err), ==, -E_NOTFOUND);
	g_assert_cmpint(manifest_choose(m, NULL, "arm", "v8", &d, &test_err), ==, -E_NOTFOUND);
}

static void test_convert(void)
{
	struct part config = { TYPE_OCI_CONFIG, A, 7 };
	struct part layers[] = { { TYPE_OCI_LAYER "+gzip", B, 8 }, { TYPE_OCI_LAYER, C, 9 } };
	g_autofree char *oci = manifest_new(true, &config, layers, 2), *docker = NULL, *back = NULL;
	g_autofree char *zstd = NULL;
	struct part_change same[2] = { { NULL }, { NULL } }, change[2] = { { NULL }, { NULL } };
	_cleanup_(manifest_freep) struct manifest *m = parse(oci, NULL), *d = NULL;

	ok(manifest_rewrite(m, false, same, &docker, &test_err));
	d = parse(docker, NULL);
	g_assert_cmpstr(d->type, ==, TYPE_DOCKER_MANIFEST);
	g_assert_cmpstr(d->config->type, ==, TYPE_DOCKER_CONFIG);
	g_assert_cmpstr(
		((struct descriptor *)d->parts->pdata[0])->type, ==, TYPE_DOCKER_LAYER ".gzip");
	ok(manifest_rewrite(d, true, same, &back, &test_err));
	g_assert_cmpstr(back, ==, oci);
	/* zstd is OCI's alone */
	change[0] = (struct part_change){ C, 3, TYPE_OCI_LAYER "+zstd" };
	ok(manifest_rewrite(m, true, change, &zstd, &test_err));
	g_assert_nonnull(strstr(zstd, "tar+zstd"));
	g_assert_cmpint(manifest_rewrite(m, false, change, &zstd, &test_err), ==, -E_UNSUPPORTED);
}

static void test_layout(void)
{
	g_autofree char *path = NULL, *name = NULL, *one = NULL, *two = NULL, *three = NULL;
	_cleanup_(manifest_freep) struct manifest *m = NULL;
	const struct descriptor *d;

	ok(layout_split("a/b:c:d", &path, &name, &test_err));
	g_assert_cmpstr(path, ==, "a/b");
	g_assert_cmpstr(name, ==, "c:d");
	g_assert_cmpint(layout_split(":x", &path, &name, &test_err), ==, -E_INVALID);
	g_assert_cmpint(layout_split("a:x y", &path, &name, &test_err), ==, -E_INVALID);
	ok(layout_put(NULL, "one", TYPE_OCI_MANIFEST, A, 1, &one, &test_err));
	ok(layout_put(one, "two", TYPE_OCI_MANIFEST, B, 2, &two, &test_err));
	ok(layout_put(two, "one", TYPE_OCI_MANIFEST, C, 3, &three, &test_err));
	m = parse(three, TYPE_OCI_INDEX);
	g_assert_cmpuint(m->parts->len, ==, 2);
	ok(layout_choose(m, "one", "x", &d, &test_err));
	g_assert_cmpstr(d->digest, ==, C);
	g_assert_cmpint(layout_choose(m, NULL, "x", &d, &test_err), ==, -E_INVALID);
	g_assert_cmpint(layout_choose(m, "no", "x", &d, &test_err), ==, -E_NOTFOUND);
}

/* --- squeeze ---------------------------------------------------------------------------------------------- */

struct unpack {
	struct inflate *z;
	struct sha256 *sum;
	size_t packed;
};

static int to_inflate(void *arg, const void *data, size_t size, struct err *e)
{
	struct unpack *u = arg;

	u->packed += size;
	return inflate_write(u->z, data, size, e);
}

static int to_sum(void *arg, const void *data, size_t size, struct err *e)
{
	sha256_write(((struct unpack *)arg)->sum, data, size);
	return 0;
}

/* What is compressed comes back, and is smaller. */
static void squeeze_round(enum inflate_kind kind, int level, size_t size)
{
	g_autofree char *data = g_malloc(size + 1);
	char want[SHA256_TEXT], is[SHA256_TEXT];
	struct unpack u = { 0 };
	struct squeeze *q;

	for (size_t i = 0; i < size; i++)
		data[i] = (char)((i * 2654435761u >> 13) & 15);
	ok(sha256_of(data, size, want, &test_err));
	ok(sha256_new(&u.sum, &test_err));
	u.z = inflate_new(to_sum, &u);
	ok(squeeze_new(kind, level, to_inflate, &u, &q, &test_err));
	for (size_t at = 0; at < size; at += 100000)
		ok(squeeze_write(q, data + at, MIN((size_t)100000, size - at), &test_err));
	ok(squeeze_finish(q, &test_err));
	squeeze_free(q);
	ok(inflate_finish(u.z, &test_err));
	g_assert_cmpint(inflate_kind(u.z), ==, kind);
	sha256_finish_text(u.sum, is);
	g_assert_cmpstr(is, ==, want);
	if (size > 1000)
		g_assert_cmpuint(u.packed, <, size * 9 / 10);
	inflate_free(u.z);
	sha256_free(u.sum);
}

static void test_squeeze(void)
{
	static const size_t sizes[] = { 0, 1, 100000, 1 << 20, (1 << 20) + 1, 7000001 };
	struct squeeze *q;

	for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
		squeeze_round(INFLATE_GZIP, PRESS_LEVEL_DEFAULT, sizes[i]);
		squeeze_round(INFLATE_GZIP, 1, sizes[i]);
		squeeze_round(INFLATE_ZSTD, PRESS_LEVEL_DEFAULT, sizes[i]);
	}
	squeeze_round(INFLATE_GZIP, 9, 100000);
	squeeze_round(INFLATE_ZSTD, 19, 100000);
	g_assert_cmpint(squeeze_new(INFLATE_GZIP, 10, NULL, NULL, &q, &test_err), ==, -E_INVALID);
	g_assert_cmpint(squeeze_new(INFLATE_XZ, 1, NULL, NULL, &q, &test_err), ==, -E_UNSUPPORTED);
}

static void test_signed_text(void)
{
	g_autofree char *text = sign_text(A, "example.com/x:1"), *digest = NULL, *name = NULL;
	static const char *const bad[] = { "{}", "[]",
		"{\"critical\":{\"type\":\"atomic container signature\",\"image\":{},"
		"\"identity\":{}},\"optional\":{}}",
		"{\"critical\":{\"type\":\"other\",\"image\":{\"docker-manifest-digest\":\"" A
		"\"},\"identity\":{\"docker-reference\":\"x\"}},\"optional\":{}}" };

	ok(sign_text_parse(text, strlen(text), &digest, &name, &test_err));
	g_assert_cmpstr(digest, ==, A);
	g_assert_cmpstr(name, ==, "example.com/x:1");
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_cmpint(sign_text_parse(bad[i], strlen(bad[i]), &digest, &name, &test_err),
			==, -E_CORRUPT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/manifest/refused", test_refused);
	g_test_add_func("/manifest/many-layers", test_many_layers);
	g_test_add_func("/manifest/choose", test_choose);
	g_test_add_func("/manifest/convert", test_convert);
	g_test_add_func("/layout", test_layout);
	g_test_add_func("/squeeze", test_squeeze);
	g_test_add_func("/signed-text", test_signed_text);
	return g_test_run();
}
