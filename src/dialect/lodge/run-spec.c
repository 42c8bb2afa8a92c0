/* SPDX-License-Identifier: MIT */
/* From the options of run and create to a request. docker-cli's reference, "container run". */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"
#include "dialect/parse/parse.h"
#include "guest/signals.h"
#include "host/caps.h"
#include "net/net.h"

#define SECCOMP_FILE_MAX (4 * 1024 * 1024)
#define SUBID_COUNT	 65536
#define SUBID_FIRST	 100000

struct fill {
	struct ctx *c;
	const struct run_args *a;
	struct spec *s;
	json_t *doc;
	const char *cwd;
};

static const char *callers(const char *name)
{
	return g_getenv(name);
}

static char **take_strings(GPtrArray *a)
{
	g_ptr_array_add(a, NULL);
	return (char **)g_ptr_array_free(a, FALSE);
}

#define FOREACH_WORD(w, list) for (char **w = (list); w && *w; w++)

/* --- process ------------------------------------------------------------------------------------------- */

static int read_pairs(
	const char *file, const char *(*lookup)(const char *), GPtrArray *out, struct err *e)
{
	g_autoptr(GError) ge = NULL;
	g_autofree char *text = NULL;
	gsize n;

	if (!g_file_get_contents(file, &text, &n, &ge))
		return err_set(e, -E_INVALID, "cannot read '%s': %s", file, ge->message);
	return parse_env_text(text, n, file, lookup, out, e);
}

static int fill_env(struct fill *f, struct err *e)
{
	GPtrArray *env = g_ptr_array_new_with_free_func(g_free);
	int r = 0;

	FOREACH_WORD(w, f->a->env_file) if (r >= 0) r = read_pairs(*w, callers, env, e);
	FOREACH_WORD(w, f->a->env) if (r >= 0) r = parse_env(*w, callers, env, e);
	if (r < 0) {
		g_ptr_array_unref(env);
		return r;
	}
	f->s->env = take_strings(env);
	return 0;
}

static int fill_labels(struct fill *f, struct err *e)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
	json_t *labels = json_object();
	int r = 0;

	json_object_set_new(f->doc, "labels", labels);
	FOREACH_WORD(w, f->a->label_file) if (r >= 0) r = read_pairs(*w, NULL, all, e);
	FOREACH_WORD(w, f->a->label) g_ptr_array_add(all, g_strdup(*w));
	for (guint i = 0; r >= 0 && i < all->len; i++) {
		g_autofree char *key = NULL, *value = NULL;

		r = parse_pair(all->pdata[i], false, &key, &value, e);
		if (r < 0)
			return err_prefix(e, "invalid label"), r;
		if (json_object_set_new(labels, key, json_string(value)) < 0)
			return err_set(e, -E_USAGE, "invalid label '%s': not UTF-8", key);
	}
	return r;
}

static int fill_process(struct fill *f, struct err *e)
{
	const struct run_args *a = f->a;
	struct spec *s = f->s;
	int sig, r;

	s->tty = a->tty;
	s->open_stdin = a->interactive;
	s->stdin_once = a->interactive && !a->detach;
	s->init = a->init;
	if (a->vm)
		s->vm = spec_vm_new();
	s->auto_remove = a->rm;
	s->read_only = a->read_only;
	s->privileged = a->privileged;
	s->cwd = g_strdup(a->workdir);
	s->user = g_strdup(a->user);
	s->groups = g_strdupv(a->group_add);
	s->stop_timeout = a->stop_timeout;
	s->oom_score_adj = a->oom_score_adj;
	if (a->oom_score_adj < -1000 || a->oom_score_adj > 1000)
		return err_set(e, -E_USAGE, "invalid oom-score-adj: it is between -1000 and 1000");
	if (a->stop_signal) {
		if (signal_parse(a->stop_signal, &sig) < 0)
			return err_set(e, -E_USAGE, "invalid stop signal '%s'", a->stop_signal);
		s->stop_signal = g_strdup(a->stop_signal);
	}
	r = a->restart ? parse_restart(a->restart, &s->restart, &s->restart_max, e) : 0;
	if (r >= 0 && a->rm && s->restart != RESTART_NO)
		r = err_set(e, -E_USAGE, "--rm and --restart can't be used together");
	FOREACH_WORD(w, a->log_opt) if (r >= 0) r = parse_log_opt(*w, s, e);
	if (r >= 0)
		r = fill_env(f, e);
	return r < 0 ? r : fill_labels(f, e);
}

