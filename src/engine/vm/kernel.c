/* SPDX-License-Identifier: MIT */
#include "engine/vm/kernel-priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "host/path.h"
#include "host/steps.h"
#include "store/journal.h"
#include "store/lock.h"

/* Of the files: one more when what is prepared is another thing, so that what an older lodge left isn't used. */
#define FORMAT "lodge kernel 1"

/* A folder of ROOT/kernels. */
struct prepared {
	char *name, *dir;
	unsigned number;
	char *init, *kernel; /* lines of its `source` */
};

static void prepared_free(void *data)
{
	struct prepared *p = data;

	g_free(p->name);
	g_free(p->dir);
	g_free(p->init);
	g_free(p->kernel);
	g_free(p);
}

/* --- what is there --- */

/* The number at the end of "RELEASE-N"; 0: not such a name. */
static unsigned number_of(const char *name)
{
	const char *dash = strrchr(name, '-');
	guint64 n;

	if (name[0] == '.' || !dash || dash == name ||
		!g_ascii_string_to_unsigned(dash + 1, 10, 1, 1000000000, &n, NULL))
		return 0;
	return (unsigned)n;
}

static struct prepared *look_at(struct ctx *c, const char *name)
{
	struct prepared *p = g_new0(struct prepared, 1);
	g_autofree char *path = NULL, *text = NULL;
	g_auto(GStrv) line = NULL;

	p->name = g_strdup(name);
	p->number = number_of(name);
	p->dir = g_strdup_printf("%s/kernels/%s", c->root, name);
	path = g_strconcat(p->dir, "/source", NULL);
	if (g_file_get_contents(path, &text, NULL, NULL))
		line = g_strsplit(text, "\n", 4);
	if (p->number && line && g_strv_length(line) >= 3 && g_str_equal(line[0], FORMAT)) {
		p->init = g_strdup(line[1]);
		p->kernel = g_strdup(line[2]);
		return p;
	}
	prepared_free(p);
	return NULL;
}

static int by_number(const void *a, const void *b)
{
	const struct prepared *x = *(struct prepared *const *)a, *y = *(struct prepared *const *)b;

	return x->number < y->number ? 1 : x->number > y->number ? -1 : 0;
}

/* Newest first. *ret_number: the highest that a folder has. */
static GPtrArray *all_prepared(struct ctx *c, unsigned *ret_number)
{
	GPtrArray *all = g_ptr_array_new_with_free_func(prepared_free);
	g_autofree char *folder = g_strconcat(c->root, "/kernels", NULL);
	DIR *d = opendir(folder);
	struct dirent *f;

	*ret_number = 0;
	while (d && (f = readdir(d))) {
		unsigned n = number_of(f->d_name);
		struct prepared *p = n ? look_at(c, f->d_name) : NULL;

		*ret_number = MAX(*ret_number, n);
		if (p)
			g_ptr_array_add(all, p);
	}
	if (d)
		(void)closedir(d);
	g_ptr_array_sort(all, by_number);
	return all;
}

/* --- the result --- */

void vm_kernel_free(struct vm_kernel *k)
{
	if (!k)
		return;
	g_free(k->release);
	g_free(k->dir);
	g_free(k->vmlinux);
	g_free(k->bzimage);
	g_free(k->initrd);
	if (k->features)
		g_hash_table_unref(k->features);
	g_free(k);
}

void vm_kernel_freep(struct vm_kernel **k)
{
	vm_kernel_free(*k);
}

static void read_features(struct vm_kernel *k, const char *text)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (char **l = lines; *l; l++) {
		char *colon = strchr(*l, ':');

		if (!colon)
			continue;
		*colon = '\0';
		g_hash_table_insert(k->features, g_strdup(*l),
			colon[1] ? g_strsplit(colon + 2, " ", -1) : g_new0(char *, 1));
	}
}

static struct vm_kernel *kernel_new(const char *dir, const char *name)
{
	struct vm_kernel *k = g_new0(struct vm_kernel, 1);

	k->dir = g_strdup(dir);
	k->release = g_strndup(name, (gsize)(strrchr(name, '-') - name));
	k->vmlinux = g_strconcat(dir, "/vmlinux", NULL);
	k->bzimage = g_strconcat(dir, "/bzImage", NULL);
	k->initrd = g_strconcat(dir, "/initrd", NULL);
	k->features =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_strfreev);
	return k;
}

static int load(const char *dir, const char *name, struct vm_kernel **ret, struct err *e)
{
	_cleanup_(vm_kernel_freep) struct vm_kernel *k = kernel_new(dir, name);
	g_autofree char *path = g_strconcat(dir, "/modules", NULL), *text = NULL;
	int r;

	if (access(k->vmlinux, F_OK) < 0)
		g_clear_pointer(&k->vmlinux, g_free);
	if (!g_file_get_contents(path, &text, NULL, NULL) || access(k->bzimage, F_OK) < 0 ||
		access(k->initrd, F_OK) < 0) {
		r = err_set(e, -E_CORRUPT, "the kernel in '%s' is incomplete", dir);
		err_mend(e, "remove that folder: it is made again");
		return r;
	}
	read_features(k, text);
	*ret = TAKE_PTR(k);
	return 0;
}

