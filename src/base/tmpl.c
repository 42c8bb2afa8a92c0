/* SPDX-License-Identifier: MIT */

/* Go's text/template: running a tree. */

#include <string.h>
#include "base/tmpl-priv.h"

struct variable {
	const char *name; /* the tree's */
	json_t *value;	  /* own reference, or NULL */
};

struct run {
	const struct tmpl *t;
	unsigned flags;
	GString *out;
	gsize out_start;
	const char *name; /* of the template that runs */
	GArray *vars;	  /* struct variable */
	guint vars_start; /* of this template */
	int depth;
	int64_t steps;
	struct err *e;
};

/* What a walk returns beside 0 and codes. */
enum {
	WALK_BREAK = 1,
	WALK_CONTINUE = 2
};

#define CONTEXT_MAX 20 /* characters of the template in a message, as Go */

static int fail(struct run *x, const struct node *at, const char *fmt, ...) _printf_(3, 4);

static int fail(struct run *x, const struct node *at, const char *fmt, ...)
{
	int line, column, n = (int)(at->end - at->start);
	va_list ap;

	tmpl_position(x->t->text, at->start, &line, &column);
	va_start(ap, fmt);
	err_vset(x->e, -E_INVALID, fmt, ap);
	va_end(ap);
	err_prefix(x->e, "template: :%d:%d: executing \"%.64s\" at <%.*s%s>", line, column, x->name,
		MIN(n, CONTEXT_MAX), x->t->text + at->start, n > CONTEXT_MAX ? "..." : "");
	return -E_INVALID;
}

static int over_limit(struct run *x, const char *what)
{
	return err_set(x->e, -E_LIMIT, "template: %s", what);
}

static int step(struct run *x)
{
	if (++x->steps > TMPL_STEPS_MAX)
		return over_limit(x, "too many steps");
	if (x->out->len - x->out_start > TMPL_OUT_MAX)
		return over_limit(x, "too much output");
	if (x->depth > TMPL_RUN_DEPTH_MAX)
		return over_limit(x, "templates are nested too deeply");
	return 0;
}

static bool is_nil(const json_t *v)
{
	return !v || json_is_null(v);
}

/* --- variables --------------------------------------------------------------------------------------- */

/* Takes value. */
static void push_var(struct run *x, const char *name, json_t *value)
{
	struct variable v = { name, value };

	g_array_append_val(x->vars, v);
}

static void pop_vars(struct run *x, guint mark)
{
	while (x->vars->len > mark) {
		json_decref(g_array_index(x->vars, struct variable, x->vars->len - 1).value);
		g_array_set_size(x->vars, x->vars->len - 1);
	}
}

static struct variable *find_var(struct run *x, const char *name)
{
	for (guint i = x->vars->len; i > x->vars_start; i--) {
		struct variable *v = &g_array_index(x->vars, struct variable, i - 1);

		if (strcmp(v->name, name) == 0)
			return v;
	}
	return NULL;
}

/* --- values ------------------------------------------------------------------------------------------ */

static int eval_pipe(struct run *x, json_t *dot, const struct node *pipe, json_t **ret);

/* docker's Label(KEY): the value of a label, "" without it. */
static json_t *label_of(const json_t *labels, const char *key)
{
	g_auto(GStrv) pairs = NULL;
	json_t *found;
	size_t n = strlen(key);

	if (json_is_object(labels)) {
		found = json_object_get(labels, key);
		return found ? json_incref(found) : json_string("");
	}
	pairs = g_strsplit(json_string_value(labels), ",", -1);
	for (char **p = pairs; *p; p++)
		if (strncmp(*p, key, n) == 0 && (*p)[n] == '=')
			return json_string_nocheck(*p + n + 1);
	return json_string("");
}

/* "com.example.some-name" heads its column as "SOME NAME". */
static json_t *label_heading(const char *key)
{
	const char *last = strrchr(key, '.');
	g_autofree char *text = g_ascii_strup(last ? last + 1 : key, -1);

	return json_string_nocheck(g_strdelimit(text, "-_", ' '));
}

