/* SPDX-License-Identifier: MIT */
#include "host/caps.h"

#include <glib.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/wait.h>

static void test_names(void)
{
	uint64_t m;
	struct err e;

	for (unsigned i = 0; i < CAPS_COUNT; i++) {
		g_assert_cmpint(caps_parse(caps_name(i), &m, &e), ==, 0);
		g_assert_cmphex(m, ==, CAPS_BIT(i));
		g_assert_cmpint(caps_parse(caps_name(i) + 4, &m, &e), ==, 0);
		g_assert_cmphex(m, ==, CAPS_BIT(i));
	}
	g_assert_null(caps_name(CAPS_COUNT));
	g_assert_cmpint(caps_parse("net_admin", &m, &e), ==, 0);
	g_assert_cmphex(m, ==, CAPS_BIT(CAP_NET_ADMIN));
	g_assert_cmpint(caps_parse("all", &m, &e), ==, 0);
	g_assert_cmphex(m, ==, UINT64_C(0x1ffffffffff));
	g_assert_cmpint(caps_parse("CAP_NOTHING", &m, &e), ==, -E_INVALID);
	g_assert_cmpstr(e.text, ==, "unknown capability 'CAP_NOTHING'");
	g_assert_cmpint(caps_parse("", &m, &e), ==, -E_INVALID);
}

static void test_masks(void)
{
	char buf[256];
	struct text t = TEXT_ON(buf);
	uint64_t m;

	g_assert_cmpint(caps_parse_mask("a80425fb", &m), ==, 0);
	g_assert_cmphex(m, ==, caps_default); /* what a container of docker's has in CapBnd */
	g_assert_cmpint(caps_parse_mask("1FFFFFFFFFF", &m), ==, 0);
	g_assert_cmphex(m, ==, CAPS_ALL);
	g_assert_cmpint(caps_parse_mask("0", &m), ==, 0);
	g_assert_cmphex(m, ==, 0);
	g_assert_cmpint(caps_parse_mask("", &m), ==, -EINVAL);
	g_assert_cmpint(caps_parse_mask("0x1", &m), ==, -EINVAL);
	g_assert_cmpint(caps_parse_mask("\x11", &m), ==, -EINVAL);
	g_assert_cmpint(caps_parse_mask("11111111111111111", &m), ==, -EINVAL);
	caps_show(CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_BPF), &t);
	g_assert_cmpstr(buf, ==, "CAP_CHOWN,CAP_BPF");
}

#define NAMES(...) ((char *const[]){ __VA_ARGS__, NULL })

static void test_choose(void)
{
	const uint64_t without = CAPS_ALL & ~CAPS_BIT(CAP_SYS_RESOURCE);
	struct err e;
	uint64_t m;

	g_assert_cmpint(caps_choose(false, NULL, NULL, CAPS_ALL, &m, &e), ==, 0);
	g_assert_cmphex(m, ==, caps_default);
	g_assert_cmpint(
		caps_choose(false, NAMES("NET_ADMIN"), NAMES("CHOWN"), CAPS_ALL, &m, &e), ==, 0);
	g_assert_cmphex(m, ==, (caps_default | CAPS_BIT(CAP_NET_ADMIN)) & ~CAPS_BIT(CAP_CHOWN));
	g_assert_cmpint(caps_choose(false, NAMES("CHOWN"), NAMES("ALL"), CAPS_ALL, &m, &e), ==, 0);
	g_assert_cmphex(m, ==, CAPS_BIT(CAP_CHOWN));
	g_assert_cmpint(
		caps_choose(false, NAMES("ALL"), NAMES("SYS_ADMIN"), CAPS_ALL, &m, &e), ==, 0);
	g_assert_cmphex(m, ==, CAPS_ALL & ~CAPS_BIT(CAP_SYS_ADMIN));
	g_assert_cmpint(caps_choose(true, NULL, NULL, without, &m, &e), ==, 0);
	g_assert_cmphex(m, ==, without);
	g_assert_cmpint(caps_choose(false, NAMES("ALL"), NULL, without, &m, &e), ==, 0);
	g_assert_cmphex(m, ==, without);
	g_assert_cmpint(caps_choose(false, NAMES("SYS_RESOURCE"), NULL, without, &m, &e), ==,
		-E_UNSUPPORTED);
	g_assert_nonnull(strstr(e.text, "'CAP_SYS_RESOURCE'"));
	g_assert_cmpint(caps_choose(false, NAMES("WHAT"), NULL, without, &m, &e), ==, -E_INVALID);
}

/* All five sets, in a process of its own. */
static void test_set(void)
{
	uint64_t want = CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_KILL);
	g_autofree char *text = NULL;
	pid_t pid;
	int status;

	if (geteuid() != 0) {
		g_test_skip("needs root");
		return;
	}
	pid = fork();
	if (pid == 0) {
		if (caps_set_bounding(want) < 0 || caps_bounding() != want)
			_exit(1);
		if (caps_set(want, CAPS_BIT(CAP_KILL), CAPS_BIT(CAP_CHOWN), CAPS_BIT(CAP_CHOWN)) <
			0)
			_exit(2);
		if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
			_exit(3);
		if (!strstr(text, "CapInh:\t0000000000000001") ||
			!strstr(text, "CapPrm:\t0000000000000021") ||
			!strstr(text, "CapEff:\t0000000000000020") ||
			!strstr(text, "CapBnd:\t0000000000000021") ||
			!strstr(text, "CapAmb:\t0000000000000001"))
			_exit(4);
		/* what was given up doesn't come back */
		_exit(caps_set(CAPS_ALL, 0, 0, 0) == -EPERM ? 0 : 5);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/caps/names", test_names);
	g_test_add_func("/caps/masks", test_masks);
	g_test_add_func("/caps/choose", test_choose);
	g_test_add_func("/caps/set", test_set);
	return g_test_run();
}
