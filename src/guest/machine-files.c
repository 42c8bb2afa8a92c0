/* SPDX-License-Identifier: MIT */
/*
 * cp, export and diff of machines: the rules of files.c and diff.c, with the guest's side done by its lodge-init.
 * Archives go through, and nothing of them is kept on the way. What comes from inside may be anything:
 * it is extracted into the folder that the rules give, or as the one file, whatever it calls itself.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "guest/guest-priv.h"
#include "guest/machine-text.h"
#include "guest/service.h"
#include "guest/tartree.h"

#define NOT_THERE 2 /* exit status */

/* A place in the guest: no link at its end when it was followed. */
struct spot {
	char *path;
	bool exists;
	mode_t mode;
};

static void spot_clear(struct spot *s)
{
	g_free(s->path);
}

/* 0 or 1: whether it is there; *ret_target as machine_stat_parse. */
static int stat_in(struct machine_link *l, const char *path, const char *flags, mode_t *ret_mode,
	char **ret_target, struct err *e)
{
	const char *const words[] = { "stat", path, flags, NULL };
	g_autoptr(GByteArray) text = g_byte_array_new();
	struct service *s;
	int status = 0, r;

	r = service_begin(l, words, service_to_bytes, text, &s, e);
	if (r >= 0)
		r = service_end(s, &status, e);
	if (r < 0)
		return r;
	if (status == NOT_THERE)
		return 0;
	if (status != 0 ||
		machine_stat_parse((const char *)text->data, text->len, ret_mode, ret_target) < 0)
		return err_set(e, -EIO, "cannot look at '%s' in the machine", path);
	return 1;
}

/* As place_find() in files.c: by names, so that the result is a folder and a name. */
static int find(
	struct machine_link *l, const char *path, bool follow, struct spot *ret, struct err *e)
{
	g_autofree char *at = path_strip_end(path);

	for (int i = 0; i < LINKS_MAX; i++) {
		g_autofree char *target = NULL, *dir = NULL, *next = NULL;
		mode_t mode = 0;
		int r = stat_in(l, at, "", &mode, &target, e);

		if (r < 0)
			return r;
		if (r == 0 || !follow || !S_ISLNK(mode)) {
			*ret = (struct spot){ g_steal_pointer(&at), r == 1, mode };
			return 0;
		}
		dir = g_path_get_dirname(at);
		next = target[0] == '/' ? g_strdup(target) : g_build_filename(dir, target, NULL);
		g_free(at);
		at = path_strip_end(next);
	}
	return err_sys(e, -ELOOP, "cannot open '%s'", path);
}

static int find_source(
	const struct copy_job *j, struct machine_link *l, struct spot *ret, struct err *e)
{
	const char *path = j->guest_path;
	int r = find(l, path, j->follow || path_wants_folder(path), ret, e);

	if (r < 0)
		return r;
	if (!ret->exists)
		return copy_no_such(j, path, true, -ENOENT, e);
	if (path_wants_folder(path) && !S_ISDIR(ret->mode))
		return err_set(e, -E_INVALID, "'%s' is not a folder", path);
	return 0;
}

/* "/", "." and "..": a folder that has no name. */
static bool is_whole(const char *path)
{
	g_autofree char *plain = path_strip_end(path), *base = g_path_get_basename(plain);

	return g_str_equal(base, "/") || g_str_equal(base, ".") || g_str_equal(base, "..");
}

/* --- out --- */

static int copy_out_put(void *data, const void *bytes, size_t n, struct err *e)
{
	return tar_copy_put(data, bytes, n, e);
}