/* --- files ------------------------------------------------------------------------------------------------ */

static int add_volumes_from(struct fill *f, const char *word, struct err *e)
{
	_cleanup_(guest_freep) struct guest *g = NULL;
	g_autofree char *ref = NULL;
	bool ro;
	int r;

	r = parse_volumes_from(word, &ref, &ro, e);
	if (r >= 0)
		r = guest_get(f->c, NULL, ref, &g, e);
	if (r < 0)
		return r;
	for (guint i = 0; i < g->spec->mounts->len; i++) {
		const struct spec_mount *m = g->spec->mounts->pdata[i];
		struct spec_mount *to;

		if (m->kind == MOUNT_TMPFS)
			continue;
		to = spec_add_mount(f->s, m->kind, m->source, m->target);
		to->read_only = m->read_only || ro;
		to->nocopy = m->nocopy;
		to->propagation = g_strdup(m->propagation);
	}
	return 0;
}

static int add_volume(struct fill *f, const char *word, struct err *e)
{
	bool relabel;
	int r = parse_volume(word, f->cwd, f->s, &relabel, e);

	/* without SELinux there is nothing to relabel */
	if (r >= 0 && relabel && access("/sys/fs/selinux/enforce", F_OK) == 0)
		return err_set(e, -E_UNSUPPORTED,
			"volume '%s': relabelling for SELinux (z, Z) is not supported", word);
	return r;
}

static int fill_files(struct fill *f, struct err *e)
{
	const struct run_args *a = f->a;
	int r = 0;

	FOREACH_WORD(w, a->volume) if (r >= 0) r = add_volume(f, *w, e);
	FOREACH_WORD(w, a->mount) if (r >= 0) r = parse_mount(*w, f->cwd, f->s, e);
	FOREACH_WORD(w, a->tmpfs) if (r >= 0) r = parse_tmpfs(*w, f->s, e);
	FOREACH_WORD(w, a->volumes_from) if (r >= 0) r = add_volumes_from(f, *w, e);
	FOREACH_WORD(w, a->device) if (r >= 0) r = parse_device(*w, f->s, e);
	FOREACH_WORD(w, a->device_rule) if (r >= 0) r = parse_device_rule(*w, e);
	if (r < 0)
		return r;
	f->s->device_rules = g_strdupv(a->device_rule);
	f->s->shm_size = a->shm_size;
	if (a->shm_size < 0)
		return err_set(e, -E_USAGE, "invalid shm-size");
	return 0;
}

/* --- network --------------------------------------------------------------------------------------------- */

static int add_addresses(struct fill *f, struct spec_attach *first, struct err *e)
{
	const struct run_args *a = f->a;

	if (!a->ip && !a->ip6 && !a->mac && !a->network_alias)
		return 0;
	if (!first)
		return err_set(e, -E_USAGE,
			"--ip, --ip6, --mac-address and --network-alias need a network of the "
			"guest's own");
	if (a->ip && !parse_is_ip(a->ip, AF_INET))
		return err_set(e, -E_USAGE, "invalid IPv4 address '%s'", a->ip);
	if (a->ip6 && !parse_is_ip(a->ip6, AF_INET6))
		return err_set(e, -E_USAGE, "invalid IPv6 address '%s'", a->ip6);
	if (a->mac && !parse_is_mac(a->mac))
		return err_set(e, -E_USAGE, "invalid MAC address '%s'", a->mac);
	if (a->ip) {
		g_free(first->address);
		first->address = g_strdup(a->ip);
	}
	if (a->ip6) {
		g_free(first->address6);
		first->address6 = g_strdup(a->ip6);
	}
	if (a->mac) {
		g_free(first->mac);
		first->mac = g_strdup(a->mac);
	}
	if (a->network_alias) {
		g_strfreev(first->aliases);
		first->aliases = g_strdupv(a->network_alias);
	}
	return 0;
}

