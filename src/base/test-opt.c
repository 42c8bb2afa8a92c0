/* SPDX-License-Identifier: MIT */
#include <glib.h>
#include <glib/gstdio.h>
#include <jansson.h>
#include <string.h>
#include "base/ctx.h"
#include "base/opt.h"

struct run_args {
	bool tty, interactive, rm;
	char *name, *workdir;
	char **env;
	int64_t memory, pids, timeout;
	int init;
};

static void run_defaults(void *p)
{
	struct run_args *a = p;

	a->pids = 7;
	a->name = g_strdup("unnamed");
}

static void complete_guest(struct ctx *c, const char *word, FILE *out)
{
	(void)fputs("web\trunning\nweb2\ndb\n", out);
}

static const struct opt run_opts[] = {
	OPT_FLAG('t', "tty", struct run_args, tty, "allocate a terminal"),
	OPT_FLAG('i', "interactive", struct run_args, interactive, "keep standard input open"),
	OPT_FLAG(0, "rm", struct run_args, rm, "remove the guest when it ends"),
	OPT_STRING(0, "name", struct run_args, name, "NAME", complete_none, "name of the guest"),
	OPT_STRING('w', "workdir", struct run_args, workdir, "DIR", complete_file,
		"folder that the command starts in, which is made when the image hasn't got it"),
	OPT_GROUP("limits"),
	OPT_SIZE('m', "memory", struct run_args, memory, "BYTES", "most memory"),
	OPT_INT(0, "pids-limit", struct run_args, pids, "N", "most processes"),
	OPT_TIME(0, "timeout", struct run_args, timeout, "TIME", "how long to wait"),
	OPT_GROUP("environment"),
	OPT_LIST('e', "env", struct run_args, env, "NAME=VALUE", complete_none, "set a variable"),
	OPT_LIST(0, "from", struct run_args, env, "GUEST", complete_guest, "as that guest"),
	OPT_TRISTATE(0, "init", struct run_args, init, "run an init inside"),
	OPT_END,
};

/* What the last run saw; a test's own memory, the commands print it. */
static int run_run(struct cmd_call *call, struct err *e)
{
	struct run_args *a = call->args;

	printf("%s:", call->full_name);
	for (int i = 0; i < call->n_operands; i++)
		printf(" %s", call->operands[i]);
	printf(" tty=%d rm=%d memory=%d\n", a->tty, a->rm, (int)a->memory);
	return a->pids == 13 ? err_set(e, -E_NOTFOUND, "no such guest '%s'", a->name) : 3;
}

static int ls_run(struct cmd_call *call, struct err *e)
{
	printf("ls of %s\n", call->full_name);
	return 0;
}

static int use_run(struct cmd_call *call, struct err *e)
{
	err_set(e, -E_USAGE, "conflicting options");
	return err_mend(e, "leave one out");
}

static const struct cmd cmd_run = {
	.name = "run",
	.run = run_run,
	.opts = run_opts,
	.args_size = sizeof(struct run_args),
	.brief = "create and start a guest",
	.synopsis = "[OPTIONS] IMAGE [COMMAND [ARG...]]",
	.details = "A paragraph that is long enough to be filled over more than one line, since it "
		   "has "
		   "many words.\n\n  verbatim 'quoted' \\ line\n\n.dangerous request",
	.examples = "lodge run debian   # a shell\nlodge run -it debian bash",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_STOP_AT_OPERAND,
	.defaults = run_defaults,
	.complete = complete_guest,
};
static const struct cmd cmd_ls = {
	.name = "ls",
	.run = ls_run,
	.brief = "list images",
	.aliases = "list",
};
static const struct cmd cmd_use = {
	.name = "use", .run = use_run, .brief = "fail", .max_operands = 1
};
static const struct cmd cmd_secret = {
	.name = "secret",
	.run = ls_run,
	.brief = "not shown",
	.flags = CMD_HIDDEN,
};
static const struct cmd *const image_sub[] = { &cmd_ls, &cmd_use, NULL };
static const struct cmd cmd_image = {
	.name = "image", .brief = "work with images", .sub = image_sub
};
static const struct cmd *const root_sub[] = { &cmd_run, &cmd_image, &cmd_secret, NULL };
static const struct cmd root = { .name = "lodge", .brief = "host of guests", .sub = root_sub };

