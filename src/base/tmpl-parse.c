/* SPDX-License-Identifier: MIT */

/* Go's text/template: tokens to a tree. */

#include <string.h>
#include "base/tmpl-priv.h"

struct parser {
	struct tmpl *t;
	GArray *tokens;
	guint at;
	GPtrArray *vars; /* names in scope, borrowed from nodes */
	int depth, ranges;
	struct err *e;
};

/* What ended a list. */
enum list_end {
	END_EOF,
	END_END,
	END_ELSE
};

static void node_free(struct node *n)
{
	if (!n)
		return;
	g_free(n->text);
	json_decref(n->value);
	if (n->names)
		g_ptr_array_free(n->names, TRUE);
	if (n->kids)
		g_ptr_array_free(n->kids, TRUE);
	node_free(n->pipe);
	node_free(n->list);
	node_free(n->otherwise);
	g_free(n);
}

static void node_free_any(void *n)
{
	node_free(n);
}

static void node_freep(struct node **n)
{
	node_free(*n);
}

static const struct token *token_at(const struct parser *p, guint i)
{
	return &g_array_index(p->tokens, struct token, MIN(i, p->tokens->len - 1));
}

static const struct token *peek(const struct parser *p)
{
	return token_at(p, p->at);
}

static const struct token *next(struct parser *p)
{
	return token_at(p, p->at++);
}

static const struct token *peek_solid(struct parser *p)
{
	while (peek(p)->type == TOK_SPACE)
		p->at++;
	return peek(p);
}

static const struct token *next_solid(struct parser *p)
{
	peek_solid(p);
	return next(p);
}

static char *token_text(const struct parser *p, const struct token *k)
{
	return g_strndup(p->t->text + k->start, k->end - k->start);
}

static bool is_word(const struct parser *p, const struct token *k, const char *word)
{
	return k->type == TOK_WORD && k->end - k->start == strlen(word) &&
	       memcmp(p->t->text + k->start, word, strlen(word)) == 0;
}

static int fail(const struct parser *p, const char *fmt, ...) _printf_(2, 3);

static int fail(const struct parser *p, const char *fmt, ...)
{
	int line, column;
	va_list ap;

	tmpl_position(p->t->text, token_at(p, p->at ? p->at - 1 : 0)->start, &line, &column);
	va_start(ap, fmt);
	err_vset(p->e, -E_INVALID, fmt, ap);
	va_end(ap);
	err_prefix(p->e, "template: :%d", line);
	return -E_INVALID;
}

static int unexpected(const struct parser *p, const struct token *k, const char *context)
{
	g_autofree char *text = token_text(p, k);

	if (k->type == TOK_EOF)
		return fail(p, "unexpected EOF in %s", context);
	return fail(p, "unexpected \"%.32s\" in %s", text, context);
}

static struct node *node_new(struct parser *p, enum node_type type, const struct token *k)
{
	struct node *n = g_new0(struct node, 1);

	n->type = type;
	n->start = k->start;
	n->end = k->end;
	return n;
}

static void add_kid(struct node *n, struct node *kid)
{
	if (!n->kids)
		n->kids = g_ptr_array_new_with_free_func(node_free_any);
	g_ptr_array_add(n->kids, kid);
	n->end = MAX(n->end, kid->end);
}

static void add_name(struct node *n, char *name)
{
	if (!n->names)
		n->names = g_ptr_array_new_with_free_func(g_free);
	g_ptr_array_add(n->names, name);
}

static int enter(struct parser *p)
{
	if (++p->depth > TMPL_DEPTH_MAX)
		return fail(p, "more than %d levels of nesting", TMPL_DEPTH_MAX);
	return 0;
}

static int expect_close(struct parser *p, const char *context)
{
	const struct token *k = next_solid(p);

	return k->type == TOK_CLOSE ? 0 : unexpected(p, k, context);
}

/* --- pipelines --------------------------------------------------------------------------------------- */

static int parse_pipeline(
	struct parser *p, const char *context, enum token_type close, struct node **ret);