static int add_exposed(struct fill *f, const char *word, struct err *e)
{
	json_t *exposed = json_object_get(f->doc, "exposed");
	g_autofree char *proto = NULL;
	uint16_t first, count;
	int r = parse_expose(word, &proto, &first, &count, e);

	if (r < 0)
		return err_prefix(e, "invalid expose '%s'", word), r;
	for (unsigned i = 0; i < count; i++) {
		char key[32];

		(void)g_snprintf(key, sizeof(key), "%u/%s", first + i, proto);
		json_object_set_new(exposed, key, json_object());
	}
	return 0;
}

static int fill_hosts(struct fill *f, struct err *e)
{
	const struct run_args *a = f->a;
	g_autoptr(GPtrArray) hosts = g_ptr_array_new_with_free_func(g_free);
	int r = 0;

	FOREACH_WORD(w, a->add_host)
	{
		char *host = NULL;

		if (r >= 0)
			r = parse_add_host(*w, &host, e);
		if (host)
			g_ptr_array_add(hosts, host);
	}
	FOREACH_WORD(w, a->dns)
	if (r >= 0 && !parse_is_ip(*w, AF_INET) && !parse_is_ip(*w, AF_INET6))
		r = err_set(e, -E_USAGE, "invalid dns '%s': not an IP address", *w);
	if (r < 0)
		return r;
	if (hosts->len)
		f->s->hosts = take_strings(g_steal_pointer(&hosts));
	f->s->dns = g_strdupv(a->dns);
	f->s->dns_search = g_strdupv(a->dns_search);
	f->s->dns_options = g_strdupv(a->dns_option);
	return 0;
}

static int check_hostname(const char *name, const char *what, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > 64 ||
		strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") !=
			n)
		return err_set(e, -E_USAGE, "invalid %s '%s'", what, name);
	return 0;
}

static int fill_network(struct fill *f, struct err *e)
{
	const struct run_args *a = f->a;
	struct spec_attach *first = NULL;
	int r = 0;

	FOREACH_WORD(w, a->network)
	{
		struct spec_attach *one = NULL;

		/* "none" leaves nothing in the spec by which the next one could see it */
		if (r >= 0 && w > a->network && g_str_equal(w[-1], "none"))
			r = err_set(e, -E_USAGE, "network 'none' can't be combined with another");
		if (r >= 0)
			r = parse_network(*w, f->s, &one, e);
		if (r >= 0 && !first)
			first = one;
	}
	if (r >= 0 && !a->network)
		first = spec_add_network(f->s, f->s->vm && !f->c->is_root ? NET_PASST : "bridge");
	if (r >= 0)
		r = add_addresses(f, first, e);
	FOREACH_WORD(w, a->publish) if (r >= 0) r = parse_publish(*w, f->s, e);
	json_object_set_new(f->doc, "exposed", json_object());
	FOREACH_WORD(w, a->expose) if (r >= 0) r = add_exposed(f, *w, e);
	if (r >= 0 && a->hostname)
		r = check_hostname(a->hostname, "hostname", e);
	if (r >= 0 && a->domainname)
		r = check_hostname(a->domainname, "domainname", e);
	if (r < 0)
		return r;
	if (!first && f->s->ns[NS_NET].mode != NS_PRIVATE && (a->publish || a->publish_all))
		return err_set(e, -E_USAGE,
			"a port can't be published: the guest shares another's network");
	f->s->hostname = g_strdup(a->hostname);
	f->s->domainname = g_strdup(a->domainname);
	return fill_hosts(f, e);
}

/* --- limits ------------------------------------------------------------------------------------------------ */

