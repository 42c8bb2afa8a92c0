/* SPDX-License-Identifier: MIT */
#include "store/layer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/inflate.h"
#include "codec/sha256.h"
#include "store/blob.h"
#include "store/journal.h"
#include "store/layer-priv.h"

#define READ_SIZE ((size_t)1 << 20)

struct layer_in {
	struct ctx *c;
	int hold; /* keeps the collector away */
	char *temp_image, *temp_log;
	int image_fd, log_fd;
	struct sha256 *blob_sum, *tar_sum;
	int64_t blob_size, tar_size;
	struct inflate *inflate;
	struct layer_build *build;
	int dead; /* the code that ended it */
};

/* --- names -------------------------------------------------------------------------------------------------- */

char *layer_path(struct ctx *c, const char *digest, const char *suffix)
{
	const char *hex = sha256_hex(digest);

	return hex ? store_path(c, "layers/%s%s", hex, suffix) : NULL;
}

char *layer_file(struct ctx *c, const char *digest)
{
	char *path = layer_path(c, digest, ".erofs");

	g_assert(path);
	return path;
}

int layer_temp(struct ctx *c, int (*make)(void *arg, const char *base), void *arg, struct err *e)
{
	g_autofree char *owner = journal_owner();
	g_autofree char *last = NULL;
	unsigned i;
	int r = -EEXIST;

	for (i = 0; r == -EEXIST && i < 100000; i++) {
		g_free(last);
		last = store_path(c, "layers/%s.%u", owner, i);
		r = make(arg, last);
	}
	return r < 0 ? err_sys(e, r, "cannot make '%s'", last) : r;
}

