/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include "store/erofs-priv.h"

/* The reader of images: everything that can be reached is read. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX 8
#define VISIT_MAX 2000

struct visit {
	struct erofs_view v;
	unsigned depth, n;
	uint32_t sum;
};

static int on_xattr(void *arg, const struct xattr *x)
{
	struct visit *t = arg;

	t->sum += (uint32_t)strlen(x->name);
	for (uint32_t i = 0; i < x->size; i++)
		t->sum += x->value[i];
	return ++t->n < VISIT_MAX ? 0 : 1;
}

static void visit_content(struct visit *t, const struct erofs_inode *i)
{
	int64_t at = 0;

	for (unsigned k = 0; k < 100 && at < i->size; k++) {
		const uint8_t *p;
		size_t n;

		if (erofs_content(&t->v, i, at, &p, &n) < 0)
			return;
		g_assert_cmpuint(n, >, 0);
		if (p)
			t->sum += p[0] + p[n - 1];
		at += (int64_t)n;
	}
}

static int on_name(void *arg, const char *name, size_t size, uint64_t nid);

static void visit(struct visit *t, uint64_t nid)
{
	struct erofs_inode i;

	if (erofs_inode_get(&t->v, nid, &i) < 0 || ++t->n > VISIT_MAX)
		return;
	(void)!erofs_xattrs(&t->v, &i, on_xattr, t);
	visit_content(t, &i);
	if (S_ISDIR(i.mode) && t->depth < DEPTH_MAX) {
		t->depth++;
		(void)!erofs_list(&t->v, &i, on_name, t);
		t->depth--;
	}
}

static int on_name(void *arg, const char *name, size_t size, uint64_t nid)
{
	struct visit *t = arg;

	g_assert_cmpuint(size, >, 0);
	g_assert_null(memchr(name, '/', size));
	g_assert_null(memchr(name, '\0', size));
	visit(t, nid);
	return t->n < VISIT_MAX ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree uint8_t *copy = NULL;
	struct visit t = { 0 };
	struct erofs_super s;
	struct err e;

	if (size < EROFS_BLOCK)
		return 0;
	/* without its checksum, which a fuzzer doesn't find */
	copy = g_memdup2(data, size);
	memcpy(&s, copy + EROFS_SUPER_AT, sizeof(s));
	s.compat = 0;
	memcpy(copy + EROFS_SUPER_AT, &s, sizeof(s));
	if (erofs_view_init(&t.v, copy, size, &e) >= 0)
		visit(&t, t.v.root);
	return 0;
}
