/* SPDX-License-Identifier: MIT */
/*
 * Network cards that come and go. What a card needs of the host (bridge, lease, names) is made by steps here and
 * added to the plan in the guest's folder, whose undo is the monitor's at the machine's end. The card's own end is
 * a tap device that lives as long as QEMU has it open.
 */

#include <stdio.h>
#include <string.h>
#include "guest/machine-priv.h"
#include "host/steps.h"
#include "net/net.h"
#include "store/journal.h"

static const step_table *const tables[] = { &host_steps, NULL };

/* --- the plan in the guest's folder -------------------------------------------------------------------------------- */

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

int machine_keep_plan(struct ctx *c, const struct guest *g, const struct plan *p, struct err *e)
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

/* Steps of the host that a card brings; they stand before the first process's. */
static int add_to_plan(struct ctx *c, const struct guest *g, const struct plan *more, struct err *e)
{
	_cleanup_(plan_freep) struct plan *old = NULL, *p = plan_new();
	int r = load_plan(c, g, &old, e);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < plan_len(more); i++)
		if (plan_step(more, i)->op != &step_tap && plan_step(more, i)->op != &step_answer)
			copy_step(p, plan_step(more, i));
	for (unsigned i = 0; i < plan_len(old); i++)
		copy_step(p, plan_step(old, i));
	return machine_keep_plan(c, g, p, e);
}

/* Whether the step gives the address, or a name to it. "@ADDRESS" is the way back. */
static bool speaks_of(const struct step *s, const char *address)
{
	if (s->op != &step_lease && s->op != &step_name)
		return false;
	for (unsigned i = 0; i < s->n; i++) {
		const char *a = s->arg[i] + (s->arg[i][0] == '@');
		size_t n = strlen(address);

		if (strncmp(a, address, n) == 0 && (!a[n] || a[n] == ','))
			return true;
	}
	return false;
}

/* Undoes the lease and the names of an address, and takes them out of the plan. */
static int take_from_plan(struct ctx *c, const struct guest *g, const char *address, struct err *e)
{
	_cleanup_(plan_freep) struct plan *old = NULL, *p = plan_new(), *gone = plan_new();
	struct step_run run;
	int r = load_plan(c, g, &old, e);

	if (r < 0)
		return r;
	for (unsigned i = 0; i < plan_len(old); i++)
		copy_step(speaks_of(plan_step(old, i), address) ? gone : p, plan_step(old, i));
	step_run_init(&run, gone);
	run.trace_fd = c->trace_fd;
	r = plan_undo(&run, UNDO_ENDED, e);
	step_run_done(&run);
	return r < 0 ? r : machine_keep_plan(c, g, p, e);
}

/* --- what the networks gave: RUN/guests/ID/net ------------------------------------------------------------------------ */

static char *address_only(const char *cidr)
{
	return cidr ? g_strndup(cidr, strcspn(cidr, "/")) : NULL;
}

static void put(json_t *j, const char *key, const char *value)
{
	if (value)
		json_object_set_new(j, key, json_string(value));
}

static int keep_given(struct ctx *c, const struct guest *g, json_t *net, struct err *e)
{
	g_autofree char *path = store_run_path(c, "guests/%s/net", g->rec->id);
	_cleanup_free_ char *text = json_dumps(net, JSON_COMPACT);

	if (text && g_file_set_contents_full(
			    path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL))
		return 0;
	return err_set(e, -EIO, "cannot write '%s'", path);
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
	json_array_append_new(json_object_get(net, "networks"), one);
	r = keep_given(c, g, net, e);
	json_decref(net);
	return r;
}

/* Takes the card out; *ret_address: what it had. */
static int drop_given(
	struct ctx *c, const struct guest *g, const char *mac, char **ret_address, struct err *e)
{
	json_t *net = guest_net(c, g), *list = json_object_get(net, "networks"), *v;
	size_t i;
	int r = 0;

	*ret_address = NULL;
	json_array_foreach(list, i, v) {
		const char *is = json_string_value(json_object_get(v, "mac"));

		if (!is || g_ascii_strcasecmp(is, mac) != 0)
			continue;
		*ret_address = address_only(json_string_value(json_object_get(v, "address")));
		(void)json_array_remove(list, i);
		r = keep_given(c, g, net, e);
		break;
	}
	json_decref(net);
	return r;
}

/* --- in ------------------------------------------------------------------------------------------------------------------ */

