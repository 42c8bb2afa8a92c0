/* SPDX-License-Identifier: MIT */
#include "store/erofs.h"

#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* --- making and reading back ---------------------------------------------------------------------------- */

struct made {
	struct erofs_writer *w;
	int fd;
	void *p;
	size_t size;
	struct erofs_view view;
	bool too_deep; /* for erofs-utils, whose fsck recurses */
	struct err e;
};

static void begin(struct made *m)
{
	memset(m, 0, sizeof(*m));
	m->fd = memfd_create("image", MFD_CLOEXEC);
	g_assert_cmpint(m->fd, >=, 0);
	m->w = erofs_writer_new(m->fd);
}

#define good(m, call)                                                          \
	do {                                                                   \
		if ((call) < 0)                                                \
			g_error("%s:%d: %s", __FILE__, __LINE__, (m)->e.text); \
	} while (0)

static void add(struct made *m, const char *path, uint32_t mode, const char *content)
{
	struct erofs_attr a = {
		.mode = mode, .size = (int64_t)strlen(content), .target = content, .mtime = 1000
	};

	good(m, erofs_add(m->w, path, &a, &m->e));
	if (S_ISREG(mode))
		good(m, erofs_write(m->w, 0, content, strlen(content), &m->e));
}

/* The exit status of a shell's command. */
static int run_shell(const char *command)
{
	const char *argv[] = { "sh", "-c", command, NULL };
	int status = -1;

	g_assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
		NULL, &status, NULL));
	return status;
}

/* erofs-utils, where they are installed, must agree. */
static void foreign_check(const struct made *m)
{
	g_autofree char *fsck = g_find_program_in_path("fsck.erofs");
	g_autofree char *command = NULL;

	if (!fsck || m->too_deep)
		return;
	command = g_strdup_printf("%s /proc/%d/fd/%d >/dev/null 2>&1", fsck, (int)getpid(), m->fd);
	g_assert_cmpint(run_shell(command), ==, 0);
}

static void finish(struct made *m)
{
	static const uint8_t uuid[16] = { 1, 2, 3 };
	struct stat st;

	good(m, erofs_finish(m->w, uuid, &m->e));
	g_assert_cmpint(fstat(m->fd, &st), ==, 0);
	m->size = (size_t)st.st_size;
	m->p = mmap(NULL, m->size, PROT_READ, MAP_SHARED, m->fd, 0);
	g_assert_true(m->p != MAP_FAILED);
	good(m, erofs_view_init(&m->view, m->p, m->size, &m->e));
	foreign_check(m);
}

static void done(struct made *m)
{
	erofs_writer_free(m->w);
	if (m->p)
		(void)munmap(m->p, m->size);
	(void)close(m->fd);
}

struct dump {
	struct made *m;
	GString *text;
	char *path;
	bool brief; /* no content */
	unsigned n;
};

static int on_xattr(void *arg, const struct xattr *x)
{
	g_string_append_printf(arg, " %s=%.*s", x->name, (int)MIN(x->size, 20), x->value);
	return 0;
}

static GByteArray *content(struct made *m, const struct erofs_inode *i)
{
	GByteArray *out = g_byte_array_new();
	int64_t at = 0;

	while (at < i->size) {
		const uint8_t *p;
		size_t n;

		g_assert_cmpint(erofs_content(&m->view, i, at, &p, &n), ==, 0);
		g_assert_cmpuint(n, >, 0);
		if (p)
			g_byte_array_append(out, p, (guint)n);
		else {
			g_byte_array_set_size(out, out->len + (guint)n);
			memset(out->data + out->len - n, 0, n);
		}
		at += (int64_t)n;
	}
	return out;
}

