/* SPDX-License-Identifier: MIT */
/*
 * The log: guests/ID/log and its older files, "TIME STREAM TAG TEXT\n" (monitor/proto.h). Read in large
 * blocks, each record looked at in place and copied once; 100 MiB of it pass in a fraction of a second.
 */

#include <endian.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "base/units.h"
#include "guest/guest-priv.h"
#include "guest/logline.h"

#define READ_BLOCK    (512 * 1024)
#define OUT_BLOCK     (256 * 1024)
#define TAIL_BLOCK    (64 * 1024)
#define LOG_FILES_MAX 1001

struct out {
	int fd;
	size_t n;
	bool mid; /* a line has begun and isn't ended */
	char *buf;
};

struct logs {
	struct ctx *c;
	struct guest *g;
	const struct guest_log_query *q;
	struct out out[2]; /* standard output, standard error */
	char *in;	   /* READ_BLOCK */
	size_t held;	   /* bytes of an unfinished record at its beginning */
	bool over;	   /* a record after `until` was seen */
};

static int flush(struct out *o, struct err *e)
{
	size_t done = 0;

	while (o->fd >= 0 && done < o->n) {
		ssize_t k = RET_NERRNO(write(o->fd, o->buf + done, o->n - done));

		if (k == -EINTR)
			continue;
		if (k < 0)
			return err_sys(e, k, "cannot write the log");
		done += k;
	}
	o->n = 0;
	return 0;
}

