/* SPDX-License-Identifier: MIT */
#include "store/layer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include "codec/inflate.h"
#include "codec/sha256.h"
#include "codec/tar.h"
#include "store/blob.h"
#include "store/erofs.h"
#include "store/layer-priv.h"
#include "store/test-priv.h"

/* --- helpers ------------------------------------------------------------------------------------------------ */

/* The exit status of a shell's command. */
static int run_shell(const char *command)
{
	const char *argv[] = { "sh", "-c", command, NULL };
	int status = -1;

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
		NULL, &status, NULL));
	return status;
}

static void shell(const char *fmt, ...) _printf_(1, 2);
static void shell(const char *fmt, ...)
{
	g_autofree char *command = NULL;
	va_list ap;

	va_start(ap, fmt);
	command = g_strdup_vprintf(fmt, ap);
	va_end(ap);
	if (run_shell(command) != 0)
		g_error("failed: %s", command);
}

static bool has_program(const char *name)
{
	g_autofree char *path = g_find_program_in_path(name);

	return path != NULL;
}

/* A folder for what a test makes, beside the store's. */
static char *scratch(struct ctx *c, const char *name)
{
	g_autofree char *base = g_path_get_dirname(c->root);

	return g_strdup_printf("%s/%s", base, name);
}

static GByteArray *read_file(const char *path)
{
	char *data;
	gsize n;

	if (!g_file_get_contents(path, &data, &n, NULL))
		g_error("cannot read '%s'", path);
	return g_byte_array_new_take((guint8 *)data, n);
}

static unsigned count_layer_files(struct ctx *c)
{
	g_autofree char *path = store_path(c, "layers");
	GDir *d = g_dir_open(path, 0, NULL);
	unsigned n = 0;

	while (d && g_dir_read_name(d))
		n++;
	if (d)
		g_dir_close(d);
	return n;
}

static int import(struct ctx *c, const GByteArray *a, size_t piece, struct layer_result *ret)
{
	_cleanup_(layer_in_freep) struct layer_in *l = NULL;
	int r = 0;

	ok(layer_in_new(c, &l, &test_err));
	for (size_t at = 0; at < a->len && r >= 0; at += piece)
		r = layer_in_write(l, a->data + at, MIN(piece, a->len - at), &test_err);
	return r < 0 ? r : layer_in_finish(l, NULL, NULL, ret, &test_err);
}

static GByteArray *export(struct ctx *c, const char *digest)
{
	g_autofree char *path = scratch(c, "exported");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	g_assert_cmpint(fd, >=, 0);
	ok(layer_export(c, digest, fd, &test_err));
	(void)close(fd);
	return read_file(path);
}

/* Imports it, and gets the same bytes back. */
static struct layer_result round_trip(struct ctx *c, const GByteArray *a)
{
	g_autoptr(GByteArray) back = NULL;
	struct layer_result res;

	ok(import(c, a, 1 << 20, &res));
	g_assert_cmpint(res.tar_size, ==, a->len);
	back = export(c, res.digest);
	g_assert_cmpmem(back->data, back->len, a->data, a->len);
	return res;
}

/* --- the same trees ------------------------------------------------------------------------------------------- */

static gint compare_names(gconstpointer a, gconstpointer b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *xattrs_of(const char *path)
{
	static char list[65536], value[65536];
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func(g_free);
	ssize_t n = llistxattr(path, list, sizeof(list));

	for (char *p = list; p < list + n; p += strlen(p) + 1) {
		ssize_t k = lgetxattr(path, p, value, sizeof(value));
		g_autofree char *sum = NULL;

		if (k < 0)
			continue;
		sum = g_compute_checksum_for_data(G_CHECKSUM_MD5, (guchar *)value, (gsize)k);
		g_ptr_array_add(all, g_strdup_printf("%s=%s", p, sum));
	}
	g_ptr_array_sort(all, compare_names);
	g_ptr_array_add(all, NULL);
	return g_strjoinv(" ", (char **)all->pdata);
}

static char *describe(const char *path, const struct stat *st)
{
	g_autofree char *x = xattrs_of(path), *what = NULL;
	bool device = S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode);

	if (S_ISREG(st->st_mode)) {
		g_autoptr(GByteArray) a = read_file(path);

		what = g_compute_checksum_for_data(G_CHECKSUM_SHA256, a->data, a->len);
	} else if (S_ISLNK(st->st_mode))
		what = g_file_read_link(path, NULL);
	return g_strdup_printf("%06o %u:%u links %u size %lld dev %u:%u time %lld.%09ld %s %s",
		st->st_mode, st->st_uid, st->st_gid,
		S_ISDIR(st->st_mode) ? 0 : (unsigned)st->st_nlink,
		S_ISDIR(st->st_mode) ? 0LL : (long long)st->st_size,
		device ? major(st->st_rdev) : 0, device ? minor(st->st_rdev) : 0,
		(long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec, what ? what : "", x);
}

static GPtrArray *names_in(const char *path)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	GDir *d = g_dir_open(path, 0, NULL);
	const char *name;

	g_assert_nonnull(d);
	while ((name = g_dir_read_name(d)))
		g_ptr_array_add(names, g_strdup(name));
	g_dir_close(d);
	g_ptr_array_sort(names, compare_names);
	return names;
}