static int fill_cpu(struct fill *f, struct err *e)
{
	const struct run_args *a = f->a;
	struct spec_limits *l = &f->s->limits;
	int r = 0;

	if (a->cpus) {
		if (a->cpu_period || a->cpu_quota)
			return err_set(e, -E_USAGE,
				"--cpus can't be used with --cpu-period and --cpu-quota");
		r = parse_cpus(a->cpus, &l->nano_cpus, e);
		if (r >= 0 && l->nano_cpus > (int64_t)get_nprocs_conf() * 1000000000)
			r = err_set(e, -E_USAGE, "invalid cpus '%s': this host has %d", a->cpus,
				get_nprocs_conf());
	}
	if (r >= 0 && a->cpuset_cpus)
		r = parse_cpuset(a->cpuset_cpus, e) < 0 ? err_prefix(e, "cpuset-cpus") : 0;
	if (r >= 0 && a->cpuset_mems)
		r = parse_cpuset(a->cpuset_mems, e) < 0 ? err_prefix(e, "cpuset-mems") : 0;
	if (r < 0)
		return r;
	l->cpu_shares = a->cpu_shares;
	l->cpu_period = a->cpu_period;
	l->cpu_quota = a->cpu_quota;
	l->cpuset_cpus = g_strdup(a->cpuset_cpus);
	l->cpuset_mems = g_strdup(a->cpuset_mems);
	return 0;
}

static int fill_limits(struct fill *f, struct err *e)
{
	const struct run_args *a = f->a;
	struct spec_limits *l = &f->s->limits;
	int r = fill_cpu(f, e);

	l->memory = a->memory;
	l->memory_reservation = a->memory_reservation;
	l->swappiness = a->swappiness;
	l->oom_kill_disable = a->oom_kill_disable;
	l->pids = a->pids;
	l->blkio_weight = a->blkio;
	if (r >= 0 && (a->memory < 0 || a->memory_reservation < 0))
		r = err_set(e, -E_USAGE, "invalid memory: negative");
	if (r >= 0 && a->memory_swap)
		r = parse_memory_swap(a->memory_swap, &l->memory_swap, e) < 0
			    ? err_prefix(e, "memory-swap")
			    : 0;
	if (r >= 0 && l->memory_swap > 0 && l->memory == 0)
		r = err_set(e, -E_USAGE, "--memory-swap needs --memory");
	if (r >= 0 && l->memory_swap > 0 && l->memory_swap < l->memory)
		r = err_set(e, -E_USAGE,
			"memory-swap is memory and swap together: it can't be below memory");
	if (r >= 0 && a->swappiness != -1 && (a->swappiness < 0 || a->swappiness > 100))
		r = err_set(e, -E_USAGE, "invalid memory-swappiness: it is between 0 and 100");
	FOREACH_WORD(w, a->read_bps) if (r >= 0) r = parse_device_rate(*w, "rbps", true, f->s, e);
	FOREACH_WORD(w, a->write_bps) if (r >= 0) r = parse_device_rate(*w, "wbps", true, f->s, e);
	FOREACH_WORD(w, a->read_iops)
	if (r >= 0)
		r = parse_device_rate(*w, "riops", false, f->s, e);
	FOREACH_WORD(w, a->write_iops)
	if (r >= 0)
		r = parse_device_rate(*w, "wiops", false, f->s, e);
	FOREACH_WORD(w, a->ulimit) if (r >= 0) r = parse_ulimit(*w, f->s, e);
	f->s->cgroup_parent = g_strdup(a->cgroup_parent);
	return r;
}

/* --- isolation ------------------------------------------------------------------------------------------------ */

static int set_ns(
	struct fill *f, enum spec_ns_kind kind, const char *opt, const char *word, struct err *e)
{
	struct spec_ns *ns = &f->s->ns[kind];

	if (!word || !*word || g_str_equal(word, "private"))
		return 0;
	if (kind == NS_IPC && g_str_equal(word, "shareable"))
		return 0;
	if (g_str_equal(word, "host")) {
		ns->mode = NS_HOST;
		return 0;
	}
	if (g_str_has_prefix(word, "container:") && word[10] && kind != NS_CGROUP) {
		ns->mode = NS_GUEST;
		ns->guest = g_strdup(word + 10);
		return 0;
	}
	if (g_str_has_prefix(word, "ns:/") && kind != NS_CGROUP) {
		ns->mode = NS_PATH;
		ns->path = g_strdup(word + 3);
		return 0;
	}
	return err_set(e, -E_USAGE, "invalid %s mode '%s'", opt, word);
}

/* The range that subuid(5) gives to one of those who may have one. */
static bool sub_range(const char *file, uint32_t *first, uint32_t *count)
{
	static const char *const names[] = { "lodge:", "containers:", "dockremap:" };
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents(file, &text, NULL, NULL))
		return false;
	lines = g_strsplit(text, "\n", -1);
	for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
		for (char **l = lines; *l; l++)
			if (g_str_has_prefix(*l, names[i]) &&
				sscanf(*l + strlen(names[i]), "%u:%u", first, count) == 2 &&
				*count > 0)
				return true;
	return false;
}

