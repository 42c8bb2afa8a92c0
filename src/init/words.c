/* SPDX-License-Identifier: MIT */
#include "init/words.h"

#include <errno.h>
#include <string.h>

int words_split(const char *data, size_t size, const char *ret[static WORDS_MAX])
{
	int n = 0;

	while (size > 0) {
		size_t k = strnlen(data, size) + 1;

		if (k > size || n == WORDS_MAX)
			return -EINVAL;
		ret[n++] = data;
		data += k;
		size -= k;
	}
	return n;
}

bool words_has(const char *list, const char *flag)
{
	size_t n = strlen(flag);

	while (*list) {
		size_t k = strcspn(list, ",");

		if (k == n && memcmp(list, flag, n) == 0)
			return true;
		list += k + (list[k] == ',');
	}
	return false;
}