/* One run of the parser over words split at blanks; "_" stands for an empty word. */
struct parsed {
	int r, n;
	char **operands;
	struct run_args a;
	struct err e;
};

static void parse_with(
	struct parsed *p, const struct cmd *cmd, const struct opt_policy *policy, const char *line)
{
	g_auto(GStrv) argv = g_strsplit(line, " ", -1);

	memset(p, 0, sizeof(*p));
	for (char **w = argv; *w; w++)
		if (strcmp(*w, "_") == 0)
			**w = '\0';
	p->r = opt_parse(
		cmd, policy, (int)g_strv_length(argv), argv, &p->a, &p->operands, &p->n, &p->e);
	g_assert_true((p->r == 0) == (p->operands != NULL));
}

static void parsed_clear(struct parsed *p)
{
	opt_args_clear(&cmd_run, &p->a);
	g_strfreev(p->operands);
}

static void check_operands(const struct parsed *p, const char *want)
{
	g_autofree char *got = g_strjoinv(" ", p->operands);

	g_assert_cmpstr(got, ==, want);
}

static void test_values(void)
{
	struct parsed p;

	parse_with(&p, &cmd_run, &opt_policy_pflag,
		"run -it -ePATH=x -e A=b --env=C=d --env E --rm=false -w/tmp -m 512m "
		"--timeout=1m30s img");
	g_assert_cmpint(p.r, ==, 0);
	g_assert_true(p.a.tty && p.a.interactive && !p.a.rm);
	g_assert_cmpint(p.a.memory, ==, 512 << 20);
	g_assert_cmpint(p.a.timeout, ==, 90000000000);
	g_assert_cmpint(p.a.pids, ==, 7);
	g_assert_cmpint(p.a.init, ==, -1);
	g_assert_cmpstr(p.a.name, ==, "unnamed");
	g_assert_cmpstr(p.a.workdir, ==, "/tmp");
	g_assert_cmpuint(g_strv_length(p.a.env), ==, 4);
	g_assert_cmpstr(p.a.env[0], ==, "PATH=x");
	g_assert_cmpstr(p.a.env[2], ==, "C=d");
	check_operands(&p, "img");
	parsed_clear(&p);

	parse_with(&p, &cmd_run, &opt_policy_pflag,
		"run --name a --name=b -itw=/x -t=false --init --rm --pids-limit -1 -w _ img");
	g_assert_cmpint(p.r, ==, 0);
	g_assert_cmpstr(p.a.name, ==, "b");
	g_assert_cmpstr(p.a.workdir, ==, "");
	g_assert_true(p.a.rm && !p.a.tty && p.a.interactive);
	g_assert_cmpint(p.a.init, ==, 1);
	g_assert_cmpint(p.a.pids, ==, -1);
	parsed_clear(&p);

	parse_with(&p, &cmd_run, &opt_policy_pflag, "run --init=0 img");
	g_assert_cmpint(p.a.init, ==, 0);
	parsed_clear(&p);
}

static void test_operands(void)
{
	struct cmd mixed = cmd_run;
	struct parsed p;

	parse_with(&p, &cmd_run, &opt_policy_pflag, "run -t img -i --rm -- -x");
	check_operands(&p, "img -i --rm -- -x");
	g_assert_true(p.a.tty && !p.a.interactive);
	parsed_clear(&p);

	parse_with(&p, &cmd_run, &opt_policy_pflag, "run -t -- -i --rm");
	check_operands(&p, "-i --rm");
	parsed_clear(&p);

	mixed.flags = 0;
	parse_with(&p, &mixed, &opt_policy_pflag, "run a -t b - --rm c -- -i --");
	check_operands(&p, "a b - c -i --");
	g_assert_true(p.a.tty && p.a.rm && !p.a.interactive);
	parsed_clear(&p);
}

