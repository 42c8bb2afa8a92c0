/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/tar.h"
#include "image/mirror.h"
#include "image/ref.h"
#include "store/blob.h"
#include "store/journal.h"
#include "store/layer.h"

#define BUSYBOX_MAX (64 << 20)

/* What the program needs around it to be a system. */
static const struct {
	const char *path;
	unsigned mode;
} folders[] = {
	{ "bin", 0755 },
	{ "dev", 0755 },
	{ "etc", 0755 },
	{ "home", 0755 },
	{ "lib", 0755 },
	{ "mnt", 0755 },
	{ "proc", 0755 },
	{ "root", 0700 },
	{ "run", 0755 },
	{ "sbin", 0755 },
	{ "sys", 0755 },
	{ "tmp", 01777 },
	{ "usr", 0755 },
	{ "usr/bin", 0755 },
	{ "usr/sbin", 0755 },
	{ "var", 0755 },
	{ "var/log", 0755 },
	{ "var/spool", 0755 },
	{ "var/tmp", 01777 },
	{ "var/www", 0755 },
};

static const struct {
	const char *path;
	unsigned mode;
	const char *text;
} files[] = {
	{ "etc/passwd", 0644,
		"root:x:0:0:root:/root:/bin/sh\n"
		"daemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
		"bin:x:2:2:bin:/bin:/bin/false\n"
		"sys:x:3:3:sys:/dev:/bin/false\n"
		"sync:x:4:100:sync:/bin:/bin/sync\n"
		"mail:x:8:8:mail:/var/spool/mail:/bin/false\n"
		"www-data:x:33:33:www-data:/var/www:/bin/false\n"
		"operator:x:37:37:Operator:/var:/bin/false\n"
		"nobody:x:65534:65534:nobody:/home:/bin/false\n" },
	{ "etc/group", 0644,
		"root:x:0:\ndaemon:x:1:\nbin:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nlp:x:7:"
		"\n"
		"mail:x:8:\nkmem:x:9:\nwheel:x:10:root\ncdrom:x:11:\ndialout:x:18:\nfloppy:x:19:\n"
		"video:x:28:\naudio:x:29:\ntape:x:32:\nwww-data:x:33:\noperator:x:37:\nutmp:x:43:\n"
		"plugdev:x:46:\nstaff:x:50:\nlock:x:54:\nnetdev:x:82:\nusers:x:100:\nnobody:x:"
		"65534:\n" },
	{ "etc/shadow", 0600,
		"root:*:10933:0:99999:7:::\ndaemon:*:10933:0:99999:7:::\nbin:*:10933:0:99999:7:::\n"
		"sys:*:10933:0:99999:7:::\nsync:*:10933:0:99999:7:::\nmail:*:10933:0:99999:7:::\n"
		"www-data:*:10933:0:99999:7:::\noperator:*:10933:0:99999:7:::\n"
		"nobody:*:10933:0:99999:7:::\n" },
	{ "etc/nsswitch.conf", 0644, "hosts: files dns\n" },
	{ "etc/profile", 0644,
		"export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n" },
};

/* A 64 or 32 bit ELF program for this machine that needs no interpreter. System V ABI, "Program Header". */
static int check_static(const char *path, const char *data, size_t size, struct err *e)
{
	const Elf64_Ehdr *h = (const void *)data;
	int r;

	if (size < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 ||
		h->e_ident[EI_CLASS] != ELFCLASS64 ||
		(h->e_type != ET_EXEC && h->e_type != ET_DYN) ||
		h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phoff > size ||
		(size - h->e_phoff) / sizeof(Elf64_Phdr) < h->e_phnum)
		return err_set(e, -E_UNSUPPORTED, "'%s' isn't a 64 bit program", path);
	for (unsigned i = 0; i < h->e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, data + h->e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type != PT_INTERP)
			continue;
		r = err_set(e, -E_UNSUPPORTED, "'%s' isn't a static program", path);
		(void)err_mend(e, "apt-get install busybox-static");
		return r;
	}
	return 0;
}

static int read_program(
	const char *path, char **ret, size_t *ret_size, struct stat *st, struct err *e)
{
	_cleanup_close_ int fd = -1;
	g_autofree char *data = NULL;
	size_t done = 0;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) < 0) {
		r = err_sys(e, -errno, "cannot read '%s'", path);
		(void)err_mend(e, "apt-get install busybox-static");
		return r;
	}
	if (!S_ISREG(st->st_mode) || st->st_size > BUSYBOX_MAX)
		return err_set(e, -E_UNSUPPORTED, "'%s' isn't busybox", path);
	data = g_malloc((size_t)st->st_size);
	while (done < (size_t)st->st_size) {
		ssize_t n = read(fd, data + done, (size_t)st->st_size - done);

		if (n <= 0)
			return err_sys(e, n < 0 ? -errno : -EIO, "cannot read '%s'", path);
		done += (size_t)n;
	}
	*ret = g_steal_pointer(&data);
	*ret_size = done;
	return check_static(path, *ret, done, e);
}

