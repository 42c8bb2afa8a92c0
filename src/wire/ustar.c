/* SPDX-License-Identifier: MIT */
#include "wire/ustar.h"

#include <stdio.h>
#include <string.h>

#define OCTAL_11 ((int64_t)1 << 33) /* what eleven octal digits can't hold */
#define OCTAL_7	 ((uint32_t)1 << 21)

/* POSIX.1-2017 pax(1), "ustar Header Block". */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], chksum[8], typeflag;
	char linkname[100], magic[6], version[2], uname[32], gname[32], devmajor[8], devminor[8];
	char prefix[155], pad[12];
};
_Static_assert(sizeof(struct header) == USTAR_BLOCK, "a header is a block");

static const char type_flags[] = "0123456"; /* by enum ustar_type */
_Static_assert(sizeof(type_flags) == _USTAR_TYPE_MAX + 1, "a flag for each type");

static unsigned checksum(const struct header *h)
{
	const uint8_t *p = (const uint8_t *)h;
	unsigned sum = 0;

	for (size_t i = 0; i < USTAR_BLOCK; i++)
		sum += i >= offsetof(struct header, chksum) && i < offsetof(struct header, typeflag)
			       ? ' '
			       : p[i];
	return sum;
}

/* --- writing --- */

void ustar_buf_done(struct ustar_buf *b)
{
	free(b->p);
	*b = (struct ustar_buf){ 0 };
}

/* Room for n bytes at the end, cleared; NULL: no memory. */
static uint8_t *add(struct ustar_buf *b, size_t n)
{
	uint8_t *at;

	if (n > b->size - b->n) {
		size_t size = (b->n + n) * 2;
		uint8_t *p = realloc(b->p, size);

		if (!p)
			return NULL;
		b->p = p;
		b->size = size;
	}
	at = b->p + b->n;
	memset(at, 0, n);
	b->n += n;
	return at;
}

static unsigned digits(size_t n)
{
	unsigned d = 1;

	for (; n >= 10; n /= 10)
		d++;
	return d;
}

/* "LENGTH PREFIX+KEY=VALUE\n", where the length counts itself. "%" and "=" of a key as GNU tar writes them. */
static int put_record(
	struct ustar_buf *b, const char *prefix, const char *key, const void *value, size_t size)
{
	char whole[sizeof("SCHILY.xattr.") + 3 * XATTR_NAME_LIMIT], head[24];
	size_t n = strlen(prefix), body, all;
	uint8_t *at;

	if (strlen(key) > XATTR_NAME_LIMIT)
		return -E_LIMIT;
	memcpy(whole, prefix, n);
	for (const char *p = key; *p; p++) {
		if (*p == '%' || *p == '=') {
			memcpy(whole + n, *p == '%' ? "%25" : "%3D", 3);
			n += 3;
		} else
			whole[n++] = *p;
	}
	body = 1 + n + 1 + size + 1;
	all = body + digits(body);
	all = body + digits(all);
	(void)snprintf(head, sizeof(head), "%zu ", all);
	at = add(b, all);
	if (!at)
		return -ENOMEM;
	memcpy(at, head, strlen(head));
	at += strlen(head);
	memcpy(at, whole, n);
	at[n] = '=';
	if (size)
		memcpy(at + n + 1, value, size);
	at[n + 1 + size] = '\n';
	return 0;
}

static int put_text(struct ustar_buf *b, const char *key, const char *value)
{
	return put_record(b, "", key, value, strlen(value));
}

static int put_number(struct ustar_buf *b, const char *key, int64_t value)
{
	char s[24];

	(void)snprintf(s, sizeof(s), "%lld", (long long)value);
	return put_text(b, key, s);
}

static int put_time(struct ustar_buf *b, int64_t sec, uint32_t nsec)
{
	char s[48];

	if (!nsec)
		return put_number(b, "mtime", sec);
	if (sec < 0) /* the fraction counts away from zero */
		(void)snprintf(s, sizeof(s), "-%lld.%09u", -(long long)(sec + 1),
			(unsigned)(1000000000 - nsec));
	else
		(void)snprintf(s, sizeof(s), "%lld.%09u", (long long)sec, (unsigned)nsec);
	return put_text(b, "mtime", s);
}

static void octal(char *field, size_t size, uint64_t v)
{
	char s[32];

	(void)snprintf(s, sizeof(s), "%0*llo", (int)size - 1, (unsigned long long)v);
	memcpy(field, s, size);
}

