/* SPDX-License-Identifier: MIT */
#include "engine/seccomp.h"

#include <glib.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "host/caps.h"
#include "host/steps.h"

static const struct abi {
	unsigned bit;
	uint32_t token, audit;
} abis[] = {
	{ SECCOMP_X86_64, SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64 },
	{ SECCOMP_X86, SCMP_ARCH_X86, AUDIT_ARCH_I386 },
	{ SECCOMP_X32, SCMP_ARCH_X32, AUDIT_ARCH_X86_64 },
};

#define ALLOW SECCOMP_RET_ALLOW
#define DENY  (SECCOMP_RET_ERRNO | EPERM)
#define NOSYS (SECCOMP_RET_ERRNO | ENOSYS)

static struct sock_filter *filter;
static size_t n_filter;

static void compile(const struct seccomp_profile *p, unsigned arch, uint64_t caps)
{
	struct seccomp_target t = { arch, caps, 6 << 8 | 1 };
	struct err e = { 0 };

	g_clear_pointer(&filter, free);
	g_assert_cmpint(seccomp_compile(p, &t, &filter, &n_filter, &e), ==, 0);
}

static uint32_t eval(uint32_t audit, int nr, uint64_t a0, uint64_t a1)
{
	struct seccomp_data d = { .nr = nr, .arch = audit, .args = { a0, a1 } };

	return seccomp_eval(filter, n_filter, &d);
}

static uint32_t call(const struct abi *a, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(a->token, name);

	g_assert_cmpint(nr, >=, 0);
	return eval(a->audit, nr, 0, 0);
}

/* The outcome by the table itself, one row after the other. */
static uint32_t expected(const struct seccomp_profile *p, const struct abi *a, uint64_t caps,
	const char *name, uint64_t a0)
{
	uint32_t plain = p->default_action;
	gboolean settled = FALSE;

	for (size_t i = 0; i < p->n_rows; i++) {
		const struct seccomp_row *r = &p->rows[i];
		gboolean named = FALSE, ok = TRUE;

		for (const char *const *n = r->names; *n; n++)
			named |= strcmp(*n, name) == 0;
		if (!named || (caps & r->caps) != r->caps || caps & r->not_caps ||
			(r->arches && !(r->arches & SECCOMP_X86_64)) ||
			r->not_arches & SECCOMP_X86_64)
			continue;
		if (r->n_args == 0 && !settled) {
			plain = r->action;
			settled = TRUE;
		}
		for (unsigned k = 0; k < r->n_args; k++) {
			const struct seccomp_arg *x = &r->args[k];

			g_assert_cmpint(x->index, ==, 0);
			ok &= (x->cmp == SECCOMP_EQ && a0 == x->value) ||
			      (x->cmp == SECCOMP_LT && a0 < x->value) ||
			      (x->cmp == SECCOMP_GT && a0 > x->value) ||
			      (x->cmp == SECCOMP_MASKED_EQ && (a0 & x->value) == x->value2);
		}
		if (r->n_args && ok)
			return r->action;
	}
	return plain;
}

