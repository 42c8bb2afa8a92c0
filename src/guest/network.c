/* SPDX-License-Identifier: MIT */
#include "guest/network.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "guest/guest-priv.h"
#include "host/steps.h"
#include "net/net.h"
#include "store/journal.h"

static const step_table *const tables[] = { &host_steps, NULL };

/* --- the record ----------------------------------------------------------------------------------------------- */

static int find_attach(const struct spec *s, const char *network)
{
	for (guint i = 0; i < s->networks->len; i++)
		if (g_str_equal(((struct spec_attach *)s->networks->pdata[i])->network, network))
			return (int)i;
	return -1;
}

static int keep(struct ctx *c, struct guest *g, const char *network, bool connected, struct err *e)
{
	json_t *j = spec_to_json(g->spec);
	char *text = json_dumps(j, JSON_COMPACT);
	struct store *s;
	int r;

	json_decref(j);
	g_free(g->rec->spec);
	g->rec->spec = g_strdup(text);
	free(text);
	r = store_get(c, &s, e);
	if (r >= 0)
		r = store_begin(s, e);
	if (r < 0)
		return r;
	r = store_guest_update(s, g->rec, e);
	if (r >= 0)
		r = connected ? store_guest_uses(s, g->rec->id, "network", network, e)
			      : store_guest_leaves(s, g->rec->id, "network", network, e);
	if (r >= 0)
		r = store_commit(s, e);
	else
		store_rollback(s);
	return r;
}

static struct spec_attach *add_attach(struct spec *s, const struct spec_attach *from)
{
	struct spec_attach *a = spec_add_network(s, from->network);

	a->address = g_strdup(from->address);
	a->address6 = g_strdup(from->address6);
	a->mac = g_strdup(from->mac);
	a->aliases = g_strdupv(from->aliases);
	return a;
}

static void tell(struct ctx *c, const struct guest *g, const char *action, const char *network)
{
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	struct store *s;

	if (store_get(c, &s, NULL) >= 0 && store_network_find(s, network, &n, NULL) >= 0)
		event_emit(c, "network", action, n->id,
			json_pack("{s:s, s:s, s:s}", "container", g->rec->id, "name", n->name,
				"type", n->driver));
}

/* --- the plan in the guest's folder ---------------------------------------------------------------------------------- */

static int load_plan(struct ctx *c, const struct guest *g, struct plan **ret, struct err *e)
{
	g_autofree char *dir = guest_dir(c, g), *file = g_build_filename(dir, "plan", NULL),
			*data = NULL;
	gsize n;
	int r;

	if (!g_file_get_contents(file, &data, &n, NULL))
		return err_set(e, -EIO, "cannot read the plan '%s'", file);
	r = plan_decode(data, n, tables, ret);
	return r < 0 ? err_sys(e, r, "cannot understand the plan '%s'", file) : 0;
}

static int keep_plan(struct ctx *c, const struct guest *g, const struct plan *p, struct err *e)
{
	g_autofree char *dir = guest_dir(c, g), *file = g_build_filename(dir, "plan", NULL);
	_cleanup_free_ char *data = NULL;
	size_t n;
	int r = plan_encode(p, &data, &n);

	if (r < 0)
		return err_sys(e, r, "cannot store the plan of guest '%s'", g->rec->name);
	if (!g_file_set_contents_full(
		    file, data, (gssize)n, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL))
		return err_set(e, -EIO, "cannot write the plan '%s'", file);
	return 0;
}

static void copy_step(struct plan *to, const struct step *s)
{
	plan_addv(to, s->at, s->flags, s->op, s->arg, s->n);
}

