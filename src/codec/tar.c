/* SPDX-License-Identifier: MIT */
#include "codec/tar.h"

#include <string.h>
#include "codec/tar-priv.h"

enum state {
	AT_HEADER,
	AT_META,   /* the payload of an extended header or a long name */
	AT_PIECES, /* a block of GNU's old sparse map */
	AT_MAP,	   /* the map that begins the content of a sparse file 1.0 */
	AT_CONTENT,
	AT_SKIP,  /* bytes that mean nothing here: padding, contents of a folder */
	AT_ZEROS, /* one block of zeros was seen */
	AT_END,	  /* what follows the end has no meaning */
};

struct tar_reader {
	const struct tar_sink *sink;
	void *arg;
	enum state state;
	bool bare_end;
	int dead;   /* the code that ended it */
	int64_t at; /* bytes of the archive so far */
	uint8_t block[TAR_BLOCK];
	size_t have; /* bytes of block */
	char kind;   /* typeflag of the extended header */
	GByteArray *meta;
	int64_t left;	 /* of meta, content or skip */
	int64_t padding; /* after content */
	struct tar_pax global, local;
	char *long_name, *long_link;
	/* the entry */
	struct tar_entry t;
	GString *path, *target;
	GArray *extents;
	GArray *xattrs;
	int64_t stored; /* bytes of content in the archive */
	unsigned extent;
	int64_t extent_done;
	int64_t map_left; /* numbers still to read, -1: the count itself */
	int64_t map_number;
	bool map_digits;
};

struct tar_reader *tar_reader_new(const struct tar_sink *sink, void *arg)
{
	struct tar_reader *r = g_new0(struct tar_reader, 1);

	r->sink = sink;
	r->arg = arg;
	r->meta = g_byte_array_new();
	r->path = g_string_new(NULL);
	r->target = g_string_new(NULL);
	r->extents = g_array_new(FALSE, FALSE, sizeof(struct tar_extent));
	r->xattrs = g_array_new(FALSE, FALSE, sizeof(struct xattr));
	tar_pax_init(&r->global);
	tar_pax_init(&r->local);
	return r;
}

void tar_reader_free(struct tar_reader *r)
{
	if (!r)
		return;
	g_byte_array_unref(r->meta);
	g_string_free(r->path, TRUE);
	g_string_free(r->target, TRUE);
	g_array_unref(r->extents);
	g_array_unref(r->xattrs);
	tar_pax_clear(&r->global);
	tar_pax_clear(&r->local);
	g_free(r->long_name);
	g_free(r->long_link);
	g_free(r);
}

void tar_reader_freep(struct tar_reader **r)
{
	tar_reader_free(*r);
}

const char *tar_show(const char *name, char buf[TAR_SHOWN])
{
	const char *p = name;
	char *q = buf;

	while (*p && q - buf < TAR_SHOWN - 10) {
		gunichar u = g_utf8_get_char_validated(p, -1);

		if (u >= (gunichar)-2 || u < 0x20 || (u >= 0x7f && u < 0xa0)) {
			*q++ = '?';
			p++;
		} else {
			size_t n = (size_t)(g_utf8_next_char(p) - p);

			memcpy(q, p, n);
			q += n;
			p += n;
		}
	}
	memcpy(q, *p ? "..." : "", *p ? 4 : 1);
	return buf;
}

static int raw(struct tar_reader *r, const void *data, size_t size, struct err *e)
{
	return r->sink->raw && size ? r->sink->raw(r->arg, data, size, e) : 0;
}

static int bad(struct tar_reader *r, int code, const char *what, struct err *e)
{
	char shown[TAR_SHOWN];

	return err_set(e, code, "tar entry '%s' at byte %lld: %s", tar_show(r->path->str, shown),
		(long long)(r->at - TAR_BLOCK), what);
}

/* --- the header -------------------------------------------------------------------------------------- */

static bool all_zero(const void *p, size_t n)
{
	const char *s = p;

	return !n || (!*s && !memcmp(s, s + 1, n - 1));
}

