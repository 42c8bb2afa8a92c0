/* SPDX-License-Identifier: MIT */
#include "host/criu.h"

#include <glib.h>
#include <string.h>

static void test_encode(void)
{
	static const char *const words[] = { "--tree=300", "--images-dir=/x", "--leave-running",
		"--root=/r", "--cgroup-root=cpu:/a", "--inherit-fd=fd[1]:pipe:[7]",
		"--manage-cgroups=soft" };
	static const int fds[] = { -1, 9, -1, -1, -1, -1, -1 };
	static const uint8_t want[] = { 1 << 3, CRIU_DUMP, 2 << 3 | 2, 49, /* opts: */
		2 << 3, 0xac, 2, 1 << 3, 9, 3 << 3, 1, 13 << 3 | 2, 2, '/', 'r',
		/* 25: a message */
		0xca, 1, 9, 1 << 3 | 2, 3, 'c', 'p', 'u', 2 << 3 | 2, 2, '/', 'a',
		/* 27 */
		0xda, 1, 12, 1 << 3 | 2, 8, 'p', 'i', 'p', 'e', ':', '[', '7', ']', 2 << 3, 1,
		/* 24 and 34, 12, 50 */
		0xc0, 1, 1, 0x90, 2, 3, 12 << 3, 1, 0x90, 3, 1 };
	g_autofree uint8_t *buf = g_malloc(CRIU_PACKET_MAX);
	ssize_t n = criu_encode(CRIU_DUMP, words, fds, G_N_ELEMENTS(words), buf, NULL);

	g_assert_cmpmem(buf, (gsize)n, want, sizeof(want));
}

static void test_encode_bad(void)
{
	static const char *const bad[] = { "--nope", "--tree", "--tree=x", "--leave-running=1",
		"--cgroup-root=a", "--cgroup-root=a/b", "--inherit-fd=fd[1]", "--inherit-fd=1:x",
		"--manage-cgroups=x", "--page-server=x", "--page-server=a:99999",
		"--empty-ns=uts" };
	g_autofree uint8_t *buf = g_malloc(CRIU_PACKET_MAX);
	g_autofree char *big = g_strnfill(CRIU_PACKET_MAX, 'x'),
			*word = g_strdup_printf("--root=%s", big);
	const char *const too_big[] = { word };
	static const int fds[] = { -1 };
	struct err e = { 0 };

	for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_cmpint(criu_encode(CRIU_DUMP, &bad[i], fds, 1, buf, &e), ==, -E_INVALID);
		g_assert_nonnull(strstr(e.text, bad[i]));
	}
	g_assert_cmpint(criu_encode(CRIU_DUMP, too_big, fds, 1, buf, &e), ==, -E_LIMIT);
}

static void test_opens(void)
{
	const char *p;
	size_t n;

	g_assert_cmpint(criu_word_opens("--images-dir=/a", &p, &n), ==, CRIU_OPENS_FOLDER);
	g_assert_cmpstr(p, ==, "/a");
	g_assert_cmpint(
		criu_word_opens("--inherit-fd=fd[/run/x]:net", &p, &n), ==, CRIU_OPENS_FILE);
	g_assert_cmpmem(p, n, "/run/x", 6);
	g_assert_cmpint(criu_word_opens("--inherit-fd=fd[1]:net", &p, &n), ==, CRIU_OPENS_NONE);
	g_assert_cmpint(criu_word_opens("--root=/a", &p, &n), ==, CRIU_OPENS_NONE);
	g_assert_cmpint(criu_word_opens("--inherit-fd=fd[/run", &p, &n), ==, CRIU_OPENS_NONE);
}

static void test_decode(void)
{
	static const uint8_t restored[] = { 8, 2, 16, 1, 4 << 3 | 2, 3, 8, 0xac, 2 },
			     note[] = { 8, 6, 16, 1, 5 << 3 | 2, 6, 10, 2, 'a', 'b', 16, 5 },
			     features[] = { 8, 9, 16, 1, 8 << 3 | 2, 4, 8, 1, 16, 0 },
			     refused[] = { 8, 1, 16, 0, 7 << 3, 2, 9 << 3 | 2, 2, 'n', 'o' },
			     minus[] = { 8, 2, 16, 0, 4 << 3 | 2, 11, 8, 0xff, 0xff, 0xff, 0xff,
				     0xff, 0xff, 0xff, 0xff, 0xff, 1 };
	struct criu_reply r;

	g_assert_cmpint(criu_decode(restored, sizeof(restored), &r), ==, 0);
	g_assert_true(r.success);
	g_assert_cmpint(r.pid, ==, 300);
	g_assert_cmpint(criu_decode(note, sizeof(note), &r), ==, 0);
	g_assert_cmpint(r.type, ==, CRIU_NOTIFY);
	g_assert_cmpstr(r.script, ==, "ab");
	g_assert_cmpint(r.pid, ==, 5);
	g_assert_cmpint(criu_decode(features, sizeof(features), &r), ==, 0);
	g_assert_cmpint(r.features, ==, CRIU_MEM_TRACK);
	g_assert_cmpint(criu_decode(refused, sizeof(refused), &r), ==, 0);
	g_assert_false(r.success);
	g_assert_cmpint(r.code, ==, 2);
	g_assert_cmpstr(r.text, ==, "no");
	/* a restore that failed has the process -1 */
	g_assert_cmpint(criu_decode(minus, sizeof(minus), &r), ==, 0);
	/* cut anywhere it is no message, or a shorter one; never more than there is */
	for (size_t n = 0; n < sizeof(note); n++)
		if (criu_decode(note, n, &r) == 0)
			g_assert_cmpint(r.pid, ==, 0);
	g_assert_cmpint(criu_decode(note, 5, &r), ==, -E_CORRUPT);
	g_assert_cmpint(criu_decode((const uint8_t *)"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
				11, &r),
		==, -E_CORRUPT);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/criu/encode", test_encode);
	g_test_add_func("/criu/encode-bad", test_encode_bad);
	g_test_add_func("/criu/opens", test_opens);
	g_test_add_func("/criu/decode", test_decode);
	return g_test_run();
}