/* Whether the step is of an interface, or gives an address or a name to it. "@ADDRESS" is the way back. */
static bool speaks_of(const struct step *s, const char *ifname, const char *address)
{
	size_t n = address ? strlen(address) : 0;

	if (s->op == &step_veth)
		return strcmp(s->arg[1], ifname) == 0;
	if (s->op == &step_macvlan || s->op == &step_ipvlan || s->op == &step_addrgen ||
		s->op == &step_addr || s->op == &step_link_up)
		return strcmp(s->arg[0], ifname) == 0;
	if (s->op == &step_route)
		return strcmp(s->arg[2], ifname) == 0;
	if (!n || (s->op != &step_lease && s->op != &step_name))
		return false;
	for (unsigned i = 0; i < s->n; i++) {
		const char *a = s->arg[i] + (s->arg[i][0] == '@');

		if (strncmp(a, address, n) == 0 && (!a[n] || a[n] == ','))
			return true;
	}
	return false;
}

/* --- what the networks gave: RUN/guests/ID/net ------------------------------------------------------------------------- */

static int keep_given(struct ctx *c, const struct guest *g, json_t *net, struct err *e)
{
	g_autofree char *path = store_run_path(c, "guests/%s/net", g->rec->id);
	_cleanup_free_ char *text = json_dumps(net, JSON_COMPACT);

	if (text && g_file_set_contents_full(
			    path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL))
		return 0;
	return err_set(e, -EIO, "cannot write '%s'", path);
}

static void put(json_t *j, const char *key, const char *value)
{
	if (value)
		json_object_set_new(j, key, json_string(value));
}

static int add_given(struct ctx *c, const struct guest *g, const struct net_given *v, struct err *e)
{
	json_t *net = guest_net(c, g) ?: json_pack("{s:[], s:[]}", "networks", "ports"),
	       *one = json_object();
	int r;

	put(one, "network", v->network);
	put(one, "address", v->address);
	put(one, "address6", v->address6);
	put(one, "gateway", v->gateway);
	put(one, "gateway6", v->gateway6);
	put(one, "mac", v->mac);
	put(one, "ifname", v->ifname);
	json_array_append_new(json_object_get(net, "networks"), one);
	r = keep_given(c, g, net, e);
	json_decref(net);
	return r;
}

/* --- beside a container that runs ---------------------------------------------------------------------------------------- */

/* The first of eth0, eth1 ... that no step of the plan makes. */
static unsigned free_number(const struct plan *p)
{
	for (unsigned k = 0;; k++) {
		char name[IF_NAMESIZE];
		bool taken = false;

		(void)g_snprintf(name, sizeof(name), "eth%u", k);
		for (unsigned i = 0; i < plan_len(p) && !taken; i++)
			taken = speaks_of(plan_step(p, i), name, NULL);
		if (!taken)
			return k;
	}
}

/* The steps that make this network the guest's, all its others being there. */
static int plan_one(struct ctx *c, struct guest *g, const struct spec_attach *a, unsigned number,
	struct plan **ret, struct net_result *given, struct err *e)
{
	_cleanup_(plan_freep) struct plan *host = plan_new(), *net = plan_new();
	_cleanup_(spec_freep) struct spec *alone = spec_new();
	/* one that leads out already keeps its way */
	const struct net_join join = { number, g->spec->networks->len > 0 };
	int r;

	add_attach(alone, a);
	r = net_plan_join(
		c, g->rec->id, g->rec->name, g->spec->hostname, alone, &join, host, net, given, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < plan_len(net); i++)
		copy_step(host, plan_step(net, i));
	*ret = TAKE_PTR(host);
	return 0;
}

