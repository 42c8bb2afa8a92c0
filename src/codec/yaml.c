/* SPDX-License-Identifier: MIT */
#include "codec/yaml.h"

#include <string.h>
#include <yaml.h>

/* What a node holds while it is read. */
struct node {
	struct yaml y;
	GPtrArray *items;
	unsigned weight; /* nodes that it stands for */
	unsigned height; /* lists and maps in each other, from here on */
	bool open;	 /* not at its end yet: an alias to it would have no end */
};

struct yaml_doc {
	GPtrArray *nodes; /* struct node: all, however often they are named */
	struct node *root;
};

struct reader {
	yaml_parser_t parser;
	yaml_event_t event;
	struct yaml_doc *doc;
	GHashTable *anchors; /* name -> struct node */
	GPtrArray *stack;    /* open lists and maps */
	unsigned line_base;
	unsigned weight;
};

static void node_free(gpointer p)
{
	struct node *n = p;

	g_free(n->y.text);
	g_ptr_array_unref(n->items);
	g_free(n);
}

void yaml_doc_free(struct yaml_doc *d)
{
	if (!d)
		return;
	g_ptr_array_unref(d->nodes);
	g_free(d);
}

void yaml_doc_freep(struct yaml_doc **d)
{
	yaml_doc_free(*d);
}

const struct yaml *yaml_root(const struct yaml_doc *d)
{
	return &d->root->y;
}

const struct yaml *yaml_get(const struct yaml *map, const char *key)
{
	if (!map || map->kind != YAML_MAP)
		return NULL;
	for (unsigned i = map->n; i >= 2; i -= 2) {
		const struct yaml *k = map->item[i - 2];

		if (k->text && strcmp(k->text, key) == 0)
			return map->item[i - 1];
	}
	return NULL;
}

const char *yaml_kind_words(enum yaml_kind k)
{
	static const char *const words[_YAML_KIND_MAX] = {
		[YAML_NULL] = "nothing (null)",
		[YAML_BOOL] = "true or false",
		[YAML_INT] = "a whole number",
		[YAML_FLOAT] = "a number",
		[YAML_TIME] = "a date",
		[YAML_STRING] = "a text",
		[YAML_LIST] = "a list",
		[YAML_MAP] = "a map",
	};

	return words[k];
}

char *yaml_quote(const char *s)
{
	GString *out = g_string_new("\"");

	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			g_string_append_printf(out, "\\%c", *s);
		else if ((unsigned char)*s < 0x20 || *s == 0x7f)
			g_string_append_printf(out, "\\x%02x", (unsigned char)*s);
		else
			g_string_append_c(out, *s);
	}
	g_string_append_c(out, '"');
	return g_string_free(out, FALSE);
}

/* --- what a plain scalar is ------------------------------------------------------------------------ */

static bool is_one_of(const char *s, const char *const *words)
{
	for (; *words; words++)
		if (strcmp(s, *words) == 0)
			return true;
	return false;
}

static bool all_of(const char *s, const char *set)
{
	return *s && strspn(s, set) == strlen(s);
}

/* Sexagesimal: "190:20:30". */
static bool is_base60(const char *s, bool fraction)
{
	bool any = false;

	if (*s < (fraction ? '0' : '1') || *s > '9')
		return false;
	s += strspn(s, "0123456789_");
	while (*s == ':') {
		size_t n = strspn(++s, "0123456789");

		if (n == 0 || n > 2 || (n == 2 && *s > '5'))
			return false;
		s += n;
		any = true;
	}
	if (fraction && any && *s == '.')
		return !s[1] || all_of(s + 1, "0123456789_");
	return any && !*s && !fraction;
}

/* The regular expressions of YAML 1.1's types, as PyYAML has them. */
static bool is_int(const char *s)
{
	if (*s == '+' || *s == '-')
		s++;
	if (s[0] == '0' && s[1] == 'b')
		return all_of(s + 2, "01_");
	if (s[0] == '0' && s[1] == 'x')
		return all_of(s + 2, "0123456789abcdefABCDEF_");
	if (strcmp(s, "0") == 0)
		return true;
	if (s[0] == '0')
		return all_of(s + 1, "01234567_");
	return (*s >= '1' && *s <= '9' && all_of(s, "0123456789_")) || is_base60(s, false);
}

