/* SPDX-License-Identifier: MIT */
#include "guest/volume.h"

#include "guest/guest-priv.h"
#include "host/steps.h"
#include "store/journal.h"

bool volume_is_bind(const json_t *options)
{
	const char *o = json_string_value(json_object_get(options, "o"));
	const char *device = json_string_value(json_object_get(options, "device"));
	g_auto(GStrv) words = g_strsplit(o ? o : "", ",", -1);
	bool bind = false;

	/* other mount(8) words would be ignored */
	for (char **w = words; *w; w++)
		bind = g_str_equal(*w, "bind") || g_str_equal(*w, "rbind") ||
		       (bind && g_str_equal(*w, "rw"));
	return bind && device && device[0] == '/';
}

char *volume_folder(struct ctx *c, const char *name)
{
	_cleanup_(volume_record_freep) struct volume_record *v = NULL;
	struct store *s;
	json_t *doc = NULL, *options;
	char *path = NULL;

	if (store_get_existing(c, &s, NULL) >= 0 && store_volume_find(s, name, &v, NULL) >= 0)
		doc = json_loads(v->doc, 0, NULL);
	options = json_object_get(doc, "options");
	if (volume_is_bind(options))
		path = g_strdup(json_string_value(json_object_get(options, "device")));
	json_decref(doc);
	return path ? path : store_path(c, "volumes/%s", name);
}

static int make(struct ctx *c, const char *name, const char *doc, bool anonymous, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *path = store_path(c, "volumes/%s", name);
	g_autofree char *now = g_strdup_printf("%" G_GINT64_FORMAT, g_get_real_time() * 1000);
	int r;

	plan_add(p, AT_HOST, &step_tree, path, "755");
	plan_add(p, AT_HOST, &step_record_volume, name, "local", doc, now, anonymous ? "1" : "0");
	r = journal_run(c, p, e);
	if (r >= 0)
		event_emit(c, "volume", "create", name, json_pack("{s:s}", "driver", "local"));
	return r;
}

int volume_create(struct ctx *c, const char *name, const char *doc, char **ret_name, struct err *e)
{
	_cleanup_(volume_record_freep) struct volume_record *old = NULL;
	g_autofree char *made = NULL;
	struct store *s;
	int r;

	if (name && !name_is_valid(name))
		return err_set(e, -E_INVALID,
			"invalid volume name '%s': only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
			name);
	if (!name)
		name = made = volume_name_make();
	/* what is there already is what was asked for */
	r = store_get_existing(c, &s, e);
	if (r >= 0 && store_volume_find(s, name, &old, NULL) >= 0)
		r = 1;
	else if (r >= 0 || r == -E_NOTFOUND)
		r = make(c, name, doc ?: "{}", made != NULL, e);
	if (r >= 0 && ret_name)
		*ret_name = g_strdup(name);
	return r;
}

int volume_find(struct ctx *c, const char *name, struct volume_record **ret, struct err *e)
{
	struct store *s;
	int r = store_get_existing(c, &s, e);

	if (r >= 0)
		r = store_volume_find(s, name, ret, e);
	return r == -E_NOTFOUND ? err_set(e, r, "no such volume '%s'", name) : r;
}

int volume_remove(struct ctx *c, const char *name, struct err *e)
{
	_cleanup_(volume_record_freep) struct volume_record *v = NULL;
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *path = store_path(c, "volumes/%s", name);
	g_autoptr(GPtrArray) users = NULL;
	struct store *s;
	int r;

	r = volume_find(c, name, &v, e);
	if (r >= 0)
		r = store_get_existing(c, &s, e);
	if (r >= 0)
		r = store_users(s, "volume", name, &users, e);
	if (r >= 0 && users->len)
		r = err_set(e, -E_INUSE, "volume '%s' is in use by guest '%.12s'", name,
			(const char *)users->pdata[0]);
	if (r < 0)
		return r;
	plan_add(p, AT_HOST, &step_record_volume_remove, name);
	plan_add(p, AT_HOST, &step_remove, path);
	r = journal_run_forward(c, p, e);
	if (r >= 0)
		event_emit(c, "volume", "destroy", name, json_pack("{s:s}", "driver", "local"));
	return r;
}
