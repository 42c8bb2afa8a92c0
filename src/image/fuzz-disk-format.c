/* SPDX-License-Identifier: MIT */
#include "image/disk-format.h"

#include <glib.h>
#include <string.h>
#include "base/macros.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t size;
};

static int read_input(void *data, int64_t offset, void *buf, size_t size)
{
	const struct input *in = data;

	g_assert(offset >= 0);
	if ((uint64_t)offset < in->size)
		memcpy(buf, in->data + offset, MIN(size, in->size - (size_t)offset));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct disk_bytes b = { read_input, &in, (int64_t)size };
	int64_t seen;

	(void)disk_format_probe(&b, "F", NULL);
	for (int f = 0; f < _DISK_FORMAT_MAX; f++)
		if (disk_format_check((enum disk_format)f, &b, "F", &seen, NULL) >= 0)
			g_assert(seen >= 0);
	return 0;
}
