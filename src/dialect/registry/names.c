/* SPDX-License-Identifier: MIT */
#include "dialect/registry/names.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include "base/macros.h"
#include "codec/sha256.h"

#define TAG_MAX 128

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Bytes of a separator between letters: ".", "_", "__", any number of "-"; 0: none. */
static size_t separator(const char *s)
{
	size_t n = strspn(s, "-");

	if (n > 0)
		return n;
	if (*s == '.')
		return 1;
	return *s == '_' ? (s[1] == '_' ? 2 : 1) : 0;
}

bool registry_is_name(const char *s)
{
	if (strlen(s) > REGISTRY_NAME_MAX)
		return false;
	for (;;) {
		if (!is_alnum(*s))
			return false;
		while (is_alnum(*s))
			s++;
		if (*s == '\0')
			return true;
		if (*s == '/')
			s++;
		else if (separator(s))
			s += separator(s);
		else
			return false;
	}
}

bool registry_is_tag(const char *s)
{
	static const char first[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t n = strlen(s);

	if (n == 0 || n > TAG_MAX || !strchr(first, *s))
		return false;
	while (*s && (strchr(first, *s) || *s == '.' || *s == '-'))
		s++;
	return *s == '\0';
}

bool registry_is_digest(const char *s)
{
	return sha256_hex(s) != NULL;
}

bool registry_is_upload(const char *s)
{
	for (int i = 0; i < REGISTRY_UPLOAD_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !s[i] || !strchr("0123456789abcdef", s[i]))
			return false;
	}
	return s[REGISTRY_UPLOAD_SIZE - 1] == '\0';
}

int registry_new_upload(char ret[REGISTRY_UPLOAD_SIZE])
{
	uint8_t b[16];
	ssize_t r = RET_NERRNO(getrandom(b, sizeof(b), 0));

	if (r < (ssize_t)sizeof(b))
		return r < 0 ? (int)r : -EIO;
	/* RFC 9562, version 4 */
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	(void)snprintf(ret, REGISTRY_UPLOAD_SIZE,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
	return 0;
}
