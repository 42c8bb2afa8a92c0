/* SPDX-License-Identifier: MIT */
/*
 * cp: files between the host and a guest. Specification: docker-cli's reference, "container cp". The
 * guest's paths are resolved inside its root (openat2, RESOLVE_IN_ROOT), the host's as the caller's.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "guest/guest-priv.h"
#include "guest/service.h"
#include "guest/tartree.h"
#include "host/path.h"

void place_clear(struct place *p)
{
	closep(&p->dir);
	g_free(p->name);
}

/* root: the guest's, or AT_FDCWD for the host's. */
static int open_at(int root, const char *path, int flags)
{
	if (root == AT_FDCWD)
		return RET_NERRNO(open(path, flags | O_CLOEXEC));
	return path_open_in(root, *path ? path : "/", flags | O_CLOEXEC, 0, 0);
}

char *path_strip_end(const char *path)
{
	char *p = g_strdup(*path ? path : "/");
	size_t n = strlen(p);

	for (;;) {
		if (n > 1 && p[n - 1] == '/')
			n--;
		else if (n > 2 && p[n - 1] == '.' && p[n - 2] == '/')
			n--;
		else
			break;
		p[n] = '\0';
	}
	return p;
}

bool path_wants_contents(const char *path)
{
	return g_str_equal(path, ".") || g_str_has_suffix(path, "/.");
}

bool path_wants_folder(const char *path)
{
	return g_str_has_suffix(path, "/") || path_wants_contents(path);
}

/* Opens the folder that holds path. "/", "." and ".." are places in themselves. */
static int place_at(int root, const char *path, struct place *p)
{
	g_autofree char *base = g_path_get_basename(path);
	g_autofree char *dir = NULL;

	if (g_str_equal(base, "/") || g_str_equal(base, ".") || g_str_equal(base, "..")) {
		p->name = g_strdup(".");
		p->dir = open_at(root, path, O_RDONLY | O_DIRECTORY);
	} else {
		dir = g_path_get_dirname(path);
		p->name = g_steal_pointer(&base);
		p->dir = open_at(root, dir, O_RDONLY | O_DIRECTORY);
	}
	if (p->dir < 0)
		return p->dir;
	p->exists = fstatat(p->dir, p->name, &p->st, AT_SYMLINK_NOFOLLOW) == 0;
	return p->exists || errno == ENOENT ? 0 : -errno;
}

/* Finds path; with follow goes on where a link at its end leads to, by names, so that the result is a
 * folder and a name again. */
static int place_find(int root, const char *path, bool follow, struct place *ret)
{
	g_autofree char *at = path_strip_end(path);
	int r;

	for (int i = 0; i < LINKS_MAX; i++) {
		_cleanup_(place_clear) struct place p = { .dir = -1 };
		char target[PATH_MAX];
		ssize_t n;

		r = place_at(root, at, &p);
		if (r < 0)
			return r;
		if (!follow || !p.exists || !S_ISLNK(p.st.st_mode)) {
			*ret = p;
			p.dir = -1;
			p.name = NULL;
			return 0;
		}
		n = readlinkat(p.dir, p.name, target, sizeof(target) - 1);
		if (n < 0)
			return -errno;
		target[n] = '\0';
		g_autofree char *dir = g_path_get_dirname(at);
		g_autofree char *next =
			target[0] == '/' ? g_strdup(target) : g_build_filename(dir, target, NULL);
		g_free(at);
		at = path_strip_end(next);
	}
	return -ELOOP;
}

int copy_no_such(const struct copy_job *j, const char *path, bool in_guest, int r, struct err *e)
{
	if (r == -ENOENT && in_guest)
		return err_set(e, -E_NOTFOUND, "no such file or folder '%s' in guest '%s'", path,
			j->guest);
	if (r == -ENOENT)
		return err_set(e, -E_NOTFOUND, "no such file or folder '%s'", path);
	return err_sys(e, r, "cannot open '%s'", path);
}

int copy_find_source(
	const struct copy_job *j, int root, const char *path, struct place *src, struct err *e)
{
	int r = place_find(root, path, j->follow || path_wants_folder(path), src);

	if (r >= 0 && !src->exists)
		r = -ENOENT;
	if (r < 0)
		return copy_no_such(j, path, root != AT_FDCWD, r, e);
	if (path_wants_folder(path) && !S_ISDIR(src->st.st_mode))
		return err_set(e, -E_INVALID, "'%s' is not a folder", path);
	return 0;
}

