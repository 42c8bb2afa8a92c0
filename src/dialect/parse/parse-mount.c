/* SPDX-License-Identifier: MIT */
/* -v, --mount, --tmpfs and --volumes-from: docker-cli's reference, "container run" and "Bind mounts". */

#include <string.h>
#include "base/units.h"
#include "dialect/parse/parse.h"

static const char *const propagations[] = { "private", "rprivate", "shared", "rshared", "slave",
	"rslave", NULL };

bool parse_is_name(const char *s)
{
	size_t n = strlen(s);

	if (n < 2 || n > 255 || !g_ascii_isalnum(s[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		if (!g_ascii_isalnum(s[i]) && !strchr("_.-", s[i]))
			return false;
	return true;
}

/* "a/./b/../c" -> "a/c", without looking at the host; s is absolute. */
static char *clean_path(const char *s)
{
	return g_canonicalize_filename(s, "/");
}

static int check_target(const char *target, const char *opt, struct err *e)
{
	if (target[0] != '/')
		return err_set(e, -E_USAGE, "invalid %s: target '%s' is not an absolute path", opt,
			target);
	g_autofree char *clean = clean_path(target);
	if (g_str_equal(clean, "/"))
		return err_set(e, -E_USAGE, "invalid %s: target '/' is the guest's root", opt);
	return 0;
}

/* A path as a user means it: what is relative starts at the current folder. */
static char *host_path(const char *s, const char *cwd)
{
	return g_canonicalize_filename(s, cwd);
}

static int volume_modes(struct spec_mount *m, const char *modes, bool *relabel, struct err *e)
{
	g_auto(GStrv) words = g_strsplit(modes, ",", -1);
	bool access = false;

	for (char **w = words; *w; w++) {
		if (g_str_equal(*w, "ro") || g_str_equal(*w, "rw")) {
			if (access)
				return err_set(e, -E_USAGE, "invalid volume mode '%s'", modes);
			access = true;
			m->read_only = (*w)[1] == 'o';
		} else if (g_str_equal(*w, "nocopy") && m->kind == MOUNT_VOLUME) {
			m->nocopy = true;
		} else if (g_str_equal(*w, "z") || g_str_equal(*w, "Z")) {
			*relabel = true;
		} else if (g_strv_contains(propagations, *w) && m->kind == MOUNT_BIND) {
			g_free(m->propagation);
			m->propagation = g_strdup(*w);
		} else {
			return err_set(e, -E_USAGE,
				"invalid volume mode '%s': '%s' is not known here", modes, *w);
		}
	}
	return 0;
}

int parse_volume(
	const char *s, const char *cwd, struct spec *spec, bool *ret_relabel, struct err *e)
{
	g_auto(GStrv) p = NULL;
	unsigned n;
	int r;

	*ret_relabel = false;
	if (strlen(s) > PARSE_TEXT_MAX)
		return err_set(e, -E_LIMIT, "volume is longer than %d bytes", PARSE_TEXT_MAX);
	p = g_strsplit(s, ":", -1);
	n = g_strv_length(p);
	if (n == 0 || n > 3 || !*p[0] || (n > 1 && !*p[1]) || (n > 2 && !*p[2]))
		return err_set(e, -E_USAGE, "invalid volume '%s': not [SOURCE:]TARGET[:MODE]", s);
	r = check_target(n == 1 ? p[0] : p[1], "volume", e);
	if (r < 0)
		return r;
	g_autofree char *target = clean_path(n == 1 ? p[0] : p[1]);
	if (n == 1) {
		spec_add_mount(spec, MOUNT_VOLUME, NULL, target);
		return 0;
	}
	bool path = p[0][0] == '/' || p[0][0] == '.';
	if (!path && !parse_is_name(p[0]))
		return err_set(e, -E_USAGE,
			"invalid volume name '%s': only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed; use "
			"an absolute path for a folder of the host",
			p[0]);
	g_autofree char *source = path ? host_path(p[0], cwd) : g_strdup(p[0]);
	struct spec_mount *m =
		spec_add_mount(spec, path ? MOUNT_BIND : MOUNT_VOLUME, source, target);
	m->create = path;
	return n == 3 ? volume_modes(m, p[2], ret_relabel, e) : 0;
}

int parse_csv(const char *s, char ***ret, struct err *e)
{
	g_autoptr(GPtrArray) out = g_ptr_array_new_with_free_func(g_free);
	const char *p = s;

	if (strlen(s) > PARSE_TEXT_MAX)
		return err_set(e, -E_LIMIT, "list is longer than %d bytes", PARSE_TEXT_MAX);
	for (;;) {
		g_autoptr(GString) field = g_string_new(NULL);

		if (*p == '"') {
			for (p++; *p && !(p[0] == '"' && p[1] != '"'); p++) {
				if (*p == '"')
					p++;
				g_string_append_c(field, *p);
			}
			if (*p != '"' || (p[1] && p[1] != ','))
				return err_set(
					e, -E_USAGE, "invalid list '%s': a quote is not closed", s);
			p++;
		} else {
			for (; *p && *p != ','; p++) {
				if (*p == '"')
					return err_set(e, -E_USAGE,
						"invalid list '%s': a quote inside a bare field",
						s);
				g_string_append_c(field, *p);
			}
		}
		g_ptr_array_add(out, g_strdup(field->str));
		if (!*p)
			break;
		p++;
	}
	g_ptr_array_add(out, NULL);
	*ret = (char **)g_ptr_array_free(g_steal_pointer(&out), FALSE);
	return 0;
}

struct mount_words {
	char *type, *source, *target, *propagation, *size, *mode;
	int read_only, nocopy; /* 0, 1 */
};

static void mount_words_clear(struct mount_words *w)
{
	g_free(w->type);
	g_free(w->source);
	g_free(w->target);
	g_free(w->propagation);
	g_free(w->size);
	g_free(w->mode);
}

static int word_bool(const char *key, const char *value, int *ret, struct err *e)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True", NULL };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False", NULL };

	if (!value || g_strv_contains(yes, value))
		*ret = 1;
	else if (g_strv_contains(no, value))
		*ret = 0;
	else
		return err_set(e, -E_USAGE, "invalid value for '%s': '%s' is not true or false",
			key, value);
	return 0;
}

static int mount_word(struct mount_words *w, const char *field, struct err *e)
{
	static const struct {
		const char *key;
		size_t offset;
	} strings[] = {
		{ "type", offsetof(struct mount_words, type) },
		{ "source", offsetof(struct mount_words, source) },
		{ "src", offsetof(struct mount_words, source) },
		{ "target", offsetof(struct mount_words, target) },
		{ "destination", offsetof(struct mount_words, target) },
		{ "dst", offsetof(struct mount_words, target) },
		{ "bind-propagation", offsetof(struct mount_words, propagation) },
		{ "tmpfs-size", offsetof(struct mount_words, size) },
		{ "tmpfs-mode", offsetof(struct mount_words, mode) },
	};
	const char *eq = strchr(field, '=');
	g_autofree char *key = eq ? g_ascii_strdown(field, eq - field) : g_ascii_strdown(field, -1);
	const char *value = eq ? eq + 1 : NULL;

	if (g_str_equal(key, "readonly") || g_str_equal(key, "ro"))
		return word_bool(key, value, &w->read_only, e);
	if (g_str_equal(key, "volume-nocopy"))
		return word_bool(key, value, &w->nocopy, e);
	if (!value)
		return err_set(e, -E_USAGE, "invalid field '%s' must be a key=value pair", field);
	for (size_t i = 0; i < ELEMENTSOF(strings); i++) {
		if (!g_str_equal(key, strings[i].key))
			continue;
		char **p = (char **)((char *)w + strings[i].offset);
		g_free(*p);
		*p = g_strdup(value);
		return 0;
	}
	return err_set(e, -E_USAGE, "unexpected key '%s' in '%s'", key, field);
}

static int mount_tmpfs_words(struct spec_mount *m, const struct mount_words *w, struct err *e)
{
	int64_t size;

	if (w->size) {
		if (units_parse_size(w->size, &size) < 0 || size < 0)
			return err_set(e, -E_USAGE, "invalid value for tmpfs-size: '%s'", w->size);
		m->size = size;
	}
	if (w->mode) {
		char *end;
		guint64 mode = g_ascii_strtoull(w->mode, &end, 8);

		if (!g_ascii_isdigit(w->mode[0]) || *end || mode > 07777)
			return err_set(e, -E_USAGE, "invalid value for tmpfs-mode: '%s'", w->mode);
		m->mode = mode;
	}
	return 0;
}

static int mount_check(
	const struct mount_words *w, const char *s, enum spec_mount_kind *ret, struct err *e)
{
	const char *type = w->type ?: "volume";

	if (g_str_equal(type, "bind"))
		*ret = MOUNT_BIND;
	else if (g_str_equal(type, "volume"))
		*ret = MOUNT_VOLUME;
	else if (g_str_equal(type, "tmpfs"))
		*ret = MOUNT_TMPFS;
	else
		return err_set(e, -E_USAGE, "invalid mount '%s': unknown type '%s'", s, type);
	if (!w->target)
		return err_set(e, -E_USAGE, "invalid mount '%s': target is required", s);
	if (*ret == MOUNT_BIND && (!w->source || !*w->source))
		return err_set(e, -E_USAGE, "invalid mount '%s': a bind mount needs a source", s);
	if (*ret == MOUNT_TMPFS && w->source)
		return err_set(e, -E_USAGE, "invalid mount '%s': a tmpfs has no source", s);
	if (*ret != MOUNT_BIND && w->propagation)
		return err_set(
			e, -E_USAGE, "cannot mix bind-propagation with mount type '%s'", type);
	if (*ret != MOUNT_VOLUME && w->nocopy)
		return err_set(e, -E_USAGE, "cannot mix volume-nocopy with mount type '%s'", type);
	if (*ret != MOUNT_TMPFS && (w->size || w->mode))
		return err_set(e, -E_USAGE,
			"cannot mix tmpfs-size and tmpfs-mode with mount type '%s'", type);
	if (w->propagation && !g_strv_contains(propagations, w->propagation))
		return err_set(e, -E_USAGE, "invalid mount '%s': unknown propagation '%s'", s,
			w->propagation);
	if (*ret == MOUNT_VOLUME && w->source && *w->source && !parse_is_name(w->source))
		return err_set(e, -E_USAGE, "invalid mount '%s': '%s' is not a volume's name", s,
			w->source);
	return check_target(w->target, "mount", e);
}

int parse_mount(const char *s, const char *cwd, struct spec *spec, struct err *e)
{
	_cleanup_(mount_words_clear) struct mount_words w = { 0 };
	g_auto(GStrv) fields = NULL;
	enum spec_mount_kind kind = MOUNT_VOLUME;
	int r;

	r = parse_csv(s, &fields, e);
	for (char **f = fields; r >= 0 && f && *f; f++)
		r = mount_word(&w, *f, e);
	if (r >= 0)
		r = mount_check(&w, s, &kind, e);
	if (r < 0)
		return r;

	g_autofree char *target = clean_path(w.target);
	g_autofree char *source = NULL;
	if (kind == MOUNT_BIND)
		source = host_path(w.source, cwd);
	else if (w.source && *w.source)
		source = g_strdup(w.source);
	struct spec_mount *m = spec_add_mount(spec, kind, source, target);
	m->read_only = w.read_only;
	m->nocopy = w.nocopy;
	m->propagation = g_steal_pointer(&w.propagation);
	return mount_tmpfs_words(m, &w, e);
}

int parse_tmpfs(const char *s, struct spec *spec, struct err *e)
{
	static const char *const flags[] = { "rw", "exec", "noexec", "suid", "nosuid", "dev",
		"nodev", "sync", "async", "atime", "noatime", "diratime", "nodiratime", "relatime",
		"norelatime", "strictatime", "nostrictatime", "mand", "nomand", NULL };
	const char *colon = strchr(s, ':');
	g_autofree char *path = colon ? g_strndup(s, colon - s) : g_strdup(s);
	g_autoptr(GString) rest = g_string_new(NULL);
	struct mount_words w = { 0 };
	int r;

	r = check_target(path, "tmpfs", e);
	if (r < 0)
		return r;
	g_autofree char *target = clean_path(path);
	struct spec_mount *m = spec_add_mount(spec, MOUNT_TMPFS, NULL, target);
	if (!colon)
		return 0;
	g_auto(GStrv) words = g_strsplit(colon + 1, ",", -1);
	for (char **o = words; *o; o++) {
		w = (struct mount_words){ 0 };
		if (g_str_equal(*o, "ro")) {
			m->read_only = true;
			continue;
		}
		if (g_str_has_prefix(*o, "size="))
			w.size = *o + 5;
		else if (g_str_has_prefix(*o, "mode="))
			w.mode = *o + 5;
		else if (g_strv_contains(flags, *o) || g_str_has_prefix(*o, "uid=") ||
			 g_str_has_prefix(*o, "gid=") || g_str_has_prefix(*o, "nr_inodes=") ||
			 g_str_has_prefix(*o, "nr_blocks=") || g_str_has_prefix(*o, "mpol="))
			g_string_append_printf(rest, "%s%s", rest->len ? "," : "", *o);
		else
			return err_set(e, -E_USAGE, "invalid tmpfs option '%s'", *o);
		r = mount_tmpfs_words(m, &w, e);
		if (r < 0)
			return r;
	}
	if (rest->len) {
		g_free(m->options);
		m->options = g_strdup(rest->str);
	}
	return 0;
}

int parse_volumes_from(const char *s, char **ret_guest, bool *ret_read_only, struct err *e)
{
	g_auto(GStrv) p = g_strsplit(s, ":", 2);

	if (!p[0] || !*p[0])
		return err_set(e, -E_USAGE, "invalid volumes-from '%s'", s);
	if (p[1] && !g_str_equal(p[1], "ro") && !g_str_equal(p[1], "rw"))
		return err_set(e, -E_USAGE, "invalid mode '%s' in volumes-from '%s'", p[1], s);
	*ret_read_only = p[1] && g_str_equal(p[1], "ro");
	*ret_guest = g_strdup(p[0]);
	return 0;
}
