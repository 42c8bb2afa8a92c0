/* SPDX-License-Identifier: MIT */
#include "base/opt-priv.h"

#include <string.h>
#include "base/units.h"

const struct opt_policy opt_policy_pflag = {
	.name = "pflag",
	.interspersed = true,
	.flag_values = true,
	.cluster_values = true,
	.bad_usage = "See '%s --help'.",
	.usage_status = 125,
};

const struct opt_policy opt_policy_getopt = {
	.name = "getopt",
	.interspersed = true,
	.abbreviate = true,
	.cluster_values = true,
	.bad_usage = "Try '%s --help' for more information.",
	.usage_status = 1,
};

static const struct opt help_row = { .name = "help", .type = OPT_T_FLAG };

struct parser {
	const struct cmd *cmd;
	const struct opt_policy *policy;
	int argc, i; /* i: the next word */
	char **argv;
	char *args;
	GPtrArray *operands;
	struct err *e;
};

/* getopt's wording; the other is pflag's. */
static bool gnu_words(const struct parser *p)
{
	return p->policy->abbreviate;
}

const struct opt *opt_by_letter(const struct cmd *cmd, char letter)
{
	FOREACH_OPT(o, cmd)
	if (o->letter && o->letter == letter)
		return o;
	return NULL;
}

const struct opt *opt_by_name(const struct cmd *cmd, const char *name, size_t n)
{
	FOREACH_OPT(o, cmd)
	if (o->name && strlen(o->name) == n && memcmp(o->name, name, n) == 0)
		return o;
	return NULL;
}

static int parse_bool(const char *s, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True", NULL };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False", NULL };

	*ret = g_strv_contains(yes, s);
	return *ret || g_strv_contains(no, s) ? 0 : -EINVAL;
}

static int bad_value(struct parser *p, const struct opt *o, const char *value, const char *why)
{
	char letter[] = { '-', o->letter, ',', ' ', '\0' };

	return err_set(p->e, -E_USAGE, "invalid argument \"%s\" for \"%s%s%s\" flag: %s", value,
		o->letter ? letter : "", o->name ? "--" : "", o->name ? o->name : "", why);
}

static int bad_bool(struct parser *p, const struct opt *o, const char *value)
{
	g_autofree char *why =
		p->policy->go_words
			? g_strdup_printf(
				  "strconv.ParseBool: parsing \"%s\": invalid syntax", value)
			: g_strdup("neither true nor false");

	return bad_value(p, o, value, why);
}

static void list_append(char ***list, const char *value)
{
	guint n = *list ? g_strv_length(*list) : 0;

	*list = g_renew(char *, *list, n + 2);
	(*list)[n] = g_strdup(value);
	(*list)[n + 1] = NULL;
}

/* value is NULL for a flag without one. */
static int set_value(struct parser *p, const struct opt *o, const char *value)
{
	void *field = p->args + o->offset;
	bool on = true;
	struct err why = { 0 };

	if (value && p->policy->check && p->policy->check(o, value, &why) < 0)
		return bad_value(p, o, value, why.text);
	switch (o->type) {
	case OPT_T_FLAG:
	case OPT_T_TRISTATE:
		if (value && parse_bool(value, &on) < 0)
			return bad_bool(p, o, value);
		if (o->type == OPT_T_FLAG)
			*(bool *)field = on;
		else
			*(int *)field = on;
		return 0;
	case OPT_T_STRING:
		g_free(*(char **)field);
		*(char **)field = g_strdup(value);
		return 0;
	case OPT_T_LIST:
		list_append(field, value);
		return 0;
	case OPT_T_INT:
		if (units_parse_int(value, INT64_MIN, INT64_MAX, field) < 0)
			return bad_value(p, o, value, "not a whole number");
		return 0;
	case OPT_T_SIZE:
		if (units_parse_size(value, field) < 0)
			return bad_value(p, o, value, "not a size such as 512m or 1.5g");
		return 0;
	case OPT_T_TIME:
		if (units_parse_duration(value, field) < 0)
			return bad_value(p, o, value, "not a time such as 10, 300ms or 1m30s");
		return 0;
	default:
		return err_set(p->e, -EINVAL, "option '--%s' has no type", o->name);
	}
}

/* The row for a long option's first n characters, by policy also a prefix that only one row has. */
static int find_long(struct parser *p, const char *name, size_t n, const struct opt **ret)
{
	const struct opt *found = opt_by_name(p->cmd, name, n);

	if (!found && p->policy->abbreviate) {
		FOREACH_OPT(o, p->cmd)
		{
			if (!o->name || strncmp(o->name, name, n) != 0)
				continue;
			if (found)
				return err_set(p->e, -E_USAGE, "option '--%.*s' is ambiguous",
					(int)n, name);
			found = o;
		}
	}
	*ret = found;
	return 0;
}

static bool is_help(const struct parser *p, const char *name, size_t n)
{
	if (n == 4 && memcmp(name, "help", 4) == 0)
		return true;
	return p->policy->abbreviate && n >= 1 && n < 4 && memcmp(name, "help", n) == 0;
}

static int unknown_long(struct parser *p, const char *name, size_t n)
{
	if (gnu_words(p))
		return err_set(p->e, -E_USAGE, "unrecognized option '--%s'", name);
	return err_set(p->e, -E_USAGE, "unknown flag: --%.*s", (int)n, name);
}