static int on_name(void *arg, const char *name, size_t size, uint64_t nid)
{
	struct dump *d = arg;
	char *old = d->path;
	struct erofs_inode i;

	d->n++;
	d->path = g_strdup_printf("%s/%.*s", old, (int)size, name);
	g_assert_cmpint(erofs_inode_get(&d->m->view, nid, &i), ==, 0);
	g_string_append_printf(d->text, "%s %06o %u", d->path, i.mode, i.nlink);
	if (S_ISCHR(i.mode) || S_ISBLK(i.mode))
		g_string_append_printf(d->text, " %u:%u", i.major, i.minor);
	g_assert_cmpint(erofs_xattrs(&d->m->view, &i, on_xattr, d->text), ==, 0);
	if ((S_ISREG(i.mode) || S_ISLNK(i.mode)) && !d->brief) {
		g_autoptr(GByteArray) a = content(d->m, &i);

		g_string_append_printf(d->text, " [%.*s]", (int)MIN(a->len, 30), (char *)a->data);
	}
	g_string_append_c(d->text, '\n');
	if (S_ISDIR(i.mode))
		g_assert_cmpint(erofs_list(&d->m->view, &i, on_name, d), ==, 0);
	g_free(d->path);
	d->path = old;
	return 0;
}

static char *dump(struct made *m, bool brief, unsigned *ret_n)
{
	struct dump d = { m, g_string_new(NULL), g_strdup(""), brief, 0 };
	struct erofs_inode i;

	g_assert_cmpint(erofs_inode_get(&m->view, m->view.root, &i), ==, 0);
	g_string_append_printf(d.text, "/ %06o %u", i.mode, i.nlink);
	g_assert_cmpint(erofs_xattrs(&m->view, &i, on_xattr, d.text), ==, 0);
	g_string_append_c(d.text, '\n');
	g_assert_cmpint(erofs_list(&m->view, &i, on_name, &d), ==, 0);
	g_free(d.path);
	if (ret_n)
		*ret_n = d.n;
	return g_string_free(d.text, FALSE);
}

static void expect(struct made *m, const char *want)
{
	g_autofree char *text = NULL;

	finish(m);
	text = dump(m, false, NULL);
	g_assert_cmpstr(text, ==, want);
	done(m);
}

#define FILE_644 (S_IFREG | 0644)
#define DIR_700	 (S_IFDIR | 0700)
#define LINK	 (S_IFLNK | 0777)

/* --- the tree ---------------------------------------------------------------------------------------------- */

static void test_empty(void)
{
	struct made m;

	begin(&m);
	finish(&m);
	g_assert_cmpuint(m.size, ==, 4096);
	g_assert_cmpuint(m.view.inodes, ==, 1);
	g_assert_cmpuint(m.view.uuid[1], ==, 2);
	done(&m);
}

static void test_tree(void)
{
	struct erofs_attr a = { .mode = S_IFBLK | 0600, .major = 259, .minor = 70000, .mtime = 3 };
	struct made m;

	begin(&m);
	add(&m, "./", DIR_700, "");
	add(&m, "b", FILE_644, "content");
	add(&m, "/missing//parents/./x", FILE_644, "");
	add(&m, "a-link", LINK, "b");
	add(&m, "pipe", S_IFIFO | 0600, "");
	good(&m, erofs_add(m.w, "dev", &a, &m.e));
	good(&m, erofs_link(m.w, "missing/hard", "b", &m.e));
	add(&m, "+first", FILE_644, "");
	expect(&m, "/ 040700 3\n"
		   "/+first 100644 1 []\n"
		   "/a-link 120777 1 [b]\n"
		   "/b 100644 2 [content]\n"
		   "/dev 060600 1 259:70000\n"
		   "/missing 040755 3\n"
		   "/missing/hard 100644 2 [content]\n"
		   "/missing/parents 040755 2\n"
		   "/missing/parents/x 100644 1 []\n"
		   "/pipe 010600 1\n");
}