static bool var_known(const struct parser *p, const char *name)
{
	for (guint i = 0; i < p->vars->len; i++)
		if (strcmp(p->vars->pdata[i], name) == 0)
			return true;
	return false;
}

static int parse_word(struct parser *p, const struct token *k, struct node **ret)
{
	g_autofree char *name = token_text(p, k);
	struct node *n;

	if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) {
		n = node_new(p, NODE_CONSTANT, k);
		n->value = json_boolean(*name == 't');
	} else if (strcmp(name, "nil") == 0) {
		n = node_new(p, NODE_NIL, k);
	} else {
		const struct tmpl_fn *fn = tmpl_fn_find(name);

		if (!fn)
			return fail(p, "function \"%s\" not defined", name);
		n = node_new(p, NODE_FUNCTION, k);
		n->fn = fn;
	}
	*ret = n;
	return 0;
}

static int parse_variable(struct parser *p, const struct token *k, struct node **ret)
{
	g_autofree char *name = token_text(p, k);

	if (!var_known(p, name))
		return fail(p, "undefined variable \"%s\"", name);
	*ret = node_new(p, NODE_VARIABLE, k);
	(*ret)->text = g_steal_pointer(&name);
	return 0;
}

static int parse_constant(struct parser *p, const struct token *k, struct node **ret)
{
	json_t *value;
	int r = tmpl_literal(p->t->text, k, &value, p->e);

	if (r < 0)
		return r;
	*ret = node_new(p, NODE_CONSTANT, k);
	(*ret)->value = value;
	return 0;
}

static int parse_parens(struct parser *p, struct node **ret)
{
	int r = enter(p);

	if (r == 0)
		r = parse_pipeline(p, "parenthesized pipeline", TOK_RPAREN, ret);
	p->depth--;
	return r;
}

/* One operand without its fields. *ret stays NULL when there is none. */
static int parse_term(struct parser *p, struct node **ret)
{
	const struct token *k = peek_solid(p);

	p->at++;
	switch (k->type) {
	case TOK_WORD:
		return parse_word(p, k, ret);
	case TOK_DOT:
		*ret = node_new(p, NODE_DOT, k);
		return 0;
	case TOK_VARIABLE:
		return parse_variable(p, k, ret);
	case TOK_FIELD:
		*ret = node_new(p, NODE_FIELD, k);
		add_name(*ret, g_strndup(p->t->text + k->start + 1, k->end - k->start - 1));
		return 0;
	case TOK_NUMBER:
	case TOK_CHAR:
	case TOK_STRING:
	case TOK_RAW_STRING:
		return parse_constant(p, k, ret);
	case TOK_LPAREN:
		return parse_parens(p, ret);
	default:
		p->at--;
		return 0;
	}
}

static int parse_operand(struct parser *p, struct node **ret)
{
	_cleanup_(node_freep) struct node *n = NULL;
	int r = parse_term(p, &n);

	if (r < 0)
		return r;
	if (n && peek(p)->type == TOK_FIELD) {
		if (n->type == NODE_CONSTANT || n->type == NODE_NIL || n->type == NODE_DOT)
			return fail(p, "unexpected . after term \"%.*s\"", (int)(n->end - n->start),
				p->t->text + n->start);
		if (n->type != NODE_FIELD && n->type != NODE_VARIABLE) {
			struct node *chain = node_new(p, NODE_CHAIN, peek(p));

			chain->start = n->start;
			add_kid(chain, g_steal_pointer(&n));
			n = chain;
		}
		while (peek(p)->type == TOK_FIELD) {
			const struct token *k = next(p);

			add_name(n, g_strndup(p->t->text + k->start + 1, k->end - k->start - 1));
			n->end = k->end;
		}
	}
	*ret = g_steal_pointer(&n);
	return 0;
}

