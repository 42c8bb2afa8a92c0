/* SPDX-License-Identifier: MIT */
/* A YAML tree against the rules of what it may hold. */
#include <string.h>
#include "image/seed-priv.h"

#define RULE_DEPTH_MAX 32

struct words { /* of the rules' text */
	const char *at;
	size_t n;
};

struct rule {
	struct words name, values, needed;
	unsigned kinds; /* bit n: enum yaml_kind n */
	bool closed;
	GPtrArray *members; /* struct rule */
};

static void rule_free(gpointer p)
{
	struct rule *r = p;

	g_ptr_array_unref(r->members);
	g_free(r);
}

#define KIND(k) (1u << (k))

static unsigned kinds_of(const struct words *w, bool *ret_closed)
{
	unsigned kinds = 0;

	*ret_closed = false;
	for (size_t i = 0; i < w->n; i++)
		switch (w->at[i]) {
		case 's':
			kinds |= KIND(YAML_STRING);
			break;
		case 'b':
			kinds |= KIND(YAML_BOOL);
			break;
		case 'i':
			kinds |= KIND(YAML_INT);
			break;
		case 'n':
			kinds |= KIND(YAML_INT) | KIND(YAML_FLOAT);
			break;
		case 'l':
			kinds |= KIND(YAML_LIST);
			break;
		case 'M':
			*ret_closed = true; /* fall through */
		case 'm':
			kinds |= KIND(YAML_MAP);
			break;
		case 'z':
			kinds |= KIND(YAML_NULL);
			break;
		case '*':
			kinds = KIND(_YAML_KIND_MAX) - 1;
			break;
		default:
			g_assert_not_reached();
		}
	return kinds;
}

static struct words take(const char **p, const char *until)
{
	struct words w = { *p, strcspn(*p, until) };

	*p += w.n;
	return w;
}

/* The rules of one level, up to '}' or the end. The text is ours: it is right, or a test fails. */
static GPtrArray *read_rules(const char **p, unsigned depth)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(rule_free);

	g_assert(depth < RULE_DEPTH_MAX);
	for (;;) {
		struct rule *r;
		struct words types;

		*p += strspn(*p, " \n");
		if (!**p || **p == '}')
			return list;
		r = g_new0(struct rule, 1);
		g_ptr_array_add(list, r);
		r->name = take(p, ":");
		g_assert(**p == ':' && r->name.n > 0);
		(*p)++;
		types = take(p, "=!{} \n");
		r->kinds = kinds_of(&types, &r->closed);
		if (**p == '=') {
			(*p)++;
			r->values = take(p, "!{} \n");
		}
		if (**p == '!') {
			(*p)++;
			r->needed = take(p, "{} \n");
		}
		if (**p != '{') {
			r->members = g_ptr_array_new();
			continue;
		}
		(*p)++;
		r->members = read_rules(p, depth + 1);
		g_assert(**p == '}');
		(*p)++;
	}
}

static const struct rule *find_rule(const struct rule *r, const char *name, size_t n)
{
	const struct rule *any = NULL;

	for (unsigned i = 0; i < r->members->len; i++) {
		const struct rule *m = r->members->pdata[i];

		if (m->name.n == n && memcmp(m->name.at, name, n) == 0)
			return m;
		if (m->name.n == 1 && *m->name.at == '*')
			any = m;
	}
	return n == 2 && strcmp(name, "[]") == 0 ? NULL : any;
}

/* --- checking -------------------------------------------------------------------------------------- */

struct walk {
	const struct seed_place *place;
	GString *path;
	struct err *e;
};

static int check(struct walk *w, const struct yaml *y, const struct rule *r);

static bool is_merge(const struct yaml *key)
{
	return key->text && strcmp(key->text, "<<") == 0;
}

static bool has_key(const struct yaml *map, const struct words *key)
{
	for (unsigned i = 0; map->kind == YAML_MAP && i < map->n; i += 2) {
		const struct yaml *k = map->item[i], *v = map->item[i + 1];

		if (k->text && k->size == key->n && memcmp(k->text, key->at, key->n) == 0)
			return true;
		if (is_merge(k) && has_key(v, key))
			return true;
		for (unsigned m = 0; is_merge(k) && v->kind == YAML_LIST && m < v->n; m++)
			if (has_key(v->item[m], key))
				return true;
	}
	return false;
}

static int check_needed(struct walk *w, const struct yaml *y, const struct rule *r)
{
	const char *p = r->needed.at, *end = p + r->needed.n;

	while (p < end) {
		struct words key = { p, strcspn(p, ",{} \n") };

		if (!has_key(y, &key))
			return seed_fault(w->place, w->e, y->line, y->column, "'%s' has no '%.*s'",
				w->path->str, (int)key.n, key.at);
		p += key.n + 1;
	}
	return 0;
}

