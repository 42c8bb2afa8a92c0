/* SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include <sys/stat.h>
#include "codec/tar-fuzz.h"
#include "store/erofs.h"
#include "store/layer-priv.h"

/*
 * A tar becomes an image and its record, in memory. What is accepted must be readable, have no name twice,
 * and give back the tar.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct back {
	const uint8_t *tar, *image;
	size_t at, size, image_size;
};

static int same(struct back *b, const uint8_t *p, size_t n)
{
	g_assert_cmpuint(n, <=, b->size - b->at);
	g_assert_cmpmem(b->tar + b->at, n, p, n);
	b->at += n;
	return 0;
}

static int on_raw(void *arg, const void *data, size_t size, struct err *e)
{
	return same(arg, data, size);
}

static int on_zeros(void *arg, int64_t size, struct err *e)
{
	g_autofree uint8_t *zeros = g_malloc0((size_t)size);

	return same(arg, zeros, (size_t)size);
}

static int on_data(void *arg, int64_t at, int64_t size, struct err *e)
{
	struct back *b = arg;

	g_assert_cmpint(at + size, <=, (int64_t)b->image_size);
	return same(b, b->image + at, (size_t)size);
}

struct visit {
	struct erofs_view v;
};

static int on_xattr(void *arg, const struct xattr *x)
{
	g_assert_cmpuint(strlen(x->name), <=, XATTR_NAME_LIMIT);
	return 0;
}

static void visit(struct visit *t, uint64_t nid, unsigned depth);

struct list {
	struct visit *t;
	unsigned depth;
	char last[256];
};

static int on_name(void *arg, const char *name, size_t size, uint64_t nid)
{
	struct list *l = arg;
	char copy[256] = "";

	memcpy(copy, name, size);
	g_assert_cmpint(strcmp(copy, l->last), >, 0); /* sorted, and none twice */
	memcpy(l->last, copy, sizeof(copy));
	visit(l->t, nid, l->depth + 1);
	return 0;
}

static void visit(struct visit *t, uint64_t nid, unsigned depth)
{
	struct list l = { .t = t, .depth = depth };
	struct erofs_inode i;
	int64_t at = 0;

	g_assert_cmpint(erofs_inode_get(&t->v, nid, &i), ==, 0);
	g_assert_cmpuint(depth, <=, EROFS_DEPTH_MAX + 1);
	g_assert_cmpint(erofs_xattrs(&t->v, &i, on_xattr, t), ==, 0);
	while (at < i.size) {
		const uint8_t *p;
		size_t n;

		g_assert_cmpint(erofs_content(&t->v, &i, at, &p, &n), ==, 0);
		at += (int64_t)n;
	}
	if (S_ISDIR(i.mode))
		g_assert_cmpint(erofs_list(&t->v, &i, on_name, &l), ==, 0);
}

static void check(int image, int log, const uint8_t *data, size_t size)
{
	static const struct tar_log_sink sink = { on_raw, on_zeros, on_data };
	struct back b = { .tar = data, .size = size };
	struct visit t = { 0 };
	struct stat st, lst;
	struct err e = { 0 };
	void *p, *q;

	g_assert_cmpint(fstat(image, &st), ==, 0);
	g_assert_cmpint(fstat(log, &lst), ==, 0);
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, image, 0);
	q = mmap(NULL, (size_t)lst.st_size, PROT_READ, MAP_SHARED, log, 0);
	g_assert_true(p != MAP_FAILED && q != MAP_FAILED);
	g_assert_cmpint(erofs_view_init(&t.v, p, (size_t)st.st_size, &e), ==, 0);
	visit(&t, t.v.root, 0);
	b.image = p;
	b.image_size = (size_t)st.st_size;
	g_assert_cmpint(tar_log_read(q, (size_t)lst.st_size, &sink, &b, NULL, &e), ==, 0);
	g_assert_cmpuint(b.at, ==, size);
	(void)munmap(p, (size_t)st.st_size);
	(void)munmap(q, (size_t)lst.st_size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t uuid[16];
	g_autofree uint8_t *copy = g_memdup2(data, size);
	_cleanup_close_ int image = memfd_create("image", MFD_CLOEXEC);
	_cleanup_close_ int log = memfd_create("log", MFD_CLOEXEC);
	struct layer_build *l;
	struct err e = { 0 };
	int r;

	tar_fix_sums(copy, size);
	g_assert_cmpint(layer_build_new(image, log, &l, &e), ==, 0);
	r = layer_build_write(l, copy, size, &e);
	if (r >= 0)
		r = layer_build_end(l, &e);
	if (r >= 0) {
		r = layer_build_finish(l, uuid, &e);
		g_assert_true(r >= 0 || r == -E_LIMIT);
	} else
		g_assert_cmpint(e.text[0], !=, '\0');
	layer_build_free(l);
	if (r >= 0)
		check(image, log, copy, size);
	return 0;
}
