/* SPDX-License-Identifier: MIT */
#include "engine/vm/kernel-priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/kernelfile.h"
#include "codec/tar.h"
#include "host/path.h"
#include "image/child.h"
#include "image/mirror.h"

#define PACKAGE "linux-image-cloud-amd64"
#define SUITE	"debian:12"

void kernel_from_clear(struct kernel_from *k)
{
	g_free(k->image);
	g_free(k->config);
	g_free(k->modules);
	g_free(k->line);
	*k = (struct kernel_from){ 0 };
}

char *kernel_file_line(const char *word, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return NULL;
	return g_strdup_printf("%s %s %lld %lld.%09ld", word, path, (long long)st.st_size,
		(long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

/* --- the host's --- */

/* Whether a machine from an image can live with this kernel. */
static bool is_suitable(const char *config)
{
	static const char *const needed[] = { "VIRTIO", "VIRTIO_CONSOLE", "VIRTIO_BLK", "EROFS_FS",
		"OVERLAY_FS" };
	static const char *const builtin[] = { "DEVTMPFS", "BLK_DEV_INITRD", "64BIT" };

	for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++)
		if (kconfig_get(config, needed[i]) == 'n')
			return false;
	for (unsigned i = 0; i < G_N_ELEMENTS(builtin); i++)
		if (kconfig_get(config, builtin[i]) != 'y')
			return false;
	/* our copies of the modules have no signatures */
	return kconfig_get(config, "MODULE_SIG_FORCE") == 'n' &&
	       (kconfig_get(config, "VIRTIO_PCI") != 'n' ||
		       kconfig_get(config, "VIRTIO_MMIO") != 'n');
}

struct candidate {
	char *release, *config;
	bool cloud, pvh;
};

static void candidate_clear(struct candidate *k)
{
	g_free(k->release);
	g_free(k->config);
	*k = (struct candidate){ 0 };
}

/* Small ones made for machines first, then those that boot fastest, then the newest. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
	if (!b->release || a->cloud != b->cloud)
		return !b->release || a->cloud;
	if (a->pvh != b->pvh)
		return a->pvh;
	return strverscmp(a->release, b->release) > 0;
}

static bool look_at(const char *release, struct candidate *ret)
{
	g_autofree char *config = g_strconcat("/boot/config-", release, NULL), *text = NULL;
	g_autofree char *image = g_strconcat("/boot/vmlinuz-", release, NULL);
	g_autofree char *modules = g_strconcat("/lib/modules/", release, NULL);

	if (access(image, R_OK) < 0 || access(modules, R_OK | X_OK) < 0 ||
		!g_file_get_contents(config, &text, NULL, NULL) || !is_suitable(text))
		return false;
	*ret = (struct candidate){
		.release = g_strdup(release),
		.cloud = strstr(release, "cloud") != NULL,
		.pvh = kconfig_get(text, "PVH") == 'y',
	};
	ret->config = g_steal_pointer(&text);
	return true;
}

int kernel_from_host(struct kernel_from *ret)
{
	struct candidate best = { 0 };
	DIR *d = opendir("/boot");
	struct dirent *f;

	while (d && (f = readdir(d))) {
		struct candidate one;

		if (!g_str_has_prefix(f->d_name, "vmlinuz-") ||
			!look_at(f->d_name + strlen("vmlinuz-"), &one))
			continue;
		if (is_better(&one, &best)) {
			candidate_clear(&best);
			best = one;
		} else
			candidate_clear(&one);
	}
	if (d)
		(void)closedir(d);
	if (!best.release)
		return -E_NOTFOUND;
	ret->image = g_strconcat("/boot/vmlinuz-", best.release, NULL);
	ret->modules = g_strconcat("/lib/modules/", best.release, NULL);
	ret->config = g_steal_pointer(&best.config);
	ret->line = kernel_file_line("kernel", ret->image);
	candidate_clear(&best);
	if (!ret->line) { /* it went away just now */
		kernel_from_clear(ret);
		return -E_NOTFOUND;
	}
	return 0;
}

/* --- the mirror's --- */

/*
 * apt with folders of its own, so that nothing of the host's packages is touched; its proxy and certificates
 * are those of the host's configuration. What it downloads it has checked against the signed lists.
 * $1: folder, $2: package. On standard output the files of the kernel's package, as tar.
 */
