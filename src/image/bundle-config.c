/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include "codec/json.h"
#include "host/path.h"
#include "host/users.h"
#include "image/bundle-priv.h"

#define USERS_MAX (1 << 20) /* bytes of /etc/passwd or /etc/group */

/* What every bundle has: runtime-spec's file systems, and what its own example hides (config.md, config-linux.md). */
static const char base[] =
	"{'ociVersion':'1.0.0','process':{'terminal':true,'user':{},'args':[],'env':[],'cwd':'/',"
	"'capabilities':{'bounding':[],'effective':[],'permitted':[]},"
	"'rlimits':[{'type':'RLIMIT_NOFILE','hard':1024,'soft':1024}],'noNewPrivileges':true},"
	"'root':{'path':'rootfs'},'hostname':'lodge','mounts':["
	"{'destination':'/proc','type':'proc','source':'proc'},"
	"{'destination':'/dev','type':'tmpfs','source':'tmpfs',"
	"'options':['nosuid','strictatime','mode=755','size=65536k']},"
	"{'destination':'/dev/pts','type':'devpts','source':'devpts',"
	"'options':['nosuid','noexec','newinstance','ptmxmode=0666','mode=0620','gid=5']},"
	"{'destination':'/dev/shm','type':'tmpfs','source':'shm',"
	"'options':['nosuid','noexec','nodev','mode=1777','size=65536k']},"
	"{'destination':'/dev/mqueue','type':'mqueue','source':'mqueue',"
	"'options':['nosuid','noexec','nodev']},"
	"{'destination':'/sys','type':'sysfs','source':'sysfs',"
	"'options':['nosuid','noexec','nodev','ro']},"
	"{'destination':'/sys/fs/cgroup','type':'cgroup','source':'cgroup',"
	"'options':['nosuid','noexec','nodev','relatime','ro']}],"
	"'annotations':{},'linux':{'resources':{'devices':[{'allow':false,'access':'rwm'}]},"
	"'namespaces':[{'type':'pid'},{'type':'network'},{'type':'ipc'},{'type':'uts'},"
	"{'type':'mount'}],'maskedPaths':['/proc/acpi','/proc/asound','/proc/kcore','/proc/keys',"
	"'/proc/latency_stats','/proc/timer_list','/proc/timer_stats','/proc/sched_debug',"
	"'/sys/firmware','/proc/scsi'],'readonlyPaths':['/proc/bus','/proc/fs','/proc/irq',"
	"'/proc/sys','/proc/sysrq-trigger']}}";

static const char *const caps[] = { "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" };

static void add_word(json_t *list, const char *word)
{
	(void)json_array_append_new(list, json_string(word));
}

static void add_words(json_t *list, char *const *words)
{
	for (; words && *words; words++)
		add_word(list, *words);
}

static bool has_env(char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return true;
	return false;
}

/* A file of the root that somebody else filled; "" when there is none. */
static char *text_of(int root, const char *path)
{
	_cleanup_close_ int fd = path_open_in(root, path, O_RDONLY | O_NONBLOCK, 0, 0);
	char *text = g_malloc0(USERS_MAX + 1);
	struct stat st;
	ssize_t n = 0, at = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return text;
	while (at < USERS_MAX && (n = read(fd, text + at, (size_t)(USERS_MAX - at))) > 0)
		at += n;
	text[at] = '\0';
	return text;
}

static int set_process(json_t *p, const struct image_config *i, int root, struct err *e)
{
	g_autofree char *passwd = text_of(root, "/etc/passwd"),
			*group = text_of(root, "/etc/group"), *home = NULL;
	json_t *user = json_object_get(p, "user"), *env = json_object_get(p, "env"),
	       *args = json_object_get(p, "args"), *groups = json_array();
	struct user_ids *ids = g_new0(struct user_ids, 1);
	int r = users_resolve_in(passwd, group, i->user ?: "", "", ids, e);

	for (size_t k = 0; r >= 0 && k < ids->n_groups; k++)
		(void)json_array_append_new(groups, json_integer(ids->groups[k]));
	(void)json_object_set_new(user, "uid", json_integer(ids->uid));
	(void)json_object_set_new(user, "gid", json_integer(ids->gid));
	if (json_array_size(groups))
		(void)json_object_set(user, "additionalGids", groups);
	json_decref(groups);
	home = g_strconcat("HOME=", *ids->home ? ids->home : "/", NULL);
	g_free(ids);
	if (r < 0)
		return r;
	if (!has_env(i->env, "PATH"))
		add_word(env, IMAGE_PATH_ENV);
	if (!has_env(i->env, "TERM"))
		add_word(env, "TERM=xterm");
	add_words(env, i->env);
	if (!has_env(i->env, "HOME"))
		add_word(env, home);
	add_words(args, i->entrypoint);
	add_words(args, i->cmd);
	if (json_array_size(args) == 0)
		add_word(args, "sh");
	if (i->cwd && *i->cwd)
		(void)json_object_set_new(p, "cwd", json_string(i->cwd));
	for (unsigned k = 0; k < G_N_ELEMENTS(caps); k++) {
		json_t *sets = json_object_get(p, "capabilities");

		add_word(json_object_get(sets, "bounding"), caps[k]);
		add_word(json_object_get(sets, "effective"), caps[k]);
		add_word(json_object_get(sets, "permitted"), caps[k]);
	}
	return 0;
}

