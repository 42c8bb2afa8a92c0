/* SPDX-License-Identifier: MIT */
/*
 * docker-daemon:REFERENCE, docker-daemon:sha256:ID: images of a running docker daemon, by its API (images/NAME/get and
 * images/load), which gives and takes what docker-archive: is.
 */
#include <string.h>
#include "image/http.h"
#include "image/ref.h"
#include "image/transport-priv.h"

#define DEFAULT_HOST "unix:///var/run/docker.sock"
#define ANSWER_MAX   (4 << 20)

/* --- where it is ------------------------------------------------------------------------------------------ */

struct daemon {
	struct http *http;
	char *socket, *base; /* NULL or path; "http://host" */
};

static void daemon_done(struct daemon *d)
{
	http_free(d->http);
	g_free(d->socket);
	g_free(d->base);
}

static int connect_to(const struct transport_options *o, struct daemon *d, struct err *e)
{
	const char *host = o->daemon_host ?: g_getenv("DOCKER_HOST");
	struct http_options h = { .plain = true, .patient = true };

	if (!host || !*host)
		host = DEFAULT_HOST;
	if (g_str_has_prefix(host, "unix://")) {
		d->socket = g_strdup(host + strlen("unix://"));
		d->base = g_strdup("http://docker");
	} else if (g_str_has_prefix(host, "http://")) {
		d->base = g_strdup(host);
		while (g_str_has_suffix(d->base, "/"))
			d->base[strlen(d->base) - 1] = '\0';
	} else {
		err_set(e, -E_UNSUPPORTED, "the docker daemon '%s' can't be reached", host);
		(void)err_mend(e, "use unix://PATH or http://HOST:PORT");
		return -E_UNSUPPORTED;
	}
	h.unix_socket = d->socket;
	return http_new(&h, &d->http, e);
}

/* The daemon's own words for what it refuses. */
static int refused(const struct http_answer *a, const char *what, struct err *e)
{
	json_t *doc = a->text ? json_loadb(a->text->str, a->text->len, 0, NULL) : NULL;
	const char *why = json_string_value(json_object_get(doc, "message"));

	err_set(e, a->status == 404 ? -E_NOTFOUND : -E_INVALID, "%s: the docker daemon says %d%s%s",
		what, a->status, why ? ": " : "", why ?: "");
	json_decref(doc);
	return a->status == 404 ? -E_NOTFOUND : -E_INVALID;
}

/* --- which image ------------------------------------------------------------------------------------------ */

/* *ret_name: as the daemon is asked; *ret_full: NULL for an id. */
static int parse(const char *rest, char **ret_name, char **ret_full, struct err *e)
{
	struct ref ref;
	int r;

	*ret_full = NULL;
	if (ref_is_digest(rest)) {
		*ret_name = g_strdup(rest);
		return 0;
	}
	r = ref_parse(rest, REF_NO_DEFAULT, &ref, e);
	if (r < 0)
		return r;
	if (!ref.tag && !ref.digest)
		r = err_set(e, -E_INVALID,
			"docker-daemon: reference %s has neither a tag nor a digest", rest);
	else {
		*ret_name = ref_familiar(&ref);
		*ret_full = ref_full(&ref);
	}
	ref_clear(&ref);
	return r;
}

/* --- reading ---------------------------------------------------------------------------------------------- */

static int to_file(void *arg, const void *data, size_t size, struct err *e)
{
	int r = files_write(*(int *)arg, data, size);

	return r < 0 ? err_sys(e, r, "cannot write a temporary file") : 0;
}

static int get(struct daemon *d, const char *name, int fd, struct err *e)
{
	g_autofree char *url = g_strdup_printf("%s/images/%s/get", d->base, name);
	struct http_request q = {
		.method = "GET", .url = url, .sink = to_file, .arg = &fd, .max = ANSWER_MAX
	};
	struct http_answer a = { 0 };
	int r = http_run(d->http, &q, &a, e);

	if (r < 0)
		(void)err_prefix(e, "cannot reach the docker daemon");
	else if (a.status != 200)
		r = refused(&a, "cannot get the image", e);
	http_answer_clear(&a);
	return r;
}

