/* SPDX-License-Identifier: MIT */
#include "store/erofs-priv.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include "codec/tar.h"

#define ARENA_BLOCK ((size_t)256 * 1024)
#define HOPS_MAX    40 /* as the kernel's */

int erofs_too_large(struct err *e)
{
	return err_set(e, -E_LIMIT, "the tree has too many names (at most %d, and %zu MiB)",
		EROFS_ENTRIES_MAX, EROFS_MEMORY_MAX >> 20);
}

void *erofs_tree_alloc(struct erofs_tree *t, size_t size)
{
	void *p;

	size = (size + 7) & ~(size_t)7;
	if (t->memory + size > EROFS_MEMORY_MAX)
		return NULL;
	t->memory += size;
	if (size > ARENA_BLOCK / 4) {
		p = g_malloc0(size);
		g_ptr_array_add(t->blocks, p);
		return p;
	}
	if (size > t->n_free) {
		t->free = g_malloc0(ARENA_BLOCK);
		t->n_free = ARENA_BLOCK;
		g_ptr_array_add(t->blocks, t->free);
	}
	p = t->free;
	t->free += size;
	t->n_free -= size;
	return p;
}

/* Begins with the folder's address, which a stranger who chooses names to collide doesn't know. */
static guint entry_hash(gconstpointer key)
{
	const struct erofs_entry *x = key;
	uint32_t h = (uint32_t)((uintptr_t)x->dir >> 3) * 0x9e3779b1u;
	unsigned i;

	for (i = 0; i < x->size; i++)
		h = (h ^ (uint8_t)x->name[i]) * 0x01000193u;
	return h ^ h >> 15;
}

static gboolean entry_equal(gconstpointer a, gconstpointer b)
{
	const struct erofs_entry *x = a, *y = b;

	return x->dir == y->dir && x->size == y->size && !memcmp(x->name, y->name, x->size);
}

static void free_dir_entries(gpointer key, gpointer value, gpointer data)
{
	const struct erofs_entry *x = key;

	if (x->node && S_ISDIR(x->node->mode))
		g_clear_pointer(&((struct erofs_dir *)x->node)->entries, g_ptr_array_unref);
}

static struct erofs_dir *new_dir(struct erofs_tree *t, struct erofs_dir *parent)
{
	struct erofs_dir *d = erofs_tree_alloc(t, sizeof(*d));

	if (!d)
		return NULL;
	d->node.mode = S_IFDIR | 0755;
	d->parent = parent ? parent : d;
	d->depth = parent ? parent->depth + 1 : 0;
	d->entries = g_ptr_array_new();
	t->inodes++;
	return d;
}

void erofs_tree_init(struct erofs_tree *t)
{
	*t = (struct erofs_tree){ 0 };
	t->blocks = g_ptr_array_new_with_free_func(g_free);
	t->linked = g_ptr_array_new();
	t->entries = g_hash_table_new(entry_hash, entry_equal);
	t->root = new_dir(t, NULL);
}

void erofs_tree_done(struct erofs_tree *t)
{
	g_hash_table_foreach(t->entries, free_dir_entries, NULL);
	g_hash_table_unref(t->entries);
	g_clear_pointer(&t->root->entries, g_ptr_array_unref);
	g_ptr_array_unref(t->linked);
	g_ptr_array_unref(t->blocks);
	g_free(t->last);
}

static struct erofs_entry *lookup(
	struct erofs_tree *t, struct erofs_dir *d, const char *name, size_t size)
{
	struct erofs_entry key = { .dir = d, .name = name, .size = (uint8_t)size };

	return g_hash_table_lookup(t->entries, &key);
}

static struct erofs_entry *insert(
	struct erofs_tree *t, struct erofs_dir *d, const char *name, size_t size)
{
	struct erofs_entry *x;
	char *copy;

	if (t->n_entries >= EROFS_ENTRIES_MAX)
		return NULL;
	x = erofs_tree_alloc(t, sizeof(*x) + size + 1);
	if (!x)
		return NULL;
	copy = (char *)(x + 1);
	memcpy(copy, name, size);
	x->dir = d;
	x->name = copy;
	x->size = (uint8_t)size;
	g_hash_table_add(t->entries, x);
	g_ptr_array_add(d->entries, x);
	t->n_entries++;
	return x;
}