int vm_kernel_modules(
	const struct vm_kernel *k, const char *const *features, char ***ret, struct err *e)
{
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);

	for (; *features; features++) {
		char **names = g_hash_table_lookup(k->features, *features);

		if (!names)
			return err_set(e, -E_UNSUPPORTED, "the kernel %s of machines has no '%s'",
				k->release, *features);
		for (; *names; names++)
			if (!g_ptr_array_find_with_equal_func(all, *names, g_str_equal, NULL))
				g_ptr_array_add(all, g_strdup(*names));
	}
	g_ptr_array_add(all, NULL);
	*ret = (char **)g_ptr_array_free(TAKE_PTR(all), FALSE);
	return 0;
}

/* --- making one --- */

struct job {
	struct ctx *c;
	const struct image_progress *progress;
	const char *init_line, *init;
	struct kernel_from from;     /* line NULL: the mirror is to be asked */
	const struct prepared *base; /* of the same kernel, with another lodge-init; or NULL */
	unsigned number;
	char *temp, *dir; /* where it grows, and will be */
	char *name;
};

static void tell(const struct job *j, const char *line)
{
	if (j->progress)
		j->progress->tell(j->progress->data, line);
}

/* The same kernel with a new lodge-init: all but the initrd is linked. */
static int take_over(struct job *j, const char *to, char **ret_release, struct err *e)
{
	static const char *const names[] = { "vmlinux", "bzImage", "modules", "modules.cpio" };
	const char *dash = strrchr(j->base->name, '-');

	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *a = g_strdup_printf("%s/%s", j->base->dir, names[i]);
		g_autofree char *b = g_strdup_printf("%s/%s", to, names[i]);

		int r = RET_NERRNO(link(a, b));

		if (r < 0 && !(r == -ENOENT && i == 0))
			return err_sys(e, r, "cannot link '%s'", a);
	}
	*ret_release = g_strndup(j->base->name, (gsize)(dash - j->base->name));
	return 0;
}

static int fill(struct job *j, const char *to, char **ret_release, struct err *e)
{
	int r = 0;

	if (j->base)
		return take_over(j, to, ret_release, e);
	if (!j->from.line) {
		tell(j, "fetching a kernel for machines");
		r = kernel_from_mirror(j->c, j->temp, j->progress, &j->from, e);
	}
	if (r < 0)
		return r;
	tell(j, "preparing the kernel for machines");
	return kernel_prepare(&j->from, to, ret_release, e);
}

static int write_source(const struct job *j, const char *to, struct err *e)
{
	g_autofree char *path = g_strconcat(to, "/source", NULL);
	g_autofree char *text = g_strdup_printf(
		"%s\n%s\n%s\n", FORMAT, j->init_line, j->base ? j->base->kernel : j->from.line);
	g_autoptr(GError) ge = NULL;

	if (!g_file_set_contents(path, text, -1, &ge) || chmod(path, 0644) < 0)
		return err_set(e, -EIO, "cannot write '%s': %s", path, ge ? ge->message : "?");
	return 0;
}

/* One that anybody may look into, whatever the umask says. */
static int make_folder(const char *path)
{
	int r = RET_NERRNO(mkdir(path, 0755));

	return r < 0 && r != -EEXIST ? r : RET_NERRNO(chmod(path, 0755));
}

/* In ROOT/kernels/.OWNER/new, which then gets its name. */
static int make(struct job *j, struct err *e)
{
	g_autofree char *to = g_strconcat(j->temp, "/new", NULL), *release = NULL;
	int r;

	/* apt's own user and QEMU's must get through */
	r = make_folder(j->temp);
	if (r >= 0)
		r = make_folder(to);
	if (r < 0)
		return err_sys(e, r, "cannot make '%s'", to);
	r = fill(j, to, &release, e);
	if (r >= 0)
		r = kernel_make_initrd(to, j->init, e);
	if (r >= 0)
		r = write_source(j, to, e);
	if (r < 0)
		return r;
	j->name = g_strdup_printf("%s-%u", release, j->number);
	j->dir = g_strdup_printf("%s/kernels/%s", j->c->root, j->name);
	r = RET_NERRNO(rename(to, j->dir));
	return r < 0 ? err_sys(e, r, "cannot rename '%s' to '%s'", to, j->dir) : 0;
}

/* Whether the plan of some guest, which may start again by itself, names the folder. */
static bool is_used(struct ctx *c, const char *dir)
{
	g_autofree char *folder = g_strconcat(c->root, "/guests", NULL);
	g_autofree char *within = g_strconcat(dir, "/", NULL);
	DIR *d = opendir(folder);
	struct dirent *f;
	bool used = false;

	while (d && !used && (f = readdir(d))) {
		g_autofree char *path = g_strdup_printf("%s/%s/plan", folder, f->d_name);
		g_autofree char *plan = NULL;
		gsize size;

		if (f->d_name[0] != '.' && g_file_get_contents(path, &plan, &size, NULL))
			used = memmem(plan, size, within, strlen(within)) != NULL;
	}
	if (d)
		(void)closedir(d);
	return used;
}

