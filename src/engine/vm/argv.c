/* SPDX-License-Identifier: MIT */
#include "engine/vm/argv.h"

#include <stdarg.h>
#include <string.h>

#include "engine/common.h"
#include "engine/vm/vm.h"
#include "host/addr.h"
#include "host/cgroup.h"
#include "host/probe.h"
#include "host/steps.h"
#include "store/store.h"

/* Above all that the child has open while it sets itself up. */
#define FIRST_FD 100
/* Behind the ranges that systemd's UIDS-GIDS documents for anything else. */
#define FIRST_UID 0x70000000u
#define NANO	  1000000000

void vm_build_init(struct vm_build *b, struct ctx *c, const struct engine_start *s)
{
	*b = (struct vm_build){
		.c = c,
		.s = s,
		.spec = s->spec,
		.p = s->plan,
		.opened = plan_new(),
		.argv = g_ptr_array_new_with_free_func(g_free),
		.fd = FIRST_FD,
	};
}

void vm_build_done(struct vm_build *b)
{
	plan_free(b->opened);
	g_ptr_array_unref(b->argv);
}

/* --- words ------------------------------------------------------------------------------------------------ */

void vm_args(struct vm_build *b, ...)
{
	const char *word;
	va_list ap;

	va_start(ap, b);
	while ((word = va_arg(ap, const char *)) != NULL)
		g_ptr_array_add(b->argv, g_strdup(word));
	va_end(ap);
}

void vm_argf(struct vm_build *b, const char *option, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	g_ptr_array_add(b->argv, g_strdup(option));
	g_ptr_array_add(b->argv, g_strdup_vprintf(fmt, ap));
	va_end(ap);
}

const char *vm_escape(struct vm_build *b, const char *text)
{
	g_auto(GStrv) parts = g_strsplit(text, ",", 0);
	g_autofree char *joined = g_strjoinv(",,", parts);

	return plan_str(b->p, "%s", joined);
}

/* --- descriptors -------------------------------------------------------------------------------------------- */

static const char *next_fd(struct vm_build *b, unsigned *ret)
{
	*ret = b->fd++;
	return plan_str(b->p, "%u", *ret);
}

unsigned vm_fd_open(struct vm_build *b, const char *path, bool write)
{
	unsigned fd;
	const char *number = next_fd(b, &fd);

	plan_add(b->opened, AT_CHILD, &step_open, number, path, write ? "rw" : "r");
	return fd;
}

unsigned vm_fd_channel(struct vm_build *b, const char *which)
{
	unsigned fd;
	const char *number = next_fd(b, &fd);

	plan_add(b->opened, AT_CHILD, &step_channel, number, which);
	return fd;
}

unsigned vm_fd_connect(struct vm_build *b, const char *path)
{
	unsigned fd;
	const char *number = next_fd(b, &fd);

	plan_add(b->opened, AT_CHILD, &step_connect, number, path);
	return fd;
}

static unsigned fd_tap(struct vm_build *b, const char *ifname, unsigned n)
{
	unsigned fd;
	const char *number = next_fd(b, &fd);

	plan_add(b->opened, AT_CHILD, &step_tap_open, number, ifname, plan_str(b->p, "%u", n));
	return fd;
}

const char *vm_file(struct vm_build *b, const char *path, bool write)
{
	unsigned fd = vm_fd_open(b, path, write), set = ++b->set;

	vm_argf(b, "-add-fd", "fd=%u,set=%u", fd, set);
	return plan_str(b->p, "/dev/fdset/%u", set);
}

/* --- networks ----------------------------------------------------------------------------------------------- */

/* The step of the network's plan, for that interface; NULL. */
static const struct step *inside(
	const struct plan *net, const struct step_ops *op, unsigned word, const char *ifname)
{
	for (unsigned i = 0; i < plan_len(net); i++) {
		const struct step *s = plan_step(net, i);

		if (s->op == op && (!ifname || strcmp(s->arg[word], ifname) == 0))
			return s;
	}
	return NULL;
}