/* Every number of every architecture, under many sets of capabilities, against the table. */
static void test_default_whole(void)
{
	static const uint64_t a0[] = { 0, 8, 16, 37, 38, 39, 40, 41, 0x20000, 0x20008, 0xffffffff,
		0x100000000, CLONE_NEWUSER, CLONE_NEWNS | SIGCHLD, SIGCHLD };

	for (int cap = -2; cap < CAPS_COUNT; cap++) {
		uint64_t caps = cap == -2 ? 0 : cap == -1 ? CAPS_ALL : caps_default | CAPS_BIT(cap);

		compile(&seccomp_default, SECCOMP_X86_64, caps);
		g_assert_cmpuint(n_filter, <, 1000);
		for (size_t k = 0; k < G_N_ELEMENTS(abis); k++)
			for (int nr = 0; nr < 440; nr++) {
				int n = nr | (abis[k].bit == SECCOMP_X32 ? 0x40000000 : 0);
				g_autofree char *name =
					seccomp_syscall_resolve_num_arch(abis[k].token, n);

				/* x32 and x86_64 are one table: the kernel has nothing at those numbers */
				if (!name && abis[k].bit == SECCOMP_X32)
					name = seccomp_syscall_resolve_num_arch(
						SCMP_ARCH_X86_64, nr);
				size_t n_args = name && (strcmp(name, "clone") == 0 ||
								strcmp(name, "socket") == 0 ||
								strcmp(name, "personality") == 0)
							? G_N_ELEMENTS(a0)
							: 1;

				for (size_t i = 0; i < n_args; i++) {
					uint32_t want = name ? expected(&seccomp_default, &abis[k],
								       caps, name, a0[i])
							     : DENY;

					if (!name && nr == 335 && abis[k].bit != SECCOMP_X86)
						want = ALLOW; /* uretprobe, which libseccomp may not know */
					if (eval(abis[k].audit, n, a0[i], 0) != want)
						g_error("call %s (%d) of architecture %x: %x "
							"instead of %x",
							name ? name : "-", nr, abis[k].bit,
							eval(abis[k].audit, n, a0[i], 0), want);
				}
			}
	}
}

static void test_default_spots(void)
{
	const uint32_t x64 = AUDIT_ARCH_X86_64;

	compile(&seccomp_default, SECCOMP_X86_64, caps_default);
	for (size_t k = 0; k < G_N_ELEMENTS(abis); k++) {
		g_assert_cmphex(call(&abis[k], "read"), ==, ALLOW);
		g_assert_cmphex(call(&abis[k], "execve"), ==, ALLOW);
		g_assert_cmphex(
			call(&abis[k], "chroot"), ==, ALLOW); /* CAP_SYS_CHROOT is a default one */
		g_assert_cmphex(call(&abis[k], "mount"), ==, DENY);
		g_assert_cmphex(call(&abis[k], "unshare"), ==, DENY);
		g_assert_cmphex(call(&abis[k], "keyctl"), ==, DENY);
		g_assert_cmphex(call(&abis[k], "io_uring_setup"), ==, DENY);
		g_assert_cmphex(call(&abis[k], "clone3"), ==, NOSYS);
	}
	g_assert_cmphex(eval(x64, __NR_clone, SIGCHLD, 0), ==, ALLOW);
	g_assert_cmphex(eval(x64, __NR_clone, SIGCHLD | CLONE_NEWUSER, 0), ==, DENY);
	g_assert_cmphex(eval(x64, __NR_socket, AF_INET, 0), ==, ALLOW);
	g_assert_cmphex(eval(x64, __NR_socket, AF_ALG, 0), ==, DENY);
	g_assert_cmphex(eval(x64, __NR_socket, AF_VSOCK, 0), ==, DENY);
	g_assert_cmphex(eval(x64, __NR_personality, 0xffffffff, 0), ==, ALLOW);
	g_assert_cmphex(eval(x64, __NR_personality, 0x400000, 0), ==, DENY); /* READ_IMPLIES_EXEC */
	g_assert_cmphex(eval(x64, 452, 0, 0), ==, ALLOW);		     /* fchmodat2 */
	g_assert_cmphex(eval(x64, 467, 0, 0), ==, NOSYS); /* younger than the list */
	g_assert_cmphex(eval(x64, 0x3fffffff, 0, 0), ==, NOSYS);
	g_assert_cmphex(eval(x64, -1, 0, 0), ==, NOSYS);
	g_assert_cmphex(eval(AUDIT_ARCH_AARCH64, 0, 0, 0), ==, SECCOMP_RET_KILL_THREAD);

	compile(&seccomp_default, SECCOMP_X86_64, CAPS_ALL);
	g_assert_cmphex(eval(x64, __NR_mount, 0, 0), ==, ALLOW);
	g_assert_cmphex(eval(x64, __NR_clone, CLONE_NEWUSER, 0), ==, ALLOW);
	g_assert_cmphex(eval(x64, __NR_clone3, 0, 0), ==, ALLOW);
	g_assert_cmphex(eval(x64, __NR_keyctl, 0, 0), ==, DENY);
}

