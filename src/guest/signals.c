/* SPDX-License-Identifier: MIT */
#include "guest/signals.h"

#include <glib.h>
#include <signal.h>
#include <string.h>
#include "base/err.h"
#include "base/units.h"

int signal_parse(const char *s, int *ret)
{
	int64_t n;

	if (units_parse_int(s, 1, SIGRTMAX, &n) >= 0) {
		*ret = n;
		return 0;
	}
	if (g_ascii_strncasecmp(s, "SIG", 3) == 0)
		s += 3;
	for (int i = 1; i < SIGRTMIN; i++) {
		const char *name = sigabbrev_np(i);

		if (name && g_ascii_strcasecmp(name, s) == 0) {
			*ret = i;
			return 0;
		}
	}
	int base = 0;
	if (g_ascii_strncasecmp(s, "RTMIN", 5) == 0)
		base = SIGRTMIN;
	else if (g_ascii_strncasecmp(s, "RTMAX", 5) == 0)
		base = SIGRTMAX;
	if (!base)
		return -E_INVALID;
	n = 0;
	if (s[5] && ((base == SIGRTMIN ? s[5] != '+' : s[5] != '-') ||
			    units_parse_int(s + 6, 0, SIGRTMAX - SIGRTMIN, &n) < 0))
		return -E_INVALID;
	*ret = base == SIGRTMIN ? base + n : base - n;
	return 0;
}

const char *signal_name(int sig, char buf[SIGNAL_NAME_MAX])
{
	const char *name = sig > 0 && sig < SIGRTMIN ? sigabbrev_np(sig) : NULL;

	if (name)
		(void)g_snprintf(buf, SIGNAL_NAME_MAX, "SIG%s", name);
	else if (sig >= SIGRTMIN && sig <= SIGRTMAX)
		(void)g_snprintf(buf, SIGNAL_NAME_MAX, "SIGRTMIN+%d", sig - SIGRTMIN);
	else
		(void)g_snprintf(buf, SIGNAL_NAME_MAX, "%d", sig);
	return buf;
}