/* The sum of all bytes, the checksum taken as blanks; old writers summed signed bytes. */
static bool sum_is_right(const uint8_t *block)
{
	const size_t at = offsetof(struct tar_header, chksum), n = 8;
	int64_t sum = 0, low = 0, want;
	size_t i;

	if (tar_number((const char *)block + at, n, &want) < 0)
		return false;
	for (i = 0; i < TAR_BLOCK; i++) {
		sum += block[i];
		low += block[i] >> 7;
	}
	for (i = at; i < at + n; i++) {
		sum += ' ' - block[i];
		low -= block[i] >> 7;
	}
	return want == sum || want == sum - 256 * low;
}

static void set_field(GString *s, const char *field, size_t size)
{
	g_string_truncate(s, 0);
	g_string_append_len(s, field, (gssize)strnlen(field, size));
}

static void take_names(struct tar_reader *r, const struct tar_header *h)
{
	set_field(r->path, h->name, sizeof(h->name));
	set_field(r->target, h->linkname, sizeof(h->linkname));
	if (!memcmp(h->magic, "ustar", 6) && h->prefix[0]) {
		/* star keeps times at the prefix's end, and its mark in the last four bytes */
		size_t max = !memcmp(h->pad + 8, "tar", 4) ? 131 : sizeof(h->prefix);
		g_autofree char *prefix = g_strndup(h->prefix, max);

		g_string_prepend_c(r->path, '/');
		g_string_prepend(r->path, prefix);
	}
	if (r->long_name)
		g_string_assign(r->path, r->long_name);
	if (r->long_link)
		g_string_assign(r->target, r->long_link);
}

static int take_u32(const char *field, size_t size, uint32_t *ret)
{
	int64_t v;
	int r = tar_number(field, size, &v);

	if (r < 0 || v > (int64_t)UINT32_MAX || v < 0)
		return -E_CORRUPT;
	*ret = (uint32_t)v;
	return 0;
}

static int take_numbers(struct tar_reader *r, const struct tar_header *h, struct err *e)
{
	struct tar_entry *t = &r->t;
	int64_t mode;

	if (tar_number(h->mode, sizeof(h->mode), &mode) < 0)
		return bad(r, -E_CORRUPT, "bad mode", e);
	t->mode = (uint32_t)mode & 07777;
	if (take_u32(h->uid, sizeof(h->uid), &t->uid) < 0 ||
		take_u32(h->gid, sizeof(h->gid), &t->gid) < 0)
		return bad(r, -E_CORRUPT, "bad owner", e);
	if (tar_number(h->size, sizeof(h->size), &r->stored) < 0 || r->stored < 0)
		return bad(r, -E_CORRUPT, "bad size", e);
	if (tar_number(h->mtime, sizeof(h->mtime), &t->mtime) < 0)
		return bad(r, -E_CORRUPT, "bad time", e);
	if ((t->type == TAR_CHAR || t->type == TAR_BLOCK_DEVICE) &&
		(take_u32(h->devmajor, sizeof(h->devmajor), &t->major) < 0 ||
			take_u32(h->devminor, sizeof(h->devminor), &t->minor) < 0))
		return bad(r, -E_CORRUPT, "bad device number", e);
	return 0;
}

static void take_pax(struct tar_reader *r, const struct tar_pax *p)
{
	struct tar_entry *t = &r->t;
	unsigned before = r->xattrs->len, i, j;

	if (p->path)
		g_string_assign(r->path, p->path);
	if (p->sparse_name)
		g_string_assign(r->path, p->sparse_name);
	if (p->link)
		g_string_assign(r->target, p->link);
	if (p->has_size)
		r->stored = p->size;
	if (p->has_uid)
		t->uid = p->uid;
	if (p->has_gid)
		t->gid = p->gid;
	if (p->has_mtime) {
		t->mtime = p->mtime;
		t->mtime_nsec = p->mtime_nsec;
	}
	if (p->has_major)
		t->major = p->major;
	if (p->has_minor)
		t->minor = p->minor;
	for (i = 0; p->xattrs && i < p->xattrs->len; i++) {
		const struct xattr *x = &g_array_index(p->xattrs, struct xattr, i);

		for (j = 0; j < before; j++) /* those of one header are all different */
			if (!strcmp(g_array_index(r->xattrs, struct xattr, j).name, x->name))
				break;
		if (j < before)
			g_array_index(r->xattrs, struct xattr, j) = *x;
		else
			g_array_append_val(r->xattrs, *x);
	}
}

