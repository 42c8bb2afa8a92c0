/* SPDX-License-Identifier: MIT */
#include "engine/vm/kernel-priv.h"

#include <fts.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/kernelfile.h"
#include "codec/unpack.h"

#define MODULE_MAX  (64 << 20) /* bytes of one */
#define DEPTH_MAX   32
#define MODULES_MAX 1024 /* in an initrd */

/* Small ones: a megabyte of initramfs takes 2 ms under QEMU's emulation, and stays in the machine's memory. */
const struct feature kernel_features[] = {
	{ "net", "virtio_net" },
	{ "scsi", "virtio_scsi sd_mod sr_mod?" },
	{ "fs", "virtiofs" },
	{ "fuse", "fuse" },
	{ "rng", "virtio_rng" },
	{ "balloon", "virtio_balloon" },
	{ "nvme", "nvme" },
	{ "ext4", "ext4" },
	{ "vfat", "vfat nls_ascii? nls_iso8859_1? nls_cp437?" },
	{ "iso9660", "isofs" },
	{ "tun", "tun" },
	{ "loop", "loop" },
	{ NULL, NULL },
};

/* What every machine needs from the start, and where: see init/order.h. Transports stand first. */
static const struct {
	const char *module, *condition;
} start[] = {
	{ "virtio_mmio", " mmio" },
	{ "virtio_pci", " pci" },
	{ "virtio_console", "" },
	{ "virtio_blk", "" },
	{ "erofs", "" },
	{ "overlay", "" },
};

static void module_free(void *p)
{
	struct module *m = p;

	g_free((char *)(uintptr_t)m->name);
	g_free(m->path);
	g_free(m->data);
	g_strfreev(m->depends);
	g_free(m);
}

/* "virtio-rng.ko.xz" -> "virtio_rng"; NULL: not a module. */
static char *name_of(const char *file, size_t length)
{
	const char *ko = g_strstr_len(file, (gssize)length, ".ko");
	char *name;

	if (!ko || ko == file)
		return NULL;
	name = g_strndup(file, (gsize)(ko - file));
	return g_strdelimit(name, "-", '_');
}

static void add_module(GHashTable *table, char *name, const char *path)
{
	struct module *m;

	if (!name || g_hash_table_contains(table, name)) {
		g_free(name);
		return;
	}
	m = g_new0(struct module, 1);
	m->name = name;
	m->path = g_strdup(path);
	m->builtin = !path;
	g_hash_table_insert(table, name, m);
}

static void add_builtin(GHashTable *table, const char *folder)
{
	g_autofree char *path = g_strconcat(folder, "/modules.builtin", NULL), *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		return;
	for (char *p = text; *p;) { /* "kernel/fs/ext4/ext4.ko" */
		size_t n = strcspn(p, "\n");
		char *file = g_strrstr_len(p, (gssize)n, "/");

		file = file ? file + 1 : p;
		add_module(table, name_of(file, (size_t)(p + n - file)), NULL);
		p += n + (p[n] == '\n');
	}
}

GHashTable *module_table(const char *folder)
{
	char *const paths[] = { (char *)(uintptr_t)folder, NULL };
	GHashTable *table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, module_free);
	FTS *fts;
	FTSENT *x;

	add_builtin(table, folder);
	fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_NOSTAT, NULL);
	while (fts && (x = fts_read(fts)))
		if (x->fts_info != FTS_D && x->fts_info != FTS_DP)
			add_module(table, name_of(x->fts_name, x->fts_namelen), x->fts_path);
	if (fts)
		(void)fts_close(fts);
	return table;
}

