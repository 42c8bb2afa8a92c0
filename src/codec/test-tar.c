/* SPDX-License-Identifier: MIT */
#include "codec/tar.h"

#include <string.h>
#include "codec/tar-priv.h"

/* What a reader hands out, as text: a line an entry, its content behind it in brackets. */
struct dump {
	GString *text;
	GByteArray *all; /* raw and content in their order: the archive again */
	int64_t at;
	bool open;
};

static void end_entry(struct dump *d)
{
	if (d->open)
		g_string_append(d->text, "]\n");
	d->open = false;
	d->at = 0;
}

static int on_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	static const char types[] = "-dlhcbp";
	struct dump *d = arg;

	end_entry(d);
	g_string_append_printf(d->text, "%c %04o %u:%u %lld", types[t->type], t->mode, t->uid,
		t->gid, (long long)t->mtime);
	if (t->mtime_nsec)
		g_string_append_printf(d->text, ".%09u", t->mtime_nsec);
	g_string_append_printf(d->text, " %s", t->path);
	if (*t->target)
		g_string_append_printf(d->text, " -> %s", t->target);
	if (t->type == TAR_CHAR || t->type == TAR_BLOCK_DEVICE)
		g_string_append_printf(d->text, " %u,%u", t->major, t->minor);
	for (unsigned i = 0; i < t->n_xattrs; i++) {
		g_string_append_printf(d->text, " %s=", t->xattrs[i].name);
		for (unsigned k = 0; k < t->xattrs[i].size; k++)
			g_string_append_printf(d->text,
				g_ascii_isalnum(t->xattrs[i].value[k]) ? "%c" : "\\%03o",
				t->xattrs[i].value[k]);
	}
	if (t->type == TAR_FILE)
		g_string_append_printf(d->text, " %lld", (long long)t->size);
	g_string_append(d->text, " [");
	d->open = true;
	return 0;
}

static int on_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	struct dump *d = arg;

	if (offset != d->at)
		g_string_append_printf(d->text, "@%lld:", (long long)offset);
	g_string_append_len(d->text, data, (gssize)size);
	g_byte_array_append(d->all, data, (guint)size);
	d->at = offset + (int64_t)size;
	return 0;
}

static int on_raw(void *arg, const void *data, size_t size, struct err *e)
{
	g_byte_array_append(((struct dump *)arg)->all, data, (guint)size);
	return 0;
}

static const struct tar_sink sink = { on_entry, on_content, on_raw };

/* Reads an archive in pieces of a size. *ret: the dump. */
static int read_by(const GByteArray *a, size_t piece, char **ret, struct err *e)
{
	struct dump d = { g_string_new(NULL), g_byte_array_new(), 0, false };
	_cleanup_(tar_reader_freep) struct tar_reader *r = tar_reader_new(&sink, &d);
	int code = 0;

	for (size_t at = 0; at < a->len && !code; at += piece)
		code = tar_reader_write(r, a->data + at, MIN(piece, a->len - at), e);
	if (!code)
		code = tar_reader_finish(r, e);
	end_entry(&d);
	if (!code)
		g_assert_cmpmem(d.all->data, d.all->len, a->data, a->len);
	g_byte_array_unref(d.all);
	*ret = g_string_free(d.text, FALSE);
	return code;
}

/* Reads it in several ways, which must agree. */
static char *read_all(const GByteArray *a)
{
	static const size_t pieces[] = { 1, 7, 511, 512, 513, 10240, 1 << 20 };
	char *first = NULL;

	for (unsigned i = 0; i < ELEMENTSOF(pieces); i++) {
		g_autofree char *text = NULL;
		struct err e = { 0 };
		int r = read_by(a, pieces[i], &text, &e);

		if (r)
			g_error("%s: %s", err_name(r), e.text);
		if (!first)
			first = g_steal_pointer(&text);
		else
			g_assert_cmpstr(text, ==, first);
	}
	return first;
}

/* --- making archives by hand --- */

