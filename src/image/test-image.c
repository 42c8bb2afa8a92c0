/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "codec/tar.h"
#include "image/archive-priv.h"
#include "image/archive.h"
#include "image/child.h"
#include "image/mirror.h"
#include "store/blob.h"
#include "store/journal.h"
#include "store/test-priv.h"

#define ID_A "aaaa000000000000000000000000000000000000000000000000000000000001"

/* --- archives made here ---------------------------------------------------------------------------- */

static void put(GByteArray *tar, const char *path, const void *data, size_t size)
{
	struct tar_entry t = {
		.type = TAR_FILE, .path = path, .target = "", .mode = 0644, .size = (int64_t)size
	};

	ok(tar_put_entry(tar, &t, &test_err));
	g_byte_array_append(tar, data, (guint)size);
	tar_put_padding(tar, (int64_t)size);
}

static void put_text(GByteArray *tar, const char *path, const char *text)
{
	put(tar, path, text, strlen(text));
}

static void put_link(GByteArray *tar, const char *path, const char *target)
{
	struct tar_entry t = { .type = TAR_SYMLINK, .path = path, .target = target, .mode = 0777 };

	ok(tar_put_entry(tar, &t, &test_err));
}

/* A layer with one file, whose text makes it unique. */
static GByteArray *make_layer(const char *text)
{
	GByteArray *tar = g_byte_array_new();

	put_text(tar, "etc/text", text);
	tar_put_end(tar);
	return tar;
}

static char *digest_of(const GByteArray *b)
{
	return blob_digest(b->data, b->len);
}

static char *make_config(const char *const *diff_ids, unsigned n)
{
	struct image_new x = { .diff_ids = diff_ids, .n_diff_ids = n, .created = 1000000000 };

	return image_config_text(&x);
}

static char *write_archive(struct ctx *c, GByteArray *tar)
{
	static unsigned n;
	g_autofree char *base = g_path_get_dirname(c->root);
	char *path = g_strdup_printf("%s/archive-%u.tar", base, n++);

	tar_put_end(tar);
	g_assert_true(g_file_set_contents(path, (const char *)tar->data, tar->len, NULL));
	return path;
}

/* docker save's, of one image with one layer. */
static GByteArray *docker_archive(const char *layer_text, const char *manifest_format)
{
	g_autoptr(GByteArray) layer = make_layer(layer_text);
	g_autofree char *id = digest_of(layer), *config = NULL, *manifest = NULL;
	const char *ids[] = { id };
	GByteArray *tar = g_byte_array_new();

	config = make_config(ids, 1);
	manifest = g_strdup(manifest_format ? manifest_format
					    : "[{\"Config\":\"config.json\",\"RepoTags\":[\"test:"
					      "1\"],\"Layers\":[\"abc/layer.tar\"]}]");
	put_text(tar, "manifest.json", manifest); /* first, so that it's seen to be an archive */
	put(tar, "abc/layer.tar", layer->data, layer->len);
	put_text(tar, "config.json", config);
	return tar;
}

static int import(struct ctx *c, const char *path, GPtrArray **ret)
{
	struct image_import_options o = { 0 };

	return image_import(c, path, &o, ret, &test_err);
}

/* It must fail with a text that has `part`, and leave nothing. */
static void expect_refused(struct ctx *c, GByteArray *tar, int code, const char *part)
{
	g_autofree char *path = write_archive(c, tar);
	g_autoptr(GPtrArray) list = NULL, images = NULL;
	struct store *s;

	g_assert_cmpint(import(c, path, &list), ==, code);
	if (!strstr(test_err.text, part))
		g_error("'%s' hasn't '%s'", test_err.text, part);
	ok(store_get(c, &s, &test_err));
	ok(store_image_list(s, &images, &test_err));
	g_assert_cmpuint(images->len, ==, 0);
	test_fsck_clean(c);
	g_byte_array_unref(tar);
}

/* --- tests --------------------------------------------------------------------------------------- */

static void test_config(void)
{
	static const char text[] =
		"{\"architecture\":\"arm64\",\"os\":\"linux\",\"created\":\"2020-01-02T03:04:05Z\","
		"\"config\":{\"Env\":[\"A=1\"],\"Cmd\":[],\"Entrypoint\":null,\"User\":\"\","
		"\"WorkingDir\":\"/w\",\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}},"
		"\"Volumes\":{\"/v\":{}},\"Labels\":{\"k\":\"v\"},\"StopSignal\":\"SIGINT\","
		"\"Healthcheck\":{\"Test\":[\"CMD\",\"x\"],\"Interval\":5000000000,\"Retries\":3}},"
		"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" ID_A "\"]}}";
	_cleanup_(image_config_freep) struct image_config *i = NULL;

	ok(image_config_parse(text, strlen(text), &i, &test_err));
	g_assert_cmpstr(i->env[0], ==, "A=1");
	g_assert_nonnull(i->cmd);
	g_assert_null(i->cmd[0]);
	g_assert_null(i->entrypoint);
	g_assert_null(i->user);
	g_assert_cmpstr(i->cwd, ==, "/w");
	g_assert_cmpstr(i->ports[0], ==, "53/udp");
	g_assert_cmpstr(i->volumes[0], ==, "/v");
	g_assert_true(image_has_label(i, "k"));
	g_assert_true(image_has_label(i, "k=v"));
	g_assert_false(image_has_label(i, "k=w"));
	g_assert_cmpint(i->health.interval, ==, 5000000000);
	g_assert_cmpint(i->health.retries, ==, 3);
	g_assert_cmpint(i->created / 1000000000, ==, 1577934245);
	g_assert_cmpstr(i->diff_ids[0], ==, "sha256:" ID_A);
}