/* Each comparison around values whose halves differ. */
static void test_comparisons(void)
{
	static const uint64_t v[] = { 0, 1, 0xfffffffe, 0xffffffff, 0x100000000, 0x100000001,
		0x1ffffffff, 0x7fffffffffffffff, 0xffffffffffffffff, 0x500000005, 0x500000004,
		0x400000005 };

	for (unsigned cmp = 0; cmp < _SECCOMP_CMP_MAX; cmp++)
		for (size_t i = 0; i < G_N_ELEMENTS(v); i++)
			for (size_t k = 0; k < G_N_ELEMENTS(v); k++) {
				struct seccomp_arg arg[2] = { { 1, cmp, v[i], v[i] & 0xf0000000f },
					{ 0, SECCOMP_EQ, 7, 0 } };
				const char *const names[] = { "ioctl", NULL };
				struct seccomp_row row = {
					.names = names, .action = ALLOW, .args = arg, .n_args = 2
				};
				struct seccomp_profile p = { DENY, 0, &row, 1 };
				uint64_t x = v[k], y = v[i];
				gboolean hold = cmp == SECCOMP_EQ   ? x == y
						: cmp == SECCOMP_NE ? x != y
						: cmp == SECCOMP_LT ? x < y
						: cmp == SECCOMP_LE ? x <= y
						: cmp == SECCOMP_GT ? x > y
						: cmp == SECCOMP_GE ? x >= y
								    : (x & y) == (y & 0xf0000000f);

				compile(&p, SECCOMP_X86_64, 0);
				g_assert_cmphex(eval(AUDIT_ARCH_X86_64, __NR_ioctl, 7, x), ==,
					hold ? ALLOW : DENY);
				g_assert_cmphex(
					eval(AUDIT_ARCH_X86_64, __NR_ioctl, 6, x), ==, DENY);
			}
}

/* Far jumps: every other call has its own errno, so that nothing can be merged. */
static void test_large(void)
{
	struct seccomp_row rows[400];
	const char *names[400][2];
	size_t n = 0;

	memset(rows, 0, sizeof(rows));
	for (int nr = 0; nr < 334; nr++) {
		names[n][0] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, nr);
		names[n][1] = NULL;
		if (!names[n][0])
			continue;
		rows[n].names = names[n];
		rows[n].action = SECCOMP_RET_ERRNO | (uint32_t)(1000 + nr);
		n++;
	}
	struct seccomp_profile p = { ALLOW, SECCOMP_X86 | SECCOMP_X32, rows, n };

	compile(&p, SECCOMP_X86_64, 0);
	for (int nr = 0; nr < 334; nr++)
		g_assert_cmphex(eval(AUDIT_ARCH_X86_64, nr, 0, 0), ==,
			SECCOMP_RET_ERRNO | (uint32_t)(1000 + nr));
	g_assert_cmphex(eval(AUDIT_ARCH_X86_64, 400, 0, 0), ==, ALLOW);
	for (size_t i = 0; i < n; i++)
		free((char *)(uintptr_t)names[i][0]);
}

static void test_hex(void)
{
	g_autofree char *hex = NULL;
	struct sock_filter *back;
	size_t n;

	compile(&seccomp_default, SECCOMP_X86_64, caps_default);
	hex = seccomp_to_hex(filter, n_filter);
	g_assert_cmpint(seccomp_from_hex(hex, &back, &n), ==, 0);
	g_assert_cmpmem(back, n * sizeof(*back), filter, n_filter * sizeof(*filter));
	free(back);
	g_assert_cmpint(seccomp_from_hex("", &back, &n), ==, -EINVAL);
	g_assert_cmpint(seccomp_from_hex("00", &back, &n), ==, -EINVAL);
	g_assert_cmpint(seccomp_from_hex("000000000000000g", &back, &n), ==, -EINVAL);
}