static void check_error(const struct opt_policy *policy, const char *line, const char *want)
{
	struct parsed p;

	parse_with(&p, &cmd_run, policy, line);
	g_assert_cmpint(p.r, ==, -E_USAGE);
	g_assert_cmpstr(p.e.text, ==, want);
	parsed_clear(&p);
}

static void test_pflag_errors(void)
{
	const struct opt_policy *pflag = &opt_policy_pflag;

	check_error(pflag, "run --foo=1 img", "unknown flag: --foo");
	check_error(pflag, "run -tx img", "unknown shorthand flag: 'x' in -x");
	check_error(pflag, "run -xt img", "unknown shorthand flag: 'x' in -xt");
	check_error(pflag, "run --name", "flag needs an argument: --name");
	check_error(pflag, "run -te", "flag needs an argument: 'e' in -e");
	check_error(pflag, "run --=x img", "bad flag syntax: --=x");
	check_error(pflag, "run ---x img", "bad flag syntax: ---x");
	check_error(pflag, "run --ver", "unknown flag: --ver");
	check_error(pflag, "run --rm=maybe img",
		"invalid argument \"maybe\" for \"--rm\" flag: neither true nor false");
	check_error(pflag, "run -m lots img",
		"invalid argument \"lots\" for \"-m, --memory\" flag: not a size such as 512m or "
		"1.5g");
	check_error(pflag, "run --pids-limit 1x img",
		"invalid argument \"1x\" for \"--pids-limit\" flag: not a whole number");
	check_error(pflag, "run", "'run' requires at least 1 argument");
}

static void test_getopt(void)
{
	const struct opt_policy *gnu = &opt_policy_getopt;
	struct parsed p;

	parse_with(&p, &cmd_run, gnu, "run --na x --mem=1k -e=A img");
	g_assert_cmpint(p.r, ==, 0);
	g_assert_cmpstr(p.a.name, ==, "x");
	g_assert_cmpint(p.a.memory, ==, 1024);
	g_assert_cmpstr(p.a.env[0], ==, "=A");
	parsed_clear(&p);
	parse_with(&p, &cmd_run, gnu, "run --hel");
	g_assert_cmpint(p.r, ==, 1);
	parsed_clear(&p);

	check_error(gnu, "run --foo img", "unrecognized option '--foo'");
	check_error(gnu, "run -x img", "invalid option -- 'x'");
	check_error(gnu, "run --name", "option '--name' requires an argument");
	check_error(gnu, "run -e", "option requires an argument -- 'e'");
	check_error(gnu, "run --tty=1 img", "option '--tty' doesn't allow an argument");
	check_error(gnu, "run --t img", "option '--t' is ambiguous");
}

static void test_help_asked(void)
{
	struct parsed p;

	parse_with(&p, &cmd_run, &opt_policy_pflag, "run -t --help --nonsense");
	g_assert_cmpint(p.r, ==, 1);
	parsed_clear(&p);
	parse_with(&p, &cmd_run, &opt_policy_pflag, "run -th");
	g_assert_cmpint(p.r, ==, 1);
	parsed_clear(&p);
	parse_with(&p, &cmd_run, &opt_policy_pflag, "run img --help");
	g_assert_cmpint(p.r, ==, 0);
	parsed_clear(&p);
}

/* --- cmd_main, in a child so that its output can be read ---------------------------------------------- */

static int status_of(int code)
{
	return code == -E_NOTFOUND ? 44 : 1;
}