static void test_bad_config(void)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"rootfs\":{}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:../../x\"]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[3]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":[]}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{\"Env\":\"A=1\"}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{\"Cmd\":[1]}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":{\"Labels\":{\"a\":1}"
		"}}",
		"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"created\":\"yesterday\"}",
	};

	for (unsigned i = 0; i < ELEMENTSOF(bad); i++) {
		struct image_config *x = NULL;

		g_test_message("%s", bad[i]);
		g_assert_cmpint(image_config_parse(bad[i], strlen(bad[i]), &x, &test_err), <, 0);
		g_assert_null(x);
	}
}

static void test_change(void)
{
	static const struct {
		const char *change, *want;
	} row[] = {
		{ "CMD [\"a\", \"b c\"]", "{\"Cmd\":[\"a\",\"b c\"]}" },
		{ "cmd echo $HOME", "{\"Cmd\":[\"/bin/sh\",\"-c\",\"echo $HOME\"]}" },
		{ "ENTRYPOINT [\"/x\"]", "{\"Entrypoint\":[\"/x\"]}" },
		{ "ENV A=1 B=\"2 3\" C=4\\ 5", "{\"Env\":[\"A=1\",\"B=2 3\",\"C=4 5\"]}" },
		{ "ENV A the rest = this", "{\"Env\":[\"A=the rest = this\"]}" },
		{ "LABEL a=b \"c d\"='e'", "{\"Labels\":{\"a\":\"b\",\"c d\":\"e\"}}" },
		{ "EXPOSE 80 53/udp", "{\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{}}}" },
		{ "EXPOSE 8000-8001", "{\"ExposedPorts\":{\"8000/tcp\":{},\"8001/tcp\":{}}}" },
		{ "VOLUME /a /b", "{\"Volumes\":{\"/a\":{},\"/b\":{}}}" },
		{ "VOLUME [\"/a b\"]", "{\"Volumes\":{\"/a b\":{}}}" },
		{ "USER 1:2", "{\"User\":\"1:2\"}" },
		{ "WORKDIR rel", "{\"WorkingDir\":\"/rel\"}" },
		{ "STOPSIGNAL SIGQUIT", "{\"StopSignal\":\"SIGQUIT\"}" },
		{ "ONBUILD RUN x", "{\"OnBuild\":[\"RUN x\"]}" },
		{ "HEALTHCHECK NONE", "{\"Healthcheck\":{\"Test\":[\"NONE\"]}}" },
		{ "HEALTHCHECK --interval=5s --retries=2 CMD a b",
			"{\"Healthcheck\":{\"Interval\":5000000000,\"Retries\":2,\"Test\":[\"CMD-"
			"SHELL\",\"a b\"]}}" },
	};
	static const char *const bad[] = { "RUN x", "", "ENV", "ENV =x", "EXPOSE 0", "EXPOSE 1/x",
		"USER", "VOLUME rel", "LABEL \"a=b", "HEALTHCHECK", "HEALTHCHECK --x=1 CMD y",
		"FROM debian" };

	for (unsigned i = 0; i < ELEMENTSOF(row); i++) {
		json_t *config = json_object();
		char *text;

		ok(image_change(config, row[i].change, &test_err));
		text = json_dumps(config, JSON_COMPACT);
		g_assert_cmpstr(text, ==, row[i].want);
		free(text);
		json_decref(config);
	}
	for (unsigned i = 0; i < ELEMENTSOF(bad); i++) {
		json_t *config = json_object();

		g_test_message("'%s'", bad[i]);
		g_assert_cmpint(image_change(config, bad[i], NULL), ==, -E_INVALID);
		json_decref(config);
	}
}

static void test_docker(void)
{
	GByteArray *tar = docker_archive("one", NULL);
	g_autoptr(GPtrArray) list = NULL, again = NULL;
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autofree char *path = NULL;
	struct image_imported *x;
	json_t *j;
	struct ctx c;

	test_ctx_init(&c);
	path = write_archive(&c, tar);
	ok(import(&c, path, &list));
	g_assert_cmpuint(list->len, ==, 1);
	x = list->pdata[0];
	g_assert_cmpstr(x->names[0], ==, "docker.io/library/test:1");
	ok(image_resolve(&c, "test:1", &i, &test_err));
	g_assert_cmpstr(i->id, ==, x->id);
	g_assert_cmpint(i->size, >, 0);
	ok(import(&c, path, &again)); /* a second time: the same */
	g_assert_cmpstr(((struct image_imported *)again->pdata[0])->id, ==, x->id);
	ok(image_inspect(&c, "test:1", &j, &test_err));
	g_assert_cmpstr(
		json_string_value(json_array_get(json_object_get(j, "RepoTags"), 0)), ==, "test:1");
	json_decref(j);
	ok(image_history(&c, "test:1", &j, &test_err));
	g_assert_cmpuint(json_array_size(j), ==, 1);
	json_decref(j);
	test_fsck_clean(&c);
	g_byte_array_unref(tar);
	test_ctx_done(&c);
}

