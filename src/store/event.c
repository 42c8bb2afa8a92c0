/* SPDX-License-Identifier: MIT */
/* RUN/events: what happened, a JSON object a line. Writers append whole lines with one write(2). */

#include "store/event.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include "store/store.h"

#define EVENTS_MAX (1024 * 1024) /* bytes of a file; then it becomes events.1 */

/* Opens the file, moving a full one away first. */
static int open_events(struct ctx *c, const char *path)
{
	for (int attempt = 0; attempt < 3; attempt++) {
		_cleanup_close_ int fd =
			open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
		struct stat st, now;

		if (fd < 0 && errno == ENOENT) {
			if (g_mkdir_with_parents(c->run, 0755) < 0)
				return -1;
			continue;
		}
		if (fd < 0 || fstat(fd, &st) < 0)
			return -1;
		if (st.st_size < EVENTS_MAX)
			return TAKE_FD(fd);
		/* one of those who see it full moves it */
		if (flock(fd, LOCK_EX) == 0 && stat(path, &now) == 0 && now.st_ino == st.st_ino) {
			g_autofree char *old = g_strconcat(path, ".1", NULL);

			(void)rename(path, old);
		}
	}
	return -1;
}

void event_emit(
	struct ctx *c, const char *type, const char *action, const char *id, json_t *attributes)
{
	g_autofree char *path = NULL, *text = NULL;
	_cleanup_close_ int fd = -1;
	json_t *j;

	if (c->explain) {
		json_decref(attributes);
		return;
	}
	path = store_run_path(c, "events");
	j = json_pack("{s:I, s:s, s:s, s:s, s:o}", "time", (json_int_t)g_get_real_time() * 1000,
		"type", type, "action", action, "id", id ?: "", "attributes",
		attributes ?: json_object());
	char *dump = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	text = g_strconcat(dump ?: "", "\n", NULL);
	free(dump);
	fd = open_events(c, path);
	/* nobody's work fails because it couldn't be told */
	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		return;
}

struct reader {
	int fd;
	GString *held; /* of a line that hasn't ended yet */
	int64_t since, until;
	int (*cb)(const json_t *event, void *data);
	void *data;
};

/* One line; 1: the callback wants no more, or the window has ended. */
static int take_line(struct reader *r, const char *line, size_t n)
{
	json_t *j = json_loadb(line, n, 0, NULL);
	int64_t t = json_integer_value(json_object_get(j, "time"));
	int stop = 0;

	/* a line cut by a crash is no event */
	if (json_is_object(j) && t >= r->since) {
		if (r->until && t > r->until)
			stop = 1;
		else
			stop = r->cb(j, r->data);
	}
	json_decref(j);
	return stop;
}

/* All that is in the file now. */
static int read_on(struct reader *r, struct err *e)
{
	char buf[32 * 1024];

	for (;;) {
		ssize_t n = RET_NERRNO(read(r->fd, buf, sizeof(buf)));
		char *nl;

		if (n < 0)
			return err_sys(e, n, "cannot read the events");
		if (n == 0)
			return 0;
		g_string_append_len(r->held, buf, n);
		while ((nl = memchr(r->held->str, '\n', r->held->len))) {
			int stop = take_line(r, r->held->str, nl - r->held->str);

			g_string_erase(r->held, 0, nl - r->held->str + 1);
			if (stop)
				return 1;
		}
		if (r->held->len > EVENT_LINE_MAX)
			g_string_truncate(r->held, 0);
	}
}

/* Milliseconds until the window ends, -1: never. */
static int time_left(const struct reader *r)
{
	int64_t left;

	if (!r->until)
		return -1;
	left = r->until - g_get_real_time() * 1000;
	return left <= 0 ? 0 : (int)MIN(left / 1000000 + 1, 3600 * 1000);
}

static int follow_events(struct reader *r, const char *path, int in, struct err *e)
{
	for (;;) {
		struct pollfd p = { in, POLLIN, 0 };
		char buf[4096];
		struct stat st, now;
		int ms = time_left(r), stop;

		stop = read_on(r, e);
		if (stop || ms == 0)
			return MIN(stop, 0);
		if (stat(path, &now) == 0 && fstat(r->fd, &st) == 0 && st.st_ino != now.st_ino) {
			stop = read_on(r, e); /* what came before it was moved */
			if (stop)
				return MIN(stop, 0);
			closep(&r->fd);
			r->fd = open(path, O_RDONLY | O_CLOEXEC);
			if (r->fd < 0 || inotify_add_watch(in, path, IN_MODIFY) < 0)
				return err_sys(e, -errno, "cannot open '%s'", path);
			continue;
		}
		if (poll(&p, 1, ms) < 0)
			return errno == EINTR ? 0 : err_sys(e, -errno, "cannot wait for events");
		if (p.revents && read(in, buf, sizeof(buf)) < 0)
			return err_sys(e, -errno, "cannot wait for events");
	}
}

int event_read(struct ctx *c, int64_t since, int64_t until, bool follow,
	int (*cb)(const json_t *event, void *data), void *data, struct err *e)
{
	struct reader r = { .fd = -1, .since = since, .until = until, .cb = cb, .data = data };
	g_autofree char *path = store_run_path(c, "events");
	g_autofree char *old = g_strconcat(path, ".1", NULL);
	g_autoptr(GString) held = g_string_new(NULL);
	_cleanup_close_ int in = -1;
	int k = 0;

	r.held = held;
	if (follow) {
		in = inotify_init1(IN_CLOEXEC);
		if (in < 0)
			return err_sys(e, -errno, "cannot watch the events");
		r.fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
		if (r.fd < 0 || inotify_add_watch(in, c->run, IN_CREATE | IN_MOVED_FROM) < 0 ||
			inotify_add_watch(in, path, IN_MODIFY) < 0) {
			k = err_sys(e, -errno, "cannot watch '%s'", path);
			closep(&r.fd);
			return k;
		}
	} else {
		r.fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	int now = r.fd;
	r.fd = open(old, O_RDONLY | O_CLOEXEC);
	if (r.fd >= 0) {
		k = read_on(&r, e);
		closep(&r.fd);
		g_string_truncate(held, 0);
	}
	r.fd = now;
	if (k == 0 && r.fd >= 0)
		k = follow ? follow_events(&r, path, in, e) : read_on(&r, e);
	closep(&r.fd);
	return MIN(k, 0);
}
