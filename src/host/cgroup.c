/* SPDX-License-Identifier: MIT */
/* Where the hierarchies are, and the life of a cgroup in all of them. */
#include "host/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "host/smallfile.h"

/* How long processes may take to go after SIGKILL, and to freeze. */
enum {
	KILL_WAIT_MS = 10000,
	FREEZE_WAIT_MS = 5000,
	DEPTH_MAX = 32
};

static const char *const controller_names[_CGROUP_CONTROLLER_MAX] = {
	[CGROUP_CPU] = "cpu",
	[CGROUP_CPUACCT] = "cpuacct",
	[CGROUP_CPUSET] = "cpuset",
	[CGROUP_MEMORY] = "memory",
	[CGROUP_PIDS] = "pids",
	[CGROUP_IO] = "io",
	[CGROUP_DEVICES] = "devices",
	[CGROUP_FREEZER] = "freezer",
	[CGROUP_HUGETLB] = "hugetlb",
	[CGROUP_NET_CLS] = "net_cls",
	[CGROUP_NET_PRIO] = "net_prio",
	[CGROUP_PERF] = "perf_event",
	[CGROUP_RDMA] = "rdma",
	[CGROUP_MISC] = "misc",
	[CGROUP_NAMED] = "name=systemd",
};

const char *cgroup_mode_name(enum cgroup_mode m)
{
	static const char *const name[] = { "none", "v1", "hybrid", "v2" };

	return name[m];
}

/* --- names ---------------------------------------------------------------------------------------- */

static unsigned bit_of(const char *name, size_t len)
{
	if (len == 5 && strncmp(name, "blkio", 5) == 0)
		return CGROUP_BIT(CGROUP_IO);
	for (unsigned i = 0; i < _CGROUP_CONTROLLER_MAX; i++)
		if (strlen(controller_names[i]) == len &&
			strncmp(controller_names[i], name, len) == 0)
			return CGROUP_BIT(i);
	return 0;
}

unsigned cgroup_controller_bit(const char *name)
{
	return bit_of(name, strlen(name));
}

unsigned cgroup_controllers_parse(const char *list)
{
	unsigned bits = 0;

	while (*list) {
		size_t n = strcspn(list, ", \n");

		bits |= bit_of(list, n);
		list += n;
		list += strspn(list, ", \n");
	}
	return bits;
}

unsigned cgroup_controllers(const struct cgroup_host *h)
{
	unsigned bits = h->v2_controllers;

	for (unsigned i = 0; i < h->n_v1; i++)
		bits |= h->v1[i].controllers;
	return bits;
}

bool cgroup_path_ok(const char *path)
{
	if (!*path || *path == '/' || strlen(path) >= CGROUP_PATH_MAX)
		return false;
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 0 || (n == 2 && p[0] == '.' && p[1] == '.') || (n == 1 && p[0] == '.'))
			return false;
		p += n + (p[n] == '/');
	}
	return true;
}

/* --- where they are -------------------------------------------------------------------------------- */

/* Copies a field of mountinfo, whose blanks and backslashes are written "\040". */
static bool unescape(const char *s, size_t n, char *buf, size_t size)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++) {
		if (k + 1 >= size)
			return false;
		if (s[i] == '\\' && i + 3 < n) {
			buf[k++] = (char)((s[i + 1] - '0') << 6 | (s[i + 2] - '0') << 3 |
					  (s[i + 3] - '0'));
			i += 3;
		} else
			buf[k++] = s[i];
	}
	buf[k] = '\0';
	return true;
}

/* One line: "ID PARENT MAJ:MIN ROOT MOUNT OPTIONS [TAGS...] - TYPE SOURCE SUPER-OPTIONS" */
static void parse_line(const char *line, size_t len, struct cgroup_host *h)
{
	const char *field[5], *end = line + len, *p = line, *type;
	size_t mount_len;
	char super[256];
	unsigned bits;

	for (int i = 0; i < 5; i++) {
		field[i] = p;
		p = memchr(p, ' ', (size_t)(end - p));
		if (!p)
			return;
		p++;
	}
	mount_len = (size_t)(p - 1 - field[4]);
	type = memmem(p - 1, (size_t)(end - p + 1), " - ", 3);
	if (!type || end - type < 10 || strncmp(type + 3, "cgroup", 6) != 0)
		return;
	type += 3;
	if (strncmp(type, "cgroup2 ", 8) == 0) {
		if (!h->v2[0] && !unescape(field[4], mount_len, h->v2, sizeof(h->v2)))
			h->v2[0] = '\0';
		return;
	}
	p = memchr(type, ' ', (size_t)(end - type));
	p = p ? memchr(p + 1, ' ', (size_t)(end - p - 1)) : NULL;
	if (strncmp(type, "cgroup ", 7) != 0 || !p || h->n_v1 == CGROUP_HIERARCHIES_MAX ||
		(size_t)(end - p) >= sizeof(super))
		return;
	memcpy(super, p + 1, (size_t)(end - p - 1));
	super[end - p - 1] = '\0';
	bits = cgroup_controllers_parse(super);
	for (unsigned i = 0; i < h->n_v1; i++)
		bits &= ~h->v1[i].controllers; /* mounted twice: the first */
	if (bits && unescape(field[4], mount_len, h->v1[h->n_v1].mount, CGROUP_MOUNT_MAX))
		h->v1[h->n_v1++].controllers = bits;
}