/* The folder that the copy of a folder is, made where it isn't there. */
static int open_target(const struct place *dst, bool contents, struct err *e)
{
	int fd = contents ? 0 : RET_NERRNO(mkdirat(dst->dir, dst->name, 0700));

	if (fd < 0 && fd != -EEXIST)
		return err_sys(e, fd, "cannot create '%s'", dst->name);
	fd = RET_NERRNO(
		openat(dst->dir, dst->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (fd == -ENOTDIR || fd == -ELOOP)
		return err_set(e, -E_INVALID,
			"cannot overwrite '%s', which is no folder, with a folder", dst->name);
	return fd < 0 ? err_sys(e, fd, "cannot open '%s'", dst->name) : fd;
}

static int copy_out(const struct copy_job *j, struct machine_link *l, struct err *e)
{
	const char *words[] = { "pack", NULL, NULL, NULL };
	struct tar_tree_owner owner = { j->archive, j->uid, j->gid };
	_cleanup_(tar_copy_freep) struct tar_copy *t = NULL;
	_cleanup_(place_clear) struct place dst = { .dir = -1 };
	_cleanup_(spot_clear) struct spot src = { 0 };
	_cleanup_close_ int dir = -1;
	struct copy_tree how = { 0 };
	bool folder;
	int r = find_source(j, l, &src, e);

	if (r < 0)
		return r;
	folder = S_ISDIR(src.mode);
	r = copy_find_target(j, j->guest_path, folder, is_whole(src.path), AT_FDCWD, j->host_path,
		&dst, &how, e);
	if (r >= 0 && folder)
		r = dir = open_target(&dst, how.contents, e);
	if (r < 0)
		return r;
	t = tar_copy_new(folder ? dir : dst.dir, &owner, folder ? NULL : dst.name,
		how.contents ? 0 : TAR_COPY_TOP);
	words[1] = src.path;
	words[2] = folder ? "contents" : "";
	r = service_run(l, words, copy_out_put, t, e);
	return r < 0 ? r : tar_copy_end(t, e);
}

static int tar_out(const struct copy_job *j, struct machine_link *l, struct err *e)
{
	g_autofree char *plain = path_strip_end(j->guest_path);
	bool follow = j->follow || path_wants_folder(j->guest_path);
	bool contents = path_wants_contents(j->guest_path) || g_str_equal(plain, "/");
	g_autofree char *flags =
		g_strdup_printf("%s,%s", follow ? "follow" : "", contents ? "contents" : "");
	const char *const words[] = { "pack", plain, flags, NULL };
	_cleanup_(spot_clear) struct spot src = { 0 };
	int out = STDOUT_FILENO, r = find_source(j, l, &src, e);

	return r < 0 ? r : service_run(l, words, service_to_fd, &out, e);
}

/* --- in --- */

static int put_in(void *data, const void *bytes, size_t n, struct err *e)
{
	return service_put(data, bytes, n, e);
}

/* Where the copy goes: words of "unpack", and what the archive calls it. */
static int find_target(const struct copy_job *j, struct machine_link *l, bool src_dir,
	bool src_whole, char **ret_dir, char **ret_name, bool *ret_contents, struct err *e)
{
	_cleanup_(spot_clear) struct spot dst = { 0 };
	struct copy_goal goal;
	mode_t mode = 0;
	int r = find(l, j->guest_path, true, &dst, e);

	if (r >= 0)
		r = copy_target(j->host_path, src_dir, src_whole, j->guest_path, dst.exists,
			dst.exists && S_ISDIR(dst.mode), &goal, e);
	if (r < 0)
		return r;
	*ret_contents = goal.contents;
	if (goal.into) {
		*ret_dir = g_steal_pointer(&dst.path);
		*ret_name = goal.name;
		return 0;
	}
	*ret_dir = g_path_get_dirname(dst.path);
	*ret_name = g_path_get_basename(dst.path);
	if (!dst.exists) {
		g_autofree char *target = NULL;

		r = stat_in(l, *ret_dir, "follow", &mode, &target, e);
		if (r < 0)
			return r;
		if (r == 0 || !S_ISDIR(mode))
			return copy_no_such(j, j->guest_path, true, r == 0 ? -ENOENT : -ENOTDIR, e);
	}
	return 0;
}

/* The input of "unpack": a tree of the host's, or standard input. */
static int unpack(const struct copy_job *j, struct machine_link *l, const char *dir,
	int (*give)(void *data, struct service *s, struct err *e), void *data, struct err *e)
{
	const char *const words[] = { "unpack", dir,
		g_str_equal(j->host_path, "-") ? (j->archive ? "owner" : "")
		: j->archive		       ? "owner,copy"
					       : "copy",
		NULL };
	struct err ours = { 0 };
	struct service *s;
	int r = service_begin(l, words, NULL, NULL, &s, e), theirs;

	if (r < 0)
		return r;
	r = give(data, s, &ours);
	/* the end of an archive that isn't whole makes lodge-init say so, but it is ours to explain; and
	 * -EPIPE is explained by the other side */
	theirs = service_end(s, NULL, e);
	if (r < 0 && (r != -EPIPE || theirs >= 0)) {
		if (e)
			*e = ours;
		return r;
	}
	return MIN(theirs, 0);
}

struct tree {
	const struct place *src;
	const char *name;
	unsigned flags;
};

static int give_tree(void *data, struct service *s, struct err *e)
{
	const struct tree *t = data;

	return tar_tree_write_to(t->src->dir, t->src->name, t->name, t->flags, put_in, s, e);
}

static int copy_in(const struct copy_job *j, struct machine_link *l, struct err *e)
{
	_cleanup_(place_clear) struct place src = { .dir = -1 };
	g_autofree char *dir = NULL, *name = NULL;
	struct tree t = { .src = &src };
	bool contents = false;
	int r = copy_find_source(j, AT_FDCWD, j->host_path, &src, e);

	if (r >= 0)
		r = find_target(j, l, S_ISDIR(src.st.st_mode), g_str_equal(src.name, "."), &dir,
			&name, &contents, e);
	if (r < 0)
		return r;
	t.name = name;
	t.flags = contents ? TAR_TREE_NO_TOP : 0;
	return unpack(j, l, dir, give_tree, &t, e);
}

static int give_stdin(void *data, struct service *s, struct err *e)
{
	return tar_tree_plain(STDIN_FILENO, put_in, s, e);
}

static int tar_in(const struct copy_job *j, struct machine_link *l, struct err *e)
{
	g_autofree char *target = NULL;
	mode_t mode = 0;
	int r = stat_in(l, j->guest_path, "follow", &mode, &target, e);

	if (r < 0)
		return r;
	if (r == 0)
		return copy_no_such(j, j->guest_path, true, -ENOENT, e);
	if (!S_ISDIR(mode))
		return err_set(e, -E_INVALID, "'%s' is not a folder", j->guest_path);
	return unpack(j, l, j->guest_path, give_stdin, NULL, e);
}

/* --- all of it --- */

/* A held machine's last word counts: what was copied must have reached its disk. */
static int close_link(struct machine_link **l, int r, struct err *e)
{
	struct err last = { 0 };
	int end = machine_link_close(TAKE_PTR(*l), &last);

	if (r < 0 || end >= 0)
		return MIN(r, 0);
	if (e)
		*e = last;
	return end;
}

int machine_copy(struct ctx *c, struct guest *g, struct copy_job *j, struct err *e)
{
	bool tar = g_str_equal(j->host_path, "-");
	struct machine_link *l = NULL;
	int r;

	if (j->out) {
		j->uid = geteuid();
		j->gid = getegid();
	}
	r = machine_link_open(c, g, 0, &l, e);
	if (r < 0)
		return r;
	if (j->out)
		r = tar ? tar_out(j, l, e) : copy_out(j, l, e);
	else
		r = tar ? tar_in(j, l, e) : copy_in(j, l, e);
	return close_link(&l, r, e);
}

int machine_export(struct ctx *c, struct guest *g, int out_fd, struct err *e)
{
	static const char *const words[] = { "pack", "/", "contents,one-fs", NULL };
	struct machine_link *l = NULL;
	int r;

	r = machine_link_open(c, g, MACHINE_BARE, &l, e);
	if (r < 0)
		return r;
	r = service_run(l, words, service_to_fd, &out_fd, e);
	return close_link(&l, r, e);
}

int machine_diff(struct ctx *c, struct guest *g, json_t **ret, struct err *e)
{
	static const char *const words[] = { "changes", NULL };
	_cleanup_(machine_link_freep) struct machine_link *l = NULL;
	g_autoptr(GByteArray) text = g_byte_array_new();
	int r;

	r = machine_link_open(c, g, MACHINE_BARE, &l, e);
	if (r >= 0)
		r = service_run(l, words, service_to_bytes, text, e);
	if (r < 0)
		return r;
	r = machine_changes_parse((const char *)text->data, text->len, ret);
	return r < 0 ? err_set(e, r, "machine '%s' tells nonsense of its changes", g->rec->name)
		     : 0;
}