static void same_tree(const char *a, const char *b)
{
	g_autofree char *x = NULL, *y = NULL;
	struct stat s, t;

	g_assert_cmpint(lstat(a, &s), ==, 0);
	if (lstat(b, &t) < 0)
		g_error("'%s' isn't there", b);
	x = describe(a, &s);
	y = describe(b, &t);
	if (strcmp(x, y) != 0)
		g_error("'%s' is\n%s, and '%s' is\n%s", a, x, b, y);
	if (S_ISDIR(s.st_mode)) {
		g_autoptr(GPtrArray) in_a = names_in(a), in_b = names_in(b);

		for (unsigned i = 0; i < in_a->len; i++) {
			g_autofree char *p = g_build_filename(a, in_a->pdata[i], NULL);
			g_autofree char *q = g_build_filename(b, in_a->pdata[i], NULL);

			same_tree(p, q);
		}
		g_assert_cmpuint(in_a->len, ==, in_b->len);
	}
}

/* The layer unpacked by us. Caller frees. */
static char *unpack(struct ctx *c, const char *digest, const char *name)
{
	g_autofree char *image = layer_file(c, digest);
	char *to = scratch(c, name);

	g_assert_cmpint(mkdir(to, 0700), ==, 0);
	ok(layer_unpack(c, image, to, &test_err));
	return to;
}

/* --- archives that others make --------------------------------------------------------------------------------- */

/* A tree that needs no root. */
static char *plain_tree(struct ctx *c)
{
	char *t = scratch(c, "tree");

	shell("umask 022; mkdir -p '%s'/d/e/f '%s/a folder' && cd '%s' && echo hello >d/hello &&"
	      "head -c 100000 /dev/urandom >d/e/random && : >empty && ln d/hello hard && ln -s "
	      "d/hello soft &&"
	      "ln -s \"$(printf '%%0150d' 7)\" long && mkfifo pipe && chmod 4755 d/e/random && "
	      "chmod 1777 d &&"
	      "touch -d '2001-02-03 04:05:06.789' d/hello && touch -h -d @0 soft &&"
	      "for i in 1 2 3 4 5 6 7 8 9; do echo $i >$(printf '%%0200d' $i); done &&"
	      "mkdir -p $(printf '%%0120d' 1)/$(printf '%%0120d' 2) && echo deep >$(printf "
	      "'%%0120d' "
	      "1)/$(printf '%%0120d' 2)/x &&"
	      "truncate -s 5M sparse && echo data | dd of=sparse bs=1 seek=3000000 conv=notrunc "
	      "2>/dev/null &&"
	      "touch -d @1234567890 .",
		t, t, t);
	return t;
}

static void test_makers(void)
{
	static const struct {
		const char *program, *command;
		bool partial; /* the format can't hold all of the tree */
	} makers[] = {
		{ "tar",
			"tar -C '%s' --format=v7 --exclude='*00*' --exclude=pipe --exclude=long "
			"-cf '%s' .",
			true },
		{ "tar", "tar -C '%s' --format=oldgnu -S -cf '%s' .", true },
		{ "tar", "tar -C '%s' --format=gnu -S -cf '%s' .", true },
		{ "tar", "tar -C '%s' --format=ustar --exclude='*000*' --exclude=long -cf '%s' .",
			true },
		{ "tar", "tar -C '%s' --format=posix -cf '%s' .", false },
		{ "tar", "tar -C '%s' --format=posix -S --sparse-version=0.0 -cf '%s' .", false },
		{ "tar", "tar -C '%s' --format=posix -S --sparse-version=0.1 -cf '%s' .", false },
		{ "tar", "tar -C '%s' --format=posix -S --sparse-version=1.0 -cf '%s' .", false },
		{ "bsdtar", "bsdtar -C '%s' --format=pax -cf '%s' .", false },
		{ "bsdtar", "bsdtar -C '%s' --format=gnutar -cf '%s' .", true },
		{ "bsdtar",
			"bsdtar -C '%s' --format=ustar --exclude='*000*' --exclude=long -cf '%s' .",
			true },
		{ "python3",
			"cd '%s' && python3 -c 'import tarfile,sys\n"
			"t=tarfile.open(sys.argv[1],\"w\",format=tarfile.PAX_FORMAT);t.add(\".\");"
			"t.close()' '%s'",
			true },
		{ "python3",
			"cd '%s' && python3 -c 'import tarfile,sys\n"
			"t=tarfile.open(sys.argv[1],\"w\",format=tarfile.GNU_FORMAT);t.add(\".\");"
			"t.close()' '%s'",
			true },
	};
	struct ctx c;
	g_autofree char *tree = NULL, *file = NULL, *reference = NULL;
	unsigned done = 0;

	test_ctx_init(&c);
	tree = plain_tree(&c);
	file = scratch(&c, "archive");
	reference = scratch(&c, "reference");
	for (unsigned i = 0; i < ELEMENTSOF(makers); i++) {
		g_autofree char *name = g_strdup_printf("unpacked-%u", i), *ours = NULL;
		g_autoptr(GByteArray) a = NULL;
		struct layer_result res;

		if (!has_program(makers[i].program)) {
			g_test_message("no %s", makers[i].program);
			continue;
		}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		shell(makers[i].command, tree, file);
#pragma GCC diagnostic pop
		a = read_file(file);
		res = round_trip(&c, a);
		ours = unpack(&c, res.digest, name);
		if (makers[i].partial) {
			/* what GNU tar makes of it */
			shell("rm -rf '%s'; mkdir '%s' && tar -C '%s' --numeric-owner "
			      "--delay-directory-restore -xpf '%s'",
				reference, reference, reference, file);
			same_tree(reference, ours);
		} else
			same_tree(tree, ours);
		done++;
	}
	g_assert_cmpuint(done, >=, 8);
	test_ctx_done(&c);
}

