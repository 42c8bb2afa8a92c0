/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "server/server-priv.h"

static const struct route routes[] = {
	{ "GET", "/v2/" },
	{ "GET", "/v2/{+}/tags/list" },
	{ "PUT", "/v2/{+}/manifests/{}" },
	{ "GET", "/v2/{+}/manifests/{}" },
	{ "POST", "/v2/{+}/blobs/uploads/" },
	{ "DELETE", "/v2/{+}/blobs/uploads/{}" },
	{ NULL },
};

static void test_routes(void)
{
	static const struct {
		const char *method, *path;
		int r, route; /* index */
		const char *a, *b;
	} rows[] = {
		{ "GET", "/v2/", 0, 0, NULL, NULL },
		{ "HEAD", "/v2/", 0, 0, NULL, NULL },
		{ "GET", "/v2", 404, 0, NULL, NULL },
		{ "GET", "/v2/a/tags/list", 0, 1, "a", NULL },
		{ "GET", "/v2/a/b/c/tags/list", 0, 1, "a/b/c", NULL },
		{ "GET", "/v2/tags/list", 404, 0, NULL, NULL },
		/* by the end of the path */
		{ "GET", "/v2/a/manifests/tags/list", 0, 1, "a/manifests", NULL },
		{ "GET", "/v2/a/tags/list/manifests/x", 0, 3, "a/tags/list", "x" },
		{ "PUT", "/v2/a/manifests/sha256%3Aff", 0, 2, "a", "sha256:ff" },
		{ "PUT", "/v2/a%2Fb/manifests/..%2f..", 0, 2, "a/b", "../.." },
		{ "PUT", "/v2/a/manifests/%00", 0, 2, "a", NULL },
		{ "PUT", "/v2//manifests/x", 0, 2, "", "x" },
		{ "PUT", "/v2/a//manifests/x", 0, 2, "a/", "x" },
		{ "POST", "/v2/a/blobs/uploads/", 0, 4, "a", NULL },
		{ "POST", "/v2/a/blobs/uploads", 404, 0, NULL, NULL },
		{ "DELETE", "/v2/a/blobs/uploads/u", 0, 5, "a", "u" },
		{ "DELETE", "/v2/a/manifests/x", 405, 0, NULL, NULL },
		{ "get", "/v2/", 405, 0, NULL, NULL },
		{ "GET", "*", 400, 0, NULL, NULL },
		{ "GET", "/", 404, 0, NULL, NULL },
	};

	for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GString) allow = g_string_new(NULL);
		struct http_request q = {
			.method = { rows[i].method, strlen(rows[i].method) },
			.path = { rows[i].path, strlen(rows[i].path) },
		};
		struct call c;

		g_test_message("%s %s", rows[i].method, rows[i].path);
		call_init(&c);
		c.q = &q;
		g_assert_cmpint(route_find(&(struct server_config){ .routes = routes }, &c, allow), ==, rows[i].r);
		if (rows[i].r == 0) {
			g_assert_true(c.route == &routes[rows[i].route]);
			g_assert_cmpstr(c.args[0], ==, rows[i].a);
			g_assert_cmpstr(c.args[1], ==, rows[i].b);
		}
		if (rows[i].r == 405 && g_str_equal(rows[i].method, "DELETE"))
			g_assert_cmpstr(allow->str, ==, "PUT, GET, HEAD");
		call_done(&c);
	}
}

/* A path of nothing but slashes is refused, not counted. */
static void test_long(void)
{
	g_autofree char *path = g_strnfill(5000, '/');
	g_autoptr(GString) allow = g_string_new(NULL);
	struct http_request q = { .method = { "GET", 3 }, .path = { path, 5000 } };
	struct call c;

	call_init(&c);
	c.q = &q;
	g_assert_cmpint(route_find(&(struct server_config){ .routes = routes }, &c, allow), ==, 404);
	call_done(&c);
}

static void test_reply(void)
{
	struct reply r;

	reply_init(&r);
	reply_header(&r, "Location", "/%s", "a\r\nSet-Cookie: b");
	reply_text(&r, 200, "text/plain", "hello");
	g_assert_cmpstr(
		r.headers->str, ==, "Location: /a??Set-Cookie: b\r\nContent-Type: text/plain\r\n");
	g_assert_cmpstr(r.body->str, ==, "hello");
	reply_none(&r, 204);
	g_assert_cmpint(r.status, ==, 204);
	g_assert_cmpuint(r.body->len, ==, 0);
	reply_done(&r);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/server/routes", test_routes);
	g_test_add_func("/server/long", test_long);
	g_test_add_func("/server/reply", test_reply);
	return g_test_run();
}
