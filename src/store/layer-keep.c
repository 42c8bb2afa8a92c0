/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <fts.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include "codec/sha256.h"
#include "host/path.h"
#include "store/blob.h"
#include "store/erofs.h"
#include "store/journal.h"
#include "store/layer-priv.h"

/* --- where a layer is ------------------------------------------------------------------------------------------ */

/* Linux 6.12 mounts files, before that it takes a loop device. */
static bool has_backing(void)
{
	unsigned long major, minor = 0;
	struct utsname u;
	char *end;

	if (uname(&u) == 0) {
		major = strtoul(u.release, &end, 10);
		if (*end == '.')
			minor = strtoul(end + 1, NULL, 10);
		if (major > 6 || (major == 6 && minor >= 12))
			return true;
	}
	return access("/dev/loop-control", R_OK | W_OK) == 0;
}

/* Only the first user namespace, which maps all ids to themselves, may mount file systems that have a
 * source. */
static bool in_first_userns(void)
{
	_cleanup_close_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
	char buf[128], *p = buf;
	ssize_t n;

	n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return true;
	buf[n] = '\0';
	return strtoul(p, &p, 10) == 0 && strtoul(p, &p, 10) == 0 &&
	       strtoul(p, &p, 10) == UINT32_MAX;
}

int layer_can_mount(struct ctx *c)
{
	int fd;

	/* explain shows what root would get, and asks the kernel for nothing */
	if (c->explain)
		return 1;
	if (!c->is_root || !in_first_userns())
		return 0;
	/* loads the module, if there is one */
	fd = (int)syscall(SYS_fsopen, "erofs", 1 /* FSOPEN_CLOEXEC */);
	if (fd < 0)
		return 0;
	(void)close(fd);
	return has_backing();
}

static int make_dir(void *arg, const char *base)
{
	char **ret = arg;

	if (mkdir(base, 0700) < 0)
		return -errno;
	*ret = g_strdup(base);
	return 0;
}

static int remove_tree(const char *path)
{
	return path_remove_tree(AT_FDCWD, path);
}

/* Makes the folder HEX, or finds that another command has made it. */
static int make_folder(struct ctx *c, const char *digest, const char *folder, struct err *e)
{
	g_autofree char *image = layer_path(c, digest, ".erofs"), *temp = NULL;
	_cleanup_close_ int hold =
		blob_hold(c, e); /* the collector would take the half-made folder */
	int r;

	if (hold < 0)
		return hold;
	r = layer_temp(c, make_dir, &temp, e);
	if (r < 0)
		return r;
	r = layer_unpack(c, image, temp, e);
	if (r >= 0 && rename(temp, folder) < 0) {
		r = -errno;
		if (r != -EEXIST && r != -ENOTEMPTY)
			return err_sys(e, r, "cannot make '%s'", folder);
		r = 1;
	}
	if (r)
		(void)remove_tree(temp);
	return r < 0 ? r : 0;
}