/* The host's part for one card: *ret_plan, with its tap and who answers there as the last steps. */
static int plan_card(struct ctx *c, struct guest *g, const struct spec_attach *a,
	struct plan **ret_plan, struct net_result *ret_given, struct err *e)
{
	_cleanup_(spec_freep) struct spec *alone = spec_new();
	_cleanup_(plan_freep) struct plan *p = plan_new(), *net = plan_new();
	struct spec_attach *copy = spec_add_network(alone, a->network);
	int r;

	alone->vm = spec_vm_new();
	alone->vm->full = true;
	copy->address = g_strdup(a->address);
	copy->address6 = g_strdup(a->address6);
	copy->mac = g_strdup(a->mac);
	copy->aliases = g_strdupv(a->aliases);
	r = net_plan_guest(
		c, g->rec->id, g->rec->name, g->spec->hostname, alone, p, net, ret_given, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; r >= 0 && i < plan_len(net); i++) {
		const struct step *s = plan_step(net, i);

		if (s->at != AT_PARENT)
			continue;
		/* IF peer bridge mac mtu hairpin sharers; the names that start gives end with a digit */
		if (s->op == &step_veth) {
			const char *name =
				plan_str(p, "lv%.11s%c", g->rec->id, 'a' + (a->slot - 1) % 26);

			plan_add(p, AT_HOST, &step_tap, name, s->arg[2], s->arg[4], s->arg[5], "0");
			vm_plan_answer(p, net, s, name, 0, g->spec->hostname);
		} else {
			r = err_set(e, -E_UNSUPPORTED,
				"a machine can't be in a network of driver '%s' yet", s->op->name);
		}
	}
	if (r < 0) {
		net_result_free(ret_given);
		return r;
	}
	*ret_plan = TAKE_PTR(p);
	return 0;
}

static int tell_qemu(
	struct ctx *c, struct guest *g, const struct spec_attach *a, int tap, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	g_autofree char *id = vm_nic_id(a->mac), *netdev = g_strconcat(id, "-tap", NULL);
	int r = machine_talk(c, g, &q, e);

	if (r >= 0)
		r = vm_qmp_fds(q, "getfd", json_pack("{s:s}", "fdname", netdev), &tap, 1, NULL, e);
	if (r >= 0)
		r = vm_qmp(q, "netdev_add",
			json_pack("{s:s, s:s, s:s}", "type", "tap", "id", netdev, "fd", netdev),
			NULL, e);
	if (r < 0)
		return r;
	r = vm_qmp(q, "device_add", vm_nic_device(g->spec->vm, a->mac, a->slot, netdev), NULL, e);
	if (r < 0)
		(void)vm_qmp(q, "netdev_del", json_pack("{s:s}", "id", netdev), NULL, NULL);
	return r;
}

/* The monitor answers DHCP and DNS at the card, from before the guest can ask. */
static int tell_monitor(
	struct ctx *c, const struct guest *g, const struct plan *p, int fd, struct err *e)
{
	const struct step *s = plan_step(p, plan_len(p) - 1);
	_cleanup_(plan_freep) struct plan *one = plan_new();
	_cleanup_close_ int conn = -1;
	_cleanup_free_ char *data = NULL;
	g_autofree char *buf = NULL;
	struct msg m;
	size_t size;
	ssize_t n;
	int r;

	if (s->op != &step_answer)
		return 0;
	copy_step(one, s);
	r = plan_encode(one, &data, &size);
	if (r < 0)
		return err_sys(e, r, "cannot store the plan of a card");
	r = conn = monitor_connect(c, g, e);
	if (r >= 0)
		r = monitor_send_fd(conn, MSG_CARD, data, size, fd, e);
	if (r < 0)
		return r;
	buf = g_malloc(MSG_DATA_MAX);
	n = monitor_receive(conn, &m, buf, e);
	if (n < 0)
		return (int)n;
	if (m.type != MSG_ERROR)
		return 0;
	r = monitor_error(&m, buf, (size_t)n, e);
	/* one from before an upgrade doesn't know how: then the next start brings the address */
	return r == -E_UNSUPPORTED ? 0 : r;
}

/* Host, QEMU, and then what remembers it; undone when one of them says no. */
static int plug_nic(struct ctx *c, struct guest *g, const struct spec_attach *a, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = NULL;
	struct journal_hold hold = { 0 };
	struct net_result given = { 0 };
	struct step_run run;
	int r = plan_card(c, g, a, &p, &given, e);

	if (r < 0)
		return r;
	r = journal_begin(c, p, &hold, e);
	if (r >= 0 && c->explain)
		r = tell_qemu(c, g, a, -1, e);
	if (r < 0 || c->explain) {
		net_result_free(&given);
		return r;
	}
	step_run_init(&run, p);
	run.trace_fd = c->trace_fd;
	r = plan_run(&run, e);
	if (r >= 0)
		r = tell_monitor(c, g, p, run.kept_fd[KEPT_ANSWER], e);
	if (r >= 0)
		r = tell_qemu(c, g, a, run.kept_fd[KEPT_TAP], e);
	/* QEMU has it now; with ours it would outlive the machine */
	step_run_done(&run);
	if (r >= 0)
		r = add_to_plan(c, g, p, e);
	if (r < 0) {
		journal_abort(c, p, &hold);
	} else {
		journal_done(&hold);
		r = add_given(c, g, given.given->pdata[0], e);
	}
	net_result_free(&given);
	return r;
}

