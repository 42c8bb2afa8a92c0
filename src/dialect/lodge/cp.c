/* SPDX-License-Identifier: MIT */
/* cp, diff, export: docker-cli's reference, "container cp" and so on. */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "dialect/lodge/lodge.h"

/* --- cp ------------------------------------------------------------------------------------------------ */

struct cp_args {
	bool archive, follow;
};

static const struct opt cp_opts[] = { OPT_FLAG('a', "archive", struct cp_args, archive,
					      "keep owners"),
	OPT_FLAG('L', "follow-link", struct cp_args, follow, "copy what a link at SOURCE leads to"),
	OPT_END };

/* "GUEST:PATH", and not a path of the host: those with a colon begin with "/" or ".". */
static bool split_guest(const char *word, char **ret_guest, const char **ret_path)
{
	const char *colon = strchr(word, ':');

	if (!colon || colon == word || word[0] == '/' || word[0] == '.')
		return false;
	*ret_guest = g_strndup(word, colon - word);
	*ret_path = colon + 1;
	return true;
}

static int cp_run(struct cmd_call *call, struct err *e)
{
	const struct cp_args *a = call->args;
	g_autofree char *from = NULL, *to = NULL;
	const char *source = call->operands[0], *target = call->operands[1];
	_cleanup_(guest_freep) struct guest *g = NULL;
	bool out = split_guest(source, &from, &source), in = split_guest(target, &to, &target);
	int r;

	if (out && in)
		return err_set(e, -E_USAGE, "copying between guests is not supported");
	if (!out && !in) {
		err_set(e, -E_USAGE, "neither '%s' nor '%s' is in a guest", source, target);
		err_mend(e, "write GUEST:PATH");
		return -E_USAGE;
	}
	r = guest_get(call->c, NULL, out ? from : to, &g, e);
	if (r < 0)
		return r;
	if (out && g_str_equal(target, "-") && isatty(STDOUT_FILENO) && !call->c->explain)
		return err_set(e, -E_INVALID, "refusing to write a tar archive to a terminal");
	if (out)
		return guest_copy_out(call->c, g, source, target, a->follow, a->archive, e);
	return guest_copy_in(call->c, g, source, target, a->follow, a->archive, e);
}

const struct cmd lodge_cp = {
	CMD_FILE,
	.name = "cp",
	.run = cp_run,
	.opts = cp_opts,
	.args_size = sizeof(struct cp_args),
	.brief = "copy files between a guest and the host",
	.synopsis = "[OPTIONS] GUEST:SOURCE TARGET|-  or  SOURCE|- GUEST:TARGET",
	.details = "A folder is copied whole; SOURCE/. stands for what is in it. With - a tar "
		   "archive is "
		   "written to standard output or read from standard input.",
	.examples = "lodge cp web:/etc/nginx .   # a folder, out\n"
		    "lodge cp index.html web:/srv/   # a file, in\n",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_cp,
};

/* --- diff ------------------------------------------------------------------------------------------------ */

struct diff_args {
	char *format;
};

static const struct opt diff_opts[] = {
	OPT_STRING(0, "format", struct diff_args, format, "FORMAT", complete_none, "json"), OPT_END
};

static int diff_run(struct cmd_call *call, struct err *e)
{
	static const char letters[] = "CAD";
	const struct diff_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	json_t *all = NULL, *one;
	size_t i;
	int r;

	if (a->format && !g_str_equal(a->format, "json"))
		return err_set(e, -E_USAGE, "invalid format '%s': there is json", a->format);
	r = guest_get(call->c, NULL, call->operands[0], &g, e);
	if (r >= 0)
		r = guest_diff(call->c, g, &all, e);
	if (r < 0)
		return r;
	if (a->format) {
		(void)json_dumpf(all, stdout, JSON_COMPACT);
		(void)putchar('\n');
	} else {
		json_array_foreach(all, i, one)
			printf("%c %s\n", letters[json_integer_value(json_object_get(one, "Kind"))],
				json_string_value(json_object_get(one, "Path")));
	}
	json_decref(all);
	return 0;
}

const struct cmd lodge_diff = {
	CMD_FILE,
	.name = "diff",
	.run = diff_run,
	.opts = diff_opts,
	.args_size = sizeof(struct diff_args),
	.brief = "what a guest has added (A), changed (C) and deleted (D)",
	.synopsis = "[OPTIONS] GUEST",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
	.complete = complete_guest,
};

/* --- export ------------------------------------------------------------------------------------------------- */

struct export_args {
	char *output;
};

static const struct opt export_opts[] = { OPT_STRING('o', "output", struct export_args, output,
						  "FILE", complete_file,
						  "instead of standard output"),
	OPT_END };

static int export_run(struct cmd_call *call, struct err *e)
{
	const struct export_args *a = call->args;
	_cleanup_(guest_freep) struct guest *g = NULL;
	_cleanup_close_ int fd = -1;
	g_autofree char *part = NULL;
	int r;

	r = guest_get(call->c, NULL, call->operands[0], &g, e);
	if (r < 0)
		return r;
	if (!a->output) {
		if (isatty(STDOUT_FILENO) && !call->c->explain) {
			err_set(e, -E_INVALID, "refusing to write a tar archive to a terminal");
			err_mend(e, "use --output");
			return -E_INVALID;
		}
		return guest_export(call->c, g, STDOUT_FILENO, e);
	}
	if (call->c->explain)
		return guest_export(call->c, g, -1, e);
	part = g_strconcat(a->output, ".part", NULL);
	fd = RET_NERRNO(open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	if (fd < 0)
		return err_sys(e, fd, "cannot write '%s'", part);
	r = guest_export(call->c, g, fd, e);
	if (r >= 0 && rename(part, a->output) < 0)
		r = err_sys(e, -errno, "cannot write '%s'", a->output);
	if (r < 0)
		(void)unlink(part);
	return r;
}

const struct cmd lodge_export = {
	CMD_FILE,
	.name = "export",
	.run = export_run,
	.opts = export_opts,
	.args_size = sizeof(struct export_args),
	.brief = "a guest's whole root as a tar archive",
	.synopsis = "[OPTIONS] GUEST",
	.examples = "lodge export -o web.tar web   # then: lodge image import web.tar web:copy\n",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
	.complete = complete_guest,
};
