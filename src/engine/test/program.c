/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <string.h>
#include "engine/test/test-engine.h"

static const char *const known[] = { "true", "false", "echo", "err", "env", "pwd", "hostname",
	"cat", "sleep", "exit", "trap", "sh", NULL };

static bool is_known(const char *name)
{
	g_autofree char *base = g_path_get_basename(name);

	if (name[0] == '/' && !g_str_has_prefix(name, "/bin/") &&
		!g_str_has_prefix(name, "/usr/bin/"))
		return false;
	return g_strv_contains(known, base);
}

int program_init(struct program *p, char *const *argv, struct err *e)
{
	*p = (struct program){ .trap = -1 };
	if (g_str_equal(argv[0], "/etc") || g_str_has_prefix(argv[0], "/etc/"))
		return err_set(e, -E_COMMAND_NOEXEC, "cannot execute '%s': %s", argv[0],
			err_words(-EACCES));
	if (!is_known(argv[0]))
		return err_set(e, -E_COMMAND_NOTFOUND, "cannot execute '%s': %s", argv[0],
			err_words(-ENOENT));
	p->out = g_string_new(NULL);
	p->err = g_string_new(NULL);
	p->in = g_string_new(NULL);
	g_queue_push_tail(&p->commands, g_strdupv((char **)argv));
	return 0;
}

void program_clear(struct program *p)
{
	if (!p->out)
		return;
	g_queue_clear_full(&p->commands, (GDestroyNotify)g_strfreev);
	g_string_free(p->out, TRUE);
	g_string_free(p->err, TRUE);
	g_string_free(p->in, TRUE);
	p->out = NULL;
}

static void leave(struct program *p, int code)
{
	p->over = true;
	p->code = code & 0xff;
	g_queue_clear_full(&p->commands, (GDestroyNotify)g_strfreev);
}

/* "a b; c d" before what is still to be done. */
static void push_script(struct program *p, const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, ";", -1);

	for (guint i = g_strv_length(parts); i-- > 0;) {
		char **argv = NULL;

		if (g_shell_parse_argv(parts[i], NULL, &argv, NULL))
			g_queue_push_head(&p->commands, argv);
	}
}

static void print_words(GString *to, char *const *words)
{
	for (; *words; words++)
		g_string_append_printf(to, "%s%s", *words, words[1] ? " " : "");
	g_string_append_c(to, '\n');
}

static void one_command(struct program *p, char **argv, int64_t now)
{
	g_autofree char *name = g_path_get_basename(argv[0]);

	p->code = 0;
	if (g_str_equal(name, "false")) {
		p->code = 1;
	} else if (g_str_equal(name, "echo")) {
		print_words(p->out, argv + 1);
	} else if (g_str_equal(name, "err")) {
		print_words(p->err, argv + 1);
	} else if (g_str_equal(name, "env")) {
		for (const char *const *v = p->env; v && *v; v++)
			g_string_append_printf(p->out, "%s\n", *v);
	} else if (g_str_equal(name, "pwd")) {
		g_string_append_printf(p->out, "%s\n", p->cwd ? p->cwd : "/");
	} else if (g_str_equal(name, "hostname")) {
		g_string_append_printf(p->out, "%s\n", p->hostname ? p->hostname : "");
	} else if (g_str_equal(name, "cat")) {
		p->reads = true;
	} else if (g_str_equal(name, "sleep")) {
		p->sleeps_until =
			now + (int64_t)(g_ascii_strtod(argv[1] ? argv[1] : "0", NULL) * 1e9);
	} else if (g_str_equal(name, "exit")) {
		leave(p, argv[1] ? (int)g_ascii_strtoll(argv[1], NULL, 10) : 0);
	} else if (g_str_equal(name, "trap")) {
		p->trap = argv[1] ? (int)g_ascii_strtoll(argv[1], NULL, 10) : 0;
	} else if (g_str_equal(name, "sh") && argv[1] && g_str_equal(argv[1], "-c") && argv[2]) {
		push_script(p, argv[2]);
	} else if (g_str_equal(name, "sh")) {
		p->reads = p->shell = true;
	} else if (!g_str_equal(name, "true")) {
		g_string_append_printf(p->err, "sh: %s: not found\n", argv[0]);
		p->code = 127;
	}
}

void test_program_run(struct program *p, int64_t now)
{
	while (!p->over && !p->reads) {
		char **argv;

		if (p->sleeps_until > now)
			return;
		p->sleeps_until = 0;
		argv = g_queue_pop_head(&p->commands);
		if (!argv) {
			leave(p, p->code);
			return;
		}
		one_command(p, argv, now);
		g_strfreev(argv);
	}
}

void program_input(struct program *p, const char *data, size_t n, int64_t now)
{
	char *nl;

	if (p->over || !p->reads)
		return;
	if (n == 0) {
		p->reads = p->shell = false;
		test_program_run(p, now);
		return;
	}
	if (!p->shell) {
		g_string_append_len(p->out, data, n);
		return;
	}
	g_string_append_len(p->in, data, n);
	while (p->shell && !p->over && (nl = strchr(p->in->str, '\n'))) {
		g_autofree char *line = g_strndup(p->in->str, nl - p->in->str);

		g_string_erase(p->in, 0, nl - p->in->str + 1);
		push_script(p, line);
		p->reads = false;
		while (!p->over && !p->reads && !g_queue_is_empty(&p->commands)) {
			char **argv = g_queue_pop_head(&p->commands);

			one_command(p, argv, now);
			g_strfreev(argv);
		}
		p->reads = !p->over;
	}
}

void program_signal(struct program *p, int sig)
{
	if (p->over || sig == SIGCONT || sig == SIGWINCH || sig == SIGURG || sig == SIGCHLD)
		return;
	if (sig == SIGTERM && p->trap >= 0)
		leave(p, p->trap);
	else
		leave(p, 128 + sig);
}