/* The address where a machine's questions are answered: the subnet's last, which no guest is given. */
static const char *dns_address(struct plan *p, const char *address)
{
	char text[ADDR_TEXT_MAX];
	struct addr a, last;

	if (addr_parse(address, &a) < 0 || a.family != AF_INET || a.prefix > 28)
		return "";
	addr_last(&a, &last);
	last.b[3]--;
	addr_show(&last, false, text);
	return plan_str(p, "%s", text);
}

/* What a machine that boots by itself is told by DHCP is what a container's plan would have set. */
void vm_plan_answer(struct plan *p, const struct plan *net, const struct step *veth,
	const char *ifname, unsigned n, const char *hostname)
{
	/* the first is IPv4's */
	const struct step *addr = inside(net, &step_addr, 0, veth->arg[1]);
	const struct step *route = inside(net, &step_route, 2, veth->arg[1]);
	const struct step *dns = inside(net, &step_dns_socket, 0, NULL);

	if (!addr)
		return;
	plan_add(p, AT_HOST, &step_answer, ifname, plan_str(p, "%u", n), veth->arg[3], addr->arg[1],
		route ? route->arg[1] : "", dns ? dns_address(p, addr->arg[1]) : "",
		hostname ? hostname : "", veth->arg[4], dns ? dns->arg[1] : "",
		dns ? dns->arg[2] : "");
}

/* A card whose other end is passt: the network's step, with what only we know. */
static int plan_passt(struct vm_build *b, const struct step *s, unsigned n, struct err *e)
{
	static const char *const paths[] = { "/usr/bin/passt", "/usr/local/bin/passt" };
	g_autoptr(GPtrArray) argv = g_ptr_array_new();
	const char *program = NULL;

	for (guint i = 0; i < G_N_ELEMENTS(paths) && !program; i++)
		if (access(paths[i], X_OK) == 0)
			program = paths[i];
	if (!program) {
		err_set(e, -E_UNSUPPORTED,
			"a machine reaches the network 'passt' by passt, which is missing");
		err_mend(e, "install passt, or use --network none");
		return -E_UNSUPPORTED;
	}
	for (unsigned i = 0; i < s->n; i++)
		g_ptr_array_add(argv, (char *)(uintptr_t)(i == 4 ? program : s->arg[i]));
	/* it would become "nobody", whom others may be, too */
	if (b->c->is_root) {
		unsigned uid = vm_uid(b->s->id);

		g_ptr_array_add(argv, (char *)"--runas");
		g_ptr_array_add(argv, (char *)(uintptr_t)plan_str(b->p, "%u:%u", uid, uid));
	}
	plan_addv(b->p, AT_HOST, 0, &step_passt, (const char *const *)argv->pdata, argv->len);
	vm_argf(b, "-netdev", "stream,id=n%u,server=off,addr.type=fd,addr.str=%u", n,
		fd_tap(b, "", n));
	return 0;
}

int vm_networks(struct vm_build *b, GPtrArray *ret_mac, struct err *e)
{
	unsigned n = 0;

	for (unsigned i = 0; b->s->net && i < plan_len(b->s->net); i++) {
		const struct step *s = plan_step(b->s->net, i);

		if (s->at != AT_PARENT)
			continue;
		if (s->op == &step_passt) {
			int r = plan_passt(b, s, n, e);

			if (r < 0)
				return r;
			n++;
			g_ptr_array_add(
				ret_mac, (char *)(uintptr_t)plan_str(b->p, "%s", s->arg[1]));
			continue;
		}
		if (s->op != &step_veth)
			return err_set(e, -E_UNSUPPORTED,
				"a machine can't be in a network of driver '%s' yet", s->op->name);
		/* IF peer bridge mac mtu hairpin sharers */
		plan_add(b->p, AT_HOST, &step_tap, s->arg[0], s->arg[2], s->arg[4], s->arg[5],
			plan_str(b->p, "%u", n));
		vm_argf(b, "-netdev", "tap,id=n%u,fd=%u", n, fd_tap(b, s->arg[0], n));
		if (b->spec->vm->full)
			vm_plan_answer(b->p, b->s->net, s, s->arg[0], n, b->spec->hostname);
		n++;
		g_ptr_array_add(ret_mac, (char *)(uintptr_t)plan_str(b->p, "%s", s->arg[3]));
	}
	return (int)n;
}

