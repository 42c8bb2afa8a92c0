/* SPDX-License-Identifier: MIT */
/*
 * From a request to a record: what the image and the defaults know is filled in, the whole is checked, and
 * one journalled plan makes the folders, volumes and the row.
 *
 * How an image's configuration and the command line are put together: docker-image-spec, "config", and
 * docker-cli's reference, "container run" ("Overriding image defaults").
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "guest/guest-priv.h"
#include "guest/signals.h"
#include "host/cgroup.h"
#include "host/steps.h"
#include "image/image.h"
#include "store/journal.h"

#define NAME_ATTEMPTS 10

struct create {
	struct ctx *c;
	struct guest_request *q;
	struct spec *spec;
	struct image_record *image;  /* NULL with a rootfs */
	struct image_config *config; /* never NULL once the image is loaded */
	json_t *doc;
	GPtrArray *new_volumes; /* names */
	GHashTable *anonymous;	/* of those, which are */
	struct guest_record *rec;
	char *seed_file; /* a file of ours, until it is in the guest's folder; NULL: none */
};

static void create_clear(struct create *k)
{
	image_record_free(k->image);
	image_config_free(k->config);
	json_decref(k->doc);
	g_clear_pointer(&k->new_volumes, g_ptr_array_unref);
	g_clear_pointer(&k->anonymous, g_hash_table_unref);
	guest_record_free(k->rec);
	if (k->seed_file)
		(void)unlink(k->seed_file);
	g_free(k->seed_file);
}

/* --- the image ------------------------------------------------------------------------------------------ */

/* explain by a user who may not read the store: what only the image knows stays open. */
static int unknown_image(struct create *k)
{
	static const char *const layer[] = {
		"sha256:0000000000000000000000000000000000000000000000000000000000000000", NULL
	};

	printf("# the store in %s can't be read: a layer of zeros stands for the layers of '%s'\n",
		k->c->root, k->q->image);
	g_strfreev(k->spec->layers);
	k->spec->layers = g_strdupv((char **)(uintptr_t)layer);
	return 0;
}

static int load_image(struct create *k, struct err *e)
{
	int r;

	if (!k->q->image) {
		k->config = g_new0(struct image_config, 1);
		return 0;
	}
	r = image_resolve(k->c, k->q->image, &k->image, e);
	if (r >= 0)
		r = image_need_layers(k->image, k->q->image, e);
	if (r == -EACCES && k->c->explain) {
		k->config = g_new0(struct image_config, 1);
		return unknown_image(k);
	}
	if (r >= 0)
		r = image_config(k->c, k->image, &k->config, e);
	if (r < 0)
		return r;
	g_strfreev(k->spec->layers);
	k->spec->layers = g_strdupv(k->image->layers);
	return 0;
}

/* --- the command and its environment ---------------------------------------------------------------------- */

static void append_all(GPtrArray *to, char *const *from)
{
	for (; from && *from; from++)
		g_ptr_array_add(to, g_strdup(*from));
}

static json_t *json_list(char *const *v)
{
	json_t *a = json_array();

	for (; v && *v; v++)
		json_array_append_new(a, json_string(*v) ?: json_string("?"));
	return a;
}

static int fill_argv(struct create *k, struct err *e)
{
	GPtrArray *argv;

	if (k->spec->argv && k->spec->argv[0])
		return 0;
	json_object_set_new(k->doc, "entrypoint",
		json_list(k->q->entrypoint ? k->q->entrypoint : k->config->entrypoint));
	json_object_set_new(k->doc, "cmd",
		json_list(k->q->argv && k->q->argv[0] ? k->q->argv
			  : !k->q->entrypoint	      ? k->config->cmd
						      : NULL));
	argv = g_ptr_array_new();
	append_all(argv, k->q->entrypoint ? k->q->entrypoint : k->config->entrypoint);
	if (k->q->argv && k->q->argv[0])
		append_all(argv, k->q->argv);
	else if (!k->q->entrypoint) /* the image's command belongs to the image's entry point */
		append_all(argv, k->config->cmd);
	g_ptr_array_add(argv, NULL);
	g_strfreev(k->spec->argv);
	k->spec->argv = (char **)g_ptr_array_free(argv, FALSE);
	if (!k->spec->argv[0]) {
		err_set(e, -E_INVALID, "no command: '%s' has none of its own",
			k->q->image ?: k->spec->rootfs);
		err_mend(e, "put one after the image's name");
		return -E_INVALID;
	}
	if (!*k->spec->argv[0])
		return err_set(e, -E_INVALID, "invalid command: its name is empty");
	return 0;
}