/* An octal field, or a record where the number doesn't fit. */
static int put_id(struct ustar_buf *pax, char *field, size_t size, const char *key, uint64_t v,
	uint64_t limit)
{
	octal(field, size, v < limit ? v : 0);
	return v < limit ? 0 : put_number(pax, key, (int64_t)v);
}

static int put_name(
	struct ustar_buf *pax, char *field, size_t size, const char *key, const char *text)
{
	size_t n = strlen(text);

	memcpy(field, text, n < size ? n : size);
	return n <= size ? 0 : put_text(pax, key, text);
}

static void seal(struct header *h)
{
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	(void)snprintf(h->chksum, sizeof(h->chksum), "%06o", checksum(h));
}

/* Fills h; what it can't hold goes to pax. */
static int fill(struct header *h, struct ustar_buf *pax, const struct ustar_entry *t)
{
	int64_t size = t->type == USTAR_FILE ? t->size : 0;
	bool fits = t->mtime >= 0 && t->mtime < OCTAL_11;
	int r = put_name(pax, h->name, sizeof(h->name), "path", t->path);

	if (r == 0 && (t->type == USTAR_SYMLINK || t->type == USTAR_HARDLINK))
		r = put_name(pax, h->linkname, sizeof(h->linkname), "linkpath", t->target);
	octal(h->mode, sizeof(h->mode), t->mode & 07777);
	if (r == 0)
		r = put_id(pax, h->uid, sizeof(h->uid), "uid", t->uid, OCTAL_7);
	if (r == 0)
		r = put_id(pax, h->gid, sizeof(h->gid), "gid", t->gid, OCTAL_7);
	if (r == 0)
		r = put_id(pax, h->size, sizeof(h->size), "size", (uint64_t)size, OCTAL_11);
	octal(h->mtime, sizeof(h->mtime), fits ? (uint64_t)t->mtime : 0);
	if (r == 0 && (t->mtime_nsec || !fits))
		r = put_time(pax, t->mtime, t->mtime_nsec);
	if (r == 0 && (t->type == USTAR_CHAR || t->type == USTAR_BLOCK_DEVICE)) {
		r = put_id(pax, h->devmajor, sizeof(h->devmajor), "SCHILY.devmajor", t->major,
			OCTAL_7);
		if (r == 0)
			r = put_id(pax, h->devminor, sizeof(h->devminor), "SCHILY.devminor",
				t->minor, OCTAL_7);
	}
	for (unsigned i = 0; r == 0 && i < t->n_xattrs; i++)
		r = put_record(pax, "SCHILY.xattr.", t->xattrs[i].name, t->xattrs[i].value,
			t->xattrs[i].size);
	return r;
}

static int put_block(struct ustar_buf *b, struct header *h)
{
	uint8_t *at = add(b, USTAR_BLOCK);

	if (!at)
		return -ENOMEM;
	seal(h);
	memcpy(at, h, USTAR_BLOCK);
	return 0;
}

int ustar_put_entry(struct ustar_buf *b, const struct ustar_entry *t)
{
	struct header h = { .typeflag = type_flags[t->type] }, x = { .typeflag = 'x' };
	struct ustar_buf pax = { 0 };
	int r = fill(&h, &pax, t);
	uint8_t *at;

	if (r == 0 && pax.n > USTAR_META_MAX)
		r = -E_LIMIT;
	if (r == 0 && pax.n) {
		memcpy(x.name, "./PaxHeaders", 12);
		octal(x.mode, sizeof(x.mode), 0644);
		octal(x.uid, sizeof(x.uid), 0);
		octal(x.gid, sizeof(x.gid), 0);
		octal(x.size, sizeof(x.size), pax.n);
		octal(x.mtime, sizeof(x.mtime), 0);
		r = put_block(b, &x);
		at = r == 0 ? add(b, pax.n) : NULL;
		if (at)
			memcpy(at, pax.p, pax.n);
		r = at ? ustar_put_padding(b, (int64_t)pax.n) : -ENOMEM;
	}
	ustar_buf_done(&pax);
	return r == 0 ? put_block(b, &h) : r;
}

int ustar_put_padding(struct ustar_buf *b, int64_t content_size)
{
	size_t n = (size_t)(-content_size & (USTAR_BLOCK - 1));

	return n && !add(b, n) ? -ENOMEM : 0;
}

int ustar_put_end(struct ustar_buf *b)
{
	return add(b, (size_t)2 * USTAR_BLOCK) ? 0 : -ENOMEM;
}

/* --- reading --- */