/* Names in an archive: links as docker 1.10 wrote them, "./", a compressed layer, one that isn't wanted. */
static void test_docker_forms(void)
{
	g_autoptr(GByteArray) tar = g_byte_array_new(), layer = make_layer("two"),
			      other = make_layer("x");
	g_autofree char *id = digest_of(layer), *config = NULL, *path = NULL, *plain = NULL,
			*packed = NULL;
	g_autofree char *command = NULL, *data = NULL;
	const char *ids[] = { id, id };
	g_autoptr(GPtrArray) list = NULL;
	struct ctx c;
	gsize size;

	test_ctx_init(&c);
	plain = g_strconcat(c.root, ".layer", NULL);
	packed = g_strconcat(plain, ".gz", NULL);
	g_assert_true(g_file_set_contents(plain, (char *)layer->data, layer->len, NULL));
	command = g_strdup_printf("gzip %s", plain);
	g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
	g_assert_true(g_file_get_contents(packed, &data, &size, NULL));
	config = make_config(ids, 2);
	put_link(tar, "./two/layer.tar", "../one/layer.tar");
	put(tar, "./one/layer.tar", data, size);
	put(tar, "./unused/layer.tar", other->data, other->len);
	put_text(tar, "./broken/layer.tar", "this is no tar archive, but nobody asks for it");
	put_text(tar, "./x.json", config);
	put_text(tar, "./manifest.json",
		"[{\"Config\":\"x.json\",\"RepoTags\":null,\"Layers\":[\"one/layer.tar\",\"two/"
		"layer.tar\"]}]");
	path = write_archive(&c, tar);
	ok(image_import(&c, path, &(struct image_import_options){ .source = IMAGE_SOURCE_ARCHIVE },
		&list, &test_err));
	g_assert_cmpuint(list->len, ==, 1);
	test_fsck_clean(&c); /* the layer that nobody wanted is gone */
	test_ctx_done(&c);
}

static void test_v1(void)
{
	g_autoptr(GByteArray) tar = g_byte_array_new(), low = make_layer("low"),
			      high = make_layer("high");
	g_autofree char *path = NULL;
	g_autoptr(GPtrArray) list = NULL;
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	g_autofree char *low_id = digest_of(low);
	json_t *j;
	struct ctx c;

#define V1_LOW	"1111111111111111111111111111111111111111111111111111111111111111"
#define V1_HIGH "2222222222222222222222222222222222222222222222222222222222222222"
	test_ctx_init(&c);
	put_text(tar, "repositories", "{\"old/image\":{\"v1\":\"" V1_HIGH "\"}}");
	put_text(tar, V1_HIGH "/VERSION", "1.0");
	put_text(tar, V1_HIGH "/json",
		"{\"id\":\"" V1_HIGH "\",\"parent\":\"" V1_LOW
		"\",\"created\":\"2014-01-01T00:00:00Z\","
		"\"config\":{\"Cmd\":[\"sh\"]},\"architecture\":\"amd64\",\"os\":\"linux\","
		"\"container_config\":{\"Cmd\":[\"/bin/sh\",\"-c\",\"make\"]}}");
	put(tar, V1_HIGH "/layer.tar", high->data, high->len);
	put_text(tar, V1_LOW "/json",
		"{\"id\":\"" V1_LOW "\",\"created\":\"2013-01-01T00:00:00Z\"}");
	put(tar, V1_LOW "/layer.tar", low->data, low->len);
	path = write_archive(&c, tar);
	ok(import(&c, path, &list));
	ok(image_resolve(&c, "old/image:v1", &i, &test_err));
	g_assert_cmpstr(i->layers[0], ==, low_id);
	ok(image_config(&c, i, &config, &test_err));
	g_assert_cmpstr(config->cmd[0], ==, "sh");
	ok(image_history(&c, "old/image:v1", &j, &test_err));
	g_assert_cmpstr(json_string_value(json_object_get(json_array_get(j, 0), "CreatedBy")), ==,
		"/bin/sh -c make");
	json_decref(j);
	test_ctx_done(&c);
}