static bool is_float(const char *s)
{
	static const char *const special[] = { ".inf", ".Inf", ".INF", NULL };
	static const char *const nan[] = { ".nan", ".NaN", ".NAN", NULL };
	const char *begin = s;
	size_t whole;

	if (is_one_of(s, nan))
		return true;
	if (*s == '+' || *s == '-')
		s++;
	if (is_one_of(s, special) || is_base60(s, true))
		return true;
	whole = strspn(s, "0123456789_");
	if ((whole > 0 && *s == '_') || s[whole] != '.')
		return false;
	/* ".5" has no sign */
	if (whole == 0 && (s > begin || !g_ascii_isdigit(s[1])))
		return false;
	s += whole + 1;
	s += strspn(s, "0123456789_");
	if (!*s)
		return true;
	return (*s == 'e' || *s == 'E') && (s[1] == '+' || s[1] == '-') &&
	       all_of(s + 2, "0123456789");
}

static size_t digits(const char *s, size_t min, size_t max)
{
	size_t n = strspn(s, "0123456789");

	return n >= min && n <= max ? n : 0;
}

/* "2001-12-14", or with a time of day behind it. */
static bool is_time(const char *s)
{
	size_t month, day, hour;
	bool short_form;

	if (digits(s, 4, 4) != 4 || s[4] != '-')
		return false;
	month = digits(s + 5, 1, 2);
	if (!month || s[5 + month] != '-')
		return false;
	day = digits(s + 6 + month, 1, 2);
	if (!day)
		return false;
	short_form = month == 2 && day == 2;
	s += 6 + month + day;
	if (!*s)
		return short_form;
	if (*s != 'T' && *s != 't' && *s != ' ' && *s != '\t')
		return false;
	s += *s == 'T' || *s == 't' ? 1 : strspn(s, " \t");
	hour = digits(s, 1, 2);
	if (!hour || s[hour] != ':' || digits(s + hour + 1, 2, 2) != 2 || s[hour + 3] != ':' ||
		strspn(s + hour + 4, "0123456789") != 2)
		return false;
	s += hour + 6;
	if (*s == '.')
		s += 1 + strspn(s + 1, "0123456789");
	s += strspn(s, " \t");
	return !*s || strcmp(s, "Z") == 0 ||
	       ((*s == '+' || *s == '-') && all_of(s + 1, "0123456789:"));
}

static enum yaml_kind plain_kind(const char *s, bool *ret_truth)
{
	static const char *const none[] = { "", "~", "null", "Null", "NULL", NULL };
	static const char *const yes[] = { "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On",
		"ON", NULL };
	static const char *const no[] = { "no", "No", "NO", "false", "False", "FALSE", "off", "Off",
		"OFF", NULL };

	*ret_truth = is_one_of(s, yes);
	if (is_one_of(s, none))
		return YAML_NULL;
	if (*ret_truth || is_one_of(s, no))
		return YAML_BOOL;
	if (is_int(s))
		return YAML_INT;
	if (is_float(s))
		return YAML_FLOAT;
	return is_time(s) ? YAML_TIME : YAML_STRING;
}

/* --- reading --------------------------------------------------------------------------------------- */

static int fault(struct reader *r, const yaml_mark_t *at, int code, const char *what, struct err *e)
{
	return err_set(e, code, "line %u, column %u: %s", (unsigned)at->line + 1 + r->line_base,
		(unsigned)at->column + 1, what);
}

static int parser_fault(struct reader *r, const char *text, size_t size, struct err *e)
{
	const char *what = r->parser.problem ? r->parser.problem : "not YAML";
	yaml_mark_t at = r->parser.problem_mark;

	if (r->parser.error == YAML_READER_ERROR) {
		/* it knows the byte only */
		size_t end = MIN(r->parser.problem_offset, size);

		at.line = at.column = 0;
		for (size_t i = 0; i < end; i++) {
			at.column++;
			if (text[i] == '\n') {
				at.line++;
				at.column = 0;
			}
		}
	}
	return fault(r, &at, -E_CORRUPT, what, e);
}

