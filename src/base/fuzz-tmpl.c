/* SPDX-License-Identifier: MIT */
#include <string.h>
#include "base/tab.h"
#include "base/tmpl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char row[] = "{\"ID\":\"abc\",\"N\":3,\"F\":-2.5e-9,\"B\":true,\"L\":[\"x\",[1,null]],"
			  "\"M\":{\"a\":\"1\",\"b\":\"2\"},\"Labels\":\"a=1,b=2\",\"Nil\":null}";

/* A template, run over a row and as a format of a table. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct tab_column columns[] = {
		{ "THE ID", "ID", false },
		{ "N", "N", true },
		{ NULL, NULL, false },
	};
	g_autofree char *text = g_strndup((const char *)data, size);
	_cleanup_(tmpl_freep) struct tmpl *t = NULL;
	g_autoptr(GString) out = g_string_new(NULL);
	struct err e = {};
	json_t *rows;
	FILE *null;

	if (size > 4096)
		return 0;
	rows = json_pack("[o]", json_loads(row, 0, NULL));
	if (tmpl_parse(text ? text : "", &t, &e) < 0)
		g_assert(*e.text && e.code < 0);
	else
		(void)tmpl_run(
			t, json_array_get(rows, 0), size & 1 ? TMPL_MISSING_NOVALUE : 0, out, &e);
	null = fopen("/dev/null", "w");
	if (null && text)
		(void)tab_print(null, columns, rows, text, &e);
	if (null)
		(void)fclose(null);
	json_decref(rows);
	return 0;
}
