/* SPDX-License-Identifier: MIT */
/* From a record to a running guest. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "engine/vm/vm.h"
#include "guest/guest-priv.h"
#include "guest/volume.h"
#include "host/steps.h"
#include "net/net.h"

struct start {
	struct engine_at at;
	struct plan *plan, *net;
	struct net_result given;
	bool have_given, running;
	char *events, *attributes;
};

static void start_clear(struct start *s)
{
	engine_at_clear(&s->at);
	plan_freep(&s->plan);
	plan_freep(&s->net);
	g_free(s->events);
	g_free(s->attributes);
	if (s->have_given)
		net_result_free(&s->given);
}

void resolve_volumes(struct ctx *c, struct spec *spec)
{
	for (guint i = 0; i < spec->mounts->len; i++) {
		struct spec_mount *m = g_ptr_array_index(spec->mounts, i);

		if (m->kind != MOUNT_VOLUME)
			continue;
		char *path = volume_folder(c, m->source);
		g_free(m->source);
		m->source = path;
		m->create = false;
	}
}

/* Another guest's namespaces are those of its first process now. */
static int resolve_namespaces(struct ctx *c, struct spec *spec, struct err *e)
{
	static const char *const files[] = { "mnt", "pid", "net", "uts", "ipc", "user", "cgroup",
		"time" };
	_Static_assert(ELEMENTSOF(files) == _NS_MAX, "a file for each namespace");
	int r;

	for (int i = 0; i < _NS_MAX; i++) {
		_cleanup_(guest_freep) struct guest *other = NULL;
		struct spec_ns *ns = &spec->ns[i];

		if (ns->mode != NS_GUEST)
			continue;
		r = guest_get(c, NULL, ns->guest, &other, e);
		if (r >= 0)
			r = guest_must_run(other, e);
		if (r < 0)
			return err_prefix(e, "cannot join the %s namespace", files[i]), r;
		ns->mode = NS_PATH;
		g_free(ns->path);
		ns->path = g_strdup_printf("/proc/%d/ns/%s", other->pid, files[i]);
	}
	return 0;
}

/* What isn't there is made where -v asked for it, as a step. */
static int check_binds(struct ctx *c, const struct spec *spec, struct plan *p, struct err *e)
{
	for (guint i = 0; i < spec->mounts->len; i++) {
		const struct spec_mount *m = g_ptr_array_index(spec->mounts, i);
		int r;

		if (m->kind != MOUNT_BIND || access(m->source, F_OK) == 0)
			continue;
		if (m->create) {
			plan_addf(p, AT_HOST, STEP_HOLD | STEP_STAY, &step_mkdirs, m->source, "755",
				(const char *)NULL);
			continue;
		}
		if (c->explain)
			continue;
		r = err_set(e, -E_INVALID, "the bind's source '%s' does not exist", m->source);
		err_mend(e, "make it, or use -v, which makes folders");
		return r;
	}
	return 0;
}

static int build(struct ctx *c, struct guest *g, struct start *s, struct err *e)
{
	int r;

	r = engine_at_init(c, g, &s->at, e);
	if (r < 0)
		return r;
	s->plan = plan_new();
	s->net = plan_new();
	r = volumes_fill(c, g, e);
	if (r < 0)
		return r;
	resolve_volumes(c, g->spec);
	/* before the network looks at its namespace */
	r = resolve_namespaces(c, g->spec, e);
	if (r >= 0)
		r = check_binds(c, g->spec, s->plan, e);
	if (r >= 0)
		r = net_plan_guest(c, g->rec->id, g->rec->name, g->spec->hostname, g->spec, s->plan,
			s->net, &s->given, e);
	if (r < 0)
		return r;
	s->have_given = true;
	s->at.s.running = s->running;
	s->at.s.plan = s->plan;
	s->at.s.net = s->net;
	s->events = store_run_path(c, "events");
	s->attributes = event_attributes(g);
	s->at.s.events = s->events;
	s->at.s.attributes = s->attributes;
	s->at.s.resolv_conf = s->given.resolv_conf;
	s->at.s.hosts = s->given.hosts;
	return s->at.ops->plan_start(c, &s->at.s, 0, e);
}

static void set_text(json_t *j, const char *key, const char *value)
{
	if (value)
		json_object_set_new(j, key, json_string(value));
}