/* Steps of the child, in its network namespace, by a process of ours. */
static int run_inside(pid_t pid, const struct plan *p, struct err *e)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/ns/net", pid);
	_cleanup_close_ int ns = RET_NERRNO(open(path, O_RDONLY | O_CLOEXEC));
	int fd[2], r, status;
	struct err said = { 0 };
	pid_t child;

	if (ns < 0)
		return err_sys(e, ns, "cannot open '%s'", path);
	r = RET_NERRNO(pipe2(fd, O_CLOEXEC));
	if (r < 0)
		return err_sys(e, r, "cannot make a pipe");
	child = RET_NERRNO(fork());
	if (child == 0) {
		struct step_run run;

		step_run_init(&run, p);
		r = RET_NERRNO(setns(ns, CLONE_NEWNET));
		r = r < 0 ? err_sys(&said, r, "cannot enter '%s'", path)
			  : plan_run_at(&run, AT_CHILD, &said);
		said.code = r;
		_exit(write(fd[1], &said, sizeof(said)) != sizeof(said));
	}
	(void)close(fd[1]);
	if (child > 0 && read(fd[0], &said, sizeof(said)) != sizeof(said))
		err_set(&said, said.code = -EIO, "the process in the guest's network died");
	(void)close(fd[0]);
	if (child < 0)
		return err_sys(e, child, "cannot make a process");
	(void)waitpid(child, &status, 0);
	if (said.code < 0 && e)
		*e = said;
	return MIN(said.code, 0);
}

/* The host's steps, those that wait for the first process, and those inside; undone when one fails. */
static int run_beside(struct ctx *c, const struct guest *g, const struct plan *p, struct err *e)
{
	static const enum step_at at[] = { AT_HOST, AT_PARENT };
	struct step_run run;
	int r = 0;

	step_run_init(&run, p);
	run.trace_fd = c->trace_fd;
	run.child = g->pid;
	for (size_t i = 0; r >= 0 && i < G_N_ELEMENTS(at); i++)
		r = plan_run_at(&run, at[i], e);
	if (r >= 0)
		r = run_inside(g->pid, p, e);
	step_run_done(&run);
	return r;
}

static int add_to_plan(struct ctx *c, const struct guest *g, const struct plan *more,
	const struct plan *old, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();

	for (unsigned i = 0; i < plan_len(more); i++)
		if (plan_step(more, i)->at == AT_HOST)
			copy_step(p, plan_step(more, i));
	for (unsigned i = 0; i < plan_len(old); i++) {
		const struct step *s = plan_step(old, i);

		copy_step(p, s);
		/* behind the clone, so that a restart finds the other steps where they belong */
		for (unsigned k = 0; s->at == AT_CLONE && k < plan_len(more); k++)
			if (plan_step(more, k)->at != AT_HOST)
				copy_step(p, plan_step(more, k));
	}
	return keep_plan(c, g, p, e);
}

static void drop_link(const struct plan *p)
{
	_cleanup_(plan_freep) struct plan *gone = plan_new();
	struct step_run run;

	for (unsigned i = 0; i < plan_len(p); i++)
		if (plan_step(p, i)->op == &step_veth)
			plan_add(gone, AT_HOST, &step_link_delete, plan_step(p, i)->arg[0]);
	step_run_init(&run, gone);
	(void)!plan_run_at(&run, AT_HOST, NULL);
	step_run_done(&run);
}

static int plug(struct ctx *c, struct guest *g, const struct spec_attach *a, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = NULL, *old = NULL;
	struct journal_hold hold = { 0 };
	struct net_result given = { 0 };
	int r = load_plan(c, g, &old, e);

	if (r >= 0)
		r = plan_one(c, g, a, free_number(old), &p, &given, e);
	if (r < 0)
		return r;
	r = journal_begin(c, p, &hold, e);
	if (r == 0) {
		r = run_beside(c, g, p, e);
		if (r >= 0)
			r = add_to_plan(c, g, p, old, e);
		if (r < 0) {
			drop_link(p);
			journal_abort(c, p, &hold);
		} else {
			journal_done(&hold);
			r = add_given(c, g, given.given->pdata[0], e);
		}
	}
	net_result_free(&given);
	return MIN(r, 0);
}

