/* SPDX-License-Identifier: MIT */
/* /etc/passwd and /etc/group of an image, and the user that was asked for: parts separated by NULs. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "host/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *copy = calloc(1, size + 4);
	const char *part[4];
	struct user_ids ids;
	struct err e;
	char *p = copy;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	for (int i = 0; i < 4; i++) {
		part[i] = p;
		if (p < copy + size)
			p += strlen(p) + 1;
	}
	if (users_resolve_in(part[0], part[1], part[2], part[3], &ids, &e) == 0) {
		assert(ids.n_groups <= USER_GROUPS_MAX);
		assert(ids.uid != (uid_t)-1 && ids.gid != (gid_t)-1);
		assert(memchr(ids.home, '\0', sizeof(ids.home)));
	}
	return 0;
}
