/* SPDX-License-Identifier: MIT */
/* Manifests: to be read, pushed, removed; and their tags. */

#include <fcntl.h>
#include <string.h>
#include "dialect/registry/manifest.h"
#include "dialect/registry/names.h"
#include "dialect/registry/routes.h"

#define TAGS_MAX 64 /* of one push */

static void unknown(struct call *c)
{
	registry_unknown(&c->reply, "MANIFEST_UNKNOWN", "manifest unknown", c->args[1]);
}

/* The digest that the request's reference stands for, or NULL: answered. */
static char *resolve(struct call *c, const char *name, const char *ref)
{
	g_autofree char *path = NULL, *digest = NULL;

	if (registry_is_digest(ref))
		return g_strdup(ref);
	if (!registry_is_tag(ref)) {
		bool digest_like = strchr(ref, ':') != NULL;

		registry_fail(&c->reply, digest_like ? 400 : 404,
			digest_like ? "DIGEST_INVALID" : "MANIFEST_UNKNOWN",
			digest_like ? "the digest is none of sha256" : "invalid tag");
		return NULL;
	}
	path = depot_repo_path(name, "_tags", ref);
	digest = depot_link(c->data, path);
	if (digest && registry_is_digest(digest))
		return g_steal_pointer(&digest);
	unknown(c);
	return NULL;
}

void manifests_get(struct call *c)
{
	const char *name = call_name(c);
	const struct depot *reg = c->data;
	g_autofree char *digest = NULL, *path = NULL, *type_path = NULL, *type = NULL;
	struct stat st;
	int fd;

	if (!name)
		return;
	digest = resolve(c, name, c->args[1] ?: "");
	if (!digest)
		return;
	path = depot_repo_path(name, "_manifests", digest);
	type_path = depot_repo_path(name, "_types", digest);
	fd = depot_file(reg, path, &st);
	if (fd < 0) {
		unknown(c);
		return;
	}
	type = depot_link(reg, type_path);
	if (!type) {
		(void)close(fd);
		unknown(c);
		return;
	}
	depot_touch(reg, fd);
	reply_header(&c->reply, "Content-Type", "%s", type);
	reply_content(c, fd, st.st_size, digest, false);
}

/* --- PUT --------------------------------------------------------------------------------------------------- */

void manifests_put(struct call *c)
{
	if (!call_name(c))
		return;
	c->body.fd = depot_temp(c->data);
	c->body.limit = REGISTRY_MANIFEST_MAX;
	if (c->body.fd < 0)
		registry_broken(&c->reply, c->body.fd, "cannot take the manifest");
	else if (sha256_new(&c->body.sha, NULL) < 0)
		registry_broken(&c->reply, -E_UNSUPPORTED, "cannot hash");
}

static char *content_type(const struct call *c)
{
	const struct http_text *v = http_find(c->q, "Content-Type");
	g_autofree char *text = v ? g_strndup(v->p, v->n) : NULL;

	if (!text)
		return NULL;
	*strchrnul(text, ';') = '\0';
	g_strstrip(text);
	/* what curl says when it isn't told */
	if (*text == '\0' || g_str_equal(text, "application/x-www-form-urlencoded") ||
		g_str_equal(text, "application/json") ||
		g_str_equal(text, "application/octet-stream"))
		return NULL;
	return g_steal_pointer(&text);
}

/* A manifest has no holes: what it names is in the repository, of that size. */
static bool check_refs(struct call *c, const char *name, const struct manifest *m)
{
	const struct depot *reg = c->data;

	for (guint i = 0; i < m->refs->len; i++) {
		const struct manifest_ref *ref = &g_array_index(m->refs, struct manifest_ref, i);
		g_autofree char *path =
			depot_repo_path(name, ref->manifest ? "_manifests" : "_blobs", ref->digest);
		struct stat st;

		if (fstatat(reg->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (ref->foreign)
				continue;
			registry_fail(&c->reply, 400, "MANIFEST_BLOB_UNKNOWN",
				"manifest references a manifest or blob unknown to registry: %s",
				ref->digest);
			return false;
		}
		if (st.st_size != ref->size) {
			registry_fail(&c->reply, 400, "MANIFEST_INVALID",
				"the size of %s is %" G_GINT64_FORMAT ", not %" G_GINT64_FORMAT,
				ref->digest, (int64_t)st.st_size, ref->size);
			return false;
		}
	}
	return true;
}

/* The tags that the request gives. NULL: answered. */
static GPtrArray *wanted_tags(struct call *c, bool by_digest)
{
	g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);
	char buf[HTTP_TARGET_MAX];

	if (!by_digest)
		g_ptr_array_add(tags, g_strdup(c->args[1]));
	for (unsigned i = 0; by_digest && c->q->query.p; i++) {
		ssize_t n = http_query(c->q->query, "tag", i, buf, sizeof(buf));

		if (n == -ENOENT)
			break;
		if (n < 0 || !registry_is_tag(buf) || i >= TAGS_MAX) {
			registry_fail(&c->reply, i >= TAGS_MAX ? 414 : 400, "MANIFEST_INVALID",
				i >= TAGS_MAX ? "too many tags" : "invalid tag");
			return NULL;
		}
		g_ptr_array_add(tags, g_strdup(buf));
	}
	return g_steal_pointer(&tags);
}

