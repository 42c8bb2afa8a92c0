/* SPDX-License-Identifier: MIT */
/* The words of a service and the list of modules: nothing outside of what was given. */
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"
#include "host/module.h"
#include "init/order.h"
#include "init/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *word[WORDS_MAX], *p;
	char *bytes = malloc(size + 1), *text = malloc(size + 1), options[256];
	struct order_line line;
	int n;

	if (!bytes || !text)
		abort();
	memcpy(bytes, data, size);
	bytes[size] = '\0';
	n = words_split(bytes, size, word);
	for (int i = 0; i < n; i++)
		if (word[i] < bytes || word[i] + strlen(word[i]) >= bytes + size)
			abort();
	if (n > 1)
		(void)words_has(word[0], word[1]);
	memcpy(text, bytes, size + 1);
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\0')
			text[i] = '\n';
	p = text;
	while (order_next(&p, &line)) {
		if (p > text + size || !line.file[0] || strchr(line.file, '/') ||
			!memchr(line.file, '\0', sizeof(line.file)))
			abort();
		(void)module_options(text, line.file, options, sizeof(options));
	}
	free(bytes);
	free(text);
	return 0;
}
