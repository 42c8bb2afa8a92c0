/* SPDX-License-Identifier: MIT */
#include "base/ctx.h"

#include <glib.h>
#include <string.h>
#include <unistd.h>
#include "base/macros.h"

/* Takes path. Absolute, without "/" at the end. */
static char *clean_path(char *path)
{
	char *clean = g_canonicalize_filename(path, NULL);

	g_free(path);
	return clean;
}

static const char *env_path(const char *name)
{
	const char *s = g_getenv(name);

	return s && *s ? s : NULL;
}

static char *find_root(bool is_root)
{
	const char *s = env_path("LODGE_ROOT");

	if (s)
		return g_strdup(s);
	if (is_root)
		return g_strdup("/var/lib/lodge");
	return g_build_filename(g_get_user_data_dir(), "lodge", NULL);
}

static char *find_run(bool is_root)
{
	const char *s = env_path("LODGE_RUN");

	if (s)
		return g_strdup(s);
	if (is_root)
		return g_strdup("/run/lodge");
	s = env_path("XDG_RUNTIME_DIR");
	if (s)
		return g_build_filename(s, "lodge", NULL);
	/* where every login manager puts it; not a folder that others may have made, as below /tmp */
	return g_strdup_printf("/run/user/%u/lodge", (unsigned)geteuid());
}

/* Where the program NAME is below dir: in it, or in the folder where meson builds it ("monitor" for
 * "lodge-monitor"). NULL: not there. */
static char *program_below(const char *dir, const char *name)
{
	const char *folder = g_str_has_prefix(name, "lodge-") ? name + strlen("lodge-") : name;
	g_autofree char *plain = g_build_filename(dir, name, NULL);
	g_autofree char *built = g_build_filename(dir, folder, name, NULL);

	if (access(plain, X_OK) == 0)
		return g_steal_pointer(&plain);
	if (access(built, X_OK) == 0)
		return g_steal_pointer(&built);
	return NULL;
}

static char *find_libexec(void)
{
	const char *s = env_path("LODGE_LIBEXEC");
	static const char *const below[] = { ".", "src" };
	g_autofree char *self = NULL, *dir = NULL;

	if (s)
		return g_strdup(s);
	self = g_file_read_link("/proc/self/exe", NULL);
	if (!self)
		return g_strdup(LODGE_LIBEXEC_DIR);
	dir = g_path_get_dirname(self);
	for (size_t i = 0; i < ELEMENTSOF(below); i++) {
		g_autofree char *there = g_build_filename(dir, below[i], NULL);
		g_autofree char *monitor = program_below(there, "lodge-monitor");

		if (monitor)
			return g_steal_pointer(&there);
	}
	return g_strdup(LODGE_LIBEXEC_DIR);
}

char *ctx_program(const struct ctx *c, const char *name)
{
	char *path = program_below(c->libexec, name);

	return path ? path : g_build_filename(c->libexec, name, NULL);
}

void ctx_init(struct ctx *c)
{
	const char *engine = env_path("LODGE_ENGINE");
	const char *trace = env_path("LODGE_TRACE");

	memset(c, 0, sizeof(*c));
	c->is_root = geteuid() == 0;
	c->root = clean_path(find_root(c->is_root));
	c->run = clean_path(find_run(c->is_root));
	c->libexec = clean_path(find_libexec());
	c->trace_fd = trace && strcmp(trace, "json") == 0 ? STDERR_FILENO : -1;
	c->engine = engine ? engine : "oci";
}

void ctx_done(struct ctx *c)
{
	g_free(c->root);
	g_free(c->run);
	g_free(c->libexec);
	memset(c, 0, sizeof(*c));
	c->trace_fd = -1;
}
