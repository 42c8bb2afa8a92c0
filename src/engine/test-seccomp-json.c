/* SPDX-License-Identifier: MIT */
#include "engine/seccomp-json.h"

#include <glib.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>

#include "host/caps.h"

static const char small[] =
	"{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 13,"
	"  \"archMap\": [ { \"architecture\": \"SCMP_ARCH_X86_64\","
	"    \"subArchitectures\": [ \"SCMP_ARCH_X86\" ] } ],"
	"  \"flags\": [ \"SECCOMP_FILTER_FLAG_LOG\", \"SECCOMP_FILTER_FLAG_SPEC_ALLOW\" ],"
	"  \"syscalls\": ["
	"    { \"names\": [ \"read\", \"write\", \"no_such_call\" ], \"action\": "
	"\"SCMP_ACT_ALLOW\" },"
	"    { \"name\": \"chmod\", \"action\": \"SCMP_ACT_KILL_PROCESS\" },"
	"    { \"names\": [ \"chown\" ], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 95 },"
	"    { \"names\": [ \"kill\" ], \"action\": \"SCMP_ACT_ALLOW\", \"args\": ["
	"      { \"index\": 1, \"value\": 10, \"op\": \"SCMP_CMP_LE\" },"
	"      { \"index\": 0, \"value\": 255, \"valueTwo\": 7, \"op\": \"SCMP_CMP_MASKED_EQ\" } ] "
	"},"
	"    { \"names\": [ \"mount\" ], \"action\": \"SCMP_ACT_ALLOW\","
	"      \"includes\": { \"caps\": [ \"CAP_SYS_ADMIN\" ] } },"
	"    { \"names\": [ \"acct\" ], \"action\": \"SCMP_ACT_ALLOW\","
	"      \"excludes\": { \"caps\": [ \"CAP_SYS_ADMIN\" ] } },"
	"    { \"names\": [ \"sync\" ], \"action\": \"SCMP_ACT_ALLOW\","
	"      \"includes\": { \"minKernel\": \"7.0\" } },"
	"    { \"names\": [ \"pause\" ], \"action\": \"SCMP_ACT_ALLOW\","
	"      \"includes\": { \"arches\": [ \"vax\" ] } } ] }";

static struct sock_filter *filter;
static size_t n_filter;

static void compile(const struct seccomp_doc *d, uint64_t caps)
{
	struct seccomp_target t = { SECCOMP_X86_64, caps, 6 << 8 | 1 };
	struct err e = { 0 };

	g_clear_pointer(&filter, free);
	g_assert_cmpint(seccomp_compile(&d->profile, &t, &filter, &n_filter, &e), ==, 0);
}

static uint32_t eval(int nr, uint64_t a0, uint64_t a1)
{
	struct seccomp_data d = { .nr = nr, .arch = AUDIT_ARCH_X86_64, .args = { a0, a1 } };

	return seccomp_eval(filter, n_filter, &d);
}

static void test_small(void)
{
	struct seccomp_doc *d = NULL;
	struct err e = { 0 };

	g_assert_cmpint(seccomp_from_json(small, strlen(small), &d, &e), ==, 0);
	g_assert_cmpstr(d->flags, ==, "log,spec-allow");
	compile(d, CAPS_BIT(CAP_SYS_ADMIN));
	g_assert_cmphex(eval(__NR_read, 0, 0), ==, SECCOMP_RET_ALLOW);
	g_assert_cmphex(eval(__NR_open, 0, 0), ==, SECCOMP_RET_ERRNO | 13);
	g_assert_cmphex(eval(__NR_chmod, 0, 0), ==, SECCOMP_RET_KILL_PROCESS);
	g_assert_cmphex(eval(__NR_chown, 0, 0), ==, SECCOMP_RET_ERRNO | 95);
	g_assert_cmphex(eval(__NR_kill, 0x1107, 10), ==, SECCOMP_RET_ALLOW);
	g_assert_cmphex(eval(__NR_kill, 0x1107, 11), ==, SECCOMP_RET_ERRNO | 13);
	g_assert_cmphex(eval(__NR_kill, 0x1108, 9), ==, SECCOMP_RET_ERRNO | 13);
	g_assert_cmphex(eval(__NR_mount, 0, 0), ==, SECCOMP_RET_ALLOW);
	g_assert_cmphex(eval(__NR_acct, 0, 0), ==, SECCOMP_RET_ERRNO | 13);
	g_assert_cmphex(eval(__NR_sync, 0, 0), ==, SECCOMP_RET_ERRNO | 13);
	g_assert_cmphex(eval(__NR_pause, 0, 0), ==, SECCOMP_RET_ERRNO | 13);
	compile(d, 0);
	g_assert_cmphex(eval(__NR_mount, 0, 0), ==, SECCOMP_RET_ERRNO | 13);
	g_assert_cmphex(eval(__NR_acct, 0, 0), ==, SECCOMP_RET_ALLOW);
	seccomp_doc_free(d);
}