static void test_replace(void)
{
	struct made m;

	begin(&m);
	add(&m, "f", FILE_644, "old");
	add(&m, "f", FILE_644, "new");
	add(&m, "d/inside/x", FILE_644, "kept");
	add(&m, "d", DIR_700, ""); /* only its attributes */
	add(&m, "e/inside/x", FILE_644, "gone");
	good(&m, erofs_link(m.w, "survivor", "e/inside/x", &m.e));
	add(&m, "e", FILE_644, "file over folder");
	add(&m, "g", FILE_644, "");
	add(&m, "g", DIR_700, "");
	add(&m, "h", FILE_644, "h");
	good(&m, erofs_link(m.w, "h", "h", &m.e));
	good(&m, erofs_link(m.w, "h2", "h", &m.e));
	add(&m, "h", FILE_644, "other");
	finish(&m);
	/* root, f, d, d/inside, x, survivor, e, g, h, h2 */
	g_assert_cmpuint(m.view.inodes, ==, 10);
	done(&m);
	begin(&m);
	add(&m, "f", FILE_644, "old");
	add(&m, "f", FILE_644, "new");
	add(&m, "e/inside/x", FILE_644, "gone");
	good(&m, erofs_link(m.w, "survivor", "e/inside/x", &m.e));
	add(&m, "e", FILE_644, "file over folder");
	add(&m, "g", FILE_644, "");
	add(&m, "g", DIR_700, "");
	add(&m, "h", FILE_644, "h");
	good(&m, erofs_link(m.w, "h2", "h", &m.e));
	add(&m, "h", FILE_644, "other");
	expect(&m, "/ 040755 3\n"
		   "/e 100644 1 [file over folder]\n"
		   "/f 100644 1 [new]\n"
		   "/g 040700 2\n"
		   "/h 100644 1 [other]\n"
		   "/h2 100644 1 [h]\n"
		   "/survivor 100644 1 [gone]\n");
}

/* Paths through links stay inside, wherever those point. */
static void test_through_links(void)
{
	struct made m;

	begin(&m);
	add(&m, "usr/bin/sh", FILE_644, "sh");
	add(&m, "bin", LINK, "usr/bin");
	add(&m, "bin/ls", FILE_644, "ls");
	add(&m, "out", LINK, "../../../../etc");
	add(&m, "out/passwd", FILE_644, "p");
	add(&m, "abs", LINK, "/etc");
	add(&m, "abs/shadow", FILE_644, "s");
	add(&m, "a/b/up", LINK, "../c/./d");
	add(&m, "a/b/up/x", FILE_644, "x"); /* what the link names is made */
	good(&m, erofs_link(m.w, "hard", "bin/sh", &m.e));
	add(&m, "abs", FILE_644, "no link any more");
	expect(&m, "/ 040755 5\n"
		   "/a 040755 4\n"
		   "/a/b 040755 2\n"
		   "/a/b/up 120777 1 [../c/./d]\n"
		   "/a/c 040755 3\n"
		   "/a/c/d 040755 2\n"
		   "/a/c/d/x 100644 1 [x]\n"
		   "/abs 100644 1 [no link any more]\n"
		   "/bin 120777 1 [usr/bin]\n"
		   "/etc 040755 2\n"
		   "/etc/passwd 100644 1 [p]\n"
		   "/etc/shadow 100644 1 [s]\n"
		   "/hard 100644 2 [sh]\n"
		   "/out 120777 1 [../../../../etc]\n"
		   "/usr 040755 3\n"
		   "/usr/bin 040755 2\n"
		   "/usr/bin/ls 100644 1 [ls]\n"
		   "/usr/bin/sh 100644 2 [sh]\n");
}

static void test_whiteouts(void)
{
	struct made m;

	begin(&m);
	good(&m, erofs_whiteout(m.w, "d/gone", &m.e));
	good(&m, erofs_whiteout(m.w, "d/gone2", &m.e));
	/* one that is there too: the file hides by itself, the folder must be opaque; in either order */
	good(&m, erofs_whiteout(m.w, "d/file", &m.e));
	add(&m, "d/file", FILE_644, "f");
	add(&m, "d/after", DIR_700, "");
	good(&m, erofs_whiteout(m.w, "d/after", &m.e));
	good(&m, erofs_whiteout(m.w, "d/before", &m.e));
	add(&m, "d/before/x", FILE_644, "x");
	good(&m, erofs_opaque(m.w, "o", &m.e));
	good(&m, erofs_opaque(m.w, "/", &m.e));
	expect(&m, "/ 040755 4 trusted.overlay.opaque=y\n"
		   "/d 040755 4\n"
		   "/d/after 040700 2 trusted.overlay.opaque=y\n"
		   "/d/before 040755 2 trusted.overlay.opaque=y\n"
		   "/d/before/x 100644 1 [x]\n"
		   "/d/file 100644 1 [f]\n"
		   "/d/gone 020000 2 0:0\n"
		   "/d/gone2 020000 2 0:0\n"
		   "/o 040755 2 trusted.overlay.opaque=y\n");
}