static int parse_command(struct parser *p, struct node **ret)
{
	_cleanup_(node_freep) struct node *n = node_new(p, NODE_COMMAND, peek_solid(p));

	n->end = n->start;
	for (;;) {
		struct node *operand = NULL;
		const struct token *k;
		int r = parse_operand(p, &operand);

		if (r < 0)
			return r;
		if (operand)
			add_kid(n, operand);
		k = next(p);
		if (k->type == TOK_SPACE)
			continue;
		if (k->type == TOK_CLOSE || k->type == TOK_RPAREN)
			p->at--;
		else if (k->type != TOK_PIPE)
			return unexpected(p, k, "operand");
		break;
	}
	if (!n->kids)
		return fail(p, "empty command");
	*ret = g_steal_pointer(&n);
	return 0;
}

/* "$x :=", "$x =", and in a range "$i, $x :=" */
static int parse_declarations(struct parser *p, struct node *pipe, const char *context)
{
	while (peek_solid(p)->type == TOK_VARIABLE) {
		guint back = p->at;
		const struct token *variable = next(p), *sign = next_solid(p);

		if (sign->type != TOK_ASSIGN && sign->type != TOK_DECLARE &&
			sign->type != TOK_COMMA) {
			p->at = back;
			return 0;
		}
		add_name(pipe, token_text(p, variable));
		g_ptr_array_add(p->vars, pipe->names->pdata[pipe->names->len - 1]);
		if (sign->type != TOK_COMMA) {
			pipe->assigns = sign->type == TOK_ASSIGN;
			return 0;
		}
		if (strcmp(context, "range") != 0 || pipe->names->len > 1)
			return fail(p, "too many declarations in %s", context);
		if (peek_solid(p)->type != TOK_VARIABLE)
			return fail(p, "range can only initialize variables");
	}
	if (pipe->names)
		return unexpected(p, next_solid(p), context);
	return 0;
}

static int check_pipeline(struct parser *p, const struct node *pipe, const char *context)
{
	if (!pipe->kids)
		return fail(p, "missing value for %s", context);
	for (guint i = 1; i < pipe->kids->len; i++) {
		const struct node *command = pipe->kids->pdata[i];
		const struct node *first = command->kids->pdata[0];

		if (first->type == NODE_CONSTANT || first->type == NODE_NIL ||
			first->type == NODE_DOT)
			return fail(p, "non executable command in pipeline stage %u", i + 1);
	}
	return 0;
}

static int parse_pipeline(
	struct parser *p, const char *context, enum token_type close, struct node **ret)
{
	_cleanup_(node_freep) struct node *n = node_new(p, NODE_PIPE, peek_solid(p));
	int r;

	n->end = n->start;
	r = parse_declarations(p, n, context);
	while (r == 0) {
		struct node *command = NULL;
		const struct token *k = peek_solid(p);

		if (k->type == close) {
			n->end = MAX(n->end, close == TOK_RPAREN ? k->end : n->end);
			p->at++;
			r = check_pipeline(p, n, context);
			break;
		}
		if (k->type == TOK_CLOSE || k->type == TOK_RPAREN || k->type == TOK_EOF ||
			k->type == TOK_PIPE || k->type == TOK_ASSIGN || k->type == TOK_DECLARE ||
			k->type == TOK_COMMA) {
			p->at++;
			return unexpected(p, k, context);
		}
		r = parse_command(p, &command);
		if (command)
			add_kid(n, command);
	}
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&n);
	return 0;
}

/* --- actions ----------------------------------------------------------------------------------------- */

static int parse_list(struct parser *p, bool top, struct node **ret, enum list_end *ret_end);

static int parse_control(
	struct parser *p, const char *context, enum node_type type, struct node **ret);

/* After {{else: "if" and "with" go on without an {{end}} of their own. */
static int parse_else(struct parser *p, struct node *n, const char *context)
{
	const struct token *k = peek_solid(p);
	enum list_end end;
	struct node *more = NULL;
	int r;

	if (n->type != NODE_RANGE && is_word(p, k, context)) {
		p->at++;
		n->otherwise = node_new(p, NODE_LIST, k);
		r = parse_control(p, context, n->type, &more);
		if (more)
			add_kid(n->otherwise, more);
		return r;
	}
	r = expect_close(p, "else");
	if (r < 0)
		return r;
	r = parse_list(p, false, &n->otherwise, &end);
	if (r < 0)
		return r;
	return end == END_END ? expect_close(p, "end") : fail(p, "expected end; found {{else}}");
}

