/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ctx.h"
#include "engine/vm/kernel-priv.h"
#include "host/path.h"
#include "store/journal.h"
#include "store/store.h"

/* --- modules, from files that are made here --- */

/* As much of an ELF file as a module needs: .modinfo and its name. */
static void make_module(const char *folder, const char *file, const char *info, size_t n_info)
{
	static const char names[] = "\0.modinfo";
	g_autoptr(GByteArray) b = g_byte_array_new();
	g_autofree char *path = g_strdup_printf("%s/%s", folder, file);
	uint64_t at = 64 + 3 * 64;
	uint8_t header[64] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 }, s[3][64] = { 0 };

	header[40] = 64; /* e_shoff */
	header[58] = 64; /* e_shentsize */
	header[60] = 3;	 /* e_shnum */
	header[62] = 2;	 /* e_shstrndx */
	s[1][0] = 1;	 /* sh_name, sh_type, sh_offset, sh_size */
	s[1][4] = 1;
	memcpy(s[1] + 24, &at, 8);
	memcpy(s[1] + 32, &(uint64_t){ n_info }, 8);
	s[2][4] = 3;
	memcpy(s[2] + 24, &(uint64_t){ at + n_info }, 8);
	memcpy(s[2] + 32, &(uint64_t){ sizeof(names) }, 8);
	g_byte_array_append(b, header, sizeof(header));
	g_byte_array_append(b, s[0], sizeof(s));
	g_byte_array_append(b, (const uint8_t *)info, (guint)n_info);
	g_byte_array_append(b, (const uint8_t *)names, sizeof(names));
	g_assert_true(g_file_set_contents(path, (const char *)b->data, b->len, NULL));
}

#define MODULE(folder, file, info) make_module(folder, file, info, sizeof(info))

static void test_order(void)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL);
	g_autofree char *builtin = g_strconcat(d, "/modules.builtin", NULL);
	g_autoptr(GHashTable) table = NULL;
	g_autoptr(GPtrArray) all = g_ptr_array_new(), order = g_ptr_array_new();
	g_autoptr(GString) text = g_string_new(NULL), features = g_string_new(NULL);
	struct err e;

	MODULE(d, "virtio_ring.ko", "depends=");
	MODULE(d, "virtio.ko", "license=GPL\0depends=virtio_ring");
	MODULE(d, "virtio_mmio.ko", "depends=virtio_ring,virtio");
	MODULE(d, "virtio_console.ko", "depends=virtio_ring,virtio");
	MODULE(d, "virtio_blk.ko", "depends=virtio_ring,virtio");
	MODULE(d, "virtio-pci-lib.ko", "depends=");
	MODULE(d, "virtio_pci.ko", "depends=virtio-pci-lib,virtio");
	MODULE(d, "overlay.ko", "depends=");
	MODULE(d, "virtio-rng.ko", "depends=virtio,rng-core");
	MODULE(d, "loop_a.ko", "depends=loop_b");
	MODULE(d, "loop_b.ko", "depends=loop_a");
	g_assert_true(g_file_set_contents(
		builtin, "kernel/fs/erofs/erofs.ko\nkernel/drivers/char/rng-core.ko\n", -1, NULL));
	table = module_table(d);
	g_assert_cmpint(kernel_order(table, text, all, &e), ==, 0);
	g_assert_cmpstr(text->str, ==,
		"virtio_ring.ko\nvirtio.ko\nvirtio_mmio.ko mmio\nvirtio_pci_lib.ko pci\n"
		"virtio_pci.ko pci\nvirtio_console.ko\nvirtio_blk.ko\noverlay.ko\n");
	g_assert_cmpuint(all->len, ==, 8);
	g_assert_cmpint(kernel_feature_text(table, features, all, &e), ==, 0);
	g_assert_cmpstr(features->str, ==, "rng: virtio_ring virtio virtio_rng\n");
	g_assert_cmpuint(all->len, ==, 9);
	g_assert_cmpint(module_add(table, "missing", order, &e), ==, -E_NOTFOUND);
	g_assert_cmpint(module_add(table, "loop_a", order, &e), ==, -E_LIMIT);
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
}

static void test_not_a_module(void)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL);
	g_autofree char *path = g_strconcat(d, "/virtio_ring.ko", NULL);
	g_autoptr(GHashTable) table = NULL;
	g_autoptr(GPtrArray) order = g_ptr_array_new();
	struct err e;

	g_assert_true(g_file_set_contents(path, "no ELF", -1, NULL));
	table = module_table(d);
	g_assert_cmpint(module_add(table, "virtio_ring", order, &e), ==, -E_CORRUPT);
	g_assert_nonnull(strstr(e.text, path));
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
}

/* --- the host's kernel, where there is one that machines can use --- */

static struct stat stat_of(const char *path)
{
	struct stat st;

	g_assert_cmpint(stat(path, &st), ==, 0);
	return st;
}