static json_t *given_json(const struct net_result *n)
{
	json_t *networks = json_array(), *ports = json_array();

	for (guint i = 0; n->given && i < n->given->len; i++) {
		const struct net_given *v = g_ptr_array_index(n->given, i);
		json_t *j = json_object();

		set_text(j, "network", v->network);
		set_text(j, "address", v->address);
		set_text(j, "address6", v->address6);
		set_text(j, "gateway", v->gateway);
		set_text(j, "gateway6", v->gateway6);
		set_text(j, "mac", v->mac);
		set_text(j, "ifname", v->ifname);
		json_array_append_new(networks, j);
	}
	for (guint i = 0; n->ports && i < n->ports->len; i++) {
		const struct spec_port *v = g_ptr_array_index(n->ports, i);
		json_t *j = json_pack("{s:s, s:i, s:i, s:i}", "proto", v->proto, "host", v->host,
			"guest", v->guest, "count", v->count);

		set_text(j, "host_addr", v->host_addr);
		json_array_append_new(ports, j);
	}
	return json_pack("{s:o, s:o}", "networks", networks, "ports", ports);
}

/* Beside the socket, so that it is gone when the guest is. */
static int write_given(
	struct ctx *c, const struct guest *g, const struct net_result *n, struct err *e)
{
	g_autofree char *path = store_run_path(c, "guests/%s/net", g->rec->id);
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	json_t *j;
	size_t size;