/* Sets or replaces a variable; the place of the first stays. */
static void env_put(GPtrArray *env, const char *pair)
{
	const char *eq = strchr(pair, '=');
	size_t n = eq ? (size_t)(eq - pair) + 1 : strlen(pair);

	for (guint i = 0; i < env->len; i++) {
		char **old = (char **)&env->pdata[i];

		if (strncmp(*old, pair, n) == 0) {
			g_free(*old);
			*old = g_strdup(pair);
			return;
		}
	}
	g_ptr_array_add(env, g_strdup(pair));
}

static void fill_env(struct create *k)
{
	g_autofree char *host = g_strdup_printf("HOSTNAME=%s", k->spec->hostname ?: "");
	GPtrArray *env = g_ptr_array_new();

	env_put(env, IMAGE_PATH_ENV);
	if (k->spec->hostname)
		env_put(env, host);
	if (k->spec->tty)
		env_put(env, "TERM=xterm");
	for (char **p = k->config->env; p && *p; p++)
		if (strchr(*p, '='))
			env_put(env, *p);
	for (char **p = k->spec->env; p && *p; p++)
		env_put(env, *p);
	g_ptr_array_add(env, NULL);
	g_strfreev(k->spec->env);
	k->spec->env = (char **)g_ptr_array_free(env, FALSE);
}

static void fill_names(struct create *k, const char *id)
{
	struct spec *s = k->spec;

	if (!s->hostname) {
		if (s->ns[NS_UTS].mode == NS_PRIVATE && s->ns[NS_NET].mode != NS_HOST)
			s->hostname = g_strndup(id, 12);
		else
			s->hostname = g_strdup(g_get_host_name());
	}
	if (!s->cwd)
		s->cwd = g_strdup(k->config->cwd);
	if (!s->user)
		s->user = g_strdup(k->config->user);
	if (!s->stop_signal)
		s->stop_signal = g_strdup(k->config->stop_signal);
}

/* The dialect's document with the image's labels and ports below the user's. */
static int fill_doc(struct create *k, struct err *e)
{
	json_t *labels = json_object(), *exposed = json_object();
	int r;

	r = store_json(k->q->doc ?: "{}", "guest", k->q->name ?: "", &k->doc, e);
	if (r >= 0) {
		for (guint i = 0; k->config->labels && i < k->config->labels->len; i++) {
			const struct image_label *l = k->config->labels->pdata[i];

			json_object_set_new(labels, l->key, json_string(l->value));
		}
		for (char **p = k->config->ports; p && *p; p++)
			json_object_set_new(exposed, *p, json_object());
		json_object_update(labels, json_object_get(k->doc, "labels"));
		json_object_update(exposed, json_object_get(k->doc, "exposed"));
		json_object_set(k->doc, "labels", labels);
		json_object_set(k->doc, "exposed", exposed);
	}
	json_decref(labels);
	json_decref(exposed);
	return r;
}

/* --- other guests ------------------------------------------------------------------------------------------- */

static int resolve_guests(struct create *k, struct err *e)
{
	for (int i = 0; i < _NS_MAX; i++) {
		_cleanup_(guest_freep) struct guest *g = NULL;
		struct spec_ns *ns = &k->spec->ns[i];
		int r;

		if (ns->mode != NS_GUEST)
			continue;
		r = guest_get(k->c, NULL, ns->guest, &g, e);
		if (r < 0)
			return r;
		g_free(ns->guest);
		ns->guest = g_strdup(g->rec->id);
	}
	return 0;
}

/* --- volumes ------------------------------------------------------------------------------------------------ */

static bool is_target(const struct spec *s, const char *target)
{
	for (guint i = 0; i < s->mounts->len; i++)
		if (g_str_equal(((struct spec_mount *)s->mounts->pdata[i])->target, target))
			return true;
	return false;
}

static void image_volumes(struct create *k)
{
	for (char **path = k->config->volumes; path && *path; path++) {
		g_autofree char *clean = g_canonicalize_filename(*path, "/");

		if (!g_str_equal(clean, "/") && !is_target(k->spec, clean))
			spec_add_mount(k->spec, MOUNT_VOLUME, NULL, clean);
	}
}