int copy_target(const char *src_path, bool src_dir, bool src_whole, const char *path, bool exists,
	bool is_dir, struct copy_goal *ret, struct err *e)
{
	g_autofree char *plain = path_strip_end(src_path);
	bool contents = path_wants_contents(src_path) || src_whole;

	*ret = (struct copy_goal){ 0 };
	if (!exists) {
		if (!src_dir && path_wants_folder(path))
			return err_set(
				e, -E_NOTFOUND, "the destination folder '%s' must exist", path);
		return 0;
	}
	if (!is_dir) {
		if (src_dir)
			return err_set(
				e, -E_INVALID, "cannot copy a folder to the file '%s'", path);
		if (path_wants_folder(path))
			return err_set(e, -E_INVALID, "'%s' is not a folder", path);
		return 0;
	}
	ret->into = true;
	ret->contents = src_dir && contents;
	ret->name = ret->contents ? g_strdup(".") : g_path_get_basename(plain);
	return 0;
}

int copy_find_target(const struct copy_job *j, const char *src_path, bool src_dir, bool src_whole,
	int root, const char *path, struct place *dst, struct copy_tree *how, struct err *e)
{
	struct copy_goal goal;
	int r = place_find(root, path, true, dst), dir;

	if (r < 0)
		return copy_no_such(j, path, root != AT_FDCWD, r, e);
	r = copy_target(src_path, src_dir, src_whole, path, dst->exists,
		dst->exists && S_ISDIR(dst->st.st_mode), &goal, e);
	if (r < 0 || !goal.into)
		return r;
	dir = RET_NERRNO(openat(dst->dir, dst->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (dir < 0) {
		g_free(goal.name);
		return err_sys(e, dir, "cannot open '%s'", path);
	}
	(void)close(dst->dir);
	g_free(dst->name);
	dst->dir = dir;
	dst->name = goal.name;
	how->contents = goal.contents;
	return 0;
}

static int copy_between(const struct copy_job *j, int src_root, const char *src_path, int dst_root,
	const char *dst_path, struct err *e)
{
	_cleanup_(place_clear) struct place src = { .dir = -1 }, dst = { .dir = -1 };
	struct copy_tree how = { .keep_owner = j->archive, .uid = j->uid, .gid = j->gid };
	int r;

	r = copy_find_source(j, src_root, src_path, &src, e);
	if (r >= 0)
		r = copy_find_target(j, src_path, S_ISDIR(src.st.st_mode),
			g_str_equal(src.name, "."), dst_root, dst_path, &dst, &how, e);
	if (r < 0)
		return r;
	/* "." as a source's name and no contents wanted: the folder becomes the new name */
	return copy_tree(src.dir, src.name, dst.dir, dst.name, &how, e);
}

static int tar_out(const struct copy_job *j, int root, struct err *e)
{
	_cleanup_(place_clear) struct place src = { .dir = -1 };
	g_autofree char *plain = path_strip_end(j->guest_path);
	g_autofree char *base = g_path_get_basename(plain);
	int r;

	r = copy_find_source(j, root, j->guest_path, &src, e);
	if (r < 0)
		return r;
	if (path_wants_contents(j->guest_path) || g_str_equal(base, "/"))
		return tar_tree_write(src.dir, src.name, ".", 0, STDOUT_FILENO, e);
	return tar_tree_write(src.dir, src.name, base, 0, STDOUT_FILENO, e);
}

static int tar_in(const struct copy_job *j, int root, struct err *e)
{
	struct tar_tree_owner owner = { j->archive, j->uid, j->gid };
	_cleanup_close_ int dir = open_at(root, j->guest_path, O_RDONLY | O_DIRECTORY);

	if (dir == -ENOTDIR)
		return err_set(e, -E_INVALID, "'%s' is not a folder", j->guest_path);
	if (dir < 0)
		return copy_no_such(j, j->guest_path, true, dir, e);
	return tar_tree_read(STDIN_FILENO, dir, &owner, e);
}

static int work(int root, void *data, struct err *e)
{
	const struct copy_job *j = data;
	bool tar = g_str_equal(j->host_path, "-");

	if (j->out)
		return tar ? tar_out(j, root, e)
			   : copy_between(j, root, j->guest_path, AT_FDCWD, j->host_path, e);
	return tar ? tar_in(j, root, e)
		   : copy_between(j, AT_FDCWD, j->host_path, root, j->guest_path, e);
}

/* Who is root inside, seen from here. */
static uint32_t root_id(const GArray *map)
{
	for (guint i = 0; map && i < map->len; i++) {
		const struct spec_idmap *m = &g_array_index(map, struct spec_idmap, i);

		if (m->inside == 0)
			return m->outside;
	}
	return 0;
}

static int do_copy(struct ctx *c, struct guest *g, struct copy_job *j, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int r = machine_has_services(g, e);

	j->guest = g->rec->name;
	if (r > 0 && c->explain)
		printf("# by the machine's lodge-init: %s '%s' | tar -x at '%s'\n",
			j->out ? "pack" : "tar -c", j->out ? j->guest_path : j->host_path,
			j->out ? j->host_path : j->guest_path);
	if (r != 0)
		return r < 0 || c->explain ? MIN(r, 0) : machine_copy(c, g, j, e);
	if (c->explain) {
		g_autofree char *at = g_strdup_printf(
			"/proc/%d/root/%s", g->pid, j->guest_path + (j->guest_path[0] == '/'));

		printf("cp -r%s '%s' '%s'   # paths of the guest are resolved inside its root\n",
			j->archive ? "a" : "", j->out ? at : j->host_path,
			j->out ? j->host_path : at);
		return 0;
	}
	if (!guest_is_up(g)) { /* nobody starts it meanwhile */
		lock = guest_lock(c, g, e);
		if (lock < 0)
			return lock;
	}
	if (j->out) {
		j->uid = geteuid();
		j->gid = getegid();
	} else {
		j->uid = root_id(g->spec->uid_map);
		j->gid = root_id(g->spec->gid_map);
	}
	return guest_with_root(c, g, 0, work, j, e);
}

int guest_copy_out(struct ctx *c, struct guest *g, const char *path, const char *host_path,
	bool follow, bool archive, struct err *e)
{
	struct copy_job j = { .out = true,
		.follow = follow,
		.archive = archive,
		.guest_path = path,
		.host_path = host_path };

	return do_copy(c, g, &j, e);
}

int guest_copy_in(struct ctx *c, struct guest *g, const char *host_path, const char *path,
	bool follow, bool archive, struct err *e)
{
	struct copy_job j = {
		.follow = follow, .archive = archive, .guest_path = path, .host_path = host_path
	};

	return do_copy(c, g, &j, e);
}

/* --- stat ---------------------------------------------------------------------------------------------- */

struct stat_job {
	struct copy_job copy;	 /* for its errors */
	struct guest_file *file; /* shared with the process that looks */
};

static int stat_work(int root, void *data, struct err *e)
{
	struct stat_job *j = data;
	_cleanup_(place_clear) struct place p = { .dir = -1 };
	int r = copy_find_source(&j->copy, root, j->copy.guest_path, &p, e);

	if (r < 0)
		return r;
	j->file->mode = p.st.st_mode;
	j->file->size = p.st.st_size;
	j->file->mtime = (int64_t)p.st.st_mtim.tv_sec * 1000000000 + p.st.st_mtim.tv_nsec;
	if (S_ISLNK(p.st.st_mode) &&
		readlinkat(p.dir, p.name, j->file->target, sizeof(j->file->target) - 1) < 0)
		return err_sys(e, -errno, "cannot read the link '%s'", j->copy.guest_path);
	return 0;
}

int guest_stat(
	struct ctx *c, struct guest *g, const char *path, struct guest_file *ret, struct err *e)
{
	g_autofree char *plain = path_strip_end(path), *base = g_path_get_basename(plain);
	struct stat_job j = { .copy = { .guest = g->rec->name, .guest_path = path } };
	_cleanup_close_ int lock = -1;
	int r = machine_has_services(g, e);

	if (r > 0)
		r = err_set(e, -E_UNSUPPORTED,
			"guest '%s' is a machine: its files can't be looked at", g->rec->name);
	if (r < 0)
		return r;
	if (!guest_is_up(g)) {
		lock = guest_lock(c, g, e);
		if (lock < 0)
			return lock;
	}
	j.file = mmap(
		NULL, sizeof(*j.file), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (j.file == MAP_FAILED)
		return err_sys(e, -errno, "cannot map memory");
	r = guest_with_root(c, g, 0, stat_work, &j, e);
	*ret = *j.file;
	g_strlcpy(ret->name, base, sizeof(ret->name));
	(void)munmap(j.file, sizeof(*j.file));
	return r;
}

/* --- export ------------------------------------------------------------------------------------------- */

static int export_work(int root, void *data, struct err *e)
{
	return tar_tree_write(root, ".", ".", TAR_TREE_ONE_FS, *(int *)data, e);
}

int guest_export(struct ctx *c, struct guest *g, int out_fd, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int r = machine_has_services(g, e);

	if (r > 0 && c->explain)
		printf("# by the machine's lodge-init: tar --one-file-system -c .\n");
	if (r != 0)
		return r < 0 || c->explain ? MIN(r, 0) : machine_export(c, g, out_fd, e);
	if (c->explain) {
		printf("tar -C /proc/%d/root --one-file-system -c .\n", g->pid);
		return 0;
	}
	if (!guest_is_up(g)) {
		lock = guest_lock(c, g, e);
		if (lock < 0)
			return lock;
		return guest_with_root(c, g, ROOT_BARE, export_work, &out_fd, e);
	}
	return guest_with_root(c, g, 0, export_work, &out_fd, e);
}