enum state {
	AT_HEADER,
	AT_META,    /* data of an extended header or a long name */
	AT_CONTENT, /* of a file */
	AT_PADDING,
	AT_END,
};

/* Data of the headers before an entry's own, ended by NUL. */
struct meta {
	char *p;
	size_t n;
};

struct ustar_reader {
	const struct ustar_sink *sink;
	void *arg;
	enum state state;
	int dead;
	uint8_t block[USTAR_BLOCK];
	size_t n_block;
	struct meta pax, name, link, *to; /* to: what AT_META fills; NULL: nothing of interest */
	int64_t left, padding;
	struct xattr xattrs[XATTR_COUNT_LIMIT];
};

struct ustar_reader *ustar_reader_new(const struct ustar_sink *sink, void *arg)
{
	struct ustar_reader *r = calloc(1, sizeof(*r));

	if (r) {
		r->sink = sink;
		r->arg = arg;
	}
	return r;
}

static void meta_clear(struct meta *m)
{
	free(m->p);
	*m = (struct meta){ 0 };
}

static void forget(struct ustar_reader *r)
{
	meta_clear(&r->pax);
	meta_clear(&r->name);
	meta_clear(&r->link);
}

void ustar_reader_free(struct ustar_reader *r)
{
	if (!r)
		return;
	forget(r);
	free(r);
}

static int corrupt(struct err *e, const char *what)
{
	return err_set(e, -E_CORRUPT, "the tar archive is damaged: %s", what);
}

/* Octal with blanks around it, or GNU's base-256. */
static bool number(const char *field, size_t size, int64_t *ret)
{
	const uint8_t *p = (const uint8_t *)field, *end = p + size;
	int64_t v = 0;

	if (p[0] & 0x80) {
		if (p[0] != 0x80)
			return false; /* negative, or more than 63 bits */
		for (p++; p < end; p++) {
			if (v >> 55)
				return false;
			v = v << 8 | *p;
		}
		*ret = v;
		return true;
	}
	while (p < end && *p == ' ')
		p++;
	for (; p < end && *p >= '0' && *p <= '7'; p++) {
		if (v >> 59)
			return false;
		v = v << 3 | (*p - '0');
	}
	if (p < end && *p != ' ' && *p != '\0')
		return false;
	*ret = v;
	return true;
}

static bool number32(const char *field, size_t size, uint32_t *ret)
{
	int64_t v;

	if (!number(field, size, &v) || v > UINT32_MAX)
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool decimal(const char *s, int64_t max, int64_t *ret)
{
	int64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (max - (*s - '0')) / 10)
			return false;
		v = v * 10 + (*s - '0');
	}
	*ret = v;
	return true;
}

/* "-12.5": a fraction of any length, of which nine digits count. */
static bool time_of(char *s, struct ustar_entry *t)
{
	bool negative = *s == '-';
	char *point = strchr(s, '.');
	uint32_t nsec = 0, unit = 100000000;
	int64_t sec;

	if (point) {
		*point = '\0';
		for (const char *p = point + 1; *p; p++, unit /= 10) {
			if (*p < '0' || *p > '9')
				return false;
			nsec += (uint32_t)(*p - '0') * unit;
		}
	}
	if (!decimal(s + negative, INT64_MAX / 2, &sec))
		return false;
	t->mtime = negative ? -sec - (nsec > 0) : sec;
	t->mtime_nsec = negative && nsec ? 1000000000 - nsec : nsec;
	return true;
}

static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (strncmp(s, "%25", 3) == 0 || strncmp(s, "%3D", 3) == 0) {
			*to++ = s[1] == '2' ? '%' : '=';
			s += 2;
		} else
			*to++ = *s;
	}
	*to = '\0';
}

