/* SPDX-License-Identifier: MIT */
#include "image/tool.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

struct talk {
	int in, out, err;
	const char *input;
	size_t left;
	GString *text, *complaint;
};

static void take(int *fd, GString *to)
{
	char buf[4096];
	ssize_t n = read(*fd, buf, sizeof(buf));

	if (n < 0 && errno == EINTR)
		return;
	if (n > 0 && to->len < TOOL_OUTPUT_MAX) {
		g_string_append_len(to, buf, n);
	} else if (n <= 0) {
		closep(fd);
		*fd = -1;
	}
}

static void give(struct talk *t)
{
	ssize_t n = t->left ? write(t->in, t->input, t->left) : 0;

	if (n < 0 && errno == EINTR)
		return;
	/* one that doesn't read it all is no failure */
	if (n > 0) {
		t->input += n;
		t->left -= (size_t)n;
	}
	if (n <= 0 || !t->left) {
		closep(&t->in);
		t->in = -1;
	}
}

static void talk(struct talk *t)
{
	while (t->out >= 0 || t->err >= 0 || t->in >= 0) {
		struct pollfd p[] = { { .fd = t->in, .events = POLLOUT },
			{ .fd = t->out, .events = POLLIN }, { .fd = t->err, .events = POLLIN } };

		if (poll(p, ELEMENTSOF(p), -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			give(t);
		if (p[1].revents)
			take(&t->out, t->text);
		if (p[2].revents)
			take(&t->err, t->complaint);
	}
}

int tool_run(const char *const *argv, const char *input, size_t size, char **ret_out,
	char **ret_err, int *ret_status, struct err *e)
{
	g_autoptr(GString) text = g_string_new(NULL), complaint = g_string_new(NULL);
	struct talk t = { .in = -1,
		.out = -1,
		.err = -1,
		.input = input,
		.left = size,
		.text = text,
		.complaint = complaint };
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	g_autoptr(GError) error = NULL;
	GPid pid;
	int status = 0;

	if (!g_spawn_async_with_pipes(NULL, (char **)argv, NULL,
		    G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL, &pid, &t.in,
		    &t.out, &t.err, &error)) {
		if (g_error_matches(error, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT))
			return err_set(e, -E_NOTFOUND, "there is no program '%s' here", argv[0]);
		return err_set(e, -EIO, "cannot start '%s': %s", argv[0], error->message);
	}
	(void)sigaction(SIGPIPE, &ignore, &old);
	talk(&t);
	(void)sigaction(SIGPIPE, &old, NULL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	*ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (ret_err)
		*ret_err = g_string_free(g_steal_pointer(&complaint), FALSE);
	*ret_out = g_string_free(g_steal_pointer(&text), FALSE);
	return 0;
}