static void settle_mode(struct cgroup_host *h)
{
	if (h->v2[0])
		h->mode = h->n_v1 ? CGROUP_HYBRID : CGROUP_V2;
	else
		h->mode = h->n_v1 ? CGROUP_V1 : CGROUP_NONE;
	/* A systemd host on v2 has no v1 hierarchy; one left over with no controller changes nothing. */
	if (h->mode == CGROUP_HYBRID && h->n_v1 == 1 &&
		h->v1[0].controllers == CGROUP_BIT(CGROUP_NAMED))
		h->mode = CGROUP_V2;
}

void cgroup_host_parse(const char *mountinfo, const char *v2_controllers, struct cgroup_host *ret)
{
	*ret = (struct cgroup_host){ 0 };
	while (*mountinfo) {
		size_t n = strcspn(mountinfo, "\n");

		parse_line(mountinfo, n, ret);
		mountinfo += n + (mountinfo[n] == '\n');
	}
	if (ret->v2[0] && v2_controllers)
		ret->v2_controllers = cgroup_controllers_parse(v2_controllers);
	settle_mode(ret);
}

static bool is_fs(const char *path, uint32_t magic)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (uint32_t)fs.f_type == magic;
}

/* The list also has mounts over which something else lies. */
static void drop_hidden(struct cgroup_host *h)
{
	unsigned k = 0;

	if (h->v2[0] && !is_fs(h->v2, CGROUP2_SUPER_MAGIC))
		h->v2[0] = '\0';
	for (unsigned i = 0; i < h->n_v1; i++)
		if (is_fs(h->v1[i].mount, CGROUP_SUPER_MAGIC))
			h->v1[k++] = h->v1[i];
	h->n_v1 = k;
}

/* A line at a time, since a host with many guests has a long list, and the monitor little memory. */
static void read_mountinfo(struct cgroup_host *h)
{
	_cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	char buf[SMALL_MAX];
	size_t n = 0;
	ssize_t k;

	while (fd >= 0 && (k = read(fd, buf + n, sizeof(buf) - n)) > 0) {
		char *line = buf, *end;

		n += (size_t)k;
		while ((end = memchr(line, '\n', n - (size_t)(line - buf))) != NULL) {
			parse_line(line, (size_t)(end - line), h);
			line = end + 1;
		}
		n -= (size_t)(line - buf);
		if (n == sizeof(buf))
			n = 0; /* longer than any line of a cgroup's mount */
		memmove(buf, line, n);
	}
	drop_hidden(h);
	settle_mode(h);
}

/*
 * Where systemd and cgroupfs-mount put them: all hierarchies that are active, below /sys/fs/cgroup, each in the
 * folder of its controllers' names. A quarter of the time that the list of mounts takes; false when a
 * single one isn't there.
 */
static bool find_usual(struct cgroup_host *h)
{
	static const char top[] = "/sys/fs/cgroup";
	char text[2048], *rest = text, *line, *names;
	struct cgroup_host own = { 0 };

	if (small_read("/proc/self/cgroup", text, sizeof(text)) <= 0)
		return false;
	if (is_fs(top, CGROUP2_SUPER_MAGIC))
		(void)snprintf(own.v2, sizeof(own.v2), "%s", top);
	else if (is_fs("/sys/fs/cgroup/unified", CGROUP2_SUPER_MAGIC))
		(void)snprintf(own.v2, sizeof(own.v2), "%s/unified", top);
	/* "9:memory:/path", "0::/path" */
	while ((line = strsep(&rest, "\n")) != NULL) {
		struct cgroup_hierarchy *v = &own.v1[own.n_v1];

		names = strchr(line, ':');
		if (!names || own.n_v1 == CGROUP_HIERARCHIES_MAX)
			return false;
		names++;
		names[strcspn(names, ":")] = '\0';
		if (!*names) {
			if (!own.v2[0])
				return false;
			continue;
		}
		v->controllers = cgroup_controllers_parse(names);
		if (!v->controllers)
			continue; /* not one that we use */
		(void)snprintf(v->mount, sizeof(v->mount), "%s/%s", top,
			names + (strncmp(names, "name=", 5) == 0 ? 5 : 0));
		if (!is_fs(v->mount, CGROUP_SUPER_MAGIC))
			return false;
		own.n_v1++;
	}
	if (!own.v2[0] && !own.n_v1)
		return false;
	*h = own;
	settle_mode(h);
	return true;
}

