/* SPDX-License-Identifier: MIT */
#include "dialect/docker/download.h"

#include "image/http.h"

int download(const char *url, int (*sink)(void *arg, const void *data, size_t size, struct err *e),
	void *arg, struct err *e)
{
	const struct http_options o = { .plain = true };
	const struct http_request q = { .method = "GET", .url = url, .sink = sink, .arg = arg };
	struct http_answer a = { 0 };
	struct http *h = NULL;
	int r = http_new(&o, &h, e);

	if (r >= 0)
		r = http_run(h, &q, &a, e);
	if (r >= 0 && (a.status < 200 || a.status > 299))
		r = err_set(e, -E_NOTFOUND, "cannot download '%s': status %d", url, a.status);
	http_answer_clear(&a);
	http_free(h);
	return r;
}