/* What the network gave: out of RUN/guests/ID/net. */
static int take_given(struct ctx *c, const struct guest *g, const char *network, char **ret_ifname,
	char **ret_address, struct err *e)
{
	json_t *net = guest_net(c, g), *list = json_object_get(net, "networks"), *v;
	size_t i;
	int r = err_set(e, -E_NOTFOUND, "guest '%s' has no interface in network '%s'", g->rec->name,
		network);

	json_array_foreach(list, i, v) {
		const char *name = json_string_value(json_object_get(v, "network"));
		const char *address = json_string_value(json_object_get(v, "address"));
		const char *ifname = json_string_value(json_object_get(v, "ifname"));

		if (!name || strcmp(name, network) != 0)
			continue;
		*ret_ifname = ifname ? g_strdup(ifname) : g_strdup_printf("eth%zu", i);
		*ret_address = address ? g_strndup(address, strcspn(address, "/")) : NULL;
		(void)json_array_remove(list, i);
		r = keep_given(c, g, net, e);
		break;
	}
	json_decref(net);
	return r;
}

/* The interface first: an address is only given back when nobody has it any more. */
static int unplug(struct ctx *c, struct guest *g, const char *network, struct err *e)
{
	_cleanup_(plan_freep) struct plan *old = NULL, *p = plan_new(), *gone = plan_new(),
					  *inside = plan_new();
	g_autofree char *ifname = NULL, *address = NULL;
	struct step_run run;
	int r = load_plan(c, g, &old, e);

	if (r >= 0)
		r = take_given(c, g, network, &ifname, &address, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < plan_len(old); i++) {
		const struct step *s = plan_step(old, i);

		copy_step(speaks_of(s, ifname, address) ? gone : p, s);
	}
	plan_add(inside, AT_CHILD, &step_link_delete, ifname);
	r = run_inside(g->pid, inside, e);
	if (r < 0)
		return r;
	step_run_init(&run, gone);
	run.trace_fd = c->trace_fd;
	r = plan_undo(&run, UNDO_ENDED, e);
	step_run_done(&run);
	return r < 0 ? r : keep_plan(c, g, p, e);
}

/* --- both --------------------------------------------------------------------------------------------------------------- */

static int check_mode(const struct guest *g, struct err *e)
{
	if (g->spec->vm)
		return err_set(e, -E_UNSUPPORTED, "a machine's cards come by 'vm attach-nic'");
	if (g->spec->ns[NS_NET].mode != NS_PRIVATE)
		return err_set(e, -E_INVALID,
			"guest '%s' has the network of the host or of another guest", g->rec->name);
	return 0;
}

int guest_connect(struct ctx *c, struct guest *g, const struct spec_attach *a, struct err *e)
{
	_cleanup_close_ int lock = guest_lock(c, g, e);
	int r = lock < 0 ? lock : check_mode(g, e);

	if (r >= 0 && find_attach(g->spec, a->network) >= 0)
		r = err_set(e, -E_EXISTS, "guest '%s' is in network '%s' already", g->rec->name,
			a->network);
	if (r >= 0 && guest_is_up(g))
		r = g->pid ? plug(c, g, a, e)
			   : err_set(e, -E_STATE, "guest '%s' is just starting", g->rec->name);
	if (r < 0)
		return r;
	add_attach(g->spec, a);
	r = keep(c, g, a->network, true, e);
	if (r >= 0)
		tell(c, g, "connect", a->network);
	return r;
}

int guest_disconnect(struct ctx *c, struct guest *g, const char *network, struct err *e)
{
	_cleanup_close_ int lock = guest_lock(c, g, e);
	int r = lock < 0 ? lock : check_mode(g, e), at = r < 0 ? -1 : find_attach(g->spec, network);

	if (r < 0)
		return r;
	if (at < 0)
		return err_set(
			e, -E_NOTFOUND, "guest '%s' is not in network '%s'", g->rec->name, network);
	if (guest_is_up(g))
		r = g->pid ? unplug(c, g, network, e)
			   : err_set(e, -E_STATE, "guest '%s' is just starting", g->rec->name);
	if (r < 0)
		return r;
	g_ptr_array_remove_index(g->spec->networks, (guint)at);
	r = keep(c, g, network, false, e);
	if (r >= 0)
		tell(c, g, "disconnect", network);
	return r;
}