/* -1: a type that means nothing here. */
static int type_of(char flag, const GString *path)
{
	switch (flag) {
	case '\0':
	case '0':
		/* V7 had no folders */
		if (path->len && path->str[path->len - 1] == '/')
			return TAR_DIR;
		return TAR_FILE;
	case '7':
	case 'S':
		return TAR_FILE;
	case '1':
		return TAR_HARDLINK;
	case '2':
		return TAR_SYMLINK;
	case '3':
		return TAR_CHAR;
	case '4':
		return TAR_BLOCK_DEVICE;
	case '5':
	case 'D': /* GNU: its content is a list of names */
		return TAR_DIR;
	case '6':
		return TAR_FIFO;
	default:
		return -1;
	}
}

/* Adds pieces of GNU's old format; an empty one ends them. */
static int take_pieces(struct tar_reader *r, const uint8_t *p, unsigned n, struct err *e)
{
	for (; n; n--, p += sizeof(struct tar_gnu_piece)) {
		struct tar_extent x;

		if (!p[0] || !p[12])
			return 0;
		if (tar_number((const char *)p, 12, &x.offset) < 0 ||
			tar_number((const char *)p + 12, 12, &x.size) < 0)
			return bad(r, -E_CORRUPT, "bad map of a sparse file", e);
		if (r->extents->len >= TAR_EXTENTS_MAX)
			return bad(r, -E_LIMIT, "too many pieces in a sparse file", e);
		g_array_append_val(r->extents, x);
	}
	return 0;
}

static int check_extents(struct tar_reader *r, struct err *e)
{
	int64_t end = 0, sum = 0;
	unsigned i;

	for (i = 0; i < r->extents->len; i++) {
		const struct tar_extent *x = &g_array_index(r->extents, struct tar_extent, i);

		if (x->offset < end || x->size < 0 || x->offset > r->t.size ||
			x->size > r->t.size - x->offset)
			return bad(r, -E_CORRUPT, "the map of a sparse file makes no sense", e);
		end = x->offset + x->size;
		sum += x->size;
	}
	if (sum != r->stored)
		return bad(r, -E_CORRUPT, "the map of a sparse file doesn't fit its size", e);
	return 0;
}

static void forget_local(struct tar_reader *r)
{
	tar_pax_clear(&r->local);
	g_clear_pointer(&r->long_name, g_free);
	g_clear_pointer(&r->long_link, g_free);
}

/* The header is complete, map included: hands the entry out. */
static int entry(struct tar_reader *r, struct err *e)
{
	struct tar_entry *t = &r->t;
	int code;

	if (t->sparse) {
		code = check_extents(r, e);
		if (code)
			return code;
		t->extents = (const struct tar_extent *)(void *)r->extents->data;
		t->n_extents = r->extents->len;
	} else if (t->type == TAR_FILE)
		t->size = r->stored;
	t->path = r->path->str;
	t->target = t->type == TAR_SYMLINK || t->type == TAR_HARDLINK ? r->target->str : "";
	t->xattrs = (const struct xattr *)(void *)r->xattrs->data;
	t->n_xattrs = r->xattrs->len;
	r->extent = 0;
	r->extent_done = 0;
	r->left = t->type == TAR_FILE ? r->stored : r->stored + r->padding;
	r->state = t->type == TAR_FILE ? AT_CONTENT : AT_SKIP;
	code = r->sink->entry(r->arg, t, e);
	forget_local(r);
	return code;
}