static int check_targets(struct create *k, struct err *e)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < k->spec->mounts->len; i++) {
		const struct spec_mount *m = k->spec->mounts->pdata[i];

		if (!g_hash_table_add(seen, m->target))
			return err_set(
				e, -E_INVALID, "two mounts have the same target '%s'", m->target);
	}
	return 0;
}

static int add_volume(struct create *k, struct store *s, struct spec_mount *m, struct err *e)
{
	_cleanup_(volume_record_freep) struct volume_record *v = NULL;
	int r;

	if (!m->source || !*m->source) {
		g_free(m->source);
		m->source = id_make();
		g_hash_table_add(k->anonymous, g_strdup(m->source));
		g_ptr_array_add(k->new_volumes, g_strdup(m->source));
		return 0;
	}
	if (!name_is_valid(m->source))
		return err_set(e, -E_INVALID, "invalid volume name '%s'", m->source);
	for (guint i = 0; i < k->new_volumes->len; i++)
		if (g_str_equal(k->new_volumes->pdata[i], m->source))
			return 0;
	r = s ? store_volume_find(s, m->source, &v, NULL) : -E_NOTFOUND;
	if (r == -E_NOTFOUND) {
		g_ptr_array_add(k->new_volumes, g_strdup(m->source));
		return 0;
	}
	return r < 0 ? err_set(e, r, "cannot read the record of volume '%s'", m->source) : 0;
}

static int fill_volumes(struct create *k, struct store *s, struct err *e)
{
	int r;

	k->new_volumes = g_ptr_array_new_with_free_func(g_free);
	k->anonymous = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	image_volumes(k);
	r = check_targets(k, e);
	for (guint i = 0; r >= 0 && i < k->spec->mounts->len; i++) {
		struct spec_mount *m = k->spec->mounts->pdata[i];

		if (m->kind == MOUNT_VOLUME)
			r = add_volume(k, s, m, e);
	}
	return r;
}

/* --- checks --------------------------------------------------------------------------------------------------- */

/* The ports that the image and --expose name, for -P. */
static void publish_all(struct create *k)
{
	json_t *ports = json_object_get(k->doc, "exposed"), *v;
	const char *key;

	if (!k->q->publish_all)
		return;
	json_object_foreach(ports, key, v) {
		g_auto(GStrv) w = g_strsplit(key, "/", 2);
		guint64 port;
		bool have = false;

		if (!g_ascii_string_to_unsigned(w[0], 10, 1, 65535, &port, NULL))
			continue;
		for (guint i = 0; i < k->spec->ports->len; i++) {
			const struct spec_port *p = k->spec->ports->pdata[i];

			have |= p->guest == port && g_str_equal(p->proto, w[1] ?: "tcp");
		}
		if (!have)
			spec_add_port(k->spec, w[1] ?: "tcp", 0, port, 1);
	}
}

/* Those that belong to a namespace; any other would change the host. runtime-spec's config-linux.md,
 * "sysctl", and namespaces(7). */
static int check_sysctls(const struct spec *s, struct err *e)
{
	static const char *const of_ipc[] = { "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni",
		"kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
		"kernel.shm_rmid_forced", NULL };

	for (guint i = 0; i < s->sysctls->len; i++) {
		const struct spec_pair *p = s->sysctls->pdata[i];
		bool ipc =
			g_strv_contains(of_ipc, p->key) || g_str_has_prefix(p->key, "fs.mqueue.");
		bool net = g_str_has_prefix(p->key, "net.");
		enum spec_ns_kind kind = ipc ? NS_IPC : NS_NET;

		if (strstr(p->key, "..") || strchr(p->key, '/') || (!ipc && !net))
			return err_set(e, -E_INVALID,
				"sysctl '%s' belongs to the host, not to a guest", p->key);
		if (s->ns[kind].mode == NS_HOST)
			return err_set(e, -E_INVALID,
				"sysctl '%s' can't be set: the guest shares the host's %s "
				"namespace",
				p->key, ipc ? "ipc" : "network");
	}
	return 0;
}