static void test_refused(void)
{
	g_autoptr(GByteArray) layer = make_layer("x");
	g_autofree char *wrong = g_strdup_printf("blobs/sha256/%s", ID_A);
	GByteArray *tar;
	struct ctx c;

	test_ctx_init(&c);
	expect_refused(&c, docker_archive("a", "[{\"Config\":\"../../etc/passwd\",\"Layers\":[]}]"),
		-E_CORRUPT, "leads out of it");
	expect_refused(&c, docker_archive("a", "[{\"Config\":\"/etc/passwd\",\"Layers\":[]}]"),
		-E_CORRUPT, "leads out of it");
	expect_refused(&c,
		docker_archive("a", "[{\"Config\":\"config.json\",\"Layers\":[\"nowhere.tar\"]}]"),
		-E_CORRUPT, "has no file 'nowhere.tar'");
	expect_refused(&c, docker_archive("a", "[{\"Config\":\"config.json\",\"Layers\":[]}]"),
		-E_CORRUPT, "has 0 layers");
	expect_refused(&c,
		docker_archive("a", "[{\"Config\":\"config.json\",\"Layers\":[\"config.json\"]}]"),
		-E_CORRUPT, "isn't a layer");
	expect_refused(&c, docker_archive("a", "[{\"Config\":\"abc/layer.tar\",\"Layers\":[]}]"),
		-E_CORRUPT, "isn't JSON");
	expect_refused(&c, docker_archive("a", "{}"), -E_CORRUPT, "isn't a list of images");
	expect_refused(&c, docker_archive("a", "[{"), -E_CORRUPT, "manifest.json");
	expect_refused(&c,
		docker_archive("a", "[{\"Config\":\"config.json\",\"Layers\":[\"abc/layer.tar\"],"
				    "\"RepoTags\":[\"BAD NAME\"]}]"),
		-E_INVALID, "BAD NAME");

	/* another layer than the configuration says */
	tar = docker_archive("a", "[{\"Config\":\"config.json\",\"Layers\":[\"other.tar\"]}]");
	put(tar, "other.tar", layer->data, layer->len);
	expect_refused(&c, tar, -E_CORRUPT, "and its image wants");

	tar = docker_archive("a", NULL);
	put_text(tar, "manifest.json", "[]");
	expect_refused(&c, tar, -E_CORRUPT, "two entries 'manifest.json'");

	tar = docker_archive("a", NULL);
	put_text(tar, "../x", "y");
	expect_refused(&c, tar, -E_CORRUPT, "leads out of it");

	tar = docker_archive("a", NULL);
	put_link(tar, "abc/link", "../../x");
	expect_refused(&c, tar, -E_CORRUPT, "leads out of it");

	/* links in a circle */
	tar = docker_archive("a", "[{\"Config\":\"config.json\",\"Layers\":[\"a.tar\"]}]");
	put_link(tar, "a.tar", "b.tar");
	put_link(tar, "b.tar", "a.tar");
	expect_refused(&c, tar, -E_CORRUPT, "has no file 'a.tar'");

	/* a blob that isn't what its name says, in an OCI archive */
	tar = g_byte_array_new();
	put_text(tar, "oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
	put_text(tar, "index.json",
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"x\",\"digest\":\"sha256:" ID_A
		"\",\"size\":2}]}");
	put_text(tar, wrong, "{}");
	expect_refused(&c, tar, -E_CORRUPT, "has the digest");

	tar = g_byte_array_new();
	put_text(tar, "index.json",
		"{\"schemaVersion\":2,\"manifests\":[{\"digest\":\"sha256:../x\",\"size\":2}]}");
	expect_refused(&c, tar, -E_CORRUPT, "no valid digest");
	test_ctx_done(&c);
}

static void test_truncated(void)
{
	g_autoptr(GByteArray) tar = docker_archive("a longer text", NULL);
	struct ctx c;

	test_ctx_init(&c);
	for (guint size = 100; size < tar->len; size += 500) {
		g_autofree char *base = g_path_get_dirname(c.root);
		g_autofree char *path = g_strconcat(base, "/cut.tar", NULL);
		g_autoptr(GPtrArray) list = NULL;
		struct image_import_options o = { .source = IMAGE_SOURCE_ARCHIVE };

		g_assert_true(g_file_set_contents(path, (char *)tar->data, size, NULL));
		g_assert_cmpint(image_import(&c, path, &o, &list, &test_err), <, 0);
		test_fsck_clean(&c);
	}
	test_ctx_done(&c);
}

static void add_image(struct ctx *c, const char *text, char **names)
{
	g_autoptr(GByteArray) tar = docker_archive(
		text, "[{\"Config\":\"config.json\",\"Layers\":[\"abc/layer.tar\"]}]");
	g_autofree char *path = write_archive(c, tar);
	g_autoptr(GPtrArray) list = NULL;
	struct image_import_options o = { .names = names };

	ok(image_import(c, path, &o, &list, &test_err));
}

static void test_save(void)
{
	static const enum image_format formats[] = { IMAGE_DOCKER_ARCHIVE, IMAGE_OCI_ARCHIVE,
		IMAGE_OCI_LAYOUT };
	char *one[] = { (char *)"one:1", NULL }, *two[] = { (char *)"host:5000/two", NULL };
	char *refs[] = { one[0], two[0], (char *)"one:again", NULL };
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	struct ctx c;

	test_ctx_init(&c);
	add_image(&c, "1", one);
	add_image(&c, "2", two);
	ok(image_tag(&c, "one:1", "one:again", &test_err));
	ok(image_resolve(&c, "one:1", &i, &test_err));
	for (unsigned f = 0; f < ELEMENTSOF(formats); f++) {
		g_autofree char *path = g_strdup_printf("%s-save-%u", c.root, f);
		_cleanup_(image_record_freep) struct image_record *back = NULL;
		g_autoptr(GPtrArray) list = NULL;
		struct ctx d;

		test_ctx_init(&d);
		ok(image_save(&c, refs, formats[f], path, &test_err));
		ok(import(&d, path, &list));
		ok(image_resolve(&d, "one:again", &back, &test_err));
		g_assert_cmpstr(back->id, ==, i->id);
		g_assert_cmpuint(g_strv_length(back->names), ==, 2);
		image_record_free(back);
		back = NULL;
		ok(image_resolve(&d, "host:5000/two:latest", &back, &test_err));
		test_fsck_clean(&d);
		test_ctx_done(&d);
	}
	refs[0] = (char *)"nosuch";
	g_assert_cmpint(image_save(&c, refs, IMAGE_OCI_ARCHIVE, "/nonexistent/x", &test_err), ==,
		-E_NOTFOUND);
	refs[0] = (char *)"one:1";
	g_assert_cmpint(
		image_save(&c, refs, IMAGE_OCI_ARCHIVE, "/nonexistent/x", &test_err), ==, -ENOENT);
	g_assert_cmpint(image_save(&c, refs, IMAGE_OCI_LAYOUT, c.root, &test_err), ==, -E_EXISTS);
	test_ctx_done(&c);
}

/* What other programs write we read, and they read what we write. */
static void test_interop(void)
{
	char *one[] = { (char *)"one:1", NULL };
	static const char *const kinds[] = { "docker-archive", "oci-archive", "oci" };
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autofree char *skopeo = g_find_program_in_path("skopeo"), *ours = NULL;
	struct ctx c;

	if (!skopeo) {
		g_test_skip("no skopeo");
		return;
	}
	test_ctx_init(&c);
	add_image(&c, "interop", one);
	ok(image_resolve(&c, "one:1", &i, &test_err));
	ours = g_strconcat(c.root, ".ours", NULL);
	ok(image_save(&c, one, IMAGE_DOCKER_ARCHIVE, ours, &test_err));
	for (unsigned k = 0; k < ELEMENTSOF(kinds); k++) {
		g_autofree char *file = g_strdup_printf("%s.theirs-%u", c.root, k);
		g_autofree char *to = g_strdup_printf("%s:%s:one:1", kinds[k], file);
		g_autofree char *from =
			g_strdup_printf("%s:%s", k == 0 ? "oci-archive" : "docker-archive", ours);
		char *argv[] = { skopeo, (char *)"--insecure-policy", (char *)"copy", from, to,
			NULL };
		_cleanup_(image_record_freep) struct image_record *back = NULL;
		g_autoptr(GPtrArray) list = NULL;
		g_autofree char *said = NULL;
		struct ctx d;
		int status;

		g_assert_true(g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
			NULL, &said, &status, NULL));
		g_test_message("%s", said);
		g_assert_cmpint(status, ==, 0);
		test_ctx_init(&d);
		ok(import(&d, file, &list));
		ok(image_resolve(&d, "one:1", &back, &test_err));
		g_assert_cmpstr(back->layers[0], ==, i->layers[0]);
		test_fsck_clean(&d);
		test_ctx_done(&d);
	}
	test_ctx_done(&c);
}