/* Which of the sparse formats, if any. */
static int sparse(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	const struct tar_pax *p = &r->local;
	struct tar_entry *t = &r->t;
	int code;

	if (block[offsetof(struct tar_header, typeflag)] == 'S') {
		if (tar_number((const char *)block + TAR_GNU_REALSIZE_AT, 12, &t->size) < 0 ||
			t->size < 0 || t->size > TAR_FILE_MAX)
			return bad(r, -E_CORRUPT, "bad size of a sparse file", e);
		t->sparse = true;
		code = take_pieces(r, block + TAR_GNU_PIECES_AT, TAR_GNU_PIECES, e);
		if (code)
			return code;
		if (block[TAR_GNU_EXTENDED_AT]) {
			r->state = AT_PIECES;
			return 0;
		}
		return entry(r, e);
	}
	if (!p->has_sparse_size)
		return entry(r, e);
	t->sparse = true;
	t->size = p->sparse_size;
	if (p->sparse_major == 1 && p->sparse_minor == 0) {
		r->state = AT_MAP;
		r->map_left = -1;
		r->map_number = 0;
		r->map_digits = false;
		return 0;
	}
	if (p->sparse_major > 0)
		return bad(r, -E_UNSUPPORTED, "a sparse file of an unknown format", e);
	if (p->extents)
		g_array_append_vals(r->extents, p->extents->data, p->extents->len);
	return entry(r, e);
}

static int begin_meta(struct tar_reader *r, const struct tar_header *h, struct err *e)
{
	int64_t size;

	set_field(r->path, h->name, sizeof(h->name));
	if (tar_number(h->size, sizeof(h->size), &size) < 0 || size < 0)
		return bad(r, -E_CORRUPT, "bad size", e);
	if (size > TAR_META_MAX)
		return bad(r, -E_LIMIT, "an extended header of more than a megabyte", e);
	r->kind = h->typeflag == 'X' ? 'x' : h->typeflag;
	g_byte_array_set_size(r->meta, 0);
	r->left = size;
	r->padding = -size & (TAR_BLOCK - 1);
	r->state = AT_META;
	return 0;
}

static int begin_entry(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	const struct tar_header *h = (const void *)block;
	struct tar_entry *t = &r->t;
	int type, code;

	memset(t, 0, sizeof(*t));
	g_array_set_size(r->extents, 0);
	g_array_set_size(r->xattrs, 0);
	take_names(r, h);
	type = type_of(h->typeflag, r->path);
	if (type < 0) {
		char what[] = "type '?' is not supported";

		what[6] = g_ascii_isprint(h->typeflag) ? h->typeflag : '?';
		return bad(r, -E_UNSUPPORTED, what, e);
	}
	t->type = (enum tar_type)type;
	code = take_numbers(r, h, e);
	if (code)
		return code;
	take_pax(r, &r->global);
	take_pax(r, &r->local);
	/* the long forms of the path may say that it is a folder */
	t->type = (enum tar_type)type_of(h->typeflag, r->path);
	if (!r->path->len)
		return bad(r, -E_CORRUPT, "no name", e);
	if (!r->target->len && (t->type == TAR_SYMLINK || t->type == TAR_HARDLINK))
		return bad(r, -E_CORRUPT, "a link to nothing", e);
	/* Only these have content; others may name a size that means something else. */
	if (t->type != TAR_FILE && h->typeflag != 'D')
		r->stored = 0;
	if (r->stored > TAR_FILE_MAX)
		return bad(r, -E_LIMIT, "larger than any file", e);
	r->padding = -r->stored & (TAR_BLOCK - 1);
	return t->type == TAR_FILE ? sparse(r, block, e) : entry(r, e);
}