static void put_header(
	GByteArray *a, char type, const char *name, const char *link, const char *size)
{
	struct tar_header h = { .typeflag = type };
	unsigned sum = 0;

	memcpy(h.name, name, MIN(strlen(name), sizeof(h.name)));
	memcpy(h.linkname, link, MIN(strlen(link), sizeof(h.linkname)));
	memcpy(h.mode, "0000644", 8);
	memcpy(h.uid, "0001750", 8);
	memcpy(h.gid, "0000144", 8);
	memcpy(h.size, size, MIN(strlen(size) + 1, sizeof(h.size)));
	memcpy(h.mtime, "00000001750", 12);
	memcpy(h.magic, "ustar", 6);
	memcpy(h.version, "00", 2);
	memset(h.chksum, ' ', sizeof(h.chksum));
	for (unsigned i = 0; i < sizeof(h); i++)
		sum += ((const uint8_t *)&h)[i];
	(void)g_snprintf(h.chksum, sizeof(h.chksum), "%06o", sum & 0777777);
	g_byte_array_append(a, (const void *)&h, sizeof(h));
}

static void fix_sum(GByteArray *a, size_t at)
{
	struct tar_header *h = (void *)(a->data + at);
	unsigned sum = 0;

	memset(h->chksum, ' ', sizeof(h->chksum));
	for (unsigned i = 0; i < sizeof(*h); i++)
		sum += ((const uint8_t *)h)[i];
	(void)g_snprintf(h->chksum, sizeof(h->chksum), "%06o", sum & 0777777);
}

static void put_text(GByteArray *a, const char *text, size_t n)
{
	g_byte_array_append(a, (const void *)text, (guint)n);
	tar_put_padding(a, (int64_t)n);
}

static void put_pax(GByteArray *a, char type, const char *records, size_t n)
{
	char size[12];

	(void)g_snprintf(size, sizeof(size), "%011zo", n);
	put_header(a, type, "PaxHeaders/x", "", size);
	put_text(a, records, n);
}
#define RAW_PAX(a, records) put_pax((a), 'x', (records), sizeof(records) - 1)

/* Records "key=value", with their lengths put before. The list ends with NULL. */
static void put_records(GByteArray *a, char type, ...)
{
	g_autoptr(GString) s = g_string_new(NULL);
	const char *r;
	va_list ap;

	va_start(ap, type);
	while ((r = va_arg(ap, const char *))) {
		size_t n = strlen(r) + 3;

		while (strlen(r) + 2 + (n > 9 ? n > 99 ? 3 : 2 : 1) != n)
			n++;
		g_string_append_printf(s, "%zu %s\n", n, r);
	}
	va_end(ap);
	put_pax(a, type, s->str, s->len);
}
#define PAX(a, ...) put_records((a), 'x', __VA_ARGS__, NULL)

/* --- tests --- */

static char *round_trip_text(const char *split, const char *long_path, const char *long_link)
{
	return g_strdup_printf(
		"d 1777 0:0 1 d/ []\n"
		"- 0644 1000:100 1700000000 d/f 5 [hello]\n"
		"- 4755 0:0 0 %s 0 []\n"
		"- 0000 4000000000:3000000 -5.250000000 %s 5 [hello]\n"
		"l 0777 0:0 7.000000001 s -> %s []\n"
		"h 0644 0:0 0 h -> d/f []\n"
		"c 0600 0:0 0 c 5,3000000 []\n"
		"b 0600 0:0 0 b 8,0 []\n"
		"p 0600 0:0 0 p []\n"
		"- 0000 0:0 0 x user.x=a\\000\\012\\377 user.a=b%%c=a security.empty= 5 "
		"[hello]\n",
		split, long_path, long_link);
}

