/* SPDX-License-Identifier: MIT */
/* The frames that a machine sends: what is read must lie inside of what came. */
#include <stdlib.h>
#include <string.h>

#include "wire/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct machine_reader *r = calloc(1, sizeof(*r));
	unsigned sum = 0;
	int code = 1;

	if (!r)
		return 0;
	while (size > 0 && code >= 0) {
		struct machine_frame f;
		size_t room;
		uint8_t *to = machine_room(r, &room);

		if (room == 0)
			abort();
		room = room < size ? room : size;
		memcpy(to, data, room);
		machine_filled(r, room);
		data += room;
		size -= room;
		while ((code = machine_next(r, &f)) == 1) {
			uint32_t v;

			if (f.data < r->buf || f.data + f.size > r->buf + sizeof(r->buf))
				abort();
			for (size_t i = 0; i < f.size; i++)
				sum += f.data[i];
			if (machine_u32(&f, 0, &v))
				sum += v;
		}
	}
	free(r);
	return sum == 1;
}
