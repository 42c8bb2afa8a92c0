/* SPDX-License-Identifier: MIT */
/* A header, which a machine may have written. */
#include <stdlib.h>

#include "host/qcow2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct qcow2_header h;

	if (qcow2_parse(data, size, &h) == 0 && (h.version < 2 || h.version > 3))
		abort();
	return 0;
}