const struct cgroup_host *cgroup_host(void)
{
	/* A fact of the machine, looked up once: a start asks for it a dozen times. */
	static struct cgroup_host host;
	static bool known;
	char file[CGROUP_MOUNT_MAX + 32], text[512];

	if (known)
		return &host;
	if (!find_usual(&host))
		read_mountinfo(&host);
	if (host.v2[0]) {
		(void)snprintf(file, sizeof(file), "%s/cgroup.controllers", host.v2);
		if (small_read(file, text, sizeof(text)) > 0)
			host.v2_controllers = cgroup_controllers_parse(text);
	}
	known = true;
	return &host;
}

int cgroup_dir(const struct cgroup_host *h, const char *path, enum cgroup_controller c, char *buf,
	bool *ret_v2)
{
	if (h->v2_controllers & CGROUP_BIT(c)) {
		(void)snprintf(buf, CGROUP_DIR_MAX, "%s/%s", h->v2, path);
		*ret_v2 = true;
		return 0;
	}
	for (unsigned i = 0; i < h->n_v1; i++)
		if (h->v1[i].controllers & CGROUP_BIT(c)) {
			(void)snprintf(buf, CGROUP_DIR_MAX, "%s/%s", h->v1[i].mount, path);
			*ret_v2 = false;
			return 0;
		}
	return -E_UNSUPPORTED;
}

void cgroup_controllers_for(const struct cgroup_host *h, const char *const *keys, unsigned n_keys,
	char list[CGROUP_PATH_MAX])
{
	unsigned bits = CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_DEVICES);
	size_t n = 0;

	/* What a v2 tree does by itself: freezing, processor times, counting threads. */
	if (!h->v2[0])
		bits |= CGROUP_BIT(CGROUP_FREEZER) | CGROUP_BIT(CGROUP_CPUACCT) |
			CGROUP_BIT(CGROUP_PIDS);
	/* Controllers of v2 cost no folder of their own. */
	bits |= h->v2_controllers & (CGROUP_BIT(CGROUP_IO) | CGROUP_BIT(CGROUP_PIDS));
	for (unsigned i = 0; i < n_keys; i++)
		bits |= cgroup_key_controller(keys[i]);
	bits &= cgroup_controllers(h);
	list[0] = '\0';
	for (unsigned i = 0; i < _CGROUP_CONTROLLER_MAX; i++)
		if (bits & CGROUP_BIT(i))
			n += (size_t)snprintf(list + n, CGROUP_PATH_MAX - n, "%s%s", n ? "," : "",
				controller_names[i]);
}

const char *cgroup_missing(const struct cgroup_host *h, const char *path, const char *key)
{
	unsigned bit = cgroup_key_controller(key);
	char dir[CGROUP_DIR_MAX];

	for (unsigned i = 0; bit && i < h->n_v1; i++) {
		if (!(h->v1[i].controllers & bit & ~h->v2_controllers))
			continue;
		(void)snprintf(dir, sizeof(dir), "%s/%s", h->v1[i].mount, path);
		if (access(dir, F_OK) == 0)
			return NULL;
		for (unsigned k = 0; k < _CGROUP_CONTROLLER_MAX; k++)
			if (bit == CGROUP_BIT(k))
				return controller_names[k];
	}
	return NULL;
}

/* --- the folders of a path ------------------------------------------------------------------------- */

/* Calls f for the folder in each hierarchy; goes on after a failure, returns the first. */
static int each_dir(
	const char *path, int (*f)(const char *dir, bool v2, struct err *e), struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	char dir[CGROUP_DIR_MAX];
	int first = 0, r;

	if (!cgroup_path_ok(path))
		return err_set(e, -E_INVALID, "bad cgroup path '%s'", path);
	if (h->v2[0]) {
		(void)snprintf(dir, sizeof(dir), "%s/%s", h->v2, path);
		first = f(dir, true, e);
	}
	for (unsigned i = 0; i < h->n_v1; i++) {
		(void)snprintf(dir, sizeof(dir), "%s/%s", h->v1[i].mount, path);
		r = f(dir, false, first < 0 ? NULL : e);
		if (first >= 0 && r < 0)
			first = r;
	}
	return first < 0 ? first : 0;
}