static void refused(const char *text, int code, const char *words)
{
	struct seccomp_doc *d = NULL;
	struct err e = { 0 };

	if (seccomp_from_json(text, strlen(text), &d, &e) != code)
		g_error("'%s' isn't refused", text);
	g_assert_null(d);
	if (!strstr(e.text, words))
		g_error("'%s' isn't in '%s'", words, e.text);
}

#define RULE(x) "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[" x "]}"

static void test_refused(void)
{
	refused("", -E_INVALID, "isn't JSON");
	refused("[]", -E_INVALID, "document");
	refused("{}", -E_INVALID, "action");
	refused("{\"defaultAction\":\"ALLOW\"}", -E_INVALID, "'ALLOW'");
	refused(RULE("7"), -E_INVALID, "rule");
	refused(RULE("{\"names\":[]}"), -E_INVALID, "no names");
	refused(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":5000}"),
		-E_INVALID, "errnoRet");
	refused(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":6}]}"),
		-E_INVALID, "index");
	refused(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\",\"args\":[{\"index\":1,"
		     "\"op\":\"EQ\"}]}"),
		-E_INVALID, "'EQ'");
	refused(RULE("{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\",\"includes\":{\"caps\":["
		     "\"X\"]}}"),
		-E_INVALID, "capability 'X'");
	refused("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_NEW_"
		"LISTENER\"]}",
		-E_INVALID, "flag");
}

/* Docker's own text, where LODGE_SPECS says that the specifications are, comes to what our table comes to. */
static void test_docker(void)
{
	const char *specs = g_getenv("LODGE_SPECS");
	g_autofree char *file = NULL, *text = NULL;
	struct seccomp_doc *d = NULL;
	struct err e = { 0 };
	gsize len;

	file = specs ? g_build_filename(specs, "docker-engine", "seccomp-default.json", NULL)
		     : NULL;
	if (!file || !g_file_get_contents(file, &text, &len, NULL)) {
		g_test_skip("LODGE_SPECS isn't set");
		return;
	}
	g_assert_cmpint(seccomp_from_json(text, len, &d, &e), ==, 0);
	for (int cap = -2; cap < CAPS_COUNT; cap++)
		for (unsigned arch = SECCOMP_X86_64; arch <= SECCOMP_RISCV64; arch <<= 1) {
			struct seccomp_target t = { arch, 0, 6 << 8 | 1 };
			g_autofree struct sock_filter *a = NULL, *b = NULL;
			size_t n, m;

			t.caps = cap == -2   ? 0
				 : cap == -1 ? CAPS_ALL
					     : caps_default | CAPS_BIT(cap);
			g_assert_cmpint(seccomp_compile(&d->profile, &t, &a, &n, &e), ==, 0);
			g_assert_cmpint(seccomp_compile(&seccomp_default, &t, &b, &m, &e), ==, 0);
			g_assert_cmpmem(a, n * sizeof(*a), b, m * sizeof(*b));
		}
	seccomp_doc_free(d);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/seccomp-json/small", test_small);
	g_test_add_func("/seccomp-json/refused", test_refused);
	g_test_add_func("/seccomp-json/docker", test_docker);
	return g_test_run();
}
