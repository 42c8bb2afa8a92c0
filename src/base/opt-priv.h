/* SPDX-License-Identifier: MIT */
#ifndef LODGE_OPT_PRIV_H
#define LODGE_OPT_PRIV_H

/* What the opt-*.c files share. */

#include "base/opt.h"

#define CMD_DEPTH_MAX 8 /* groups in groups */

/* clang-format off */
#define FOREACH_OPT(o, command) \
	for (const struct opt *o = (command)->opts; o && o->type != OPT_T_END; o++)
#define FOREACH_SUB(s, group) \
	for (const struct cmd *const *s##_ = (group)->sub, *s = s##_ ? *s##_ : NULL; s; s = *++s##_)
/* clang-format on */

/* Needs a value, from the same word or the next. */
static inline bool opt_takes_value(const struct opt *o)
{
	return o->type != OPT_T_FLAG && o->type != OPT_T_TRISTATE && o->type != OPT_T_GROUP;
}

/* The sub-command of that name or alias, or NULL. */
const struct cmd *cmd_sub(const struct cmd *group, const char *name);
const struct opt *opt_by_letter(const struct cmd *cmd, char letter);
/* By the first n characters being the whole name. */
const struct opt *opt_by_name(const struct cmd *cmd, const char *name, size_t n);

/* What follows the name in the usage line; never NULL. */
const char *cmd_synopsis(const struct cmd *cmd);
/* One example of cmd->examples: *text moves on; false at the end. Both are g_free'd; what may be "". */
bool cmd_next_example(const char **text, char **ret_command, char **ret_what);
/* One paragraph of details: *text moves on; NULL at the end; g_free. Verbatim when it starts with a blank. */
char *cmd_next_paragraph(const char **text);

#endif