static void child_main(void)
{
	const char *line = g_getenv("TEST_OPT_LINE");
	char **argv = g_strsplit(line, " ", -1);
	int status;

	status =
		cmd_main(NULL, &root, &opt_policy_pflag, status_of, (int)g_strv_length(argv), argv);
	g_strfreev(argv);
	exit(status);
}

static void check_main(const char *line, int status, const char *out, const char *err)
{
	char *argv[] = { (char *)"/proc/self/exe", NULL };
	g_auto(GStrv) env = g_environ_setenv(g_get_environ(), "TEST_OPT_LINE", line, TRUE);
	g_autoptr(GError) error = NULL;
	g_autofree char *got_out = NULL, *got_err = NULL;
	int wait_status;

	argv[0] = g_file_read_link("/proc/self/exe", NULL);
	g_assert_true(g_spawn_sync(
		NULL, argv, env, 0, NULL, NULL, &got_out, &got_err, &wait_status, &error));
	g_free(argv[0]);
	g_assert_cmpint(WEXITSTATUS(wait_status), ==, status);
	g_assert_cmpstr(got_err, ==, err);
	if (g_str_has_suffix(out, "*")) {
		g_autofree char *start = g_strndup(out, strlen(out) - 1);

		g_assert_true(g_str_has_prefix(got_out, start));
	} else {
		g_assert_cmpstr(got_out, ==, out);
	}
}

static void test_main(void)
{
	check_main("lodge run -t img a", 3, "lodge run: img a tty=1 rm=0 memory=0\n", "");
	check_main("lodge image list", 0, "ls of lodge image ls\n", "");
	check_main("lodge run --nope", 125, "",
		"lodge: unknown flag: --nope\nSee 'lodge run --help'.\n");
	check_main("lodge image use x", 125, "",
		"lodge: conflicting options; leave one out\nSee 'lodge image use --help'.\n");
	check_main("lodge image ls x", 125, "",
		"lodge: 'ls' accepts no arguments\nSee 'lodge image ls --help'.\n");
	check_main("lodge rnu", 125, "",
		"lodge: 'rnu' is not a lodge command; did you mean 'run'?\nSee 'lodge --help'.\n");
	check_main("lodge image wrong", 125, "",
		"lodge: 'wrong' is not a lodge image command\nSee 'lodge image --help'.\n");
	check_main("lodge --nope", 125, "", "lodge: unknown flag: --nope\nSee 'lodge --help'.\n");
	check_main("lodge run --pids-limit 13 --name a\033[1mb img", 44,
		"lodge run: img tty=0 rm=0 memory=0\n", "lodge: no such guest 'a?[1mb'\n");
	check_main("lodge", 0, "Usage: lodge COMMAND\n*", "");
	check_main("lodge help", 0, "Usage: lodge COMMAND\n*", "");
	check_main("lodge help image use", 0, "Usage: lodge image use\n*", "");
	check_main("lodge image", 0, "Usage: lodge image COMMAND\n*", "");
	check_main("lodge image help ls", 0, "Usage: lodge image ls\n*", "");
	check_main("lodge run -h", 0, "Usage: lodge run [OPTIONS] IMAGE [COMMAND [ARG...]]\n*", "");
}

/* --- forms -------------------------------------------------------------------------------------------- */

static char *captured(void (*fn)(FILE *out))
{
	char *text = NULL, *copy;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	g_assert_nonnull(f);
	fn(f);
	(void)fclose(f);
	copy = g_strdup(text);
	free(text);
	return copy;
}

static void put_run_help(FILE *out)
{
	cmd_help(&cmd_run, "lodge run", out);
}

static void put_root_help(FILE *out)
{
	cmd_help(&root, "lodge", out);
}

static void put_manual(FILE *out)
{
	cmd_manual(&root, out);
}

static void put_json(FILE *out)
{
	cmd_json(&root, out);
}