static int read_module(struct module *m, struct err *e)
{
	g_autoptr(GError) ge = NULL;
	g_autofree char *raw = NULL;
	const char *text = "";
	size_t n = 0;
	gsize size;
	int r;

	if (!g_file_get_contents(m->path, &raw, &size, &ge))
		return err_set(e, -EIO, "cannot read the module '%s': %s", m->path, ge->message);
	r = unpack(raw, size, MODULE_MAX, &m->data, &m->size, e);
	if (r < 0)
		return err_prefix(e, "cannot read the module '%s'", m->path);
	m->size = kmod_unsigned_size(m->data, m->size);
	if (!kmod_info(m->data, m->size, "depends", 0, &text, &n) &&
		!kmod_info(m->data, m->size, "vermagic", 0, &text, &n))
		return err_set(e, -E_CORRUPT, "'%s' isn't a kernel module", m->path);
	if (kmod_info(m->data, m->size, "depends", 0, &text, &n)) {
		g_autofree char *list = g_strndup(text, n);

		m->depends = g_strsplit(g_strdelimit(list, "-", '_'), ",", -1);
	} else
		m->depends = g_new0(char *, 1);
	return 0;
}

static int add_deep(
	GHashTable *table, const char *name, GPtrArray *order, unsigned depth, struct err *e)
{
	struct module *m = g_hash_table_lookup(table, name);
	int r = 0;

	if (!m)
		return err_set(e, -E_NOTFOUND, "the kernel has no module '%s'", name);
	if (m->builtin || g_ptr_array_find(order, m, NULL))
		return 0;
	if (depth > DEPTH_MAX || order->len >= MODULES_MAX)
		return err_set(e, -E_LIMIT, "the module '%s' needs too many others", name);
	if (!m->depends)
		r = read_module(m, e);
	for (char **d = m->depends; r >= 0 && *d; d++)
		if (**d)
			r = add_deep(table, *d, order, depth + 1, e);
	if (r >= 0 && !g_ptr_array_find(order, m, NULL))
		g_ptr_array_add(order, m);
	return r;
}

int module_add(GHashTable *table, const char *name, GPtrArray *order, struct err *e)
{
	return add_deep(table, name, order, 0, e);
}

static void add_new(GPtrArray *all, const GPtrArray *some)
{
	for (guint i = 0; i < some->len; i++)
		if (!g_ptr_array_find(all, some->pdata[i], NULL))
			g_ptr_array_add(all, some->pdata[i]);
}

int kernel_order(GHashTable *table, GString *order, GPtrArray *all, struct err *e)
{
	g_autoptr(GPtrArray) always = g_ptr_array_new(), done = g_ptr_array_new();
	bool transport = false;
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < G_N_ELEMENTS(start); i++)
		if (!start[i].condition[0])
			r = module_add(table, start[i].module, always, e);
	for (unsigned i = 0; r >= 0 && i < G_N_ELEMENTS(start); i++) {
		guint from = done->len;

		r = module_add(table, start[i].module, done, e);
		if (r == -E_NOTFOUND && start[i].condition[0]) {
			r = 0; /* a kernel needs one of the transports */
			continue;
		}
		transport |= !!start[i].condition[0];
		for (guint k = from; r >= 0 && k < done->len; k++) {
			struct module *m = done->pdata[k];

			/* what others need, too, has no condition */
			g_string_append_printf(order, "%s.ko%s\n", m->name,
				g_ptr_array_find(always, m, NULL) ? "" : start[i].condition);
		}
	}
	if (r >= 0 && !transport)
		return err_set(e, -E_NOTFOUND, "the kernel has neither virtio_pci nor virtio_mmio");
	add_new(all, done);
	return r;
}

int kernel_feature_text(GHashTable *table, GString *text, GPtrArray *all, struct err *e)
{
	for (const struct feature *f = kernel_features; f->name; f++) {
		g_auto(GStrv) names = g_strsplit(f->modules, " ", -1);
		g_autoptr(GPtrArray) order = g_ptr_array_new();
		int r = 0;

		for (char **n = names; *n && r >= 0; n++) {
			bool optional = g_str_has_suffix(*n, "?");

			if (optional)
				(*n)[strlen(*n) - 1] = '\0';
			r = module_add(table, *n, order, e);
			if (r == -E_NOTFOUND && optional)
				r = 0;
		}
		if (r == -E_NOTFOUND)
			continue;
		if (r < 0)
			return r;
		g_string_append_printf(text, "%s:", f->name);
		for (guint i = 0; i < order->len; i++)
			g_string_append_printf(
				text, " %s", ((struct module *)order->pdata[i])->name);
		g_string_append_c(text, '\n');
		add_new(all, order);
	}
	return 0;
}
