/* SPDX-License-Identifier: MIT */
#include "image/seed.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_shown(const char *s)
{
	g_assert(g_utf8_validate(s, -1, NULL));
	for (; *s; s = g_utf8_next_char(s))
		g_assert(g_unichar_isprint(g_utf8_get_char(s)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seed_result *r = NULL;
	struct err e = { 0 };
	json_t *j;

	if (seed_result_parse((const char *)data, size, &r, &e) < 0) {
		g_assert(*e.text);
		return 0;
	}
	check_shown(r->boot);
	check_shown(r->instance_id);
	check_shown(r->datasource);
	for (char **s = r->errors; *s; s++)
		check_shown(*s);
	for (char **s = r->addresses; *s; s++)
		check_shown(*s);
	j = seed_result_json(r);
	g_assert(j);
	json_decref(j);
	seed_result_free(r);
	return 0;
}
