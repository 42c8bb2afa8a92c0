/* SPDX-License-Identifier: MIT */
/*
 * Garbage: what no manifest of its repository names, and contents that no repository has. A push in progress has
 * blobs that nothing names yet; they are young (depot.h: pushed, mounted or asked for), and stay for that. Should one
 * go all the same, the push of its manifest is refused: there is no moment with a manifest whose blobs are gone.
 */

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include "dialect/registry/manifest.h"
#include "dialect/registry/names.h"
#include "dialect/registry/registry.h"
#include "dialect/registry/routes.h"

#define NS INT64_C(1000000000)

struct gc {
	const struct depot *reg;
	const struct registry_gc_options *o;
	struct registry_gc_result *res;
	int64_t now; /* s */
	int code;
};

/* One repository's manifests. */
struct marks {
	GHashTable *all;   /* digest -> struct manifest */
	GHashTable *live;  /* digests of manifests that stay */
	GHashTable *blobs; /* digests that they name */
};

static void free_manifest(void *p)
{
	manifest_done(p);
	g_free(p);
}

static int64_t age(const struct gc *gc, const char *path)
{
	struct stat st;

	if (fstatat(gc->reg->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return MAX(gc->now - st.st_mtim.tv_sec, 0) * NS;
}

static bool is_young(const struct gc *gc, const char *name, const char *kind, const char *digest)
{
	g_autofree char *path = depot_repo_path(name, kind, digest);

	return gc->o->grace > 0 && age(gc, path) <= gc->o->grace;
}

/* Removes one name; a dry run only counts. */
static void drop(struct gc *gc, const char *path, unsigned *count)
{
	int r = gc->o->dry_run ? 0 : RET_NERRNO(unlinkat(gc->reg->root, path, 0));

	if (r >= 0)
		(*count)++;
	else if (r != -ENOENT)
		gc->code = r;
}

/* --- marking ------------------------------------------------------------------------------------------------- */

static bool load_manifests(struct gc *gc, const char *name, struct marks *m)
{
	g_autofree char *folder = depot_repo_path(name, "_manifests", NULL);
	g_autoptr(GPtrArray) all = depot_list(gc->reg, folder);

	for (guint i = 0; all && i < all->len; i++) {
		struct manifest *one = g_new0(struct manifest, 1);
		int r = registry_is_digest(all->pdata[i])
				? manifest_load(gc->reg, name, all->pdata[i], one, NULL)
				: -E_INVALID;

		if (r < 0) {
			/* what can't be read may name anything: nothing goes */
			g_free(one);
			gc->code = r;
			return false;
		}
		(void)g_hash_table_insert(m->all, g_strdup(all->pdata[i]), one);
	}
	return true;
}

static void mark_roots(struct gc *gc, const char *name, struct marks *m)
{
	g_autofree char *folder = depot_repo_path(name, "_tags", NULL);
	g_autoptr(GPtrArray) tags = depot_list(gc->reg, folder);
	GHashTableIter it;
	void *digest;

	g_hash_table_iter_init(&it, m->all);
	while (g_hash_table_iter_next(&it, &digest, NULL))
		if (!gc->o->untagged || is_young(gc, name, "_manifests", digest))
			(void)g_hash_table_add(m->live, digest);
	for (guint i = 0; tags && i < tags->len; i++) {
		g_autofree char *path = depot_repo_path(name, "_tags", tags->pdata[i]);
		g_autofree char *target = depot_link(gc->reg, path);

		if (target && g_hash_table_lookup_extended(m->all, target, &digest, NULL))
			(void)g_hash_table_add(m->live, digest);
	}
}

/* One round over what lives: whether more came to life by it. Members of indexes; what has a living subject. */
static bool spread(struct marks *m)
{
	guint before = g_hash_table_size(m->live);
	GHashTableIter it;
	void *digest, *value, *key;

	g_hash_table_iter_init(&it, m->all);
	while (g_hash_table_iter_next(&it, &digest, &value)) {
		const struct manifest *one = value;

		if (one->subject && g_hash_table_contains(m->live, one->subject))
			(void)g_hash_table_add(m->live, digest);
		if (!g_hash_table_contains(m->live, digest))
			continue;
		for (guint i = 0; i < one->refs->len; i++) {
			const struct manifest_ref *ref =
				&g_array_index(one->refs, struct manifest_ref, i);

			if (ref->manifest &&
				g_hash_table_lookup_extended(m->all, ref->digest, &key, NULL))
				(void)g_hash_table_add(m->live, key);
			else if (!ref->manifest)
				(void)g_hash_table_add(m->blobs, (void *)ref->digest);
		}
	}
	return g_hash_table_size(m->live) > before;
}

/* --- sweeping ------------------------------------------------------------------------------------------------- */

static void sweep_manifests(struct gc *gc, const char *name, struct marks *m)
{
	GHashTableIter it;
	void *digest;

	g_hash_table_iter_init(&it, m->all);
	while (g_hash_table_iter_next(&it, &digest, NULL)) {
		int r = 0;

		if (g_hash_table_contains(m->live, digest))
			continue;
		if (!gc->o->dry_run)
			r = manifests_remove(gc->reg, name, digest);
		if (r < 0)
			gc->code = r;
		else
			gc->res->manifests++;
	}
}

static void sweep_blobs(struct gc *gc, const char *name, struct marks *m)
{
	g_autofree char *folder = depot_repo_path(name, "_blobs", NULL);
	g_autoptr(GPtrArray) all = depot_list(gc->reg, folder);

	for (guint i = 0; all && i < all->len; i++) {
		g_autofree char *path = depot_repo_path(name, "_blobs", all->pdata[i]);

		if (!g_hash_table_contains(m->blobs, all->pdata[i]) &&
			!is_young(gc, name, "_blobs", all->pdata[i]))
			drop(gc, path, &gc->res->blobs);
	}
}

/* What a killed process left: types, tags and referrers without their manifest, links half made. */
static void sweep_leftovers(struct gc *gc, const char *name, struct marks *m)
{
	g_autofree char *types = depot_repo_path(name, "_types", NULL);
	g_autofree char *tags = depot_repo_path(name, "_tags", NULL);
	g_autofree char *referrers = depot_repo_path(name, "_referrers", NULL);
	g_autoptr(GPtrArray) all_types = depot_list(gc->reg, types);
	g_autoptr(GPtrArray) all_tags = depot_list(gc->reg, tags);
	g_autoptr(GPtrArray) subjects = depot_list(gc->reg, referrers);
	unsigned unused = 0;

	for (guint i = 0; all_types && i < all_types->len; i++) {
		g_autofree char *path = depot_repo_path(name, "_types", all_types->pdata[i]);

		if (!g_hash_table_contains(m->all, all_types->pdata[i]))
			drop(gc, path, &unused);
	}
	for (guint i = 0; all_tags && i < all_tags->len; i++) {
		g_autofree char *path = depot_repo_path(name, "_tags", all_tags->pdata[i]);
		g_autofree char *target = depot_link(gc->reg, path);

		if (!target || !g_hash_table_contains(m->all, target))
			drop(gc, path, &unused);
	}
	for (guint i = 0; subjects && i < subjects->len; i++) {
		g_autofree char *of = depot_repo_path(name, "_referrers", subjects->pdata[i]);
		g_autoptr(GPtrArray) all = depot_list(gc->reg, of);

		for (guint k = 0; all && k < all->len; k++) {
			g_autofree char *path =
				g_strdup_printf("%s/%s", of, (const char *)all->pdata[k]);

			if (!g_hash_table_contains(m->all, all->pdata[k]))
				drop(gc, path, &unused);
		}
		if (!gc->o->dry_run)
			(void)unlinkat(gc->reg->root, of, AT_REMOVEDIR);
	}
}

static void sweep_uploads(struct gc *gc, const char *name)
{
	g_autofree char *folder = depot_repo_path(name, "_uploads", NULL);
	g_autoptr(GPtrArray) all = depot_list(gc->reg, folder);

	for (guint i = 0; all && i < all->len; i++) {
		g_autofree char *path = depot_repo_path(name, "_uploads", all->pdata[i]);
		_cleanup_close_ int fd =
			RET_NERRNO(openat(gc->reg->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));

		/* a request that is writing has it locked */
		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || age(gc, path) < gc->o->upload_age)
			continue;
		drop(gc, path, &gc->res->uploads);
	}
}

/* What a cache didn't fetch to the end. */
static void sweep_fetches(struct gc *gc)
{
	g_autoptr(GPtrArray) all = depot_list(gc->reg, "fetches");

	for (guint i = 0; all && i < all->len; i++) {
		g_autofree char *path = g_strdup_printf("fetches/%s", (const char *)all->pdata[i]);
		_cleanup_close_ int fd =
			RET_NERRNO(openat(gc->reg->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));

		if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || age(gc, path) < gc->o->upload_age)
			continue;
		drop(gc, path, &gc->res->uploads);
	}
}