static void test_key(void)
{
	struct seccomp_target t = { SECCOMP_X86_64, caps_default, 0x601 };
	char a[SECCOMP_KEY_MAX], b[SECCOMP_KEY_MAX];

	seccomp_key("default", &t, a);
	t.caps |= CAPS_BIT(CAP_SYS_ADMIN);
	seccomp_key("default", &t, b);
	g_assert_cmpstr(a, !=, b);
	g_assert_true(g_str_has_prefix(a, "default-amd64-"));
	g_assert_null(strchr(a, '/'));
}

/* The step, and what the kernel then does. */
static void test_kernel(void)
{
	struct seccomp_target t;
	g_autofree char *hex = NULL;
	struct err e = { 0 };
	int status;
	pid_t pid;

	g_assert_cmpint(seccomp_here(caps_default, &t, &e), ==, 0);
	g_clear_pointer(&filter, free);
	g_assert_cmpint(seccomp_compile(&seccomp_default, &t, &filter, &n_filter, &e), ==, 0);
	hex = seccomp_to_hex(filter, n_filter);
	pid = fork();
	if (pid == 0) {
		struct plan *p = plan_new();
		struct step_run r;

		plan_add(p, AT_HOST, &step_no_new_privs);
		plan_add(p, AT_HOST, &step_seccomp, hex, "spec-allow", "default");
		step_run_init(&r, p);
		if (plan_run(&r, &e) < 0)
			_exit(1);
		if (unshare(CLONE_NEWUSER) == 0 || errno != EPERM)
			_exit(2);
		if (syscall(SYS_clone3, NULL, 0) == 0 || errno != ENOSYS)
			_exit(3);
		if (socket(AF_ALG, SOCK_SEQPACKET, 0) >= 0 || errno != EPERM)
			_exit(4);
		if (syscall(SYS_keyctl, 0, 0, 0, 0, 0) >= 0 || errno != EPERM)
			_exit(5);
		if (syscall(2000) >= 0 || errno != ENOSYS)
			_exit(6);
		if (getppid() <= 0 || socket(AF_UNIX, SOCK_STREAM, 0) < 0)
			_exit(7);
		_exit(0);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFEXITED(status));
	g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void test_bad(void)
{
	const char *const names[] = { "read", NULL };
	struct seccomp_arg arg = { 6, SECCOMP_EQ, 0, 0 };
	struct seccomp_row row = { .names = names, .action = ALLOW, .args = &arg, .n_args = 1 };
	struct seccomp_profile p = { DENY, 0, &row, 1 };
	struct seccomp_target t = { SECCOMP_X86_64, 0, 0x601 };
	struct sock_filter *f;
	struct err e;
	size_t n;

	g_assert_cmpint(seccomp_compile(&p, &t, &f, &n, &e), ==, -E_INVALID);
	g_assert_true(seccomp_known("read"));
	g_assert_true(seccomp_known("mseal"));
	g_assert_false(seccomp_known("no_such_call"));
	g_assert_cmpuint(seccomp_arch("SCMP_ARCH_X86_64"), ==, SECCOMP_X86_64);
	g_assert_cmpuint(seccomp_arch("arm64"), ==, SECCOMP_AARCH64);
	g_assert_cmpuint(seccomp_arch("vax"), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/seccomp/default/whole", test_default_whole);
	g_test_add_func("/seccomp/default/spots", test_default_spots);
	g_test_add_func("/seccomp/comparisons", test_comparisons);
	g_test_add_func("/seccomp/large", test_large);
	g_test_add_func("/seccomp/hex", test_hex);
	g_test_add_func("/seccomp/key", test_key);
	g_test_add_func("/seccomp/kernel", test_kernel);
	g_test_add_func("/seccomp/bad", test_bad);
	return g_test_run();
}
