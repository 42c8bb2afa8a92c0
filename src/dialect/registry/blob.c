/* SPDX-License-Identifier: MIT */
/* Blobs: to be read, and to be removed. */

#include <fcntl.h>
#include <string.h>
#include "dialect/registry/names.h"
#include "dialect/registry/routes.h"

void reply_content(struct call *c, int fd, int64_t size, const char *digest, bool ranges)
{
	const struct http_text *match = http_find(c->q, "If-None-Match");
	const struct http_text *range = ranges ? http_find(c->q, "Range") : NULL;
	const struct http_text *if_range = http_find(c->q, "If-Range");
	g_autofree char *etag = g_strdup_printf("\"%s\"", digest);
	int64_t first = 0, n = size;
	int r;

	reply_header(&c->reply, "Docker-Content-Digest", "%s", digest);
	reply_header(&c->reply, "ETag", "%s", etag);
	if (ranges)
		reply_header(&c->reply, "Accept-Ranges", "bytes");
	if (match && http_etag_in(*match, etag)) {
		(void)close(fd);
		reply_none(&c->reply, 304);
		return;
	}
	if (if_range && !http_equal(*if_range, etag))
		range = NULL;
	r = http_range(range, size, &first, &n);
	if (r == -ERANGE) {
		(void)close(fd);
		reply_header(&c->reply, "Content-Range", "bytes */%" G_GINT64_FORMAT, size);
		registry_fail(&c->reply, 416, "SIZE_INVALID", "the range is beyond the blob's end");
		return;
	}
	if (r == 1)
		reply_header(&c->reply, "Content-Range",
			"bytes %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, first,
			first + n - 1, size);
	reply_file(&c->reply, r == 1 ? 206 : 200, fd, first, r == 1 ? n : size);
}

static bool check_digest(struct call *c)
{
	if (c->args[1] && registry_is_digest(c->args[1]))
		return true;
	registry_fail(&c->reply, 400, "DIGEST_INVALID", "invalid digest");
	return false;
}

static void unknown(struct call *c, int code)
{
	if (code == -ENOENT || code == -ENOTDIR || code == -ELOOP)
		registry_unknown(&c->reply, "BLOB_UNKNOWN", "blob unknown to registry", c->args[1]);
	else
		registry_broken(&c->reply, code, "cannot open the blob");
}

void blob_get(struct call *c)
{
	const char *name = call_name(c);
	const struct depot *reg = c->data;
	g_autofree char *path = NULL;
	struct stat st;
	int fd;

	if (!name || !check_digest(c))
		return;
	path = depot_repo_path(name, "_blobs", c->args[1]);
	fd = depot_file(reg, path, &st);
	/* manifests are blobs, too (registry-v2 api.md) */
	if (fd == -ENOENT) {
		g_free(path);
		path = depot_repo_path(name, "_manifests", c->args[1]);
		fd = depot_file(reg, path, &st);
	}
	if (fd < 0) {
		unknown(c, fd);
		return;
	}
	/* a push that finds it here doesn't send it again */
	depot_touch(reg, fd);
	reply_header(&c->reply, "Content-Type", "application/octet-stream");
	reply_header(&c->reply, "Cache-Control", "max-age=31536000");
	reply_content(c, fd, st.st_size, c->args[1], true);
}

void blob_delete(struct call *c)
{
	const char *name = call_name(c);
	const struct depot *reg = c->data;
	g_autofree char *path = NULL, *folder = NULL;
	_cleanup_close_ int lock = -1;
	int r;

	if (!name || !check_digest(c))
		return;
	path = depot_repo_path(name, "_blobs", c->args[1]);
	folder = depot_repo_path(name, "_blobs", NULL);
	lock = depot_repo_lock(reg, name, false);
	r = lock < 0 ? lock : RET_NERRNO(unlinkat(reg->root, path, 0));
	if (r >= 0)
		r = depot_sync(reg, folder);
	if (r < 0)
		unknown(c, r);
	else
		reply_none(&c->reply, 202);
}
