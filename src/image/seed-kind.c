/* SPDX-License-Identifier: MIT */
/* What kind of text it is, and what can be checked of that kind: cloud-init, explanation/format. */
#include <string.h>
#include "image/seed-priv.h"

#define PARTS_MAX    100
#define PARTS_DEPTH  3
#define LINE_LENGTH  1000 /* of a MIME header that is looked at */
#define BOUNDARY_MAX 70	  /* RFC 2046, 5.1.1 */

static void add_place(GString *s, const struct seed_place *p, unsigned line, unsigned column)
{
	g_string_append_printf(s, "%s '%s' line %u, column %u: ", p->what, p->name, line, column);
}

int seed_fault(const struct seed_place *p, struct err *e, unsigned line, unsigned column,
	const char *fmt, ...)
{
	g_autoptr(GString) s = g_string_new(NULL);
	va_list ap;

	add_place(s, p, line, column);
	va_start(ap, fmt);
	g_string_append_vprintf(s, fmt, ap);
	va_end(ap);
	return err_set(e, -E_INVALID, "%s", s->str);
}

void seed_warn(const struct seed_place *p, unsigned line, unsigned column, const char *fmt, ...)
{
	GString *s;
	va_list ap;

	if (!p->warnings)
		return;
	s = g_string_new(NULL);
	add_place(s, p, line, column);
	va_start(ap, fmt);
	g_string_append_vprintf(s, fmt, ap);
	va_end(ap);
	g_ptr_array_add(p->warnings, g_string_free(s, FALSE));
}

int seed_read_yaml(const struct seed_place *p, const char *text, size_t size, struct yaml_doc **ret,
	struct err *e)
{
	struct err inner = { 0 };
	int r = yaml_read(text, size, p->line, ret, &inner);

	/* "line 3, column 5: what" */
	return r < 0 ? err_set(e, -E_INVALID, "%s '%s' %s", p->what, p->name, inner.text) : 0;
}

int seed_check_cloud_config(
	const struct seed_place *p, const char *text, size_t size, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *d = NULL;
	const struct yaml *root;
	int r = seed_read_yaml(p, text, size, &d, e);

	if (r < 0)
		return r;
	root = yaml_root(d);
	if (root->kind == YAML_NULL)
		return 0;
	if (root->kind != YAML_MAP)
		return seed_fault(p, e, root->line, root->column, "it is %s, not a map of keys",
			yaml_kind_words(root->kind));
	return seed_check_tree(p, root, seed_rules_cloud_config, true, e);
}

static int check_archive(const struct seed_place *p, const char *text, size_t size, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *d = NULL;
	const struct yaml *root;
	int r = seed_read_yaml(p, text, size, &d, e);

	if (r < 0)
		return r;
	root = yaml_root(d);
	if (root->kind != YAML_LIST)
		return seed_fault(p, e, root->line, root->column, "an archive is %s, not a list",
			yaml_kind_words(root->kind));
	for (unsigned i = 0; i < root->n; i++) {
		const struct yaml *x = root->item[i], *content = yaml_get(x, "content");

		if (x->kind != YAML_STRING && (!content || content->kind != YAML_STRING))
			return seed_fault(p, e, x->line, x->column,
				"a part is neither a text nor a map with 'content'");
	}
	return 0;
}

/* --- MIME: RFC 2045 and 2046, as far as parts with texts need it ------------------------------------ */

struct mime {
	char *type, *boundary; /* lower case; NULL: none */
	bool base64;
	const char *body, *end;
	unsigned lines; /* before the body */
};

static void mime_clear(struct mime *m)
{
	g_free(m->type);
	g_free(m->boundary);
}

/* The value of `boundary` in a Content-Type; NULL: none. Caller frees. */
static char *find_boundary(const char *value)
{
	const char *p = strcasestr(value, "boundary=");
	size_t n;

	if (!p)
		return NULL;
	p += strlen("boundary=");
	if (*p == '"') {
		p++;
		n = strcspn(p, "\"");
	} else {
		n = strcspn(p, "; \t");
	}
	return n > 0 && n <= BOUNDARY_MAX ? g_strndup(p, n) : NULL;
}

