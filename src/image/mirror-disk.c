/* SPDX-License-Identifier: MIT */
/*
 * A disk that boots, made of files only: mmdebstrap fills a folder, mke2fs and mtools write the file systems into
 * their places in one file, GRUB's images come from the packages in the folder, and the partition table is
 * ours. So nothing needs a loop device, a mount or a device of the host.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "host/path.h"
#include "host/steps.h"
#include "image/archive-priv.h"
#include "image/disk.h"
#include "image/mirror-priv.h"
#include "store/blob.h"
#include "store/journal.h"

#define ROOT_BLOCK 4096
#define CORE_MAX   (1 << 20)
/* Named one by one, since GRUB 2.06 can't read what newer versions of mke2fs have by default. */
#define ROOT_FEATURES                                                                     \
	"none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg," \
	"sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
#define GRUB_MODULES                                                                         \
	"part_gpt part_msdos ext2 fat search search_fs_uuid normal configfile linux serial " \
	"terminal echo test ls cat reboot halt"

/* What a machine needs that a container doesn't; as Debian's own cloud images have it. */
static const char *const packages[] = { "linux-image-cloud-amd64", "initramfs-tools", "zstd",
	"grub-pc-bin", "grub-efi-amd64-bin", "grub2-common", "systemd-sysv", "systemd-resolved",
	"systemd-timesyncd", "libpam-systemd", "dbus", "udev", "kmod", "e2fsprogs", "dosfstools",
	"fdisk", "netplan.io", "iproute2", "iputils-ping", "netbase", "procps", "cloud-init",
	"cloud-guest-utils", "openssh-server", "sudo", "qemu-guest-agent", "ca-certificates" };

static const struct {
	const char *name, *package;
} programs[] = {
	{ "mmdebstrap", "mmdebstrap" },
	{ "mke2fs", "e2fsprogs" },
	{ "mkfs.vfat", "dosfstools" },
	{ "mcopy", "mtools" },
	{ "qemu-img", "qemu-utils" },
};

/*
 * $1: the root. grub.cfg follows the links /vmlinuz and /initrd.img, which Debian's kernel packages keep; the first
 * update-grub in the machine replaces it. The locale stands here so that cloud-init finds it as it wants
 * it, and needs no package for it. Host keys and the machine's id are made at the first boot.
 */
static const char disk_script[] =
	"set -eu\n"
	"cd \"$1\"\n"
	"mkdir -p etc/apt/sources.list.d boot/efi/EFI/BOOT boot/grub/i386-pc boot/grub/x86_64-efi\n"
	"cat > etc/fstab <<EOF\n"
	"UUID=$LODGE_DISK_ROOT / ext4 rw,discard,errors=remount-ro 0 1\n"
	"UUID=$LODGE_DISK_ESP /boot/efi vfat umask=0077,nofail 0 0\n"
	"EOF\n"
	"cat > etc/default/grub <<'EOF'\n"
	"GRUB_DEFAULT=0\n"
	"GRUB_TIMEOUT=0\n"
	"GRUB_DISTRIBUTOR=Debian\n"
	"GRUB_CMDLINE_LINUX_DEFAULT=\"\"\n"
	"GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS0,115200\"\n"
	"GRUB_TERMINAL=\"console serial\"\n"
	"GRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\n"
	"GRUB_DISABLE_OS_PROBER=true\n"
	"EOF\n"
	"cat > boot/grub/early.cfg <<EOF\n"
	"search.fs_uuid $LODGE_DISK_ROOT root\n"
	"set prefix=(\\$root)/boot/grub\n"
	"EOF\n"
	"cat > boot/grub/grub.cfg <<EOF\n"
	"set timeout=0\n"
	"if serial --unit=0 --speed=115200; then\n"
	"  terminal_input console serial\n"
	"  terminal_output console serial\n"
	"fi\n"
	"search --no-floppy --fs-uuid --set=root $LODGE_DISK_ROOT\n"
	"menuentry 'Debian GNU/Linux' {\n"
	"  linux /vmlinuz root=UUID=$LODGE_DISK_ROOT ro console=tty0 console=ttyS0,115200\n"
	"  initrd /initrd.img\n"
	"}\n"
	"EOF\n"
	"for p in i386-pc x86_64-efi; do cp usr/lib/grub/$p/*.mod usr/lib/grub/$p/*.lst "
	"boot/grub/$p/; done\n"
	"cp usr/lib/grub/i386-pc/boot.img boot/grub/i386-pc/\n"
	"chroot . grub-mkimage -O i386-pc -o /boot/grub/i386-pc/core.img -p /boot/grub "
	"-c /boot/grub/early.cfg biosdisk " GRUB_MODULES "\n"
	"chroot . grub-mkimage -O x86_64-efi -o /boot/efi/EFI/BOOT/BOOTX64.EFI -p /boot/grub "
	"-c /boot/grub/early.cfg all_video " GRUB_MODULES "\n"
	"rm -f boot/grub/early.cfg vmlinuz.old initrd.img.old\n"
	"echo LANG=C.UTF-8 > etc/default/locale\n"
	"printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n' > etc/hosts\n"
	"rm -rf etc/ssh/ssh_host_* var/lib/systemd/random-seed var/lib/dbus/machine-id "
	"var/log/journal/* var/log/cloud-init* etc/netplan/*\n" MIRROR_FINISH
	"ln -s ../run/systemd/resolve/stub-resolv.conf etc/resolv.conf\n";