static int append(void *arg, const void *data, size_t size, struct err *e)
{
	g_byte_array_append(arg, data, (guint)size);
	return 0;
}

static void add_entry(GByteArray *a, enum tar_type type, const char *path, const char *target,
	const char *content)
{
	struct tar_entry t = { .type = type,
		.path = path,
		.target = target,
		.mode = 0755,
		.size = (int64_t)strlen(content),
		.mtime = 1000,
		.uid = getuid(),
		.gid = getgid() };

	g_assert_cmpint(tar_put_entry(a, &t, NULL), ==, 0);
	g_byte_array_append(a, (const void *)content, (guint)strlen(content));
	tar_put_padding(a, (int64_t)strlen(content));
}

static GByteArray *small_tar(void)
{
	GByteArray *a = g_byte_array_new();

	add_entry(a, TAR_DIR, "etc/", "", "");
	add_entry(a, TAR_FILE, "etc/os-release", "", "ID=test\n");
	add_entry(a, TAR_SYMLINK, "lib", "usr/lib", "");
	add_entry(a, TAR_HARDLINK, "etc/same", "etc/os-release", "");
	tar_put_end(a);
	return a;
}

static void test_compressed(void)
{
	g_autoptr(GByteArray) a = small_tar(), gz = g_byte_array_new();
	char plain[SHA256_TEXT], packed[SHA256_TEXT];
	struct layer_result res;
	struct deflate *z;
	struct ctx c;

	test_ctx_init(&c);
	ok(deflate_new(append, gz, &z, &test_err));
	ok(deflate_write(z, a->data, a->len, &test_err));
	ok(deflate_finish(z, &test_err));
	deflate_free(z);
	ok(sha256_of(a->data, a->len, plain, &test_err));
	ok(sha256_of(gz->data, gz->len, packed, &test_err));
	for (size_t piece = 1; piece < 1000; piece += 998) {
		ok(import(&c, gz, piece, &res));
		g_assert_cmpstr(res.digest, ==, plain);
		g_assert_cmpstr(res.blob_digest, ==, packed);
		g_assert_cmpint(res.blob_size, ==, gz->len);
		ok(import(&c, a, piece, &res));
		g_assert_cmpstr(res.digest, ==, plain);
		g_assert_cmpstr(res.blob_digest, ==, plain);
		g_assert_cmpint(res.tar_size, ==, a->len);
		g_assert_cmpint(res.size, >, 0);
	}
	g_assert_cmpuint(count_layer_files(&c), ==, 2);
	test_ctx_done(&c);
}

/* --- whiteouts --------------------------------------------------------------------------------------------------- */

static int list_name(void *arg, const char *name, size_t size, uint64_t nid)
{
	g_string_append_printf(arg, " %.*s", (int)size, name);
	return 0;
}

static void test_whiteouts(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autoptr(GString) names = g_string_new(NULL);
	g_autofree char *image = NULL;
	struct layer_map map;
	struct layer_result res;
	struct erofs_view v;
	struct erofs_inode root;
	struct ctx c;

	test_ctx_init(&c);
	add_entry(a, TAR_FILE, ".wh.gone", "", "");
	add_entry(a, TAR_FILE, "./d/.wh..wh..opq", "", "");
	add_entry(a, TAR_FILE, ".wh..wh.aufs", "", "ignored, but given back");
	add_entry(a, TAR_DIR, ".wh..wh.plnk/", "", "");
	add_entry(a, TAR_FILE, ".wh..wh.plnk/1.2", "", "x");
	add_entry(a, TAR_FILE, "kept", "", "k");
	res = round_trip(&c, a);
	image = layer_file(&c, res.digest);
	ok(layer_map(image, &map, &test_err));
	ok(erofs_view_init(&v, map.p, map.size, &test_err));
	ok(erofs_inode_get(&v, v.root, &root));
	ok(erofs_list(&v, &root, list_name, names));
	g_assert_cmpstr(names->str, ==, " d gone kept");
	layer_unmap(&map);
	test_ctx_done(&c);
}

/* --- refused ----------------------------------------------------------------------------------------------------- */

static void up(GByteArray *a)
{
	add_entry(a, TAR_FILE, "a/../../evil", "", "x");
}

static void link_up(GByteArray *a)
{
	add_entry(a, TAR_FILE, "f", "", "x");
	add_entry(a, TAR_HARDLINK, "h", "../../etc/passwd", "");
}

static void link_missing(GByteArray *a)
{
	add_entry(a, TAR_HARDLINK, "h", "not\033here", "");
}

static void link_loop(GByteArray *a)
{
	add_entry(a, TAR_HARDLINK, "a", "b", "");
	add_entry(a, TAR_HARDLINK, "b", "a", "");
}

static void link_folder(GByteArray *a)
{
	add_entry(a, TAR_DIR, "d", "", "");
	add_entry(a, TAR_HARDLINK, "h", "d", "");
}

