/* SPDX-License-Identifier: MIT */
#include "engine/seccomp.h"

#include <linux/audit.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "host/smallfile.h"

#ifndef AUDIT_ARCH_RISCV64
#define AUDIT_ARCH_RISCV64 (EM_RISCV | __AUDIT_ARCH_64BIT | __AUDIT_ARCH_LE)
#endif

#define X32_BIT 0x40000000u

enum {
	X32 = 2,	   /* its row in arches */
	OLD_NUMBERS = 386, /* up to here, all are as old as Linux 4.18: every profile means them */
	OWN_NUMBERS = 512, /* from here on an architecture has numbers of its own */
};

static const struct arch {
	unsigned bit;
	const char *scmp, *docker;
	uint32_t token; /* libseccomp's */
	uint32_t audit; /* what the kernel puts in seccomp_data.arch */
} arches[] = {
	{ SECCOMP_X86_64, "SCMP_ARCH_X86_64", "amd64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64 },
	{ SECCOMP_X86, "SCMP_ARCH_X86", "x86", SCMP_ARCH_X86, AUDIT_ARCH_I386 },
	{ SECCOMP_X32, "SCMP_ARCH_X32", "x32", SCMP_ARCH_X32, AUDIT_ARCH_X86_64 },
	{ SECCOMP_AARCH64, "SCMP_ARCH_AARCH64", "arm64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64 },
	{ SECCOMP_ARM, "SCMP_ARCH_ARM", "arm", SCMP_ARCH_ARM, AUDIT_ARCH_ARM },
	{ SECCOMP_PPC64LE, "SCMP_ARCH_PPC64LE", "ppc64le", SCMP_ARCH_PPC64LE, AUDIT_ARCH_PPC64LE },
	{ SECCOMP_S390X, "SCMP_ARCH_S390X", "s390x", SCMP_ARCH_S390X, AUDIT_ARCH_S390X },
	{ SECCOMP_S390, "SCMP_ARCH_S390", "s390", SCMP_ARCH_S390, AUDIT_ARCH_S390 },
	{ SECCOMP_RISCV64, "SCMP_ARCH_RISCV64", "riscv64", SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64 },
};

/*
 * Calls that are younger than Debian 12's libseccomp. From 424 on a call has the same number on every
 * architecture (but for the x32 bit), so a name and a number are all there is to know.
 */
static const struct {
	const char *name;
	int nr;
	unsigned arches; /* 0: all */
} young[] = {
	{ "cachestat", 451, 0 },
	{ "fchmodat2", 452, 0 },
	{ "map_shadow_stack", 453, 0 },
	{ "futex_wake", 454, 0 },
	{ "futex_wait", 455, 0 },
	{ "futex_requeue", 456, 0 },
	{ "statmount", 457, 0 },
	{ "listmount", 458, 0 },
	{ "lsm_get_self_attr", 459, 0 },
	{ "lsm_set_self_attr", 460, 0 },
	{ "lsm_list_modules", 461, 0 },
	{ "mseal", 462, 0 },
	{ "setxattrat", 463, 0 },
	{ "getxattrat", 464, 0 },
	{ "listxattrat", 465, 0 },
	{ "removexattrat", 466, 0 },
	{ "open_tree_attr", 467, 0 },
	{ "file_getattr", 468, 0 },
	{ "file_setattr", 469, 0 },
	{ "uretprobe", 335, SECCOMP_X86_64 },
	{ "riscv_hwprobe", 258, SECCOMP_RISCV64 },
};

unsigned seccomp_arch(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(arches); i++)
		if (strcmp(name, arches[i].scmp) == 0 || strcmp(name, arches[i].docker) == 0)
			return arches[i].bit;
	return 0;
}

/*
 * Calls that these architectures once had only behind socketcall(2) or ipc(2), and now have directly.
 * libseccomp answers with a negative number for both ways together; socketcall and ipc are calls of their own
 * for us, since a filter can't see what they are asked for.
 */
/* clang-format off */
static const struct {
	const char *name;
	int nr;
	unsigned arches;
} direct[] = {
#define BOTH (SECCOMP_X86 | SECCOMP_S390 | SECCOMP_S390X)
#define S390 (SECCOMP_S390 | SECCOMP_S390X)
#define PPC  SECCOMP_PPC64LE
	{ "recvmmsg", 337, SECCOMP_X86 }, { "sendmmsg", 345, SECCOMP_X86 },
	{ "recvmmsg", 357, S390 }, { "sendmmsg", 358, S390 },
	{ "socket", 359, BOTH }, { "socketpair", 360, BOTH }, { "bind", 361, BOTH },
	{ "connect", 362, BOTH }, { "listen", 363, BOTH }, { "accept4", 364, BOTH },
	{ "getsockopt", 365, BOTH }, { "setsockopt", 366, BOTH }, { "getsockname", 367, BOTH },
	{ "getpeername", 368, BOTH }, { "sendto", 369, BOTH }, { "sendmsg", 370, BOTH },
	{ "recvfrom", 371, BOTH }, { "recvmsg", 372, BOTH }, { "shutdown", 373, BOTH },
	{ "socket", 326, PPC }, { "bind", 327, PPC }, { "connect", 328, PPC }, { "listen", 329, PPC },
	{ "accept", 330, PPC }, { "getsockname", 331, PPC }, { "getpeername", 332, PPC },
	{ "socketpair", 333, PPC }, { "send", 334, PPC }, { "sendto", 335, PPC }, { "recv", 336, PPC },
	{ "recvfrom", 337, PPC }, { "shutdown", 338, PPC }, { "setsockopt", 339, PPC },
	{ "getsockopt", 340, PPC }, { "sendmsg", 341, PPC }, { "recvmsg", 342, PPC },
	{ "recvmmsg", 343, PPC }, { "accept4", 344, PPC }, { "sendmmsg", 349, PPC },
	{ "semget", 393, BOTH | PPC }, { "semctl", 394, BOTH | PPC }, { "shmget", 395, BOTH | PPC },
	{ "shmctl", 396, BOTH | PPC }, { "shmat", 397, BOTH | PPC }, { "shmdt", 398, BOTH | PPC },
	{ "msgget", 399, BOTH | PPC }, { "msgsnd", 400, BOTH | PPC }, { "msgrcv", 401, BOTH | PPC },
	{ "msgctl", 402, BOTH | PPC }, { "semtimedop", 392, S390 | PPC },
#undef BOTH
#undef S390
#undef PPC
};
/* clang-format on */

/* The number of a call; negative: the architecture doesn't have it. */
static int call_number(const struct arch *a, const char *name)
{
	int nr = seccomp_syscall_resolve_name_arch(a->token, name);

	if (nr >= 0)
		return nr;
	for (size_t i = 0; i < ELEMENTSOF(young); i++)
		if ((young[i].arches == 0 || young[i].arches & a->bit) &&
			strcmp(young[i].name, name) == 0)
			return young[i].nr | (a->bit == SECCOMP_X32 ? (int)X32_BIT : 0);
	for (size_t i = 0; i < ELEMENTSOF(direct); i++)
		if (direct[i].arches & a->bit && strcmp(direct[i].name, name) == 0)
			return direct[i].nr;
	return -1;
}

int seccomp_known(const char *name)
{
	for (size_t i = 0; i < ELEMENTSOF(arches); i++)
		if (seccomp_syscall_resolve_name_arch(arches[i].token, name) != __NR_SCMP_ERROR)
			return 1;
	for (size_t i = 0; i < ELEMENTSOF(young); i++)
		if (strcmp(young[i].name, name) == 0)
			return 1;
	return 0;
}

int seccomp_here(uint64_t caps, struct seccomp_target *ret, struct err *e)
{
	uint32_t token = seccomp_arch_native();
	struct utsname u;
	const char *release = u.release;
	unsigned major = 0, minor = 0;

	for (size_t i = 0; i < ELEMENTSOF(arches); i++)
		if (arches[i].token == token) {
			if (uname(&u) == 0)
				(void)small_take_two(&release, '.', &major, &minor);
			*ret = (struct seccomp_target){ arches[i].bit, caps,
				major << 8 | (minor > 255 ? 255 : minor) };
			return 0;
		}
	return err_set(e, -E_UNSUPPORTED, "no system call filters for this machine's architecture");
}

void seccomp_key(const char *profile, const struct seccomp_target *t, char key[SECCOMP_KEY_MAX])
{
	const struct scmp_version *v = seccomp_version();
	const char *arch = "none";

	for (size_t i = 0; i < ELEMENTSOF(arches); i++)
		if (arches[i].bit == t->arch)
			arch = arches[i].docker;
	snprintf(key, SECCOMP_KEY_MAX, "%.72s-%s-%x-%llx-%d-%u.%u.%u", profile, arch, t->kernel,
		(unsigned long long)t->caps, SECCOMP_VERSION, v ? v->major : 0, v ? v->minor : 0,
		v ? v->micro : 0);
}

/* --- the outcome of each call ---------------------------------------------------------------------- */

/* A call of one architecture: the rows that speak of it, in order, as a list through `next`. */
struct call {
	uint32_t nr;
	int row, next; /* next: index into calls of a further row for the same number, -1 */
};

struct calls {
	struct call *v;
	size_t n, size;
};

static void calls_add(struct calls *c, uint32_t nr, int row)
{
	if (c->n == c->size) {
		c->size = c->size ? c->size * 2 : 512;
		c->v = realloc(c->v, c->size * sizeof(*c->v));
		if (!c->v)
			abort();
	}
	c->v[c->n++] = (struct call){ nr, row, -1 };
}

static int call_cmp(const void *a, const void *b)
{
	const struct call *x = a, *y = b;

	if (x->nr != y->nr)
		return x->nr < y->nr ? -1 : 1;
	return x->row - y->row;
}

static bool row_counts(const struct seccomp_row *r, const struct seccomp_target *t)
{
	return (t->caps & r->caps) == r->caps && !(t->caps & r->not_caps) &&
	       (!r->arches || r->arches & t->arch) && !(r->not_arches & t->arch) &&
	       t->kernel >= r->min_kernel && (!r->below_kernel || t->kernel < r->below_kernel);
}

/* --- instructions ---------------------------------------------------------------------------------- */

/*
 * A program is written from its end to its beginning, so that a jump's target is there when the jump is
 * made, and a return is shared by all that are near enough. A place is counted from the end.
 */
struct code {
	struct sock_filter f[SECCOMP_FILTER_MAX]; /* f[0] is the last */
	size_t n;
	bool full;
	struct {
		uint32_t action;
		size_t at;
	} ret[8];
	unsigned n_ret;
};

enum {
	NEAR = 240
}; /* a jump has 8 bits; some instructions may come in between */

static size_t emit(struct code *c, uint16_t op, size_t jt, size_t jf, uint32_t k)
{
	if (c->n == SECCOMP_FILTER_MAX) {
		c->full = true;
		return c->n - 1;
	}
	c->f[c->n] = (struct sock_filter){ op, (uint8_t)jt, (uint8_t)jf, k };
	return c->n++;
}

static size_t emit_ret(struct code *c, uint32_t action)
{
	unsigned i = 0;

	while (i < c->n_ret && c->ret[i].action != action)
		i++;
	if (i < c->n_ret && c->n - c->ret[i].at < NEAR)
		return c->ret[i].at;
	if (i == ELEMENTSOF(c->ret))
		return emit(c, BPF_RET | BPF_K, 0, 0, action);
	c->ret[i].action = action;
	c->ret[i].at = emit(c, BPF_RET | BPF_K, 0, 0, action);
	if (i == c->n_ret)
		c->n_ret++;
	return c->ret[i].at;
}

/* A place to jump to with 8 bits. */
static size_t near(struct code *c, size_t to)
{
	return c->n - to < NEAR ? to : emit(c, BPF_JMP | BPF_JA, 0, 0, (uint32_t)(c->n - to - 1));
}

/* Goes on at `yes` when the accumulator compares with k, else at `no`. */
static size_t emit_test(struct code *c, uint16_t cmp, uint32_t k, size_t yes, size_t no)
{
	yes = near(c, yes);
	no = near(c, no);
	return emit(c, (uint16_t)(BPF_JMP | cmp | BPF_K), c->n - yes - 1, c->n - no - 1, k);
}

static size_t emit_load(struct code *c, size_t offset, size_t then)
{
	if (then != c->n - 1)
		(void)emit(c, BPF_JMP | BPF_JA, 0, 0, (uint32_t)(c->n - then - 1));
	return emit(c, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
enum {
	LOW = 0,
	HIGH = 4
};
#else
enum {
	LOW = 4,
	HIGH = 0
};
#endif

/* Half of an argument, masked, and compared. */
static size_t emit_half(struct code *c, size_t offset, uint32_t mask, uint16_t cmp, uint32_t k,
	size_t yes, size_t no)
{
	size_t at = emit_test(c, cmp, k, yes, no);

	if (mask != UINT32_MAX)
		at = emit(c, BPF_ALU | BPF_AND | BPF_K, 0, 0, mask);
	return emit_load(c, offset, at);
}

/* Goes on at `yes` when the comparison holds. */
static size_t emit_arg(struct code *c, const struct seccomp_arg *a, size_t yes, size_t no)
{
	size_t at = offsetof(struct seccomp_data, args) + 8 * a->index, low;
	bool masked = a->cmp == SECCOMP_MASKED_EQ;
	uint64_t mask = masked ? a->value : UINT64_MAX, v = masked ? a->value2 : a->value;
	uint32_t hi = (uint32_t)(v >> 32), lo = (uint32_t)v;
	uint16_t cmp = a->cmp == SECCOMP_GE || a->cmp == SECCOMP_LT ? BPF_JGE : BPF_JGT;

	/* the other three are these with the outcomes changed over */
	if (a->cmp == SECCOMP_NE || a->cmp == SECCOMP_LT || a->cmp == SECCOMP_LE) {
		size_t other = yes;

		yes = no;
		no = other;
	}
	if (masked || a->cmp == SECCOMP_EQ || a->cmp == SECCOMP_NE) {
		low = emit_half(c, at + LOW, (uint32_t)mask, BPF_JEQ, lo, yes, no);
		return emit_half(c, at + HIGH, (uint32_t)(mask >> 32), BPF_JEQ, hi, low, no);
	}
	low = emit_half(c, at + LOW, UINT32_MAX, cmp, lo, yes, no);
	low = emit_test(c, BPF_JEQ, hi, low, no);
	return emit_half(c, at + HIGH, UINT32_MAX, BPF_JGT, hi, yes, low);
}

struct job {
	const struct seccomp_profile *p;
	const struct calls *calls;
	struct code *code;
};

/* A stretch of numbers, [first, the next stretch's first), with one outcome. */
struct stretch {
	uint32_t first;
	int call;	 /* of the rows with arguments; -1: `action` alone */
	uint32_t action; /* when no row with arguments holds */
};

/* The rows with arguments from call i on, and what comes when none holds. */
static size_t emit_rows(struct job *j, int i, uint32_t action)
{
	struct code *c = j->code;
	const struct seccomp_row *r;
	size_t next, at;

	if (i < 0)
		return emit_ret(c, action);
	r = &j->p->rows[j->calls->v[i].row];
	next = emit_rows(j, j->calls->v[i].next, action);
	if (r->n_args == 0)
		return next;
	at = emit_ret(c, r->action);
	for (unsigned k = r->n_args; k-- > 0;)
		at = emit_arg(c, &r->args[k], at, next);
	return at;
}

/* The search by halves over s[0..n), with the call's number in the accumulator. */
static size_t emit_search(struct job *j, const struct stretch *s, size_t n)
{
	size_t right, left;

	if (n == 1)
		return emit_rows(j, s->call, s->action);
	right = emit_search(j, s + n / 2, n - n / 2);
	left = emit_search(j, s, n / 2);
	return emit_test(j->code, BPF_JGE, s[n / 2].first, right, left);
}

static void stretch_add(struct stretch *v, size_t *n, struct stretch s)
{
	if (*n && v[*n - 1].first == s.first)
		(*n)--; /* what stood for the gap before it has no number */
	if (*n && s.call < 0 && v[*n - 1].call < 0 && v[*n - 1].action == s.action)
		return;
	v[(*n)++] = s;
}

static bool is_errno(uint32_t action)
{
	return (action & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ERRNO;
}

/* All numbers of a table of calls, as stretches. Of the common ones those above `last` are younger than the
 * profile. */
static size_t cut(struct job *j, struct calls *c, uint32_t last, struct stretch *v)
{
	uint32_t other = j->p->default_action;
	size_t n = 0;

	stretch_add(v, &n, (struct stretch){ 0, -1, other });
	for (size_t i = 0, next; i < c->n; i = next) {
		struct stretch s = { c->v[i].nr, -1, other };
		bool settled = false;

		for (next = i; next < c->n && c->v[next].nr == c->v[i].nr; next++) {
			const struct seccomp_row *r = &j->p->rows[c->v[next].row];

			if (next + 1 < c->n && c->v[next + 1].nr == c->v[i].nr)
				c->v[next].next = (int)next + 1;
			if (r->n_args)
				s.call = (int)i;
			else if (!settled) {
				s.action = r->action;
				settled = true;
			}
		}
		stretch_add(v, &n, s);
		stretch_add(v, &n, (struct stretch){ c->v[i].nr + 1, -1, other });
		/* the end of the common numbers; x32 and arm have some of their own further up */
		if (is_errno(other) && (next == c->n || (c->v[i].nr < OWN_NUMBERS &&
								c->v[next].nr >= OWN_NUMBERS)))
			stretch_add(v, &n,
				(struct stretch){ (c->v[i].nr > last ? c->v[i].nr : last) + 1, -1,
					SECCOMP_RET_ERRNO | ENOSYS });
	}
	return n;
}

/* Adds the numbers of a name on an architecture, unless c is NULL; returns the common one, or 0. x32 is x86_64 with a bit set, but for the calls from 512 on
 * that it has alone, so both are one table. */
static uint32_t add_name(struct calls *c, const struct arch *a, const char *name, int row, bool x32)
{
	int nr = call_number(a, name), other;

	if (nr >= 0 && c)
		calls_add(c, (uint32_t)nr, row);
	if (x32 && c) {
		other = call_number(&arches[X32], name);
		if (other >= 0 && (other & (int)~X32_BIT) != nr)
			calls_add(c, (uint32_t)other & ~X32_BIT, row);
	}
	return nr >= 0 && nr < OWN_NUMBERS ? (uint32_t)nr : 0;
}

/* All of an architecture, its number not yet loaded. */
static size_t emit_arch(const struct seccomp_profile *p, const struct seccomp_target *t,
	const struct arch *a, bool x32, struct code *code)
{
	struct calls c = { NULL, 0, 0 };
	struct job j = { p, &c, code };
	_cleanup_free_ struct stretch *v = NULL;
	uint32_t last = OLD_NUMBERS;
	size_t at;

	for (size_t i = 0; i < p->n_rows; i++) {
		bool counts = row_counts(&p->rows[i], t);

		for (const char *const *name = p->rows[i].names; *name; name++) {
			uint32_t nr = add_name(counts ? &c : NULL, a, *name, (int)i, x32);

			last = nr > last ? nr : last;
		}
	}
	if (c.n)
		qsort(c.v, c.n, sizeof(*c.v), call_cmp);
	v = malloc((2 * c.n + 4) * sizeof(*v));
	if (!v)
		abort();
	at = emit_search(&j, v, cut(&j, &c, last, v));
	free(c.v);
	if (x32) {
		if (at != code->n - 1)
			(void)emit(code, BPF_JMP | BPF_JA, 0, 0, (uint32_t)(code->n - at - 1));
		at = emit(code, BPF_ALU | BPF_AND | BPF_K, 0, 0, ~X32_BIT);
	} else if (a->bit == SECCOMP_X86_64)
		at = emit_test(
			code, BPF_JGE, X32_BIT, emit_ret(code, SECCOMP_RET_ERRNO | ENOSYS), at);
	return emit_load(code, offsetof(struct seccomp_data, nr), at);
}

/* --- the whole ------------------------------------------------------------------------------------- */

static int check_rows(const struct seccomp_profile *p, struct err *e)
{
	if (p->n_rows > SECCOMP_RULES_MAX)
		return err_set(
			e, -E_LIMIT, "seccomp profile has more than %d rules", SECCOMP_RULES_MAX);
	for (size_t i = 0; i < p->n_rows; i++) {
		const struct seccomp_row *r = &p->rows[i];

		if (r->n_args > SECCOMP_ARGS_MAX)
			return err_set(e, -E_INVALID,
				"seccomp rule for '%s' has more than %d arguments",
				r->names[0] ? r->names[0] : "", SECCOMP_ARGS_MAX);
		for (unsigned k = 0; k < r->n_args; k++)
			if (r->args[k].index >= SECCOMP_ARGS_MAX ||
				(unsigned)r->args[k].cmp >= _SECCOMP_CMP_MAX)
				return err_set(e, -E_INVALID,
					"seccomp rule for '%s': bad argument %u",
					r->names[0] ? r->names[0] : "", r->args[k].index);
	}
	return 0;
}

/* Which go together: what a kernel of the native architecture also runs. */
static unsigned family(unsigned arch)
{
	switch (arch) {
	case SECCOMP_X86_64:
		return SECCOMP_X86_64 | SECCOMP_X86 | SECCOMP_X32;
	case SECCOMP_AARCH64:
		return SECCOMP_AARCH64 | SECCOMP_ARM;
	case SECCOMP_S390X:
		return SECCOMP_S390X | SECCOMP_S390;
	default:
		return arch;
	}
}

int seccomp_compile(const struct seccomp_profile *p, const struct seccomp_target *t,
	struct sock_filter **ret, size_t *ret_n, struct err *e)
{
	unsigned wanted = (p->arches | t->arch) & family(t->arch);
	_cleanup_free_ struct code *code = NULL;
	size_t block[ELEMENTSOF(arches)] = { 0 }, at;
	int r = check_rows(p, e);

	if (r < 0)
		return r;
	code = calloc(1, sizeof(*code));
	if (!code)
		abort();
	for (size_t i = ELEMENTSOF(arches); i-- > 0;)
		if (i != X32 && arches[i].bit & wanted)
			block[i] = emit_arch(p, t, &arches[i],
				arches[i].bit == SECCOMP_X86_64 && wanted & SECCOMP_X32, code);
	at = emit_ret(code, SECCOMP_RET_KILL_THREAD);
	for (size_t i = ELEMENTSOF(arches); i-- > 0;)
		if (i != X32 && arches[i].bit & wanted)
			at = emit_test(code, BPF_JEQ, arches[i].audit, block[i], at);
	(void)emit_load(code, offsetof(struct seccomp_data, arch), at);
	if (code->full)
		return err_set(e, -E_LIMIT, "seccomp profile needs more than %d instructions",
			SECCOMP_FILTER_MAX);
	*ret = malloc(code->n * sizeof(**ret));
	if (!*ret)
		abort();
	for (size_t i = 0; i < code->n; i++)
		(*ret)[i] = code->f[code->n - 1 - i];
	*ret_n = code->n;
	return 0;
}