/* --- the process ------------------------------------------------------------------------------------------------ */

unsigned vm_uid(const char *id)
{
	char digits[7] = { 0 };

	(void)g_strlcpy(digits, id, sizeof(digits));
	return FIRST_UID + (unsigned)g_ascii_strtoull(digits, NULL, 16);
}

/* Limits of memory are the machine's, not those of the program that plays it. */
static bool is_for_program(const char *key)
{
	return !g_str_has_prefix(key, "memory") && strcmp(key, "swappiness") != 0 &&
	       strcmp(key, "oom-kill-disable") != 0 && strcmp(key, "pids") != 0 &&
	       !g_str_has_prefix(key, "hugetlb");
}

/* Without root nobody but the user is there to be guarded against, and no cgroup can be made. */
static int check_user(struct vm_build *b, struct err *e)
{
	g_autoptr(GPtrArray) limits = engine_limits(b->spec);

	for (guint i = 0; i < limits->len; i++) {
		const struct spec_pair *l = g_ptr_array_index(limits, i);

		/* whole processors are those that the machine has */
		if (!is_for_program(l->key) ||
			(strcmp(l->key, "nano-cpus") == 0 && b->spec->limits.nano_cpus % NANO == 0))
			continue;
		err_set(e, -E_UNSUPPORTED, "a machine's limit '%s' needs root", l->key);
		return err_mend(e, "leave it out, or run as root");
	}
	return 0;
}

static int plan_cgroup(struct vm_build *b, struct err *e)
{
	g_autoptr(GPtrArray) limits = engine_limits(b->spec);
	g_autofree const char **keys = g_new0(const char *, limits->len + 1);
	char controllers[CGROUP_PATH_MAX];
	unsigned n = 0;

	for (guint i = 0; i < limits->len; i++) {
		const struct spec_pair *l = g_ptr_array_index(limits, i);
		int r = cgroup_check(cgroup_host(), l->key, l->value, e);

		if (r < 0)
			return r;
		if (is_for_program(l->key))
			keys[n++] = l->key;
	}
	cgroup_controllers_for(cgroup_host(), keys, n, controllers);
	plan_add(b->p, AT_HOST, &step_cgroup_create, b->cgroup, controllers);
	for (guint i = 0; i < limits->len; i++) {
		const struct spec_pair *l = g_ptr_array_index(limits, i);

		if (is_for_program(l->key))
			plan_add(b->p, AT_HOST, &step_cgroup_set, b->cgroup, l->key, l->value);
	}
	return 0;
}

/*
 * QEMU opens /dev/kvm by its path, and whose that is differs between hosts: in its own mount namespace it gets one
 * that is its own.
 */
static void plan_kvm(struct vm_build *b)
{
	const char *uid = plan_str(b->p, "%u", vm_uid(b->s->id));

	plan_add(b->p, AT_CHILD, &step_mount, "tmpfs", b->s->run_dir, "tmpfs", "nosuid,noexec",
		"mode=711,size=64k");
	plan_add(b->p, AT_CHILD, &step_device, b->s->run_dir, "/kvm", "c", "10", "232", "600", uid,
		uid);
	plan_add(b->p, AT_CHILD, &step_bind, "/", plan_str(b->p, "%s/kvm", b->s->run_dir),
		"/dev/kvm", "bind,rprivate", "file");
}

/* A user's: in a user namespace, whose root it is, so that it has the other ones, too. */
static void plan_clone(struct vm_build *b)
{
	struct plan *p = b->p;

	if (b->c->is_root) {
		plan_add(p, AT_CLONE, &step_clone, "mnt,pid,uts,ipc");
		plan_add(p, AT_CHILD, &step_cgroup_join, b->cgroup);
		return;
	}
	plan_add(p, AT_HOST, &step_dumpable);
	plan_add(p, AT_CLONE, &step_clone, "user,mnt,pid,uts,ipc");
	plan_add(p, AT_PARENT, &step_idmap, "uid", plan_str(p, "0 %u 1", (unsigned)geteuid()));
	plan_add(p, AT_PARENT, &step_idmap, "gid", plan_str(p, "0 %u 1", (unsigned)getegid()));
	plan_add(p, AT_PARENT, &step_undumpable);
	plan_add(p, AT_CHILD, &step_undumpable);
	plan_add(p, AT_CHILD, &step_setid0);
}