static void through_file(GByteArray *a)
{
	add_entry(a, TAR_FILE, "f", "", "x");
	add_entry(a, TAR_FILE, "f/g", "", "x");
}

static void through_loop(GByteArray *a)
{
	add_entry(a, TAR_SYMLINK, "l", "l", "");
	add_entry(a, TAR_FILE, "l/g", "", "x");
}

static void root_file(GByteArray *a)
{
	add_entry(a, TAR_FILE, "./", "", "");
	a->data[156] = '0'; /* and no slash's meaning */
	add_entry(a, TAR_SYMLINK, ".", "x", "");
}

static void whiteout_nothing(GByteArray *a)
{
	add_entry(a, TAR_FILE, "d/.wh.", "", "");
}

static void whiteout_up(GByteArray *a)
{
	add_entry(a, TAR_FILE, "d/.wh...", "", "");
}

static void device(GByteArray *a)
{
	struct tar_entry t = { .type = TAR_CHAR, .path = "dev/x", .target = "", .major = 5000 };

	g_assert_cmpint(tar_put_entry(a, &t, NULL), ==, 0);
}

static void huge_file(GByteArray *a)
{
	struct tar_entry t = { .type = TAR_FILE, .path = "huge", .target = "", .size = 1LL << 41 };

	g_assert_cmpint(tar_put_entry(a, &t, NULL), ==, 0);
}

static void cut(GByteArray *a)
{
	add_entry(a, TAR_FILE, "f", "", "content");
	/* the padding, and a byte of the content */
	g_byte_array_set_size(a, a->len - 506);
}

static void garbage(GByteArray *a)
{
	for (unsigned i = 0; i < 1000; i++)
		g_byte_array_append(a, (const void *)"garbage", 7);
}

static void test_hostile(void)
{
	static const struct {
		void (*make)(GByteArray *a);
		int code;
		const char *text;
	} t[] = {
		{ up, -E_CORRUPT, "'a/../../evil': the path leaves the root by '..'" },
		{ link_up, -E_CORRUPT, "leaves the root" },
		{ link_missing, -E_CORRUPT, "'h': a hard link to something that isn't there" },
		{ link_loop, -E_CORRUPT, "isn't there" },
		{ link_folder, -E_CORRUPT, "hard link to a folder" },
		{ through_file, -E_CORRUPT, "through 'f', which is no folder" },
		{ through_loop, -E_CORRUPT, "too many symbolic links" },
		{ whiteout_nothing, -E_CORRUPT, "whiteout of nothing" },
		{ whiteout_up, -E_CORRUPT, "whiteout of nothing" },
		{ root_file, -E_CORRUPT, "root is no folder" },
		{ device, -E_CORRUPT, "device number 5000:0" },
		{ huge_file, -E_LIMIT, "'huge': the layer is larger than" },
		{ cut, -E_CORRUPT, "cut short" },
		{ garbage, -E_CORRUPT, "not a tar archive" },
	};
	struct layer_result res;
	struct ctx c;

	test_ctx_init(&c);
	for (unsigned i = 0; i < ELEMENTSOF(t); i++) {
		g_autoptr(GByteArray) a = g_byte_array_new();

		t[i].make(a);
		if (import(&c, a, 1000, &res) != t[i].code || !strstr(test_err.text, t[i].text))
			g_error("case %u (%s): %s: %s", i, t[i].text, err_name(test_err.code),
				test_err.text);
		g_assert_cmpuint(count_layer_files(&c), ==, 0);
	}
	test_ctx_done(&c);
}

/* Absolute paths and links out of the root are names inside of it. */
static void test_inside(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autofree char *to = NULL, *file = NULL;
	struct layer_result res;
	struct ctx c;

	test_ctx_init(&c);
	add_entry(a, TAR_FILE, "/etc/passwd", "", "ours");
	add_entry(a, TAR_SYMLINK, "out", "/../../tmp", "");
	add_entry(a, TAR_FILE, "out/evil", "", "evil");
	res = round_trip(&c, a);
	to = unpack(&c, res.digest, "to");
	file = g_build_filename(to, "tmp/evil", NULL);
	g_assert_true(g_file_test(file, G_FILE_TEST_IS_REGULAR));
	g_assert_false(g_file_test("/tmp/evil", G_FILE_TEST_EXISTS));
	test_ctx_done(&c);
}

/* Cut at any place: an error, or an archive that happens to end there; and nothing is left. */
static void test_cut_anywhere(void)
{
	g_autoptr(GByteArray) a = small_tar();
	struct layer_result res;
	struct ctx c;

	test_ctx_init(&c);
	for (guint n = 1; n < a->len; n += 97) {
		g_autoptr(GByteArray) part = g_byte_array_new();
		unsigned before = count_layer_files(&c);

		g_byte_array_append(part, a->data, n);
		if (import(&c, part, 4096, &res) < 0)
			g_assert_cmpuint(count_layer_files(&c), ==, before);
	}
	test_ctx_done(&c);
}

static void test_wanted(void)
{
	g_autoptr(GByteArray) a = small_tar();
	const char *other =
		"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct layer_result res;
	struct ctx c;

	test_ctx_init(&c);
	for (unsigned i = 0; i < 2; i++) {
		_cleanup_(layer_in_freep) struct layer_in *l = NULL;

		ok(layer_in_new(&c, &l, &test_err));
		ok(layer_in_write(l, a->data, a->len, &test_err));
		g_assert_cmpint(
			layer_in_finish(l, i ? NULL : other, i ? other : NULL, &res, &test_err), ==,
			-E_CORRUPT);
		g_assert_nonnull(strstr(test_err.text, "and should be sha256:e3b0"));
	}
	g_assert_cmpuint(count_layer_files(&c), ==, 0);
	test_fsck_clean(&c);
	test_ctx_done(&c);
}

