/* SPDX-License-Identifier: MIT */
#include "image/transport.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/sha256.h"
#include "host/path.h"
#include "image/transport-priv.h"

static const struct transport *const transports[] = {
	&transport_store,
	&transport_dir,
	&transport_docker,
	&transport_docker_archive,
	&transport_daemon,
	&transport_oci,
	&transport_oci_archive,
};

int transport_find(
	const char *text, const struct transport **ret, const char **ret_rest, struct err *e)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (!colon)
		return err_set(e, -E_INVALID,
			"Invalid image name \"%s\", expected colon-separated transport:reference",
			text);
	for (unsigned i = 0; i < G_N_ELEMENTS(transports); i++) {
		const struct transport *t = transports[i];

		if (strlen(t->name) != n || strncmp(t->name, text, n) != 0)
			continue;
		*ret = t;
		*ret_rest = colon + 1;
		return 0;
	}
	return err_set(e, -E_INVALID, "Invalid image name \"%s\", unknown transport \"%.*s\"", text,
		(int)n, text);
}

void transport_in_free(struct transport_in *s)
{
	if (s)
		s->ops->free(s);
}

void transport_in_freep(struct transport_in **s)
{
	transport_in_free(*s);
}

void transport_out_free(struct transport_out *t)
{
	if (t)
		t->ops->free(t);
}

void transport_out_freep(struct transport_out **t)
{
	transport_out_free(*t);
}

/* --- what transports share --------------------------------------------------------------------------- */

int check_begin(struct sha256 **hash, char **want, int64_t *done, const char *digest, struct err *e)
{
	sha256_free(*hash);
	*hash = NULL;
	*done = 0;
	g_free(*want);
	*want = g_strdup(digest);
	return *digest ? sha256_new(hash, e) : 0;
}

int check_end(struct sha256 **hash, const char *digest, int64_t size, int64_t done, struct err *e)
{
	char is[SHA256_TEXT];

	if (done != size)
		return err_set(e, -E_CORRUPT, "the content '%s' has %lld bytes, not %lld", digest,
			(long long)done, (long long)size);
	if (!*hash)
		return 0;
	sha256_finish_text(*hash, is);
	sha256_free(TAKE_PTR(*hash));
	if (strcmp(is, digest) != 0)
		return err_set(
			e, -E_CORRUPT, "the content that should be '%s' is '%s'", digest, is);
	return 0;
}

static int take(void *arg, const void *data, size_t size, struct err *e)
{
	char **at = arg;

	memcpy(*at, data, size);
	*at += size;
	return 0;
}

int piece_text(const struct piece *p, size_t max, const char *shown, char **ret, size_t *ret_size,
	struct err *e)
{
	char *text, *at;
	int r;

	if (p->size > (int64_t)max)
		return err_set(
			e, -E_LIMIT, "a document of '%s' is larger than %zu bytes", shown, max);
	at = text = g_malloc((size_t)p->size + 1);
	r = piece_send(p, 0, shown, take, &at, e);
	if (r < 0) {
		g_free(text);
		return r;
	}
	*at = '\0';
	*ret = text;
	*ret_size = (size_t)p->size;
	return 0;
}

int folder_text(int dir, const char *path, size_t max, char **ret, size_t *ret_size, struct err *e)
{
	struct piece p = { .own = true };
	struct stat st;
	int r;

	p.fd = path_open_in(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0, 0);
	if (p.fd == -ENOENT)
		return -E_NOTFOUND;
	if (p.fd < 0)
		return err_sys(e, p.fd, "cannot open '%s'", path);
	if (fstat(p.fd, &st) < 0)
		r = err_sys(e, -errno, "cannot read '%s'", path);
	else if (!S_ISREG(st.st_mode))
		r = err_set(e, -E_CORRUPT, "'%s' isn't a file", path);
	else {
		p.size = st.st_size;
		r = piece_text(&p, max, path, ret, ret_size, e);
	}
	piece_done(&p);
	return r;
}
