/* SPDX-License-Identifier: MIT */
#include "host/dbus.h"

#include <glib.h>
#include <string.h>

#include "host/systemd.h"

static struct dbus_out out;

/* the example: a call with one text */
static void test_call(void)
{
	static const uint8_t head[] = { 'l', 1, 0, 1, 8, 0, 0, 0, 7, 0, 0, 0, 0x68, 0, 0, 0, 1, 1,
		'o', 0, 2, 0, 0, 0, '/', 'x', 0 };
	static const uint8_t body[] = { 3, 0, 0, 0, 'a', 'b', 'c', 0 };

	dbus_begin(&out, 7, "/x", "a.b", "M", "s");
	dbus_put_string(&out, "abc");
	dbus_end(&out);
	g_assert_false(out.full);
	g_assert_cmpuint(out.n % 8, ==, 0);
	g_assert_cmpmem(out.buf, 12, head, 12);
	g_assert_cmpmem(out.buf + 16, sizeof(head) - 16, head + 16, sizeof(head) - 16);
	g_assert_cmpmem(out.buf + out.body, out.n - out.body, body, sizeof(body));
}

static void property(const char *text, const char *want, gsize n)
{
	gsize at;

	dbus_begin(&out, 1, "/x", "a.b", "M", "a(sv)");
	g_assert_cmpint(dbus_put_property(&out, text, 258), ==, 0);
	dbus_end(&out);
	at = out.n - n;
	g_assert_cmpmem(out.buf + at, n, want, n);
}

static void test_properties(void)
{
	static const char *const bad[] = { "", "A", "A=", "A=b", "=b:1", "A=x:1", "A=b:y",
		"A=u:4294967296", "A=ay:3-1", "A=ay:9999", "A=a(ss):one", "A=au:1", "A=t:-1" };

	property("A=b:1", "A\0\1b\0\0\0\0\1\0\0\0", 12);
	property("A=t:258", "\1t\0\0\0\0\0\0\0\0\2\1\0\0\0\0\0\0", 18);
	property("A=i:-2", "\xfe\xff\xff\xff", 4);
	property("A=s:xy", "\2\0\0\0xy\0", 7);
	property("A=as:x,yz", "\x0f\0\0\0\1\0\0\0x\0\0\0\2\0\0\0yz\0", 19);
	property("A=ay:0-2,9", "\2\0\0\0\7\2", 6);
	property("A=ay:", "\0\0\0\0", 4);
	property("A=au:@PID@", "\4\0\0\0\2\1\0\0", 8);
	property("A=a(ss):/d rw,e m", "e\0\0\0\1\0\0\0m\0", 10);
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_cmpint(dbus_put_property(&out, bad[i], 1), ==, -E_INVALID);
}

/* A signal as systemd sends it: made by the writer, with its type changed. */
static void test_parse(void)
{
	struct dbus_message m;

	dbus_begin(&out, 1, "/x", "a.b", "JobRemoved", "uoss");
	dbus_put_u32(&out, 9);
	dbus_put_string(&out, "/job/9");
	dbus_put_string(&out, "a.scope");
	dbus_put_string(&out, "done");
	dbus_end(&out);
	out.buf[1] = DBUS_SIGNAL;
	g_assert_cmpint(dbus_parse(out.buf, out.n, &m), ==, (gssize)out.n);
	g_assert_cmpuint(m.type, ==, DBUS_SIGNAL);
	g_assert_cmpstr(m.member, ==, "JobRemoved");
	g_assert_null(dbus_text(&m, 0));
	g_assert_cmpstr(dbus_text(&m, 1), ==, "/job/9");
	g_assert_cmpstr(dbus_text(&m, 3), ==, "done");
	g_assert_null(dbus_text(&m, 4));
	for (gsize n = 0; n < out.n; n++)
		g_assert_cmpint(dbus_parse(out.buf, n, &m), ==, 0);
	out.buf[0] = 'B';
	g_assert_cmpint(dbus_parse(out.buf, out.n, &m), ==, -E_CORRUPT);
	out.buf[0] = 'l';
	memset(out.buf + 12, 0xff, 4);
	g_assert_cmpint(dbus_parse(out.buf, out.n, &m), ==, -E_LIMIT);
}

static void test_full(void)
{
	g_autofree char *big = g_strnfill(DBUS_MESSAGE_MAX, 'x');

	dbus_begin(&out, 1, "/x", "a.b", "M", "s");
	dbus_put_string(&out, big);
	dbus_end(&out);
	g_assert_true(out.full);
}

static void test_slices(void)
{
	static const char *const bad[] = { "", "x", ".slice", "a/b.slice", "-a.slice", "a-.slice",
		"a--b.slice" };
	char path[SYSTEMD_TEXT_MAX];

	g_assert_cmpint(systemd_slice_path("a-b-c.slice", path, sizeof(path)), ==, 0);
	g_assert_cmpstr(path, ==, "a.slice/a-b.slice/a-b-c.slice");
	g_assert_cmpint(systemd_slice_path("-.slice", path, sizeof(path)), ==, 0);
	g_assert_cmpstr(path, ==, "");
	for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_cmpint(systemd_slice_path(bad[i], path, sizeof(path)), ==, -E_INVALID);
	g_assert_cmpint(systemd_slice_path("a-b-c.slice", path, 20), ==, -E_INVALID);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/dbus/call", test_call);
	g_test_add_func("/dbus/properties", test_properties);
	g_test_add_func("/dbus/parse", test_parse);
	g_test_add_func("/dbus/full", test_full);
	g_test_add_func("/dbus/slices", test_slices);
	return g_test_run();
}