static void test_round_trip(void)
{
	static const uint8_t value[] = { 'a', 0, '\n', 255 };
	const struct xattr xattrs[] = { { "user.x", value, sizeof(value) },
		{ "user.a=b%c", value, 1 }, { "security.empty", NULL, 0 } };
	g_autofree char *long_path = g_strnfill(300, 'p'), *long_link = g_strnfill(400, 'l');
	g_autofree char *split = g_strdup_printf("%.120s/%.90s", long_path, long_link);
	const struct tar_entry t[] = {
		{ .type = TAR_DIR, .path = "d/", .target = "", .mode = 01777, .mtime = 1 },
		{ .type = TAR_FILE,
			.path = "d/f",
			.target = "",
			.mode = 0644,
			.uid = 1000,
			.gid = 100,
			.size = 5,
			.mtime = 1700000000 },
		{ .type = TAR_FILE,
			.path = split,
			.target = "",
			.mode = 04755,
			.size = 0,
			.mtime = 0 },
		{ .type = TAR_FILE,
			.path = long_path,
			.target = "",
			.mode = 0,
			.size = 5,
			.uid = 4000000000,
			.gid = 3000000,
			.mtime = -5,
			.mtime_nsec = 250000000 },
		{ .type = TAR_SYMLINK,
			.path = "s",
			.target = long_link,
			.mode = 0777,
			.mtime = 7,
			.mtime_nsec = 1 },
		{ .type = TAR_HARDLINK, .path = "h", .target = "d/f", .mode = 0644 },
		{ .type = TAR_CHAR,
			.path = "c",
			.target = "",
			.mode = 0600,
			.major = 5,
			.minor = 3000000 },
		{ .type = TAR_BLOCK_DEVICE, .path = "b", .target = "", .mode = 0600, .major = 8 },
		{ .type = TAR_FIFO, .path = "p", .target = "", .mode = 0600 },
		{ .type = TAR_FILE,
			.path = "x",
			.target = "",
			.size = 5,
			.xattrs = xattrs,
			.n_xattrs = 3 },
	};
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autofree char *text = NULL, *want = NULL;

	for (unsigned i = 0; i < ELEMENTSOF(t); i++) {
		g_assert_cmpint(tar_put_entry(a, &t[i], NULL), ==, 0);
		if (t[i].type == TAR_FILE && t[i].size)
			put_text(a, "hello", 5);
	}
	tar_put_end(a);
	text = read_all(a);
	want = round_trip_text(split, long_path, long_link);
	g_assert_cmpstr(text, ==, want);
}

static void test_sparse_round_trip(void)
{
	const struct tar_extent extents[] = { { 512, 5 }, { 1000000, 5 }, { 2000000, 0 } };
	const struct tar_entry t = { .type = TAR_FILE,
		.path = "s",
		.target = "",
		.size = 2000000,
		.sparse = true,
		.extents = extents,
		.n_extents = 3 };
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autofree char *text = NULL;

	g_assert_cmpint(tar_content_size(&t), ==, 10);
	g_assert_cmpint(tar_put_entry(a, &t, NULL), ==, 0);
	put_text(a, "helloworld", 10);
	text = read_all(a); /* without an end is an archive too */
	g_assert_cmpstr(text, ==, "- 0000 0:0 0 s 2000000 [@512:hello@1000000:world]\n");
}