static void take_header(struct mime *m, const char *header)
{
	const char *value = strchr(header, ':');

	if (!value)
		return;
	value++;
	value += strspn(value, " \t");
	if (g_ascii_strncasecmp(header, "Content-Type:", 13) == 0) {
		mime_clear(m);
		m->type = g_ascii_strdown(value, (gssize)strcspn(value, "; \t"));
		m->boundary = find_boundary(value);
	} else if (g_ascii_strncasecmp(header, "Content-Transfer-Encoding:", 26) == 0) {
		m->base64 = g_ascii_strncasecmp(value, "base64", 6) == 0;
	}
}

/* Headers up to the empty line; what is folded is joined. */
static void read_headers(const char *text, const char *end, struct mime *ret)
{
	g_autoptr(GString) header = g_string_new(NULL);

	*ret = (struct mime){ 0 };
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((nl ? nl : end) - text);

		ret->lines++;
		if (n > 0 && text[n - 1] == '\r')
			n--;
		if (header->len && (n == 0 || (*text != ' ' && *text != '\t'))) {
			take_header(ret, header->str);
			g_string_truncate(header, 0);
		}
		if (header->len < LINE_LENGTH)
			g_string_append_len(header, text, (gssize)MIN(n, LINE_LENGTH));
		text = nl ? nl + 1 : end;
		if (n == 0)
			break;
	}
	take_header(ret, header->str);
	ret->body = text;
	ret->end = end;
}

static int check_kind(
	const struct seed_place *p, const char *text, size_t size, unsigned depth, struct err *e);
static int check_mime(
	const struct seed_place *p, const char *text, size_t size, unsigned depth, struct err *e);

static int check_part(const struct seed_place *p, const char *text, const char *end, unsigned depth,
	struct err *e)
{
	struct seed_place at = *p;
	struct mime m;
	int r = 0;

	read_headers(text, end, &m);
	at.line += m.lines;
	if (m.boundary)
		r = check_mime(p, text, (size_t)(end - text), depth + 1, e);
	else if (m.base64) /* its lines aren't the file's */
		r = 0;
	else if (g_strcmp0(m.type, "text/cloud-config") == 0)
		r = seed_check_cloud_config(&at, m.body, (size_t)(end - m.body), e);
	else if (g_strcmp0(m.type, "text/cloud-config-archive") == 0)
		r = check_archive(&at, m.body, (size_t)(end - m.body), e);
	else if (!m.type || strcmp(m.type, "text/plain") == 0)
		r = check_kind(&at, m.body, (size_t)(end - m.body), depth + 1, e);
	mime_clear(&m);
	return r;
}

static int check_parts(
	const struct seed_place *p, const struct mime *m, unsigned depth, struct err *e)
{
	g_autofree char *mark = g_strconcat("--", m->boundary, NULL);
	size_t n_mark = strlen(mark);
	struct seed_place at = *p;
	const char *text = m->body, *part = NULL;
	unsigned line = p->line + m->lines, parts = 0;
	int r = 0;

	while (r >= 0 && text < m->end) {
		const char *nl = memchr(text, '\n', (size_t)(m->end - text));
		const char *next = nl ? nl + 1 : m->end;
		bool last;

		line++;
		if ((size_t)(next - text) < n_mark || memcmp(text, mark, n_mark) != 0) {
			text = next;
			continue;
		}
		last = (size_t)(next - text) >= n_mark + 2 && memcmp(text + n_mark, "--", 2) == 0;
		if (part)
			r = check_part(&at, part, text, depth, e);
		if (last || r < 0)
			return r;
		if (++parts > PARTS_MAX)
			return seed_fault(p, e, line, 1, "more than %d parts", PARTS_MAX);
		part = text = next;
		at.line = line;
	}
	if (!part)
		return seed_fault(
			p, e, p->line + 1, 1, "no part with the boundary '%s'", m->boundary);
	return r < 0 ? r : check_part(&at, part, m->end, depth, e);
}

static int check_mime(
	const struct seed_place *p, const char *text, size_t size, unsigned depth, struct err *e)
{
	struct mime m;
	int r;

	if (depth > PARTS_DEPTH)
		return seed_fault(p, e, p->line + 1, 1, "parts in parts too deep");
	read_headers(text, text + size, &m);
	if (m.boundary)
		r = check_parts(p, &m, depth, e);
	else if (m.type && g_str_has_prefix(m.type, "multipart/"))
		r = seed_fault(p, e, p->line + 1, 1, "a multipart text without a boundary");
	else
		r = check_part(p, text, text + size, depth + 1, e);
	mime_clear(&m);
	return r;
}

