/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TEXT_H
#define LODGE_TEXT_H

/*
 * A writer of text into the caller's memory, for code that is linked without GLib (host/, monitor/,
 * init/). Everything else uses GString. Text that doesn't fit is cut and `cut` says so; the text is
 * always terminated.
 */

#include <stdbool.h>
#include "base/macros.h"

struct text {
	char *p;
	size_t n, size;
	bool cut;
};

#define TEXT_ON(array)                              \
	{                                           \
		.p = (array), .size = sizeof(array) \
	}

void text_add(struct text *t, const char *s);
void text_addf(struct text *t, const char *fmt, ...) _printf_(2, 3);

/* Adds s as one word for a POSIX shell: plain where it can be, else in single quotes. */
void text_add_word(struct text *t, const char *s);

#endif