static void remove_if_empty(struct gc *gc, const char *name)
{
	static const char *const kinds[] = { "_referrers", "_types", "_tags", "_uploads", "_blobs",
		"_manifests" };
	g_autofree char *path = depot_repo_path(name, NULL, NULL);

	if (gc->o->dry_run)
		return;
	for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *folder = depot_repo_path(name, kinds[i], NULL);

		if (RET_NERRNO(unlinkat(gc->reg->root, folder, AT_REMOVEDIR)) == -ENOTEMPTY)
			return;
	}
	/* another repository may lie below it */
	if (unlinkat(gc->reg->root, path, AT_REMOVEDIR) == 0)
		gc->res->repositories++;
}

static bool one_repository(const char *name, void *data)
{
	struct gc *gc = data;
	_cleanup_close_ int lock = depot_repo_lock(gc->reg, name, false);
	struct marks m;

	if (lock < 0) {
		gc->code = lock == -ENOENT ? gc->code : lock;
		return true;
	}
	m.all = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_manifest);
	m.live = g_hash_table_new(g_str_hash, g_str_equal);
	m.blobs = g_hash_table_new(g_str_hash, g_str_equal);
	if (load_manifests(gc, name, &m)) {
		mark_roots(gc, name, &m);
		while (spread(&m))
			;
		sweep_manifests(gc, name, &m);
		sweep_blobs(gc, name, &m);
		sweep_leftovers(gc, name, &m);
	}
	sweep_uploads(gc, name);
	remove_if_empty(gc, name);
	g_hash_table_destroy(m.blobs);
	g_hash_table_destroy(m.live);
	g_hash_table_destroy(m.all);
	return true;
}