/* word: without the two dashes. */
static int parse_long(struct parser *p, const char *word)
{
	const char *equals = strchr(word, '=');
	const char *value = equals ? equals + 1 : NULL;
	size_t n = equals ? (size_t)(equals - word) : strlen(word);
	const struct opt *o = NULL;
	int r;

	if (n == 0 || *word == '-')
		return err_set(p->e, -E_USAGE, "bad flag syntax: --%s", word);
	r = find_long(p, word, n, &o);
	if (r < 0)
		return r;
	if (!o) {
		if (is_help(p, word, n) && (!value || p->policy->flag_values)) {
			bool on = true;

			if (value && parse_bool(value, &on) < 0)
				return bad_bool(p, &help_row, value);
			return on;
		}
		return unknown_long(p, word, n);
	}
	if (opt_takes_value(o)) {
		if (!value && p->i >= p->argc) {
			if (gnu_words(p))
				return err_set(p->e, -E_USAGE, "option '--%s' requires an argument",
					o->name);
			return err_set(p->e, -E_USAGE, "flag needs an argument: --%s", o->name);
		}
		if (!value)
			value = p->argv[p->i++];
	} else if (value && !p->policy->flag_values)
		return err_set(p->e, -E_USAGE, "option '--%s' doesn't allow an argument", o->name);
	return set_value(p, o, value);
}

static int short_needs_value(struct parser *p, const char *rest)
{
	if (gnu_words(p))
		return err_set(p->e, -E_USAGE, "option requires an argument -- '%c'", *rest);
	return err_set(p->e, -E_USAGE, "flag needs an argument: '%c' in -%s", *rest, rest);
}

/* "-itw/tmp": letters until one takes a value. rest: without the dash. */
static int parse_short(struct parser *p, const char *rest)
{
	for (; *rest; rest++) {
		const struct opt *o = opt_by_letter(p->cmd, *rest);
		const char *value = NULL;
		int r;

		if (!o && *rest == 'h')
			return 1;
		if (!o && gnu_words(p))
			return err_set(p->e, -E_USAGE, "invalid option -- '%c'", *rest);
		if (!o)
			return err_set(
				p->e, -E_USAGE, "unknown shorthand flag: '%c' in -%s", *rest, rest);
		if (p->policy->flag_values && rest[1] == '=' && rest[2])
			value = rest + 2;
		else if (opt_takes_value(o)) {
			if (rest[1] && !p->policy->cluster_values)
				return short_needs_value(p, rest);
			if (rest[1])
				value = rest + 1;
			else if (p->i < p->argc)
				value = p->argv[p->i++];
			else
				return short_needs_value(p, rest);
		}
		r = set_value(p, o, value);
		if (r < 0 || value)
			return r;
	}
	return 0;
}

static int parse_words(struct parser *p)
{
	bool mixed = p->policy->interspersed && !(p->cmd->flags & CMD_STOP_AT_OPERAND);
	int r;

	while (p->i < p->argc) {
		const char *word = p->argv[p->i++];

		if (strcmp(word, "--") == 0)
			break;
		if (word[0] != '-' || !word[1]) {
			g_ptr_array_add(p->operands, g_strdup(word));
			if (!mixed)
				break;
			continue;
		}
		r = word[1] == '-' ? parse_long(p, word + 2) : parse_short(p, word + 1);
		if (r != 0)
			return r;
	}
	while (p->i < p->argc)
		g_ptr_array_add(p->operands, g_strdup(p->argv[p->i++]));
	return 0;
}

static int check_operands(struct parser *p)
{
	int n = (int)p->operands->len, min = p->cmd->min_operands, max = p->cmd->max_operands;

	if (n >= min && (max < 0 || n <= max))
		return 0;
	if (max == 0)
		return err_set(p->e, -E_USAGE, "'%s' accepts no arguments", p->cmd->name);
	if (min == max)
		return err_set(p->e, -E_USAGE, "'%s' requires exactly %d argument%s, not %d",
			p->cmd->name, min, min == 1 ? "" : "s", n);
	if (n < min)
		return err_set(p->e, -E_USAGE, "'%s' requires at least %d argument%s", p->cmd->name,
			min, min == 1 ? "" : "s");
	return err_set(p->e, -E_USAGE, "'%s' accepts at most %d argument%s, not %d", p->cmd->name,
		max, max == 1 ? "" : "s", n);
}

int opt_parse(const struct cmd *cmd, const struct opt_policy *policy, int argc, char **argv,
	void *args, char ***ret_operands, int *ret_n, struct err *e)
{
	g_autoptr(GPtrArray) operands = g_ptr_array_new_with_free_func(g_free);
	struct parser p = {
		.cmd = cmd,
		.policy = policy,
		.argc = argc,
		.i = 1,
		.argv = argv,
		.args = args,
		.operands = operands,
		.e = e,
	};
	int r;

	*ret_operands = NULL;
	*ret_n = 0;
	FOREACH_OPT(o, cmd)
	if (o->type == OPT_T_TRISTATE)
		*(int *)(p.args + o->offset) = -1;
	if (cmd->defaults)
		cmd->defaults(args);
	r = parse_words(&p);
	if (r == 0 && !policy->uncounted)
		r = check_operands(&p);
	if (r != 0)
		return r;
	*ret_n = (int)operands->len;
	g_ptr_array_add(operands, NULL);
	*ret_operands = (char **)g_ptr_array_steal(operands, NULL);
	return 0;
}

void opt_args_clear(const struct cmd *cmd, void *args)
{
	FOREACH_OPT(o, cmd)
	{
		char *field = (char *)args + o->offset;

		if (o->type == OPT_T_STRING)
			g_clear_pointer((char **)field, g_free);
		else if (o->type == OPT_T_LIST)
			g_clear_pointer((char ***)field, g_strfreev);
	}
}