int vm_plan_process(struct vm_build *b, struct err *e)
{
	g_autofree char *cgroup = engine_cgroup(b->s);
	const char *user = plan_str(b->p, "%u:%u", vm_uid(b->s->id), vm_uid(b->s->id));
	struct plan *p = b->p;
	int r;

	b->cgroup = cgroup;
	r = b->c->is_root ? plan_cgroup(b, e) : check_user(b, e);
	if (r < 0)
		return r;
	plan_clone(b);
	plan_add(p, AT_CHILD, &step_private, "rprivate");
	plan_add(p, AT_CHILD, &step_env, "PATH=/usr/bin:/bin", "HOME=/");
	plan_add(p, AT_CHILD, &step_session, "");
	plan_add(p, AT_CHILD, &step_umask, "077");
	plan_add(p, AT_CHILD, &step_cwd, "/");
	plan_add(p, AT_CHILD, &step_close_fds);
	for (unsigned i = 0; i < plan_len(b->opened); i++) {
		const struct step *s = plan_step(b->opened, i);

		plan_addv(p, s->at, s->flags, s->op, s->arg, s->n);
	}
	if (b->kvm && b->c->is_root)
		plan_kvm(b);
	/* the network of the machine is the descriptor that it has; of the host's it sees nothing */
	plan_add(p, AT_CHILD, &step_unshare, "net");
	plan_add(p, AT_CHILD, &step_caps_bounding, "0");
	if (b->c->is_root)
		plan_add(p, AT_CHILD, &step_user, user, "");
	plan_add(p, AT_CHILD, &step_caps, "0", "0", "0", "0");
	plan_add(p, AT_CHILD, &step_no_new_privs);
	plan_addv(p, AT_CHILD, 0, &step_exec, (const char *const *)b->argv->pdata, b->argv->len);
	return 0;
}

/* --- the host ---------------------------------------------------------------------------------------------------------- */

#define KVM_TRY_MS  4000
#define KVM_SLOW_US 100000

bool vm_kvm_works(struct ctx *c, const char **ret_why, bool *ret_first)
{
	g_autofree char *file = store_run_path(c, "kvm"), *text = NULL;
	int64_t us;

	*ret_first = false;
	*ret_why = "";
	if (!g_file_get_contents(file, &text, NULL, NULL)) {
		us = probe_kvm_speed(KVM_TRY_MS);
		text = g_strdup(us == -ENOENT	   ? "absent"
				: us == -ETIMEDOUT ? "hangs"
				: us < 0	   ? "fails"
				: us > KVM_SLOW_US ? "slow"
						   : "works");
		*ret_first = true;
		/* what couldn't be kept is tried again */
		if (!c->explain)
			(void)g_file_set_contents(file, text, -1, NULL);
	}
	if (strcmp(text, "works") == 0)
		return true;
	*ret_why = strcmp(text, "absent") == 0	? "this host has no /dev/kvm"
		   : strcmp(text, "hangs") == 0 ? "64-bit code hangs in this host's /dev/kvm"
		   : strcmp(text, "slow") == 0
			   ? "this host's /dev/kvm interprets instruction by instruction"
			   : "this host's /dev/kvm doesn't work";
	return false;
}

int vm_program(const char **ret, struct err *e)
{
#if defined(__x86_64__)
	static const char *const paths[] = { "/usr/bin/qemu-system-x86_64",
		"/usr/local/bin/qemu-system-x86_64" };

	for (guint i = 0; i < G_N_ELEMENTS(paths); i++)
		if (access(paths[i], X_OK) == 0) {
			*ret = paths[i];
			return 0;
		}
	err_set(e, -E_UNSUPPORTED, "there is no QEMU here: '%s' is missing", paths[0]);
	err_mend(e, "install qemu-system-x86");
#else
	err_set(e, -E_UNSUPPORTED, "machines run on x86-64 hosts only");
#endif
	return -E_UNSUPPORTED;
}
