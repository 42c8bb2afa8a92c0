/* SPDX-License-Identifier: MIT */
#include "engine/vm/disks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/macros.h"
#include "engine/vm/full.h"
#include "host/qcow2.h"

#define INFO_MAX (4 << 20) /* bytes that qemu-img says */

/* Bytes of the file that QEMU locks to say what it does with it (qemu: block/file-posix.c has them as part of the
 * format that programs share): it writes; it bears nobody else who writes. */
#define LOCK_WRITES	101
#define LOCK_NO_WRITERS 201

/* --- what it is ------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

static const char *const formats[] = { "raw", "qcow2", "qcow", "qed", "vmdk", "vdi", "vhdx", "vpc",
	"parallels", "bochs", "cloop", "dmg", NULL };

static bool is_own_extent(const json_t *data, const char *path)
{
	const json_t *extents = json_object_get(data, "extents");
	const char *name = text_of(json_array_get(extents, 0), "filename");

	return json_array_size(extents) <= 1 && (!name || strcmp(name, path) == 0);
}

int vm_disk_info(const char *path, const json_t *j, bool format_given, const char **ret_format,
	char **ret_backing, const char **ret_backing_format, struct err *e)
{
	const char *format = text_of(j, "format"), *below = text_of(j, "full-backing-filename");
	const json_t *data = json_object_get(json_object_get(j, "format-specific"), "data");

	if (!format || !g_strv_contains(formats, format))
		return err_set(e, -E_UNSUPPORTED,
			"'%s' is in the format '%s', which machines can't have", path,
			format ?: "?");
	if (!format_given && strcmp(format, "raw") == 0) {
		err_set(e, -E_INVALID, "the format of '%s' isn't known", path);
		err_mend(e, "say format=raw if it is a raw disk");
		return -E_INVALID;
	}
	if (json_is_true(json_object_get(j, "encrypted")))
		return err_set(e, -E_UNSUPPORTED, "'%s' is encrypted", path);
	if (text_of(data, "data-file") || !is_own_extent(data, path)) {
		err_set(e, -E_UNSUPPORTED, "the disk '%s' consists of several files", path);
		err_mend(e, "make it one: qemu-img convert -O qcow2");
		return -E_UNSUPPORTED;
	}
	if (!below)
		below = text_of(j, "backing-filename");
	if (below && !format_given) {
		/* a raw disk whose guest wrote a header to it looks the same, and reads any file of the host */
		err_set(e, -E_INVALID, "'%s' has the file '%s' below it", path, below);
		err_mend(e, "say format=%s if that is meant", format);
		return -E_INVALID;
	}
	*ret_format = format;
	*ret_backing = NULL;
	*ret_backing_format = text_of(j, "backing-filename-format");
	if (below && (strchr(below, ':') || g_str_has_prefix(below, "json")))
		return err_set(e, -E_UNSUPPORTED, "'%s' has '%s' below it, which is not a file",
			path, below);
	if (below && !*ret_backing_format) {
		err_set(e, -E_INVALID, "'%s' doesn't say the format of '%s' below it", path, below);
		err_mend(e, "qemu-img rebase -u -F FORMAT says it");
		return -E_INVALID;
	}
	if (below && below[0] != '/') {
		g_autofree char *folder = g_path_get_dirname(path);

		*ret_backing = g_canonicalize_filename(below, folder);
	} else {
		*ret_backing = g_strdup(below);
	}
	return 0;
}

/* The JSON that qemu-img says; it opens neither the file below nor another. */
static int ask(const char *path, const char *format, json_t **ret, struct err *e)
{
	const char *const probe[] = { "qemu-img", "info", "-U", "--output=json", "--", path, NULL };
	const char *const given[] = { "qemu-img", "info", "-U", "--output=json", "-f", format, "--",
		path, NULL };
	g_autofree char *out = NULL, *said = NULL;
	g_autoptr(GError) ge = NULL;
	int status;

	if (!g_spawn_sync("/", (char **)(uintptr_t)(format ? given : probe), NULL,
		    G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &said, &status, &ge)) {
		err_set(e, -E_UNSUPPORTED, "cannot run qemu-img: %s", ge->message);
		err_mend(e, "install qemu-utils");
		return -E_UNSUPPORTED;
	}
	if (status != 0) {
		const char *colon = said ? strchr(said, ':') : NULL;

		if (said)
			said[strcspn(said, "\n")] = '\0';
		return err_set(e, -E_INVALID, "cannot use the disk '%s':%s", path,
			colon ? colon + 1 : " qemu-img failed");
	}
	*ret = strlen(out) <= INFO_MAX ? json_loads(out, 0, NULL) : NULL;
	return *ret ? 0 : err_set(e, -EPROTO, "qemu-img's answer about '%s' is not JSON", path);
}

int vm_disk_snapshots(const char *path, json_t **ret, struct err *e)
{
	json_t *name, *j = NULL;
	_cleanup_free_ char *text = NULL;
	g_autofree char *whole = NULL;
	int r = qcow2_check_alone(path, e);

	if (r < 0)
		return r;
	name = json_pack("{s:s, s:n, s:{s:s, s:s}}", "driver", "qcow2", "backing", "file", "driver",
		"file", "filename", path);
	text = json_dumps(name, JSON_COMPACT);
	json_decref(name);
	whole = g_strconcat("json:", text, NULL);
	r = ask(whole, NULL, &j, e);
	if (r < 0)
		return r;
	*ret = json_incref(json_object_get(j, "snapshots")) ?: json_array();
	json_decref(j);
	return 0;
}