static void remove_old(struct ctx *c, const GPtrArray *all)
{
	for (guint i = 0; i < all->len; i++) {
		const struct prepared *p = all->pdata[i];

		if (!is_used(c, p->dir))
			(void)path_remove_tree(AT_FDCWD, p->dir);
	}
}

/* In the journal while it is being made. */
static int make_held(struct job *j, struct err *e)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *folder = g_strconcat(j->c->root, "/kernels", NULL);
	struct journal_hold hold;
	int r;

	plan_add(p, AT_HOST, &step_tree, j->temp, "0755");
	r = journal_begin(j->c, p, &hold, e);
	if (r != 0)
		return r;
	r = make_folder(folder);
	r = r < 0 ? err_sys(e, r, "cannot make '%s'", folder) : make(j, e);
	tell(j, NULL);
	if (r < 0) {
		journal_abort(j->c, p, &hold);
		return r;
	}
	(void)path_remove_tree(AT_FDCWD, j->temp);
	journal_done(&hold);
	return 0;
}

/* --- choosing --- */

/* The first that was made from the kernel of this line (NULL: any), and the init. */
static const struct prepared *choose(
	const GPtrArray *all, const char *kernel, const char *init, bool same_init)
{
	for (guint i = 0; i < all->len; i++) {
		const struct prepared *p = all->pdata[i];

		if ((!kernel || g_str_equal(p->kernel, kernel)) &&
			(!same_init || g_str_equal(p->init, init)))
			return p;
	}
	return NULL;
}

static int find_or_make(struct job *j, uint32_t flags, struct vm_kernel **ret, struct err *e)
{
	g_autoptr(GPtrArray) all = all_prepared(j->c, &j->number);
	const struct prepared *p = choose(all, j->from.line, j->init_line, true);
	int r;

	if (p)
		return load(p->dir, p->name, ret, e);
	if (flags & VM_KERNEL_PREPARED)
		return err_set(e, -E_NOTFOUND, "no kernel for machines is prepared");
	j->base = choose(all, j->from.line, j->init_line, false);
	j->number++;
	r = make_held(j, e);
	if (r == 0) {
		remove_old(j->c, all);
		r = load(j->dir, j->name, ret, e);
	}
	return r;
}

/* What a plan shows before anything is prepared. */
static void would_be(struct job *j, struct vm_kernel **ret)
{
	g_autofree char *base = j->from.image ? g_path_get_basename(j->from.image) : NULL;
	const char *release = base && g_str_has_prefix(base, "vmlinuz-") ? base + 8 : "cloud-amd64";
	g_autofree char *name = g_strdup_printf("%s-1", release);
	g_autofree char *dir = g_strdup_printf("%s/kernels/%s", j->c->root, name);
	g_autoptr(GHashTable) table = NULL;
	g_autoptr(GPtrArray) modules = g_ptr_array_new();
	g_autoptr(GString) text = g_string_new(NULL);

	*ret = kernel_new(dir, name);
	if (j->from.modules) {
		table = module_table(j->from.modules);
		if (kernel_feature_text(table, text, modules, NULL) == 0)
			read_features(*ret, text->str);
		return;
	}
	for (const struct feature *f = kernel_features; f->name; f++) {
		g_auto(GStrv) words = g_strsplit(f->modules, " ", 2);

		g_string_append_printf(text, "%s: %s\n", f->name, words[0]);
	}
	read_features(*ret, text->str);
}

static int get(struct job *j, uint32_t flags, struct vm_kernel **ret, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int r = find_or_make(j, flags | VM_KERNEL_PREPARED, ret, e);

	if (r != -E_NOTFOUND || (flags & VM_KERNEL_PREPARED))
		return r;
	if (j->c->explain) {
		would_be(j, ret);
		return 0;
	}
	/* somebody else may be at it: then it is there when he is done */
	r = lock = store_lock_flags(j->c, "kernel", "prepare", 0, e);
	return r < 0 ? r : find_or_make(j, flags, ret, e);
}

int vm_kernel_get(struct ctx *c, uint32_t flags, struct vm_kernel **ret, struct err *e)
{
	g_autofree char *init = ctx_program(c, "lodge-init"),
			*line = kernel_file_line("init", init);
	g_autofree char *owner = journal_owner();
	struct job j = { .c = c, .init = init, .init_line = line };
	struct image_progress_file out;
	struct image_progress progress;
	int r;

	if (!line) {
		r = err_set(e, -E_UNSUPPORTED, "the program '%s' isn't there", init);
		err_mend(e, "reinstall lodge");
		return r;
	}
	if (!(flags & VM_KERNEL_QUIET)) {
		image_progress_init(&out, stderr, &progress);
		j.progress = &progress;
	}
	(void)kernel_from_host(&j.from);
	j.temp = g_strdup_printf("%s/kernels/.%s", c->root, owner);
	r = get(&j, flags, ret, e);
	kernel_from_clear(&j.from);
	g_free(j.temp);
	g_free(j.dir);
	g_free(j.name);
	return r;
}