/* --- changing ------------------------------------------------------------------------------------------ */

static void note_links(struct erofs_tree *t, struct erofs_node *n)
{
	if (n->linked)
		return;
	n->linked = true;
	g_ptr_array_add(t->linked, n);
}

static void drop_file(struct erofs_tree *t, struct erofs_node *n)
{
	n->nlink--;
	note_links(t, n);
	if (!n->nlink)
		t->inodes--;
}

static void drop_dir(struct erofs_tree *t, struct erofs_dir *d)
{
	g_autoptr(GPtrArray) todo = g_ptr_array_new();

	g_ptr_array_add(todo, d);
	while (todo->len) {
		d = g_ptr_array_steal_index_fast(todo, todo->len - 1);
		for (unsigned i = 0; i < d->entries->len; i++) {
			struct erofs_entry *x = d->entries->pdata[i];

			g_hash_table_remove(t->entries, x);
			if (x->node && S_ISDIR(x->node->mode))
				g_ptr_array_add(todo, x->node);
			else if (x->node)
				drop_file(t, x->node);
		}
		g_clear_pointer(&d->entries, g_ptr_array_unref);
		t->inodes--;
	}
}

static void vacate(struct erofs_tree *t, struct erofs_entry *x)
{
	struct erofs_node *old = x->node;

	if (!old)
		return;
	x->node = NULL;
	g_clear_pointer(&t->last, g_free); /* its path may have gone through here */
	if (S_ISDIR(old->mode))
		drop_dir(t, (struct erofs_dir *)old);
	else
		drop_file(t, old);
}

void erofs_tree_put(struct erofs_tree *t, struct erofs_entry *x, struct erofs_node *n)
{
	if (!n->nlink++)
		t->inodes++;
	if (n->nlink > 1)
		note_links(t, n);
	vacate(t, x);
	x->node = n;
}

int erofs_tree_dir(
	struct erofs_tree *t, struct erofs_entry *x, struct erofs_dir **ret, struct err *e)
{
	struct erofs_dir *d;

	if (!x) {
		*ret = t->root;
		return 0;
	}
	if (x->node && S_ISDIR(x->node->mode)) {
		*ret = (struct erofs_dir *)x->node;
		return 0;
	}
	if (x->dir->depth >= EROFS_DEPTH_MAX)
		return err_set(e, -E_LIMIT, "folders are more than %d deep", EROFS_DEPTH_MAX);
	d = new_dir(t, x->dir);
	if (!d)
		return erofs_too_large(e);
	vacate(t, x);
	x->node = &d->node;
	*ret = d;
	return 0;
}

/* --- paths --------------------------------------------------------------------------------------------- */

/* "/a//./b/" becomes "a/b". */
static int clean(const char *path, char out[EROFS_PATH_MAX + 1], struct err *e)
{
	char shown[TAR_SHOWN];
	size_t n = 0;

	while (*path) {
		size_t k = strcspn(path, "/");

		if (k == 2 && !memcmp(path, "..", 2))
			return err_set(e, -E_CORRUPT, "the path leaves the root by '..'");
		if (k > EROFS_NAME_MAX)
			return err_set(e, -E_LIMIT, "the name '%s' is longer than %d bytes",
				tar_show(path, shown), EROFS_NAME_MAX);
		if (k && !(k == 1 && *path == '.')) {
			if (n + 1 + k > EROFS_PATH_MAX)
				return err_set(e, -E_LIMIT, "the path is longer than %d bytes",
					EROFS_PATH_MAX);
			if (n)
				out[n++] = '/';
			memcpy(out + n, path, k);
			n += k;
		}
		path += k;
		path += *path == '/';
	}
	out[n] = '\0';
	return 0;
}

struct walk {
	struct erofs_dir *at;
	char *path; /* what is still to go */
	const char *rest;
	unsigned hops;
	bool make;
};

static int follow(struct erofs_tree *t, struct walk *w, const char *target, struct err *e)
{
	char *path;

	if (++w->hops > HOPS_MAX)
		return err_set(e, -E_CORRUPT, "the path goes through too many symbolic links");
	if (strlen(target) + 1 + strlen(w->rest) > 2 * EROFS_PATH_MAX)
		return err_set(e, -E_LIMIT, "the path is too long behind a symbolic link");
	path = g_strconcat(target, "/", w->rest, NULL);
	g_free(w->path);
	w->rest = w->path = path;
	if (*target == '/')
		w->at = t->root;
	return 0;
}