int machine_attach_nic(
	struct ctx *c, struct guest *g, const struct spec_attach *wanted, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	_cleanup_(network_record_freep) struct network_record *n = NULL;
	struct spec_attach *a;
	struct store *s;
	int r;

	if (lock < 0)
		return lock;
	a = spec_add_network(g->spec, wanted->network);
	a->address = g_strdup(wanted->address);
	a->address6 = g_strdup(wanted->address6);
	a->mac = g_strdup(wanted->mac);
	a->aliases = g_strdupv(wanted->aliases);
	r = store_get_existing(c, &s, e);
	if (r >= 0 && !g_str_equal(a->network, "bridge") &&
		store_network_find(s, a->network, &n, NULL) < 0)
		r = err_set(e, -E_NOTFOUND, "no such network '%s'", a->network);
	if (r >= 0)
		r = vm_full_place(g->spec, g->rec->id, e);
	if (r >= 0)
		r = vm_full_check(g->spec, e);
	if (r >= 0 && guest_is_up(g) && g->spec->vm->machine == VM_MICROVM)
		r = err_set(
			e, -E_UNSUPPORTED, "a microvm has no places to plug into; stop it first");
	if (r >= 0 && guest_is_up(g))
		r = plug_nic(c, g, a, e);
	if (r >= 0)
		r = machine_keep(c, g, e);
	if (r >= 0 && !c->explain)
		r = store_guest_uses(s, g->rec->id, "network", a->network, e);
	return r;
}

/* --- out ------------------------------------------------------------------------------------------------------------------- */

/* The card with that address, or the only one in that network. */
static struct spec_attach *find_card(const struct guest *g, const char *what, struct err *e)
{
	struct spec_attach *found = NULL;
	int n = 0;

	for (guint i = 0; i < g->spec->networks->len; i++) {
		struct spec_attach *a = g->spec->networks->pdata[i];

		if (a->mac && g_ascii_strcasecmp(a->mac, what) == 0)
			return a;
		if (strcmp(a->network, what) == 0) {
			found = a;
			n++;
		}
	}
	if (n == 1)
		return found;
	if (n == 0)
		err_set(e, -E_NOTFOUND, "guest '%s' has no card '%s'", g->rec->name, what);
	else
		err_set(e, -E_INVALID, "guest '%s' has %d cards in network '%s'", g->rec->name, n,
			what);
	if (n > 1)
		err_mend(e, "name one by its Ethernet address");
	return NULL;
}

static int unplug_nic(struct ctx *c, struct guest *g, const struct spec_attach *a, struct err *e)
{
	_cleanup_(vm_qmp_freep) struct vm_qmp *q = NULL;
	g_autofree char *id = vm_nic_id(a->mac), *address = NULL, *netdev = NULL;
	int r = machine_talk(c, g, &q, e);

	if (r >= 0)
		r = machine_unplug(q, g, id, e);
	if (r < 0)
		return r;
	netdev = g_strconcat(id, "-tap", NULL);
	/* one that was there from the start has the name that its command line gave: n0, n1 ... It stays, without
	 * a card, until the machine ends */
	(void)vm_qmp(q, "netdev_del", json_pack("{s:s}", "id", netdev), NULL, NULL);
	if (c->explain)
		return 0;
	r = drop_given(c, g, a->mac, &address, e);
	return r < 0 || !address ? r : take_from_plan(c, g, address, e);
}

int machine_detach_nic(struct ctx *c, struct guest *g, const char *what, struct err *e)
{
	_cleanup_close_ int lock = machine_lock(c, g, e);
	struct spec_attach *a;
	int r;

	if (lock < 0)
		return lock;
	a = find_card(g, what, e);
	if (!a)
		return e ? e->code : -E_NOTFOUND;
	r = guest_is_up(g) ? unplug_nic(c, g, a, e) : 0;
	if (r < 0)
		return r;
	g_ptr_array_remove(g->spec->networks, a);
	return machine_keep(c, g, e);
}