bool cgroup_exists(const char *path)
{
	const struct cgroup_host *h = cgroup_host();
	char dir[CGROUP_DIR_MAX];

	if (!cgroup_path_ok(path))
		return false;
	(void)snprintf(dir, sizeof(dir), "%s/%s", h->v2, path);
	if (h->v2[0] && access(dir, F_OK) == 0)
		return true;
	for (unsigned i = 0; i < h->n_v1; i++) {
		(void)snprintf(dir, sizeof(dir), "%s/%s", h->v1[i].mount, path);
		if (access(dir, F_OK) == 0)
			return true;
	}
	return false;
}

/* --- create ---------------------------------------------------------------------------------------- */

/* Lets the children of dir have the controllers. One write each, since one that fails spoils the rest. */
static int enable_v2(const char *dir, unsigned controllers, struct err *e)
{
	char file[CGROUP_DIR_MAX + 32], text[512], word[32];
	unsigned on = 0;

	if (!controllers)
		return 0;
	(void)snprintf(file, sizeof(file), "%s/cgroup.subtree_control", dir);
	if (small_read(file, text, sizeof(text)) >= 0)
		on = cgroup_controllers_parse(text);
	for (unsigned i = 0; i < _CGROUP_CONTROLLER_MAX; i++) {
		int r;

		if (!(controllers & ~on & CGROUP_BIT(i)))
			continue;
		(void)snprintf(word, sizeof(word), "+%s", controller_names[i]);
		r = small_write(file, word);
		if (r == -EBUSY) {
			err_sys(e, r, "cgroup controller '%s' can't be enabled in '%s'",
				controller_names[i], dir);
			return err_mend(
				e, "processes lie in that cgroup: move them to one below it");
		}
		/* of a folder that isn't this user's: what it has was decided above */
		if (r == -EACCES && geteuid() != 0)
			return 0;
		if (r < 0 && r != -ENOENT)
			return err_sys(e, r, "cgroup controller '%s' can't be enabled in '%s'",
				controller_names[i], dir);
	}
	return 0;
}

/* v1: a new cpuset is empty, and takes no task until it has processors and memory nodes. From here on
 * down the kernel copies them. */
static int fill_cpuset(const char *dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char file[CGROUP_DIR_MAX + 40], text[SMALL_MAX];
	bool wrote = false;
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < ELEMENTSOF(files); i++) {
		(void)snprintf(file, sizeof(file), "%s/%s", dir, files[i]);
		if (small_read(file, text, sizeof(text)) > 0)
			continue;
		(void)snprintf(file, sizeof(file), "%s/../%s", dir, files[i]);
		r = small_read(file, text, sizeof(text));
		(void)snprintf(file, sizeof(file), "%s/%s", dir, files[i]);
		if (r >= 0)
			r = small_write(file, text);
		wrote = true;
	}
	if (r < 0 || !wrote)
		return r;
	(void)snprintf(file, sizeof(file), "%s/cgroup.clone_children", dir);
	return small_write(file, "1");
}

/* 1 when it is there already. */
static int make_one(const char *dir, unsigned v1_controllers, struct err *e)
{
	int r;

	if (mkdir(dir, 0755) < 0)
		return errno == EEXIST ? 1 : err_sys(e, -errno, "cannot make the cgroup '%s'", dir);
	if (!(v1_controllers & CGROUP_BIT(CGROUP_CPUSET)))
		return 0;
	r = fill_cpuset(dir);
	return r < 0 ? err_sys(e, r, "cannot prepare the cgroup '%s'", dir) : 0;
}

/* The usual case: all above is there, and gives its children the controllers. */
static int make_leaf(const char *mount, const char *path, bool v2, unsigned controllers)
{
	char dir[CGROUP_DIR_MAX], file[CGROUP_DIR_MAX + 32], text[512];

	(void)snprintf(dir, sizeof(dir), "%s/%s", mount, path);
	if (v2 && controllers) {
		(void)snprintf(file, sizeof(file), "%.*s/cgroup.subtree_control",
			(int)(strrchr(dir, '/') - dir), dir);
		if (small_read(file, text, sizeof(text)) < 0 ||
			controllers & ~cgroup_controllers_parse(text))
			return -ENOENT;
	}
	return make_one(dir, v2 ? 0 : controllers, NULL);
}