	if (!n->given || n->given->len == 0)
		return 0;
	fd = RET_NERRNO(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	if (fd < 0)
		return err_sys(e, fd, "cannot write '%s'", path);
	j = given_json(n);
	text = json_dumps(j, JSON_COMPACT); /* json_dumpfd() writes each word by itself */
	json_decref(j);
	size = strlen(text);
	return write(fd, text, size) != (ssize_t)size ? err_set(e, -EIO, "cannot write '%s'", path)
						      : 0;
}

json_t *guest_net(struct ctx *c, const struct guest *g)
{
	g_autofree char *path = NULL;
	json_t *j;

	if (!guest_is_up(g))
		return NULL;
	path = store_run_path(c, "guests/%s/net", g->rec->id);
	j = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	if (j && !json_is_object(j)) {
		json_decref(j);
		j = NULL;
	}
	return j;
}

/* What the last run left. */
static int forget_last(struct ctx *c, const struct guest *g, struct err *e)
{
	g_autofree char *all = store_run_path(c, "guests");
	g_autofree char *run = guest_run_dir(c, g);
	g_autofree char *kept = store_path(c, "guests/%s/status", g->rec->id);
	g_autofree char *net = g_build_filename(run, "net", NULL);
	g_autofree char *status = g_build_filename(run, "status", NULL);
	g_autofree char *paused = g_build_filename(run, "paused", NULL);
	g_autofree char *boot = store_path(c, "guests/%s/boot", g->rec->id);

	if (g->state != GUEST_CREATED) {
		(void)unlink(kept);
		(void)unlink(status);
		(void)unlink(net);
		(void)unlink(paused);
		(void)unlink(boot);
	}
	if (mkdir(run, 0700) == 0 || errno == EEXIST)
		return 0;
	if (errno == ENOENT && g_mkdir_with_parents(all, 0711) == 0 && mkdir(run, 0700) == 0)
		return 0;
	return err_sys(e, -errno, "cannot make '%s'", run);
}

static int wanted(struct ctx *c, struct guest *g, struct err *e)
{
	struct store *s;
	int r;

	if (g->rec->wanted ||
		(g->spec->restart != RESTART_ALWAYS && g->spec->restart != RESTART_UNLESS_STOPPED))
		return 0;
	g->rec->wanted = true;
	r = store_get(c, &s, e);
	return r < 0 ? r : store_guest_update(s, g->rec, e);
}

int guest_start_locked(struct ctx *c, struct guest *g, unsigned attach, struct err *e)
{
	_cleanup_(start_clear) struct start s = { 0 };
	_cleanup_close_ int fd = -1;
	int r;

	r = build(c, g, &s, e);
	if (r < 0)
		return r;
	if (c->explain) {
		plan_show(s.plan, stdout);
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	r = forget_last(c, g, e);
	if (r >= 0)
		r = wanted(c, g, e);
	if (r < 0)
		return r;
	/* before the start: whoever sees it running finds it */
	r = write_given(c, g, &s.given, e);
	if (r < 0)
		return r;
	fd = s.at.ops->start(c, &s.at.s, attach, e);
	if (fd < 0) {
		guest_refresh(c, g);
		/* the monitor died on the way: nobody else undoes what it did */
		if (g->unmonitored)
			(void)guest_clean(c, g, NULL);
		return TAKE_FD(fd);
	}
	g->state = GUEST_RUNNING;
	guest_event(c, g, "start", NULL);
	return TAKE_FD(fd);
}

/* What the networks gave it stays: the host's side is there, and is undone by the new plan. */
static void pin(struct spec *spec, const json_t *net)
{
	const json_t *v;
	size_t i;

	json_array_foreach(json_object_get(net, "networks"), i, v) {
		const char *mac = json_string_value(json_object_get(v, "mac"));

		for (guint k = 0; mac && k < spec->networks->len; k++) {
			struct spec_attach *a = spec->networks->pdata[k];

			if (!a->mac || g_ascii_strcasecmp(a->mac, mac) != 0 ||
				g_str_equal(a->network, NET_PASST))
				continue;
			g_free(a->address);
			g_free(a->address6);
			a->address = g_strdup(json_string_value(json_object_get(v, "address")));
			a->address6 = g_strdup(json_string_value(json_object_get(v, "address6")));
		}
	}
	json_array_foreach(json_object_get(net, "ports"), i, v) {
		struct spec_port *p = i < spec->ports->len ? spec->ports->pdata[i] : NULL;
		const char *host_addr = json_string_value(json_object_get(v, "host_addr"));

		/* as many as were asked for, or fewer where neighbours became one */
		if (!p)
			break;
		g_free(p->proto);
		g_free(p->host_addr);
		p->proto = g_strdup(json_string_value(json_object_get(v, "proto")));
		p->host_addr = g_strdup(host_addr);
		p->host = (uint16_t)json_integer_value(json_object_get(v, "host"));
		p->guest = (uint16_t)json_integer_value(json_object_get(v, "guest"));
		p->count = (uint16_t)json_integer_value(json_object_get(v, "count"));
	}
	if (json_array_size(json_object_get(net, "ports")) < spec->ports->len)
		g_ptr_array_set_size(
			spec->ports, (gint)json_array_size(json_object_get(net, "ports")));
}

int guest_replan(struct ctx *c, struct guest *g, struct plan **ret, struct err *e)
{
	_cleanup_(start_clear) struct start s = { .running = true };
	_cleanup_(spec_freep) struct spec *fresh = NULL;
	struct spec *kept = g->spec;
	json_t *net = guest_net(c, g);
	int r = guest_fresh_spec(g, &fresh, e);

	if (r >= 0) {
		pin(fresh, net);
		g->spec = fresh;
		r = build(c, g, &s, e);
		g->spec = kept;
	}
	json_decref(net);
	if (r >= 0)
		*ret = TAKE_PTR(s.plan);
	return MIN(r, 0);
}

int guest_start(struct ctx *c, struct guest *g, struct err *e)
{
	_cleanup_close_ int lock = guest_lock(c, g, e), fd = -1, waiting = -1;
	unsigned attach = 0;

	if (lock < 0)
		return lock;
	if (guest_is_up(g) && !c->explain) {
		if (g->state == GUEST_PAUSED)
			return err_set(e, -E_STATE, "guest '%s' is paused", g->rec->name);
		return 1;
	}
	waiting = await_first(c, g, &attach);
	fd = guest_start_locked(c, g, attach, e);
	if (fd >= 0 && waiting >= 0)
		await_hand_over(waiting, fd);
	if (fd >= 0)
		await_tell_rest(c, g);
	return MIN(fd, 0);
}

int guest_boot(struct ctx *c, struct err *e)
{
	g_autoptr(GPtrArray) all = NULL;
	int r, n = 0, bad = 0;

	r = guest_list(c, NULL, GUEST_WITH_SPEC, &all, e);
	if (r < 0)
		return r;
	/* the oldest first: those that join others come later */
	for (guint i = all->len; i-- > 0;) {
		struct guest *g = g_ptr_array_index(all, i);

		if (!g->rec->wanted || guest_is_up(g))
			continue;
		r = guest_start(c, g, e);
		if (r < 0)
			bad = r;
		else
			n++;
	}
	return bad < 0 ? bad : n;
}

const char *guest_emulated(struct ctx *c)
{
	const char *why;
	bool first;

	if (c->explain)
		return NULL;
	return !vm_kvm_works(c, &why, &first) && first ? why : NULL;
}