/* "and so on" for keys that are long or not text that can be shown. */
static char *shown(const struct yaml *y)
{
	g_autofree char *valid = g_utf8_make_valid(y->text ? y->text : "", -1);
	GString *out = g_string_new(NULL);

	for (const char *p = valid; *p && out->len < 60; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		g_string_append_unichar(out, g_unichar_isprint(c) ? c : '?');
	}
	return g_string_free(out, FALSE);
}

static int check_members(struct walk *w, const struct yaml *y, const struct rule *r)
{
	size_t length = w->path->len;
	int code = 0;

	for (unsigned i = 0; code >= 0 && i < y->n; i += 2) {
		const struct yaml *k = y->item[i], *v = y->item[i + 1];
		const struct rule *m = find_rule(r, k->text ? k->text : "", k->size);
		g_autofree char *key = shown(k);

		if (is_merge(k)) {
			/* a map, or a list of maps: as if their keys stood here */
			for (unsigned x = 0; v->kind == YAML_LIST && x < v->n; x++)
				if (code >= 0 && v->item[x]->kind == YAML_MAP)
					code = check_members(w, v->item[x], r);
			if (v->kind == YAML_MAP)
				code = check_members(w, v, r);
			continue;
		}
		for (unsigned x = i + 2; x < y->n; x += 2)
			if (y->item[x]->text && k->text && strcmp(y->item[x]->text, k->text) == 0)
				seed_warn(w->place, k->line, k->column,
					"the key '%s' stands here and in line %u, which counts",
					key, y->item[x]->line);
		if (!m && r->closed)
			seed_warn(w->place, k->line, k->column, "unknown key '%s%s%s'",
				w->path->str, length ? "." : "", key);
		if (!m)
			continue;
		g_string_append_printf(w->path, "%s%s", length ? "." : "", key);
		code = check(w, v, m);
		g_string_truncate(w->path, length);
	}
	return code;
}

static int check_elements(struct walk *w, const struct yaml *y, const struct rule *r)
{
	const struct rule *m = find_rule(r, "[]", 2);
	size_t length = w->path->len;
	int code = 0;

	for (unsigned i = 0; m && code >= 0 && i < y->n; i++) {
		g_string_append_printf(w->path, "[%u]", i);
		code = check(w, y->item[i], m);
		g_string_truncate(w->path, length);
	}
	return code;
}

static char *kinds_words(unsigned kinds)
{
	GString *s = g_string_new(NULL);

	if (kinds & KIND(YAML_FLOAT))
		kinds &= ~KIND(YAML_INT);
	for (unsigned k = 0; k < _YAML_KIND_MAX; k++)
		if (kinds & KIND(k))
			g_string_append_printf(s, "%s%s", s->len ? " or " : "", yaml_kind_words(k));
	return g_string_free(s, FALSE);
}

static int check_value(struct walk *w, const struct yaml *y, const struct rule *r)
{
	const char *p = r->values.at, *end = p + r->values.n;
	g_autofree char *value = NULL;

	if (!p || y->kind != YAML_STRING)
		return 0;
	while (p < end) {
		size_t n = strcspn(p, "|!{} \n");

		if (n == y->size && memcmp(p, y->text, n) == 0)
			return 0;
		p += n + 1;
	}
	value = shown(y);
	return seed_fault(w->place, w->e, y->line, y->column, "'%s' is '%s', not one of %.*s",
		w->path->str, value, (int)MIN(r->values.n, 200), r->values.at);
}

static int check(struct walk *w, const struct yaml *y, const struct rule *r)
{
	int code;

	if (!(r->kinds & KIND(y->kind))) {
		g_autofree char *want = kinds_words(r->kinds);

		return seed_fault(w->place, w->e, y->line, y->column, "'%s' is %s, not %s",
			w->path->str, yaml_kind_words(y->kind), want);
	}
	code = check_value(w, y, r);
	if (code >= 0 && y->kind == YAML_MAP)
		code = check_needed(w, y, r);
	if (code >= 0 && y->kind == YAML_MAP)
		code = check_members(w, y, r);
	if (code >= 0 && y->kind == YAML_LIST)
		code = check_elements(w, y, r);
	return code;
}

int seed_check_tree(const struct seed_place *p, const struct yaml *y, const char *rules,
	bool closed, struct err *e)
{
	struct rule top = { .kinds = KIND(YAML_MAP), .closed = closed };
	struct walk w = { .place = p, .e = e };
	int code;

	top.members = read_rules(&rules, 0);
	w.path = g_string_new(NULL);
	code = check_members(&w, y, &top);
	g_string_free(w.path, TRUE);
	g_ptr_array_unref(top.members);
	return code;
}
