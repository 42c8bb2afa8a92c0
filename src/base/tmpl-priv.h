/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TMPL_PRIV_H
#define LODGE_TMPL_PRIV_H

/*
 * What the tmpl-*.c files share: tokens, the tree, values.
 *
 * A value is a json_t: integer (Go's int), real (float64), string, boolean, array ([]interface {}), object
 * (map[string]interface {}), null (nil). A NULL pointer is Go's invalid value: a key that isn't there.
 */

#include <stdbool.h>
#include "base/tmpl.h"

#define TMPL_DEPTH_MAX	   64	      /* nested actions, parentheses, templates in templates */
#define TMPL_RUN_DEPTH_MAX 1024	      /* nodes in nodes while running */
#define TMPL_STEPS_MAX	   10000000   /* nodes walked: "range 1000000000" ends */
#define TMPL_OUT_MAX	   (16 << 20) /* bytes, of the output and of any string */
#define TMPL_WIDTH_MAX	   1000000    /* of printf's width and precision, as Go */

/* --- tmpl-lex.c -------------------------------------------------------------------------------------- */

enum token_type {
	TOK_EOF,
	TOK_TEXT,
	TOK_OPEN,  /* {{ */
	TOK_CLOSE, /* }} */
	TOK_SPACE,
	TOK_DOT,
	TOK_FIELD,    /* .Name; the name is the text without the dot */
	TOK_VARIABLE, /* $name */
	TOK_WORD,     /* an identifier or keyword */
	TOK_NUMBER,
	TOK_CHAR,
	TOK_STRING,
	TOK_RAW_STRING,
	TOK_PIPE,
	TOK_LPAREN,
	TOK_RPAREN,
	TOK_COMMA,
	TOK_ASSIGN,  /* = */
	TOK_DECLARE, /* := */
};

struct token {
	enum token_type type;
	size_t start, end; /* in the text */
};

/* Where an offset is: line from 1, column in bytes from 0, as Go counts. */
void tmpl_position(const char *text, size_t offset, int *ret_line, int *ret_column);
/* All tokens of the text, the last one TOK_EOF. *ret: g_array_free. */
int tmpl_lex(const char *text, GArray **ret, struct err *e);
/* The value of a literal in Go's syntax, new. e gets "template: :LINE: ...". */
int tmpl_literal(const char *text, const struct token *token, json_t **ret, struct err *e);

/* --- tmpl-parse.c ------------------------------------------------------------------------------------ */

enum node_type {
	NODE_LIST,     /* kids */
	NODE_TEXT,     /* text */
	NODE_ACTION,   /* pipe */
	NODE_IF,       /* pipe, list, otherwise */
	NODE_WITH,     /* the same */
	NODE_RANGE,    /* the same */
	NODE_TEMPLATE, /* text: the name; pipe or NULL */
	NODE_BREAK,
	NODE_CONTINUE,
	NODE_PIPE,     /* kids: commands; names: variables set */
	NODE_COMMAND,  /* kids: the function or value, and its arguments */
	NODE_CONSTANT, /* value */
	NODE_NIL,
	NODE_DOT,
	NODE_FIELD,    /* names */
	NODE_VARIABLE, /* text: "$x"; names: fields of it */
	NODE_CHAIN,    /* kids[0]: a pipe in parentheses; names: fields of it */
	NODE_FUNCTION, /* fn */
};

struct node {
	enum node_type type;
	size_t start, end; /* in the text, for messages */
	char *text;
	json_t *value;
	GPtrArray *names; /* char * */
	GPtrArray *kids;  /* struct node * */
	struct node *pipe, *list, *otherwise;
	const struct tmpl_fn *fn;
	bool assigns; /* pipe: "=", not ":=" */
};

struct tmpl {
	char *text;
	struct node *root;
	GHashTable *defined; /* name -> struct node *, a list */
};

/* --- tmpl-fmt.c -------------------------------------------------------------------------------------- */

/* Go's fmt over values: %v of one, Sprint, Sprintln, Sprintf. -E_LIMIT when out grows beyond the limit. */
void tmpl_show(GString *out, const json_t *v);
void tmpl_print(GString *out, json_t *const *args, size_t n);
void tmpl_println(GString *out, json_t *const *args, size_t n);
int tmpl_printf(GString *out, const char *format, json_t *const *args, size_t n);
/* "int", "map[string]interface {}" */
const char *tmpl_type_name(const json_t *v);
/* One line of JSON as Go's encoder without HTML escapes writes it; keys in the order they have. */
void tmpl_json(GString *out, const json_t *v);
/* --- tmpl-fn.c --------------------------------------------------------------------------------------- */

struct tmpl_call {
	json_t **args; /* borrowed; NULL is the invalid value */
	size_t n;
	unsigned flags; /* tmpl_run's */
	char *why;	/* set on failure, g_free: what is wrong */
	json_t *result; /* new, or NULL */
};

struct tmpl_fn {
	const char *name;
	size_t min, max;		    /* arguments; max 0: any number */
	int (*run)(struct tmpl_call *call); /* 0 or a code and why */
	bool lazy;	   /* "and", "or": the executor stops at the first answer */
	bool heading_kept; /* a table's heading passes through unchanged */
};

const struct tmpl_fn *tmpl_fn_find(const char *name);
/* Go's truth: false, 0, nil and what is empty are not. */
bool tmpl_truth(const json_t *v);

#endif
