/* SPDX-License-Identifier: MIT */
/* features: what this runtime can. runtime-spec's features.md and features-linux.md. */
#include "dialect/runc/runc.h"

#include <string.h>

#include "engine/seccomp.h"
#include "host/caps.h"
#include "host/mountflags.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static json_t *mount_options(void)
{
	static const char *const more[] = { "idmap", "ridmap", "tmpcopyup" };
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	const char *w;
	json_t *list = json_array();

	for (unsigned i = 0; (w = mount_word(i)) != NULL; i++)
		g_ptr_array_add(names, (char *)(uintptr_t)w);
	for (guint i = 0; i < G_N_ELEMENTS(more); i++)
		g_ptr_array_add(names, (char *)(uintptr_t)more[i]);
	qsort(names->pdata, names->len, sizeof(*names->pdata), by_name);
	for (guint i = 0; i < names->len; i++)
		json_array_append_new(list, json_string(names->pdata[i]));
	return list;
}

static json_t *words(const char *text)
{
	g_auto(GStrv) each = g_strsplit(text, " ", -1);
	json_t *list = json_array();

	for (char **w = each; *w; w++)
		json_array_append_new(list, json_string(*w));
	return list;
}

static json_t *architectures(void)
{
	static const char *const all[] = { "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM",
		"SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390", "SCMP_ARCH_S390X",
		"SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64" };
	json_t *list = json_array();

	for (guint i = 0; i < G_N_ELEMENTS(all); i++)
		if (seccomp_arch(all[i]))
			json_array_append_new(list, json_string(all[i]));
	return list;
}

static json_t *seccomp_features(void)
{
	json_t *o = json_object();

	json_object_set_new(o, "enabled", json_true());
	json_object_set_new(o, "actions",
		words("SCMP_ACT_ALLOW SCMP_ACT_ERRNO SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS "
		      "SCMP_ACT_KILL_THREAD SCMP_ACT_LOG SCMP_ACT_NOTIFY SCMP_ACT_TRACE "
		      "SCMP_ACT_TRAP"));
	json_object_set_new(o, "operators",
		words("SCMP_CMP_EQ SCMP_CMP_GE SCMP_CMP_GT SCMP_CMP_LE SCMP_CMP_LT "
		      "SCMP_CMP_MASKED_EQ "
		      "SCMP_CMP_NE"));
	json_object_set_new(o, "archs", architectures());
	json_object_set_new(o, "knownFlags",
		words("SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_LOG "
		      "SECCOMP_FILTER_FLAG_SPEC_ALLOW "
		      "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"));
	json_object_set_new(o, "supportedFlags",
		words("SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_LOG "
		      "SECCOMP_FILTER_FLAG_SPEC_ALLOW SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"));
	return o;
}

static int features(struct cmd_call *call, struct err *e)
{
	json_auto_t *o = json_object(), *l = json_object(), *caps = json_array();

	for (unsigned i = 0; i < CAPS_COUNT; i++)
		json_array_append_new(caps, json_string(caps_name(i)));
	json_object_set_new(l, "namespaces", words("cgroup ipc mount network pid time user uts"));
	json_object_set(l, "capabilities", caps);
	json_object_set_new(l, "cgroup",
		json_pack("{s:b, s:b, s:b, s:b, s:b}", "v1", 1, "v2", 1, "systemd", 0,
			"systemdUser", 0, "rdma", 1));
	json_object_set_new(l, "seccomp", seccomp_features());
	json_object_set_new(l, "apparmor", json_pack("{s:b}", "enabled", 1));
	json_object_set_new(l, "selinux", json_pack("{s:b}", "enabled", 1));
	json_object_set_new(l, "intelRdt", json_pack("{s:b}", "enabled", 0));
	json_object_set_new(l, "mountExtensions", json_pack("{s:{s:b}}", "idmap", "enabled", 1));
	json_object_set_new(o, "ociVersionMin", json_string("1.0.0"));
	json_object_set_new(o, "ociVersionMax", json_string("1.2.0"));
	json_object_set_new(o, "hooks",
		words("prestart createRuntime createContainer startContainer poststart poststop"));
	json_object_set_new(o, "mountOptions", mount_options());
	json_object_set(o, "linux", l);
	json_object_set_new(o, "annotations",
		json_pack("{s:s, s:s}", "org.opencontainers.runc.checkpoint.enabled", "true",
			"org.lodge.version", LODGE_VERSION));
	json_object_set_new(o, "potentiallyUnsafeConfigAnnotations", json_array());
	(void)json_dumpf(o, stdout, JSON_INDENT(4));
	(void)fputc('\n', stdout);
	return 0;
}

const struct cmd runc_features = {
	CMD_FILE,
	.name = "features",
	.run = features,
	.brief = "print what this runtime can",
	.synopsis = "",
	.flags = CMD_READS_ONLY,
};