/* image-spec conversion.md, "Annotation Fields"; labels of the same name go before. */
static void set_annotations(json_t *a, const struct image_config *i)
{
	const char *created = json_string_value(json_object_get(i->raw, "created"));
	g_autofree char *ports = g_strjoinv(",", i->ports);
	const char *const pairs[][2] = {
		{ "os", i->os },
		{ "architecture", i->arch },
		{ "variant", i->variant },
		{ "author", i->author },
		{ "created", created },
		{ "stopSignal", i->stop_signal },
		{ "exposedPorts", *ports ? ports : NULL },
	};

	for (unsigned k = 0; k < G_N_ELEMENTS(pairs); k++) {
		g_autofree char *key = g_strconcat("org.opencontainers.image.", pairs[k][0], NULL);

		if (pairs[k][1] && *pairs[k][1])
			(void)json_object_set_new(a, key, json_string(pairs[k][1]));
	}
	for (unsigned k = 0; k < i->labels->len; k++) {
		const struct image_label *l = i->labels->pdata[k];

		(void)json_object_set_new(a, l->key, json_string(l->value));
	}
}

static void add_volumes(json_t *mounts, char *const *volumes)
{
	for (; *volumes; volumes++)
		(void)json_array_append_new(
			mounts, json_pack("{s:s, s:s, s:s, s:[s,s,s,s,s]}", "destination", *volumes,
					"type", "tmpfs", "source", "none", "options", "rw",
					"nosuid", "nodev", "noexec", "relatime"));
}

/* Who isn't root has no cgroups to give, no group 5, no network of his own that leads anywhere, and no new sysfs with
 * the host's network. */
static void make_rootless(json_t *doc)
{
	json_t *mounts = json_object_get(doc, "mounts"), *l = json_object_get(doc, "linux"), *m, *w;
	size_t i, k;

	(void)json_object_del(l, "resources");
	(void)json_array_remove(json_object_get(l, "namespaces"), 1);
	for (i = json_array_size(mounts); i-- > 0;) {
		const char *at;

		m = json_array_get(mounts, i);
		at = json_string_value(json_object_get(m, "destination"));
		if (strcmp(at, "/sys/fs/cgroup") == 0) {
			(void)json_array_remove(mounts, i);
		} else if (strcmp(at, "/sys") == 0) {
			(void)json_object_update_new(
				m, json_pack("{s:s, s:s, s:[s,s,s,s,s]}", "type", "none", "source",
					   "/sys", "options", "rbind", "nosuid", "noexec", "nodev",
					   "ro"));
		} else {
			w = json_object_get(m, "options");
			for (k = json_array_size(w); k-- > 0;)
				if (g_str_has_prefix(
					    json_string_value(json_array_get(w, k)), "gid="))
					(void)json_array_remove(w, k);
		}
	}
}

int bundle_config(const struct image_config *i, int root, const struct bundle_ids *ids, char **ret,
	struct err *e)
{
	g_autofree char *text = g_strdelimit(g_strdup(base), "'", '"');
	json_t *doc = NULL, *l;
	char *out;
	int r = json_read(text, strlen(text), &doc, e);

	if (r < 0)
		return r;
	l = json_object_get(doc, "linux");
	r = set_process(json_object_get(doc, "process"), i, root, e);
	set_annotations(json_object_get(doc, "annotations"), i);
	if (ids->rootless)
		make_rootless(doc);
	add_volumes(json_object_get(doc, "mounts"), i->volumes);
	if (ids->n_uid) {
		(void)json_array_append_new(
			json_object_get(l, "namespaces"), json_pack("{s:s}", "type", "user"));
		(void)json_object_set_new(l, "uidMappings", bundle_map_json(ids->uid, ids->n_uid));
		(void)json_object_set_new(l, "gidMappings", bundle_map_json(ids->gid, ids->n_gid));
	}
	if (r >= 0) {
		out = json_dumps(doc, JSON_INDENT(8));
		*ret = g_strconcat(out, "\n", NULL);
		free(out);
	}
	json_decref(doc);
	return r;
}
