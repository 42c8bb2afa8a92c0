/* SPDX-License-Identifier: MIT */
/* The small tar of machines against the large one of the host: each reads what the other writes. */
#include <glib.h>
#include <string.h>

#include "codec/tar.h"
#include "wire/ustar.h"

static const uint8_t value[] = { 'a', 0, '=', '\n' };
static const struct xattr attributes[] = { { "user.a=b%c", value, 4 }, { "user.empty", value, 0 } };

/* Entries of every kind, and of every number that doesn't fit. */
static const struct ustar_entry entries[] = {
	{ .type = USTAR_DIR, .path = "d/", .target = "", .mode = 01755, .mtime = 1 },
	{ .type = USTAR_FILE,
		.path = "d/f",
		.target = "",
		.mode = 04711,
		.uid = 1000,
		.gid = 1001,
		.size = 5,
		.mtime = 1700000000,
		.mtime_nsec = 123456789,
		.xattrs = attributes,
		.n_xattrs = 2 },
	{ .type = USTAR_FILE,
		.path = "d/empty",
		.target = "",
		.mode = 0600,
		.uid = 4000000000u,
		.gid = 3000000,
		.mtime = -5,
		.mtime_nsec = 250000000 },
	{ .type = USTAR_SYMLINK, .path = "d/l", .target = "../f", .mode = 0777, .mtime = -7 },
	{ .type = USTAR_HARDLINK, .path = "d/h", .target = "d/f", .mode = 0644 },
	{ .type = USTAR_CHAR, .path = "c", .target = "", .mode = 0666, .major = 1, .minor = 3 },
	{ .type = USTAR_BLOCK_DEVICE,
		.path = "b",
		.target = "",
		.mode = 0660,
		.major = 259,
		.minor = 5000000 },
	{ .type = USTAR_FIFO, .path = "p", .target = "", .mode = 0644 },
};

static char *long_name(void)
{
	char *s = g_strnfill(700, 'x');

	for (int i = 50; i < 700; i += 51)
		s[i] = '/';
	return s;
}

struct seen {
	unsigned n;
	GString *content;
	char *name; /* the last entry's */
};

static void check(unsigned i, const char *path, const char *target, uint32_t mode, uint32_t uid,
	uint32_t gid, uint32_t major, uint32_t minor, int64_t size, int64_t mtime, uint32_t nsec,
	const struct xattr *x, unsigned n_x)
{
	const struct ustar_entry *t = &entries[i];

	g_assert_cmpstr(path, ==, t->path);
	g_assert_cmpstr(target, ==, t->target);
	g_assert_cmpuint(mode, ==, t->mode);
	g_assert_cmpuint(uid, ==, t->uid);
	g_assert_cmpuint(gid, ==, t->gid);
	g_assert_cmpuint(major, ==, t->major);
	g_assert_cmpuint(minor, ==, t->minor);
	g_assert_cmpint(size, ==, t->size);
	g_assert_cmpint(mtime, ==, t->mtime);
	g_assert_cmpuint(nsec, ==, t->mtime_nsec);
	g_assert_cmpuint(n_x, ==, t->n_xattrs);
	for (unsigned k = 0; k < n_x; k++) {
		g_assert_cmpstr(x[k].name, ==, t->xattrs[k].name);
		g_assert_cmpmem(x[k].value, x[k].size, t->xattrs[k].value, t->xattrs[k].size);
	}
}

static int on_entry(void *arg, const struct ustar_entry *t, struct err *e)
{
	struct seen *s = arg;

	if (s->n < G_N_ELEMENTS(entries)) {
		g_assert_cmpint(t->type, ==, entries[s->n].type);
		check(s->n, t->path, t->target, t->mode, t->uid, t->gid, t->major, t->minor,
			t->size, t->mtime, t->mtime_nsec, t->xattrs, t->n_xattrs);
	}
	s->n++;
	g_free(s->name);
	s->name = g_strdup(t->path);
	return 0;
}

static int on_content(void *arg, const void *data, size_t size, struct err *e)
{
	struct seen *s = arg;

	g_string_append_len(s->content, data, (gssize)size);
	return 0;
}

static int tar_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct seen *s = arg;

	if (s->n < G_N_ELEMENTS(entries))
		check(s->n, t->path, t->target, t->mode, t->uid, t->gid, t->major, t->minor,
			t->size, t->mtime, t->mtime_nsec, t->xattrs, t->n_xattrs);
	s->n++;
	g_free(s->name);
	s->name = g_strdup(t->path);
	return 0;
}

static int tar_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	return on_content(arg, data, size, e);
}

static void seen_done(struct seen *s)
{
	g_assert_cmpuint(s->n, ==, G_N_ELEMENTS(entries) + 1);
	g_assert_cmpstr(s->content->str, ==, "hello");
	g_string_free(s->content, TRUE);
	g_free(s->name);
}