static void test_help(void)
{
	g_autofree char *run = captured(put_run_help), *all = captured(put_root_help);

	g_assert_cmpstr(run, ==,
		"Usage: lodge run [OPTIONS] IMAGE [COMMAND [ARG...]]\n"
		"\n"
		"Create and start a guest\n"
		"\n"
		"A paragraph that is long enough to be filled over more than one line, since it\n"
		"has many words.\n"
		"\n"
		"  verbatim 'quoted' \\ line\n"
		"\n"
		".dangerous request\n"
		"\n"
		"Examples:\n"
		"  lodge run debian  # a shell\n"
		"  lodge run -it debian bash\n"
		"\n"
		"Options:\n"
		"  -t, --tty             allocate a terminal\n"
		"  -i, --interactive     keep standard input open\n"
		"      --rm              remove the guest when it ends\n"
		"      --name NAME       name of the guest\n"
		"  -w, --workdir DIR     folder that the command starts in, which is made when\n"
		"                        the image hasn't got it\n"
		"\n"
		"Limits:\n"
		"  -m, --memory BYTES    most memory\n"
		"      --pids-limit N    most processes\n"
		"      --timeout TIME    how long to wait\n"
		"\n"
		"Environment:\n"
		"  -e, --env NAME=VALUE  set a variable\n"
		"      --from GUEST      as that guest\n"
		"      --init            run an init inside\n"
		"  -h, --help            show this help\n");
	g_assert_nonnull(strstr(all, "  run    create and start a guest\n  image  work"));
	g_assert_null(strstr(all, "secret"));
}

static void test_manual(void)
{
	g_autofree char *text = captured(put_manual);

	g_assert_true(g_str_has_prefix(text, ".TH LODGE 1\n.SH NAME\nlodge \\- host of guests\n"));
	g_assert_nonnull(strstr(text, ".SS \"lodge run [OPTIONS] IMAGE [COMMAND [ARG...]]\"\n"));
	g_assert_nonnull(strstr(text, "\n\\&.dangerous request\n"));
	g_assert_nonnull(strstr(text, "  verbatim \\(aqquoted\\(aq \\e line\n"));
	g_assert_nonnull(strstr(text, "\\fB\\-e\\fR, \\fB\\-\\-env\\fR \\fINAME=VALUE\\fR\n"));
	g_assert_nonnull(strstr(text, ".SS \"lodge image ls"));
	g_assert_null(strstr(text, "secret"));
}

/* groff has no complaint about it. */
static void test_roff(void)
{
	char *argv[] = { (char *)"groff", (char *)"-man", (char *)"-Tutf8", (char *)"-ww",
		(char *)"-rLL=80n", NULL, NULL };
	g_autofree char *groff = g_find_program_in_path("groff"), *text = NULL, *out = NULL;
	g_autofree char *err = NULL, *path = NULL;
	int status;

	if (!groff) {
		g_test_skip("no groff here");
		return;
	}
	text = captured(put_manual);
	g_assert_cmpint(g_close(g_file_open_tmp("lodge-test-XXXXXX", &path, NULL), NULL), ==, 1);
	g_assert_true(g_file_set_contents(path, text, -1, NULL));
	argv[5] = path;
	g_assert_true(g_spawn_sync(
		NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status, NULL));
	(void)unlink(path);
	g_assert_cmpint(status, ==, 0);
	g_assert_cmpstr(err, ==, "");
	g_assert_nonnull(strstr(out, "verbatim 'quoted' \\ line\n"));
	g_assert_nonnull(strstr(out, ".dangerous request"));
}

static void test_json(void)
{
	g_autofree char *text = captured(put_json);
	json_t *j = json_loads(text, 0, NULL), *run, *option;

	g_assert_nonnull(j);
	run = json_array_get(json_object_get(j, "commands"), 0);
	g_assert_cmpstr(json_string_value(json_object_get(run, "name")), ==, "run");
	option = json_array_get(json_object_get(run, "options"), 5);
	g_assert_cmpstr(json_string_value(json_object_get(option, "name")), ==, "memory");
	g_assert_cmpstr(json_string_value(json_object_get(option, "type")), ==, "size");
	g_assert_cmpstr(json_string_value(json_object_get(option, "group")), ==, "limits");
	json_decref(j);
}