/* Contents whose last repository is gone. A push that finds one here links to it before it counts on it. */
static void sweep_contents(struct gc *gc)
{
	g_autoptr(GPtrArray) all = depot_list(gc->reg, "blobs/sha256");

	for (guint i = 0; all && i < all->len; i++) {
		g_autofree char *path =
			g_strdup_printf("blobs/sha256/%s", (const char *)all->pdata[i]);
		unsigned before = gc->res->contents;
		struct stat st;

		if (fstatat(gc->reg->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_nlink > 1)
			continue;
		drop(gc, path, &gc->res->contents);
		if (gc->res->contents > before)
			gc->res->bytes += st.st_size;
	}
}

int registry_gc(const struct registry_gc_options *o, struct registry_gc_result *ret, struct err *e)
{
	struct registry_gc_result res = { 0 };
	struct depot *reg = NULL;
	struct gc gc = { .o = o, .res = &res, .now = time(NULL) };
	int r = depot_open(o->root, 0, &reg, e);

	if (r < 0)
		return r;
	gc.reg = reg;
	lists_walk(reg, one_repository, &gc);
	sweep_fetches(&gc);
	sweep_contents(&gc);
	depot_free(reg);
	*ret = res;
	return gc.code < 0 ? err_sys(e, gc.code, "cannot collect all garbage of '%s'", o->root) : 0;
}