/* Puts a node (new, or the one that an alias names) where it belongs. */
static int attach(struct reader *r, struct node *n, struct err *e)
{
	struct node *up = r->stack->len ? r->stack->pdata[r->stack->len - 1] : NULL;

	if (!up) {
		r->doc->root = n;
		return 0;
	}
	if (up->y.kind == YAML_MAP && up->items->len % 2 == 0 &&
		(n->y.kind == YAML_LIST || n->y.kind == YAML_MAP))
		return fault(r, &r->event.start_mark, -E_CORRUPT, "a key is a list or a map", e);
	g_ptr_array_add(up->items, n);
	return 0;
}

static int count(struct reader *r, unsigned weight, struct err *e)
{
	r->weight += weight;
	if (r->weight <= YAML_NODES_MAX)
		return 0;
	return fault(r, &r->event.start_mark, -E_LIMIT,
		"too large: its aliases stand for too many values, or it has too many", e);
}

static int new_node(struct reader *r, enum yaml_kind kind, const yaml_char_t *anchor,
	struct node **ret, struct err *e)
{
	struct node *n;
	int code = count(r, 1, e);

	if (code < 0)
		return code;
	n = g_new0(struct node, 1);
	n->items = g_ptr_array_new();
	n->y.kind = kind;
	n->y.line = (unsigned)r->event.start_mark.line + 1 + r->line_base;
	n->y.column = (unsigned)r->event.start_mark.column + 1;
	n->weight = 1;
	g_ptr_array_add(r->doc->nodes, n);
	if (anchor) /* a second one of the name hides the first from here on */
		g_hash_table_insert(r->anchors, g_strdup((const char *)anchor), n);
	*ret = n;
	return attach(r, n, e);
}

#define TAG "tag:yaml.org,2002:"

static int scalar_kind(struct reader *r, const char *text, bool plain, const char *tag,
	struct yaml *y, struct err *e)
{
	static const struct {
		const char *tag;
		enum yaml_kind kind;
	} known[] = { { TAG "str", YAML_STRING }, { TAG "binary", YAML_STRING },
		{ TAG "int", YAML_INT }, { TAG "float", YAML_FLOAT }, { TAG "null", YAML_NULL },
		{ TAG "timestamp", YAML_TIME } };
	bool truth;

	y->kind = plain ? plain_kind(text, &y->truth) : YAML_STRING;
	if (!tag || strcmp(tag, "!") == 0) {
		if (tag)
			y->kind = YAML_STRING;
		return 0;
	}
	if (strcmp(tag, TAG "bool") == 0) {
		y->kind = plain_kind(text, &truth);
		y->truth = truth;
		if (y->kind == YAML_BOOL)
			return 0;
		return fault(r, &r->event.start_mark, -E_CORRUPT, "not true or false", e);
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(known); i++)
		if (strcmp(tag, known[i].tag) == 0) {
			y->kind = known[i].kind;
			return 0;
		}
	return fault(r, &r->event.start_mark, -E_CORRUPT, "unknown tag", e);
}

static int take_scalar(struct reader *r, struct err *e)
{
	const char *text = (const char *)r->event.data.scalar.value;
	struct yaml y = { 0 };
	struct node *n;
	int code;

	code = scalar_kind(r, text, r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE,
		(const char *)r->event.data.scalar.tag, &y, e);
	if (code >= 0)
		code = new_node(r, y.kind, r->event.data.scalar.anchor, &n, e);
	if (code < 0)
		return code;
	n->y.truth = y.truth;
	n->y.size = r->event.data.scalar.length;
	n->y.text = g_malloc(n->y.size + 1);
	memcpy(n->y.text, text, n->y.size + 1);
	return 0;
}

static int begin(struct reader *r, enum yaml_kind kind, const yaml_char_t *tag,
	const yaml_char_t *anchor, struct err *e)
{
	static const char *const known[] = { "!", TAG "seq", TAG "map", TAG "set", TAG "omap",
		TAG "pairs", NULL };
	struct node *n;
	int code;

	if (tag && !is_one_of((const char *)tag, known))
		return fault(r, &r->event.start_mark, -E_CORRUPT, "unknown tag", e);
	if (r->stack->len >= YAML_DEPTH_MAX)
		return fault(r, &r->event.start_mark, -E_LIMIT, "too deep", e);
	code = new_node(r, kind, anchor, &n, e);
	if (code < 0)
		return code;
	n->open = true;
	g_ptr_array_add(r->stack, n);
	return 0;
}