static int make_temp(void *arg, const char *base)
{
	struct layer_in *l = arg;
	char *image = g_strconcat(base, ".erofs", NULL);
	int fd = RET_NERRNO(open(image, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));

	if (fd < 0) {
		g_free(image);
		return fd;
	}
	l->temp_image = image;
	l->image_fd = fd;
	l->temp_log = g_strconcat(base, ".tar", NULL);
	l->log_fd = RET_NERRNO(
		open(l->temp_log, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
	return l->log_fd < 0 ? l->log_fd : 0;
}

/* What comes out of the decompression. */
static int on_tar(void *arg, const void *data, size_t size, struct err *e)
{
	struct layer_in *l = arg;

	l->tar_size += (int64_t)size;
	if (l->tar_size > LAYER_TAR_MAX)
		return err_set(e, -E_LIMIT, "the layer is larger than %lld GiB",
			(long long)(LAYER_TAR_MAX >> 30));
	sha256_write(l->tar_sum, data, size);
	return layer_build_write(l->build, data, size, e);
}

/* --- from outside ------------------------------------------------------------------------------------------- */

int layer_in_new(struct ctx *c, struct layer_in **ret, struct err *e)
{
	_cleanup_(layer_in_freep) struct layer_in *l = g_new0(struct layer_in, 1);
	struct store *s;
	int r;

	l->c = c;
	l->hold = l->image_fd = l->log_fd = -1;
	r = store_get(c, &s, e);
	if (r < 0)
		return r;
	l->hold = blob_hold(c, e);
	if (l->hold < 0)
		return l->hold;
	r = sha256_new(&l->tar_sum, e);
	if (r >= 0)
		r = sha256_new(&l->blob_sum, e);
	if (r >= 0)
		r = layer_temp(c, make_temp, l, e);
	if (r >= 0)
		r = layer_build_new(l->image_fd, l->log_fd, &l->build, e);
	if (r < 0)
		return r;
	l->inflate = inflate_new(on_tar, l);
	*ret = TAKE_PTR(l);
	return 0;
}

void layer_in_free(struct layer_in *l)
{
	if (!l)
		return;
	inflate_free(l->inflate);
	layer_build_free(l->build);
	sha256_free(l->tar_sum);
	sha256_free(l->blob_sum);
	closep(&l->image_fd);
	closep(&l->log_fd);
	if (l->temp_image)
		(void)unlink(l->temp_image);
	if (l->temp_log)
		(void)unlink(l->temp_log);
	g_free(l->temp_image);
	g_free(l->temp_log);
	closep(&l->hold);
	g_free(l);
}

void layer_in_freep(struct layer_in **l)
{
	layer_in_free(*l);
}

int layer_in_write(struct layer_in *l, const void *data, size_t size, struct err *e)
{
	if (l->dead)
		return err_set(e, l->dead, "the layer has failed before");
	l->blob_size += (int64_t)size;
	l->dead = inflate_write(l->inflate, data, size, e);
	/* a plain tar is hashed once: it is what came */
	if (!l->dead && inflate_kind(l->inflate) != INFLATE_PLAIN)
		sha256_write(l->blob_sum, data, size);
	return l->dead;
}

static int sync_fd(int fd, struct err *e)
{
	return fsync(fd) < 0 ? err_sys(e, -errno, "cannot write the layer") : 0;
}

static int64_t disk_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (int64_t)st.st_blocks * 512;
}

static int move(char **from, const char *to, struct err *e)
{
	if (rename(*from, to) < 0)
		return err_sys(e, -errno, "cannot make '%s'", to);
	g_clear_pointer(from, g_free);
	return 0;
}

/* The files are in place, also after a power cut, when this returns. */
static int keep(struct layer_in *l, const char *digest, struct err *e)
{
	g_autofree char *image = layer_path(l->c, digest, ".erofs");
	g_autofree char *log = layer_path(l->c, digest, ".tar");
	g_autofree char *folder = store_path(l->c, "layers");
	_cleanup_close_ int dir = -1;
	int r;

	r = sync_fd(l->log_fd, e);
	if (r >= 0)
		r = sync_fd(l->image_fd, e);
	/* the image last: it is what others look for */
	if (r >= 0)
		r = move(&l->temp_log, log, e);
	if (r >= 0)
		r = move(&l->temp_image, image, e);
	if (r < 0)
		return r;
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? err_sys(e, -errno, "cannot open '%s'", folder) : sync_fd(dir, e);
}

/* Whether the layer is there, whole: then it is kept, and the new one dropped. */
static int is_there(struct layer_in *l, struct store *s, const char *digest, struct err *e)
{
	g_autofree char *image = layer_path(l->c, digest, ".erofs");
	g_autofree char *log = layer_path(l->c, digest, ".tar");
	int r = store_layer_has(s, digest, e);

	return r > 0 ? access(image, F_OK) == 0 && access(log, F_OK) == 0 : r;
}

static int check(const char *what, const char *is, const char *want, struct err *e)
{
	if (!want || !strcmp(is, want))
		return 0;
	return err_set(e, -E_CORRUPT, "the layer's %s is %s, and should be %s", what, is, want);
}

static int record(struct store *s, const struct layer_result *result, struct err *e)
{
	struct layer_record rec = {
		.digest = (char *)result->digest,
		.size = result->size,
		.tar_size = result->tar_size,
		.created = g_get_real_time() * 1000,
	};

	return store_layer_add(s, &rec, e);
}

int layer_in_finish(struct layer_in *l, const char *want_diff_id, const char *want_blob,
	struct layer_result *ret, struct err *e)
{
	uint8_t digest[SHA256_SIZE];
	struct store *s;
	int r;

	memset(ret, 0, sizeof(*ret));
	if (l->dead)
		return err_set(e, l->dead, "the layer has failed before");
	r = inflate_finish(l->inflate, e);
	if (r >= 0)
		r = layer_build_end(l->build, e);
	if (r < 0)
		return r;
	sha256_finish(l->tar_sum, digest);
	sha256_text(digest, ret->digest);
	if (inflate_kind(l->inflate) == INFLATE_GZIP || inflate_kind(l->inflate) == INFLATE_ZSTD)
		sha256_finish_text(l->blob_sum, ret->blob_digest);
	else
		memcpy(ret->blob_digest, ret->digest, sizeof(ret->digest));
	ret->tar_size = l->tar_size;
	ret->blob_size = l->blob_size;
	r = check("digest", ret->digest, want_diff_id, e);
	if (r >= 0)
		r = check("compressed digest", ret->blob_digest, want_blob, e);
	if (r >= 0)
		r = store_get(l->c, &s, e);
	if (r >= 0)
		r = is_there(l, s, ret->digest, e);
	if (r > 0) {
		ret->size = layer_disk_size(l->c, ret->digest);
		return 0;
	}
	if (r >= 0)
		r = layer_build_finish(l->build, digest, e);
	if (r >= 0)
		r = keep(l, ret->digest, e);
	if (r < 0)
		return r;
	ret->size = disk_size(l->image_fd) + disk_size(l->log_fd);
	return record(s, ret, e);
}

int layer_import_fd(
	struct ctx *c, int fd, const char *want_diff_id, struct layer_result *ret, struct err *e)
{
	_cleanup_(layer_in_freep) struct layer_in *l = NULL;
	g_autofree uint8_t *buf = g_malloc(READ_SIZE);
	int r;

	r = layer_in_new(c, &l, e);
	if (r < 0)
		return r;
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	for (;;) {
		ssize_t n = read(fd, buf, READ_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, -errno, "cannot read the layer");
		if (!n)
			break;
		r = layer_in_write(l, buf, (size_t)n, e);
		if (r < 0)
			return r;
	}
	return layer_in_finish(l, want_diff_id, NULL, ret, e);
}