static int must_be_file(const char *path, struct err *e)
{
	struct stat st;
	int r = RET_NERRNO(stat(path, &st));

	if (r < 0)
		return err_sys(e, r, "cannot use the disk '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(
			e, -E_INVALID, "the disk '%s' is not a file or a block device", path);
	return 0;
}

int vm_disk_inspect(struct spec_disk *d, struct err *e)
{
	g_autofree char *path = g_strdup(d->path), *format = g_strdup(d->format);
	bool given = d->format != NULL;

	/* what may be read and not written can't become anything else */
	if (!format && d->device != DISK_DISK) {
		g_free(d->format);
		d->format = g_strdup("raw");
		return must_be_file(path, e);
	}
	for (int depth = 0; path; depth++) {
		const char *is, *below_format;
		char *below = NULL;
		json_t *j;
		int r;

		if (depth > VM_CHAIN_MAX)
			return err_set(e, -E_LIMIT, "more than %d files are below the disk '%s'",
				VM_CHAIN_MAX, d->path);
		r = must_be_file(path, e);
		if (r >= 0)
			r = ask(path, format, &j, e);
		if (r < 0)
			return r;
		r = vm_disk_info(path, j, format != NULL, &is, &below, &below_format, e);
		if (r >= 0 && depth == 0) {
			g_free(d->format);
			d->format = g_strdup(is);
		} else if (r >= 0) {
			spec_disk_add_backing(d, path, is);
		}
		g_free(path);
		g_free(format);
		path = r >= 0 ? below : NULL;
		format = r >= 0 && below ? g_strdup(below_format) : NULL;
		json_decref(j);
		if (r < 0)
			return r;
	}
	return given ? 0 : 1;
}

/* --- who has it --------------------------------------------------------------------------------------------------- */

static bool is_locked(int fd, off_t byte)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

/* 2: the process has a lock on this file; 1: it has it open; 0: neither. */
static int has_file(const char *pid, const struct stat *file)
{
	g_autofree char *folder = g_strdup_printf("/proc/%s/fd", pid);
	g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
	const char *name;
	int most = 0;

	while (dir && most < 2 && (name = g_dir_read_name(dir)) != NULL) {
		g_autofree char *fd = g_build_filename(folder, name, NULL);
		g_autofree char *info = g_strdup_printf("/proc/%s/fdinfo/%s", pid, name),
				*text = NULL;
		struct stat st;

		if (stat(fd, &st) < 0 || st.st_dev != file->st_dev || st.st_ino != file->st_ino)
			continue;
		most = 1;
		if (g_file_get_contents(info, &text, NULL, NULL) && strstr(text, "\nlock:"))
			most = 2;
	}
	return most;
}

/* "the machine 'web'", "process 12 (qemu-img)". Caller frees. */
static char *describe(const char *pid)
{
	g_autofree char *file = g_strdup_printf("/proc/%s/cmdline", pid), *text = NULL;
	g_autofree char *comm_file = g_strdup_printf("/proc/%s/comm", pid), *comm = NULL;
	gsize n = 0;

	if (g_file_get_contents(file, &text, &n, NULL))
		for (const char *p = text; p < text + n; p += strlen(p) + 1)
			if (g_str_has_prefix(p, "guest="))
				return g_strdup_printf("the machine '%s' (process %s)", p + 6, pid);
	(void)g_file_get_contents(comm_file, &comm, NULL, NULL);
	return g_strdup_printf("process %s (%s)", pid, comm ? g_strchomp(comm) : "?");
}

static char *find_holder(const struct stat *file)
{
	g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
	g_autofree char *best = NULL;
	const char *name;
	int most = 0;

	while (dir && most < 2 && (name = g_dir_read_name(dir)) != NULL) {
		int has = g_ascii_isdigit(name[0]) ? has_file(name, file) : 0;

		if (has > most) {
			g_free(best);
			best = g_strdup(name);
			most = has;
		}
	}
	return best ? describe(best) : g_strdup("another program");
}

static int check_file(const char *path, bool write, struct err *e)
{
	_cleanup_close_ int fd =
		RET_NERRNO(open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK));
	g_autofree char *who = NULL;
	struct stat st;
	int r;

	if (fd < 0)
		return err_sys(e, fd, "cannot open the disk '%s'", path);
	if (!is_locked(fd, LOCK_WRITES) && !(write && is_locked(fd, LOCK_NO_WRITERS)))
		return 0;
	r = RET_NERRNO(fstat(fd, &st));
	if (r < 0)
		return err_sys(e, r, "cannot look at the disk '%s'", path);
	who = find_holder(&st);
	err_set(e, -E_INUSE, "the disk '%s' is in use by %s", path, who);
	err_mend(e, "stop that first, or give the machine an overlay of its own");
	return -E_INUSE;
}

int vm_disk_check(const struct spec_disk *d, const char *dir, struct err *e)
{
	bool write = !d->read_only && !d->snapshot && d->device != DISK_CDROM;
	int r = 0;

	if (d->path) {
		g_autofree char *path = vm_disk_path(dir, d->path);

		r = check_file(path, write, e);
	}
	for (guint i = 0; r >= 0 && i < d->backing->len; i++) {
		g_autofree char *path =
			vm_disk_path(dir, ((struct spec_backing *)d->backing->pdata[i])->path);

		r = check_file(path, false, e);
	}
	return r;
}

int vm_disks_check(const struct spec *s, const char *dir, struct err *e)
{
	int r = 0;

	for (guint i = 0; r >= 0 && i < s->vm->disks->len; i++)
		r = vm_disk_check(s->vm->disks->pdata[i], dir, e);
	return r;
}
