/* SPDX-License-Identifier: MIT */
/*
 * Blobs that come: repositories/NAME/_uploads/ID grows with each request, so what came stays there whatever happens
 * to the client or to us. The hash is kept beside it in the server's memory; where it isn't, the server reads the file
 * once more (struct sink, hashed).
 */

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include "dialect/registry/names.h"
#include "dialect/registry/routes.h"

#define HASHES_MAX 1024

struct upload_hash {
	struct sha256 *sha;
	int64_t hashed;
};

static void hash_free(void *p)
{
	struct upload_hash *h = p;

	sha256_free(h->sha);
	g_free(h);
}

/* Gives the hash of what came so far to the sink: as it is remembered, else a new one. */
static int take_hash(struct depot *reg, const char *id, struct sink *b)
{
	struct upload_hash *h = reg->hashes ? g_hash_table_lookup(reg->hashes, id) : NULL;

	if (h && h->hashed <= b->start) {
		b->sha = g_steal_pointer(&h->sha);
		b->hashed = h->hashed;
	}
	if (h)
		g_hash_table_remove(reg->hashes, id);
	return b->sha ? 0 : sha256_new(&b->sha, NULL);
}

static void keep_hash(struct depot *reg, const char *id, struct sink *b)
{
	struct upload_hash *h;

	if (!b->sha || b->hashed != b->at)
		return;
	if (!reg->hashes)
		reg->hashes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, hash_free);
	if (g_hash_table_size(reg->hashes) >= HASHES_MAX)
		g_hash_table_remove_all(reg->hashes);
	h = g_new0(struct upload_hash, 1);
	h->sha = g_steal_pointer(&b->sha);
	h->hashed = b->hashed;
	(void)g_hash_table_replace(reg->hashes, g_strdup(id), h);
}

/* --- answers ------------------------------------------------------------------------------------------------ */

static void upload_headers(struct call *c, const char *name, const char *id, int64_t size)
{
	reply_header(&c->reply, "Location", "/v2/%s/blobs/uploads/%s", name, id);
	reply_header(&c->reply, "Range", "0-%" G_GINT64_FORMAT, size > 0 ? size - 1 : 0);
	reply_header(&c->reply, "Docker-Upload-UUID", "%s", id);
}

static void created(struct call *c, const char *name, const char *digest)
{
	reply_header(&c->reply, "Location", "/v2/%s/blobs/%s", name, digest);
	reply_header(&c->reply, "Docker-Content-Digest", "%s", digest);
	reply_none(&c->reply, 201);
}

