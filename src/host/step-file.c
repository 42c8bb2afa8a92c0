/* SPDX-License-Identifier: MIT */
/* Steps on files and folders of the host. Undo removes what a step made, and only that. */
#include "host/steps.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/path.h"

static mode_t mode_arg(const char *s)
{
	return (mode_t)strtoul(s, NULL, 8);
}

static int gone_is_fine(int r)
{
	r = r < 0 ? -errno : 0;
	return r == -ENOENT || r == -ENOTEMPTY || r == -EEXIST ? 0 : r;
}

/* --- mkdir --- */

static int mkdir_run(struct step_run *r, const struct step *s, struct err *e)
{
	return RET_NERRNO(mkdir(s->arg[0], mode_arg(s->arg[1])));
}

static int mkdir_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return gone_is_fine(rmdir(s->arg[0]));
}

static void mkdir_show(const struct step *s, struct text *t)
{
	text_addf(t, "mkdir -m %s ", s->arg[1]);
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_mkdir = { .name = "mkdir",
	.args = "path mode",
	.run = mkdir_run,
	.undo = mkdir_undo,
	.show = mkdir_show };

static int mkdirs_run(struct step_run *r, const struct step *s, struct err *e)
{
	char path[PATH_MAX];
	mode_t mode = mode_arg(s->arg[1]);

	if (mkdir(s->arg[0], mode) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	if (strlen(s->arg[0]) >= sizeof(path))
		return -ENAMETOOLONG;
	memcpy(path, s->arg[0], strlen(s->arg[0]) + 1);
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		if (mkdir(path, mode) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

static void mkdirs_show(const struct step *s, struct text *t)
{
	text_addf(t, "mkdir -p -m %s ", s->arg[1]);
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_mkdirs = { .name = "mkdirs",
	.args = "path mode",
	.run = mkdirs_run,
	.undo = mkdir_undo,
	.show = mkdirs_show };

/* --- tree --- */

static int remove_tree(const char *path)
{
	return path_remove_tree(AT_FDCWD, path);
}

static int tree_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return remove_tree(s->arg[0]);
}

const struct step_ops step_tree = {
	.name = "tree", .args = "path mode", .run = mkdir_run, .undo = tree_undo, .show = mkdir_show
};

static int remove_run(struct step_run *r, const struct step *s, struct err *e)
{
	return remove_tree(s->arg[0]);
}

static void remove_show(const struct step *s, struct text *t)
{
	text_add(t, "rm -rf --one-file-system ");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_remove = {
	.name = "remove", .args = "path", .run = remove_run, .show = remove_show
};

/* --- write --- */

static int write_run(struct step_run *r, const struct step *s, struct err *e)
{
	_cleanup_close_ int fd = -1;
	size_t n = strlen(s->arg[1]);
	int code = 0;

	fd = open(s->arg[0], O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
		mode_arg(s->arg[2]));
	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < n;) {
		ssize_t w = write(fd, s->arg[1] + done, n - done);

		if (w < 0 && errno != EINTR) {
			code = -errno;
			(void)unlink(s->arg[0]);
			break;
		}
		done += w > 0 ? (size_t)w : 0;
	}
	return code;
}

static int unlink_undo(struct step_run *r, const struct step *s, struct err *e)
{
	return gone_is_fine(unlink(s->arg[0]));
}

static void write_show(const struct step *s, struct text *t)
{
	text_add(t, "printf %s ");
	text_add_word(t, s->arg[1]);
	text_add(t, " >");
	text_add_word(t, s->arg[0]);
}

const struct step_ops step_write = { .name = "write",
	.args = "path text mode",
	.run = write_run,
	.undo = unlink_undo,
	.show = write_show };

/* --- symlink --- */

/* One that is there with the same target is ours: a guest that restarts holds it (STEP_HOLD). */
static int symlink_run(struct step_run *r, const struct step *s, struct err *e)
{
	char old[PATH_MAX];
	ssize_t n;

	if (symlink(s->arg[0], s->arg[1]) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	n = readlink(s->arg[1], old, sizeof(old) - 1);
	if (n >= 0) {
		old[n] = '\0';
		if (strcmp(old, s->arg[0]) == 0)
			return 0;
		return err_set(e, -EEXIST, "symlink '%s': belongs to '%s'", s->arg[1], old);
	}
	return -EEXIST;
}

/* Only the link with our target: another guest may have the name by now. */
static int symlink_undo(struct step_run *r, const struct step *s, struct err *e)
{
	char old[PATH_MAX];
	ssize_t n = readlink(s->arg[1], old, sizeof(old) - 1);

	if (n < 0)
		return 0;
	old[n] = '\0';
	return strcmp(old, s->arg[0]) == 0 ? gone_is_fine(unlink(s->arg[1])) : 0;
}

static void symlink_show(const struct step *s, struct text *t)
{
	text_add(t, "ln -s ");
	text_add_word(t, s->arg[0]);
	text_add(t, " ");
	text_add_word(t, s->arg[1]);
}

const struct step_ops step_symlink = { .name = "symlink",
	.args = "target path",
	.run = symlink_run,
	.undo = symlink_undo,
	.show = symlink_show };
