/* SPDX-License-Identifier: MIT */
/* What a machine's lodge-init says, when it isn't ours any more. The first byte tells the service. */
#include <stdlib.h>
#include <string.h>

#include "guest/machine-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is shown must not be able to do anything to a terminal. */
static void check_rows(const json_t *table)
{
	const json_t *row, *cell;
	size_t i, k;

	json_array_foreach(json_object_get(table, "Processes"), i, row) {
		if (json_array_size(row) != json_array_size(json_object_get(table, "Titles")))
			abort();
		json_array_foreach(row, k, cell) {
			for (const char *p = json_string_value(cell); *p; p++)
				if ((unsigned char)*p < ' ' || *p == 0x7f)
					abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	char *target = NULL;
	json_t *j = NULL;
	mode_t mode;

	if (size == 0)
		return 0;
	switch (data[0]) {
	case 's':
		if (machine_stat_parse(text, size - 1, &mode, &target) == 0 &&
			(mode > 0177777 || strlen(target) >= size))
			abort();
		free(target);
		break;
	case 'c':
		(void)machine_changes_parse(text, size - 1, &j);
		break;
	case 'p':
		if (machine_ps_parse(text, size - 1, INT64_C(1700000000000000000), &j) == 0)
			check_rows(j);
		break;
	default:
		break;
	}
	json_decref(j);
	return 0;
}
