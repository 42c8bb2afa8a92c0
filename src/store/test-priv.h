/* SPDX-License-Identifier: MIT */
#ifndef LODGE_STORE_TEST_PRIV_H
#define LODGE_STORE_TEST_PRIV_H

/* What the tests of store/ and image/ share: a store in a folder of its own. */

#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include "base/ctx.h"
#include "base/err.h"
#include "store/store.h"

static struct err test_err; /* of the last ok() */

/* Fails the test, with the error's text, unless r >= 0. */
#define ok(r)                                                                               \
	do {                                                                                \
		int r_ = (r);                                                               \
		if (r_ < 0)                                                                 \
			g_error("%s:%d: %s: %s (%s)", __FILE__, __LINE__, #r, err_name(r_), \
				test_err.text);                                             \
	} while (0)

static inline void test_ctx_init(struct ctx *c)
{
	g_autofree char *base = g_dir_make_tmp("lodge-test-XXXXXX", NULL);

	memset(c, 0, sizeof(*c));
	memset(&test_err, 0, sizeof(test_err));
	c->root = g_strconcat(base, "/root", NULL);
	c->run = g_strconcat(base, "/run", NULL);
	c->is_root = geteuid() == 0;
	c->trace_fd = -1;
	c->engine = "test";
}

static inline void test_ctx_done(struct ctx *c)
{
	g_autofree char *base = g_path_get_dirname(c->root);
	char *argv[] = { (char *)"rm", (char *)"-rf", base, NULL };

	store_close(c);
	g_assert_true(g_spawn_sync(
		NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
	g_free(c->root);
	g_free(c->run);
}

/* fsck must find nothing. */
static inline void test_fsck_clean(struct ctx *c)
{
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);

	ok(store_fsck(c, false, problems, &test_err));
	for (unsigned i = 0; i < problems->len; i++)
		g_test_message("fsck: %s", (char *)problems->pdata[i]);
	g_assert_cmpuint(problems->len, ==, 0);
}

#endif
