/* SPDX-License-Identifier: MIT */
#include "init/order.h"

#include <string.h>

static bool parse(const char *line, size_t n, struct order_line *ret)
{
	static const char *const words[] = { "", "pci", "mmio" };
	size_t file = strcspn(line, " \n"), rest;

	if (file > n)
		file = n;
	if (file == 0 || file >= sizeof(ret->file) || memchr(line, '/', file))
		return false;
	rest = file < n ? n - file - 1 : 0; /* after the blank */
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (rest != strlen(words[i]) || strncmp(line + n - rest, words[i], rest) != 0)
			continue;
		memcpy(ret->file, line, file);
		ret->file[file] = '\0';
		ret->on = (enum order_on)i;
		return true;
	}
	return false;
}

bool order_next(const char **text, struct order_line *ret)
{
	while (**text) {
		const char *line = *text;
		size_t n = strcspn(line, "\n");

		*text += n + (line[n] == '\n');
		if (parse(line, n, ret))
			return true;
	}
	return false;
}
