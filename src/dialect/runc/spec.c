/* SPDX-License-Identifier: MIT */
/* spec: a config.json to begin with, byte for byte what runc writes. */
#include "dialect/runc/runc.h"

#include <fcntl.h>
#include <string.h>

#include "host/cgroup.h"

struct spec_args {
	char *bundle;
	bool rootless;
};

static const struct opt spec_opts[] = { OPT_STRING('b', "bundle", struct spec_args, bundle, "PATH",
						complete_file,
						"the bundle's folder (default: this one)"),
	OPT_FLAG(0, "rootless", struct spec_args, rootless, "for a user without privileges"),
	OPT_END };

static const char *const caps[] = { "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" };
static const char *const masked[] = { "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
	"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
	"/sys/firmware", "/proc/scsi" };
static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
	"/proc/sysrq-trigger" };

static const struct {
	const char *destination, *type, *source, *options; /* by blank */
} mounts[] = {
	{ "/proc", "proc", "proc", NULL },
	{ "/dev", "tmpfs", "tmpfs", "nosuid strictatime mode=755 size=65536k" },
	{ "/dev/pts", "devpts", "devpts",
		"nosuid noexec newinstance ptmxmode=0666 mode=0620 gid=5" },
	{ "/dev/shm", "tmpfs", "shm", "nosuid noexec nodev mode=1777 size=65536k" },
	{ "/dev/mqueue", "mqueue", "mqueue", "nosuid noexec nodev" },
	{ "/sys", "sysfs", "sysfs", "nosuid noexec nodev ro" },
	{ "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid noexec nodev relatime ro" },
};

static json_t *words(const char *const *list, size_t n)
{
	json_t *j = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(j, json_string(list[i]));
	return j;
}

static json_t *mounts_of(bool rootless)
{
	json_t *list = json_array();

	for (size_t i = 0; i < G_N_ELEMENTS(mounts); i++) {
		bool sys = rootless && strcmp(mounts[i].destination, "/sys") == 0;
		json_t *m = json_pack("{s:s, s:s, s:s}", "destination", mounts[i].destination,
			"type", sys ? "none" : mounts[i].type, "source",
			sys ? "/sys" : mounts[i].source);
		g_auto(GStrv) options =
			mounts[i].options ? g_strsplit(mounts[i].options, " ", -1) : NULL;
		json_t *o = sys ? json_pack("[s]", "rbind") : json_array();

		for (char **w = options; w && *w; w++)
			if (!rootless || strcmp(*w, "gid=5") != 0)
				json_array_append_new(o, json_string(*w));
		if (options)
			json_object_set(m, "options", o);
		json_decref(o);
		json_array_append_new(list, m);
	}
	return list;
}

static json_t *linux_of(bool rootless)
{
	json_t *l = json_object(), *ns = json_array();
	static const char *const kinds[] = { "pid", "network", "ipc", "uts", "mount" };

	if (rootless) {
		json_object_set_new(l, "uidMappings",
			json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID",
				(json_int_t)geteuid(), "size", 1));
		json_object_set_new(l, "gidMappings",
			json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID",
				(json_int_t)getegid(), "size", 1));
	} else
		json_object_set_new(l, "resources",
			json_pack("{s:[{s:b, s:s}]}", "devices", "allow", 0, "access", "rwm"));
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++)
		if (!rootless || strcmp(kinds[i], "network") != 0)
			json_array_append_new(ns, json_pack("{s:s}", "type", kinds[i]));
	if (cgroup_host()->mode == CGROUP_V2)
		json_array_append_new(ns, json_pack("{s:s}", "type", "cgroup"));
	if (rootless)
		json_array_append_new(ns, json_pack("{s:s}", "type", "user"));
	json_object_set_new(l, "namespaces", ns);
	json_object_set_new(l, "maskedPaths", words(masked, G_N_ELEMENTS(masked)));
	json_object_set_new(l, "readonlyPaths", words(read_only, G_N_ELEMENTS(read_only)));
	return l;
}

static json_t *process_of(void)
{
	json_t *c = json_object();
	static const char *const sets[] = { "bounding", "effective", "permitted", "ambient" };

	for (size_t i = 0; i < G_N_ELEMENTS(sets); i++)
		json_object_set_new(c, sets[i], words(caps, G_N_ELEMENTS(caps)));
	return json_pack("{s:b, s:{s:i, s:i}, s:[s], s:[s, s], s:s, s:o, s:[{s:s, s:i, s:i}], s:b}",
		"terminal", 1, "user", "uid", 0, "gid", 0, "args", "sh", "env",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm",
		"cwd", "/", "capabilities", c, "rlimits", "type", "RLIMIT_NOFILE", "hard", 1024,
		"soft", 1024, "noNewPrivileges", 1);
}

/* As Go indents: tabs. jansson's blanks at a line's beginning are replaced, one for one. */
static char *with_tabs(const json_t *j)
{
	char *text = json_dumps(j, JSON_INDENT(1)), *kept;

	for (char *p = text; *p; p++)
		if (p == text || p[-1] == '\n')
			while (*p == ' ')
				*p++ = '\t';
	kept = g_strdup(text);
	free(text);
	return kept;
}

static int spec(struct cmd_call *call, struct err *e)
{
	const struct spec_args *a = call->args;
	json_auto_t *j = json_pack("{s:s, s:o, s:{s:s, s:b}, s:s, s:o, s:o}", "ociVersion",
		"1.0.2-dev", "process", process_of(), "root", "path", "rootfs", "readonly", 1,
		"hostname", "runc", "mounts", mounts_of(a->rootless), "linux",
		linux_of(a->rootless));
	g_autofree char *text = with_tabs(j), *file = NULL;
	_cleanup_close_ int fd = -1;
	size_t n = strlen(text);

	file = g_strdup_printf("%s/config.json", a->bundle ? a->bundle : ".");
	if (runc_explains_as(runc_of(call), "cat >%s <<'END'\n%s\nEND", file, text))
		return 0;
	fd = RET_NERRNO(open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
	if (fd == -EEXIST)
		return err_set(e, -E_EXISTS, "File config.json exists. Remove it first");
	if (fd < 0)
		return err_sys(e, fd, "cannot write '%s'", file);
	return write(fd, text, n) == (ssize_t)n ? 0 : err_sys(e, -EIO, "cannot write '%s'", file);
}

const struct cmd runc_spec = {
	CMD_FILE,
	.name = "spec",
	.run = spec,
	.opts = spec_opts,
	.args_size = sizeof(struct spec_args),
	.brief = "write a config.json to begin with",
	.synopsis = "[OPTIONS]",
};