static void test_resolve(void)
{
	char *one[] = { (char *)"repo/one:1", NULL };
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autofree char *prefix = NULL;
	struct ctx c;

	test_ctx_init(&c);
	add_image(&c, "1", one);
	ok(image_resolve(&c, "docker.io/repo/one:1", &i, &test_err));
	prefix = g_strndup(i->id + 7, 8);
	image_record_free(i);
	i = NULL;
	ok(image_resolve(&c, prefix, &i, &test_err));
	image_record_free(i);
	i = NULL;
	g_assert_cmpint(image_resolve(&c, "repo/one", &i, &test_err), ==, -E_NOTFOUND);
	g_assert_cmpstr(test_err.text, ==, "no such image 'repo/one'");
	g_assert_cmpstr(test_err.mend, ==, "there is 'repo/one:1'");
	g_assert_cmpint(image_resolve(&c, "BAD", &i, &test_err), ==, -E_INVALID);
	g_assert_cmpint(image_tag(&c, "repo/one:1", "x@sha256:" ID_A, &test_err), ==, -E_INVALID);
	test_ctx_done(&c);
}

static void add_guest(struct ctx *c, const char *ref)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autofree char *folder = store_path(c, "guests/%s", ID_A);
	struct store *s;
	struct guest_record g = { .id = (char *)ID_A,
		.realm = (char *)"lodge",
		.name = (char *)"web",
		.kind = (char *)"container",
		.engine = (char *)"oci",
		.spec = (char *)"{}",
		.doc = (char *)"{}" };

	ok(image_resolve(c, ref, &i, &test_err));
	ok(store_get(c, &s, &test_err));
	g.image = i->id;
	ok(store_guest_add(s, &g, &test_err));
	g_assert_cmpint(mkdir(folder, 0700), ==, 0);
}