/* --- the store ---------------------------------------------------------------------------------------------------- */

static void name_layer(struct ctx *c, const char *digest)
{
	char *layers[] = { (char *)digest, NULL }, *names[] = { (char *)"x", NULL };
	struct image_record i = { .id = (char *)digest,
		.layers = layers,
		.names = names,
		.arch = (char *)"amd64",
		.os = (char *)"linux" };
	struct store *s;

	ok(store_get(c, &s, &test_err));
	ok(store_image_add(s, &i, &test_err));
}

static void test_at_once(void)
{
	g_autoptr(GByteArray) a = small_tar(), back = NULL;
	struct layer_in *l[3];
	struct layer_result res[3];
	struct ctx c;

	test_ctx_init(&c);
	for (unsigned i = 0; i < 3; i++)
		ok(layer_in_new(&c, &l[i], &test_err));
	for (guint at = 0; at < a->len; at += 500)
		for (unsigned i = 0; i < 3; i++)
			ok(layer_in_write(l[i], a->data + at, MIN(500, a->len - at), &test_err));
	for (unsigned i = 0; i < 3; i++) {
		ok(layer_in_finish(l[i], NULL, NULL, &res[i], &test_err));
		layer_in_free(l[i]);
		g_assert_cmpstr(res[i].digest, ==, res[0].digest);
	}
	g_assert_cmpuint(count_layer_files(&c), ==, 2);
	back = export(&c, res[0].digest);
	g_assert_cmpmem(back->data, back->len, a->data, a->len);
	test_ctx_done(&c);
}

static void test_collect(void)
{
	g_autoptr(GByteArray) a = small_tar(), b = g_byte_array_new();
	struct layer_result res, other;
	struct layer_in *l;
	struct store *s;
	int64_t bytes;
	struct ctx c;

	test_ctx_init(&c);
	ok(import(&c, a, 4096, &res));
	tar_put_end(b);
	ok(import(&c, b, 4096, &other));
	name_layer(&c, res.digest);
	/* while somebody adds a layer nothing is collected */
	ok(layer_in_new(&c, &l, &test_err));
	g_assert_cmpint(content_collect(&c, &bytes, &test_err), ==, 0);
	layer_in_free(l);
	g_assert_cmpint(content_collect(&c, &bytes, &test_err), ==, 1);
	g_assert_cmpint(bytes, ==, other.size);
	g_assert_cmpuint(count_layer_files(&c), ==, 2);
	ok(store_get(&c, &s, &test_err));
	g_assert_cmpint(store_layer_has(s, other.digest, &test_err), ==, 0);
	g_assert_cmpint(layer_export(&c, other.digest, -1, &test_err), ==, -E_NOTFOUND);
	ok(store_image_remove(s, res.digest, &test_err));
	g_assert_cmpint(content_collect(&c, &bytes, &test_err), ==, 1);
	g_assert_cmpuint(count_layer_files(&c), ==, 0);
	test_fsck_clean(&c);
	test_ctx_done(&c);
}

/* The importer is killed: what it left goes with the next collection. */
static void test_killed(void)
{
	g_autoptr(GByteArray) a = small_tar();
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	struct store *s;
	int64_t bytes;
	struct ctx c;
	int status;
	pid_t pid;

	test_ctx_init(&c);
	ok(store_get(&c, &s, &test_err));
	store_close(&c);
	pid = fork();
	if (pid == 0) {
		struct layer_in *l;

		if (layer_in_new(&c, &l, NULL) < 0 || layer_in_write(l, a->data, 1000, NULL) < 0)
			_exit(1);
		(void)kill(getpid(), SIGKILL);
	}
	g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
	g_assert_true(WIFSIGNALED(status));
	g_assert_cmpuint(count_layer_files(&c), ==, 2);
	ok(store_fsck(&c, false, problems, &test_err));
	g_assert_cmpuint(problems->len, ==, 2);
	g_assert_cmpint(content_collect(&c, &bytes, &test_err), ==, 0);
	g_assert_cmpuint(count_layer_files(&c), ==, 0);
	test_fsck_clean(&c);
	test_ctx_done(&c);
}

static unsigned problems_of(struct ctx *c, unsigned flags, const char *want)
{
	g_autoptr(GPtrArray) problems = g_ptr_array_new_with_free_func(g_free);
	int r = layer_fsck(c, flags, problems, &test_err);

	ok(r);
	for (unsigned i = 0; i < problems->len; i++)
		if (!strstr(problems->pdata[i], want))
			g_error("'%s' isn't in '%s'", want, (char *)problems->pdata[i]);
	return problems->len;
}

static void poke(const char *path, off_t at)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint8_t b;

	g_assert_cmpint(pread(fd, &b, 1, at), ==, 1);
	b ^= 1;
	g_assert_cmpint(pwrite(fd, &b, 1, at), ==, 1);
	(void)close(fd);
}

