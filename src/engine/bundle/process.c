/* SPDX-License-Identifier: MIT */
/* config.json's `process` as steps; the same for a container's first process and for exec. */
#include "engine/bundle/bundle-priv.h"

#include <string.h>

#include "engine/seccomp-json.h"
#include "host/caps.h"
#include "host/proc.h"
#include "host/steps.h"

/* --- capabilities --- */

static int caps_of(char **names, const char *set, uint64_t *ret, struct err *e)
{
	uint64_t mask = 0, one;

	for (char **n = names; n && *n; n++) {
		/* the specification: what this system doesn't know is passed over with a warning, and a
		 * name that nobody knows is a mistake in the file */
		if (strncmp(*n, "CAP_", 4) != 0 || caps_parse(*n, &one, NULL) < 0)
			return err_set(e, -E_INVALID,
				"'process.capabilities.%s' has the unknown capability '%s'", set,
				*n);
		mask |= one;
	}
	*ret = mask;
	return 0;
}

static int check_caps(struct bundle_process *b, struct err *e)
{
	static const char *const set[] = { "bounding", "effective", "inheritable", "permitted",
		"ambient" };
	const struct config_caps *c = b->process->caps;
	uint64_t have = caps_bounding();
	int r = 0;

	memset(b->caps, 0, sizeof(b->caps));
	if (!c)
		return 0;
	for (guint i = 0; r >= 0 && i < 5; i++) {
		char **list[] = { c->bounding, c->effective, c->inheritable, c->permitted,
			c->ambient };

		r = caps_of(list[i], set[i], &b->caps[i], e);
		b->caps[i] &= have; /* nobody can give more than that */
	}
	b->caps[1] &= b->caps[3];
	b->caps[4] &= b->caps[2] & b->caps[3];
	return r;
}

/* --- the filter --- */

static char *cached(const char *file)
{
	char *hex = NULL;
	gsize n;

	if (!g_file_get_contents(file, &hex, &n, NULL))
		return NULL;
	if (n == 0 || n % 16 || strspn(hex, "0123456789abcdef") != n) {
		g_free(hex);
		return NULL;
	}
	return hex;
}

/* First a line of flags, then the filter: made of the text, once for each kernel and set of capabilities. */
static int make_filter(struct bundle_process *b, struct plan *p, struct err *e)
{
	const char *text = b->config->linux_.seccomp;
	_cleanup_(seccomp_doc_freep) struct seccomp_doc *doc = NULL;
	g_autofree struct sock_filter *f = NULL;
	g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1),
			*file = NULL, *hex = NULL;
	char key[SECCOMP_KEY_MAX];
	struct seccomp_target t;
	size_t n;
	int r = seccomp_here(b->caps[0], &t, e);

	if (r < 0)
		return err_prefix(e, "'linux.seccomp'");
	seccomp_key(digest, &t, key);
	file = b->cache_dir ? g_strdup_printf("%s/%s", b->cache_dir, key) : NULL;
	r = seccomp_from_json(text, strlen(text), &doc, e);
	if (r < 0)
		return err_prefix(e, "'linux.seccomp'");
	b->filter_notifies = doc->notifies;
	if (doc->notifies && !(b->config->linux_.listener_path && *b->config->linux_.listener_path))
		return err_set(e, -E_INVALID,
			"'linux.seccomp.listenerPath' must be there with SCMP_ACT_NOTIFY");
	b->filter_flags = plan_str(p, "%s", doc->flags);
	hex = file ? cached(file) : NULL;
	if (!hex) {
		r = seccomp_compile(&doc->profile, &t, &f, &n, e);
		if (r < 0)
			return err_prefix(e, "'linux.seccomp'");
		hex = seccomp_to_hex(f, n);
		if (file && g_mkdir_with_parents(b->cache_dir, 0700) == 0)
			(void)g_file_set_contents_full(
				file, hex, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
	}
	b->filter = plan_str(p, "%s", hex);
	return 0;
}

/* --- checks --- */

