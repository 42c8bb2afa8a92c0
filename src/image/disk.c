/* SPDX-License-Identifier: MIT */
#include "image/disk.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>
#include "codec/json.h"
#include "host/path.h"
#include "host/steps.h"
#include "image/archive-priv.h"
#include "image/child.h"
#include "image/disk-format.h"
#include "store/blob.h"
#include "store/disk.h"
#include "store/journal.h"

#define FORMAT_STORED DISK_QCOW2

/* --- asking -------------------------------------------------------------------------------------- */

void image_disk_free(struct image_disk *d)
{
	if (!d)
		return;
	g_free(d->id);
	g_free(d->path);
	g_free(d->format);
	g_free(d->arch);
	g_free(d);
}

void image_disk_freep(struct image_disk **d)
{
	image_disk_free(*d);
}

int image_disk(struct ctx *c, const char *ref, struct image_disk **ret, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	struct image_disk *d;
	int r = image_resolve(c, ref, &i, e);

	if (r < 0)
		return r;
	if (!i->disk) {
		err_set(e, -E_INVALID, "the image '%s' is a root file system, not a disk", ref);
		(void)err_mend(e,
			"lodge run --vm starts it as a machine; lodge image build-from-mirror "
			"--disk and image import --disk make disks");
		return -E_INVALID;
	}
	d = g_new0(struct image_disk, 1);
	d->id = g_strdup(i->id);
	d->path = disk_path(c, i->disk, i->disk_format);
	d->format = g_strdup(i->disk_format);
	d->size = i->disk_size;
	d->arch = g_strdup(i->arch);
	*ret = d;
	return 0;
}

int image_need_layers(const struct image_record *i, const char *ref, struct err *e)
{
	if (!i->disk)
		return 0;
	err_set(e, -E_INVALID, "the image '%s' is a machine's disk, not a root file system", ref);
	(void)err_mend(e, "lodge vm run boots it");
	return -E_INVALID;
}

/* --- programs ------------------------------------------------------------------------------------ */

static int no_program(const char *name, const char *package, struct err *e)
{
	err_set(e, -E_UNSUPPORTED, "%s isn't there", name);
	(void)err_mend(e, "apt-get install %s", package);
	return -E_UNSUPPORTED;
}

int disk_program(char *const *argv, const char *package, const char *tmpdir,
	const struct image_progress *progress, struct err *e)
{
	struct child x = {
		.argv = (char **)(uintptr_t)argv, .tmpdir = tmpdir, .progress = progress
	};
	int r = child_run(&x, e);

	return r == -E_NOTFOUND ? no_program(argv[0], package, e) : r;
}

int disk_need_program(const char *name, const char *package, struct err *e)
{
	g_autofree char *path = g_find_program_in_path(name);

	return path ? 0 : no_program(name, package, e);
}

/* --- recording ----------------------------------------------------------------------------------- */

struct hashing {
	const struct image_progress *progress;
	int64_t told;
};

static void tell_hashing(void *data, int64_t bytes)
{
	struct hashing *h = data;

	if (bytes - h->told < (16 << 20))
		return;
	h->told = bytes;
	image_tell(h->progress, "checking %d MB", (int)(bytes / 1000000));
}

static int read_whole(int fd, int64_t offset, void *buf, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)buf + done, size - done, offset + (int64_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return 0;
}

static int read_fd(void *data, int64_t offset, void *buf, size_t size)
{
	return read_whole(*(int *)data, offset, buf, size);
}

/* What a guest sees of a file that we made. */
static int stored_size(const char *file, int64_t *ret, struct err *e)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct disk_bytes b = { .read = read_fd, .data = &fd };
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(e, -errno, "cannot read '%s'", file);
	b.size = st.st_size;
	r = disk_format_check(FORMAT_STORED, &b, file, ret, e);
	if (r >= 0 && *ret > DISK_SIZE_MAX)
		r = err_set(
			e, -E_LIMIT, "the disk is larger than %d TiB", (int)(DISK_SIZE_MAX >> 40));
	return r;
}

int image_add_disk(struct ctx *c, const char *file, const struct image_new *n,
	const char *const *names, const struct image_progress *progress, char **ret_id,
	struct err *e)
{
	const char *format = disk_format_name(FORMAT_STORED);
	struct hashing h = { .progress = progress };
	struct image_new with = *n;
	g_autofree char *text = NULL, *digest = NULL;
	struct image_new_disk disk = { .format = format };
	int64_t bytes;
	int r;

	image_tell(progress, "checking");
	r = stored_size(file, &disk.size, e);
	if (r >= 0)
		r = disk_keep(c, file, format, tell_hashing, &h, &digest, &bytes, e);
	if (r < 0)
		return r;
	disk.digest = digest;
	with.diff_ids = NULL;
	with.n_diff_ids = 0;
	with.disk = &disk;
	text = image_config_text(&with);
	return image_add(c, text, strlen(text), NULL, 0, names, ret_id, e);
}

/* --- importing ----------------------------------------------------------------------------------- */