/* --- the first line ----------------------------------------------------------------------------------- */

enum kind {
	KIND_CONFIG,
	KIND_ARCHIVE,
	KIND_MIME,
	KIND_OPAQUE, /* known, with nothing that could be checked */
	KIND_ZIPPED,
};

/* The longest that fits counts. */
static const struct {
	const char *begins;
	enum kind kind;
} kinds[] = {
	{ "#cloud-config-archive", KIND_ARCHIVE },
	{ "#cloud-config-jsonp", KIND_OPAQUE },
	{ "#cloud-config", KIND_CONFIG },
	{ "#cloud-boothook", KIND_OPAQUE },
	{ "#include-once", KIND_OPAQUE },
	{ "#include", KIND_OPAQUE },
	{ "#part-handler", KIND_OPAQUE },
	{ "#upstart-job", KIND_OPAQUE },
	{ "#!", KIND_OPAQUE },
	{ "## template: jinja", KIND_OPAQUE },
	{ "content-type:", KIND_MIME },
	{ "mime-version:", KIND_MIME },
	{ "\x1f\x8b", KIND_ZIPPED },
};

static int check_kind(
	const struct seed_place *p, const char *text, size_t size, unsigned depth, struct err *e)
{
	size_t blank = 0;

	while (blank < size && g_ascii_isspace(text[blank]))
		blank++;
	if (blank == size)
		return 0;
	for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
		size_t n = strlen(kinds[i].begins);

		if (size - blank < n || g_ascii_strncasecmp(text + blank, kinds[i].begins, n) != 0)
			continue;
		switch (kinds[i].kind) {
		case KIND_CONFIG:
			return seed_check_cloud_config(p, text, size, e);
		case KIND_ARCHIVE:
			return check_archive(p, text, size, e);
		case KIND_MIME:
			return check_mime(p, text, size, depth, e);
		case KIND_ZIPPED:
			seed_warn(p, p->line + 1, 1, "it is compressed, so it isn't checked");
			return 0;
		case KIND_OPAQUE:
			return 0;
		}
	}
	(void)seed_fault(p, e, p->line + 1, 1,
		"cloud-init doesn't know the first line, and would ignore the text");
	(void)err_mend(e, "begin with '#cloud-config', or with '#!/bin/sh' for a script");
	return -E_INVALID;
}

int seed_check_data(const struct seed_place *p, const char *text, size_t size, struct err *e)
{
	return check_kind(p, text, size, 0, e);
}

/* --- network-config ---------------------------------------------------------------------------------------- */

int seed_check_network(const struct seed_place *p, const char *text, size_t size, struct err *e)
{
	_cleanup_(yaml_doc_freep) struct yaml_doc *d = NULL;
	const struct yaml *root, *version, *config;
	int r = seed_read_yaml(p, text, size, &d, e);

	if (r < 0)
		return r;
	root = yaml_root(d);
	if (yaml_get(root, "network"))
		root = yaml_get(root, "network");
	if (root->kind != YAML_MAP)
		return seed_fault(p, e, root->line, root->column, "it is %s, not a map of keys",
			yaml_kind_words(root->kind));
	config = yaml_get(root, "config");
	if (config && config->kind == YAML_STRING && strcmp(config->text, "disabled") == 0)
		return 0;
	version = yaml_get(root, "version");
	if (!version)
		return seed_fault(p, e, root->line, root->column, "it has no 'version'");
	if (version->kind != YAML_INT ||
		(strcmp(version->text, "1") != 0 && strcmp(version->text, "2") != 0))
		return seed_fault(
			p, e, version->line, version->column, "the 'version' is neither 1 nor 2");
	if (version->text[0] == '1' && !config)
		return seed_fault(p, e, root->line, root->column, "it has no 'config'");
	return seed_check_tree(p, root,
		version->text[0] == '1' ? seed_rules_network_v1 : seed_rules_network_v2, true, e);
}