/* A method call with arguments; Label is the only one there is. */
static int call_method(struct run *x, const struct node *at, const json_t *receiver,
	const char *name, json_t **args, size_t n, json_t **ret)
{
	const json_t *labels = json_object_get(receiver, "Labels");
	bool heading = x->flags & TMPL_HEADINGS;

	if (strcmp(name, "Label") != 0 ||
		(!heading && !json_is_object(labels) && !json_is_string(labels)))
		return fail(x, at, "%s is not a method but has arguments", name);
	if (n != 1 || !json_is_string(args[0]))
		return fail(x, at, "Label wants one string");
	*ret = heading ? label_heading(json_string_value(args[0]))
		       : label_of(labels, json_string_value(args[0]));
	return 0;
}

/* One field. */
static int get_field(struct run *x, const struct node *at, const json_t *receiver, const char *name,
	json_t **ret)
{
	json_t *v;

	if (!receiver && (x->flags & TMPL_MISSING_NOVALUE)) {
		*ret = NULL;
		return 0;
	}
	if (is_nil(receiver))
		return fail(x, at,
			receiver ? "nil pointer evaluating interface {}.%s"
				 : "nil data; no entry for key \"%s\"",
			name);
	if (!json_is_object(receiver))
		return fail(x, at, "can't evaluate field %s in type %s", name,
			tmpl_type_name(receiver));
	v = json_object_get(receiver, name);
	if (!v && !(x->flags & TMPL_MISSING_NOVALUE))
		return fail(x, at, "map has no entry for key \"%s\"", name);
	*ret = json_incref(v);
	return 0;
}

/* The fields of v, which is taken, one after another; the last one gets the arguments. */
static int get_fields(
	struct run *x, const struct node *n, json_t *v, json_t **args, size_t n_args, json_t **ret)
{
	for (guint i = 0; n->names && i < n->names->len; i++) {
		const char *name = n->names->pdata[i];
		json_t *field = NULL;
		int r;

		if (n_args && i == n->names->len - 1)
			r = call_method(x, n, v, name, args, n_args, &field);
		else
			r = get_field(x, n, v, name, &field);
		json_decref(v);
		if (r < 0)
			return r;
		v = field;
	}
	*ret = v;
	return 0;
}

static int no_arguments(struct run *x, const struct node *n, size_t n_args)
{
	if (!n_args)
		return 0;
	return fail(x, n, "can't give argument to non-function %.*s", (int)(n->end - n->start),
		x->t->text + n->start);
}

/* --- functions --------------------------------------------------------------------------------------- */

static int eval_operand(struct run *x, json_t *dot, const struct node *n, json_t **args,
	size_t n_args, json_t **ret);

/* "and", "or": stops at the first answer. The value piped in is the last argument. */
static int call_lazy(struct run *x, json_t *dot, const struct node *command, json_t *final,
	bool has_final, bool is_or, json_t **ret)
{
	json_t *v = NULL;

	for (guint i = 1; i < command->kids->len; i++) {
		int r;

		json_decref(v);
		v = NULL;
		r = eval_operand(x, dot, command->kids->pdata[i], NULL, 0, &v);
		if (r < 0)
			return r;
		if (tmpl_truth(v) == is_or) {
			*ret = v;
			return 0;
		}
	}
	if (has_final) {
		json_decref(v);
		v = json_incref(final);
	}
	*ret = v;
	return 0;
}

static int call_function(struct run *x, const struct node *at, const struct tmpl_fn *fn,
	json_t **args, size_t n, json_t **ret)
{
	struct tmpl_call call = { .args = args, .n = n, .flags = x->flags };
	int r;

	if ((x->flags & TMPL_HEADINGS) && fn->heading_kept && n && json_is_string(args[0])) {
		*ret = json_incref(args[0]);
		return 0;
	}
	r = fn->run(&call);
	if (r < 0) {
		fail(x, at, "error calling %s: %s", fn->name, call.why);
		if (x->e)
			x->e->code = r;
		g_free(call.why);
		json_decref(call.result);
		return r;
	}
	*ret = call.result;
	return 0;
}