static int check_spec(struct create *k, struct err *e)
{
	const struct spec *s = k->spec;
	int sig;

	if (s->stop_signal && signal_parse(s->stop_signal, &sig) < 0)
		return err_set(e, -E_INVALID, "invalid stop signal '%s'", s->stop_signal);
	if (s->cwd && s->cwd[0] != '/')
		return err_set(
			e, -E_INVALID, "invalid working folder '%s': not an absolute path", s->cwd);
	if (s->auto_remove && s->restart != RESTART_NO)
		return err_set(e, -E_INVALID,
			"a guest that is removed at its end can't have a restart policy");
	if (s->ns[NS_NET].mode != NS_PRIVATE && s->ports->len)
		return err_set(e, -E_INVALID,
			"a port can't be published for a guest without its own network");
	if (s->restart == RESTART_NO && s->restart_max)
		return err_set(
			e, -E_INVALID, "a number of restarts needs the restart policy on-failure");
	return check_sysctls(s, e);
}

/* --- the record -------------------------------------------------------------------------------------------------- */

static void make_record(struct create *k, const char *id)
{
	struct guest_record *g = g_new0(struct guest_record, 1);
	json_t *spec = spec_to_json(k->spec);
	char *text = json_dumps(spec, JSON_COMPACT), *doc = json_dumps(k->doc, JSON_COMPACT);

	g->id = g_strdup(id);
	g->realm = g_strdup(k->q->realm);
	g->name = k->q->name ? g_strdup(k->q->name) : NULL;
	g->kind = g_strdup(k->spec->vm ? "vm" : "container");
	g->engine =
		g_strdup(k->spec->vm && !g_str_equal(k->c->engine, "test") ? "vm" : k->c->engine);
	g->image = k->image ? g_strdup(k->image->id) : NULL;
	g->image_name = g_strdup(k->q->image ?: k->spec->rootfs ?: machine_source(k->spec));
	g->spec = g_strdup(text);
	g->doc = g_strdup(doc);
	g->created = g_get_real_time() * 1000;
	g->auto_remove = k->spec->auto_remove;
	free(text);
	free(doc);
	json_decref(spec);
	k->rec = g;
}

/* "volume:NAME", "network:NAME" of all that the guest uses. */
static void add_uses(const struct create *k, GPtrArray *argv)
{
	for (guint i = 0; i < k->spec->mounts->len; i++) {
		const struct spec_mount *m = k->spec->mounts->pdata[i];

		if (m->kind == MOUNT_VOLUME)
			g_ptr_array_add(argv, g_strdup_printf("volume:%s", m->source));
	}
	for (guint i = 0; i < k->spec->networks->len; i++) {
		const struct spec_attach *a = k->spec->networks->pdata[i];

		g_ptr_array_add(argv, g_strdup_printf("network:%s", a->network));
	}
}

static void plan_record(const struct create *k, struct plan *p)
{
	const struct guest_record *g = k->rec;
	g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func(g_free);
	const char *const fixed[] = { g->id, g->realm, g->name, g->kind, g->engine, g->image ?: "",
		g->image_name ?: "", g->spec, g->doc };

	for (size_t i = 0; i < ELEMENTSOF(fixed); i++)
		g_ptr_array_add(argv, g_strdup(fixed[i]));
	g_ptr_array_add(argv, g_strdup_printf("%" G_GINT64_FORMAT, g->created));
	g_ptr_array_add(argv, g_strdup(g->auto_remove ? "1" : "0"));
	add_uses(k, argv);
	plan_addv(p, AT_HOST, 0, &step_record_guest, (const char *const *)argv->pdata, argv->len);
}

static int plan_folders(const struct create *k, struct plan *p, struct err *e)
{
	const struct engine_ops *ops;
	struct engine_start s = {
		.id = k->rec->id, .name = k->rec->name, .spec = k->spec, .plan = p
	};
	int r = guest_engine(k->rec->engine, &ops, e);
	const char *dir = plan_str(p, "%s/guests/%s", k->c->root, k->rec->id);

	for (guint i = 0; i < k->new_volumes->len; i++) {
		const char *name = k->new_volumes->pdata[i];
		bool anonymous = g_hash_table_contains(k->anonymous, name);

		plan_add(p, AT_HOST, &step_tree, plan_str(p, "%s/volumes/%s", k->c->root, name),
			"755");
		plan_add(p, AT_HOST, &step_record_volume, name, "local", "{}",
			plan_str(p, "%" G_GINT64_FORMAT, k->rec->created), anonymous ? "1" : "0");
	}
	plan_add(p, AT_HOST, &step_tree, dir, "711");
	s.dir = dir;
	if (k->seed_file)
		plan_add(p, AT_HOST, &step_copy, plan_str(p, "%s/" MACHINE_SEED, dir), k->seed_file,
			"600");
	return r >= 0 && ops->plan_create ? ops->plan_create(k->c, &s, 0, e) : r;
}

