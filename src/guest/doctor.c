/* SPDX-License-Identifier: MIT */
#include "guest/doctor.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "host/probe.h"

/* The programs beside this one that guests are started with. */
static void probe_parts(struct ctx *c, struct probes *p)
{
	static const char *const names[] = { "lodge-monitor", "lodge-init" };

	for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *file = ctx_program(c, names[i]);
		int r = RET_NERRNO(access(file, X_OK));

		if (r == 0) {
			probe_add(p, PROBE_OK, names[i], "'%s'", file);
			continue;
		}
		probe_add(p, i == 0 ? PROBE_FAIL : PROBE_WARN, names[i],
			"'%s' can't be executed: %s", file, g_strerror(-r));
		probe_mend(p, "%s",
			i == 0 ? "install it there, or set LODGE_LIBEXEC; no guest starts without "
				 "it"
			       : "install it there, or set LODGE_LIBEXEC; --init doesn't work "
				 "without it");
	}
}

int doctor_run(struct ctx *c, json_t **ret, struct err *e)
{
	static const char *const status[] = {
		[PROBE_OK] = "ok", [PROBE_WARN] = "warn", [PROBE_FAIL] = "fail"
	};
	g_autofree struct probes *p = g_new0(struct probes, 1);
	json_t *list = json_array();

	probe_all(p, c->root, c->run);
	probe_parts(c, p);
	for (size_t i = 0; i < p->n; i++)
		(void)json_array_append_new(
			list, json_pack("{s:s, s:s, s:s, s:s}", "name", p->row[i].name, "status",
				      status[p->row[i].status], "detail", p->row[i].detail, "mend",
				      p->row[i].mend));
	*ret = list;
	return 0;
}