static int check_rlimits(const struct config_process *process, struct err *e)
{
	for (guint i = 0; i < process->rlimits->len; i++) {
		const struct config_rlimit *l = g_ptr_array_index(process->rlimits, i);

		if (!g_str_has_prefix(l->type, "RLIMIT_") || rlimit_number(l->type, NULL) < 0)
			return err_set(e, -E_INVALID,
				"'process.rlimits[%u].type' is '%s', which is no limit", i,
				l->type);
	}
	return 0;
}

int bundle_process_check(struct bundle_process *b, struct plan *p, struct err *e)
{
	const struct config_process *process = b->process;
	int r = check_caps(b, e);

	if (r >= 0)
		r = check_rlimits(process, e);
	if (r >= 0 && process->selinux && *process->selinux && !(lsm_enabled() & LSM_SELINUX))
		r = err_set(e, -E_UNSUPPORTED,
			"'process.selinuxLabel': selinux label is specified in config, but selinux "
			"is disabled or not supported");
	if (r >= 0 && process->apparmor && *process->apparmor &&
		strcmp(process->apparmor, "unconfined") != 0 && !(lsm_enabled() & LSM_APPARMOR))
		r = err_set(e, -E_UNSUPPORTED,
			"'process.apparmorProfile': apparmor profile '%s' is specified, but this "
			"kernel has no AppArmor",
			process->apparmor);
	if (r >= 0 && b->config && b->config->linux_.seccomp)
		r = make_filter(b, p, e);
	return r;
}

/* --- steps --- */

void bundle_process_parent(const struct bundle_process *b, struct plan *p)
{
	const struct config_process *process = b->process;

	for (guint i = 0; i < process->rlimits->len; i++) {
		const struct config_rlimit *l = g_ptr_array_index(process->rlimits, i);
		const uint64_t value[] = { l->soft, l->hard };
		const char *text[2];

		for (guint k = 0; k < 2; k++)
			text[k] = value[k] == UINT64_MAX
					  ? "unlimited"
					  : plan_str(p, "%" G_GUINT64_FORMAT, value[k]);
		plan_add(p, AT_PARENT, &step_prlimit, l->type, text[0], text[1]);
	}
	if (process->oom_score_adj != CONFIG_NONE)
		plan_add(p, AT_PARENT, &step_oom_score,
			plan_str(p, "%" G_GINT64_FORMAT, process->oom_score_adj));
}

static void scheduling(const struct bundle_process *b, struct plan *p)
{
	const struct config_scheduler *s = b->process->scheduler;
	const struct config_io_priority *io = b->process->io_priority;
	static const struct {
		const char *name;
		unsigned bit;
	} flags[] = { { "SCHED_FLAG_RESET_ON_FORK", 1 }, { "SCHED_FLAG_RECLAIM", 2 },
		{ "SCHED_FLAG_DL_OVERRUN", 4 }, { "SCHED_FLAG_KEEP_POLICY", 8 },
		{ "SCHED_FLAG_KEEP_PARAMS", 16 }, { "SCHED_FLAG_UTIL_CLAMP_MIN", 32 },
		{ "SCHED_FLAG_UTIL_CLAMP_MAX", 64 } };
	unsigned bits = 0;

	if (s) {
		for (guint i = 0; i < G_N_ELEMENTS(flags); i++)
			if (s->flags &&
				g_strv_contains((const char *const *)s->flags, flags[i].name))
				bits |= flags[i].bit;
		plan_add(p, AT_CHILD, &step_scheduling, "scheduler",
			plan_str(p,
				"%s:nice=%" G_GINT64_FORMAT ":priority=%" G_GINT64_FORMAT
				":runtime=%" G_GUINT64_FORMAT ":deadline=%" G_GUINT64_FORMAT
				":period=%" G_GUINT64_FORMAT ":flags=%u",
				s->policy, s->nice, s->priority, s->runtime, s->deadline, s->period,
				bits));
	}
	if (io)
		plan_add(p, AT_CHILD, &step_scheduling, "io-priority",
			plan_str(p, "%s:%" G_GINT64_FORMAT, io->class, io->priority));
}