static void test_gnu(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autofree char *name = g_strnfill(200, 'n'), *text = NULL, *want = NULL;
	struct tar_header *h;

	put_header(a, 'V', "a label", "", "0");
	put_header(a, 'L', "././@LongLink", "", "311");
	put_text(a, name, 201); /* with the NUL */
	put_header(a, 'K', "././@LongLink", "", "6");
	put_text(a, "target", 6); /* some write none */
	put_header(a, '2', "nnnn", "targ", "0");
	put_header(a, '0', "after", "", "1");
	put_text(a, "x", 1);
	/* base-256: a large owner, a time before 1970 */
	put_header(a, '0', "base256", "", "0");
	h = (void *)(a->data + a->len - TAR_BLOCK);
	memcpy(h->uid, "\x80\0\0\0\xee\x6b\x28\x00", 8);
	memcpy(h->mtime, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
	fix_sum(a, a->len - TAR_BLOCK);
	/* a dump's folder, whose content is a list of names */
	put_header(a, 'D', "dump", "", "5");
	put_text(a, "Yabc", 5);
	put_header(a, '7', "contiguous", "", "0");
	text = read_all(a);
	want = g_strdup_printf("l 0644 1000:100 1000 %s -> target []\n"
			       "- 0644 1000:100 1000 after 1 [x]\n"
			       "- 0644 4000000000:100 -2 base256 0 []\n"
			       "d 0644 1000:100 1000 dump []\n"
			       "- 0644 1000:100 1000 contiguous 0 []\n",
		name);
	g_assert_cmpstr(text, ==, want);
}

static void put_piece(uint8_t *p, const char *offset, const char *size)
{
	(void)g_snprintf((char *)p, 12, "%s", offset);
	(void)g_snprintf((char *)p + 12, 12, "%s", size);
}

static void test_gnu_sparse(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autofree char *text = NULL;
	uint8_t more[TAR_BLOCK] = { 0 };

	put_header(a, 'S', "old", "", "17");
	for (unsigned i = 0; i < 4; i++) {
		char offset[12];

		(void)g_snprintf(offset, sizeof(offset), "%o", i * 1000);
		put_piece(a->data + TAR_GNU_PIECES_AT + 24 * i, offset, "3");
	}
	a->data[TAR_GNU_EXTENDED_AT] = 1;
	memcpy(a->data + TAR_GNU_REALSIZE_AT, "23420", 6);
	memset(a->data + 257, 0, 8);
	memcpy(a->data + 257, "ustar  ", 8);
	fix_sum(a, 0);
	put_piece(more, "7640", "3");
	g_byte_array_append(a, more, sizeof(more));
	put_text(a, "aaabbbcccdddeee", 15);
	text = read_all(a);
	g_assert_cmpstr(text, ==,
		"- 0644 1000:100 1000 old 10000 [aaa@1000:bbb@2000:ccc@3000:ddd@4000:eee]\n");
}

static void test_pax(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autofree char *text = NULL;
	put_records(a, 'g', "gid=1234567", "SCHILY.xattr.user.g=G", NULL);
	put_header(a, '0', "one", "", "0");
	PAX(a, "path=long", "mtime=12.0000005", "uid=4000000", "gid=7", "size=3", "foo.bar=");
	put_header(a, '0', "two", "", "0");
	put_text(a, "abc", 3);
	/* an empty value takes back; libarchive's and Red Hat's attributes */
	PAX(a, "gid=7", "gid=", "LIBARCHIVE.xattr.user.%41b=aGk=", "RHT.security.selinux=u:r:t");
	put_header(a, '0', "three", "", "0");
	put_header(a, '0', "four/", "", "0");
	text = read_all(a);
	g_assert_cmpstr(text, ==,
		"- 0644 1000:1234567 1000 one user.g=G 0 []\n"
		"- 0644 4000000:7 12.000000500 long user.g=G 3 [abc]\n"
		"- 0644 1000:1234567 1000 three user.g=G user.Ab=hi security.selinux=u\\072r\\072t "
		"0 []\n"
		"d 0644 1000:1234567 1000 four/ user.g=G []\n");
}

static void test_pax_sparse(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autofree char *text = NULL;

	/* 0.0 */
	PAX(a, "GNU.sparse.size=50", "GNU.sparse.numblocks=2", "GNU.sparse.offset=5",
		"GNU.sparse.numbytes=3", "GNU.sparse.offset=20", "GNU.sparse.numbytes=1");
	put_header(a, '0', "zero", "", "4");
	put_text(a, "abcd", 4);
	/* 0.1 */
	PAX(a, "GNU.sparse.size=50", "GNU.sparse.name=real", "GNU.sparse.map=5,3,20,1");
	put_header(a, '0', "GNUSparseFile.0/real", "", "4");
	put_text(a, "abcd", 4);
	/* 1.0, with a map that ends behind a block */
	PAX(a, "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=last",
		"GNU.sparse.realsize=50");
	put_header(a, '0', "GNUSparseFile.0/last", "", "1004");
	put_text(a, "2\n5\n3\n20\n1\n", 11);
	put_text(a, "abcd", 4);
	text = read_all(a);
	g_assert_cmpstr(text, ==,
		"- 0644 1000:100 1000 zero 50 [@5:abc@20:d]\n"
		"- 0644 1000:100 1000 real 50 [@5:abc@20:d]\n"
		"- 0644 1000:100 1000 last 50 [@5:abc@20:d]\n");
}

static void test_end(void)
{
	g_autoptr(GByteArray) a = g_byte_array_new();
	g_autofree char *empty = NULL, *text = NULL;

	empty = read_all(a);
	g_assert_cmpstr(empty, ==, "");
	put_header(a, '0', "f", "", "0");
	tar_put_end(a);
	put_text(a, "whatever follows", 16);
	text = read_all(a);
	g_assert_cmpstr(text, ==, "- 0644 1000:100 1000 f 0 []\n");
}

/* --- hostile --- */

static void bad_sum(GByteArray *a)
{
	put_header(a, '0', "good", "", "0");
	put_header(a, '0', "bad", "", "0");
	a->data[TAR_BLOCK + 3] ^= 1;
}

static void no_tar(GByteArray *a)
{
	for (unsigned i = 0; i < 100; i++)
		g_byte_array_append(a, (const uint8_t *)"not a tar at all", 16);
}

static void negative_size(GByteArray *a)
{
	put_header(a, '0', "f", "", "0");
	memset(a->data + 124, 0xff, 12);
	fix_sum(a, 0);
}

static void absurd_size(GByteArray *a)
{
	put_header(a, '0', "f", "", "0");
	memcpy(a->data + 124, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
	fix_sum(a, 0);
}

static void size_beyond_64_bits(GByteArray *a)
{
	put_header(a, '0', "f", "", "0");
	memcpy(a->data + 124, "\x80\x01\0\0\0\0\0\0\0\0\0\0", 12);
	fix_sum(a, 0);
}

static void letters_in_size(GByteArray *a)
{
	put_header(a, '0', "f", "", "12x");
}

static void cut_content(GByteArray *a)
{
	put_header(a, '0', "cut", "", "2000");
	put_text(a, "x", 1);
}

static void cut_header(GByteArray *a)
{
	put_header(a, '0', "cut", "", "0");
	g_byte_array_set_size(a, 300);
}

static void cut_pax(GByteArray *a)
{
	PAX(a, "path=abc");
}

static void huge_pax(GByteArray *a)
{
	put_header(a, 'x', "pax", "", "77777777777");
}

static void huge_long_name(GByteArray *a)
{
	put_header(a, 'L', "name", "", "77777777777");
}

static void nul_in_path(GByteArray *a)
{
	RAW_PAX(a, "12 path=a\0c\n");
	put_header(a, '0', "f", "", "0");
}

static void nul_in_long_name(GByteArray *a)
{
	put_header(a, 'L', "name", "", "3");
	put_text(a, "a\0b", 3);
}

static void pax_length_lies(GByteArray *a)
{
	RAW_PAX(a, "99 path=abc\n");
}

static void pax_length_one_over(GByteArray *a)
{
	RAW_PAX(a, "6 a=b\n9 c");
}

static void pax_length_small(GByteArray *a)
{
	RAW_PAX(a, "3 p=\n");
}

static void pax_no_equal(GByteArray *a)
{
	RAW_PAX(a, "9 pathab\n");
}

static void pax_bad_number(GByteArray *a)
{
	PAX(a, "uid=-1");
	put_header(a, '0', "f", "", "0");
}

static void pax_huge_number(GByteArray *a)
{
	PAX(a, "size=999999999999999999999999");
	put_header(a, '0', "f", "", "0");
}

static void no_name(GByteArray *a)
{
	put_header(a, '0', "", "", "0");
}

static void no_target(GByteArray *a)
{
	put_header(a, '2', "link", "", "0");
}

static void unknown_type(GByteArray *a)
{
	put_header(a, 'Q', "strange", "", "0");
}

static void zeros_inside(GByteArray *a)
{
	put_header(a, '0', "f", "", "0");
	put_text(a, "", 0);
	g_byte_array_set_size(a, 2 * TAR_BLOCK);
	memset(a->data + TAR_BLOCK, 0, TAR_BLOCK);
	put_header(a, '0', "g", "", "0");
}

static void sparse_overlap(GByteArray *a)
{
	PAX(a, "GNU.sparse.size=50", "GNU.sparse.map=5,3,6,1");
	put_header(a, '0', "f", "", "4");
}

static void sparse_outside(GByteArray *a)
{
	PAX(a, "GNU.sparse.size=50", "GNU.sparse.map=48,4");
	put_header(a, '0', "f", "", "4");
}

static void sparse_sum(GByteArray *a)
{
	PAX(a, "GNU.sparse.size=50", "GNU.sparse.map=5,3");
	put_header(a, '0', "f", "", "4");
}

static void sparse_map_runs_out(GByteArray *a)
{
	PAX(a, "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=50");
	put_header(a, '0', "f", "", "4");
	put_text(a, "9\n1\n", 4);
}

static void sparse_map_huge(GByteArray *a)
{
	PAX(a, "GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=50");
	put_header(a, '0', "f", "", "1004");
	put_text(a, "99999999\n1\n", 11);
}

static void xattr_too_large(GByteArray *a)
{
	g_autoptr(GString) s = g_string_new("70024 SCHILY.xattr.user.x=");

	while (s->len < 70023)
		g_string_append_c(s, 'v');
	g_string_append_c(s, '\n');
	put_pax(a, 'x', s->str, s->len);
}

static void xattrs_too_many(GByteArray *a)
{
	g_autoptr(GString) s = g_string_new(NULL);

	for (unsigned i = 100; i < 100 + XATTR_COUNT_LIMIT + 1; i++)
		g_string_append_printf(s, "27 SCHILY.xattr.user.%u=x\n", i);
	put_pax(a, 'x', s->str, s->len);
}

static int ignore_entry(void *arg, const struct tar_entry *t, struct err *e)
{
	return 0;
}

static int ignore_content(void *arg, int64_t offset, const void *data, size_t size, struct err *e)
{
	return 0;
}

/* The end that umoci 0.4 leaves: content without padding or end. Less than that is cut short. */
static void test_bare_end(void)
{
	static const struct tar_sink passing = { .entry = ignore_entry, .content = ignore_content };
	struct tar_entry t = {
		.type = TAR_FILE, .path = "f", .target = "", .mode = 0644, .size = 3
	};
	g_autoptr(GByteArray) a = g_byte_array_new();
	struct err e;

	g_assert_cmpint(tar_put_entry(a, &t, &e), ==, 0);
	g_byte_array_append(a, (const uint8_t *)"abc", 3);
	for (unsigned i = 0; i < 3; i++) {
		_cleanup_(tar_reader_freep) struct tar_reader *r = tar_reader_new(&passing, NULL);

		if (i > 0)
			tar_reader_allow_bare_end(r);
		g_assert_cmpint(tar_reader_write(r, a->data, a->len - (i == 2), &e), ==, 0);
		g_assert_cmpint(tar_reader_finish(r, &e), ==, i == 1 ? 0 : -E_CORRUPT);
	}
}

static void test_hostile(void)
{
	static const struct {
		void (*make)(GByteArray *a);
		int code;
		const char *text;
	} t[] = {
		{ bad_sum, -E_CORRUPT, "checksum of the tar header at byte 512" },
		{ no_tar, -E_CORRUPT, "not a tar archive" },
		{ negative_size, -E_CORRUPT, "'f' at byte 0: bad size" },
		{ absurd_size, -E_LIMIT, "larger than any file" },
		{ size_beyond_64_bits, -E_CORRUPT, "bad size" },
		{ letters_in_size, -E_CORRUPT, "bad size" },
		{ cut_content, -E_CORRUPT, "cut short after 1024 bytes, at entry 'cut'" },
		{ cut_header, -E_CORRUPT, "cut short after 300 bytes" },
		{ cut_pax, -E_CORRUPT, "without its entry" },
		{ huge_pax, -E_LIMIT, "megabyte" },
		{ huge_long_name, -E_LIMIT, "megabyte" },
		{ nul_in_path, -E_CORRUPT, "'path' has a bad value" },
		{ nul_in_long_name, -E_CORRUPT, "long name" },
		{ pax_length_lies, -E_CORRUPT, "bad length" },
		{ pax_length_one_over, -E_CORRUPT, "bad length" },
		{ pax_length_small, -E_CORRUPT, "bad length" },
		{ pax_no_equal, -E_CORRUPT, "damaged" },
		{ pax_bad_number, -E_CORRUPT, "'uid' has a bad value" },
		{ pax_huge_number, -E_CORRUPT, "'size' has a bad value" },
		{ no_name, -E_CORRUPT, "no name" },
		{ no_target, -E_CORRUPT, "link to nothing" },
		{ unknown_type, -E_UNSUPPORTED, "type 'Q'" },
		{ zeros_inside, -E_CORRUPT, "after a block of zeros, at byte 1024" },
		{ sparse_overlap, -E_CORRUPT, "makes no sense" },
		{ sparse_outside, -E_CORRUPT, "makes no sense" },
		{ sparse_sum, -E_CORRUPT, "doesn't fit its size" },
		{ sparse_map_runs_out, -E_CORRUPT, "map of a sparse file" },
		{ sparse_map_huge, -E_LIMIT, "too many pieces" },
		{ xattr_too_large, -E_LIMIT, "too large" },
		{ xattrs_too_many, -E_LIMIT, "more than 128 extended attributes" },
	};

	for (unsigned i = 0; i < ELEMENTSOF(t); i++)
		for (size_t piece = 1; piece < 100000; piece = piece * 300 + 212) {
			g_autoptr(GByteArray) a = g_byte_array_new();
			g_autofree char *text = NULL;
			struct err e = { 0 };

			t[i].make(a);
			if (read_by(a, piece, &text, &e) != t[i].code || !strstr(e.text, t[i].text))
				g_error("case %u (%s), by %zu: %s: %s", i, t[i].text, piece,
					err_name(e.code), e.text);
		}
}

/* Control characters of an archive don't reach the terminal. */
static void test_show(void)
{
	g_autofree char *name = g_strnfill(500, 'a');
	char buf[TAR_SHOWN];

	g_assert_cmpstr(tar_show("a\033[31m\nb\x7f\xff", buf), ==, "a?[31m?b??");
	g_assert_cmpstr(tar_show("\xc3\xa9\xc2\x9b", buf), ==, "\xc3\xa9??");
	g_assert_cmpuint(strlen(tar_show(name, buf)), <, TAR_SHOWN);
	g_assert_true(g_str_has_suffix(buf, "a..."));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/tar/round-trip", test_round_trip);
	g_test_add_func("/tar/sparse-round-trip", test_sparse_round_trip);
	g_test_add_func("/tar/gnu", test_gnu);
	g_test_add_func("/tar/gnu-sparse", test_gnu_sparse);
	g_test_add_func("/tar/pax", test_pax);
	g_test_add_func("/tar/pax-sparse", test_pax_sparse);
	g_test_add_func("/tar/end", test_end);
	g_test_add_func("/tar/bare-end", test_bare_end);
	g_test_add_func("/tar/hostile", test_hostile);
	g_test_add_func("/tar/show", test_show);
	return g_test_run();
}
