/* SPDX-License-Identifier: MIT */
#include "engine/vm/kernel-priv.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/cpio.h"
#include "codec/kernelfile.h"
#include "codec/unpack.h"

#define KERNEL_MAX  (256 << 20) /* bytes of an image, packed */
#define VMLINUX_MAX ((size_t)1 << 30)
#define INIT_MAX    (64 << 20)

static int read_all(const char *path, off_t max, char **ret, gsize *ret_size, struct err *e)
{
	g_autoptr(GError) ge = NULL;
	struct stat st;
	int r = RET_NERRNO(stat(path, &st));

	if (r < 0)
		return err_sys(e, r, "cannot read '%s'", path);
	if (st.st_size > max)
		return err_set(
			e, -E_LIMIT, "'%s' is larger than %lld MiB", path, (long long)(max >> 20));
	if (!g_file_get_contents(path, ret, ret_size, &ge))
		return err_set(e, -EIO, "cannot read '%s': %s", path, ge->message);
	return 0;
}

/* A file that anybody may read, whatever the umask says: QEMU has a user of its own. */
static int write_file(
	const char *dir, const char *name, const void *data, size_t size, struct err *e)
{
	g_autofree char *path = g_strdup_printf("%s/%s", dir, name);
	_cleanup_close_ int fd =
		RET_NERRNO(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	int r = fd < 0 ? fd : RET_NERRNO(fchmod(fd, 0644));
	const uint8_t *p = data;

	if (r < 0)
		return err_sys(e, r, "cannot make '%s'", path);
	while (size > 0) {
		ssize_t n = RET_NERRNO(write(fd, p, MIN(size, (size_t)1 << 30)));

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return err_sys(e, n < 0 ? (int)n : -EIO, "cannot write '%s'", path);
		p += n;
		size -= (size_t)n;
	}
	r = RET_NERRNO(fdatasync(fd));
	return r < 0 ? err_sys(e, r, "cannot write '%s'", path) : 0;
}

static int write_vmlinux(const char *dir, const struct bzimage *b, struct err *e)
{
	g_autofree uint8_t *elf = NULL;
	size_t size;
	int r = unpack(b->payload, b->payload_size, VMLINUX_MAX, &elf, &size, e);

	if (r == -E_UNSUPPORTED || (r >= 0 && !vmlinux_has_pvh(elf, size)))
		return 0; /* machines boot the bzImage then, a bit slower */
	return r < 0 ? r : write_file(dir, "vmlinux", elf, size, e);
}

static int write_modules(const struct kernel_from *from, const char *dir, struct err *e)
{
	g_autoptr(GHashTable) table = module_table(from->modules);
	g_autoptr(GPtrArray) all = g_ptr_array_new();
	g_autoptr(GByteArray) cpio = g_byte_array_new();
	g_autoptr(GString) order = g_string_new(NULL), features = g_string_new(NULL);
	int r = kernel_order(table, order, all, e);

	if (r >= 0)
		r = kernel_feature_text(table, features, all, e);
	if (r < 0)
		return r;
	cpio_put(cpio, "order", S_IFREG | 0444, order->str, order->len);
	cpio_put(cpio, "modules", S_IFDIR | 0755, NULL, 0);
	for (guint i = 0; i < all->len; i++) {
		const struct module *m = all->pdata[i];
		g_autofree char *path = g_strdup_printf("modules/%s.ko", m->name);

		cpio_put(cpio, path, S_IFREG | 0444, m->data, m->size);
	}
	cpio_put_end(cpio);
	r = write_file(dir, "modules.cpio", cpio->data, cpio->len, e);
	return r < 0 ? r : write_file(dir, "modules", features->str, features->len, e);
}

int kernel_prepare(
	const struct kernel_from *from, const char *dir, char **ret_release, struct err *e)
{
	g_autofree char *image = NULL;
	struct bzimage b;
	gsize size;
	int r = read_all(from->image, KERNEL_MAX, &image, &size, e);

	if (r >= 0 && bzimage_parse(image, size, &b) < 0)
		r = err_set(e, -E_CORRUPT, "'%s' isn't a bzImage", from->image);
	if (r >= 0)
		r = write_file(dir, "bzImage", image, size, e);
	if (r >= 0)
		r = write_vmlinux(dir, &b, e);
	if (r >= 0)
		r = write_modules(from, dir, e);
	if (r >= 0)
		*ret_release = g_strdup(b.release);
	return r;
}

/* Two archives, one after the other: the modules stay when lodge-init changes. */
int kernel_make_initrd(const char *dir, const char *init, struct err *e)
{
	static const char *const folders[] = { "dev", "proc", "sys", "run", "root" };
	g_autoptr(GByteArray) cpio = g_byte_array_new();
	g_autofree char *program = NULL, *modules = NULL;
	g_autofree char *path = g_strconcat(dir, "/modules.cpio", NULL);
	gsize n_program, n_modules;
	int r = read_all(init, INIT_MAX, &program, &n_program, e);

	if (r >= 0)
		r = read_all(path, G_MAXINT / 2, &modules, &n_modules, e);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < G_N_ELEMENTS(folders); i++)
		cpio_put(cpio, folders[i], S_IFDIR | 0755, NULL, 0);
	cpio_put(cpio, "init", S_IFREG | 0755, program, n_program);
	cpio_put_end(cpio);
	g_byte_array_append(cpio, (const uint8_t *)modules, (guint)n_modules);
	return write_file(dir, "initrd", cpio->data, cpio->len, e);
}
