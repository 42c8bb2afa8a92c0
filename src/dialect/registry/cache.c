/* SPDX-License-Identifier: MIT */
/*
 * A registry that is a cache of another one: what isn't here is got from there, kept, and given on while it comes. A tag
 * is asked for each time, by its digest; when nobody answers, what is here is given. The depot is the same, so what was
 * fetched can be served without the other registry, and garbage collection works on it.
 */

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include "dialect/registry/manifest.h"
#include "dialect/registry/names.h"
#include "dialect/registry/routes.h"
#include "dialect/registry/upstream.h"

#define PIECE (256 * 1024)

static void refused(struct call *c, int code, const struct err *e)
{
	registry_fail(&c->reply, code == -EACCES || code == -EPERM ? 403 : 502,
		code == -EACCES || code == -EPERM ? "DENIED" : NULL,
		"the registry behind this cache: %s", e->text);
}

static void deny(struct call *c)
{
	registry_fail(
		&c->reply, 405, "UNSUPPORTED", "this registry is a cache: push to the original");
}

/* --- manifests ---------------------------------------------------------------------------------------------- */

static bool has_manifest(const struct depot *reg, const char *name, const char *digest)
{
	g_autofree char *path = depot_repo_path(name, "_manifests", digest);

	return faccessat(reg->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int set_tag(const struct depot *reg, const char *name, const char *tag, const char *digest)
{
	g_autofree char *folder = depot_repo_path(name, "_tags", NULL);
	_cleanup_close_ int lock = depot_repo_lock(reg, name, true);

	return lock < 0 ? lock : depot_set_link(reg, folder, tag, digest);
}

static int write_all(int fd, const char *p, size_t n, int64_t at)
{
	while (n > 0) {
		ssize_t w = RET_NERRNO(pwrite(fd, p, n, at));

		if (w == -EINTR)
			continue;
		if (w < 0)
			return (int)w;
		p += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

/* Keeps a manifest that was fetched, when it is the one that was asked for. */
static int keep_fetched(const struct depot *reg, const char *name, const char *ref,
	const char *text, size_t size, const char *type, struct err *e)
{
	g_autoptr(GPtrArray) tags = g_ptr_array_new();
	_cleanup_close_ int fd = -1, lock = -1;
	char digest[SHA256_TEXT];
	struct manifest m;
	int r = sha256_of(text, size, digest, e);

	if (r < 0)
		return r;
	if (registry_is_digest(ref) && !g_str_equal(ref, digest))
		return err_set(e, -E_CORRUPT, "the manifest has another digest than was asked for");
	if (!registry_is_digest(ref))
		g_ptr_array_add(tags, (char *)ref);
	r = manifest_read(text, size, type, &m, e);
	if (r < 0)
		return err_prefix(e, "the manifest is invalid");
	fd = r = depot_temp(reg);
	if (r >= 0)
		r = write_all(fd, text, size, 0);
	if (r >= 0)
		lock = r = depot_repo_lock(reg, name, true);
	if (r >= 0)
		r = manifests_keep(reg, name, digest, fd, &m, tags);
	manifest_done(&m);
	return r < 0 ? err_sys(e, r, "cannot keep the manifest") : 0;
}

static int fetch_manifest(const struct depot *reg, const char *name, const char *ref, struct err *e)
{
	g_autofree char *text = NULL, *type = NULL;
	size_t size;
	int r = upstream_manifest(reg->upstream, name, ref, &text, &size, &type, e);

	if (r >= 0 && strchr(type, ';'))
		*strchr(type, ';') = '\0';
	return r < 0 ? r : keep_fetched(reg, name, ref, text, size, g_strstrip(type), e);
}

/* Sees that the depot has what the tag stands for now. */
static int refresh_tag(const struct depot *reg, const char *name, const char *tag, struct err *e)
{
	g_autofree char *digest = NULL;
	int r = upstream_digest(reg->upstream, name, tag, &digest, e);

	if (r < 0)
		return r;
	if (digest && registry_is_digest(digest) && has_manifest(reg, name, digest))
		return set_tag(reg, name, tag, digest);
	return fetch_manifest(reg, name, tag, e);
}

static void cache_manifest_start(struct call *c)
{
	const char *name = call_name(c), *ref = c->args[1] ?: "";

	if (name && registry_is_digest(ref) && has_manifest(c->data, name, ref))
		manifests_get(c);
}

static void cache_manifest(struct call *c)
{
	const char *name = call_name(c), *ref = c->args[1] ?: "";
	const struct depot *reg = c->data;
	struct err e = { 0 };
	int r = 0;

	if (!name)
		return;
	if (registry_is_digest(ref) && !has_manifest(reg, name, ref))
		r = fetch_manifest(reg, name, ref, &e);
	else if (registry_is_tag(ref))
		r = refresh_tag(reg, name, ref, &e);
	if (r == -E_NOTFOUND) {
		registry_unknown(&c->reply, "MANIFEST_UNKNOWN", "manifest unknown", ref);
		return;
	}
	/* with what there is, when there is something */
	manifests_get(c);
	if (r < 0 && c->reply.status == 404) {
		reply_clear(&c->reply);
		refused(c, r, &e);
	}
}

/* --- blobs ----------------------------------------------------------------------------------------------------- */

/* One blob on its way into its file. */
struct fetch {
	struct call *c; /* gets it as it comes; NULL: nobody does */
	int fd;
	struct sha256 *sha;
	int64_t at, size; /* size -1: not known */
};

static int hash_file(struct fetch *f, int64_t size)
{
	g_autofree char *buf = g_malloc(PIECE);

	sha256_reset(f->sha);
	f->at = 0;
	while (f->at < size) {
		ssize_t n = RET_NERRNO(pread(f->fd, buf, (size_t)MIN(PIECE, size - f->at), f->at));

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		sha256_write(f->sha, buf, (size_t)n);
		f->at += n;
	}
	return 0;
}

static int on_begin(void *arg, int64_t offset, struct err *e)
{
	struct fetch *f = arg;
	int r;

	if (offset == f->at)
		return 0;
	/* from the beginning again; what was given on already is the same, or the client finds out */
	r = RET_NERRNO(ftruncate(f->fd, offset));
	if (r >= 0)
		r = hash_file(f, offset);
	return r < 0 ? err_sys(e, r, "cannot begin the blob anew") : 0;
}

static int on_bytes(void *arg, const void *data, size_t size, struct err *e)
{
	struct fetch *f = arg;
	int r;

	if (f->size >= 0 && f->at + (int64_t)size > f->size)
		return err_set(e, -E_CORRUPT, "the blob is longer than its manifest says");
	r = write_all(f->fd, data, size, f->at);
	if (r < 0)
		return err_sys(e, r, "cannot write the blob");
	sha256_write(f->sha, data, size);
	f->at += (int64_t)size;
	/* whether or not the client is still there: the next one will ask for it */
	if (f->c)
		(void)call_streamed(f->c, f->at);
	return 0;
}

/* What a manifest that is here says of the blob's size; -1. */
static int64_t known_size(const struct depot *reg, const char *name, const char *digest)
{
	g_autofree char *folder = depot_repo_path(name, "_manifests", NULL);
	g_autoptr(GPtrArray) all = depot_list(reg, folder);
	int64_t size = -1;

	for (guint i = 0; all && size < 0 && i < all->len; i++) {
		struct manifest m;

		if (manifest_load(reg, name, all->pdata[i], &m, NULL) < 0)
			continue;
		for (guint k = 0; k < m.refs->len; k++) {
			const struct manifest_ref *ref =
				&g_array_index(m.refs, struct manifest_ref, k);

			if (!ref->manifest && g_str_equal(ref->digest, digest))
				size = ref->size;
		}
		manifest_done(&m);
	}
	return size;
}

static int keep_blob(const struct depot *reg, const char *name, const char *digest, int fd)
{
	int r = RET_NERRNO(fsync(fd));
	_cleanup_close_ int lock = r < 0 ? r : depot_repo_lock(reg, name, true);

	return lock < 0 ? lock : depot_keep(reg, name, "_blobs", digest, fd);
}

/* Fetches what the file lacks, into the depot. */
static int fetch_into(const struct depot *reg, const char *name, const char *digest,
	struct fetch *f, struct err *e)
{
	struct upstream_sink sink = { on_begin, on_bytes, f };
	char got[SHA256_TEXT];
	struct stat st;
	int r = RET_NERRNO(fstat(f->fd, &st));

	if (r >= 0)
		r = hash_file(f, st.st_size);
	if (r < 0)
		return err_sys(e, r, "cannot read what is here of the blob");
	if (f->c && f->at)
		(void)call_streamed(f->c, f->at);
	if (f->size < 0 || f->at < f->size)
		r = upstream_blob(reg->upstream, name, digest, f->at, &sink, e);
	if (r < 0)
		return r;
	sha256_finish_text(f->sha, got);
	if (!g_str_equal(got, digest))
		return err_set(e, -E_CORRUPT, "the blob has another digest than was asked for");
	r = keep_blob(reg, name, digest, f->fd);
	return r < 0 ? err_sys(e, r, "cannot keep the blob") : 0;
}

/* One process fetches a blob; whoever else wants it waits for the lock and finds it here. */
static int open_fetch(const struct depot *reg, const char *digest)
{
	g_autofree char *path = g_strdup_printf("fetches/%s", digest);
	int r = depot_mkdirs(reg, "fetches");

	while (r >= 0) {
		_cleanup_close_ int fd = RET_NERRNO(
			openat(reg->root, path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644));
		struct stat st;

		r = fd < 0 ? fd : RET_NERRNO(flock(fd, LOCK_EX));
		if (r >= 0)
			r = RET_NERRNO(fstat(fd, &st));
		if (r >= 0 && st.st_nlink > 0)
			return TAKE_FD(fd);
		r = r == -EINTR ? 0 : r;
	}
	return r;
}

static bool has_blob(const struct depot *reg, const char *name, const char *digest)
{
	g_autofree char *path = depot_repo_path(name, "_blobs", digest);

	return faccessat(reg->root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Another repository has brought it here: the other registry is only asked whether this one has it, too. */
static bool share_blob(const struct depot *reg, const char *name, const char *digest)
{
	g_autofree char *content = depot_content_path(digest);
	_cleanup_close_ int lock = -1;

	if (faccessat(reg->root, content, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
		upstream_has_blob(reg->upstream, name, digest, NULL) != 1)
		return false;
	lock = depot_repo_lock(reg, name, true);
	return lock >= 0 && depot_share(reg, name, digest, NULL) >= 0;
}

static void begin_stream(struct call *c, struct fetch *f, const char *digest)
{
	reply_header(&c->reply, "Content-Type", "application/octet-stream");
	reply_header(&c->reply, "Docker-Content-Digest", "%s", digest);
	reply_header(&c->reply, "ETag", "\"%s\"", digest);
	if (call_stream(c, f->fd, f->size) >= 0)
		f->c = c;
}

static void fetch_blob(struct call *c, const char *name, const char *digest)
{
	const struct depot *reg = c->data;
	g_autofree char *path = g_strdup_printf("fetches/%s", digest);
	struct fetch f = { .size = known_size(reg, name, digest) };
	_cleanup_close_ int fd = open_fetch(reg, digest);
	struct err e = { 0 };
	int r;

	if (fd < 0) {
		registry_broken(&c->reply, fd, "cannot fetch the blob");
		return;
	}
	f.fd = fd;
	if (has_blob(reg, name, digest) || share_blob(reg, name, digest)) {
		(void)unlinkat(reg->root, path, 0);
		blob_get(c);
		return;
	}
	r = sha256_new(&f.sha, &e);
	if (r >= 0 && f.size > 0 && !http_find(c->q, "Range"))
		begin_stream(c, &f, digest);
	if (r >= 0)
		r = fetch_into(reg, name, digest, &f, &e);
	sha256_free(f.sha);
	/* it is kept, or there is nothing to go on with */
	if (r >= 0 || r == -E_NOTFOUND || r == -E_CORRUPT)
		(void)unlinkat(reg->root, path, 0);
	if (f.c)
		c->reply.status = r < 0 ? 502 : 200;
	else if (r == -E_NOTFOUND)
		registry_unknown(&c->reply, "BLOB_UNKNOWN", "blob unknown to registry", digest);
	else if (r < 0)
		refused(c, r, &e);
	else
		blob_get(c);
}

static void cache_blob_start(struct call *c)
{
	const char *name = call_name(c), *digest = c->args[1] ?: "";

	if (!name)
		return;
	if (!registry_is_digest(digest) || has_blob(c->data, name, digest) ||
		has_manifest(c->data, name, digest))
		blob_get(c);
}

static void cache_blob(struct call *c)
{
	const char *name = c->args[0], *digest = c->args[1];
	const struct depot *reg = c->data;
	int64_t size = -1;
	struct err e = { 0 };
	int r;

	if (!http_equal(c->q->method, "HEAD")) {
		fetch_blob(c, name, digest);
		return;
	}
	size = known_size(reg, name, digest);
	r = upstream_has_blob(reg->upstream, name, digest, &e);
	if (r < 0) {
		refused(c, r, &e);
	} else if (r == 0) {
		registry_unknown(&c->reply, "BLOB_UNKNOWN", "blob unknown to registry", digest);
	} else if (size < 0) {
		/* its size is only known when it is here */
		fetch_blob(c, name, digest);
	} else {
		reply_header(&c->reply, "Content-Type", "application/octet-stream");
		reply_header(&c->reply, "Docker-Content-Digest", "%s", digest);
		reply_none(&c->reply, 200);
		c->reply.len = size;
	}
}

/* --- lists ------------------------------------------------------------------------------------------------------ */

static void cache_tags(struct call *c)
{
	const char *name = call_name(c);
	const struct depot *reg = c->data;
	g_autoptr(GPtrArray) tags = NULL;
	struct err e = { 0 };
	int r;

	if (!name)
		return;
	r = upstream_tags(reg->upstream, name, &tags, &e);
	if (r >= 0)
		lists_answer_tags(c, name, tags);
	else if (r == -E_NOTFOUND)
		registry_unknown(
			&c->reply, "NAME_UNKNOWN", "repository name not known to registry", name);
	else if (depot_repo_exists(reg, name))
		lists_tags(c);
	else
		refused(c, r, &e);
}

static void cache_referrers(struct call *c)
{
	const char *name = call_name(c);
	const struct depot *reg = c->data;
	g_autofree char *path = NULL;
	GString *text = NULL;
	struct err e = { 0 };
	int r;

	if (!name)
		return;
	if (!c->args[1] || !registry_is_digest(c->args[1])) {
		registry_fail(&c->reply, 400, "DIGEST_INVALID", "invalid digest");
		return;
	}
	path = g_strdup_printf("/v2/%s/referrers/%s", name, c->args[1]);
	r = upstream_get(reg->upstream, name, path, REGISTRY_MANIFEST_MAX, &text, &e);
	if (r < 0 && r != -E_NOTFOUND) {
		lists_referrers(c);
		return;
	}
	/* All of them: whoever asked for a type sees that it wasn't applied. Where there are none at all, clients look at
	 * the tag that stands for them. */
	if (r == -E_NOTFOUND)
		registry_unknown(&c->reply, "NAME_UNKNOWN", "no referrers API", c->args[1]);
	else
		reply_text(&c->reply, 200, "application/vnd.oci.image.index.v1+json", text->str);
	if (text)
		g_string_free(text, TRUE);
}

const struct route registry_cache_routes[] = {
	{ "GET", "/v2/", .start = lists_base },
	{ "GET", "/v2", .start = lists_base },
	{ "GET", "/v2/_catalog", .work = lists_catalog },
	{ "GET", "/v2/{+}/tags/list", .work = cache_tags, .slow = true },
	{ "GET", "/v2/{+}/referrers/{}", .work = cache_referrers, .slow = true },
	{ "GET", "/v2/{+}/manifests/{}", .start = cache_manifest_start, .work = cache_manifest,
		.slow = true },
	{ "PUT", "/v2/{+}/manifests/{}", .start = deny },
	{ "DELETE", "/v2/{+}/manifests/{}", .work = manifests_delete,
		.flags = ROUTE_WRITES | ROUTE_DELETES },
	{ "POST", "/v2/{+}/blobs/uploads/", .start = deny },
	{ "POST", "/v2/{+}/blobs/uploads", .start = deny },
	{ "GET", "/v2/{+}/blobs/{}", .start = cache_blob_start, .work = cache_blob, .slow = true },
	{ "DELETE", "/v2/{+}/blobs/{}", .work = blob_delete,
		.flags = ROUTE_WRITES | ROUTE_DELETES },
	{ NULL },
};
