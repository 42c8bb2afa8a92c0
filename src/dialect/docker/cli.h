/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DOCKER_CLI_H
#define LODGE_DOCKER_CLI_H

/*
 * The command line of docker: every command is a client of the Engine API (client.h), of the server that -H,
 * DOCKER_HOST or the context names, or of one that it forks. A command is a row in the file that it is in, and
 * a line in cli-list.c. Texts, tables and exit statuses are those of docker 28.
 */

#include <jansson.h>
#include "base/ctx.h"
#include "base/opt.h"
#include "base/tab.h"
#include "dialect/docker/client.h"
#include "dialect/docker/docker.h"

/* What stands before the command. */
struct cli {
	struct ctx ctx; /* first: cmd_call has a pointer to it */
	char *config, *context, *log_level, *tlscacert, *tlscert, *tlskey;
	char **host;
	bool debug, tls, version;
	int tlsverify;
	struct client *client; /* cli_client() */
	json_t *file;	       /* cli_config() */
	char *folder;	       /* cli_folder() */
};

struct cli *cli_of(struct cmd_call *call);

/* --- cli.c ------------------------------------------------------------------------------------------------- */

/* The usage of an operand or option that only the command knows to be wrong: docker's words, status 1. Returns -E_USAGE. */
int cli_usage(struct err *e, const char *fmt, ...) _printf_(2, 3);
/* Whether an error stands there: run and create end with 125 then, and name the help. */
extern const struct opt_policy docker_policy;

/* --- cli-list.c -------------------------------------------------------------------------------------------- */

struct cli_section {
	const char *heading;
	const struct cmd *const *list;
};
extern const struct cli_section docker_sections[]; /* ended by a NULL heading */
extern const struct cmd docker_globals;
/* By name or alias, of the top level. */
const struct cmd *cli_find(const char *name);

/* --- cli-help.c -------------------------------------------------------------------------------------------- */

/* cmd NULL: the top level. */
void cli_help(const struct cmd *cmd, const char *full_name, FILE *out);
void cli_help_top(struct cli *s, FILE *out);
/* What follows "Usage:  ". Caller frees. */
char *cli_usage_line(const struct cmd *cmd, const char *full_name);

/* --- cli-config.c: where the server is, and the file ~/.docker/config.json --------------------------------------- */

/* Borrowed. Connects with the first call. */
int cli_client(struct cmd_call *call, struct client **ret, struct err *e);
const char *cli_folder(struct cli *s);
/* The file's object, empty when there is none. Borrowed. */
json_t *cli_config(struct cli *s);
const char *cli_config_text(struct cmd_call *call, const char *key);
/* Writes it back. */
int cli_config_save(struct cli *s, struct err *e);
/* The name of the context in use, and why ("--context flag", "DOCKER_HOST environment variable", ...; NULL: it is just so).
 * Caller frees. */
char *cli_context_name(struct cli *s, const char **ret_why);
/* The member "Endpoints.docker" of a context's file and so on; NULL with e. Caller owns. */
json_t *cli_context_read(struct cli *s, const char *name, struct err *e);
char *cli_context_folder(struct cli *s, const char *kind, const char *name);
/* Its host; g_free. NULL: a server of our own. */
char *cli_endpoint(struct cli *s, struct err *e);
/* The value of X-Registry-Auth for an image's or a registry's name. Caller frees; NULL with e. */
char *cli_auth(struct cmd_call *call, const char *image, struct err *e);
/* X-Registry-Config: of all registries. */
/* The server's name in an image's: "docker.io" when it has none. Caller frees. */
char *cli_registry_of(const char *image);

/* --- cli-value.c: options' values -------------------------------------------------------------------------------- */

int cli_check_value(const struct opt *o, const char *value, struct err *e);
/* Of values that were checked. */
int64_t cli_int(const char *text, int64_t fallback);
int64_t cli_bytes(const char *text, int64_t fallback);
int64_t cli_duration(const char *text); /* ns; 0 for NULL */
int64_t cli_nano_cpus(const char *text);
bool cli_switch(int given, bool fallback);
/* The query's value for filters: {"name":{"value":true}}; NULL when there are none. Caller frees. */
char *cli_filters(char **list);
json_t *cli_filters_json(char **list);
/* Adds "?key=value" or "&key=value"; escaped. */
void cli_query(GString *path, const char *key, const char *value);
/* "K=V" words as an object; without "=" the value is "". */
json_t *cli_pairs(char **list);
json_t *cli_strings(char **list); /* an array; NULL list: an empty one */
/* Environment as docker reads it: K alone is ours if we have it; files first. */
int cli_environment(char **list, char **files, bool from_ours, json_t **ret, struct err *e);
int cli_labels(char **list, char **files, json_t **ret, struct err *e);
/* "10m" ago, a date, or seconds: what the API takes for since and until. Caller frees. */
int cli_moment(const char *text, char **ret, struct err *e);
/* "ctrl-p,ctrl-q" to bytes; NULL: the default. */
int cli_detach_keys(const char *text, GByteArray **ret, struct err *e);

/* --- cli-print.c: tables ------------------------------------------------------------------------------------------ */

#define CLI_SECOND INT64_C(1000000000)