/* --- forms of inodes and data ------------------------------------------------------------------------------ */

struct find {
	const char *name;
	uint64_t nid;
};

static int on_find(void *arg, const char *name, size_t size, uint64_t nid)
{
	struct find *f = arg;

	if (strlen(f->name) == size && !memcmp(f->name, name, size))
		f->nid = nid;
	return 0;
}

static struct erofs_inode find(struct made *m, const char *name)
{
	struct find f = { .name = name };
	struct erofs_inode root, i;

	g_assert_cmpint(erofs_inode_get(&m->view, m->view.root, &root), ==, 0);
	g_assert_cmpint(erofs_list(&m->view, &root, on_find, &f), ==, 0);
	g_assert_cmpuint(f.nid, !=, 0);
	g_assert_cmpint(erofs_inode_get(&m->view, f.nid, &i), ==, 0);
	return i;
}

/* Each size around the edges of a block, in pieces of several sizes. */
static void test_sizes(void)
{
	static const int64_t sizes[] = { 0, 1, 31, 4000, 4031, 4032, 4033, 4063, 4064, 4065, 4095,
		4096, 4097, 8128, 8191, 8192, 100000, 3000000 };
	g_autofree uint8_t *data = g_malloc(3000000);
	struct made m;

	for (unsigned i = 0; i < 3000000; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8) + (i >> 16));
	begin(&m);
	for (unsigned i = 0; i < ELEMENTSOF(sizes); i++) {
		g_autofree char *name = g_strdup_printf("%02u", i);
		struct erofs_attr a = {
			.mode = FILE_644, .size = sizes[i], .uid = i % 2 ? 70000 : 0
		};

		good(&m, erofs_add(m.w, name, &a, &m.e));
		for (int64_t at = 0, n = 1; at < sizes[i]; at += n, n = n * 5 % 70001 + 1) {
			int64_t where, here;

			n = MIN(n, sizes[i] - at);
			good(&m, erofs_write(m.w, at, data + at, (size_t)n, &m.e));
			where = erofs_where(m.w, at, &here);
			g_assert_cmpint(where, >, 0);
			g_assert_cmpint(here, >, 0);
		}
	}
	finish(&m);
	for (unsigned i = 0; i < ELEMENTSOF(sizes); i++) {
		g_autofree char *name = g_strdup_printf("%02u", i);
		struct erofs_inode n = find(&m, name);
		g_autoptr(GByteArray) got = content(&m, &n);

		g_assert_cmpmem(got->data, got->len, data, (size_t)sizes[i]);
	}
	done(&m);
}

static void test_attributes(void)
{
	const struct erofs_attr a[] = {
		{ .mode = FILE_644, .mtime = 1000 }, /* the first one's time is the image's */
		{ .mode = FILE_644, .mtime = 1000, .uid = 65535, .gid = 65536 },
		{ .mode = S_IFREG | 06755, .mtime = -100000000000, .mtime_nsec = 999999999 },
		{ .mode = S_IFREG, .mtime = 1000, .mtime_nsec = 1, .uid = 4294967295, .gid = 1 },
	};
	struct made m;

	begin(&m);
	for (unsigned k = 0; k < ELEMENTSOF(a); k++) {
		char name[] = { (char)('a' + k), '\0' };

		good(&m, erofs_add(m.w, name, &a[k], &m.e));
	}
	finish(&m);
	for (unsigned k = 0; k < ELEMENTSOF(a); k++) {
		char name[] = { (char)('a' + k), '\0' };
		struct erofs_inode i = find(&m, name);

		g_assert_cmpuint(i.mode, ==, a[k].mode);
		g_assert_cmpuint(i.uid, ==, a[k].uid);
		g_assert_cmpuint(i.gid, ==, a[k].gid);
		g_assert_cmpint(i.mtime, ==, a[k].mtime);
		g_assert_cmpuint(i.mtime_nsec, ==, a[k].mtime_nsec);
	}
	done(&m);
}