/* if, with, range: after the word. */
static int parse_control(
	struct parser *p, const char *context, enum node_type type, struct node **ret)
{
	_cleanup_(node_freep) struct node *n = node_new(p, type, token_at(p, p->at - 1));
	guint vars = p->vars->len;
	enum list_end end = END_EOF;
	int r = enter(p);

	if (r == 0)
		r = parse_pipeline(p, context, TOK_CLOSE, &n->pipe);
	p->ranges += type == NODE_RANGE;
	if (r == 0)
		r = parse_list(p, false, &n->list, &end);
	p->ranges -= type == NODE_RANGE;
	if (r == 0)
		r = end == END_ELSE ? parse_else(p, n, context) : expect_close(p, "end");
	g_ptr_array_set_size(p->vars, (gint)vars);
	p->depth--;
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&n);
	return 0;
}

static int parse_name(struct parser *p, const char *context, char **ret)
{
	const struct token *k = next_solid(p);
	json_t *value;
	int r;

	if (k->type != TOK_STRING && k->type != TOK_RAW_STRING)
		return unexpected(p, k, context);
	r = tmpl_literal(p->t->text, k, &value, p->e);
	if (r < 0)
		return r;
	*ret = g_strdup(json_string_value(value));
	json_decref(value);
	return 0;
}

static bool list_empty(const struct tmpl *t, const struct node *list)
{
	for (guint i = 0; list->kids && i < list->kids->len; i++) {
		const struct node *kid = list->kids->pdata[i];

		if (kid->type != NODE_TEXT || kid->text[strspn(kid->text, " \t\r\n")])
			return false;
	}
	return true;
}

/* The list up to {{end}} as the template `name`, which is taken over. */
static int parse_body(struct parser *p, char *name)
{
	_cleanup_(node_freep) struct node *list = NULL;
	g_autofree char *own = name;
	GPtrArray *outer = p->vars;
	int ranges = p->ranges, r = enter(p);
	enum list_end end = END_EOF;
	struct node *before;

	p->vars = g_ptr_array_new();
	g_ptr_array_add(p->vars, (char *)"$");
	p->ranges = 0;
	if (r == 0)
		r = parse_list(p, false, &list, &end);
	if (r == 0)
		r = end == END_END ? expect_close(p, "end") : fail(p, "unexpected {{else}}");
	g_ptr_array_free(p->vars, TRUE);
	p->vars = outer;
	p->ranges = ranges;
	p->depth--;
	if (r < 0)
		return r;
	before = g_hash_table_lookup(p->t->defined, name);
	if (before && !list_empty(p->t, before)) {
		if (list_empty(p->t, list))
			return 0;
		return fail(p, "multiple definition of template \"%s\"", name);
	}
	g_hash_table_replace(p->t->defined, g_steal_pointer(&own), g_steal_pointer(&list));
	return 0;
}

static int parse_define(struct parser *p)
{
	char *name = NULL;
	int r = parse_name(p, "define clause", &name);

	if (r == 0)
		r = expect_close(p, "define clause");
	if (r < 0) {
		g_free(name);
		return r;
	}
	return parse_body(p, name);
}

static int parse_template(struct parser *p, bool block, struct node **ret)
{
	const char *context = block ? "block clause" : "template clause";
	_cleanup_(node_freep) struct node *n = node_new(p, NODE_TEMPLATE, token_at(p, p->at - 1));
	int r = parse_name(p, context, &n->text);

	if (r < 0)
		return r;
	if (!block && peek_solid(p)->type == TOK_CLOSE)
		p->at++;
	else
		r = parse_pipeline(p, context, TOK_CLOSE, &n->pipe);
	if (r == 0 && block)
		r = parse_body(p, g_strdup(n->text));
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&n);
	return 0;
}