static void test_write(void)
{
	static const struct tar_sink sink = { .entry = tar_entry, .content = tar_content };
	struct seen s = { .content = g_string_new(NULL) };
	g_autofree char *name = long_name();
	struct ustar_entry last = { .type = USTAR_SYMLINK, .path = name, .target = name };
	_cleanup_(tar_reader_freep) struct tar_reader *r = tar_reader_new(&sink, &s);
	struct ustar_buf b = { 0 };
	struct err e;

	for (unsigned i = 0; i < G_N_ELEMENTS(entries); i++) {
		g_assert_cmpint(ustar_put_entry(&b, &entries[i]), ==, 0);
		if (entries[i].size) {
			b.p = g_realloc(b.p, b.n + 5); /* as malloc(3)'s: GLib's is that */
			memcpy(b.p + b.n, "hello", 5);
			b.size = b.n += 5;
			g_assert_cmpint(ustar_put_padding(&b, 5), ==, 0);
		}
	}
	g_assert_cmpint(ustar_put_entry(&b, &last), ==, 0);
	g_assert_cmpint(ustar_put_end(&b), ==, 0);
	g_assert_cmpuint(b.n % USTAR_BLOCK, ==, 0);
	g_assert_cmpint(tar_reader_write(r, b.p, b.n, &e), ==, 0);
	g_assert_cmpint(tar_reader_finish(r, &e), ==, 0);
	g_assert_cmpstr(s.name, ==, name);
	seen_done(&s);
	ustar_buf_done(&b);
}

static GByteArray *written_by_tar(const char *name)
{
	static const enum tar_type types[] = { TAR_FILE, TAR_HARDLINK, TAR_SYMLINK, TAR_CHAR,
		TAR_BLOCK_DEVICE, TAR_DIR, TAR_FIFO };
	GByteArray *b = g_byte_array_new();
	struct tar_entry last = { .type = TAR_SYMLINK, .path = name, .target = name };
	struct err e;

	for (unsigned i = 0; i < G_N_ELEMENTS(entries); i++) {
		const struct ustar_entry *u = &entries[i];
		struct tar_entry t = { .type = types[u->type],
			.path = u->path,
			.target = u->target,
			.mode = u->mode,
			.uid = u->uid,
			.gid = u->gid,
			.major = u->major,
			.minor = u->minor,
			.size = u->size,
			.mtime = u->mtime,
			.mtime_nsec = u->mtime_nsec,
			.xattrs = u->xattrs,
			.n_xattrs = u->n_xattrs };

		g_assert_cmpint(tar_put_entry(b, &t, &e), ==, 0);
		if (u->size) {
			g_byte_array_append(b, (const uint8_t *)"hello", 5);
			tar_put_padding(b, 5);
		}
	}
	g_assert_cmpint(tar_put_entry(b, &last, &e), ==, 0);
	tar_put_end(b);
	return b;
}

static const struct ustar_sink ustar_sink = { on_entry, on_content };

static void test_read(void)
{
	g_autofree char *name = long_name();
	g_autoptr(GByteArray) b = written_by_tar(name);
	struct err e;

	for (size_t piece = 1; piece < 2000; piece = piece * 3 + 1) {
		struct seen s = { .content = g_string_new(NULL) };
		struct ustar_reader *r = ustar_reader_new(&ustar_sink, &s);

		for (size_t at = 0; at < b->len; at += piece)
			g_assert_cmpint(
				ustar_reader_write(r, b->data + at, MIN(piece, b->len - at), &e),
				==, 0);
		g_assert_cmpint(ustar_reader_finish(r, &e), ==, 0);
		g_assert_cmpstr(s.name, ==, name);
		seen_done(&s);
		ustar_reader_free(r);
	}
}

static int read_bytes(const uint8_t *p, size_t n, bool *ret_cut)
{
	struct seen s = { .content = g_string_new(NULL), .n = 100 };
	struct ustar_reader *r = ustar_reader_new(&ustar_sink, &s);
	struct err e;
	int code = ustar_reader_write(r, p, n, &e);

	*ret_cut = code == 0 && ustar_reader_finish(r, &e) < 0;
	g_string_free(s.content, TRUE);
	g_free(s.name);
	ustar_reader_free(r);
	return code;
}

static void test_bad(void)
{
	g_autofree char *name = long_name();
	g_autoptr(GByteArray) b = written_by_tar(name);
	struct ustar_entry t = { .type = USTAR_FILE, .path = "a", .target = "", .size = 600 };
	struct ustar_buf one = { 0 };
	bool cut;

	g_assert_cmpint(ustar_put_entry(&one, &t), ==, 0);
	g_assert_cmpint(read_bytes(one.p, one.n, &cut), ==, 0);
	g_assert_true(cut); /* in the content */
	g_assert_cmpint(read_bytes(one.p, 100, &cut), ==, 0);
	g_assert_true(cut); /* in the header */
	one.p[0] ^= 1;
	g_assert_cmpint(read_bytes(one.p, one.n, &cut), ==, -E_CORRUPT);
	/* after an extended header its entry must come */
	g_assert_cmpint(read_bytes(b->data + 512, 2 * USTAR_BLOCK, &cut), ==, 0);
	g_assert_true(cut);
	ustar_buf_done(&one);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/ustar/write", test_write);
	g_test_add_func("/ustar/read", test_read);
	g_test_add_func("/ustar/bad", test_bad);
	return g_test_run();
}