static void test_sparse(void)
{
	const int64_t at[] = { 5, 4095, 8192, 1000000, 40000000, 299999990 };
	struct erofs_attr a = { .mode = FILE_644, .size = 300000000, .sparse = true };
	struct erofs_attr none = { .mode = FILE_644, .size = 5000, .sparse = true };
	g_autoptr(GByteArray) got = NULL;
	struct erofs_inode i;
	struct made m;
	int64_t sum = 0;

	begin(&m);
	good(&m, erofs_add(m.w, "s", &a, &m.e));
	for (unsigned k = 0; k < ELEMENTSOF(at); k++)
		good(&m, erofs_write(m.w, at[k], "0123456789", 10, &m.e));
	good(&m, erofs_add(m.w, "none", &none, &m.e));
	finish(&m);
	/* what isn't there takes no room: a chunk for each place */
	g_assert_cmpuint(m.size, <, 10 << 20);
	i = find(&m, "s");
	got = content(&m, &i);
	g_assert_cmpuint(got->len, ==, 300000000);
	for (unsigned k = 0; k < ELEMENTSOF(at); k++)
		g_assert_cmpmem(got->data + at[k], 10, "0123456789", 10);
	for (guint k = 0; k < got->len; k++)
		sum += got->data[k];
	g_assert_cmpint(sum, ==, (int64_t)ELEMENTSOF(at) * (48 * 10 + 45));
	i = find(&m, "none");
	g_assert_cmpint(i.size, ==, 5000);
	done(&m);
}

static int count_xattr(void *arg, const struct xattr *x)
{
	unsigned *n = arg;

	g_assert_cmpuint(x->size, ==, g_str_has_suffix(x->name, "big") ? 60000 : 20);
	n[0]++;
	return 0;
}

static void test_xattrs(void)
{
	g_autofree uint8_t *big = g_malloc0(60000);
	g_autofree char *many = g_malloc0(128 * 16);
	struct xattr x[128],
		label = { "security.label", (const uint8_t *)"system_u:object_r:u_t", 20 };
	struct erofs_attr a = { .mode = FILE_644, .xattrs = x, .n_xattrs = 3 };
	struct made m;

	x[0] = label;
	x[1] = (struct xattr){ "user.big", big, 60000 };
	x[2] = (struct xattr){ "nfs.unknown", big, 3 };
	begin(&m);
	/* many with the same: kept once */
	for (unsigned i = 0; i < 500; i++) {
		g_autofree char *name = g_strdup_printf("%u", i);

		good(&m, erofs_add(m.w, name, &a, &m.e));
	}
	for (unsigned i = 0; i < 128; i++) {
		char *name = many + (size_t)16 * i;

		(void)g_snprintf(name, 16, "trusted.%u", i);
		x[i] = (struct xattr){ name, big, 20 };
	}
	a.n_xattrs = 128;
	good(&m, erofs_add(m.w, "many", &a, &m.e));
	a.mode = DIR_700;
	good(&m, erofs_add(m.w, ".", &a, &m.e));
	good(&m, erofs_opaque(m.w, ".", &m.e));
	finish(&m);
	g_assert_cmpuint(m.size, <, 400000);
	for (unsigned i = 0; i < 500; i += 100) {
		g_autofree char *name = g_strdup_printf("%u", i);
		struct erofs_inode n = find(&m, name);
		unsigned k = 0;

		g_assert_cmpint(erofs_xattrs(&m.view, &n, count_xattr, &k), ==, 0);
		g_assert_cmpuint(k, ==, 2);
	}
	{
		struct erofs_inode n = find(&m, "many");
		unsigned k = 0;

		g_assert_cmpint(erofs_xattrs(&m.view, &n, count_xattr, &k), ==, 0);
		g_assert_cmpuint(k, ==, 128);
	}
	done(&m);
}