/* "host" (the default), "private[:FIRST[:COUNT]]" */
static int fill_userns(struct fill *f, struct err *e)
{
	const char *word = f->a->userns;
	struct spec_idmap u = { 0, SUBID_FIRST, SUBID_COUNT }, g = u;
	g_auto(GStrv) p = NULL;

	f->s->ns[NS_USER].mode = NS_HOST;
	f->s->ns[NS_TIME].mode = NS_HOST;
	if (!word || !*word || g_str_equal(word, "host"))
		return 0;
	p = g_strsplit(word, ":", -1);
	if (!g_str_equal(p[0], "private") || g_strv_length(p) > 3)
		return err_set(e, -E_USAGE,
			"invalid userns '%s': not host or private[:FIRST[:COUNT]]", word);
	(void)sub_range("/etc/subuid", &u.outside, &u.count);
	(void)sub_range("/etc/subgid", &g.outside, &g.count);
	if (p[1]) {
		int64_t first, count = SUBID_COUNT;

		if (units_parse_int(p[1], 1, UINT32_MAX, &first) < 0 ||
			(p[2] && units_parse_int(p[2], 1, UINT32_MAX - first, &count) < 0))
			return err_set(e, -E_USAGE, "invalid userns '%s': bad range", word);
		u = g = (struct spec_idmap){ 0, first, count };
	}
	f->s->ns[NS_USER].mode = NS_PRIVATE;
	g_array_append_val(f->s->uid_map, u);
	g_array_append_val(f->s->gid_map, g);
	return 0;
}

static int set_label(struct fill *f, const char *word, struct err *e)
{
	static const char *const parts[] = { "user:", "role:", "type:", "level:" };
	const char *value[] = { "system_u", "system_r", "container_t", "s0" };

	if (g_str_equal(word, "disable"))
		return 0;
	for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
		if (!g_str_has_prefix(word, parts[i]))
			continue;
		/* what an earlier label= said stays */
		g_auto(GStrv) old = f->s->selinux ? g_strsplit(f->s->selinux, ":", 4) : NULL;
		for (size_t k = 0; old && k < 4 && old[k]; k++)
			value[k] = old[k];
		value[i] = word + strlen(parts[i]);
		char *label = g_strjoin(":", value[0], value[1], value[2], value[3], NULL);
		g_free(f->s->selinux);
		f->s->selinux = label;
		return 0;
	}
	return err_set(e, -E_USAGE, "invalid security option 'label=%s'", word);
}

static int set_seccomp(struct fill *f, const char *word, struct err *e)
{
	g_autoptr(GError) ge = NULL;
	char *text;
	gsize n;

	if (g_str_equal(word, "unconfined") || g_str_equal(word, "builtin") ||
		g_str_equal(word, "default")) {
		g_free(f->s->seccomp);
		f->s->seccomp = g_strdup(word[0] == 'u' ? "unconfined" : "default");
		return 0;
	}
	if (!g_file_get_contents(word, &text, &n, &ge))
		return err_set(e, -E_INVALID, "cannot read the seccomp profile '%s': %s", word,
			ge->message);
	json_error_t je;
	json_t *j = n > SECCOMP_FILE_MAX ? NULL : json_loadb(text, n, 0, &je);

	if (!j) {
		g_free(text);
		return err_set(e, -E_INVALID, "the seccomp profile '%s' isn't JSON: %s", word,
			n > SECCOMP_FILE_MAX ? "it is too large" : je.text);
	}
	json_decref(j);
	g_free(f->s->seccomp);
	f->s->seccomp = text;
	return 0;
}