static bool id_of(const char *value, uint32_t *ret)
{
	int64_t v;

	if (!decimal(value, UINT32_MAX, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

static int take_xattr(struct ustar_reader *r, struct ustar_entry *t, char *name, char *value,
	size_t size, struct err *e)
{
	unescape(name);
	if (!*name || strlen(name) > XATTR_NAME_LIMIT || size > XATTR_VALUE_LIMIT ||
		t->n_xattrs == XATTR_COUNT_LIMIT)
		return err_set(
			e, -E_LIMIT, "an extended attribute in the tar archive is too large");
	r->xattrs[t->n_xattrs++] = (struct xattr){ name, (const uint8_t *)value, (uint32_t)size };
	return 0;
}

/* One record; key and value are ended by NUL, the value may have others inside. */
static int take_record(struct ustar_reader *r, struct ustar_entry *t, char *key, char *value,
	size_t size, struct err *e)
{
	bool whole = strlen(value) == size, good = true;
	int64_t v;

	if (strncmp(key, "SCHILY.xattr.", 13) == 0)
		return take_xattr(r, t, key + 13, value, size, e);
	if (strncmp(key, "GNU.sparse.", 11) == 0)
		return err_set(e, -E_UNSUPPORTED, "sparse files aren't read here");
	if (strcmp(key, "path") == 0) {
		good = whole && size > 0;
		t->path = value;
	} else if (strcmp(key, "linkpath") == 0) {
		good = whole;
		t->target = value;
	} else if (strcmp(key, "size") == 0) {
		good = whole && decimal(value, USTAR_FILE_MAX, &v);
		t->size = good ? v : 0;
	} else if (strcmp(key, "uid") == 0)
		good = whole && id_of(value, &t->uid);
	else if (strcmp(key, "gid") == 0)
		good = whole && id_of(value, &t->gid);
	else if (strcmp(key, "SCHILY.devmajor") == 0)
		good = whole && id_of(value, &t->major);
	else if (strcmp(key, "SCHILY.devminor") == 0)
		good = whole && id_of(value, &t->minor);
	else if (strcmp(key, "mtime") == 0)
		good = whole && time_of(value, t);
	return good ? 0 : corrupt(e, "bad value in an extended header");
}

static int take_pax(struct ustar_reader *r, struct ustar_entry *t, struct err *e)
{
	char *p = r->pax.p;
	size_t left = r->pax.n;

	while (left > 0) {
		size_t length = 0, i = 0;
		char *equals;
		int k;

		for (; i < left && i < 8 && p[i] >= '0' && p[i] <= '9'; i++)
			length = length * 10 + (size_t)(p[i] - '0');
		if (i == 0 || i >= left || p[i] != ' ' || length > left || length < i + 4 ||
			p[length - 1] != '\n')
			return corrupt(e, "bad record in an extended header");
		p[length - 1] = '\0';
		p[i] = '\0';
		equals = memchr(p + i + 1, '=', length - i - 2);
		if (!equals || equals == p + i + 1)
			return corrupt(e, "bad record in an extended header");
		*equals = '\0';
		k = take_record(
			r, t, p + i + 1, equals + 1, (size_t)(p + length - 1 - (equals + 1)), e);
		if (k < 0)
			return k;
		p += length;
		left -= length;
	}
	return 0;
}

static int type_of(char flag, const char *path, enum ustar_type *ret)
{
	const char *at = flag == '\0' || flag == '7' ? type_flags : strchr(type_flags, flag);
	size_t n = strlen(path);

	if (!at)
		return -E_UNSUPPORTED;
	*ret = (enum ustar_type)(at - type_flags);
	if (*ret == USTAR_FILE && n > 0 &&
		path[n - 1] == '/') /* before POSIX folders had no type */
		*ret = USTAR_DIR;
	return 0;
}

static int entry(struct ustar_reader *r, const struct header *h, struct err *e)
{
	char path[sizeof(h->prefix) + sizeof(h->name) + 2], target[sizeof(h->linkname) + 1];
	bool prefix = memcmp(h->magic, "ustar", 6) == 0 && h->prefix[0];
	struct ustar_entry t = { .path = path, .target = target, .xattrs = r->xattrs };
	uint32_t mode;
	int k;

	(void)snprintf(path, sizeof(path), "%.*s%s%.*s", prefix ? (int)sizeof(h->prefix) : 0,
		h->prefix, prefix ? "/" : "", (int)sizeof(h->name), h->name);
	(void)snprintf(target, sizeof(target), "%.*s", (int)sizeof(h->linkname), h->linkname);
	if (!number32(h->mode, sizeof(h->mode), &mode) || !number32(h->uid, 8, &t.uid) ||
		!number32(h->gid, 8, &t.gid) || !number(h->size, sizeof(h->size), &t.size) ||
		!number(h->mtime, sizeof(h->mtime), &t.mtime) ||
		!number32(h->devmajor, 8, &t.major) || !number32(h->devminor, 8, &t.minor))
		return corrupt(e, "bad number in a header");
	t.mode = mode & 07777;
	if (r->name.p)
		t.path = r->name.p;
	if (r->link.p)
		t.target = r->link.p;
	k = take_pax(r, &t, e);
	if (k < 0)
		return k;
	if (!*t.path)
		return corrupt(e, "an entry without a name");
	if (type_of(h->typeflag, t.path, &t.type) < 0)
		return err_set(e, -E_UNSUPPORTED, "the tar archive has an entry of the type '%c'",
			h->typeflag > ' ' && h->typeflag < 0x7f ? h->typeflag : '?');
	if (t.size < 0 || t.size > USTAR_FILE_MAX)
		return err_set(
			e, -E_LIMIT, "the tar archive has a file of %lld bytes", (long long)t.size);
	if (t.type != USTAR_SYMLINK && t.type != USTAR_HARDLINK)
		t.target = "";
	if (t.type != USTAR_FILE)
		t.size = 0;
	r->left = t.size;
	r->padding = -t.size & (USTAR_BLOCK - 1);
	r->state = AT_CONTENT;
	k = r->sink->entry(r->arg, &t, e);
	forget(r);
	return k;
}

/* Something before an entry. */
static int begin_meta(struct ustar_reader *r, const struct header *h, struct err *e)
{
	int64_t size;

	if (!number(h->size, sizeof(h->size), &size) || size < 0)
		return corrupt(e, "bad number in a header");
	if (size > USTAR_META_MAX)
		return err_set(
			e, -E_LIMIT, "the tar archive has a header of %lld bytes", (long long)size);
	r->to = h->typeflag == 'x'   ? &r->pax
		: h->typeflag == 'L' ? &r->name
		: h->typeflag == 'K' ? &r->link
				     : NULL; /* 'g' speaks of all files: comments, as git's */
	if (r->to) {
		meta_clear(r->to);
		r->to->p = malloc((size_t)size + 1);
		if (!r->to->p)
			return -ENOMEM;
		r->to->p[0] = '\0';
	}
	r->left = size;
	r->padding = -size & (USTAR_BLOCK - 1);
	r->state = AT_META;
	return 0;
}

static int take_block(struct ustar_reader *r, struct err *e)
{
	struct header h;
	int64_t sum;

	memcpy(&h, r->block, sizeof(h));
	r->n_block = 0;
	if (!memchr("0123456789 \x80", h.chksum[0], 12) || !number(h.chksum, 8, &sum) ||
		sum != checksum(&h)) {
		for (size_t i = 0; i < USTAR_BLOCK; i++)
			if (r->block[i])
				return corrupt(e, "bad checksum of a header");
		r->state = AT_END;
		return 0;
	}
	if (memchr("xgLK", h.typeflag, 4))
		return begin_meta(r, &h, e);
	return entry(r, &h, e);
}

/* What waits for no byte any more is passed. */
static void settle(struct ustar_reader *r)
{
	if ((r->state == AT_META || r->state == AT_CONTENT) && r->left == 0)
		r->state = AT_PADDING;
	if (r->state == AT_PADDING && r->padding == 0)
		r->state = AT_HEADER;
}

static size_t take_some(
	struct ustar_reader *r, const uint8_t *p, size_t n, int *code, struct err *e)
{
	size_t k = n;

	switch (r->state) {
	case AT_HEADER:
		k = USTAR_BLOCK - r->n_block < n ? USTAR_BLOCK - r->n_block : n;
		memcpy(r->block + r->n_block, p, k);
		r->n_block += k;
		if (r->n_block == USTAR_BLOCK)
			*code = take_block(r, e);
		return k;
	case AT_META:
	case AT_CONTENT:
		k = (uint64_t)r->left < n ? (size_t)r->left : n;
		if (r->state == AT_CONTENT && k)
			*code = r->sink->content(r->arg, p, k, e);
		else if (r->to && k) {
			memcpy(r->to->p + r->to->n, p, k);
			r->to->n += k;
			r->to->p[r->to->n] = '\0';
		}
		r->left -= (int64_t)k;
		return k;
	case AT_PADDING:
		k = (uint64_t)r->padding < n ? (size_t)r->padding : n;
		r->padding -= (int64_t)k;
		return k;
	case AT_END:
		break;
	}
	return n;
}

int ustar_reader_write(struct ustar_reader *r, const void *data, size_t size, struct err *e)
{
	const uint8_t *p = data;

	while (size > 0 && !r->dead) {
		size_t n = take_some(r, p, size, &r->dead, e);

		settle(r);
		p += n;
		size -= n;
	}
	return r->dead;
}

int ustar_reader_finish(struct ustar_reader *r, struct err *e)
{
	if (r->dead)
		return r->dead;
	/* states that wait for nothing */
	if (r->state == AT_END ||
		(r->state == AT_HEADER && r->n_block == 0 && !r->pax.p && !r->name.p && !r->link.p))
		return 0;
	return corrupt(e, "it ends too soon");
}
