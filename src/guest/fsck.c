/* SPDX-License-Identifier: MIT */
/* Whether all that we keep fits together: the store's own check, then what guests have on the host. */

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include "guest/guest-priv.h"
#include "guest/service.h"
#include "host/cgroup.h"
#include "host/path.h"
#include "net/net.h"
#include "store/journal.h"

struct check {
	struct ctx *c;
	bool repair;
	GHashTable *known; /* ids of all guests */
	GHashTable *alive; /* of those that run */
	GPtrArray *problems;
	int left; /* problems that weren't mended */
};

static void problem(struct check *k, bool mended, char *text)
{
	if (mended) {
		g_ptr_array_add(k->problems, g_strdup_printf("%s (mended)", text));
		g_free(text);
	} else {
		g_ptr_array_add(k->problems, text);
		k->left++;
	}
}

static bool looks_like_id(const char *name)
{
	return strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64;
}

static int load_guests(struct check *k, struct err *e)
{
	g_autoptr(GPtrArray) all = NULL;
	int r = guest_list(k->c, NULL, 0, &all, e);

	for (guint i = 0; r >= 0 && i < all->len; i++) {
		struct guest *g = g_ptr_array_index(all, i);

		g_hash_table_add(k->known, g_strdup(g->rec->id));
		if (guest_is_up(g))
			g_hash_table_add(k->alive, g_strdup(g->rec->id));
		if (g->unmonitored && guest_is_up(g))
			problem(k, false,
				g_strdup_printf(
					"guest '%s' runs, but its monitor was killed; stop it",
					g->rec->name));
		if (machine_is_left(k->c, g, k->repair))
			problem(k, k->repair && !machine_is_left(k->c, g, false),
				g_strdup_printf("machine '%s' was started for its files, by a "
						"command that was killed",
					g->rec->name));
	}
	return r;
}

/* RUN/guests: folders of guests that aren't. */
static void check_run(struct check *k)
{
	g_autofree char *path = store_run_path(k->c, "guests");
	DIR *d = opendir(path);
	struct dirent *f;

	while (d && (f = readdir(d))) {
		if (f->d_name[0] == '.' || g_hash_table_contains(k->known, f->d_name))
			continue;
		bool gone = k->repair && path_remove_tree(dirfd(d), f->d_name) >= 0;

		problem(k, gone,
			g_strdup_printf("folder '%s/%s' belongs to no guest", path, f->d_name));
	}
	if (d)
		(void)closedir(d);
}

/* Mounts below RUN and ROOT/guests of what doesn't run. */
static void check_mounts(struct check *k)
{
	g_autofree char *guests = store_path(k->c, "guests/"),
			*run = store_run_path(k->c, "guests/");
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL))
		return;
	lines = g_strsplit(text, "\n", -1);
	for (char **l = lines; *l; l++) {
		g_auto(GStrv) w = g_strsplit(*l, " ", 6);

		if (g_strv_length(w) < 6 ||
			(!g_str_has_prefix(w[4], guests) && !g_str_has_prefix(w[4], run)))
			continue;
		/* a guest's mounts are in its own namespace, never in the host's */
		bool gone = k->repair && umount2(w[4], MNT_DETACH) == 0;
		problem(k, gone, g_strdup_printf("mount '%s' is left over", w[4]));
	}
}

static void check_cgroup_folder(struct check *k, const char *folder, GHashTable *seen)
{
	DIR *d = opendir(folder);
	struct dirent *f;

	while (d && (f = readdir(d))) {
		g_autofree char *path = NULL;

		if (!looks_like_id(f->d_name) || g_hash_table_contains(k->alive, f->d_name) ||
			!g_hash_table_add(seen, g_strdup(f->d_name)))
			continue;
		/* other stores (another LODGE_ROOT) have guests too: only what was ours is ours */
		if (!g_hash_table_contains(k->known, f->d_name))
			continue;
		path = g_strdup_printf("lodge/%s", f->d_name);
		bool gone = k->repair && cgroup_remove(path, NULL) >= 0;
		problem(k, gone, g_strdup_printf("cgroup '%s' is left over", path));
	}
	if (d)
		(void)closedir(d);
}

static void check_cgroups(struct check *k)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	const struct cgroup_host *h = cgroup_host();

	for (unsigned i = 0; i < h->n_v1; i++) {
		g_autofree char *path = g_build_filename(h->v1[i].mount, "lodge", NULL);

		check_cgroup_folder(k, path, seen);
	}
	if (h->v2[0]) {
		g_autofree char *path = g_build_filename(h->v2, "lodge", NULL);

		check_cgroup_folder(k, path, seen);
	}
}

int guest_fsck(struct ctx *c, bool repair, GPtrArray *problems, struct err *e)
{
	g_autoptr(GHashTable) known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GHashTable) alive = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	struct check k = { c, repair, known, alive, problems, 0 };
	struct store *s;
	guint before;
	int r;

	r = store_get_existing(c, &s, e);
	if (r == -E_NOTFOUND)
		return 0; /* nothing was ever made */
	if (r >= 0)
		r = store_fsck(c, repair, problems, e);
	if (r < 0)
		return r;
	k.left = r;
	r = load_guests(&k, e);
	if (r < 0)
		return r;
	check_run(&k);
	check_mounts(&k);
	check_cgroups(&k);
	before = problems->len;
	r = net_fsck(c, alive, repair, problems, e);
	if (r < 0)
		return r;
	return k.left + (repair ? r : (int)(problems->len - before));
}