static void test_many(void)
{
	g_autofree char *text = NULL;
	struct made m;
	unsigned n;

	begin(&m);
	for (unsigned i = 0; i < 20000; i++) {
		g_autofree char *name =
			g_strdup_printf("%u/%u-%.*s", i % 3, i, (int)(i % 200), "x");

		add(&m, name, FILE_644, i % 2 ? name : "");
		if (i % 10 == 0) {
			g_autofree char *hard = g_strdup_printf("hard/%u", i);

			good(&m, erofs_link(m.w, hard, name, &m.e));
		}
	}
	finish(&m);
	text = dump(&m, true, &n);
	g_assert_cmpuint(n, ==, 20000 + 2000 + 4);
	g_assert_cmpuint(m.view.inodes, ==, 20000 + 4 + 1);
	done(&m);
}

/* The same calls, the same bytes. */
static void test_reproducible(void)
{
	struct made m[2];

	for (unsigned i = 0; i < 2; i++) {
		begin(&m[i]);
		for (unsigned k = 0; k < 300; k++) {
			g_autofree char *name = g_strdup_printf("d%u/f%u", k % 7, k * 7919 % 300);

			add(&m[i], name, FILE_644, name);
		}
		finish(&m[i]);
	}
	g_assert_cmpmem(m[0].p, m[0].size, m[1].p, m[1].size);
	done(&m[0]);
	done(&m[1]);
}

/* --- refused ------------------------------------------------------------------------------------------------ */

static void test_refused(void)
{
	g_autofree char *long_name = g_strnfill(256, 'n'), *long_path = g_malloc0(5000);
	const struct {
		const char *path;
		int code;
		const char *text;
	} t[] = {
		{ "a/../../etc/passwd", -E_CORRUPT, "leaves the root" },
		{ "..", -E_CORRUPT, "leaves the root" },
		{ long_name, -E_LIMIT, "longer than 255" },
		{ long_path, -E_LIMIT, "longer than 4096" },
		{ "/", -E_CORRUPT, "root is no folder" },
		{ "file/under", -E_CORRUPT, "no folder" },
		{ "loop1/x", -E_CORRUPT, "too many symbolic links" },
	};
	struct erofs_attr a = { .mode = FILE_644 };
	struct made m;

	for (unsigned i = 0; i < 2450; i++)
		memcpy(long_path + 2 * (size_t)i, "d/", 2);
	begin(&m);
	add(&m, "file", FILE_644, "");
	add(&m, "loop1", LINK, "loop2");
	add(&m, "loop2", LINK, "loop1");
	for (unsigned i = 0; i < ELEMENTSOF(t); i++) {
		g_assert_cmpint(erofs_add(m.w, t[i].path, &a, &m.e), ==, t[i].code);
		if (!strstr(m.e.text, t[i].text))
			g_error("%s: %s", t[i].path, m.e.text);
	}
	g_assert_cmpint(erofs_link(m.w, "l", "not/there", &m.e), ==, -E_CORRUPT);
	g_assert_cmpint(erofs_link(m.w, "l", "/", &m.e), ==, -E_CORRUPT);
	g_assert_cmpint(erofs_link(m.w, "l", "../x", &m.e), ==, -E_CORRUPT);
	g_assert_cmpint(erofs_whiteout(m.w, "/", &m.e), ==, -E_CORRUPT);
	a.size = 5;
	good(&m, erofs_add(m.w, "short", &a, &m.e));
	g_assert_cmpint(erofs_write(m.w, 0, "123456", 6, &m.e), ==, -E_CORRUPT);
	good(&m, erofs_write(m.w, 0, "123", 3, &m.e));
	g_assert_cmpint(erofs_write(m.w, 1, "1", 1, &m.e), ==, -E_CORRUPT);
	g_assert_cmpint(erofs_add(m.w, "next", &a, &m.e), ==, -E_CORRUPT);
	a.size = EROFS_IMAGE_MAX;
	done(&m);
	begin(&m);
	g_assert_cmpint(erofs_add(m.w, "huge", &a, &m.e), ==, -E_LIMIT);
	done(&m);
}

