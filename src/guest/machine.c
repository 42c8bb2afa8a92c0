/* SPDX-License-Identifier: MIT */
/* What the operations on machines have in common. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "guest/machine-priv.h"

int machine_lock(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_close_ int lock = guest_lock(c, g, e);

	if (lock < 0)
		return lock;
	if (!g->spec->vm || !g->spec->vm->full)
		return err_set(e, -E_INVALID, "guest '%s' is not a machine that boots by itself",
			g->rec->name);
	return TAKE_FD(lock);
}

int machine_talk(struct ctx *c, struct guest *g, struct vm_qmp **ret, struct err *e)
{
	struct vm_schema *schema = NULL;
	const char *program;
	int fd = -1, r;

	r = guest_must_run(g, e);
	if (r >= 0 && g->state == GUEST_PAUSED)
		r = err_set(e, -E_STATE, "guest '%s' is paused", g->rec->name);
	if (r >= 0)
		r = vm_program(&program, e);
	if (r >= 0)
		r = vm_schema_get(c, program, &schema, e);
	if (r >= 0 && !c->explain)
		fd = r = monitor_connect(c, g, e);
	if (r < 0) {
		vm_schema_free(schema);
		return r;
	}
	*ret = vm_qmp_new(c, fd, schema);
	return 0;
}

/* A policy starts it again by the plan in its folder. */
static int keep_next_start(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = NULL;
	int r;

	if (!guest_is_up(g) || g->spec->restart == RESTART_NO)
		return 0;
	r = guest_replan(c, g, &p, e);
	return r < 0 ? r : machine_keep_plan(c, g, p, e);
}

int machine_keep(struct ctx *c, struct guest *g, struct err *e)
{
	json_t *j;
	char *text;
	struct store *s;
	int r;

	if (c->explain) {
		(void)fprintf(stdout, "# the record of guest '%s' gets the same\n", g->rec->name);
		return 0;
	}
	j = spec_to_json(g->spec);
	text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	g_free(g->rec->spec);
	g->rec->spec = g_strdup(text);
	free(text);
	r = store_get(c, &s, e);
	if (r >= 0)
		r = store_guest_update(s, g->rec, e);
	return r < 0 ? r : keep_next_start(c, g, e);
}

/* --- nodes ---------------------------------------------------------------------------------------------------- */

/* "/machine/peripheral/disk0/virtio-backend", "disk0" -> whether it is disk0's */
static bool is_device(const char *qdev, const char *id)
{
	static const char folder[] = "/machine/peripheral/";
	size_t n = strlen(id);

	if (!qdev)
		return false;
	if (g_str_has_prefix(qdev, folder))
		qdev += sizeof(folder) - 1;
	return strncmp(qdev, id, n) == 0 && (!qdev[n] || qdev[n] == '/');
}

const char *machine_top_node(const json_t *j, const char *id, const json_t **ret_inserted)
{
	const json_t *v;
	size_t i;

	json_array_foreach(j, i, v) {
		const json_t *in = json_object_get(v, "inserted");

		if (!is_device(json_string_value(json_object_get(v, "qdev")), id))
			continue;
		if (ret_inserted)
			*ret_inserted = in;
		return json_string_value(json_object_get(in, "node-name"));
	}
	return NULL;
}

int machine_give_file(
	struct vm_qmp *q, const char *path, bool write, const char *tag, char **ret, struct err *e)
{
	/* explain is for anybody, and for files that a step would make */
	bool explain = vm_qmp_explains(q);
	_cleanup_close_ int fd = RET_NERRNO(open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC));
	json_t *j = NULL, *n;
	int r;

	if (fd < 0 && !explain)
		return err_sys(e, fd, "cannot open '%s'", path);
	r = vm_qmp_fds(q, "add-fd", json_pack("{s:s}", "opaque", tag), &fd, 1, &j, e);
	if (r < 0)
		return r;
	n = json_object_get(j, "fdset-id");
	*ret = json_is_integer(n)
		       ? g_strdup_printf("/dev/fdset/%" JSON_INTEGER_FORMAT, json_integer_value(n))
		       : g_strdup("/dev/fdset/N");
	json_decref(j);
	return 0;
}

void machine_forget_nodes(struct vm_qmp *q, const char *id)
{
	g_autofree char *prefix = g_strconcat(id, "-", NULL);
	bool some = true;

	/* one that lies below another goes after it */
	for (int round = 0; some && round < 2 * 16; round++) {
		json_t *all = NULL, *v;
		size_t i;

		some = false;
		if (vm_qmp(q, "query-named-block-nodes", json_pack("{s:b}", "flat", 1), &all,
			    NULL) < 0)
			return;
		json_array_foreach(all, i, v) {
			const char *name = json_string_value(json_object_get(v, "node-name"));

			if (!name || (strcmp(name, id) != 0 && !g_str_has_prefix(name, prefix)) ||
				g_str_has_suffix(name, "-file"))
				continue;
			some |= vm_qmp(q, "blockdev-del", json_pack("{s:s}", "node-name", name),
					NULL, NULL) >= 0;
		}
		json_decref(all);
	}
}

void machine_forget_files(struct vm_qmp *q, const char *tag)
{
	json_t *sets = NULL, *v;
	size_t i;

	if (vm_qmp(q, "query-fdsets", NULL, &sets, NULL) < 0)
		return;
	json_array_foreach(sets, i, v) {
		json_t *first = json_array_get(json_object_get(v, "fds"), 0),
		       *n = json_object_get(v, "fdset-id");
		const char *is = json_string_value(json_object_get(first, "opaque"));

		if (is && strcmp(is, tag) == 0 && json_is_integer(n))
			(void)vm_qmp(q, "remove-fd", json_pack("{s:O}", "fdset-id", n), NULL, NULL);
	}
	json_decref(sets);
}