/* The folders of path below a mount. 1 when the last was there already. */
static int make_below(
	const char *mount, const char *path, bool v2, unsigned controllers, struct err *e)
{
	char dir[CGROUP_DIR_MAX];
	size_t n = (size_t)snprintf(dir, sizeof(dir), "%s", mount);
	int r = make_leaf(mount, path, v2, controllers);

	for (const char *p = path; r < 0 && *p;) {
		size_t k = strcspn(p, "/");
		int made = v2 ? enable_v2(dir, controllers, e) : 0;

		if (made >= 0) {
			n += (size_t)snprintf(dir + n, sizeof(dir) - n, "/%.*s", (int)k, p);
			made = make_one(dir, v2 ? 0 : controllers, e);
		}
		if (made < 0)
			return made;
		p += k + (p[k] == '/');
		if (!*p)
			r = made;
	}
	return r;
}

int cgroup_create(const char *path, unsigned controllers, struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	bool there = false;
	int r = 0;

	if (!cgroup_path_ok(path))
		return err_set(e, -E_INVALID, "bad cgroup path '%s'", path);
	if (h->mode == CGROUP_NONE) {
		err_set(e, -E_UNSUPPORTED, "no cgroups are mounted");
		return err_mend(e, "mount -t cgroup2 none /sys/fs/cgroup");
	}
	if (h->v2[0]) {
		r = make_below(h->v2, path, true, controllers & h->v2_controllers, e);
		there = r > 0;
	}
	for (unsigned i = 0; r >= 0 && i < h->n_v1; i++) {
		if (!(h->v1[i].controllers & controllers & ~h->v2_controllers))
			continue;
		r = make_below(h->v1[i].mount, path, false, h->v1[i].controllers, e);
		there |= r > 0;
	}
	if (r < 0 && !there)
		(void)cgroup_remove(path, NULL);
	return r < 0 ? r : there;
}

/* --- what was given to a user ------------------------------------------------------------------------ */

int cgroup_own(char *ret)
{
	char text[2048];
	const char *line = text;

	if (!cgroup_host()->v2[0] || small_read("/proc/self/cgroup", text, sizeof(text)) <= 0)
		return -ENOENT;
	if (strncmp(text, "0::/", 4) != 0) {
		line = strstr(text, "\n0::/");
		if (!line)
			return -ENOENT;
		line++;
	}
	line += 4;
	if (strcspn(line, "\n") >= CGROUP_PATH_MAX)
		return -ENAMETOOLONG;
	(void)snprintf(ret, CGROUP_PATH_MAX, "%.*s", (int)strcspn(line, "\n"), line);
	return 0;
}

static bool can_write(const char *dir, const char *file)
{
	char path[CGROUP_DIR_MAX + 16];

	(void)snprintf(path, sizeof(path), "%s%s%s", dir, *file ? "/" : "", file);
	return faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) == 0;
}

/* The folder of path below a mount that is there, or the nearest above it. Whether it is the last. */
static bool nearest(const char *mount, const char *path, char *ret)
{
	size_t top = (size_t)snprintf(ret, CGROUP_DIR_MAX, "%s/%s", mount, path), n = strlen(mount);
	bool last = true;

	while (top > n && access(ret, F_OK) < 0) {
		char *slash = strrchr(ret, '/');

		*slash = '\0';
		top = (size_t)(slash - ret);
		last = false;
	}
	return last;
}

/* v2: the kernel wants the right to the common parent of where a process is and where it goes. */
static bool may_cross(const char *path)
{
	const struct cgroup_host *h = cgroup_host();
	char own[CGROUP_PATH_MAX], dir[CGROUP_DIR_MAX];
	size_t common = 0, i = 0;

	if (cgroup_own(own) < 0)
		return false;
	for (;; i++) {
		bool end = !own[i] || own[i] == '/';

		if (end && (!path[i] || path[i] == '/'))
			common = i;
		if (!own[i] || own[i] != path[i])
			break;
	}
	(void)snprintf(dir, sizeof(dir), "%s%s%.*s", h->v2, common ? "/" : "", (int)common, path);
	return can_write(dir, "cgroup.procs");
}

bool cgroup_is_delegated(const char *path, unsigned controllers)
{
	const struct cgroup_host *h = cgroup_host();
	char dir[CGROUP_DIR_MAX];

	if (!cgroup_path_ok(path))
		return false;
	if (h->v2[0] && (!can_write(dir, nearest(h->v2, path, dir) ? "cgroup.procs" : "") ||
				!may_cross(path)))
		return false;
	for (unsigned i = 0; i < h->n_v1; i++)
		if ((h->v1[i].controllers & controllers & ~h->v2_controllers) &&
			!can_write(dir, nearest(h->v1[i].mount, path, dir) ? "tasks" : ""))
			return false;
	return true;
}

