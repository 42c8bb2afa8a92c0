/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_addf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (t->n >= t->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(t->p + t->n, t->size - t->n, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= t->size - t->n) {
		t->cut = true;
		t->n = t->size - 1;
	} else
		t->n += (size_t)n;
}

void text_add(struct text *t, const char *s)
{
	text_addf(t, "%s", s);
}

void text_add_word(struct text *t, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "@%+=:,./_-";
	const char *q;

	if (*s && s[strspn(s, plain)] == '\0') {
		text_add(t, s);
		return;
	}
	text_add(t, "'");
	for (; (q = strchr(s, '\'')) != NULL; s = q + 1)
		text_addf(t, "%.*s'\\''", (int)(q - s), s);
	text_addf(t, "%s'", s);
}