static const char *mask(struct plan *p, uint64_t m)
{
	return plan_str(p, "%" G_GINT64_MODIFIER "x", m);
}

static void add_filter(const struct bundle_process *b, struct plan *p)
{
	if (b->filter)
		plan_add(p, AT_CHILD, &step_seccomp, b->filter, b->filter_flags, "config.json");
	if (b->filter_notifies && b->config->linux_.listener_path) {
		g_autofree char *state =
			bundle_state(b->config, b->id, b->dir, b->exec ? "running" : "creating");
		json_auto_t *o = json_object();
		char *quoted;

		json_object_set_new(o, "m",
			json_string(b->config->linux_.listener_metadata
					    ? b->config->linux_.listener_metadata
					    : ""));
		quoted = json_dumps(json_object_get(o, "m"), JSON_ENCODE_ANY);
		plan_add(p, AT_MEET, &step_seccomp_send, b->config->linux_.listener_path,
			plan_str(p,
				"{\"ociVersion\":\"%s\",\"fds\":[\"seccompFd\"],\"pid\":@PID@,"
				"\"metadata\":%s,\"state\":%s}",
				b->config->version, quoted, state));
		free(quoted);
	}
}

void bundle_process_first(const struct bundle_process *b, struct plan *p)
{
	const struct config_process *process = b->process;
	const struct config_personality *domain = b->config ? b->config->linux_.personality : NULL;
	g_autoptr(GString) groups = g_string_new(NULL);
	const struct config_affinity *affinity = process->affinity;

	if (!b->no_keyring)
		plan_add(p, AT_CHILD, &step_keyring, plan_str(p, "_ses.%s", b->id));
	if (domain)
		plan_add(p, AT_CHILD, &step_scheduling, "personality", domain->domain);
	plan_addv(p, AT_CHILD, 0, &step_env, (const char *const *)process->env,
		process->env ? g_strv_length(process->env) : 0);
	plan_add(p, AT_CHILD, &step_session, process->terminal ? "1" : "");
	scheduling(b, p);
	if (affinity && affinity->final && *affinity->final)
		plan_add(p, AT_CHILD, &step_scheduling, "cpu-affinity", affinity->final);
	plan_add(p, AT_CHILD, &step_umask,
		process->user.umask == CONFIG_NONE
			? "022"
			: plan_str(p, "%o", (unsigned)process->user.umask));
	if (process->apparmor && *process->apparmor)
		plan_add(p, AT_CHILD, &step_apparmor, process->apparmor);
	if (process->selinux && *process->selinux)
		plan_add(p, AT_CHILD, &step_selinux, process->selinux);
	/* Without no_new_privs only a process with CAP_SYS_ADMIN may install a filter. */
	if (!process->no_new_privs)
		add_filter(b, p);
	plan_add(p, AT_CHILD, &step_cwd, process->cwd);
	plan_add(p, AT_CHILD, &step_caps_bounding, mask(p, b->caps[0]));
	for (guint i = 0; process->user.groups && i < process->user.groups->len; i++)
		g_string_append_printf(groups, "%s%u", i ? "," : "",
			g_array_index(process->user.groups, uint32_t, i));
	plan_add(p, AT_CHILD, &step_ids, plan_str(p, "%u", process->user.uid),
		plan_str(p, "%u", process->user.gid), groups->str);
	plan_add(p, AT_CHILD, &step_caps, mask(p, b->caps[3]), mask(p, b->caps[1]),
		mask(p, b->caps[2]), mask(p, b->caps[4]));
	plan_add(p, AT_CHILD, &step_close_from, plan_str(p, "%u", 3 + b->preserve_fds));
	plan_add(p, AT_CHILD, &step_find_exec, process->args[0]);
}

void bundle_process_last(const struct bundle_process *b, struct plan *p)
{
	const struct config_process *process = b->process;

	if (process->no_new_privs) {
		plan_add(p, AT_CHILD, &step_no_new_privs);
		add_filter(b, p);
	}
	plan_addv(p, AT_CHILD, 0, &step_exec, (const char *const *)process->args,
		g_strv_length(process->args));
}