bool cgroup_may_join(const char *path)
{
	const struct cgroup_host *h = cgroup_host();
	char dir[CGROUP_DIR_MAX];

	if (!cgroup_path_ok(path))
		return false;
	if (h->v2[0] && nearest(h->v2, path, dir) &&
		(!can_write(dir, "cgroup.procs") || !may_cross(path)))
		return false;
	for (unsigned i = 0; i < h->n_v1; i++)
		if (nearest(h->v1[i].mount, path, dir) && !can_write(dir, "tasks"))
			return false;
	return true;
}

int cgroup_open(const char *path)
{
	const struct cgroup_host *h = cgroup_host();
	char dir[CGROUP_DIR_MAX];

	if (!h->v2[0] || !cgroup_path_ok(path))
		return -ENOENT;
	(void)snprintf(dir, sizeof(dir), "%s/%s", h->v2, path);
	return RET_NERRNO(open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

int cgroup_join(const char *path, bool and_v2, struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	char file[CGROUP_DIR_MAX + 16];
	int r;

	if (!cgroup_path_ok(path))
		return err_set(e, -E_INVALID, "bad cgroup path '%s'", path);
	if (and_v2 && h->v2[0]) {
		(void)snprintf(file, sizeof(file), "%s/%s/cgroup.procs", h->v2, path);
		r = small_write(file, "0");
		if (r < 0)
			return err_sys(e, r, "cannot join the cgroup '%s'", path);
	}
	for (unsigned i = 0; i < h->n_v1; i++) {
		(void)snprintf(file, sizeof(file), "%s/%s/tasks", h->v1[i].mount, path);
		r = small_write(file, "0");
		if (r == -ENOENT)
			continue; /* not one of the guest's controllers */
		if (r < 0)
			return err_sys(
				e, r, "cannot join the cgroup '%s/%s'", h->v1[i].mount, path);
	}
	return 0;
}

int cgroup_join_below(const char *path, unsigned controllers, struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	char file[CGROUP_DIR_MAX + 16];
	int joined = 0;

	if (!cgroup_path_ok(path))
		return err_set(e, -E_INVALID, "bad cgroup path '%s'", path);
	for (unsigned i = 0; i < h->n_v1; i++) {
		int r;

		if (!(h->v1[i].controllers & controllers))
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s/tasks", h->v1[i].mount, path);
		r = small_write(file, "0");
		if (r < 0 && (r != -ENOENT || controllers != ~0U))
			return err_sys(
				e, r, "cannot join the cgroup '%s/%s'", h->v1[i].mount, path);
		joined += r >= 0;
	}
	return joined ? 0 : err_sys(e, -ENOENT, "cannot join the cgroup '%s'", path);
}

/* --- processes ------------------------------------------------------------------------------------- */

struct pids {
	pid_t *v;
	size_t n, size;
};

static void pids_from_file(int dir_fd, const char *file, struct pids *l)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	char buf[SMALL_MAX];
	ssize_t n;
	pid_t pid = 0;

	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] != '\n') {
				pid = pid * 10 + (buf[i] - '0');
				continue;
			}
			if (l->n == l->size) {
				l->size = l->size ? l->size * 2 : 64;
				l->v = realloc(l->v, l->size * sizeof(*l->v));
				if (!l->v)
					abort();
			}
			l->v[l->n++] = pid;
			pid = 0;
		}
}

/* Calls f on the folder and all below it, those below first. */
static int walk(int parent, const char *name, int depth,
	int (*f)(int parent, const char *name, int dir, void *data), void *data)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *d;
	DIR *dir;
	int first = 0, r;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	dir = fdopendir(fd);
	if (!dir) {
		(void)close(fd);
		return -ENOMEM;
	}
	while (depth < DEPTH_MAX && (d = readdir(dir)) != NULL) {
		if (d->d_type != DT_DIR || strcmp(d->d_name, ".") == 0 ||
			strcmp(d->d_name, "..") == 0)
			continue;
		r = walk(fd, d->d_name, depth + 1, f, data);
		if (first == 0 && r < 0)
			first = r;
	}
	r = f(parent, name, fd, data);
	(void)closedir(dir);
	return first < 0 ? first : r;
}

static int collect(int parent, const char *name, int dir, void *data)
{
	pids_from_file(dir, "cgroup.procs", data);
	return 0;
}

static int collect_threads(int parent, const char *name, int dir, void *data)
{
	pids_from_file(dir, "cgroup.threads", data);
	return 0;
}