static int parse_jump(struct parser *p, enum node_type type, const char *word, struct node **ret)
{
	if (!p->ranges)
		return fail(p, "{{%s}} outside {{range}}", word);
	*ret = node_new(p, type, token_at(p, p->at - 1));
	return expect_close(p, word);
}

/* After "{{". *ret stays NULL for what leaves no node; *ret_end is set at {{end}} and {{else}}. */
static int parse_action(struct parser *p, bool top, struct node **ret, enum list_end *ret_end)
{
	const struct token *k = peek_solid(p);
	int r;

	p->at++;
	if (is_word(p, k, "if"))
		return parse_control(p, "if", NODE_IF, ret);
	if (is_word(p, k, "with"))
		return parse_control(p, "with", NODE_WITH, ret);
	if (is_word(p, k, "range"))
		return parse_control(p, "range", NODE_RANGE, ret);
	if (is_word(p, k, "template") || is_word(p, k, "block"))
		return parse_template(p, is_word(p, k, "block"), ret);
	if (is_word(p, k, "define"))
		return top ? parse_define(p) : unexpected(p, k, "command");
	if (is_word(p, k, "break"))
		return parse_jump(p, NODE_BREAK, "break", ret);
	if (is_word(p, k, "continue"))
		return parse_jump(p, NODE_CONTINUE, "continue", ret);
	if (is_word(p, k, "end") || is_word(p, k, "else")) {
		*ret_end = is_word(p, k, "end") ? END_END : END_ELSE;
		return 0;
	}
	p->at--;
	*ret = node_new(p, NODE_ACTION, k);
	r = parse_pipeline(p, "command", TOK_CLOSE, &(*ret)->pipe);
	return r;
}

/* Up to and with the word of {{end}} or {{else}}; at the top up to the end of the text. */
static int parse_list(struct parser *p, bool top, struct node **ret, enum list_end *ret_end)
{
	_cleanup_(node_freep) struct node *list = node_new(p, NODE_LIST, peek(p));

	*ret_end = END_EOF;
	while (*ret_end == END_EOF) {
		_cleanup_(node_freep) struct node *n = NULL;
		const struct token *k = next(p);
		int r;

		if (k->type == TOK_EOF) {
			if (!top)
				return fail(p, "unexpected EOF");
			break;
		}
		if (k->type == TOK_TEXT) {
			n = node_new(p, NODE_TEXT, k);
			n->text = token_text(p, k);
		} else {
			r = parse_action(p, top, &n, ret_end);
			if (r < 0)
				return r;
		}
		if (n)
			add_kid(list, g_steal_pointer(&n));
	}
	if (top && *ret_end != END_EOF)
		return fail(p, "unexpected {{%s}}", *ret_end == END_END ? "end" : "else");
	*ret = g_steal_pointer(&list);
	return 0;
}

int tmpl_parse(const char *text, struct tmpl **ret, struct err *e)
{
	_cleanup_(tmpl_freep) struct tmpl *t = g_new0(struct tmpl, 1);
	struct parser p = { .t = t, .e = e };
	enum list_end end;
	int r;

	t->text = g_strdup(text);
	t->defined = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, node_free_any);
	r = tmpl_lex(t->text, &p.tokens, e);
	if (r < 0)
		return r;
	p.vars = g_ptr_array_new();
	g_ptr_array_add(p.vars, (char *)"$");
	r = parse_list(&p, true, &t->root, &end);
	g_ptr_array_free(p.vars, TRUE);
	g_array_free(p.tokens, TRUE);
	if (r < 0)
		return r;
	*ret = g_steal_pointer(&t);
	return 0;
}

void tmpl_free(struct tmpl *t)
{
	if (!t)
		return;
	node_free(t->root);
	if (t->defined)
		g_hash_table_destroy(t->defined);
	g_free(t->text);
	g_free(t);
}

void tmpl_freep(struct tmpl **t)
{
	tmpl_free(*t);
}