static void check_files(const struct vm_kernel *k)
{
	g_autofree char *initrd = NULL;
	gsize n;

	g_assert_cmpuint(stat_of(k->bzimage).st_mode, ==, S_IFREG | 0644);
	g_assert_cmpuint(stat_of(k->dir).st_mode, ==, S_IFDIR | 0755);
	if (k->vmlinux)
		g_assert_cmpint(stat_of(k->vmlinux).st_size, >, stat_of(k->bzimage).st_size);
	g_assert_true(g_file_get_contents(k->initrd, &initrd, &n, NULL));
	g_assert_nonnull(memmem(initrd, n, "modules/virtio_console.ko", 25));
	g_assert_cmpint(memcmp(initrd, "070701", 6), ==, 0);
	g_assert_null(memmem(initrd, n, "~Module signature", 17));
}

/* The store counts it, and finds what is wrong with it. */
static void check_store(struct ctx *c, const struct vm_kernel *k)
{
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *owner = journal_owner();
	/* of a process that was never there: another start */
	g_autofree char *left = g_strdup_printf("%s/kernels/.1.1%s", c->root, strrchr(owner, '.'));
	json_t *df, *one;
	int64_t bytes = 0;
	struct err e;
	size_t i;

	g_assert_cmpint(store_df(c, &df, &e), ==, 0);
	json_array_foreach(df, i, one)
		if (g_str_equal(json_string_value(json_object_get(one, "kind")), "kernels"))
			bytes = json_integer_value(json_object_get(one, "bytes"));
	g_assert_cmpint(bytes, >, 10 << 20);
	json_decref(df);
	g_assert_cmpint(store_fsck(c, false, problems, &e), ==, 0);
	g_assert_cmpint(g_mkdir(left, 0755), ==, 0);
	g_assert_cmpint(g_unlink(k->initrd), ==, 0);
	g_assert_cmpint(store_fsck(c, false, problems, &e), ==, 2);
	g_assert_cmpint(store_fsck(c, true, problems, &e), ==, 0);
	g_assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
	g_assert_false(g_file_test(k->dir, G_FILE_TEST_EXISTS));
}

static void test_host(void)
{
	g_autofree char *d = g_dir_make_tmp("lodge-test-XXXXXX", NULL);
	g_autofree char *init = g_strconcat(d, "/lodge-init", NULL), *first = NULL;
	g_autofree char *root = g_strconcat(d, "/root", NULL), *run = g_strconcat(d, "/run", NULL);
	static const char *const net[] = { "net", "rng", "net", NULL }, *const bad[] = { "x",
		NULL };
	_cleanup_(vm_kernel_freep) struct vm_kernel *a = NULL, *b = NULL;
	g_auto(GStrv) modules = NULL;
	struct kernel_from host = { 0 };
	struct ctx c;
	struct err e;

	if (kernel_from_host(&host) < 0) {
		g_test_skip("/boot has no kernel for machines");
		return;
	}
	kernel_from_clear(&host);
	g_setenv("LODGE_ROOT", root, TRUE);
	g_setenv("LODGE_RUN", run, TRUE);
	g_setenv("LODGE_LIBEXEC", d, TRUE);
	ctx_init(&c);
	g_assert_true(g_file_set_contents(init, "the program", -1, NULL));
	g_assert_cmpint(vm_kernel_get(&c, VM_KERNEL_PREPARED, &a, &e), ==, -E_NOTFOUND);
	g_assert_cmpint(vm_kernel_get(&c, VM_KERNEL_QUIET, &a, &e), ==, 0);
	check_files(a);
	g_assert_true(g_str_has_suffix(a->dir, "-1"));
	g_assert_cmpint(vm_kernel_modules(a, net, &modules, &e), ==, 0);
	g_assert_true(g_strv_contains((const char *const *)modules, "virtio_net"));
	g_assert_true(g_strv_contains((const char *const *)modules, "virtio_rng"));
	g_assert_cmpint(vm_kernel_modules(a, bad, &modules, &e), ==, -E_UNSUPPORTED);
	/* found again */
	g_assert_cmpint(vm_kernel_get(&c, VM_KERNEL_PREPARED, &b, &e), ==, 0);
	g_assert_cmpstr(a->dir, ==, b->dir);
	first = g_strdup(a->dir);
	vm_kernel_free(TAKE_PTR(b));
	/* another program: another initrd, the rest is the same, and what was before is gone */
	g_assert_true(g_file_set_contents(init, "another program", -1, NULL));
	g_assert_cmpint(vm_kernel_get(&c, VM_KERNEL_QUIET, &b, &e), ==, 0);
	check_files(b);
	g_assert_true(g_str_has_suffix(b->dir, "-2"));
	g_assert_false(g_file_test(first, G_FILE_TEST_EXISTS));
	check_store(&c, b);
	store_close(&c);
	ctx_done(&c);
	g_assert_cmpint(path_remove_tree(AT_FDCWD, d), ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/kernel/order", test_order);
	g_test_add_func("/kernel/not-a-module", test_not_a_module);
	g_test_add_func("/kernel/host", test_host);
	return g_test_run();
}