/* Where the file's content stands in the image. */
static off_t find_bytes(const char *path, const char *text)
{
	g_autoptr(GByteArray) a = read_file(path);
	uint8_t *p = memmem(a->data, a->len, text, strlen(text));

	g_assert_nonnull(p);
	return p - a->data;
}

static void test_damage(void)
{
	g_autoptr(GByteArray) a = small_tar();
	g_autofree char *image = NULL, *log = NULL;
	struct layer_result res;
	struct ctx c;
	off_t at;

	test_ctx_init(&c);
	ok(import(&c, a, 4096, &res));
	name_layer(&c, res.digest);
	g_assert_cmpuint(problems_of(&c, LAYER_FSCK_VERIFY, ""), ==, 0);
	image = layer_file(&c, res.digest);
	log = layer_path(&c, res.digest, ".tar");
	/* a byte of a file: only reading all of it shows that */
	at = find_bytes(image, "ID=test");
	poke(image, at);
	g_assert_cmpuint(problems_of(&c, 0, ""), ==, 0);
	g_assert_cmpuint(problems_of(&c, LAYER_FSCK_VERIFY, "its content has become"), ==, 1);
	g_assert_cmpint(layer_export(&c, res.digest, -1, &test_err), ==, -E_CORRUPT);
	g_assert_cmpstr(test_err.mend, ==, "remove its images and import them again");
	poke(image, at);
	poke(log, 40);
	g_assert_cmpuint(problems_of(&c, LAYER_FSCK_VERIFY, "tar is damaged"), ==, 1);
	poke(log, 40);
	poke(image, 1024 + 20);
	g_assert_cmpuint(problems_of(&c, 0, "bad checksum"), ==, 1);
	poke(image, 1024 + 20);
	g_assert_cmpuint(problems_of(&c, LAYER_FSCK_VERIFY, ""), ==, 0);
	/* an image has it: it is told, not removed */
	g_assert_cmpint(truncate(image, 4096), ==, 0);
	g_assert_cmpuint(
		problems_of(&c, LAYER_FSCK_REPAIR | LAYER_FSCK_COLLECT, "cut short"), ==, 1);
	g_assert_cmpint(unlink(image), ==, 0);
	g_assert_cmpuint(
		problems_of(&c, LAYER_FSCK_REPAIR | LAYER_FSCK_COLLECT, "No such file"), ==, 1);
	/* importing it again mends it */
	ok(import(&c, a, 4096, &res));
	g_assert_cmpuint(problems_of(&c, LAYER_FSCK_VERIFY, ""), ==, 0);
	test_ctx_done(&c);
}

static void test_import_dir(void)
{
	g_autofree char *tree = NULL, *to = NULL;
	g_autoptr(GByteArray) tar = NULL;
	struct layer_result res, again;
	struct ctx c;

	test_ctx_init(&c);
	tree = plain_tree(&c);
	ok(layer_import_dir(&c, tree, &res, &test_err));
	to = unpack(&c, res.digest, "to");
	same_tree(tree, to);
	/* the sparse file's hole isn't stored */
	g_assert_cmpint(res.tar_size, <, 1 << 20);
	ok(layer_import_dir(&c, to, &again, &test_err));
	g_assert_cmpstr(again.digest, ==, res.digest);
	tar = export(&c, res.digest);
	g_assert_cmpint(layer_import_dir(&c, "/no/such/folder", &res, &test_err), ==, -ENOENT);
	g_assert_cmpint(layer_import_dir(&c, "/etc/passwd", &res, &test_err), ==, -ENOTDIR);
	test_ctx_done(&c);
}

/* Where EROFS can't be mounted a layer is a folder. */
static void test_lower(void)
{
	g_autoptr(GByteArray) a = small_tar();
	g_autofree char *lower = NULL, *file = NULL, *text = NULL;
	struct layer_result res;
	int64_t bytes;
	struct ctx c;

	test_ctx_init(&c);
	ok(import(&c, a, 4096, &res));
	g_assert_cmpint(layer_lower(&c, "sha256:12", &lower, &test_err), ==, -E_INVALID);
	c.is_root = false; /* who can't mount */
	g_assert_cmpint(layer_can_mount(&c), ==, 0);
	ok(layer_lower(&c, res.digest, &lower, &test_err));
	g_assert_true(g_str_has_prefix(lower, c.root));
	file = g_build_filename(lower, "etc/same", NULL);
	g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
	g_assert_cmpstr(text, ==, "ID=test\n");
	g_assert_cmpuint(count_layer_files(&c), ==, 3);
	g_clear_pointer(&lower, g_free);
	ok(layer_lower(&c, res.digest, &lower, &test_err));
	g_assert_cmpint(content_collect(&c, &bytes, &test_err), ==, 1);
	g_assert_cmpuint(count_layer_files(&c), ==, 0);
	test_ctx_done(&c);
}

/* --- as root ------------------------------------------------------------------------------------------------------- */

static bool skip(void)
{
	if (geteuid() == 0)
		return false;
	g_test_skip("needs root");
	return true;
}