int layer_lower(struct ctx *c, const char *digest, char **ret, struct err *e)
{
	g_autofree char *image = layer_path(c, digest, ".erofs");
	g_autofree char *folder = layer_path(c, digest, "");
	int r;

	if (!image)
		return err_set(e, -E_INVALID, "'%s' isn't a sha256 digest", digest);
	if (layer_can_mount(c)) {
		*ret = store_run_path(c, "layers/%s", sha256_hex(digest));
		return 0;
	}
	if (access(image, F_OK) < 0 && access(folder, F_OK) < 0) {
		err_set(e, -E_NOTFOUND, "the layer '%s' isn't there", digest);
		err_mend(e, "'lodge fsck' says what is missing; then import the image again");
		return -E_NOTFOUND;
	}
	if (!c->explain && access(folder, F_OK) < 0) {
		r = make_folder(c, digest, folder, e);
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(folder);
	return 0;
}

static int64_t tree_size(const char *path)
{
	char *const paths[] = { (char *)path, NULL };
	FTS *f = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	int64_t size = 0;
	FTSENT *x;

	while (f && (x = fts_read(f)))
		if (x->fts_info != FTS_DP && x->fts_info != FTS_NS)
			size += (int64_t)x->fts_statp->st_blocks * 512;
	if (f)
		(void)fts_close(f);
	return size;
}

int64_t layer_disk_size(struct ctx *c, const char *digest)
{
	static const char *const suffixes[] = { ".erofs", ".tar", "" };
	int64_t size = 0;
	unsigned i;

	for (i = 0; i < ELEMENTSOF(suffixes); i++) {
		g_autofree char *path = layer_path(c, digest, suffixes[i]);

		size += tree_size(path);
	}
	return size;
}

/* --- collecting ------------------------------------------------------------------------------------------------ */

static void unmount(struct ctx *c, const char *digest)
{
	g_autofree char *at = store_run_path(c, "layers/%s", sha256_hex(digest));

	/* guests that still have it stacked keep it, their namespaces have their own mounts */
	if (umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL)
		(void)rmdir(at);
}

static int remove_files(struct ctx *c, const char *digest, struct err *e)
{
	static const char *const suffixes[] = { ".erofs", ".tar", "" };
	unsigned i;

	for (i = 0; i < ELEMENTSOF(suffixes); i++) {
		g_autofree char *path = layer_path(c, digest, suffixes[i]);
		int r = remove_tree(path);

		if (r < 0)
			return err_sys(e, r, "cannot remove '%s'", path);
	}
	return 0;
}

static int remove_layer(
	struct ctx *c, struct store *s, const char *digest, int64_t *bytes, struct err *e)
{
	int64_t size = layer_disk_size(c, digest);
	int r;

	/* the record first, which is refused while an image names it; files without one are found again */
	r = store_layer_remove(s, digest, e);
	if (r < 0)
		return r;
	unmount(c, digest);
	r = remove_files(c, digest, e);
	if (r >= 0)
		*bytes += size;
	return r;
}

/* The layer that a file of ROOT/layers belongs to, or NULL: it has no layer's name. Caller frees. */
static char *digest_of(const char *name)
{
	g_autofree char *digest = g_strdup_printf("sha256:%.64s", name);

	return sha256_hex(digest) ? TAKE_PTR(digest) : NULL;
}

/* Calls fn for each name in ROOT/layers. */
static int each_file(struct ctx *c,
	int (*fn)(void *arg, const char *path, const char *name, struct err *e), void *arg,
	struct err *e)
{
	g_autofree char *folder = store_path(c, "layers");
	DIR *d = opendir(folder);
	struct dirent *x;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(e, -errno, "cannot read '%s'", folder);
	while (r >= 0 && (x = readdir(d))) {
		g_autofree char *path = g_strconcat(folder, "/", x->d_name, NULL);

		if (strcmp(x->d_name, ".") != 0 && strcmp(x->d_name, "..") != 0)
			r = fn(arg, path, x->d_name, e);
	}
	(void)closedir(d);
	return r;
}

struct collect {
	struct store *s;
	int64_t *bytes;
};

static int collect_file(void *arg, const char *path, const char *name, struct err *e)
{
	struct collect *x = arg;
	g_autofree char *digest = digest_of(name);
	int64_t size;
	int r = 0;

	/* of a layer: it goes with it, unless a crash has left it behind */
	if (digest)
		r = store_layer_has(x->s, digest, e);
	else
		r = journal_owner_lives(name);
	if (r != 0)
		return r < 0 ? r : 0;
	size = tree_size(path);
	if (remove_tree(path) == 0)
		*x->bytes += size;
	return 0;
}

int layer_collect(struct ctx *c, int64_t *ret_bytes, struct err *e)
{
	g_autoptr(GPtrArray) unused = NULL;
	struct collect x = { .bytes = ret_bytes };
	unsigned i;
	int r;

	*ret_bytes = 0;
	r = store_get(c, &x.s, e);
	if (r >= 0)
		r = store_layer_unused(x.s, &unused, e);
	for (i = 0; r >= 0 && i < unused->len; i++)
		r = remove_layer(c, x.s, unused->pdata[i], ret_bytes, e);
	if (r >= 0)
		r = each_file(c, collect_file, &x, e);
	return r < 0 ? r : (int)unused->len;
}

/* --- fsck ------------------------------------------------------------------------------------------------------ */

struct check {
	struct ctx *c;
	struct store *s;
	unsigned flags;
	GPtrArray *problems;
	int left;
};

/* mended: what was done, or NULL. */
static void say(struct check *k, const char *mended, char *text)
{
	if (mended) {
		g_ptr_array_add(k->problems, g_strdup_printf("%s (%s)", text, mended));
		g_free(text);
	} else {
		g_ptr_array_add(k->problems, text);
		k->left++;
	}
}

/* Whether the image is whole, as far as its superblock says. */
static int check_image(const char *path, struct err *e)
{
	struct layer_map map = { 0 };
	struct erofs_view v;
	int r;

	r = layer_map(path, &map, e);
	if (r < 0)
		return r;
	r = erofs_view_init(&v, map.p, map.size, e);
	if (r >= 0 && v.blocks * 4096 != map.size)
		r = err_set(e, -E_CORRUPT, "it has %zu bytes, and should have %llu", map.size,
			(unsigned long long)v.blocks * 4096);
	layer_unmap(&map);
	return r;
}

static int check_layer(struct check *k, const char *digest, struct err *e)
{
	g_autofree char *image = layer_path(k->c, digest, ".erofs");
	g_autofree char *log = layer_path(k->c, digest, ".tar");
	int r;

	if (access(image, F_OK) < 0)
		return err_sys(e, -errno, "'%s'", image);
	if (access(log, F_OK) < 0)
		return err_sys(e, -errno, "'%s'", log);
	r = check_image(image, e);
	if (r >= 0 && k->flags & LAYER_FSCK_VERIFY)
		r = layer_export(k->c, digest, -1, e);
	return r;
}

static int check_records(struct check *k, struct err *e)
{
	g_autoptr(GPtrArray) layers = NULL;
	unsigned i;
	int r;

	r = store_layer_list(k->s, &layers, e);
	for (i = 0; r >= 0 && i < layers->len; i++) {
		const struct layer_record *l = layers->pdata[i];
		struct err why = { 0 };
		const char *done = NULL;
		int64_t bytes = 0;

		if (check_layer(k, l->digest, &why) >= 0)
			continue;
		/* refused when an image names it */
		if (k->flags & LAYER_FSCK_REPAIR && k->flags & LAYER_FSCK_COLLECT &&
			remove_layer(k->c, k->s, l->digest, &bytes, NULL) >= 0)
			done = "removed";
		say(k, done, g_strdup_printf("layer '%.19s' is damaged: %s", l->digest, why.text));
	}
	return r;
}

int layer_fsck(struct ctx *c, unsigned flags, GPtrArray *problems, struct err *e)
{
	struct check k = { .c = c, .flags = flags, .problems = problems };
	int r;

	r = store_get(c, &k.s, e);
	if (r >= 0)
		r = check_records(&k, e);
	return r < 0 ? r : k.left;
}