static unsigned count_images(struct ctx *c)
{
	g_autoptr(GPtrArray) images = NULL;
	struct store *s;

	ok(store_get(c, &s, &test_err));
	ok(store_image_list(s, &images, &test_err));
	return images->len;
}

static void test_remove(void)
{
	char *one[] = { (char *)"one:1", (char *)"one:2", NULL };
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	g_autofree char *id = NULL;
	struct store *s;
	struct ctx c;
	json_t *did;

	test_ctx_init(&c);
	add_image(&c, "1", one);
	ok(image_resolve(&c, "one:1", &i, &test_err));
	id = g_strdup(i->id);
	g_assert_cmpint(image_remove(&c, id, false, &did, &test_err), ==, -E_INUSE); /* two names */
	ok(image_remove(&c, "one:1", false, &did, &test_err));
	g_assert_cmpuint(json_array_size(did), ==, 1);
	json_decref(did);
	add_guest(&c, "one:2");
	g_assert_cmpint(image_remove(&c, "one:2", false, &did, &test_err), ==, -E_INUSE);
	g_assert_cmpstr(test_err.text, ==, "the image 'one:2' is in use by guest 'web'");
	ok(image_remove(&c, "one:2", true, &did, &test_err)); /* loses its name only */
	g_assert_cmpuint(json_array_size(did), ==, 1);
	json_decref(did);
	g_assert_cmpuint(count_images(&c), ==, 1);
	test_fsck_clean(&c);
	ok(store_get(&c, &s, &test_err));
	ok(store_guest_remove(s, ID_A, &test_err));
	ok(image_remove(&c, id, false, &did, &test_err));
	g_assert_cmpstr(
		json_string_value(json_object_get(json_array_get(did, 0), "Deleted")), ==, id);
	json_decref(did);
	g_assert_cmpuint(count_images(&c), ==, 0);
	test_ctx_done(&c);
}

static void test_prune(void)
{
	char *one[] = { (char *)"one:1", NULL }, *used[] = { (char *)"used:1", NULL };
	char *labels[] = { (char *)"k=v", NULL };
	struct image_prune_query q = { 0 };
	int64_t bytes;
	struct ctx c;
	json_t *did;

	test_ctx_init(&c);
	add_image(&c, "1", one);
	add_image(&c, "2", NULL);
	add_image(&c, "3", used);
	add_guest(&c, "used:1");
	q.labels = labels;
	ok(image_prune(&c, &q, &did, &bytes, &test_err));
	g_assert_cmpuint(json_array_size(did), ==, 0);
	json_decref(did);
	q.labels = NULL;
	q.until = 1; /* made before 1970 */
	ok(image_prune(&c, &q, &did, &bytes, &test_err));
	g_assert_cmpuint(json_array_size(did), ==, 0);
	json_decref(did);
	q.until = 0;
	ok(image_prune(&c, &q, &did, &bytes, &test_err));
	g_assert_cmpuint(json_array_size(did), ==, 1);
	g_assert_cmpint(bytes, >, 0);
	json_decref(did);
	g_assert_cmpuint(count_images(&c), ==, 2);
	q.all = true;
	q.not_labels = labels;
	ok(image_prune(&c, &q, &did, &bytes, &test_err));
	json_decref(did);
	g_assert_cmpuint(count_images(&c), ==, 1);
	test_ctx_done(&c);
}

static void test_rootfs(void)
{
	g_autoptr(GByteArray) tar = make_layer("root");
	g_autofree char *path = NULL, *folder = NULL, *file = NULL;
	char *names[] = { (char *)"root:1", NULL };
	char *changes[] = { (char *)"CMD [\"sh\"]", (char *)"ENV A=b", NULL };
	struct image_import_options o = { .names = names, .changes = changes, .message = "hello" };
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	g_autoptr(GPtrArray) list = NULL, other = NULL;
	struct ctx c;

	test_ctx_init(&c);
	path = write_archive(&c, tar);
	ok(image_import(&c, path, &o, &list, &test_err));
	ok(image_resolve(&c, "root:1", &i, &test_err));
	ok(image_config(&c, i, &config, &test_err));
	g_assert_cmpstr(config->cmd[0], ==, "sh");
	g_assert_cmpstr(config->env[0], ==, "A=b");
	changes[0] = (char *)"RUN x";
	g_assert_cmpint(image_import(&c, path, &o, &list, &test_err), ==, -E_INVALID);
	folder = g_strconcat(c.root, "-folder", NULL);
	file = g_strconcat(folder, "/file", NULL);
	g_assert_cmpint(mkdir(folder, 0755), ==, 0);
	g_assert_true(g_file_set_contents(file, "x", 1, NULL));
	o = (struct image_import_options){ 0 };
	ok(image_import(&c, folder, &o, &other, &test_err));
	g_assert_cmpuint(other->len, ==, 1);
	g_assert_cmpint(image_import(&c, "/nonexistent", &o, &other, &test_err), ==, -ENOENT);
	test_fsck_clean(&c);
	test_ctx_done(&c);
}

