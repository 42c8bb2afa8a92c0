/* SPDX-License-Identifier: MIT */
#ifndef LODGE_WIRE_HTTP_PRIV_H
#define LODGE_WIRE_HTTP_PRIV_H

#include "wire/http.h"

static inline int http_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline struct http_text http_trim(struct http_text t)
{
	while (t.n && (*t.p == ' ' || *t.p == '\t')) {
		t.p++;
		t.n--;
	}
	while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
		t.n--;
	return t;
}

#endif