int mirror_disk_prepare(struct build *b, struct err *e)
{
	struct disk_build *d = &b->disk;
	int r;

	if (!b->suite->disks)
		return err_set(e, -E_UNSUPPORTED, "a disk can be made of Debian 12 and later");
	if (strcmp(b->o->arch ? b->o->arch : image_arch(), "amd64") != 0)
		return err_set(e, -E_UNSUPPORTED, "a disk can be made for amd64 only");
	r = boot_layout(b->o->disk, d->part, &d->size, e);
	if (r < 0)
		return r;
	if (!b->c->is_root && !b->c->explain) {
		err_set(e, -E_UNSUPPORTED, "a disk can be made by root only");
		(void)err_mend(e, "the files in it belong to several users");
		return -E_UNSUPPORTED;
	}
	for (unsigned i = 0; !b->c->explain && i < ELEMENTSOF(programs); i++) {
		r = disk_need_program(programs[i].name, programs[i].package, e);
		if (r < 0)
			return r;
	}
	for (unsigned i = 0; i < ELEMENTSOF(d->uuids); i++)
		d->uuids[i] = g_uuid_string_random();
	d->root_uuid = g_uuid_string_random();
	d->esp_id = g_strdup_printf("%08X", g_random_int());
	d->raw = g_strconcat(b->dir, "/disk.raw", NULL);
	d->qcow2 = g_strconcat(b->dir, "/disk.qcow2", NULL);
	return 0;
}

void mirror_disk_clear(struct build *b)
{
	for (unsigned i = 0; i < ELEMENTSOF(b->disk.uuids); i++)
		g_free(b->disk.uuids[i]);
	g_free(b->disk.root_uuid);
	g_free(b->disk.esp_id);
	g_free(b->disk.raw);
	g_free(b->disk.qcow2);
}

void mirror_disk_command(struct build *b)
{
	g_autoptr(GString) list = g_string_new(packages[0]);

	for (unsigned i = 1; i < ELEMENTSOF(packages); i++)
		g_string_append_printf(list, ",%s", packages[i]);
	for (char **p = b->o->include; p && *p; p++)
		g_string_append_printf(list, ",%s", *p);
	mirror_arg(b, "mmdebstrap");
	mirror_arg(b, "--format=directory");
	mirror_arg(b, "--include=%s", list->str);
	mirror_args_common(b, disk_script, b->root);
}

/* --- the commands after mmdebstrap, which explain shows too ------------------------------------------ */

#define WORDS_MAX 20

struct command {
	const char *argv[WORDS_MAX + 1];
	unsigned n;
	const char *package;
	char text[6][256]; /* of built words */
	unsigned n_text;
};

static void word(struct command *x, const char *w)
{
	g_assert(x->n < WORDS_MAX);
	x->argv[x->n++] = w;
	x->argv[x->n] = NULL;
}

static void word_f(struct command *x, const char *fmt, ...) _printf_(2, 3);
static void word_f(struct command *x, const char *fmt, ...)
{
	char *to = x->text[x->n_text++];
	va_list ap;

	va_start(ap, fmt);
	(void)g_vsnprintf(to, sizeof(x->text[0]), fmt, ap);
	va_end(ap);
	word(x, to);
}