static int pid_cmp(const void *a, const void *b)
{
	pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

	return (x > y) - (x < y);
}

int cgroup_procs(const char *path, pid_t **ret, size_t *ret_n)
{
	const struct cgroup_host *h = cgroup_host();
	struct pids l = { NULL, 0, 0 };
	char dir[CGROUP_DIR_MAX];
	size_t k = 0;

	if (!cgroup_exists(path))
		return -ENOENT;
	if (h->v2[0]) {
		(void)snprintf(dir, sizeof(dir), "%s/%s", h->v2, path);
		(void)walk(AT_FDCWD, dir, 0, collect, &l);
	}
	for (unsigned i = 0; i < h->n_v1; i++) {
		(void)snprintf(dir, sizeof(dir), "%s/%s", h->v1[i].mount, path);
		(void)walk(AT_FDCWD, dir, 0, collect, &l);
	}
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), pid_cmp);
	for (size_t i = 0; i < l.n; i++) /* 0: a process that this pid namespace doesn't see */
		if (l.v[i] > 0 && (k == 0 || l.v[k - 1] != l.v[i]))
			l.v[k++] = l.v[i];
	*ret = l.v;
	*ret_n = k;
	return 0;
}

int cgroup_threads(const char *path, size_t *ret)
{
	const struct cgroup_host *h = cgroup_host();
	struct pids l = { NULL, 0, 0 };
	char dir[CGROUP_DIR_MAX];

	if (!h->v2[0] || !cgroup_exists(path))
		return -ENOENT;
	(void)snprintf(dir, sizeof(dir), "%s/%s", h->v2, path);
	(void)walk(AT_FDCWD, dir, 0, collect_threads, &l);
	free(l.v);
	*ret = l.n;
	return 0;
}

int cgroup_kill(const char *path, struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	_cleanup_free_ pid_t *pids = NULL;
	char file[CGROUP_DIR_MAX + 16];
	size_t n;
	int r;

	if (!cgroup_path_ok(path))
		return err_set(e, -E_INVALID, "bad cgroup path '%s'", path);
	if (h->v2[0]) {
		(void)snprintf(file, sizeof(file), "%s/%s/cgroup.kill", h->v2, path);
		(void)small_write(file, "1"); /* since Linux 5.14; what is left goes one by one */
	}
	r = cgroup_procs(path, &pids, &n);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	for (size_t i = 0; i < n; i++)
		(void)kill(pids[i], SIGKILL);
	return 0;
}

int cgroup_extend(const char *path, unsigned controllers, struct err *e)
{
	const struct cgroup_host *h = cgroup_host();
	_cleanup_free_ pid_t *pids = NULL;
	char file[CGROUP_DIR_MAX + 16], pid[16];
	size_t n = 0;
	int r = cgroup_create(path, controllers, e);

	if (r >= 0)
		r = cgroup_procs(path, &pids, &n);
	for (unsigned i = 0; r >= 0 && i < h->n_v1; i++) {
		if (!(h->v1[i].controllers & controllers & ~h->v2_controllers))
			continue;
		(void)snprintf(file, sizeof(file), "%s/%s/cgroup.procs", h->v1[i].mount, path);
		for (size_t k = 0; r >= 0 && k < n; k++) {
			(void)snprintf(pid, sizeof(pid), "%d", (int)pids[k]);
			r = small_write(file, pid);
			if (r == -ESRCH)
				r = 0; /* it ended meanwhile */
		}
	}
	return r < 0 ? err_sys(e, r, "cannot add controllers to the cgroup '%s'", path) : 0;
}

/* --- remove ---------------------------------------------------------------------------------------- */

static int remove_dir(int parent, const char *name, int dir, void *data)
{
	int r = RET_NERRNO(unlinkat(parent, name, AT_REMOVEDIR));

	return r == -ENOENT ? 0 : r;
}

static int remove_in(const char *dir, bool v2, struct err *e)
{
	if (rmdir(dir) == 0 || errno == ENOENT)
		return 0;
	return walk(AT_FDCWD, dir, 0, remove_dir, NULL);
}

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

static void nap(long us)
{
	struct timespec t = { 0, us * 1000 };

	(void)nanosleep(&t, NULL);
}