/* What a finished node adds to the one that it stands in. */
static void join(struct reader *r, const struct node *n)
{
	struct node *up = r->stack->len ? r->stack->pdata[r->stack->len - 1] : NULL;

	if (!up)
		return;
	up->weight += n->weight;
	up->height = MAX(up->height, n->height);
}

static void end(struct reader *r)
{
	struct node *n = g_ptr_array_steal_index(r->stack, r->stack->len - 1);

	n->open = false;
	n->y.item = (struct yaml **)n->items->pdata; /* y is a node's first member */
	n->y.n = n->items->len;
	n->height++;
	join(r, n);
}

static int take_alias(struct reader *r, struct err *e)
{
	struct node *n = g_hash_table_lookup(r->anchors, r->event.data.alias.anchor);
	int code;

	if (!n)
		return fault(r, &r->event.start_mark, -E_CORRUPT, "an alias without its anchor", e);
	if (n->open)
		return fault(r, &r->event.start_mark, -E_CORRUPT, "an alias inside its anchor", e);
	if (r->stack->len + n->height > YAML_DEPTH_MAX)
		return fault(r, &r->event.start_mark, -E_LIMIT, "too deep", e);
	code = count(r, n->weight, e);
	if (code < 0)
		return code;
	join(r, n);
	return attach(r, n, e);
}

/* 1 at the stream's end. */
static int take_event(struct reader *r, struct err *e)
{
	struct node *up;

	switch (r->event.type) {
	case YAML_STREAM_END_EVENT:
		return 1;
	case YAML_DOCUMENT_START_EVENT:
		if (r->doc->root)
			return fault(r, &r->event.start_mark, -E_CORRUPT, "a second document", e);
		return 0;
	case YAML_SCALAR_EVENT:
		up = r->stack->len ? r->stack->pdata[r->stack->len - 1] : NULL;
		if (up)
			up->weight++;
		return take_scalar(r, e);
	case YAML_SEQUENCE_START_EVENT:
		return begin(r, YAML_LIST, r->event.data.sequence_start.tag,
			r->event.data.sequence_start.anchor, e);
	case YAML_MAPPING_START_EVENT:
		return begin(r, YAML_MAP, r->event.data.mapping_start.tag,
			r->event.data.mapping_start.anchor, e);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		end(r);
		return 0;
	case YAML_ALIAS_EVENT:
		return take_alias(r, e);
	default:
		return 0;
	}
}

static int read_all(struct reader *r, const char *text, size_t size, struct err *e)
{
	int code = 0;

	yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r->parser, (const unsigned char *)text, size);
	while (code == 0) {
		if (!yaml_parser_parse(&r->parser, &r->event))
			return parser_fault(r, text, size, e);
		code = take_event(r, e);
		yaml_event_delete(&r->event);
	}
	return code < 0 ? code : 0;
}

int yaml_read(
	const char *text, size_t size, unsigned line_base, struct yaml_doc **ret, struct err *e)
{
	struct reader r = { .line_base = line_base };
	struct node *n;
	int code;

	if (size > YAML_SIZE_MAX)
		return err_set(e, -E_LIMIT, "larger than %d bytes", YAML_SIZE_MAX);
	if (!yaml_parser_initialize(&r.parser))
		abort(); /* of no memory only */
	r.doc = g_new0(struct yaml_doc, 1);
	r.doc->nodes = g_ptr_array_new_with_free_func(node_free);
	r.anchors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	r.stack = g_ptr_array_new();
	code = read_all(&r, text, size, e);
	if (code >= 0 && !r.doc->root) {
		r.event.start_mark = (yaml_mark_t){ 0 };
		code = new_node(&r, YAML_NULL, NULL, &n, e);
	}
	yaml_parser_delete(&r.parser);
	g_hash_table_unref(r.anchors);
	g_ptr_array_unref(r.stack);
	if (code < 0)
		yaml_doc_free(r.doc);
	else
		*ret = r.doc;
	return code;
}