static void make_esp(const struct build *b, struct command *x)
{
	const struct boot_extent *p = &b->disk.part[BOOT_EFI];

	*x = (struct command){ .package = "dosfstools" };
	word(x, "mkfs.vfat");
	word(x, "-F");
	word(x, "32");
	word(x, "-s"); /* smaller clusters: else there are too few for this kind of FAT */
	word(x, "1");
	word(x, "-n");
	word(x, "EFI");
	word(x, "-i");
	word(x, b->disk.esp_id);
	word(x, "--offset");
	word_f(x, "%" G_GINT64_FORMAT, p->offset / BOOT_SECTOR);
	word(x, b->disk.raw);
	word_f(x, "%" G_GINT64_FORMAT, p->size / 1024);
}

static void fill_esp(const struct build *b, const char *image, const char *from, struct command *x)
{
	*x = (struct command){ .package = "mtools" };
	word(x, "mcopy");
	word(x, "-s");
	word(x, "-i");
	word(x, image);
	word(x, from);
	word(x, "::/");
}

static void make_root(const struct build *b, struct command *x)
{
	const struct boot_extent *p = &b->disk.part[BOOT_ROOT];

	*x = (struct command){ .package = "e2fsprogs" };
	word(x, "mke2fs");
	word(x, "-q");
	word(x, "-F");
	word(x, "-t");
	word(x, "ext4");
	word(x, "-O");
	word(x, ROOT_FEATURES);
	word(x, "-b");
	word_f(x, "%d", ROOT_BLOCK);
	word(x, "-U");
	word(x, b->disk.root_uuid);
	word(x, "-d");
	word(x, b->root);
	word(x, "-E");
	word_f(x, "offset=%" G_GINT64_FORMAT, p->offset);
	word(x, b->disk.raw);
	word_f(x, "%" G_GINT64_FORMAT, p->size / ROOT_BLOCK);
}

static void convert(const struct build *b, struct command *x)
{
	*x = (struct command){ .package = "qemu-utils" };
	word(x, "qemu-img");
	word(x, "convert");
	word(x, "-f");
	word(x, "raw");
	word(x, "-O");
	word(x, "qcow2");
	word(x, b->disk.raw);
	word(x, b->disk.qcow2);
}

static char *esp_image(const struct build *b)
{
	return g_strdup_printf("%s@@%" G_GINT64_FORMAT, b->disk.raw, b->disk.part[BOOT_EFI].offset);
}

void mirror_disk_show(struct build *b, struct plan *p)
{
	g_autofree char *esp = esp_image(b), *efi = g_strconcat(b->root, "/boot/efi/EFI", NULL);
	g_autofree char *size = g_strdup_printf("%" G_GINT64_FORMAT, b->disk.size);
	struct command x;

	plan_addv(p, AT_HOST, 0, &step_content, (const char *const *)b->argv->pdata,
		b->argv->len - 1);
	plan_add(p, AT_HOST, &step_content, "truncate", "-s", size, b->disk.raw);
	make_esp(b, &x);
	plan_addv(p, AT_HOST, 0, &step_content, x.argv, x.n);
	fill_esp(b, esp, efi, &x);
	plan_addv(p, AT_HOST, 0, &step_content, x.argv, x.n);
	make_root(b, &x);
	plan_addv(p, AT_HOST, 0, &step_content, x.argv, x.n);
	plan_add(p, AT_HOST, &step_content, "sgdisk", "-n14:1M:+3M", "-t14:ef02", "-n15:4M:+124M",
		"-t15:ef00", "-n1:128M:0", "-t1:8304", b->disk.raw);
	plan_add(p, AT_HOST, &step_content, "grub-bios-setup", "-d",
		plan_str(p, "%s/boot/grub/i386-pc", b->root), b->disk.raw);
	convert(b, &x);
	plan_addv(p, AT_HOST, 0, &step_content, x.argv, x.n);
}

/* --- doing it ------------------------------------------------------------------------------------ */

static int run(struct build *b, const struct command *x, struct err *e)
{
	return disk_program(
		(char *const *)(uintptr_t)x->argv, x->package, b->dir, b->o->progress, e);
}

static int make_file(struct build *b, struct err *e)
{
	_cleanup_close_ int fd =
		open(b->disk.raw, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 || ftruncate(fd, b->disk.size) < 0)
		return err_sys(e, -errno, "cannot make '%s'", b->disk.raw);
	return 0;
}

static int make_file_systems(struct build *b, struct err *e)
{
	g_autofree char *esp = esp_image(b), *efi = g_strconcat(b->root, "/boot/efi/EFI", NULL);
	struct command x;
	int r;

	image_tell(b->o->progress, "making the file systems");
	make_esp(b, &x);
	r = run(b, &x, e);
	if (r >= 0) {
		fill_esp(b, esp, efi, &x);
		r = run(b, &x, e);
	}
	/* it is the mount's place from now on */
	if (r >= 0 && path_remove_tree(AT_FDCWD, efi) < 0)
		r = err_set(e, -EIO, "cannot remove '%s'", efi);
	if (r < 0)
		return r;
	make_root(b, &x);
	r = run(b, &x, e);
	if (r == -EIO && e && strstr(e->text, "allocate"))
		(void)err_mend(e, "give a larger --disk");
	return r;
}