/* plain_tree, and what only root can make. */
static char *full_tree(struct ctx *c)
{
	char *t = plain_tree(c);
	g_autofree char *big = g_malloc0(3000), *path = g_strconcat(t, "/xattrs", NULL);
	g_autofree char *folder = g_strconcat(t, "/d", NULL);

	shell("cd '%s' && mknod null c 1 3 && mknod block b 259 70000 && chmod 644 null &&"
	      "echo own >owned && chown 4000000000:70000 owned && : >xattrs && mkdir labels &&"
	      "for i in $(seq 100); do echo $i >labels/$i; done && chown 33:33 d && chmod 2755 d",
		t);
	g_assert_cmpint(setxattr(path, "trusted.big", big, 3000, 0), ==, 0);
	g_assert_cmpint(setxattr(path, "security.capability",
				"\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0),
		==, 0);
	g_assert_cmpint(setxattr(folder, "trusted.folder", "x", 1, 0), ==, 0);
	for (unsigned i = 1; i <= 100; i++) {
		g_autofree char *label = g_strdup_printf("%s/labels/%u", t, i);

		g_assert_cmpint(
			setxattr(label, "trusted.label", "system_u:object_r", 17, 0), ==, 0);
	}
	return t;
}

static void test_full_tree(void)
{
	g_autofree char *tree = NULL, *file = NULL, *to = NULL, *image = NULL, *at = NULL;
	g_autoptr(GByteArray) a = NULL;
	struct layer_result res, dir;
	struct ctx c;

	if (skip())
		return;
	test_ctx_init(&c);
	tree = full_tree(&c);
	file = scratch(&c, "archive");
	shell("tar -C '%s' --format=posix -S --numeric-owner --xattrs --xattrs-include='*' -cf "
	      "'%s' .",
		tree, file);
	a = read_file(file);
	res = round_trip(&c, a);
	to = unpack(&c, res.digest, "to");
	same_tree(tree, to);
	ok(layer_import_dir(&c, tree, &dir, &test_err));
	g_free(to);
	to = unpack(&c, dir.digest, "from-dir");
	same_tree(tree, to);
	image = layer_file(&c, res.digest);
	at = scratch(&c, "mount");
	g_assert_cmpint(mkdir(at, 0700), ==, 0);
	if (!layer_can_mount(&c)) {
		g_test_skip("this host can't mount EROFS");
	} else {
		shell("mount -t erofs -o ro '%s' '%s' 2>/dev/null || mount -t erofs -o ro,loop "
		      "'%s' '%s'",
			image, at, image, at);
		same_tree(tree, at);
		g_assert_cmpint(umount(at), ==, 0);
	}
	test_ctx_done(&c);
}

/* The layer as a folder: mounted, or unpacked. */
static char *show_layer(struct ctx *c, const char *digest, const char *name, bool mounted)
{
	g_autofree char *image = layer_file(c, digest);
	char *at;

	if (!mounted)
		return unpack(c, digest, name);
	at = scratch(c, name);
	g_assert_cmpint(mkdir(at, 0700), ==, 0);
	shell("mount -t erofs -o ro '%s' '%s' 2>/dev/null || mount -t erofs -o ro,loop '%s' '%s'",
		image, at, image, at);
	return at;
}

static void check_overlay(struct ctx *c, const char *low, const char *high, bool mounted)
{
	g_autofree char *lower = show_layer(c, low, mounted ? "lower-m" : "lower", mounted);
	g_autofree char *upper = show_layer(c, high, mounted ? "upper-m" : "upper", mounted);
	g_autofree char *at = scratch(c, "mount"), *text = NULL;
	g_autofree char *command =
		g_strdup_printf("cd '%s' && find * -type f | sort | tr '\n' ' '", at);
	g_autofree char *options = g_strdup_printf("lowerdir=%s:%s", upper, lower);
	const char *argv[] = { "sh", "-c", command, NULL };

	g_assert_cmpint(g_mkdir_with_parents(at, 0700), ==, 0);
	/* it can't be had everywhere (on a root that is one itself) */
	if (mount("overlay", at, "overlay", MS_RDONLY, options) < 0) {
		g_test_skip("no overlay here");
	} else {
		g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
			NULL, &text, NULL, NULL, NULL));
		g_assert_cmpint(umount(at), ==, 0);
		g_assert_cmpstr(text, ==, "again/new kept merged/new merged/old opaque/new ");
	}
	if (mounted) {
		g_assert_cmpint(umount(lower), ==, 0);
		g_assert_cmpint(umount(upper), ==, 0);
	}
}

/* The layer's whiteouts do in an overlay what the specification says. */
static void test_overlay(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new(), b = g_byte_array_new();
	struct layer_result low, high;
	struct ctx c;

	if (skip())
		return;
	test_ctx_init(&c);
	add_entry(a, TAR_FILE, "gone", "", "");
	add_entry(a, TAR_FILE, "kept", "", "");
	add_entry(a, TAR_FILE, "opaque/old", "", "");
	add_entry(a, TAR_FILE, "again/old", "", "");
	add_entry(a, TAR_FILE, "merged/old", "", "");
	ok(import(&c, a, 4096, &low));
	add_entry(b, TAR_FILE, ".wh.gone", "", "");
	add_entry(b, TAR_FILE, "opaque/new", "", "");
	add_entry(b, TAR_FILE, "opaque/.wh..wh..opq", "", "");
	add_entry(b, TAR_FILE, ".wh.again", "", "");
	add_entry(b, TAR_FILE, "again/new", "", "");
	add_entry(b, TAR_FILE, "merged/new", "", "");
	ok(import(&c, b, 4096, &high));
	check_overlay(&c, low.digest, high.digest, false);
	if (layer_can_mount(&c))
		check_overlay(&c, low.digest, high.digest, true);
	test_ctx_done(&c);
}