/* Runs the plan; a name that was made up and is taken is made up again. */
static int run_plan(struct create *k, struct err *e)
{
	int r = -E_EXISTS;

	for (unsigned i = 0; i < NAME_ATTEMPTS && r == -E_EXISTS; i++) {
		_cleanup_(plan_freep) struct plan *p = plan_new();

		if (!k->q->name) {
			g_free(k->rec->name);
			k->rec->name = name_make(i);
		}
		r = plan_folders(k, p, e);
		if (r < 0)
			return r;
		plan_record(k, p);
		r = journal_run(k->c, p, e);
		if (k->q->name)
			break;
	}
	return r;
}

static int open_cidfile(struct create *k, struct err *e)
{
	int fd;

	if (!k->q->cidfile || k->c->explain)
		return -1;
	fd = RET_NERRNO(open(k->q->cidfile, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	if (fd == -EEXIST) {
		fd = err_set(e, -E_EXISTS, "the id file '%s' exists already", k->q->cidfile);
		err_mend(e, "remove it, or take another name");
	} else if (fd < 0) {
		fd = err_sys(e, fd, "cannot write the id file '%s'", k->q->cidfile);
	}
	return fd;
}

/* A machine that boots by itself has nothing of what an image's configuration says. */
static int fill_machine(struct create *k, const char *id, struct err *e)
{
	int r = 0;

	k->config = g_new0(struct image_config, 1);
	k->new_volumes = g_ptr_array_new();
	if (k->q->image)
		r = image_resolve(k->c, k->q->image, &k->image, e);
	if (r == -EACCES && k->c->explain)
		r = 0;
	if (r >= 0)
		r = fill_doc(k, e);
	if (r >= 0)
		r = machine_fill(k->c, k->q, k->spec, id, e);
	if (r >= 0 && k->q->seed)
		r = machine_seed(k->c, k->q, k->spec, id, &k->seed_file, e);
	return r < 0 ? r : check_spec(k, e);
}

static int fill(struct create *k, const char *id, struct err *e)
{
	struct store *s;
	int r;

	r = k->c->explain ? store_get_existing(k->c, &s, e) : store_get(k->c, &s, e);
	if (r == -EACCES && k->c->explain)
		s = NULL;
	else if (r < 0)
		return r;
	if (k->spec->vm && k->spec->vm->full)
		return fill_machine(k, id, e);
	r = load_image(k, e);
	if (r < 0)
		return r;
	fill_names(k, id);
	r = fill_doc(k, e);
	if (r >= 0)
		r = fill_argv(k, e);
	if (r >= 0)
		r = resolve_guests(k, e);
	if (r >= 0)
		r = fill_volumes(k, s, e);
	if (r < 0)
		return r;
	fill_env(k);
	publish_all(k);
	return check_spec(k, e);
}

int guest_create(struct ctx *c, struct guest_request *q, struct guest **ret, struct err *e)
{
	_cleanup_(spec_freep) struct spec *spec = q->spec;
	_cleanup_(create_clear) struct create k = { .c = c, .q = q, .spec = q->spec };
	g_autofree char *id = id_make();
	_cleanup_close_ int cid = -1;
	int r;

	q->spec = NULL;
	if (q->name && !name_is_valid(q->name))
		return err_set(e, -E_INVALID,
			"invalid name '%s': only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", q->name);
	r = fill(&k, id, e);
	if (r < 0)
		return r;
	cid = open_cidfile(&k, e);
	if (cid < -1)
		return cid;
	make_record(&k, id);
	r = run_plan(&k, e);
	if (r >= 0 && cid >= 0 && write(cid, id, strlen(id)) < 0)
		r = err_sys(e, -errno, "cannot write the id file '%s'", q->cidfile);
	if (r < 0) {
		if (cid >= 0)
			(void)unlink(q->cidfile);
		return r;
	}
	struct guest *g = g_new0(struct guest, 1);
	g->rec = TAKE_PTR(k.rec);
	g->spec = TAKE_PTR(spec);
	g->state = GUEST_CREATED;
	for (guint i = 0; i < k.new_volumes->len; i++)
		event_emit(c, "volume", "create", k.new_volumes->pdata[i],
			json_pack("{s:s}", "driver", "local"));
	guest_event(c, g, "create", NULL);
	*ret = g;
	return 0;
}