struct import {
	struct ctx *c;
	const char *path;
	const struct disk_import_options *o;
	GPtrArray *names; /* full, NULL at the end */
	int fd;
	enum disk_format format;
	char *dir;    /* ROOT/cache/disk.OWNER */
	char *source; /* the open file, for a program that inherits it */
	char *target;
};

static int open_source(struct import *i, struct err *e)
{
	struct disk_bytes b = { .read = read_fd, .data = &i->fd };
	struct stat st;
	int64_t size;
	int r;

	/* not close-on-exec: qemu-img gets this very file, whatever the path has meanwhile */
	i->fd = RET_NERRNO(open(i->path, O_RDONLY | O_NOCTTY | O_NONBLOCK));
	if (i->fd < 0)
		return err_sys(e, i->fd, "cannot open '%s'", i->path);
	if (fstat(i->fd, &st) < 0)
		return err_sys(e, -errno, "cannot read '%s'", i->path);
	b.size = st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(i->fd, BLKGETSIZE64, &b.size) < 0)
		return err_sys(e, -errno, "cannot read '%s'", i->path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(e, -E_INVALID, "'%s' is neither a file nor a disk", i->path);
	if (b.size == 0)
		return err_set(e, -E_CORRUPT, "'%s' is empty", i->path);
	r = i->o->format ? disk_format_from_name(i->o->format, e)
			 : disk_format_probe(&b, i->path, e);
	if (r < 0)
		return r;
	i->format = (enum disk_format)r;
	r = disk_format_check(i->format, &b, i->path, &size, e);
	if (r >= 0 && size > DISK_SIZE_MAX)
		r = err_set(e, -E_LIMIT, "'%s' is larger than %d TiB", i->path,
			(int)(DISK_SIZE_MAX >> 40));
	return r;
}

static int convert(struct import *i, char *const *argv, struct err *e)
{
	int r;

	if (mkdir(i->dir, 0700) < 0)
		return err_sys(e, -errno, "cannot make '%s'", i->dir);
	image_tell(i->o->progress, "converting");
	r = disk_program(argv, "qemu-utils", i->dir, i->o->progress, e);
	if (r == -EIO && e && strstr(e->text, "lock"))
		(void)err_mend(e, "a machine that runs has it open: shut that down first");
	if (r == -EIO && e && strstr(e->text, "No space left"))
		(void)err_mend(
			e, "make room in '%s', for instance with 'lodge system prune'", i->c->root);
	return r;
}

static int import(struct import *i, char *const *argv, char **ret_id, struct err *e)
{
	g_autofree char *message = g_strdup_printf("Imported from %s", i->path);
	struct image_new n = { .arch = i->o->arch,
		.created = g_get_real_time() * 1000,
		.comment = i->o->message ? i->o->message : message };
	_cleanup_close_ int hold = blob_hold(i->c, e);
	int r = hold;

	if (r >= 0)
		r = convert(i, argv, e);
	if (r >= 0)
		r = image_add_disk(i->c, i->target, &n, (const char *const *)i->names->pdata,
			i->o->progress, ret_id, e);
	image_tell(i->o->progress, NULL);
	return r;
}

/* In the journal while it is copied: the folder and the file of a dead command are removed. */
static int import_held(struct import *i, char **ret_id, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	const char *format = disk_format_name(i->format);
	const char *argv[] = { "qemu-img", "convert", "-f", format, "-O", "qcow2", i->source,
		i->target, NULL };
	struct journal_hold hold;
	int r;

	plan_add(p, AT_HOST, &step_tree, i->dir, "0700");
	plan_add(p, AT_HOST, &step_content, "qemu-img", "convert", "-f", format, "-O", "qcow2",
		i->path, plan_str(p, "%s/disks/", i->c->root));
	r = journal_begin(i->c, p, &hold, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = import(i, (char *const *)(uintptr_t)argv, ret_id, e);
	if (r < 0) {
		journal_abort(i->c, p, &hold);
		return r;
	}
	(void)path_remove_tree(AT_FDCWD, i->dir);
	journal_done(&hold);
	return 0;
}

int image_import_disk(struct ctx *c, const char *path, const struct disk_import_options *o,
	char **ret_id, struct err *e)
{
	g_autofree char *owner = journal_owner();
	struct import i = { .c = c, .path = path, .o = o, .fd = -1 };
	int r;

	*ret_id = NULL;
	i.names = g_ptr_array_new_with_free_func(g_free);
	i.dir = store_path(c, "cache/disk.%s", owner);
	i.target = g_strconcat(i.dir, "/disk.qcow2", NULL);
	r = image_full_names(o->names, i.names, e);
	g_ptr_array_add(i.names, NULL);
	if (r >= 0)
		r = open_source(&i, e);
	if (r >= 0 && !c->explain)
		r = disk_need_program("qemu-img", "qemu-utils", e);
	if (r >= 0) {
		i.source = g_strdup_printf("/dev/fd/%d", i.fd);
		r = import_held(&i, ret_id, e);
	}
	closep(&i.fd);
	g_ptr_array_unref(i.names);
	g_free(i.dir);
	g_free(i.source);
	g_free(i.target);
	return r;
}