static int put(struct out *o, const char *p, size_t n, struct err *e)
{
	int r;

	while (n > 0) {
		size_t k = MIN(n, OUT_BLOCK - o->n);

		memcpy(o->buf + o->n, p, k);
		o->n += k;
		p += k;
		n -= k;
		if (o->n == OUT_BLOCK) {
			r = flush(o, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* The head of a frame; the text follows. */
static int put_head(struct out *o, int stream, size_t n, struct err *e)
{
	unsigned char head[8] = { (unsigned char)(stream + 1) };
	uint32_t length = htobe32((uint32_t)n);

	memcpy(head + 4, &length, 4);
	return put(o, (char *)head, sizeof(head), e);
}

static int show(struct logs *l, const struct log_line *line, struct err *e)
{
	const struct guest_log_query *q = l->q;
	struct out *o = &l->out[q->frames ? 0 : line->stream], *other = &l->out[!line->stream];
	size_t n = line->text_n + !line->part;
	bool stamp = q->timestamps && (q->frames || !o->mid);
	int r = 0;

	if (!(line->stream ? q->err : q->out))
		return 0;
	if (q->since || q->until) {
		int64_t t;

		if (log_time(line->time, line->time_n, &t) < 0 || (q->since && t < q->since))
			return 0;
		if (q->until && t > q->until) {
			l->over = true;
			return 0;
		}
	}
	if (q->frames)
		r = put_head(o, line->stream, n + (stamp ? line->time_n + 1 : 0), e);
	else if (other->n) /* in the order in which it was written, where both go to one terminal */
		r = flush(other, e);
	if (r >= 0 && stamp) {
		r = put(o, line->time, line->time_n, e);
		if (r >= 0)
			r = put(o, " ", 1, e);
	}
	/* a whole line: the text and its newline stand together */
	if (r >= 0)
		r = put(o, line->text, n, e);
	o->mid = line->part;
	return r;
}

/* Shows the records that are in the file from where it stands. */
static int read_file(struct logs *l, int fd, struct err *e)
{
	int r;

	for (;;) {
		ssize_t n = RET_NERRNO(read(fd, l->in + l->held, READ_BLOCK - l->held));
		char *p = l->in, *end;

		if (n == -EINTR)
			continue;
		if (n < 0)
			return err_sys(e, n, "cannot read the log of guest '%s'", l->g->rec->name);
		if (n == 0)
			return 0;
		end = l->in + l->held + n;
		while (p < end && !l->over) {
			char *nl = memchr(p, '\n', end - p);
			struct log_line line;

			if (!nl)
				break;
			/* what a full disk cut short is skipped */
			r = log_line_parse(p, nl - p, &line) < 0 ? 0 : show(l, &line, e);
			if (r < 0)
				return r;
			p = nl + 1;
		}
		if (l->over)
			return 0;
		l->held = end - p;
		if (l->held == READ_BLOCK) /* longer than any record may be */
			l->held = 0;
		memmove(l->in, p, l->held);
	}
}

static int flush_both(struct logs *l, struct err *e)
{
	int r = flush(&l->out[0], e);

	return r < 0 ? r : flush(&l->out[1], e);
}

/* --- the files --------------------------------------------------------------------------------------- */

/* "log" is 0, "log.1" 1, ... */
static int open_log(struct logs *l, int i)
{
	g_autofree char *path = i ? store_path(l->c, "guests/%s/log.%d", l->g->rec->id, i)
				  : store_path(l->c, "guests/%s/log", l->g->rec->id);

	return RET_NERRNO(open(path, O_RDONLY | O_CLOEXEC));
}

/* Opens all that are there; the oldest has the highest index. They stay what they are when the monitor
 * renames them. Returns their number. */
static int open_all(struct logs *l, int fd[LOG_FILES_MAX])
{
	for (;;) {
		struct stat a, b;
		int n = 0;

		while (n < LOG_FILES_MAX && (fd[n] = open_log(l, n)) >= 0)
			n++;
		/* rotated between the first and the second? then the same file is there twice */
		if (n < 2 || fstat(fd[0], &a) < 0 || fstat(fd[1], &b) < 0 || a.st_ino != b.st_ino)
			return n;
		while (n > 0)
			closep(&fd[--n]);
	}
}

/* --- tail -------------------------------------------------------------------------------------------- */

struct tail {
	const struct guest_log_query *q;
	int64_t left; /* lines still wanted */
	bool any;     /* a record was counted already: a part before it belongs to it */
};

/* A record, from the last backwards; true: what is wanted begins after it. */
static bool tail_record(struct tail *t, const char *p, size_t n)
{
	struct log_line line;

	if (log_line_parse(p, n, &line) < 0 || !(line.stream ? t->q->err : t->q->out))
		return false;
	if (line.part && t->any)
		return false;
	t->any = true;
	return t->left-- == 0;
}

/* Looks for the place in one file, block by block from the end. 1: found, *ret is it. */
static int tail_file(struct tail *t, int fd, off_t *ret, struct err *e)
{
	g_autoptr(GString) rest =
		g_string_new(NULL); /* of a record whose beginning wasn't read yet */
	off_t at = lseek(fd, 0, SEEK_END);
	bool last = true; /* what follows the last newline is no record yet */

	while (at > 0) {
		g_autofree char *buf = g_malloc(TAIL_BLOCK);
		size_t want = MIN(at, TAIL_BLOCK);
		ssize_t n = RET_NERRNO(pread(fd, buf, want, at - want));
		char *end;

		if (n < 0 || (size_t)n != want)
			return err_sys(e, n < 0 ? n : -EIO, "cannot read the log");
		at -= want;
		end = buf + n;
		for (;;) {
			char *nl = memrchr(buf, '\n', end - buf);

			if (!nl)
				break;
			g_string_prepend_len(rest, nl + 1, end - nl - 1);
			end = nl;
			if (!last && tail_record(t, rest->str, rest->len)) {
				*ret = at + (nl - buf) + 1 + rest->len + 1;
				return 1;
			}
			g_string_truncate(rest, 0);
			last = false;
		}
		g_string_prepend_len(rest, buf, end - buf);
	}
	if (!last && tail_record(t, rest->str, rest->len)) {
		*ret = rest->len + 1;
		return 1;
	}
	*ret = 0;
	return 0;
}

/* Sets the files' positions; returns the index of the first to read from. */
static int seek_tail(struct logs *l, const int *fd, int n, struct err *e)
{
	struct tail t = { .q = l->q, .left = l->q->tail };
	off_t at;
	int i, r;

	for (i = 0; i < n; i++) {
		r = tail_file(&t, fd[i], &at, e);
		if (r < 0)
			return r;
		if (lseek(fd[i], at, SEEK_SET) < 0)
			return err_sys(e, -errno, "cannot read the log");
		if (r == 1)
			return i;
	}
	return n - 1;
}

/* --- follow ------------------------------------------------------------------------------------------- */

/* The file that comes after fd, or -1: fd is the newest. */
static int next_file(struct logs *l, int fd)
{
	struct stat mine, st;

	if (fstat(fd, &mine) < 0)
		return -1;
	for (int i = 0; i < LOG_FILES_MAX; i++) {
		_cleanup_close_ int f = open_log(l, i);

		if (f >= 0 && (fstat(f, &st) < 0 || st.st_ino != mine.st_ino))
			continue;
		/* ours, or the place after the oldest: then ours was removed as too old */
		return i == 0 ? -1 : open_log(l, i - 1);
	}
	return -1;
}

static int drain(struct logs *l, int *fd, struct err *e)
{
	int r, next;

	for (;;) {
		r = read_file(l, *fd, e);
		if (r < 0 || l->over)
			return r;
		next = next_file(l, *fd);
		if (next < 0)
			return flush_both(l, e);
		/* what was written between our last read and the rename */
		r = read_file(l, *fd, e);
		closep(fd);
		*fd = next;
		l->held = 0;
		if (r < 0 || l->over)
			return r;
	}
}

/* A connection that tells when the guest ends; -1: it has ended. */
static int watch_end(struct logs *l)
{
	int fd;

	guest_refresh(l->c, l->g);
	if (!guest_is_up(l->g))
		return -1;
	fd = monitor_connect(l->c, l->g, NULL);
	if (fd >= 0 && monitor_send(fd, MSG_WAIT, 0, 0, NULL, 0, NULL) < 0)
		closep(&fd);
	return fd;
}

static int follow(struct logs *l, int *fd, struct err *e)
{
	g_autofree char *dir = guest_dir(l->c, l->g);
	_cleanup_close_ int in = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), end = -1;
	char buf[4096];
	int r;

	if (in < 0 || inotify_add_watch(in, dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
		return err_sys(e, -errno, "cannot watch '%s'", dir);
	end = watch_end(l);
	for (;;) {
		struct pollfd p[] = { { in, POLLIN, 0 }, { end, POLLIN, 0 } };

		r = drain(l, fd, e);
		if (r < 0 || l->over || end < 0)
			return r;
		if (poll(p, ELEMENTSOF(p), -1) < 0 && errno != EINTR)
			return err_sys(e, -errno, "cannot wait");
		while (read(in, buf, sizeof(buf)) > 0)
			;
		if (p[1].revents)
			closep(&end), end = -1; /* once more what it wrote last */
	}
}

static int run_query(struct logs *l, struct err *e)
{
	int fd[LOG_FILES_MAX], n, from, r = 0;

	n = open_all(l, fd);
	from = n - 1;
	if (n > 0 && l->q->tail >= 0)
		from = seek_tail(l, fd, n, e);
	if (n > 0 && from < 0)
		r = from;
	for (int i = from; r >= 0 && i >= 0 && !l->over; i--)
		r = read_file(l, fd[i], e);
	if (r >= 0)
		r = flush_both(l, e);
	if (r >= 0 && l->q->follow && n > 0 && !l->over)
		r = follow(l, &fd[0], e);
	while (n > 0)
		closep(&fd[--n]);
	return r;
}

int guest_logs(struct ctx *c, struct guest *g, const struct guest_log_query *q, int out_fd,
	int err_fd, struct err *e)
{
	struct logs l = { .c = c, .g = g, .q = q };
	int r, r2;

	l.out[0] = (struct out){ .fd = out_fd, .buf = g_malloc(OUT_BLOCK) };
	l.out[1] = (struct out){ .fd = err_fd, .buf = g_malloc(OUT_BLOCK) };
	l.in = g_malloc(READ_BLOCK);
	r = run_query(&l, e);
	r2 = flush_both(&l, r < 0 ? NULL : e);
	g_free(l.in);
	g_free(l.out[0].buf);
	g_free(l.out[1].buf);
	return r < 0 ? r : r2;
}