static int daemon_open_in(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_in **ret, struct err *e)
{
	g_autofree char *name = NULL, *full = NULL;
	g_autofree char *shown = g_strdup_printf("docker-daemon:%s", rest);
	_cleanup_close_ int fd = -1;
	struct daemon d = { NULL };
	int r;

	r = parse(rest, &name, &full, e);
	if (r >= 0)
		r = connect_to(o, &d, e);
	if (r >= 0)
		r = fd = files_temp(o->tmp_dir, e);
	if (r >= 0)
		r = get(&d, name, fd, e);
	daemon_done(&d);
	/* the daemon was asked for one image: there is no other */
	return r < 0 ? r : docker_archive_open_fd(c, TAKE_FD(fd), shown, NULL, o, ret, e);
}

/* --- writing ---------------------------------------------------------------------------------------------- */

struct target {
	struct daemon d;
	int fd;
};

static int send_piece(void *arg, const void *data, size_t size, struct err *e)
{
	return http_upload_write(arg, data, size, e);
}

/* The answer is a line of JSON for each thing that it did; an error comes with status 200, too. */
static int check_load(const struct http_answer *a, struct err *e)
{
	g_auto(GStrv) line = g_strsplit(a->text ? a->text->str : "", "\n", -1);
	int r = 0;

	if (a->status != 200)
		return refused(a, "cannot load the image", e);
	for (char **l = line; *l && r >= 0; l++) {
		json_t *doc = json_loads(*l, 0, NULL);
		const char *why = json_string_value(json_object_get(doc, "error"));

		if (why)
			r = err_set(
				e, -E_INVALID, "the docker daemon can't load the image: %s", why);
		json_decref(doc);
	}
	return r;
}

static int load(void *arg, struct err *e)
{
	struct target *t = arg;
	static const char *const headers[] = { "Content-Type: application/x-tar", NULL };
	g_autofree char *url = g_strdup_printf("%s/images/load?quiet=1", t->d.base);
	struct http_request q = {
		.method = "POST", .url = url, .headers = headers, .max = ANSWER_MAX
	};
	struct piece p = { .fd = t->fd, .size = lseek(t->fd, 0, SEEK_END) };
	struct http_answer a = { 0 };
	struct http_upload *u;
	int r = http_upload_new(t->d.http, &q, p.size, &u, e);

	if (r < 0)
		return err_prefix(e, "cannot reach the docker daemon");
	r = piece_send(&p, 0, "the image", send_piece, u, e);
	if (r >= 0 || r == -EPIPE)
		r = http_upload_finish(u, &a, e);
	if (r >= 0)
		r = check_load(&a, e);
	http_upload_free(u);
	http_answer_clear(&a);
	return r;
}

static void target_free(void *arg)
{
	struct target *t = arg;

	daemon_done(&t->d);
	closep(&t->fd);
	g_free(t);
}

static int daemon_open_out(struct ctx *c, const char *rest, const struct transport_options *o,
	struct transport_out **ret, struct err *e)
{
	g_autofree char *name = NULL, *full = NULL;
	g_autofree char *shown = g_strdup_printf("docker-daemon:%s", rest);
	struct target *t;
	int r = parse(rest, &name, &full, e);

	if (r < 0)
		return r;
	if (!full || strchr(full, '@'))
		return err_set(e, -E_INVALID,
			"cannot write to '%s': the docker daemon gives ids and digests itself",
			shown);
	t = g_new0(struct target, 1);
	t->fd = -1;
	r = connect_to(o, &t->d, e);
	if (r >= 0)
		r = t->fd = files_temp(o->tmp_dir, e);
	if (r < 0) {
		target_free(t);
		return r;
	}
	return docker_archive_out_fd(c, t->fd, shown, full, o, load, target_free, t, ret, e);
}

const struct transport transport_daemon = {
	.name = "docker-daemon",
	.open_in = daemon_open_in,
	.open_out = daemon_open_out,
};