/* Rows in docker's ways: format NULL is the table; "json"; a template. e has docker's words. */
int cli_rows(
	const struct tab_column *columns, const json_t *rows, const char *format, struct err *e);
/* A format of an option, else of the configuration's key, else NULL. */
const char *cli_format(struct cmd_call *call, const char *given, const char *config_key);
/* Text of a member, "" when it isn't there. */
const char *cli_text(const json_t *j, const char *key);
int64_t cli_number(const json_t *j, const char *key);
json_t *cli_at(const json_t *j, const char *path); /* "A.B.C", borrowed */
void cli_set(json_t *j, const char *key, const char *fmt, ...) _printf_(3, 4);
char *cli_short(const char *id);		 /* without "sha256:", 12 digits; g_free */
char *cli_cut(const char *text, size_t columns); /* with an ellipsis; g_free */
char *cli_ago(int64_t seconds);			 /* "2 hours ago" of a Unix time */
char *cli_size(double bytes, int digits);	 /* "1.98MB"; g_free */
char *cli_size_binary(double bytes);		 /* "1.5GiB" */
char *cli_local_time(int64_t seconds);		 /* "2006-01-02 15:04:05 -0700 MST" */
/* "k=v,..." of an object, sorted. */
char *cli_label_text(const json_t *labels);
/* [y/N]: true for yes. */
bool cli_confirm(const char *question);
/* Raw JSON texts, as docker's inspect shows them: an array, or the template run for each. */
int cli_inspect(GPtrArray *texts, const char *format, struct err *e);
/* What a command on several objects does with errors: says each, and returns 1 at the end. */
void cli_failed(struct err *e);
/* {"message"}-like progress of pulls and pushes, from a stream, until its end. aux: called for "aux" members. */
int cli_progress(struct stream *s, bool quiet, void (*aux)(const json_t *aux, void *data),
	void *data, struct err *e);
/* Control characters of a file name or an id stay away from a terminal. */
bool cli_is_terminal(int fd);

/* --- calls that several commands make ----------------------------------------------------------------------------- */

/* cli-image.c: docker's way to make an image there; quiet without the progress. */
int cli_pull(struct cmd_call *call, const char *image, const char *platform, bool quiet, FILE *out,
	struct err *e);

/* cli-inspect.c: what stands at the path for each operand. */
int cli_inspect_all(struct cmd_call *call, const char *fmt, const char *query, const char *format,
	struct err *e);
/* The row of an object, for the listing and for system df. */
json_t *cli_ps_row(const json_t *container, bool full);
json_t *cli_volume_row(const json_t *volume);

/* cli-container.c */
/* An archive of the server's into a file, or to standard output. */
int cli_save_to(struct client *cl, const char *path, const char *file, struct err *e);
void cli_split_tag(const char *image, char **ret_name, char **ret_tag);
/* Asks for it, and lists under the heading what the answer's list has; adds to *ret_freed. */
int cli_prune(struct client *cl, const char *kind, char **filters, const char *heading,
	const char *list, int64_t *ret_freed, struct err *e);

/* cli-stream.c: this process's streams and a container's. */
struct cli_session {
	struct stream *stream;	      /* hijacked */
	bool tty;		      /* of the container: output isn't multiplexed */
	bool in, out, err;	      /* which are ours */
	bool proxy_signals;	      /* they go to `container` */
	const char *container, *exec; /* whose terminal is resized */
	const GByteArray *keys;	      /* that detach */
};
/* Until the stream ends. 0; 1: the keys were typed. */
int cli_session(struct client *cl, const struct cli_session *s, struct err *e);
/* The two streams of an answer that nobody writes to (logs). */
int cli_demultiplex(struct stream *s, bool tty, struct err *e);
/* Puts a terminal's size where it belongs. */
void cli_resize(struct client *cl, const char *container, const char *exec);

/* --- commands ------------------------------------------------------------------------------------------------------ */

/* clang-format off */
#define CLI_COMMANDS(X)                                                                            \
	X(attach)                                                                                  \
	X(build) X(commit) X(cp) X(create) X(diff) X(events) X(exec) X(export) X(history) X(       \
		images) X(import) X(info) X(inspect) X(kill) X(load) X(login) X(logout) X(logs)    \
		X(pause) X(port) X(ps) X(pull) X(push) X(rename) X(restart) X(rm) X(rmi) X(run) X( \
			save) X(search) X(start) X(stats) X(stop) X(tag) X(top) X(unpause)         \
			X(update) X(version) X(wait) X(builder) X(checkpoint) X(config) X(         \
				container) X(context) X(image) X(manifest) X(network) X(node)      \
				X(plugin) X(secret) X(service) X(stack) X(swarm) X(system) X(      \
					trust) X(volume) X(compose) X(buildx) X(container_inspect) \
					X(container_ls) X(container_rm) X(container_prune)         \
						X(image_inspect) X(image_ls) X(image_prune)        \
							X(image_rm) X(system_df) X(system_prune)
#define CLI_DECLARE(name) extern const struct cmd docker_##name##_cmd;
CLI_COMMANDS(CLI_DECLARE)
#undef CLI_DECLARE
/* clang-format on */

/* --disable-content-trust, a tristate, and DOCKER_CONTENT_TRUST: signatures by Notary can't be asked for. */
int cli_check_trust(int disable, struct err *e);

#endif