static void test_explain(void)
{
	g_autoptr(GByteArray) tar = docker_archive("a", NULL);
	g_autoptr(GPtrArray) list = NULL;
	g_autofree char *path = NULL;
	int saved = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY);
	struct ctx c;

	test_ctx_init(&c);
	path = write_archive(&c, tar);
	c.explain = true;
	fflush(stdout);
	dup2(null, STDOUT_FILENO);
	ok(import(&c, path, &list));
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	close(null);
	g_assert_cmpuint(list->len, ==, 0);
	g_assert_cmpint(access(c.root, F_OK), ==, -1);
	test_ctx_done(&c);
}

/* --- programs ------------------------------------------------------------------------------------ */

static int collect_output(void *data, const void *bytes, size_t size, struct err *e)
{
	g_string_append_len(data, bytes, (gssize)size);
	return 0;
}

static int refuse_output(void *data, const void *bytes, size_t size, struct err *e)
{
	return err_set(e, -ENOSPC, "full");
}

static void test_child(void)
{
	g_autoptr(GString) out = g_string_new(NULL);
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)"echo out; echo I: stage >&2", NULL };
	struct child x = { .argv = argv, .output = collect_output, .data = out };

	ok(child_run(&x, &test_err));
	g_assert_cmpstr(out->str, ==, "out\n");
	argv[2] = (char *)"echo x >&2; echo E: it broke >&2; echo y >&2; exit 3";
	g_assert_cmpint(child_run(&x, &test_err), ==, -EIO);
	g_assert_cmpstr(test_err.text, ==, "sh failed: it broke");
	argv[2] = (char *)"kill -KILL $$";
	g_assert_cmpint(child_run(&x, &test_err), ==, -EIO);
	x.output = refuse_output;
	argv[2] = (char *)"echo x; exec sleep 60";
	g_assert_cmpint(child_run(&x, &test_err), ==, -ENOSPC);
	g_assert_cmpstr(test_err.text, ==, "full");
	argv[0] = (char *)"no-such-program-anywhere";
	g_assert_cmpint(child_run(&x, &test_err), ==, -E_NOTFOUND);
}

static void test_child_cancel(void)
{
	char *argv[] = { (char *)"sleep", (char *)"60", NULL };
	struct child x = { .argv = argv };
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		g_usleep(200000);
		kill(parent, SIGTERM);
		_exit(0);
	}
	g_assert_cmpint(child_run(&x, &test_err), ==, -ECANCELED);
	g_assert_cmpint(waitpid(pid, NULL, 0), ==, pid);
}

static void test_mirror_names(void)
{
	g_assert_true(image_mirror_knows("debian:12"));
	g_assert_true(image_mirror_knows("debian"));
	g_assert_true(image_mirror_knows("docker.io/library/debian:sid"));
	g_assert_true(image_mirror_knows("debian:bookworm-slim"));
	g_assert_true(image_mirror_knows("ubuntu:jammy"));
	g_assert_false(image_mirror_knows("debian:nosuch"));
	g_assert_false(image_mirror_knows("quay.io/library/debian:12"));
	g_assert_false(image_mirror_knows("me/debian:12"));
	g_assert_false(image_mirror_knows("debian@sha256:" ID_A));
}

/* With a program of that name that writes a small tar: the whole way but for the network. */
static void test_mirror(void)
{
	g_autoptr(GByteArray) tar = make_layer("debian");
	g_autofree char *bin = NULL, *program = NULL, *script = NULL, *path = NULL, *old = NULL;
	g_autofree char *with = NULL, *id = NULL, *build = NULL;
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	struct image_mirror_options o = { .mirror = "http://mirror.invalid/debian" };
	struct ctx c;

	if (access("/usr/share/keyrings/debian-archive-keyring.gpg", R_OK) < 0) {
		g_test_skip("no debian-archive-keyring");
		return;
	}
	test_ctx_init(&c);
	path = write_archive(&c, tar);
	bin = g_path_get_dirname(path);
	program = g_strconcat(bin, "/mmdebstrap", NULL);
	script = g_strdup_printf(
		"#!/bin/sh\necho 'I: extracting archives...' >&2\ntouch $TMPDIR/x\ncat %s\n", path);
	g_assert_true(g_file_set_contents(program, script, -1, NULL));
	g_assert_cmpint(chmod(program, 0755), ==, 0);
	old = g_strdup(g_getenv("PATH"));
	with = g_strconcat(bin, ":", old, NULL);
	g_assert_true(g_setenv("PATH", with, TRUE));
	ok(image_build_from_mirror(&c, "debian:12", &o, &id, &test_err));
	ok(image_resolve(&c, "debian:bookworm", &i, &test_err));
	g_assert_cmpstr(i->id, ==, id);
	g_assert_cmpuint(g_strv_length(i->names), ==, 2);
	test_fsck_clean(&c);

	/* one that fails half-way: nothing is left */
	g_free(script);
	script =
		g_strdup_printf("#!/bin/sh\nhead -c 700 %s; echo 'E: no more' >&2; exit 1\n", path);
	g_assert_true(g_file_set_contents(program, script, -1, NULL));
	g_assert_cmpint(chmod(program, 0755), ==, 0);
	g_free(id);
	id = NULL;
	g_assert_cmpint(image_build_from_mirror(&c, "debian:13", &o, &id, &test_err), ==, -EIO);
	g_assert_cmpstr(test_err.text, ==, "mmdebstrap failed: no more");
	g_assert_null(id);
	build = store_path(&c, "cache");
	g_assert_cmpint(rmdir(build), ==, 0); /* empty */
	g_assert_cmpint(mkdir(build, 0711), ==, 0);
	test_fsck_clean(&c);
	g_assert_cmpint(
		image_build_from_mirror(&c, "debian:99", &o, &id, &test_err), ==, -E_NOTFOUND);
	g_assert_true(g_setenv("PATH", old, TRUE));
	test_ctx_done(&c);
}

