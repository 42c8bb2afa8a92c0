/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *words;
	enum err_kind kind;
} own[] = {
	[E_NOTFOUND - E_FIRST] = { "E_NOTFOUND", "not found", ERR_KIND_NOTFOUND },
	[E_EXISTS - E_FIRST] = { "E_EXISTS", "already exists", ERR_KIND_CONFLICT },
	[E_INVALID - E_FIRST] = { "E_INVALID", "invalid", ERR_KIND_INVALID },
	[E_STATE - E_FIRST] = { "E_STATE", "wrong state", ERR_KIND_CONFLICT },
	[E_INUSE - E_FIRST] = { "E_INUSE", "in use", ERR_KIND_CONFLICT },
	[E_CORRUPT - E_FIRST] = { "E_CORRUPT", "corrupt", ERR_KIND_CORRUPT },
	[E_LIMIT - E_FIRST] = { "E_LIMIT", "over the limit", ERR_KIND_INVALID },
	[E_UNSUPPORTED - E_FIRST] = { "E_UNSUPPORTED", "not supported", ERR_KIND_UNSUPPORTED },
	[E_COMMAND_NOTFOUND -
		E_FIRST] = { "E_COMMAND_NOTFOUND", "command not found", ERR_KIND_COMMAND },
	[E_COMMAND_NOEXEC -
		E_FIRST] = { "E_COMMAND_NOEXEC", "command cannot be executed", ERR_KIND_COMMAND },
	[E_USAGE - E_FIRST] = { "E_USAGE", "wrong usage", ERR_KIND_INVALID },
};
_Static_assert(ELEMENTSOF(own) == _E_END - E_FIRST, "every code has its row");

int err_vset(struct err *e, int code, const char *fmt, va_list ap)
{
	if (e) {
		e->code = code;
		e->mend[0] = '\0';
		(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	}
	return code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(e, code, fmt, ap);
	va_end(ap);
	return code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	if (!e)
		return code;
	va_start(ap, fmt);
	err_vset(e, code, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", err_words(code));
	return code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	va_list ap;
	size_t n;

	if (!e)
		return -E_INVALID; /* not 0: `return err_prefix(...)` must fail for those without e too */
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	(void)snprintf(e->text + n, sizeof(e->text) - n, ": %s", old);
	return e->code;
}

int err_mend(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -E_INVALID;
	va_start(ap, fmt);
	(void)vsnprintf(e->mend, sizeof(e->mend), fmt, ap);
	va_end(ap);
	return e->code;
}

const char *err_name(int code)
{
	const char *name;

	code = code < 0 ? -code : code;
	if (code >= E_FIRST && code < _E_END)
		return own[code - E_FIRST].name;
	name = strerrorname_np(code);
	return name ? name : "E_UNKNOWN";
}

const char *err_words(int code)
{
	code = code < 0 ? -code : code;
	if (code >= E_FIRST && code < _E_END)
		return own[code - E_FIRST].words;
	return strerror(code);
}

enum err_kind err_kind(int code)
{
	code = code < 0 ? -code : code;
	if (code >= E_FIRST && code < _E_END)
		return own[code - E_FIRST].kind;
	return ERR_KIND_SYSTEM;
}