static void unknown(struct call *c)
{
	registry_unknown(
		&c->reply, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry", c->args[1]);
}

/* The upload's file, or a negative code: answered. */
static int open_upload(struct call *c, const char *name, int flags, int64_t *ret_size)
{
	const struct depot *reg = c->data;
	g_autofree char *path = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (!c->args[1] || !registry_is_upload(c->args[1])) {
		unknown(c);
		return -ENOENT;
	}
	path = depot_repo_path(name, "_uploads", c->args[1]);
	fd = RET_NERRNO(openat(reg->root, path, flags | O_NOFOLLOW | O_CLOEXEC));
	r = fd < 0 ? fd : RET_NERRNO(fstat(fd, &st));
	if (r == -ENOENT || r == -ENOTDIR || (r >= 0 && !S_ISREG(st.st_mode))) {
		unknown(c);
		return -ENOENT;
	}
	if (r < 0) {
		registry_broken(&c->reply, r, "cannot open the upload");
		return r;
	}
	*ret_size = st.st_size;
	return TAKE_FD(fd);
}

/* The digest= of a request that has to have one, or NULL: answered. */
static char *wanted_digest(struct call *c)
{
	g_autofree char *digest = call_query(c, "digest");

	if (digest && registry_is_digest(digest))
		return g_steal_pointer(&digest);
	registry_fail(&c->reply, 400, "DIGEST_INVALID",
		digest ? "the digest is none of sha256" : "there is no digest");
	return NULL;
}

static bool same_digest(struct call *c, const char *digest)
{
	if (g_str_equal(digest, c->digest))
		return true;
	registry_fail(&c->reply, 400, "DIGEST_INVALID",
		"provided digest did not match uploaded content, which is %s", c->digest);
	return false;
}

/* --- POST -------------------------------------------------------------------------------------------------- */

void upload_post(struct call *c)
{
	g_autofree char *digest = NULL;
	g_autofree char *algorithm = call_query(c, "digest-algorithm");

	if (!call_name(c))
		return;
	if (algorithm && !g_str_equal(algorithm, "sha256")) {
		registry_fail(&c->reply, 400, "DIGEST_INVALID", "the algorithm is not sha256");
		return;
	}
	digest = call_query(c, "digest");
	if (!digest || (c->q->length == 0 && !c->q->chunked))
		return;
	if (!registry_is_digest(digest)) {
		registry_fail(&c->reply, 400, "DIGEST_INVALID", "the digest is none of sha256");
		return;
	}
	/* the whole blob in one request */
	c->body.fd = depot_temp(c->data);
	if (c->body.fd < 0)
		registry_broken(&c->reply, c->body.fd, "cannot begin an upload");
	else if (sha256_new(&c->body.sha, NULL) < 0)
		registry_broken(&c->reply, -E_UNSUPPORTED, "cannot hash");
}

static void begin_upload(struct call *c, const char *name)
{
	const struct depot *reg = c->data;
	g_autofree char *folder = depot_repo_path(name, "_uploads", NULL), *path = NULL;
	_cleanup_close_ int lock = -1, fd = -1;
	char id[REGISTRY_UPLOAD_SIZE];
	int r = registry_new_upload(id);

	if (r >= 0)
		lock = r = depot_repo_lock(reg, name, true);
	if (r >= 0)
		r = depot_mkdirs(reg, folder);
	if (r >= 0) {
		path = depot_repo_path(name, "_uploads", id);
		fd = r = RET_NERRNO(
			openat(reg->root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	}
	if (r < 0) {
		registry_broken(&c->reply, r, "cannot begin an upload");
		return;
	}
	upload_headers(c, name, id, 0);
	reply_none(&c->reply, 202);
}

static void keep(struct call *c, const char *name, const char *digest)
{
	const struct depot *reg = c->data;
	/* before the lock: the repository's other pushes needn't wait for these bytes */
	int r = RET_NERRNO(fsync(c->body.fd));
	_cleanup_close_ int lock = r < 0 ? r : depot_repo_lock(reg, name, true);

	r = lock < 0 ? lock : depot_keep(reg, name, "_blobs", digest, c->body.fd);
	if (r < 0)
		registry_broken(&c->reply, r, "cannot keep the blob");
	else
		created(c, name, digest);
}

/* Whether the blob could be had without its bytes. */
static bool mount(struct call *c, const char *name)
{
	const struct depot *reg = c->data;
	g_autofree char *digest = call_query(c, "mount"), *from = call_query(c, "from");
	_cleanup_close_ int lock = -1;
	int r;

	if (!digest || !registry_is_digest(digest) || (from && !registry_is_name(from)))
		return false;
	lock = depot_repo_lock(reg, name, true);
	r = lock < 0 ? lock : depot_share(reg, name, digest, from);
	if (r < 0)
		return false;
	created(c, name, digest);
	return true;
}

void upload_post_work(struct call *c)
{
	const char *name = call_name(c);
	g_autofree char *digest = NULL;

	if (!name || mount(c, name))
		return;
	if (c->body.fd < 0) {
		begin_upload(c, name);
		return;
	}
	digest = wanted_digest(c);
	if (digest && same_digest(c, digest))
		keep(c, name, digest);
}

/* --- the upload's state ------------------------------------------------------------------------------------- */

void upload_get(struct call *c)
{
	const char *name = call_name(c);
	_cleanup_close_ int fd = -1;
	int64_t size;

	if (!name)
		return;
	fd = open_upload(c, name, O_RDONLY, &size);
	if (fd < 0)
		return;
	upload_headers(c, name, c->args[1], size);
	reply_none(&c->reply, 204);
}

void upload_delete(struct call *c)
{
	const char *name = call_name(c);
	struct depot *reg = c->data;
	g_autofree char *path = NULL;
	_cleanup_close_ int fd = -1;
	int64_t size;

	if (!name)
		return;
	fd = open_upload(c, name, O_RDONLY, &size);
	if (fd < 0)
		return;
	path = depot_repo_path(name, "_uploads", c->args[1]);
	(void)unlinkat(reg->root, path, 0);
	if (reg->hashes)
		(void)g_hash_table_remove(reg->hashes, c->args[1]);
	reply_none(&c->reply, 204);
}

/* --- bytes --------------------------------------------------------------------------------------------------- */

/* The range that the request says it has; 1: it has one; 0: none; -1: answered. */
static int range_of(struct call *c, int64_t *ret_first, int64_t *ret_last)
{
	const struct http_text *v = http_find(c->q, "Content-Range");

	if (!v)
		return 0;
	if (http_content_range(*v, ret_first, ret_last) == 0)
		return 1;
	registry_fail(&c->reply, 400, "BLOB_UPLOAD_INVALID", "the Content-Range is no FIRST-LAST");
	return -1;
}

static bool check_range(struct call *c, const char *name, int64_t size)
{
	int64_t first, last;
	int r = range_of(c, &first, &last);

	if (r == 0)
		return true;
	/* the final PUT may say that it has nothing more */
	if (r == 1 && c->q->length == 0 && first == 0 && last == 0)
		return true;
	if (r == 1 && first != size) {
		upload_headers(c, name, c->args[1], size);
		registry_fail(&c->reply, 416, "BLOB_UPLOAD_INVALID",
			"the chunk begins at %" G_GINT64_FORMAT ", but %" G_GINT64_FORMAT
			" bytes are here",
			first, size);
	} else if (r == 1 && c->q->length >= 0 && last - first + 1 != c->q->length) {
		registry_fail(&c->reply, 400, "SIZE_INVALID",
			"the Content-Range is not of the body's length");
	}
	return c->reply.status == 0;
}

/* The request writes no more. */
static void end_write(struct call *c)
{
	struct depot *reg = c->data;

	if (reg->writers && g_hash_table_lookup(reg->writers, c->args[1]) == c)
		(void)g_hash_table_remove(reg->writers, c->args[1]);
}

/* One request at a time writes. A client that begins anew has lost its other connection, which may be known here a
 * minute later only: the new one goes on. */
static bool lock_upload(struct call *c)
{
	struct depot *reg = c->data;
	struct call *other = reg->writers ? g_hash_table_lookup(reg->writers, c->args[1]) : NULL;

	if (other)
		(void)call_abort(other);
	if (RET_NERRNO(flock(c->body.fd, LOCK_EX | LOCK_NB)) < 0) {
		registry_fail(
			&c->reply, 409, "BLOB_UPLOAD_INVALID", "another request ends this upload");
		return false;
	}
	if (!reg->writers)
		reg->writers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	(void)g_hash_table_replace(reg->writers, g_strdup(c->args[1]), c);
	return true;
}

/* PATCH and PUT: opens the upload. */
static void begin_write(struct call *c)
{
	const char *name = call_name(c);
	struct sink *b = &c->body;
	struct stat st;
	int64_t size;
	int r;

	if (!name)
		return;
	b->fd = open_upload(c, name, O_RDWR, &size);
	if (b->fd < 0 || !lock_upload(c))
		return;
	/* the other request may have written, or taken back, what it had */
	r = RET_NERRNO(fstat(b->fd, &st));
	if (r >= 0 && check_range(c, name, st.st_size)) {
		b->start = b->at = st.st_size;
		r = take_hash(c->data, c->args[1], b);
	}
	if (r < 0)
		registry_broken(&c->reply, r, "cannot write to the upload");
	if (c->reply.status)
		end_write(c);
}

void upload_patch(struct call *c)
{
	begin_write(c);
}

void upload_patch_cut(struct call *c)
{
	end_write(c);
	keep_hash(c->data, c->args[1], &c->body);
}

void upload_patched(struct call *c)
{
	int64_t first, last;

	end_write(c);
	/* of a chunked body the length is known only now */
	if (range_of(c, &first, &last) == 1 && c->body.at - c->body.start != last - first + 1) {
		(void)RET_NERRNO(ftruncate(c->body.fd, c->body.start));
		registry_fail(&c->reply, 400, "SIZE_INVALID",
			"the Content-Range is not of the body's length");
		return;
	}
	keep_hash(c->data, c->args[1], &c->body);
	upload_headers(c, c->args[0], c->args[1], c->body.at);
	reply_none(&c->reply, 202);
}

void upload_put(struct call *c)
{
	g_autofree char *digest = wanted_digest(c);

	if (digest)
		begin_write(c);
}

void upload_put_end(struct call *c)
{
	end_write(c);
}

/* A whole blob in one PUT, cut: the client will send it from its beginning. */
void upload_put_cut(struct call *c)
{
	end_write(c);
	if (http_find(c->q, "Content-Range"))
		keep_hash(c->data, c->args[1], &c->body);
	else
		(void)RET_NERRNO(ftruncate(c->body.fd, c->body.start));
}

void upload_put_work(struct call *c)
{
	const char *name = call_name(c);
	g_autofree char *digest = wanted_digest(c), *path = NULL;
	const struct depot *reg = c->data;

	if (!name || !digest)
		return;
	path = depot_repo_path(name, "_uploads", c->args[1]);
	if (same_digest(c, digest))
		keep(c, name, digest);
	/* it is kept, or is of no use; where the disk failed it can be tried again */
	if (c->reply.status < 500)
		(void)unlinkat(reg->root, path, 0);
}