static void test_busybox(void)
{
	g_autofree char *id = NULL, *again = NULL;
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	struct ctx c;

	test_ctx_init(&c);
	if (access("/bin/busybox", X_OK) < 0) {
		g_test_skip("no busybox");
	} else {
		ok(image_build_busybox(&c, NULL, NULL, &id, &test_err));
		ok(image_build_busybox(&c, NULL, NULL, &again, &test_err));
		g_assert_cmpstr(id, ==, again);
		ok(image_resolve(&c, "busybox", &i, &test_err));
		test_fsck_clean(&c);
	}
	g_assert_cmpint(
		image_build_busybox(&c, "/bin/sh", NULL, &id, &test_err), ==, -E_UNSUPPORTED);
	g_assert_cmpint(image_build_busybox(&c, "/nonexistent", NULL, &id, &test_err), ==, -ENOENT);
	test_ctx_done(&c);
}

/* --- death --------------------------------------------------------------------------------------- */

/* This program, started again: "--die import|remove ROOT RUN WHAT". */
static int die_main(char **argv)
{
	struct ctx c = { .root = argv[3], .run = argv[4], .trace_fd = -1 };
	g_autoptr(GPtrArray) list = NULL;
	json_t *did = NULL;
	int r;

	if (strcmp(argv[2], "import") == 0)
		r = import(&c, argv[5], &list);
	else
		r = image_remove(&c, argv[5], false, &did, &test_err);
	json_decref(did);
	store_close(&c);
	return r < 0;
}

/* Runs it with a kill after step n. False: it came to its end. */
static bool run_and_die(struct ctx *c, const char *what, const char *arg, int n)
{
	g_autofree char *fault = g_strdup_printf("exe:kill:%d", n);
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		setenv("LODGE_FAULT", fault, 1);
		execl("/proc/self/exe", "exe", "--die", what, c->root, c->run, arg, (char *)NULL);
		_exit(1);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

static void test_die(void)
{
	char *one[] = { (char *)"test:1", NULL };
	bool died = true;

	for (int n = 0; died; n++) {
		g_autoptr(GByteArray) tar = docker_archive("a", NULL);
		g_autofree char *path = NULL;
		struct store *s;
		struct ctx c;

		test_ctx_init(&c);
		path = write_archive(&c, tar);
		died = run_and_die(&c, "import", path, n);
		ok(store_get(&c, &s, &test_err));
		test_fsck_clean(&c);
		g_assert_cmpuint(count_images(&c), ==, died ? 0 : 1);
		test_ctx_done(&c);
		g_assert_cmpint(n, <, 20);
	}
	died = true;
	for (int n = 0; died; n++) {
		struct store *s;
		struct ctx c;

		test_ctx_init(&c);
		add_image(&c, "x", one);
		store_close(&c);
		died = run_and_die(&c, "remove", "test:1", n);
		ok(store_get(&c, &s, &test_err));
		test_fsck_clean(&c);
		g_assert_cmpuint(count_images(&c), ==, 0);
		test_ctx_done(&c);
		g_assert_cmpint(n, <, 20);
	}
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "--die") == 0)
		return die_main(argv);
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/image/config", test_config);
	g_test_add_func("/image/bad-config", test_bad_config);
	g_test_add_func("/image/change", test_change);
	g_test_add_func("/archive/docker", test_docker);
	g_test_add_func("/archive/docker-forms", test_docker_forms);
	g_test_add_func("/archive/v1", test_v1);
	g_test_add_func("/archive/refused", test_refused);
	g_test_add_func("/archive/truncated", test_truncated);
	g_test_add_func("/archive/save", test_save);
	g_test_add_func("/archive/interop", test_interop);
	g_test_add_func("/archive/rootfs", test_rootfs);
	g_test_add_func("/archive/explain", test_explain);
	g_test_add_func("/image/resolve", test_resolve);
	g_test_add_func("/image/remove", test_remove);
	g_test_add_func("/image/prune", test_prune);
	g_test_add_func("/image/child", test_child);
	g_test_add_func("/image/child-cancel", test_child_cancel);
	g_test_add_func("/mirror/names", test_mirror_names);
	g_test_add_func("/mirror/build", test_mirror);
	g_test_add_func("/mirror/busybox", test_busybox);
	g_test_add_func("/image/die", test_die);
	return g_test_run();
}