static int descend(
	struct erofs_tree *t, struct walk *w, const char *name, size_t size, struct err *e)
{
	struct erofs_entry *x = lookup(t, w->at, name, size);
	char shown[TAR_SHOWN];

	if (x && x->node && S_ISDIR(x->node->mode)) {
		w->at = (struct erofs_dir *)x->node;
		return 0;
	}
	if (x && x->node && S_ISLNK(x->node->mode))
		return follow(t, w, x->node->target, e);
	if (x && x->node)
		return err_set(e, -E_CORRUPT, "the path goes through '%s', which is no folder",
			tar_show(x->name, shown));
	if (!w->make)
		return -E_NOTFOUND;
	if (!x)
		x = insert(t, w->at, name, size);
	if (!x)
		return erofs_too_large(e);
	return erofs_tree_dir(t, x, &w->at, e);
}

/* The folder at a clean path, links followed inside of the root. */
static int walk(
	struct erofs_tree *t, const char *path, bool make, struct erofs_dir **ret, struct err *e)
{
	g_autofree char *todo = g_strdup(path);
	struct walk w = { .at = t->root, .path = todo, .rest = todo, .make = make };
	int r = 0;

	todo = NULL; /* w has it */
	while (r >= 0 && *w.rest) {
		const char *name = w.rest;
		size_t k = strcspn(name, "/");

		w.rest += k;
		w.rest += *w.rest == '/';
		/* a short path can be a long way */
		if (w.hops && ++t->steps > EROFS_STEPS_MAX)
			r = err_set(e, -E_LIMIT, "too many long ways through symbolic links");
		else if (!k || (k == 1 && *name == '.'))
			continue;
		else if (k == 2 && !memcmp(name, "..", 2))
			w.at = w.at->parent; /* of a link's target; the root is its own */
		else if (k > EROFS_NAME_MAX)
			r = err_set(e, -E_LIMIT,
				"a symbolic link on the path has a name that is too long");
		else
			r = descend(t, &w, name, k, e);
	}
	g_free(w.path);
	*ret = w.at;
	return r;
}

/* The folder that a clean path's last name is in. */
static int parent_of(struct erofs_tree *t, const char *path, bool make, struct erofs_dir **ret,
	const char **ret_name, struct err *e)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash ? (size_t)(slash - path) : 0;
	char *folder;
	int r;

	*ret_name = slash ? slash + 1 : path;
	if (t->last && strlen(t->last) == n && !memcmp(t->last, path, n)) {
		*ret = t->last_dir;
		return 0;
	}
	folder = g_strndup(path, n);
	r = walk(t, folder, make, ret, e);
	if (r < 0) {
		g_free(folder);
		return r;
	}
	g_free(t->last);
	t->last = folder;
	t->last_dir = *ret;
	return 0;
}

int erofs_tree_entry(
	struct erofs_tree *t, const char *path, struct erofs_entry **ret, struct err *e)
{
	char buf[EROFS_PATH_MAX + 1];
	struct erofs_entry *x;
	struct erofs_dir *d;
	const char *name;
	int r;

	r = clean(path, buf, e);
	if (r < 0)
		return r;
	*ret = NULL;
	if (!*buf)
		return 0;
	r = parent_of(t, buf, true, &d, &name, e);
	if (r < 0)
		return r;
	x = lookup(t, d, name, strlen(name));
	if (!x)
		x = insert(t, d, name, strlen(name));
	if (!x)
		return erofs_too_large(e);
	*ret = x;
	return 0;
}

int erofs_tree_node(struct erofs_tree *t, const char *path, struct erofs_node **ret, struct err *e)
{
	char buf[EROFS_PATH_MAX + 1];
	struct erofs_entry *x;
	struct erofs_dir *d;
	const char *name;
	int r;

	r = clean(path, buf, e);
	if (r < 0)
		return r;
	if (!*buf) {
		*ret = &t->root->node;
		return 0;
	}
	r = parent_of(t, buf, false, &d, &name, e);
	if (r < 0)
		return r;
	x = lookup(t, d, name, strlen(name));
	if (!x || !x->node)
		return -E_NOTFOUND;
	*ret = x->node;
	return 0;
}
