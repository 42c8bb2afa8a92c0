/* SPDX-License-Identifier: MIT */
/* --disk and its like. */

#include <string.h>
#include "base/units.h"
#include "dialect/parse/parse.h"

#define DISK_SIZE_MAX (INT64_C(1) << 50)

static int word_of(
	const char *const *words, const char *key, const char *value, int *ret, struct err *e)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], value) == 0) {
			*ret = i;
			return 0;
		}
	return err_set(e, -E_USAGE, "invalid %s '%s'", key, value);
}

static int flag_of(const char *key, const char *value, bool *ret, struct err *e)
{
	if (!value || strcmp(value, "true") == 0 || strcmp(value, "on") == 0 ||
		strcmp(value, "1") == 0)
		*ret = true;
	else if (strcmp(value, "false") == 0 || strcmp(value, "off") == 0 ||
		 strcmp(value, "0") == 0)
		*ret = false;
	else
		return err_set(e, -E_USAGE, "invalid %s '%s'", key, value);
	return 0;
}

static void set_text(char **to, const char *value)
{
	g_free(*to);
	*to = g_strdup(value);
}

static const char *const flags[] = { "readonly", "ro", "discard", "volatile", "snapshot", NULL };

struct disk_words {
	struct spec_disk *d;
	const char *cwd;
};

static int set_number(struct spec_disk *d, const char *key, const char *value, struct err *e)
{
	int64_t n;

	if (strcmp(key, "size") == 0) {
		if (units_parse_size(value, &d->size) < 0 || d->size < 512 ||
			d->size > DISK_SIZE_MAX)
			return err_set(e, -E_USAGE, "invalid size '%s'", value);
		return 0;
	}
	if (units_parse_int(value, 0, 255, &n) < 0)
		return err_set(e, -E_USAGE, "invalid %s '%s'", key, value);
	d->boot = (int)n;
	return 0;
}

static int set_word(struct disk_words *w, const char *key, const char *value, struct err *e)
{
	struct spec_disk *d = w->d;
	int n, r;

	if (strcmp(key, "bus") == 0) {
		r = word_of(spec_disk_buses, key, value, &n, e);
		d->bus = r < 0 ? d->bus : (enum spec_disk_bus)n;
	} else if (strcmp(key, "device") == 0) {
		r = word_of(spec_disk_devices, key, value, &n, e);
		d->device = r < 0 ? d->device : (enum spec_disk_device)n;
	} else if (strcmp(key, "cache") == 0) {
		r = word_of(spec_disk_caches, key, value, &n, e);
		d->cache = r < 0 ? d->cache : (enum spec_disk_cache)n;
	} else {
		r = set_number(d, key, value, e);
	}
	return r;
}

static int set_key(struct disk_words *w, const char *key, const char *value, struct err *e)
{
	static const char *const words[] = { "bus", "device", "cache", "size", "boot" };
	struct spec_disk *d = w->d;
	bool *const to[] = { &d->read_only, &d->read_only, &d->discard, &d->snapshot,
		&d->snapshot };

	for (size_t i = 0; flags[i]; i++)
		if (strcmp(key, flags[i]) == 0)
			return flag_of(key, value, to[i], e);
	if (!value || !*value)
		return err_set(e, -E_USAGE, "'%s' needs a value", key);
	if (strcmp(key, "file") == 0 || strcmp(key, "path") == 0 || strcmp(key, "source") == 0) {
		g_free(d->path);
		d->path = g_canonicalize_filename(value, w->cwd);
		return 0;
	}
	if (strcmp(key, "format") == 0)
		set_text(&d->format, value);
	else if (strcmp(key, "serial") == 0)
		set_text(&d->serial, value);
	else if (strcmp(key, "id") == 0)
		set_text(&d->id, value);
	else {
		for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
			if (strcmp(key, words[i]) == 0)
				return set_word(w, key, value, e);
		return err_set(e, -E_USAGE, "unknown key '%s'", key);
	}
	return 0;
}

static int finish(const char *s, struct spec_vm *vm, struct spec_disk *d, struct err *e)
{
	static const char *const prefixes[] = {
		[DISK_DISK] = "disk", [DISK_CDROM] = "cd", [DISK_FLOPPY] = "floppy"
	};

	if (d->size && (d->path || d->device != DISK_DISK || d->read_only))
		return err_set(e, -E_USAGE,
			"invalid disk '%s': size is that of a new disk, which is empty and can be "
			"written",
			s);
	if (!d->size && !d->path && d->device == DISK_DISK)
		return err_set(e, -E_USAGE, "invalid disk '%s': neither file nor size", s);
	if (d->size && d->format && strcmp(d->format, "qcow2") != 0 &&
		strcmp(d->format, "raw") != 0)
		return err_set(e, -E_USAGE, "invalid disk '%s': a new disk is qcow2 or raw", s);
	if (!*d->id) {
		char *id = spec_vm_disk_id(vm, prefixes[d->device]); /* looks at this one's too */

		g_free(d->id);
		d->id = id;
	}
	if (!d->size)
		return 0;
	if (!d->format)
		d->format = g_strdup("qcow2");
	d->own = true;
	d->path = g_strdup_printf("%s.%s", d->id, d->format);
	return 0;
}

/* Of a file: there is no key before an equals sign. */
static bool is_name(const char *s)
{
	const char *equals = strchr(s, '='), *slash = strchr(s, '/');

	return *s && !strchr(s, ',') && (!equals || (slash && slash < equals));
}

static bool is_flag(const char *s)
{
	return g_strv_contains(flags, s);
}

int parse_disk(const char *s, const char *cwd, enum spec_disk_device device, struct spec_vm *vm,
	struct spec_disk **ret, struct err *e)
{
	g_auto(GStrv) parts = NULL;
	struct disk_words w = { .cwd = cwd };
	int r = 0;

	w.d = spec_vm_add_disk(vm, "", NULL, NULL);
	w.d->device = device;
	if (is_name(s)) {
		w.d->path = g_canonicalize_filename(s, cwd);
		*ret = w.d;
		return finish(s, vm, w.d, e);
	}
	r = parse_csv(s, &parts, e);
	for (char **p = parts; r >= 0 && p && *p; p++) {
		g_autofree char *key = g_strndup(*p, strcspn(*p, "="));

		/* "FILE,KEY=VALUE" */
		if (p == parts && !strchr(*p, '=') && !is_flag(*p)) {
			w.d->path = g_canonicalize_filename(*p, cwd);
			continue;
		}
		r = set_key(&w, key, (*p)[strlen(key)] ? *p + strlen(key) + 1 : NULL, e);
	}
	if (r < 0)
		return err_prefix(e, "invalid disk '%s'", s), r;
	*ret = w.d;
	return finish(s, vm, w.d, e);
}