static int check_count(struct run *x, const struct node *at, const struct tmpl_fn *fn, size_t n)
{
	if (n >= fn->min && (!fn->max || n <= fn->max))
		return 0;
	return fail(x, at, "wrong number of args for %s: want %s%zu got %zu", fn->name,
		fn->max == fn->min ? ""
		: n < fn->min	   ? "at least "
				   : "at most ",
		n < fn->min ? fn->min : fn->max, n);
}

static void free_value(void *v)
{
	json_decref(v);
}

/* The arguments of a command, and what is piped in. */
static int eval_args(struct run *x, json_t *dot, const struct node *command, json_t *final,
	bool has_final, GPtrArray *args)
{
	for (guint i = 1; i < command->kids->len; i++) {
		json_t *v = NULL;
		int r = eval_operand(x, dot, command->kids->pdata[i], NULL, 0, &v);

		if (r < 0)
			return r;
		g_ptr_array_add(args, v);
	}
	if (has_final)
		g_ptr_array_add(args, json_incref(final));
	return 0;
}

/* A value, or a function or method with its arguments. */
static int eval_operand(struct run *x, json_t *dot, const struct node *n, json_t **args,
	size_t n_args, json_t **ret)
{
	struct variable *v;
	json_t *base = NULL;
	int r = 0;

	switch (n->type) {
	case NODE_FIELD:
		return get_fields(x, n, json_incref(dot), args, n_args, ret);
	case NODE_VARIABLE:
		v = find_var(x, n->text);
		if (!v)
			return fail(x, n, "undefined variable: %s", n->text);
		if (!n->names)
			r = no_arguments(x, n, n_args);
		return r < 0 ? r : get_fields(x, n, json_incref(v->value), args, n_args, ret);
	case NODE_CHAIN:
		r = eval_operand(x, dot, n->kids->pdata[0], NULL, 0, &base);
		return r < 0 ? r : get_fields(x, n, base, args, n_args, ret);
	case NODE_FUNCTION:
		r = check_count(x, n, n->fn, n_args);
		return r < 0 ? r : call_function(x, n, n->fn, args, n_args, ret);
	default:
		break;
	}
	r = no_arguments(x, n, n_args);
	if (r < 0)
		return r;
	if (n->type == NODE_PIPE)
		return eval_pipe(x, dot, n, ret);
	if (n->type == NODE_NIL)
		*ret = json_null();
	else
		*ret = json_incref(n->type == NODE_DOT ? dot : n->value);
	return 0;
}

static int eval_command(struct run *x, json_t *dot, const struct node *command, json_t *final,
	bool has_final, json_t **ret)
{
	const struct node *first = command->kids->pdata[0];
	const struct tmpl_fn *fn = first->type == NODE_FUNCTION ? first->fn : NULL;
	size_t n = command->kids->len - 1 + has_final;
	GPtrArray *args;
	int r;

	if (first->type == NODE_NIL)
		return fail(x, first, "nil is not a command");
	r = fn ? check_count(x, command, fn, n) : 0;
	if (r < 0)
		return r;
	if (fn && fn->lazy)
		return call_lazy(
			x, dot, command, final, has_final, strcmp(fn->name, "or") == 0, ret);
	if (!n)
		return eval_operand(x, dot, first, NULL, 0, ret);
	args = g_ptr_array_new_with_free_func(free_value);
	r = eval_args(x, dot, command, final, has_final, args);
	if (r == 0 && fn)
		r = call_function(x, command, fn, (json_t **)args->pdata, args->len, ret);
	else if (r == 0)
		r = eval_operand(x, dot, first, (json_t **)args->pdata, args->len, ret);
	g_ptr_array_free(args, TRUE);
	return r;
}

