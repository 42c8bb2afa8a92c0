/* SPDX-License-Identifier: MIT */
/* What criu answers. */
#include "host/criu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct criu_reply r;

	(void)criu_decode(data, size, &r);
	return 0;
}