int manifests_keep(const struct depot *reg, const char *name, const char *digest, int fd,
	const struct manifest *m, const GPtrArray *tags)
{
	g_autofree char *types = depot_repo_path(name, "_types", NULL);
	g_autofree char *tag_folder = depot_repo_path(name, "_tags", NULL);
	/* what tells of it stands first: a manifest that is there is complete */
	int r = depot_set_link(reg, types, digest, m->media_type);

	if (r >= 0 && m->subject) {
		g_autofree char *folder = depot_repo_path(name, "_referrers", m->subject);

		r = depot_set_link(reg, folder, digest, "1");
	}
	if (r >= 0)
		r = depot_keep(reg, name, "_manifests", digest, fd);
	for (guint i = 0; r >= 0 && i < tags->len; i++)
		r = depot_set_link(reg, tag_folder, tags->pdata[i], digest);
	return r;
}

static void put_checked(struct call *c, const char *name, const struct manifest *m)
{
	const struct depot *reg = c->data;
	bool by_digest = registry_is_digest(c->args[1]);
	g_autoptr(GPtrArray) tags = wanted_tags(c, by_digest);
	_cleanup_close_ int lock = -1;
	int r;

	if (!tags)
		return;
	lock = r = depot_repo_lock(reg, name, true);
	if (r >= 0 && !check_refs(c, name, m))
		return;
	if (r >= 0)
		r = manifests_keep(reg, name, c->digest, c->body.fd, m, tags);
	if (r < 0) {
		registry_broken(&c->reply, r, "cannot keep the manifest");
		return;
	}
	reply_header(&c->reply, "Location", "/v2/%s/manifests/%s", name, c->args[1]);
	reply_header(&c->reply, "Docker-Content-Digest", "%s", c->digest);
	if (m->subject)
		reply_header(&c->reply, "OCI-Subject", "%s", m->subject);
	for (guint i = 0; by_digest && i < tags->len; i++)
		reply_header(&c->reply, "OCI-Tag", "%s", (const char *)tags->pdata[i]);
	reply_none(&c->reply, 201);
}

/* All bytes of a file of that size. */
static char *read_all(int fd, int64_t size)
{
	g_autofree char *text = g_malloc((gsize)size + 1);
	int64_t at = 0;

	while (at < size) {
		ssize_t n = RET_NERRNO(pread(fd, text + at, (size_t)(size - at), at));

		if (n <= 0)
			return NULL;
		at += n;
	}
	text[size] = '\0';
	return g_steal_pointer(&text);
}

int manifest_load(const struct depot *reg, const char *name, const char *digest,
	struct manifest *ret, int64_t *ret_size)
{
	g_autofree char *path = depot_repo_path(name, "_manifests", digest);
	g_autofree char *type_path = depot_repo_path(name, "_types", digest);
	g_autofree char *type = depot_link(reg, type_path), *text = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;

	fd = depot_file(reg, path, &st);
	if (fd < 0)
		return fd;
	text = st.st_size <= REGISTRY_MANIFEST_MAX ? read_all(fd, st.st_size) : NULL;
	if (!text)
		return -E_INVALID;
	if (ret_size)
		*ret_size = st.st_size;
	return manifest_read(text, (size_t)st.st_size, type, ret, NULL);
}