static const char fetch_script[] =
	"set -eu\n"
	"dir=$1 package=$2\n"
	"mkdir -p \"$dir/state/lists/partial\" \"$dir/cache/archives/partial\" \"$dir/deb\"\n"
	": > \"$dir/status\"\n"
	"run() {\n"
	"	program=$1; shift\n"
	"	\"$program\" -q -o Dir::State=\"$dir/state\" -o Dir::State::status=\"$dir/status\" "
	"-o Dir::Cache=\"$dir/cache\" -o Dir::Etc::SourceList=\"$dir/lodge.sources\" "
	"-o Dir::Etc::SourceParts=- -o Acquire::Languages=none -o APT::Architecture=amd64 "
	"-o APT::Architectures::=amd64 \"$@\"\n"
	"}\n"
	"run apt-get update >&2\n"
	"image=$(run apt-cache depends --important \"$package\" |"
	" sed -n 's/^ *Depends: \\(linux-image-[a-z0-9.+-]*\\)$/\\1/p' | head -n 1)\n"
	"[ -n \"$image\" ] || { echo \"E: no package $package on the mirror\" >&2; exit 1; }\n"
	"cd \"$dir/deb\"\n"
	"run apt-get download \"$image\" >&2\n"
	"exec dpkg-deb --fsys-tarfile ./*.deb\n";

struct unpacking {
	const char *dir;
	struct tar_reader *tar;
	int fd; /* of the file that is written; -1: this entry is of no interest */
};

/* Which of the package's files are kept, and under which name: no path of the archive's is used. */
static char *kept_name(const char *path)
{
	g_autofree char *base = g_path_get_basename(path);

	if (strstr(path, "boot/vmlinuz-"))
		return g_strdup("vmlinuz");
	if (strstr(path, "boot/config-"))
		return g_strdup("config");
	if (g_str_equal(base, "modules.builtin"))
		return g_strconcat("modules/", base, NULL);
	if (strstr(path, "lib/modules/") && strstr(base, ".ko"))
		return g_strconcat("modules/", base, NULL);
	return NULL;
}

static int take_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	struct unpacking *u = arg;
	g_autofree char *name = t->type == TAR_FILE ? kept_name(t->path) : NULL, *path = NULL;

	closep(&u->fd);
	u->fd = -1;
	if (!name)
		return 0;
	path = g_strdup_printf("%s/%s", u->dir, name);
	u->fd = RET_NERRNO(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
	return u->fd < 0 ? err_sys(e, u->fd, "cannot make '%s'", path) : 0;
}

static int take_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	struct unpacking *u = arg;
	ssize_t n = u->fd < 0 ? (ssize_t)size : RET_NERRNO(pwrite(u->fd, data, size, offset));

	if (n != (ssize_t)size)
		return err_sys(e, n < 0 ? (int)n : -ENOSPC, "cannot write below '%s'", u->dir);
	return 0;
}

static int take_output(void *data, const void *bytes, size_t size, struct err *e)
{
	struct unpacking *u = data;

	return tar_reader_write(u->tar, bytes, size, e);
}

static int run_fetch(const char *dir, const struct image_progress *p, struct err *e)
{
	static const struct tar_sink sink = { .entry = take_entry, .content = take_content };
	struct unpacking u = { .dir = dir, .fd = -1 };
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)(uintptr_t)fetch_script, (char *)"sh",
		(char *)(uintptr_t)dir, (char *)PACKAGE, NULL };
	struct child x = {
		.argv = argv, .tmpdir = dir, .progress = p, .output = take_output, .data = &u
	};
	int r;

	u.tar = tar_reader_new(&sink, &u);
	r = child_run(&x, e);
	if (r >= 0)
		r = tar_reader_finish(u.tar, e);
	closep(&u.fd);
	tar_reader_free(u.tar);
	return r;
}

int kernel_from_mirror(struct ctx *c, const char *dir, const struct image_progress *p,
	struct kernel_from *ret, struct err *e)
{
	g_autofree char *sources = NULL, *path = g_strconcat(dir, "/lodge.sources", NULL);
	g_autofree char *modules = g_strconcat(dir, "/modules", NULL);
	g_autofree char *config = g_strconcat(dir, "/config", NULL);
	int r = image_mirror_sources(SUITE, &sources, e);

	if (r < 0)
		return r;
	r = RET_NERRNO(mkdir(modules, 0755));
	if (r >= 0 && !g_file_set_contents(path, sources, -1, NULL))
		r = -EIO;
	if (r >= 0)
		r = RET_NERRNO(chmod(path, 0644)); /* apt's own user reads it */
	if (r < 0)
		return err_sys(e, r, "cannot write below '%s'", dir);
	r = run_fetch(dir, p, e);
	if (r < 0) {
		(void)err_prefix(e, "cannot fetch a kernel for machines (%s)", PACKAGE);
		if (e && !e->mend[0])
			err_mend(e, "check the network, or install %s: /boot is looked at first",
				PACKAGE);
		return r;
	}
	if (!g_file_get_contents(config, &ret->config, NULL, NULL) || !is_suitable(ret->config)) {
		g_clear_pointer(&ret->config, g_free);
		return err_set(e, -E_UNSUPPORTED, "the mirror's kernel lacks what machines need");
	}
	ret->image = g_strconcat(dir, "/vmlinuz", NULL);
	ret->modules = g_steal_pointer(&modules);
	ret->line = g_strdup(KERNEL_MIRROR_LINE);
	return 0;
}