/* The value of the last command, without setting variables. */
static int eval_commands(struct run *x, json_t *dot, const struct node *pipe, json_t **ret)
{
	json_t *v = NULL;
	int r = 0;

	x->depth++;
	for (guint i = 0; r == 0 && i < pipe->kids->len; i++) {
		json_t *next = NULL;

		r = step(x);
		if (r == 0)
			r = eval_command(x, dot, pipe->kids->pdata[i], v, i > 0, &next);
		json_decref(v);
		v = next;
	}
	x->depth--;
	*ret = v;
	return r;
}

static int set_var(struct run *x, const struct node *pipe, const char *name, json_t *value)
{
	struct variable *v;

	if (!pipe->assigns) {
		push_var(x, name, json_incref(value));
		return 0;
	}
	v = find_var(x, name);
	if (!v)
		return fail(x, pipe, "undefined variable: %s", name);
	json_decref(v->value);
	v->value = json_incref(value);
	return 0;
}

static int eval_pipe(struct run *x, json_t *dot, const struct node *pipe, json_t **ret)
{
	json_t *v = NULL;
	int r = eval_commands(x, dot, pipe, &v);

	for (guint i = 0; r == 0 && pipe->names && i < pipe->names->len; i++)
		r = set_var(x, pipe, pipe->names->pdata[i], v);
	if (r < 0) {
		json_decref(v);
		return r;
	}
	*ret = v;
	return 0;
}

/* --- actions ----------------------------------------------------------------------------------------- */

static int walk(struct run *x, json_t *dot, const struct node *n);

static int walk_list(struct run *x, json_t *dot, const struct node *list)
{
	int r = 0;

	x->depth++;
	for (guint i = 0; r == 0 && list->kids && i < list->kids->len; i++)
		r = walk(x, dot, list->kids->pdata[i]);
	x->depth--;
	return r;
}

static int walk_action(struct run *x, json_t *dot, const struct node *n)
{
	json_t *v = NULL;
	int r = eval_pipe(x, dot, n->pipe, &v);

	if (r == 0 && !n->pipe->names) {
		if (is_nil(v))
			g_string_append(x->out, "<no value>");
		else
			tmpl_print(x->out, &v, 1);
	}
	json_decref(v);
	return r;
}

static int walk_if(struct run *x, json_t *dot, const struct node *n)
{
	guint mark = x->vars->len;
	json_t *v = NULL;
	int r = eval_pipe(x, dot, n->pipe, &v);

	if (r == 0 && tmpl_truth(v))
		r = walk_list(x, n->type == NODE_WITH ? v : dot, n->list);
	else if (r == 0 && n->otherwise)
		r = walk_list(x, dot, n->otherwise);
	json_decref(v);
	pop_vars(x, mark);
	return r;
}

/* One turn of a loop. Takes key; element is borrowed. */
static int range_turn(struct run *x, const struct node *n, json_t *key, json_t *element)
{
	const GPtrArray *names = n->pipe->names;
	guint mark = x->vars->len;
	int r = step(x);

	if (r == 0 && names && names->len > 1)
		r = set_var(x, n->pipe, names->pdata[0], key);
	if (r == 0 && names)
		r = set_var(x, n->pipe, names->pdata[names->len - 1], element);
	json_decref(key);
	if (r == 0)
		r = walk_list(x, element, n->list);
	pop_vars(x, mark);
	return r == WALK_CONTINUE ? 0 : r;
}