void manifests_put_work(struct call *c)
{
	const char *name = call_name(c), *ref = c->args[1] ?: "";
	g_autofree char *text = NULL, *type = content_type(c);
	struct manifest m;
	struct err e = { 0 };

	if (!name)
		return;
	if (!registry_is_digest(ref) && !registry_is_tag(ref)) {
		bool digest_like = strchr(ref, ':') != NULL;

		registry_fail(&c->reply, 400, digest_like ? "DIGEST_INVALID" : "MANIFEST_INVALID",
			digest_like ? "invalid digest" : "invalid tag");
		return;
	}
	if (registry_is_digest(ref) && !g_str_equal(ref, c->digest)) {
		registry_fail(&c->reply, 400, "DIGEST_INVALID",
			"provided digest did not match uploaded content, which is %s", c->digest);
		return;
	}
	text = read_all(c->body.fd, c->body.at);
	if (!text) {
		registry_fail(&c->reply, 500, NULL, "cannot read the manifest back");
		return;
	}
	if (manifest_read(text, (size_t)c->body.at, type, &m, &e) < 0) {
		registry_fail(&c->reply, 400, "MANIFEST_INVALID", "manifest invalid: %s", e.text);
		return;
	}
	put_checked(c, name, &m);
	manifest_done(&m);
}

/* --- DELETE ------------------------------------------------------------------------------------------------- */

static int remove_tags(const struct depot *reg, const char *name, const char *digest)
{
	g_autofree char *folder = depot_repo_path(name, "_tags", NULL);
	g_autoptr(GPtrArray) tags = depot_list(reg, folder);
	int r = 0;

	for (guint i = 0; tags && r >= 0 && i < tags->len; i++) {
		g_autofree char *path = depot_repo_path(name, "_tags", tags->pdata[i]);
		g_autofree char *target = depot_link(reg, path);

		if (target && g_str_equal(target, digest))
			r = RET_NERRNO(unlinkat(reg->root, path, 0));
	}
	return r < 0 || !tags ? r : depot_sync(reg, folder);
}

int manifests_remove(const struct depot *reg, const char *name, const char *digest)
{
	g_autofree char *path = depot_repo_path(name, "_manifests", digest);
	g_autofree char *folder = depot_repo_path(name, "_manifests", NULL);
	g_autofree char *type = depot_repo_path(name, "_types", digest);
	struct manifest m = { 0 };
	int loaded = manifest_load(reg, name, digest, &m, NULL), r;

	/* the tags first: one that leads nowhere is never seen */
	r = loaded == -ENOENT ? loaded : remove_tags(reg, name, digest);
	if (r >= 0)
		r = RET_NERRNO(unlinkat(reg->root, path, 0));
	if (r >= 0)
		r = depot_sync(reg, folder);
	if (r >= 0)
		(void)unlinkat(reg->root, type, 0);
	if (r >= 0 && loaded >= 0 && m.subject) {
		g_autofree char *of = depot_repo_path(name, "_referrers", m.subject);
		g_autofree char *referrer = g_strdup_printf("%s/%s", of, digest);

		(void)unlinkat(reg->root, referrer, 0);
		(void)unlinkat(reg->root, of, AT_REMOVEDIR);
	}
	if (loaded >= 0)
		manifest_done(&m);
	return r;
}

static int remove_tag(const struct depot *reg, const char *name, const char *tag)
{
	g_autofree char *folder = depot_repo_path(name, "_tags", NULL);
	g_autofree char *path = depot_repo_path(name, "_tags", tag);
	int r = RET_NERRNO(unlinkat(reg->root, path, 0));

	return r < 0 ? r : depot_sync(reg, folder);
}

void manifests_delete(struct call *c)
{
	const char *name = call_name(c), *ref = c->args[1] ?: "";
	const struct depot *reg = c->data;
	_cleanup_close_ int lock = -1;
	int r;

	if (!name)
		return;
	if (!registry_is_digest(ref) && !registry_is_tag(ref)) {
		registry_fail(
			&c->reply, 400, "DIGEST_INVALID", "neither a digest of sha256 nor a tag");
		return;
	}
	lock = r = depot_repo_lock(reg, name, false);
	if (r >= 0)
		r = registry_is_digest(ref) ? manifests_remove(reg, name, ref)
					    : remove_tag(reg, name, ref);
	if (r == -ENOENT || r == -ENOTDIR)
		unknown(c);
	else if (r < 0)
		registry_broken(&c->reply, r, "cannot remove the manifest");
	else
		reply_none(&c->reply, 202);
}
