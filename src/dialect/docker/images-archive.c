/* SPDX-License-Identifier: MIT */
/*
 * Archives: save, load, import. The archive is read or written by a child, whose standard input or output is a pipe to
 * this process, which has the connection: neither can wait for the other for ever.
 */

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "dialect/docker/download.h"
#include "dialect/docker/images.h"
#include "image/archive.h"
#include "image/pull.h"

#define PIECE	 (64 * 1024)
#define TEXT_MAX (1 << 20) /* of what a child has to say */

/* --- the child ----------------------------------------------------------------------------------------------------- */

/* What it comes to, in memory that both have. */
struct outcome {
	int code;
	struct err e;
	char text[TEXT_MAX]; /* what was made: lines */
};

struct job {
	struct ctx *c;
	struct outcome *out;
	pid_t pid;
	int pipe; /* our end */
	void *data;
	int (*work)(struct job *j, struct err *e); /* in the child */
};

static int job_begin(struct job *j, bool reads, struct err *e)
{
	int fd[2], mine = reads ? 1 : 0, r;

	j->out = mmap(
		NULL, sizeof(*j->out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (j->out == MAP_FAILED)
		return err_set(e, -ENOMEM, "no memory");
	r = RET_NERRNO(pipe2(fd, O_CLOEXEC));
	if (r < 0)
		return err_sys(e, r, "cannot make a pipe");
	(void)signal(SIGPIPE, SIG_IGN);
	j->pid = RET_NERRNO(fork());
	if (j->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)signal(SIGTERM, SIG_DFL);
		(void)dup2(fd[!mine], reads ? STDIN_FILENO : STDOUT_FILENO);
		(void)close(fd[0]);
		(void)close(fd[1]);
		j->out->code = j->work(j, &j->out->e);
		store_close(j->c);
		_exit(0);
	}
	(void)close(fd[!mine]);
	j->pipe = fd[mine];
	return j->pid < 0 ? err_sys(e, j->pid, "cannot make a process") : 0;
}

/* Its code and text; it must be told the end before, by the pipe's. */
static int job_end(struct job *j, struct err *e)
{
	int status = 0;

	closep(&j->pipe);
	j->pipe = -1;
	(void)waitpid(j->pid, &status, 0);
	if (!WIFEXITED(status))
		return err_set(e, -EIO, "the process that had the archive died");
	if (j->out->code < 0 && e)
		*e = j->out->e;
	return j->out->code;
}

static void say(struct job *j, const char *line)
{
	g_strlcat(j->out->text, line, TEXT_MAX);
	g_strlcat(j->out->text, "\n", TEXT_MAX);
}

static int put_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = RET_NERRNO(write(fd, p, n));

		if (k == -EINTR)
			continue;
		if (k < 0)
			return (int)k;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

/* The request's body, to the child; what it doesn't want any more is read all the same, or the client would miss why. */
static int feed_body(struct job *j, struct link *l)
{
	g_autofree char *buf = g_malloc(PIECE);
	bool wanted = true;
	ssize_t n;

	while ((n = link_body(l, buf, PIECE)) > 0)
		wanted = wanted && put_all(j->pipe, buf, (size_t)n) >= 0;
	return (int)n;
}

/* --- save ------------------------------------------------------------------------------------------------------------ */

static int save_work(struct job *j, struct err *e)
{
	return image_save(j->c, j->data, IMAGE_DOCKER_ARCHIVE, "-", e);
}

static void save(struct call *c, struct link *l, char **refs)
{
	struct job j = { .c = api_ctx(c), .data = refs, .work = save_work, .pipe = -1 };
	g_autofree char *buf = g_malloc(PIECE);
	struct err e = { 0 };
	bool begun = false;
	ssize_t n = 0;
	int r = job_begin(&j, false, &e);

	while (r >= 0 && (n = RET_NERRNO(read(j.pipe, buf, PIECE))) > 0) {
		if (!begun) {
			c->reply.status = 200;
			reply_header(&c->reply, "Content-Type", "application/x-tar");
			r = link_begin(c, l);
			begun = true;
		}
		if (r >= 0)
			r = link_send(l, buf, (size_t)n);
	}
	if (j.pid > 0 && (r < 0 || n < 0))
		(void)job_end(&j, NULL);
	else if (r >= 0)
		r = job_end(&j, &e);
	if (r >= 0)
		return;
	if (begun)
		_exit(1); /* without the end of the answer, so that nobody takes it for whole */
	if (r == -E_NOTFOUND)
		api_error(c, 404, "%s", e.text);
	else
		api_failed(c, r, &e);
}

/* That all are there is known before the first byte: only then an answer can say which isn't. */
static void save_checked(struct call *c, struct link *l, char **refs)
{
	if (!refs[0]) {
		api_error(c, 400, "no image to save was named");
		return;
	}
	for (char **ref = refs; *ref; ref++) {
		_cleanup_(image_record_freep) struct image_record *i = NULL;
		struct err e = { 0 };
		int r = image_resolve(api_ctx(c), *ref, &i, &e);

		if (r < 0) {
			image_failed(c, r, *ref, &e);
			return;
		}
	}
	store_close(api_ctx(c));
	save(c, l, refs);
}

void images_get_one(struct call *c, struct link *l)
{
	char *refs[] = { c->args[0], NULL };

	save_checked(c, l, refs);
}

void images_get(struct call *c, struct link *l)
{
	g_auto(GStrv) refs = image_query_list(c, "names");

	save_checked(c, l, refs);
}

/* --- load ------------------------------------------------------------------------------------------------------------- */

static int load_work(struct job *j, struct err *e)
{
	const struct image_import_options o = { .source = IMAGE_SOURCE_ARCHIVE };
	g_autoptr(GPtrArray) list = NULL;
	int r = image_import(j->c, "-", &o, &list, e);

	for (guint i = 0; r >= 0 && i < list->len; i++) {
		const struct image_imported *x = list->pdata[i];

		for (char **n = x->names; n && *n; n++) {
			g_autofree char *shown = ref_show(*n);
			g_autofree char *line = g_strconcat("Loaded image: ", shown, NULL);

			say(j, line);
		}
		if (!x->names || !x->names[0]) {
			g_autofree char *line = g_strconcat("Loaded image ID: ", x->id, NULL);

			say(j, line);
		}
	}
	return r;
}

void images_load(struct call *c, struct link *l)
{
	struct job j = { .c = api_ctx(c), .work = load_work, .pipe = -1 };
	struct stream s = { .c = c, .l = l };
	g_auto(GStrv) lines = NULL;
	struct err e = { 0 };
	int r, fed = 0;

	r = job_begin(&j, true, &e);
	if (r >= 0) {
		fed = feed_body(&j, l);
		r = job_end(&j, &e);
	}
	if (fed < 0 || r < 0) {
		g_autofree char *text = g_strdup_printf("Error processing tar file: %s",
			e.text[0] ? e.text : err_words(r < 0 ? r : fed));

		stream_failed(&s, 500, text);
		return;
	}
	lines = g_strsplit(j.out->text, "\n", -1);
	for (char **x = lines; *x && **x; x++) {
		g_autofree char *line = g_strconcat(*x, "\n", NULL);

		stream_put(&s, json_pack("{s:s}", "stream", line));
	}
	if (!s.begun)
		stream_put(&s, json_pack("{s:s}", "stream", ""));
}

/* --- import -------------------------------------------------------------------------------------------------------------- */

static int import_work(struct job *j, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	int r = image_import(j->c, "-", j->data, &list, e);

	if (r >= 0 && list->len)
		say(j, ((struct image_imported *)list->pdata[0])->id);
	return r;
}

static int to_pipe(void *arg, const void *data, size_t size, struct err *e)
{
	int r = put_all(*(int *)arg, data, size);

	return r < 0 ? err_sys(e, r, "the archive isn't wanted any more") : 0;
}

/* "http://x/y.tar"; a source without a scheme is http's, as docker has it. */
static char *url_of(const char *src)
{
	return g_str_has_prefix(src, "http://") || g_str_has_prefix(src, "https://")
		       ? g_strdup(src)
		       : g_strconcat("http://", src, NULL);
}

static void import(struct call *c, struct link *l, const char *src, struct image_import_options *o)
{
	struct job j = { .c = api_ctx(c), .work = import_work, .pipe = -1, .data = o };
	struct stream s = { .c = c, .l = l };
	struct err e = { 0 }, sent = { 0 };
	int r, fed = 0;

	r = job_begin(&j, true, &e);
	if (r >= 0) {
		g_autofree char *url = url_of(src);

		if (g_str_equal(src, "-"))
			fed = feed_body(&j, l);
		else
			fed = download(url, to_pipe, &j.pipe, &sent);
		r = job_end(&j, &e);
	}
	if (fed < 0 && sent.text[0]) {
		stream_failed(&s, 500, sent.text);
	} else if (r < 0 || fed < 0) {
		stream_failed(&s, r == -E_INVALID ? 400 : 500,
			e.text[0] ? e.text : err_words(r < 0 ? r : fed));
	} else {
		g_strchomp(j.out->text);
		stream_put(&s, json_pack("{s:s}", "status", j.out->text));
	}
}

void images_import(struct call *c, struct link *l)
{
	g_autofree char *src = call_query(c, "fromSrc"), *message = call_query(c, "message"),
			*platform = call_query(c, "platform"), *name = NULL;
	g_autofree char *os = NULL, *arch = NULL, *variant = NULL;
	g_auto(GStrv) changes = image_query_list(c, "changes");
	struct image_import_options o = { .source = IMAGE_SOURCE_ROOTFS };
	char *names[] = { NULL, NULL };
	struct err e = { 0 };

	if (image_name_of_query(c, "repo", &name) < 0)
		return;
	if (platform && *platform && platform_parse(platform, &os, &arch, &variant, &e) < 0) {
		api_error(c, 400, "invalid platform: %s", e.text);
		return;
	}
	if (os && !g_str_equal(os, "linux")) {
		api_error(c, 400, "operating system is not supported: %s", os);
		return;
	}
	names[0] = name;
	o.names = name ? names : NULL;
	o.changes = changes;
	o.message = message && *message ? message : NULL;
	o.arch = arch;
	import(c, l, src, &o);
}