int cgroup_remove(const char *path, struct err *e)
{
	int64_t end;
	long us = 100;
	int r = each_dir(path, remove_in, NULL);

	if (r >= 0 || r == -E_INVALID)
		return r < 0 ? err_set(e, r, "bad cgroup path '%s'", path) : 0;
	/* The usual end is above: the processes are gone when a guest is undone. Frozen ones die too on
	 * v2, but not on v1. */
	end = now_ms() + KILL_WAIT_MS;
	do {
		(void)cgroup_kill(path, NULL);
		(void)cgroup_freeze(path, false, NULL);
		nap(us);
		us = us < 5000 ? us * 2 : us;
		r = each_dir(path, remove_in, NULL);
	} while (r == -EBUSY && now_ms() < end);
	if (r == -EBUSY)
		return err_sys(
			e, r, "cannot remove the cgroup '%s': processes in it don't end", path);
	return r < 0 ? err_sys(e, r, "cannot remove the cgroup '%s'", path) : 0;
}

/* --- freeze ---------------------------------------------------------------------------------------- */

static bool has_line(const char *text, const char *line)
{
	const char *p = strstr(text, line);

	return p && (p == text || p[-1] == '\n');
}

/* The v2 tree can freeze also where it has no controllers. -ENOENT: v1's freezer must do it. */
static int freeze_v2(const char *path, bool freeze)
{
	const struct cgroup_host *h = cgroup_host();
	char file[CGROUP_DIR_MAX + 16], text[512];
	const char *wanted = freeze ? "frozen 1" : "frozen 0";
	_cleanup_close_ int fd = -1;
	int64_t end = now_ms() + FREEZE_WAIT_MS;
	int r;

	if (!h->v2[0])
		return -ENOENT;
	(void)snprintf(file, sizeof(file), "%s/%s/cgroup.events", h->v2, path);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	(void)snprintf(file, sizeof(file), "%s/%s/cgroup.freeze", h->v2, path);
	r = small_write(file, freeze ? "1" : "0");
	while (r >= 0) {
		struct pollfd p = { .fd = fd, .events = POLLPRI };
		ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

		if (n < 0)
			return -errno;
		text[n] = '\0';
		if (has_line(text, wanted))
			return 0;
		if (now_ms() >= end)
			return -ETIMEDOUT;
		(void)poll(&p, 1, 100);
	}
	return r;
}

static int freeze_v1(const char *path, bool freeze)
{
	char dir[CGROUP_DIR_MAX], file[CGROUP_DIR_MAX + 16], text[64];
	int64_t end = now_ms() + FREEZE_WAIT_MS;
	const char *wanted = freeze ? "FROZEN" : "THAWED";
	bool v2;
	int r = cgroup_dir(cgroup_host(), path, CGROUP_FREEZER, dir, &v2);

	if (r < 0)
		return r;
	(void)snprintf(file, sizeof(file), "%s/freezer.state", dir);
	do {
		/* While processes fork the state stays FREEZING: ask again, and let them run in between
		 * when that doesn't help. */
		r = small_write(file, wanted);
		if (r >= 0)
			r = small_read(file, text, sizeof(text));
		if (r < 0)
			return r;
		if (strcmp(text, wanted) == 0)
			return 0;
		nap(500);
	} while (now_ms() < end);
	return -ETIMEDOUT;
}

int cgroup_freeze(const char *path, bool freeze, struct err *e)
{
	const char *what = freeze ? "freeze" : "thaw";
	int r;

	if (!cgroup_path_ok(path))
		return err_set(e, -E_INVALID, "bad cgroup path '%s'", path);
	r = freeze_v2(path, freeze);
	if (r == -ENOENT)
		r = freeze_v1(path, freeze);
	if (r == -E_UNSUPPORTED) {
		err_set(e, r, "cannot %s '%s': no cgroup here can", what, path);
		return err_mend(e, "mount cgroup v2, or v1's freezer");
	}
	if (r == -ETIMEDOUT && freeze) {
		if (freeze_v2(path, false) == -ENOENT)
			(void)freeze_v1(path, false);
	}
	return r < 0 ? err_sys(e, r, "cannot %s the cgroup '%s'", what, path) : 0;
}

bool cgroup_frozen(const char *path)
{
	const struct cgroup_host *h = cgroup_host();
	char dir[CGROUP_DIR_MAX], file[CGROUP_DIR_MAX + 16], text[512];
	bool v2;

	if (!cgroup_path_ok(path))
		return false;
	if (h->v2[0]) {
		(void)snprintf(file, sizeof(file), "%s/%s/cgroup.events", h->v2, path);
		if (small_read(file, text, sizeof(text)) > 0)
			return has_line(text, "frozen 1");
	}
	if (cgroup_dir(h, path, CGROUP_FREEZER, dir, &v2) < 0)
		return false;
	(void)snprintf(file, sizeof(file), "%s/freezer.state", dir);
	return small_read(file, text, sizeof(text)) > 0 && strcmp(text, "FROZEN") == 0;
}
