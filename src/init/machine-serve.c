/* SPDX-License-Identifier: MIT */
#include "init/machine.h"

void guest_serve(struct machine *m, const struct machine_frame *f)
{
	struct session *s = session_find(m, f->session);
	struct err e = { 0 };
	bool lost = false;

	if (!s)
		s = session_new(m, f->session);
	if (!s || f->session == 0 || s->pid) {
		m->lost = true;
		return;
	}
	if (!take_part(s, f, &lost)) {
		m->lost |= lost;
		return;
	}
	s->parts[s->n_parts] = '\0';
	err_set(&e, -E_UNSUPPORTED, "no service '%.64s'", (const char *)s->parts);
	send_error(m, s->id, &e);
	session_free(m, s);
}