/* --- completion --------------------------------------------------------------------------------------- */

static void check_complete(const char *line, const char *want)
{
	g_auto(GStrv) argv = g_strsplit(line, " ", -1);
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	g_assert_nonnull(f);
	cmd_complete(NULL, &root, (int)g_strv_length(argv), argv, f);
	(void)fclose(f);
	g_assert_cmpstr(text, ==, want);
	free(text);
}

static void test_complete(void)
{
	check_complete("lodge ", "run\tcreate and start a guest\nimage\twork with images\n");
	check_complete("lodge im", "image\twork with images\n");
	check_complete("lodge image l", "ls\tlist images\n");
	check_complete("lodge nothing x", "");
	check_complete("lodge run --pi", "--pids-limit\tmost processes\n");
	check_complete("lodge run --from we", "web\trunning\nweb2\n");
	check_complete("lodge run --from=web2", "--from=web2\n");
	check_complete("lodge run -tw ", ":files\n");
	check_complete("lodge run -w /tmp d", "db\n");
	check_complete("lodge run --rm d", "db\n");
	check_complete("lodge run -- -", "");
	check_complete("lodge run img --p", ":files\n");
	check_complete("lodge image ls ", "");
	check_complete("lodge", "");
}

static void check_script(const char *shell, const char *has)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	g_assert_nonnull(f);
	g_assert_cmpint(cmd_completion(&root, shell, f, NULL), ==, 0);
	(void)fclose(f);
	g_assert_nonnull(strstr(text, has));
	free(text);
}

static void test_scripts(void)
{
	struct err e = {};

	check_script("bash", "complete -F _lodge_complete lodge\n");
	check_script("bash", "\"${words[@]}\"");
	check_script("zsh", "#compdef lodge\n");
	check_script("zsh", "${(@)words[1,CURRENT]}");
	check_script("fish", "complete -c lodge -f -a '(__lodge_complete)'\n");
	g_assert_cmpint(cmd_completion(&root, "csh", stdout, &e), ==, -E_INVALID);
	g_assert_cmpstr(e.text, ==, "unknown shell 'csh'");
}

/* Runs the script in bash as its completion would. */
static void check_bash(const char *line, const char *want)
{
	g_autofree char *script = NULL, *full = NULL, *got = NULL;
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	char *argv[] = { (char *)"bash", (char *)"--norc", (char *)"-c", NULL, NULL };

	g_assert_nonnull(f);
	g_assert_cmpint(cmd_completion(&root, "bash", f, NULL), ==, 0);
	(void)fclose(f);
	full = g_strdup_printf(
		"%s\nlodge() { shift 3; last=${*: -1}; case $last in\n"
		"--from=w*) printf '%%s\\n' --from=web --from=web2;;\n"
		"*) printf 'run\\tstart a guest\\nrm\\tremove\\n';; esac; }\n"
		"COMP_LINE='%s' COMP_POINT=${#COMP_LINE}\nCOMP_POINT=%zu\n_lodge_complete\n"
		"printf '%%s|' \"${COMPREPLY[@]}\"",
		text, line, strlen(line));
	free(text);
	argv[3] = full;
	g_assert_true(g_spawn_sync(
		NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &got, NULL, NULL, NULL));
	g_assert_cmpstr(got, ==, want);
}

static void test_bash(void)
{
	g_autofree char *bash = g_find_program_in_path("bash");

	if (!bash) {
		g_test_skip("no bash here");
		return;
	}
	check_bash("lodge r", "run|rm|");
	check_bash("lodge run --from=w", "web|web2|");
}

/* --- the check ----------------------------------------------------------------------------------------- */