static int set_security(struct fill *f, const char *word, struct err *e)
{
	g_autofree char *key = g_strndup(word, strcspn(word, "=:"));
	const char *value = word[strlen(key)] ? word + strlen(key) + 1 : NULL;

	if (g_str_equal(key, "no-new-privileges")) {
		if (value && !g_str_equal(value, "true") && !g_str_equal(value, "false"))
			return err_set(e, -E_USAGE, "invalid security option '%s'", word);
		f->s->no_new_privs = !value || g_str_equal(value, "true");
		return 0;
	}
	if (!value || !*value)
		return err_set(e, -E_USAGE, "invalid security option '%s'", word);
	if (g_str_equal(key, "seccomp"))
		return set_seccomp(f, value, e);
	if (g_str_equal(key, "label"))
		return set_label(f, value, e);
	if (g_str_equal(key, "apparmor")) {
		g_free(f->s->apparmor);
		f->s->apparmor = g_strdup(value);
		return 0;
	}
	if (g_str_equal(key, "systempaths") && g_str_equal(value, "unconfined")) {
		f->s->unmasked = true;
		return 0;
	}
	return err_set(e, -E_USAGE, "unknown security option '%s'", word);
}

static int fill_isolation(struct fill *f, struct err *e)
{
	const struct run_args *a = f->a;
	struct spec *s = f->s;
	int r = fill_userns(f, e);

	if (r >= 0)
		r = set_ns(f, NS_PID, "pid", a->pid, e);
	if (r >= 0)
		r = set_ns(f, NS_IPC, "ipc", a->ipc, e);
	if (r >= 0)
		r = set_ns(f, NS_UTS, "uts", a->uts, e);
	if (r >= 0)
		r = set_ns(f, NS_CGROUP, "cgroupns", a->cgroupns, e);
	if (r >= 0 && s->ns[NS_UTS].mode != NS_PRIVATE && (a->hostname || a->domainname))
		r = err_set(e, -E_USAGE,
			"hostname and domainname need a uts namespace of the guest's own");
	s->seccomp = g_strdup(a->privileged ? "unconfined" : "default");
	FOREACH_WORD(w, a->security_opt) if (r >= 0) r = set_security(f, *w, e);
	FOREACH_WORD(w, a->sysctl)
	{
		g_autofree char *key = NULL, *value = NULL;

		if (r >= 0)
			r = parse_pair(*w, true, &key, &value, e) < 0 ? err_prefix(e, "sysctl") : 0;
		if (r >= 0)
			spec_add_pair(s->sysctls, key, value);
	}
	/* explain shows what root would get */
	uint64_t bounding = f->c->is_root ? caps_bounding() : CAPS_ALL;
	if (r >= 0)
		r = caps_choose(a->privileged, a->cap_add, a->cap_drop, bounding, &s->caps, e);
	return r;
}

/* --- the whole -------------------------------------------------------------------------------------------------- */

void run_request_clear(struct run_request *r)
{
	spec_free(r->q.spec);
	g_strfreev(r->entrypoint);
	g_free(r->doc);
	g_free(r->image);
}

int run_request_fill(struct ctx *c, const struct run_args *a, char **operands,
	struct run_request *ret, struct err *e)
{
	g_autofree char *cwd = g_get_current_dir();
	struct fill f = { .c = c, .a = a, .s = spec_new(), .doc = json_object(), .cwd = cwd };
	char *text;
	int r;

	*ret = (struct run_request){ .q = { .realm = REALM,
					     .name = a->name,
					     .argv = operands + 1,
					     .cidfile = a->cidfile,
					     .publish_all = a->publish_all,
					     .spec = f.s } };
	r = fill_process(&f, e);
	if (r >= 0)
		r = fill_files(&f, e);
	if (r >= 0)
		r = fill_network(&f, e);
	if (r >= 0)
		r = fill_limits(&f, e);
	if (r >= 0)
		r = fill_isolation(&f, e);
	text = json_dumps(f.doc, JSON_COMPACT);
	ret->q.doc = ret->doc = g_strdup(text);
	free(text);
	json_decref(f.doc);
	if (r < 0)
		return r;
	if (a->entrypoint) {
		char *const one[] = { a->entrypoint, NULL };

		ret->entrypoint = g_strdupv(*a->entrypoint ? (char **)one : (char **)one + 1);
		ret->q.entrypoint = ret->entrypoint;
	}
	if (a->rootfs) {
		ret->image = g_canonicalize_filename(operands[0], cwd);
		f.s->rootfs = g_strdup(ret->image);
	} else {
		ret->q.image = operands[0];
	}
	return 0;
}
