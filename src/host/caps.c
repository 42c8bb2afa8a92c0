/* SPDX-License-Identifier: MIT */
#include "host/caps.h"

#include <linux/capability.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const char *const names[CAPS_COUNT] = { "CAP_CHOWN", "CAP_DAC_OVERRIDE",
	"CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
	"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE",
	"CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN",
	"CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG",
	"CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
	"CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
	"CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE" };

const uint64_t caps_default = CAPS_BIT(CAP_CHOWN) | CAPS_BIT(CAP_DAC_OVERRIDE) |
			      CAPS_BIT(CAP_FSETID) | CAPS_BIT(CAP_FOWNER) | CAPS_BIT(CAP_MKNOD) |
			      CAPS_BIT(CAP_NET_RAW) | CAPS_BIT(CAP_SETGID) | CAPS_BIT(CAP_SETUID) |
			      CAPS_BIT(CAP_SETFCAP) | CAPS_BIT(CAP_SETPCAP) |
			      CAPS_BIT(CAP_NET_BIND_SERVICE) | CAPS_BIT(CAP_SYS_CHROOT) |
			      CAPS_BIT(CAP_KILL) | CAPS_BIT(CAP_AUDIT_WRITE);

const char *caps_name(unsigned n)
{
	return n < CAPS_COUNT ? names[n] : NULL;
}

int caps_parse(const char *name, uint64_t *ret, struct err *e)
{
	const char *s = strncasecmp(name, "CAP_", 4) == 0 ? name + 4 : name;

	if (strcasecmp(name, "ALL") == 0) {
		*ret = CAPS_ALL;
		return 0;
	}
	for (unsigned i = 0; i < CAPS_COUNT; i++)
		if (strcasecmp(s, names[i] + 4) == 0) {
			*ret = CAPS_BIT(i);
			return 0;
		}
	err_set(e, -E_INVALID, "unknown capability '%s'", name);
	return err_mend(e, "capabilities(7) lists the names; ALL means all of them");
}

int caps_parse_mask(const char *hex, uint64_t *ret)
{
	uint64_t v = 0;
	size_t n = strlen(hex);

	if (n == 0 || n > 16)
		return -EINVAL;
	for (; *hex; hex++) {
		const char *digits = "0123456789abcdef", *p = strchr(digits, *hex | 0x20);

		if (!p || !((*hex >= '0' && *hex <= '9') || (*hex | 0x20) >= 'a'))
			return -EINVAL;
		v = v << 4 | (uint64_t)(p - digits);
	}
	*ret = v;
	return 0;
}

void caps_show(uint64_t mask, struct text *t)
{
	const char *comma = "";

	for (unsigned i = 0; i < CAPS_COUNT; i++)
		if (mask & CAPS_BIT(i)) {
			text_addf(t, "%s%s", comma, names[i]);
			comma = ",";
		}
}

uint64_t caps_bounding(void)
{
	uint64_t mask = 0;

	for (int i = 0; i < 64; i++) {
		int r = prctl(PR_CAPBSET_READ, (unsigned long)i, 0, 0, 0);

		if (r < 0)
			break; /* the first that the kernel doesn't know */
		if (r > 0)
			mask |= CAPS_BIT(i);
	}
	return mask;
}

/* Ors the masks of all names; *by_name leaves out what "ALL" stands for. */
static int parse_list(char *const *list, uint64_t *all, uint64_t *by_name, struct err *e)
{
	*all = *by_name = 0;
	for (; list && *list; list++) {
		uint64_t m;
		int r = caps_parse(*list, &m, e);

		if (r < 0)
			return r;
		*all |= m;
		if (m != CAPS_ALL)
			*by_name |= m;
	}
	return 0;
}

int caps_choose(bool privileged, char *const *add, char *const *drop, uint64_t bounding,
	uint64_t *ret, struct err *e)
{
	uint64_t added, added_names, dropped, dropped_names, mask;
	int r = parse_list(add, &added, &added_names, e);

	if (r >= 0)
		r = parse_list(drop, &dropped, &dropped_names, e);
	if (r < 0)
		return r;
	if (privileged)
		mask = CAPS_ALL;
	else if (added == CAPS_ALL)
		mask = CAPS_ALL & ~dropped_names;
	else if (dropped == CAPS_ALL)
		mask = added;
	else
		mask = (caps_default & ~dropped) | added;
	if (!privileged && (added_names & mask & ~bounding)) {
		int n = __builtin_ctzll(added_names & mask & ~bounding);

		err_set(e, -E_UNSUPPORTED,
			"capability '%s' can't be added: this process doesn't have it", names[n]);
		return err_mend(e, "grant it to the container or service that Lodge runs in");
	}
	*ret = mask & bounding;
	return 0;
}

int caps_set_bounding(uint64_t mask)
{
	uint64_t drop = caps_bounding() & ~mask;

	for (int i = 0; i < 64; i++) {
		int r;

		if (!(drop & CAPS_BIT(i)))
			continue;
		r = RET_NERRNO(prctl(PR_CAPBSET_DROP, (unsigned long)i, 0, 0, 0));
		if (r < 0)
			return r;
	}
	return 0;
}

/* The capabilities that this kernel has; those above are refused by capset(2)'s relatives. */
static uint64_t known(void)
{
	int n = 0;

	while (n < 64 && prctl(PR_CAPBSET_READ, (unsigned long)n, 0, 0, 0) >= 0)
		n++;
	return n >= 64 ? UINT64_MAX : CAPS_BIT(n) - 1;
}

int caps_set(uint64_t permitted, uint64_t effective, uint64_t inheritable, uint64_t ambient)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];
	uint64_t mask = known();
	int r;

	permitted &= mask;
	effective &= mask;
	inheritable &= mask;
	ambient &= mask;
	for (int i = 0; i < 2; i++) {
		d[i].permitted = (uint32_t)(permitted >> (32 * i));
		d[i].effective = (uint32_t)(effective >> (32 * i));
		d[i].inheritable = (uint32_t)(inheritable >> (32 * i));
	}
	r = RET_NERRNO((int)syscall(SYS_capset, &h, d));
	if (r < 0)
		return r;
	r = RET_NERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	for (int i = 0; r >= 0 && i < 64; i++)
		if (ambient & CAPS_BIT(i))
			r = RET_NERRNO(prctl(
				PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, (unsigned long)i, 0, 0));
	return r;
}
