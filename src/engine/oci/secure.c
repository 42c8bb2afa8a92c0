/* SPDX-License-Identifier: MIT */
/* Steps that take privileges away, and the rules for devices. */
#include "engine/oci/oci.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "engine/seccomp-json.h"
#include "host/caps.h"
#include "host/cgroup.h"
#include "host/proc.h"
#include "engine/seccomp.h"
#include "host/steps.h"
#include "store/store.h"

/* --- seccomp --- */

/*
 * A filter takes a millisecond to make, reading a made one takes none. The file's name says all that it was
 * made from, so it is never stale; a broken one is made again.
 */
static char *cached(const char *file, const char *key)
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

static int compile(const struct seccomp_profile *profile, const struct seccomp_target *t,
	char **ret_hex, struct err *e)
{
	g_autofree struct sock_filter *f = NULL;
	size_t n;
	int r = seccomp_compile(profile, t, &f, &n, e);

	if (r < 0)
		return r;
	*ret_hex = seccomp_to_hex(f, n);
	return 0;
}

static int filter_of(struct ctx *c, const struct spec *s, uint64_t caps, char **ret_hex,
	char *flags, size_t size, struct err *e)
{
	char key[SECCOMP_KEY_MAX];
	g_autofree char *file = NULL;
	struct seccomp_target t;
	int r = seccomp_here(caps, &t, e);

	if (r < 0)
		return r;
	if (s->seccomp && strcmp(s->seccomp, "default") != 0) {
		_cleanup_(seccomp_doc_freep) struct seccomp_doc *doc = NULL;

		r = seccomp_from_json(s->seccomp, strlen(s->seccomp), &doc, e);
		if (r < 0)
			return r;
		if (doc->notifies) {
			err_set(e, -E_UNSUPPORTED,
				"seccomp profile: 'SCMP_ACT_NOTIFY' isn't supported");
			return err_mend(e, "use SCMP_ACT_ERRNO");
		}
		(void)g_strlcpy(flags, doc->flags, size);
		return compile(&doc->profile, &t, ret_hex, e);
	}
	seccomp_key("default", &t, key);
	file = store_path(c, "cache/%s", key);
	*ret_hex = cached(file, key);
	if (*ret_hex)
		return 0;
	r = compile(&seccomp_default, &t, ret_hex, e);
	if (r >= 0 && !c->explain)
		(void)g_file_set_contents(
			file, *ret_hex, -1, NULL); /* next time it is made again */
	return r;
}

static int plan_seccomp(
	struct ctx *c, const struct spec *s, bool privileged, struct plan *p, struct err *e)
{
	g_autofree char *hex = NULL;
	char flags[64] = "spec-allow"; /* as runc: the mitigation costs more than it gives here */
	bool custom = s->seccomp && strcmp(s->seccomp, "default") != 0;
	int r;

	if (s->seccomp && strcmp(s->seccomp, "unconfined") == 0)
		return 0;
	if (privileged && !custom)
		return 0;
	r = filter_of(c, s, s->caps, &hex, flags, sizeof(flags), e);
	if (r < 0)
		return r;
	plan_add(p, AT_CHILD, &step_seccomp, hex, flags, custom ? "profile" : "default");
	return 0;
}

/* --- the two halves --- */

static const char *hex_mask(struct plan *p, uint64_t mask)
{
	return plan_str(p, "%" G_GINT64_MODIFIER "x", mask);
}

int oci_plan_secure_first(
	struct ctx *c, const struct spec *s, bool privileged, struct plan *p, struct err *e)
{
	uint64_t caps = privileged ? caps_bounding() : s->caps;

	if (s->apparmor && strcmp(s->apparmor, "unconfined") != 0)
		plan_add(p, AT_CHILD, &step_apparmor, s->apparmor);
	else if (!s->apparmor && !privileged && (lsm_enabled() & LSM_APPARMOR))
		plan_add(p, AT_CHILD, &step_apparmor, APPARMOR_DEFAULT);
	if (s->selinux)
		plan_add(p, AT_CHILD, &step_selinux, s->selinux);
	/* Without no_new_privs only a process with CAP_SYS_ADMIN may install a filter, so it comes before
	 * that is given away; with it the filter comes last and needs to allow nothing but the exec. */
	if (!s->no_new_privs) {
		int r = plan_seccomp(c, s, privileged, p, e);

		if (r < 0)
			return r;
	}
	plan_add(p, AT_CHILD, &step_caps_bounding, hex_mask(p, caps));
	return 0;
}

int oci_plan_secure_last(
	struct ctx *c, const struct spec *s, bool privileged, struct plan *p, struct err *e)
{
	uint64_t caps = privileged ? caps_bounding() : s->caps;

	plan_add(p, AT_CHILD, &step_caps, hex_mask(p, caps), hex_mask(p, caps), "0", "0");
	if (!s->no_new_privs)
		return 0;
	plan_add(p, AT_CHILD, &step_no_new_privs);
	return plan_seccomp(c, s, privileged, p, e);
}

/* --- devices --- */

char **oci_device_rules(const struct spec *s, struct err *e)
{
	g_autoptr(GPtrArray) rules = g_ptr_array_new();

	if (s->privileged)
		return NULL;
	for (const char *const *d = cgroup_device_default; *d; d++)
		g_ptr_array_add(rules, g_strdup(*d));
	for (guint i = 0; i < s->devices->len; i++) {
		const struct spec_device *d = g_ptr_array_index(s->devices, i);
		struct stat st;

		if (stat(d->host, &st) == 0) /* plan_devices() says what is wrong with it */
			g_ptr_array_add(
				rules, g_strdup_printf("%c %u:%u %s",
					       S_ISBLK(st.st_mode) ? 'b' : 'c', major(st.st_rdev),
					       minor(st.st_rdev), d->access ? d->access : "rwm"));
	}
	for (char **r = s->device_rules; r && *r; r++)
		g_ptr_array_add(rules, g_strdup(*r));
	g_ptr_array_add(rules, NULL);
	return (char **)g_ptr_array_free(g_steal_pointer(&rules), FALSE);
}