struct bad_args {
	bool a;
	char *s;
	int64_t n;
};

static const struct opt bad_opts[] = {
	OPT_FLAG('a', "all", struct bad_args, a, "Show all."),
	OPT_FLAG('a', "all", struct bad_args, a, ""),
	{ 'x', "Xx", OPT_T_STRING, offsetof(struct bad_args, s), "two words", NULL, "x" },
	{ 'y', "yy", OPT_T_INT, offsetof(struct bad_args, s) + 4, "N", complete_none, "y" },
	{ 'z', "zz", OPT_T_INT, sizeof(struct bad_args), "N", complete_none, "z" },
	{ 'q', "quiet", OPT_T_FLAG, 0, "N", NULL, "quiet" },
	OPT_END,
};
static const struct cmd bad = {
	.name = "bad",
	.run = ls_run,
	.opts = bad_opts,
	.args_size = sizeof(struct bad_args),
	.brief = "bad",
	.min_operands = 2,
	.max_operands = 1,
	.synopsis = "ARG",
};
static const struct cmd wide = {
	.name = "wide",
	.run = ls_run,
	.brief = "wide",
	.examples =
		"lodge wide 0123456789012345678901234567890123456789012345678901234567890123456789",
	.aliases = "bad",
};
static const struct cmd neither = { .name = "Neither", .brief = "neither" };
static const struct cmd *const bad_sub[] = { &bad, &wide, &neither, NULL };
static const struct cmd bad_root = { .name = "lodge", .brief = "host", .sub = bad_sub };

static void test_selftest(void)
{
	static const char *const want[] = {
		"lodge: the alias 'bad' of 'wide' is taken",
		"lodge bad: [OPTIONS] isn't in the synopsis",
		"lodge bad: fewer operands at most than at least",
		"lodge bad: --all: help begins with a capital",
		"lodge bad: --all: help ends with a full stop",
		"lodge bad: --all: the letter 'a' is there twice",
		"lodge bad: --all: the name is there twice",
		"lodge bad: --all: no help",
		"lodge bad: --Xx: the name isn't of lower case",
		"lodge bad: --Xx: metavar isn't one word",
		"lodge bad: --Xx: no completer",
		"lodge bad: --Xx: its field overlaps that of '--yy'",
		"lodge bad: --zz: its field is outside",
		"lodge bad: --quiet: a flag has neither metavar nor completer",
		"lodge wide: a line of help is wider",
		"lodge: a command's name isn't of lower case",
	};
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	g_assert_nonnull(f);
	g_assert_cmpint(cmd_selftest(&root, f), ==, 0);
	g_assert_cmpint(cmd_selftest(&bad_root, f), >=, (int)G_N_ELEMENTS(want));
	(void)fclose(f);
	for (size_t i = 0; i < G_N_ELEMENTS(want); i++)
		if (!strstr(text, want[i]))
			g_error("not found: '%s' in:\n%s", want[i], text);
	free(text);
}

int main(int argc, char **argv)
{
	if (g_getenv("TEST_OPT_LINE"))
		child_main();
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/opt/values", test_values);
	g_test_add_func("/opt/operands", test_operands);
	g_test_add_func("/opt/pflag-errors", test_pflag_errors);
	g_test_add_func("/opt/getopt", test_getopt);
	g_test_add_func("/opt/help-asked", test_help_asked);
	g_test_add_func("/cmd/main", test_main);
	g_test_add_func("/cmd/help", test_help);
	g_test_add_func("/cmd/manual", test_manual);
	g_test_add_func("/cmd/roff", test_roff);
	g_test_add_func("/cmd/json", test_json);
	g_test_add_func("/cmd/complete", test_complete);
	g_test_add_func("/cmd/scripts", test_scripts);
	g_test_add_func("/cmd/bash", test_bash);
	g_test_add_func("/cmd/selftest", test_selftest);
	return g_test_run();
}