/* An overlay's upper folder becomes the layer that it stands for. */
static void test_upper(void)
{
	g_autofree char *upper = NULL, *names = NULL, *path = NULL;
	g_autoptr(GByteArray) tar = NULL;
	struct layer_result res;
	struct ctx c;

	if (skip())
		return;
	test_ctx_init(&c);
	upper = scratch(&c, "upper");
	shell("mkdir -p '%s/opaque' && cd '%s' && mknod gone c 0 0 && echo x >opaque/x", upper,
		upper);
	path = g_strconcat(upper, "/opaque", NULL);
	g_assert_cmpint(setxattr(path, "trusted.overlay.opaque", "y", 1, 0), ==, 0);
	g_assert_cmpint(setxattr(path, "trusted.overlay.origin", "abc", 3, 0), ==, 0);
	ok(layer_import_dir(&c, upper, &res, &test_err));
	tar = export(&c, res.digest);
	{
		g_autofree char *file = scratch(&c, "exported");
		const char *argv[] = { "tar", "-tf", file, NULL };

		g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL,
			NULL, &names, NULL, NULL, NULL));
	}
	g_assert_cmpstr(
		names, ==, "./\n./.wh.gone\n./opaque/\n./opaque/.wh..wh..opq\n./opaque/x\n");
	g_assert_null(memmem(tar->data, tar->len, "overlay", 7));
	test_ctx_done(&c);
}

/* A full disk: an error that says so, and nothing is left. */
static void test_full_disk(void)
{
	g_autofree char *disk = NULL, *root = NULL;
	g_autofree uint8_t *data = g_malloc0(1 << 20);
	struct tar_entry t = { .type = TAR_FILE, .path = "big", .target = "", .size = 20 << 20 };
	g_autoptr(GByteArray) head = g_byte_array_new();
	struct layer_in *l;
	struct ctx c;
	int r;

	if (skip())
		return;
	test_ctx_init(&c);
	disk = scratch(&c, "disk");
	g_assert_cmpint(mkdir(disk, 0700), ==, 0);
	g_assert_cmpint(mount("tmpfs", disk, "tmpfs", 0, "size=8m"), ==, 0);
	root = c.root;
	c.root = g_strconcat(disk, "/root", NULL);
	memset(data, 7, 1 << 20);
	ok(layer_in_new(&c, &l, &test_err));
	ok(tar_put_entry(head, &t, &test_err));
	r = layer_in_write(l, head->data, head->len, &test_err);
	for (unsigned i = 0; i < 20 && r >= 0; i++)
		r = layer_in_write(l, data, 1 << 20, &test_err);
	g_assert_cmpint(r, ==, -ENOSPC);
	g_assert_cmpstr(test_err.text, ==, "cannot write the layer: No space left on device");
	layer_in_free(l);
	g_assert_cmpuint(count_layer_files(&c), ==, 0);
	store_close(&c);
	g_assert_cmpint(umount(disk), ==, 0);
	g_free(c.root);
	c.root = g_steal_pointer(&root);
	test_ctx_done(&c);
}

/* As many entries as nobody has. */
static void test_million(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new();
	struct layer_result res;
	struct layer_in *l;
	struct ctx c;

	test_ctx_init(&c);
	ok(layer_in_new(&c, &l, &test_err));
	for (unsigned i = 0; i < 1000000; i++) {
		char path[64];
		struct tar_entry t = { .type = TAR_FILE, .path = path, .target = "" };

		(void)g_snprintf(path, sizeof(path), "d%u/file%u", i % 10, i);
		ok(tar_put_entry(a, &t, &test_err));
		if (a->len >= 1 << 20) {
			ok(layer_in_write(l, a->data, a->len, &test_err));
			g_byte_array_set_size(a, 0);
		}
	}
	ok(layer_in_write(l, a->data, a->len, &test_err));
	ok(layer_in_finish(l, NULL, NULL, &res, &test_err));
	layer_in_free(l);
	ok(layer_export(&c, res.digest, -1, &test_err));
	g_assert_cmpint(res.size, <, 200 << 20);
	test_ctx_done(&c);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/layer/quick/makers", test_makers);
	g_test_add_func("/layer/quick/compressed", test_compressed);
	g_test_add_func("/layer/quick/whiteouts", test_whiteouts);
	g_test_add_func("/layer/quick/hostile", test_hostile);
	g_test_add_func("/layer/quick/inside", test_inside);
	g_test_add_func("/layer/quick/cut-anywhere", test_cut_anywhere);
	g_test_add_func("/layer/quick/wanted", test_wanted);
	g_test_add_func("/layer/quick/at-once", test_at_once);
	g_test_add_func("/layer/quick/collect", test_collect);
	g_test_add_func("/layer/quick/killed", test_killed);
	g_test_add_func("/layer/quick/damage", test_damage);
	g_test_add_func("/layer/quick/import-dir", test_import_dir);
	g_test_add_func("/layer/quick/lower", test_lower);
	g_test_add_func("/layer/auto/full-tree", test_full_tree);
	g_test_add_func("/layer/auto/overlay", test_overlay);
	g_test_add_func("/layer/auto/upper", test_upper);
	g_test_add_func("/layer/auto/full-disk", test_full_disk);
	g_test_add_func("/layer/auto/million", test_million);
	return g_test_run();
}