static int header(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	const struct tar_header *h = (const void *)block;

	if (all_zero(block, TAR_BLOCK)) {
		r->state = r->state == AT_ZEROS ? AT_END : AT_ZEROS;
		return 0;
	}
	if (r->state == AT_ZEROS)
		return err_set(e, -E_CORRUPT,
			"the tar archive goes on after a block of zeros, at byte %lld",
			(long long)(r->at - TAR_BLOCK));
	if (!sum_is_right(block))
		return err_set(e, -E_CORRUPT,
			r->at == TAR_BLOCK ? "this is not a tar archive (byte %lld: no header)"
					   : "bad checksum of the tar header at byte %lld",
			(long long)(r->at - TAR_BLOCK));
	switch (h->typeflag) {
	case 'x':
	case 'X':
	case 'g':
	case 'L':
	case 'K':
		return begin_meta(r, h, e);
	case 'V': /* a label */
		return 0;
	default:
		return begin_entry(r, block, e);
	}
}

/* --- what follows a header ---------------------------------------------------------------------------- */

static int end_meta(struct tar_reader *r, struct err *e)
{
	const char *p = (const char *)r->meta->data;
	size_t n = r->meta->len, used;
	int code;

	r->left = r->padding;
	r->state = AT_SKIP;
	if (r->kind == 'x' || r->kind == 'g') {
		code = n ? tar_pax_parse(r->kind == 'x' ? &r->local : &r->global, p, n, e) : 0;
		if (code < 0) {
			char shown[TAR_SHOWN];

			err_prefix(e, "tar entry '%s'", tar_show(r->path->str, shown));
		}
		return code;
	}
	used = n ? strnlen(p, n) : 0;
	if (!used || !all_zero(p + used, n - used))
		return bad(r, -E_CORRUPT, "a long name that isn't one", e);
	g_free(r->kind == 'L' ? r->long_name : r->long_link);
	*(r->kind == 'L' ? &r->long_name : &r->long_link) = g_strndup(p, used);
	return 0;
}

static int pieces(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	int code = take_pieces(r, block, TAR_GNU_MORE, e);

	if (code || block[TAR_GNU_MORE_AT])
		return code;
	return entry(r, e);
}

/* A block of the map of format 1.0: decimal numbers, one a line: how many pieces, then offset and size
 * of each. The rest of its last block is padding. */
static int map(struct tar_reader *r, const uint8_t *block, struct err *e)
{
	unsigned i;

	r->stored -= TAR_BLOCK;
	if (r->stored < 0)
		return bad(r, -E_CORRUPT, "the map of a sparse file is cut short", e);
	for (i = 0; i < TAR_BLOCK && r->map_left; i++) {
		struct tar_extent x = { r->map_number, 0 }, *last;

		if (block[i] >= '0' && block[i] <= '9') {
			r->map_number = r->map_number * 10 + block[i] - '0';
			r->map_digits = true;
			if (r->map_number > TAR_FILE_MAX)
				return bad(r, -E_CORRUPT, "bad map of a sparse file", e);
			continue;
		}
		if (block[i] != '\n' || !r->map_digits)
			return bad(r, -E_CORRUPT, "bad map of a sparse file", e);
		if (r->map_left < 0) {
			if (r->map_number > TAR_EXTENTS_MAX)
				return bad(r, -E_LIMIT, "too many pieces in a sparse file", e);
			r->map_left = r->map_number * 2;
		} else if (r->map_left-- % 2 == 0)
			g_array_append_val(r->extents, x);
		else {
			last = &g_array_index(r->extents, struct tar_extent, r->extents->len - 1);
			last->size = r->map_number;
		}
		r->map_number = 0;
		r->map_digits = false;
	}
	return r->map_left ? 0 : entry(r, e);
}

/* Hands out content; that of a sparse file by its extents. */
static int content(struct tar_reader *r, const uint8_t *p, size_t size, struct err *e)
{
	if (!r->t.sparse)
		return r->sink->content(r->arg, r->t.size - r->left, p, size, e);
	while (size) {
		const struct tar_extent *x =
			&g_array_index(r->extents, struct tar_extent, r->extent);
		size_t n = (size_t)MIN((int64_t)size, x->size - r->extent_done);
		int code;

		if (n) {
			code = r->sink->content(r->arg, x->offset + r->extent_done, p, n, e);
			if (code)
				return code;
			p += n;
			size -= n;
			r->extent_done += (int64_t)n;
		}
		if (r->extent_done == x->size) {
			r->extent++;
			r->extent_done = 0;
		}
	}
	return 0;
}