/* A file of the root, whatever links are in it. Caller frees *ret. */
static int read_in_root(struct build *b, const char *path, size_t max, uint8_t **ret,
	size_t *ret_size, struct err *e)
{
	_cleanup_close_ int root = open(b->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = path_open_in(root, path, O_RDONLY | O_CLOEXEC, 0, 0);
	g_autofree uint8_t *data = g_malloc0(max);
	size_t n = 0;
	ssize_t k;

	if (fd < 0)
		return err_sys(e, fd, "cannot read '%s/%s'", b->root, path);
	while (n < max && (k = read(fd, data + n, max - n)) != 0) {
		if (k < 0)
			return err_sys(e, -errno, "cannot read '%s/%s'", b->root, path);
		n += (size_t)k;
	}
	*ret = g_steal_pointer(&data);
	*ret_size = n;
	return 0;
}

static int write_at(int fd, int64_t offset, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = pwrite(fd, p, size, offset);

		if (n < 0)
			return -errno;
		p += n;
		offset += n;
		size -= (size_t)n;
	}
	return 0;
}

static int make_bootable(struct build *b, struct err *e)
{
	const struct boot_extent *bios = &b->disk.part[BOOT_BIOS];
	g_autofree uint8_t *boot = NULL, *core = NULL, *head = g_malloc(BOOT_GPT_HEAD);
	g_autofree uint8_t *tail = g_malloc(BOOT_GPT_TAIL);
	_cleanup_close_ int fd = -1;
	size_t boot_size, core_size;
	int r;

	r = read_in_root(b, "boot/grub/i386-pc/boot.img", BOOT_SECTOR, &boot, &boot_size, e);
	if (r >= 0)
		r = read_in_root(b, "boot/grub/i386-pc/core.img", CORE_MAX, &core, &core_size, e);
	if (r >= 0 && boot_size != BOOT_SECTOR)
		r = err_set(e, -E_CORRUPT, "GRUB's boot.img isn't one that is known");
	if (r >= 0)
		r = boot_grub(boot, core, core_size, (uint64_t)bios->offset / BOOT_SECTOR,
			(size_t)bios->size, e);
	if (r >= 0)
		r = boot_gpt(b->disk.part, b->disk.size, (const char *const *)b->disk.uuids, head,
			tail, e);
	if (r < 0)
		return r;
	memcpy(head, boot, BOOT_CODE);
	fd = open(b->disk.raw, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? -errno : write_at(fd, 0, head, BOOT_GPT_HEAD);
	if (r >= 0)
		r = write_at(fd, b->disk.size - BOOT_GPT_TAIL, tail, BOOT_GPT_TAIL);
	if (r >= 0)
		r = write_at(fd, bios->offset, core, core_size);
	return r < 0 ? err_sys(e, r, "cannot write '%s'", b->disk.raw) : 0;
}

int mirror_disk_build(struct build *b, const struct image_new *n, char **ret_id, struct err *e)
{
	struct command x;
	int r;

	(void)setenv("LODGE_DISK_ROOT", b->disk.root_uuid, 1);
	{
		g_autofree char *shown =
			g_strdup_printf("%.4s-%s", b->disk.esp_id, b->disk.esp_id + 4);

		(void)setenv("LODGE_DISK_ESP", shown, 1);
	}
	r = disk_program((char *const *)b->argv->pdata, "mmdebstrap", b->dir, b->o->progress, e);
	(void)unsetenv("LODGE_DISK_ROOT");
	(void)unsetenv("LODGE_DISK_ESP");
	if (r >= 0)
		r = make_file(b, e);
	if (r >= 0)
		r = make_file_systems(b, e);
	if (r >= 0)
		r = make_bootable(b, e);
	if (r < 0)
		return r;
	(void)path_remove_tree(AT_FDCWD, b->root);
	image_tell(b->o->progress, "converting");
	convert(b, &x);
	r = run(b, &x, e);
	if (r < 0)
		return r;
	(void)unlink(b->disk.raw);
	return image_add_disk(b->c, b->disk.qcow2, n, (const char *const *)b->names->pdata,
		b->o->progress, ret_id, e);
}