/* "bin/ls", "usr/bin/awk" ...: what it says itself. */
static int list_applets(const char *path, char ***ret, struct err *e)
{
	char *argv[] = { (char *)path, (char *)"--list-full", NULL };
	g_autofree char *out = NULL;
	int status;

	if (!g_spawn_sync(NULL, argv, NULL, G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, &out, NULL,
		    &status, NULL) ||
		status != 0)
		return err_set(
			e, -E_UNSUPPORTED, "'%s' doesn't list its applets: it isn't busybox", path);
	*ret = g_strsplit(g_strstrip(out), "\n", -1);
	return 0;
}

static int put(GByteArray *tar, const struct tar_entry *t, const void *data, struct err *e)
{
	int r = tar_put_entry(tar, t, e);

	if (r < 0)
		return r;
	if (t->type == TAR_FILE) {
		g_byte_array_append(tar, data, (guint)t->size);
		tar_put_padding(tar, t->size);
	}
	return 0;
}

static int put_links(GByteArray *tar, char **applets, int64_t mtime, struct err *e)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	int r = 0;

	g_hash_table_add(seen, (gpointer) "bin/busybox");
	for (char **a = applets; r >= 0 && *a; a++) {
		g_autofree char *folder = g_path_get_dirname(*a);
		struct tar_entry t = { .type = TAR_SYMLINK,
			.path = *a,
			.target = "/bin/busybox",
			.mode = 0777,
			.mtime = mtime };
		bool known = false;

		/* "linuxrc" and the like: only into the folders that there are */
		for (unsigned i = 0; i < ELEMENTSOF(folders); i++)
			known |= strcmp(folder, folders[i].path) == 0;
		if (known && g_hash_table_add(seen, *a))
			r = put(tar, &t, NULL, e);
	}
	return r;
}

static int make_tar(const char *data, size_t size, char **applets, int64_t mtime, GByteArray *tar,
	struct err *e)
{
	struct tar_entry program = { .type = TAR_FILE,
		.path = "bin/busybox",
		.target = "",
		.mode = 0755,
		.size = (int64_t)size,
		.mtime = mtime };
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < ELEMENTSOF(folders); i++) {
		struct tar_entry t = { .type = TAR_DIR,
			.path = folders[i].path,
			.target = "",
			.mode = folders[i].mode,
			.mtime = mtime };

		r = put(tar, &t, NULL, e);
	}
	if (r >= 0)
		r = put(tar, &program, data, e);
	if (r >= 0)
		r = put_links(tar, applets, mtime, e);
	for (unsigned i = 0; r >= 0 && i < ELEMENTSOF(files); i++) {
		struct tar_entry t = { .type = TAR_FILE,
			.path = files[i].path,
			.target = "",
			.mode = files[i].mode,
			.size = (int64_t)strlen(files[i].text),
			.mtime = mtime };

		r = put(tar, &t, files[i].text, e);
	}
	tar_put_end(tar);
	return r;
}

static int record(struct ctx *c, const GByteArray *tar, const char *name, int64_t mtime,
	char **ret_id, struct err *e)
{
	_cleanup_(layer_in_freep) struct layer_in *l = NULL;
	_cleanup_close_ int lock = -1;
	g_autofree char *text = NULL;
	struct layer_result layer;
	const char *diff_ids[] = { layer.digest }, *names[] = { name, NULL };
	struct image_new n = { .created = mtime * 1000000000,
		.created_by = "lodge image build-busybox",
		.diff_ids = diff_ids,
		.n_diff_ids = 1 };
	json_t *config = json_pack("{s:[s], s:[s]}", "Env", IMAGE_PATH_ENV, "Cmd", "sh");
	int r;

	r = lock = blob_hold(c, e);
	if (r >= 0)
		r = layer_in_new(c, &l, e);
	if (r >= 0)
		r = layer_in_write(l, tar->data, tar->len, e);
	if (r >= 0)
		r = layer_in_finish(l, NULL, NULL, &layer, e);
	if (r >= 0) {
		n.config = config;
		text = image_config_text(&n);
		r = image_add(c, text, strlen(text), NULL, 0, names, ret_id, e);
	}
	json_decref(config);
	return r;
}

int image_build_busybox(
	struct ctx *c, const char *path, const char *name, char **ret_id, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autoptr(GByteArray) tar = g_byte_array_new();
	g_autofree char *data = NULL, *full = NULL;
	g_auto(GStrv) applets = NULL;
	struct journal_hold hold;
	struct stat st;
	struct ref ref;
	size_t size = 0;
	int r;

	path = path ? path : "/bin/busybox";
	r = ref_parse(name ? name : "busybox", 0, &ref, e);
	if (r < 0)
		return r;
	full = ref_full(&ref);
	ref_clear(&ref);
	r = read_program(path, &data, &size, &st, e);
	if (r >= 0)
		r = list_applets(path, &applets, e);
	if (r >= 0)
		r = make_tar(data, size, applets, st.st_mtime, tar, e);
	if (r < 0)
		return r;
	plan_add(p, AT_HOST, &step_content, path, "--install", "-s", "|", "mkfs.erofs", "--tar=f",
		plan_str(p, "%s/layers/", c->root), "-");
	r = journal_begin(c, p, &hold, e);
	if (r != 0)
		return r < 0 ? r : 0;
	r = record(c, tar, full, st.st_mtime, ret_id, e);
	if (r < 0)
		journal_abort(c, p, &hold);
	else
		journal_done(&hold);
	return r;
}