/* Links can make a tree deeper than a path is long. */
static void test_depth(void)
{
	struct erofs_attr dir = { .mode = DIR_700 }, link = { .mode = LINK };
	struct made m;
	int r = 0;

	begin(&m);
	for (unsigned i = 0; i < 3; i++) {
		g_autofree char *name = g_strdup_printf("far%u", i);
		g_autoptr(GString) deep = g_string_new(NULL);

		if (i)
			g_string_printf(deep, "far%u", i - 1);
		for (unsigned k = 0; k < 1000; k++)
			g_string_append(deep, "/d");
		r = erofs_add(m.w, deep->str, &dir, &m.e);
		g_assert_cmpint(r, ==, i < 2 ? 0 : -E_LIMIT);
		link.target = deep->str;
		good(&m, erofs_add(m.w, name, &link, &m.e));
	}
	g_assert_nonnull(strstr(m.e.text, "more than 2048 deep"));
	m.too_deep = true;
	finish(&m);
	done(&m);
}

/* A short path that is a long way, again and again. */
static void test_long_ways(void)
{
	g_autoptr(GString) around = g_string_new(NULL);
	struct erofs_attr a = { .mode = FILE_644 };
	struct made m;
	int r = 0;

	begin(&m);
	for (unsigned i = 0; i < 2040; i++)
		g_string_append(around, "./");
	add(&m, "l", LINK, around->str);
	for (unsigned i = 0; i < 100000 && !r; i++)
		r = erofs_add(m.w, i % 2 ? "l/x" : "y", &a, &m.e);
	g_assert_cmpint(r, ==, -E_LIMIT);
	g_assert_nonnull(strstr(m.e.text, "too many long ways"));
	done(&m);
}

/* fuzz-erofs.c has what is behind the superblock. */
static void test_damaged(void)
{
	struct made m;
	g_autofree uint8_t *copy = NULL;
	struct erofs_view v;
	struct err e = { 0 };

	begin(&m);
	add(&m, "f", FILE_644, "content");
	finish(&m);
	copy = g_memdup2(m.p, m.size);
	copy[1024 + 50] ^= 1;
	g_assert_cmpint(erofs_view_init(&v, copy, m.size, &e), ==, -E_CORRUPT);
	g_assert_nonnull(strstr(e.text, "checksum"));
	g_assert_cmpint(erofs_view_init(&v, m.p, m.size - 4096, &e), ==, -E_CORRUPT);
	g_assert_cmpint(erofs_view_init(&v, m.p, 100, &e), ==, -E_CORRUPT);
	copy[1024] ^= 1;
	g_assert_cmpint(erofs_view_init(&v, copy, m.size, &e), ==, -E_CORRUPT);
	done(&m);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/erofs/empty", test_empty);
	g_test_add_func("/erofs/tree", test_tree);
	g_test_add_func("/erofs/replace", test_replace);
	g_test_add_func("/erofs/through-links", test_through_links);
	g_test_add_func("/erofs/whiteouts", test_whiteouts);
	g_test_add_func("/erofs/sizes", test_sizes);
	g_test_add_func("/erofs/attributes", test_attributes);
	g_test_add_func("/erofs/sparse", test_sparse);
	g_test_add_func("/erofs/xattrs", test_xattrs);
	g_test_add_func("/erofs/many", test_many);
	g_test_add_func("/erofs/reproducible", test_reproducible);
	g_test_add_func("/erofs/refused", test_refused);
	g_test_add_func("/erofs/depth", test_depth);
	g_test_add_func("/erofs/long-ways", test_long_ways);
	g_test_add_func("/erofs/damaged", test_damaged);
	return g_test_run();
}
