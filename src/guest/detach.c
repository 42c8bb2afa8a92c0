/* SPDX-License-Identifier: MIT */
/* The keys that end a session and leave the guest alone. Specification: docker-cli's reference, "attach". */

#include <string.h>
#include "guest/guest-priv.h"

static int one_key(const char *word, unsigned char *ret)
{
	static const char controls[] = "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_";
	size_t n = strlen(word);

	if (n == 1 && (unsigned char)word[0] >= ' ') {
		*ret = word[0];
		return 0;
	}
	if (g_ascii_strncasecmp(word, "ctrl-", 5) == 0 && n == 6) {
		const char *at = strchr(controls, g_ascii_toupper(word[5]));

		if (at) {
			*ret = at - controls;
			return 0;
		}
	}
	if (g_ascii_strcasecmp(word, "DEL") == 0) {
		*ret = 127;
		return 0;
	}
	return -E_USAGE;
}

int detach_parse(const char *text, struct detach *ret, struct err *e)
{
	g_auto(GStrv) words = NULL;

	*ret = (struct detach){ 0 };
	if (!*text)
		return 0;
	words = g_strsplit(text, ",", DETACH_KEYS_MAX + 1);
	if (g_strv_length(words) > DETACH_KEYS_MAX)
		return err_set(e, -E_USAGE, "invalid detach keys '%s': more than %d", text,
			DETACH_KEYS_MAX);
	for (char **w = words; *w; w++)
		if (one_key(*w, &ret->key[ret->n++]) < 0)
			return err_set(e, -E_USAGE,
				"invalid detach keys '%s': '%s' is neither a character nor "
				"ctrl-LETTER",
				text, *w);
	return 0;
}

/* One byte after d->at matched ones that turn out not to be the sequence: which of them may begin another? */
static void fall_back(struct detach *d, unsigned char b, unsigned char *out, size_t *n)
{
	unsigned char held[DETACH_KEYS_MAX + 1];
	unsigned len = d->at;

	memcpy(held, d->key, len);
	held[len++] = b;
	/* the longest tail of what was typed that is a beginning of the sequence */
	for (unsigned skip = 1; skip <= len; skip++) {
		if (memcmp(held + skip, d->key, len - skip) == 0) {
			memcpy(out + *n, held, skip);
			*n += skip;
			d->at = len - skip;
			return;
		}
	}
}

bool detach_feed(
	struct detach *d, const unsigned char *in, size_t n, unsigned char *out, size_t *ret_n)
{
	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		if (d->n == 0) {
			out[(*ret_n)++] = in[i];
		} else if (in[i] == d->key[d->at]) {
			if (++d->at == d->n)
				return true;
		} else {
			fall_back(d, in[i], out, ret_n);
		}
	}
	return false;
}
