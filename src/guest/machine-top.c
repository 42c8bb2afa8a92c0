/* SPDX-License-Identifier: MIT */
/* The processes of a machine, as its lodge-init sees them. */
#include "guest/guest-priv.h"
#include "guest/machine-text.h"
#include "guest/service.h"

int machine_top(struct ctx *c, struct guest *g, char *const *ps, json_t **ret, struct err *e)
{
	static const char *const words[] = { "ps", NULL };
	_cleanup_(machine_link_freep) struct machine_link *l = NULL;
	g_autoptr(GByteArray) text = g_byte_array_new();
	int r;

	if (ps && *ps && !(g_str_equal(*ps, "-ef") && !ps[1])) {
		err_set(e, -E_UNSUPPORTED,
			"the processes of a machine are shown as by 'ps -ef' only");
		err_mend(e, "`lodge exec %s ps ...` runs the machine's own", g->rec->name);
		return -E_UNSUPPORTED;
	}
	r = machine_link_open(c, g, 0, &l, e);
	if (r >= 0)
		r = service_run(l, words, service_to_bytes, text, e);
	if (r < 0)
		return r;
	r = machine_ps_parse((const char *)text->data, text->len, g_get_real_time() * 1000, ret);
	return r < 0 ? err_set(e, r, "machine '%s' tells nonsense of its processes", g->rec->name)
		     : 0;
}