static int range_integer(struct run *x, const struct node *n, json_int_t count)
{
	int r = 0;

	if (n->pipe->names && n->pipe->names->len > 1)
		return fail(x, n,
			"can't use %" JSON_INTEGER_FORMAT " to iterate over more than one variable",
			count);
	for (json_int_t i = 0; r == 0 && i < count; i++) {
		json_t *v = json_integer(i);

		r = range_turn(x, n, NULL, v);
		json_decref(v);
	}
	return r;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int range_object(struct run *x, const struct node *n, json_t *object)
{
	GPtrArray *names = g_ptr_array_new();
	const char *name;
	json_t *v;
	int r = 0;

	json_object_foreach(object, name, v)
		g_ptr_array_add(names, (char *)name);
	g_ptr_array_sort(names, compare_names);
	for (guint i = 0; r == 0 && i < names->len; i++)
		r = range_turn(x, n, json_string_nocheck(names->pdata[i]),
			json_object_get(object, names->pdata[i]));
	g_ptr_array_free(names, TRUE);
	return r;
}

static int range_over(struct run *x, const struct node *n, json_t *v)
{
	int r = 0;

	if (json_is_array(v)) {
		for (size_t i = 0; r == 0 && i < json_array_size(v); i++)
			r = range_turn(x, n, json_integer((json_int_t)i), json_array_get(v, i));
		return r;
	}
	if (json_is_object(v))
		return range_object(x, n, v);
	return range_integer(x, n, json_integer_value(v));
}

static int walk_range(struct run *x, json_t *dot, const struct node *n)
{
	guint mark = x->vars->len;
	json_t *v = NULL;
	int r = eval_commands(x, dot, n->pipe, &v);

	if (r == 0 && !is_nil(v) && !json_is_array(v) && !json_is_object(v) &&
		!json_is_integer(v)) {
		g_autoptr(GString) text = g_string_new(NULL);

		tmpl_show(text, v);
		r = fail(x, n->pipe, "range can't iterate over %.64s", text->str);
	} else if (r == 0 &&
		   (tmpl_truth(v) && (!json_is_integer(v) || json_integer_value(v) > 0))) {
		r = range_over(x, n, v);
		r = r == WALK_BREAK ? 0 : r;
	} else if (r == 0 && n->otherwise) {
		r = walk_list(x, dot, n->otherwise);
	}
	json_decref(v);
	pop_vars(x, mark);
	return r;
}

static int run_list(struct run *x, const char *name, const struct node *list, json_t *dot)
{
	const char *outer_name = x->name;
	guint outer_start = x->vars_start, mark = x->vars->len;
	int r;

	x->name = name;
	x->vars_start = mark;
	push_var(x, "$", json_incref(dot));
	r = walk_list(x, dot, list);
	pop_vars(x, mark);
	x->vars_start = outer_start;
	x->name = outer_name;
	return r;
}

static int walk_template(struct run *x, json_t *dot, const struct node *n)
{
	const struct node *list = g_hash_table_lookup(x->t->defined, n->text);
	json_t *v = NULL;
	guint mark = x->vars->len;
	int r;

	if (!list)
		return fail(x, n, "template \"%s\" not defined", n->text);
	r = n->pipe ? eval_pipe(x, dot, n->pipe, &v) : 0;
	if (r == 0)
		r = run_list(x, n->text, list, v);
	json_decref(v);
	pop_vars(x, mark);
	return r;
}

static int walk(struct run *x, json_t *dot, const struct node *n)
{
	int r = step(x);

	if (r < 0)
		return r;
	switch (n->type) {
	case NODE_TEXT:
		g_string_append(x->out, n->text);
		return 0;
	case NODE_ACTION:
		return walk_action(x, dot, n);
	case NODE_IF:
	case NODE_WITH:
		return walk_if(x, dot, n);
	case NODE_RANGE:
		return walk_range(x, dot, n);
	case NODE_TEMPLATE:
		return walk_template(x, dot, n);
	case NODE_BREAK:
		return WALK_BREAK;
	case NODE_CONTINUE:
		return WALK_CONTINUE;
	default:
		return walk_list(x, dot, n);
	}
}

int tmpl_run(const struct tmpl *t, const json_t *data, unsigned flags, GString *out, struct err *e)
{
	struct run x = {
		.t = t,
		.flags = flags,
		.out = out,
		.out_start = out->len,
		.name = "",
		.vars = g_array_new(FALSE, FALSE, sizeof(struct variable)),
		.e = e,
	};
	int r;

	/* references are counted in the data, which stay as they are otherwise */
	r = run_list(&x, "", t->root, (json_t *)data);
	if (r == 0 && out->len - x.out_start > TMPL_OUT_MAX)
		r = over_limit(&x, "too much output");
	g_array_free(x.vars, TRUE);
	return r;
}
