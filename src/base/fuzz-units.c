/* SPDX-License-Identifier: MIT */
#include "base/units.h"

#include <glib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *s = g_strndup((const char *)data, size);
	int64_t n;

	if (units_parse_size(s, &n) == 0) {
		g_autofree char *a = units_show_size(n), *b = units_show_size_binary(n);

		g_assert(*a && *b && n >= 0);
	}
	if (units_parse_duration(s, &n) == 0)
		g_free(units_show_duration(n));
	if (units_parse_moment(s, INT64_MAX / 2, &n) == 0)
		g_free(units_show_time(n));
	if (units_parse_int(s, -10, 10, &n) == 0)
		g_assert(n >= -10 && n <= 10);
	return 0;
}
