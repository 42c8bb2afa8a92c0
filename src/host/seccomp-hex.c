/* SPDX-License-Identifier: MIT */
/* The written form of filters: also in lodge-monitor, which installs what lodge has translated. */
#include "host/seccomp.h"

#include <string.h>

static const char digits[] = "0123456789abcdef";

static char *put(char *p, uint64_t v, int n)
{
	while (n-- > 0)
		*p++ = digits[v >> (4 * n) & 15];
	return p;
}

char *seccomp_to_hex(const struct sock_filter *f, size_t n)
{
	char *s = malloc(n * 16 + 1), *p = s;

	if (!s)
		abort();
	for (size_t i = 0; i < n; i++) {
		p = put(p, f[i].code, 4);
		p = put(p, f[i].jt, 2);
		p = put(p, f[i].jf, 2);
		p = put(p, f[i].k, 8);
	}
	*p = '\0';
	return s;
}

static int take(const char **s, int n, uint32_t *ret)
{
	uint32_t v = 0;

	while (n-- > 0) {
		const char *d = **s ? strchr(digits, **s) : NULL;

		if (!d)
			return -EINVAL;
		v = v << 4 | (uint32_t)(d - digits);
		(*s)++;
	}
	*ret = v;
	return 0;
}

int seccomp_from_hex(const char *hex, struct sock_filter **ret, size_t *ret_n)
{
	size_t len = strlen(hex), n = len / 16;
	struct sock_filter *f;

	if (len == 0 || len % 16 || n > SECCOMP_FILTER_MAX)
		return -EINVAL;
	f = malloc(n * sizeof(*f));
	if (!f)
		abort();
	for (size_t i = 0; i < n; i++) {
		uint32_t code, jt, jf, k;

		if (take(&hex, 4, &code) < 0 || take(&hex, 2, &jt) < 0 || take(&hex, 2, &jf) < 0 ||
			take(&hex, 8, &k) < 0) {
			free(f);
			return -EINVAL;
		}
		f[i] = (struct sock_filter){ (uint16_t)code, (uint8_t)jt, (uint8_t)jf, k };
	}
	*ret = f;
	*ret_n = n;
	return 0;
}

uint32_t seccomp_eval(const struct sock_filter *f, size_t n, const struct seccomp_data *d)
{
	uint32_t a = 0;

	for (size_t pc = 0; pc < n; pc++) {
		const struct sock_filter *i = &f[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (i->k % 4 || i->k > sizeof(*d) - 4)
				return SECCOMP_RET_KILL_PROCESS;
			memcpy(&a, (const char *)d + i->k, 4);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			pc += a > i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			return SECCOMP_RET_KILL_PROCESS;
		}
	}
	return SECCOMP_RET_KILL_PROCESS;
}