/* States that take whole blocks. */
static int block(struct tar_reader *r, const uint8_t *p, struct err *e)
{
	int code;

	r->at += TAR_BLOCK;
	code = raw(r, p, TAR_BLOCK, e);
	if (code)
		return code;
	switch (r->state) {
	case AT_PIECES:
		return pieces(r, p, e);
	case AT_MAP:
		return map(r, p, e);
	default:
		return header(r, p, e);
	}
}

/* States that take what there is. */
static int bytes(struct tar_reader *r, const uint8_t *p, size_t n, struct err *e)
{
	int code;

	r->at += (int64_t)n;
	if (r->state == AT_CONTENT)
		code = content(r, p, n, e);
	else {
		code = raw(r, p, n, e);
		if (r->state == AT_META)
			g_byte_array_append(r->meta, p, (guint)n);
	}
	r->left -= (int64_t)n;
	return code;
}

/* Goes on to the next state when nothing is left of this one. */
static int settle(struct tar_reader *r, struct err *e)
{
	while (r->left == 0) {
		if (r->state == AT_META) {
			int code = end_meta(r, e);

			if (code)
				return code;
		} else if (r->state == AT_CONTENT) {
			r->state = AT_SKIP;
			r->left = r->padding;
		} else {
			if (r->state == AT_SKIP)
				r->state = AT_HEADER;
			break;
		}
	}
	return 0;
}

static int step(struct tar_reader *r, const uint8_t **p, size_t *size, struct err *e)
{
	size_t n = *size;
	int code;

	switch (r->state) {
	case AT_END:
		r->at += (int64_t)n;
		code = raw(r, *p, n, e);
		break;
	case AT_META:
	case AT_CONTENT:
	case AT_SKIP:
		n = (size_t)MIN((int64_t)n, r->left);
		code = bytes(r, *p, n, e);
		break;
	default:
		if (!r->have && n >= TAR_BLOCK) {
			n = TAR_BLOCK;
			code = block(r, *p, e);
			break;
		}
		n = MIN(n, TAR_BLOCK - r->have);
		memcpy(r->block + r->have, *p, n);
		r->have += n;
		code = 0;
		if (r->have == TAR_BLOCK) {
			r->have = 0;
			code = block(r, r->block, e);
		}
	}
	*p += n;
	*size -= n;
	return code ? code : settle(r, e);
}

int tar_reader_write(struct tar_reader *r, const void *data, size_t size, struct err *e)
{
	const uint8_t *p = data;

	if (r->dead)
		return err_set(e, r->dead, "the tar archive has failed before");
	while (size && !r->dead)
		r->dead = step(r, &p, &size, e);
	return r->dead;
}

void tar_reader_allow_bare_end(struct tar_reader *r)
{
	r->bare_end = true;
}

int tar_reader_finish(struct tar_reader *r, struct err *e)
{
	char shown[TAR_SHOWN];

	if (r->dead)
		return err_set(e, r->dead, "the tar archive has failed before");
	if (r->bare_end && r->state == AT_SKIP && r->t.type == TAR_FILE)
		return 0;
	if (r->have || (r->state != AT_HEADER && r->state != AT_ZEROS && r->state != AT_END))
		r->dead = err_set(e, -E_CORRUPT,
			"the tar archive is cut short after %lld bytes, at entry '%s'",
			(long long)(r->at + (int64_t)r->have), tar_show(r->path->str, shown));
	else if (r->local.path || r->long_name || r->long_link)
		r->dead = err_set(e, -E_CORRUPT,
			"the tar archive is cut short: an extended header without its entry");
	return r->dead;
}
