/* SPDX-License-Identifier: MIT */
#ifndef LODGE_DIALECT_SKOPEO_H
#define LODGE_DIALECT_SKOPEO_H

/*
 * The command line of skopeo (skopeo(1) and its pages, as version 1.9 has it). It has no API, so it calls image/
 * directly. containers-storage: is our own store.
 */

#include <jansson.h>
#include "base/ctx.h"
#include "base/opt.h"
#include "image/copy.h"
#include "image/transport.h"

#define SKOPEO_VERSION "1.9.3" /* whose options and texts these are */

/* The options before the command; what commands find in call->c is the first member. */
struct skopeo {
	struct ctx ctx; /* first */
	bool debug, insecure_policy, version;
	char *policy, *registries_d, *tmpdir;
	char *override_arch, *override_os, *override_variant;
	int64_t command_timeout; /* nanoseconds */
};
struct skopeo *skopeo_of(struct cmd_call *call);

extern const struct cmd *const skopeo_commands[];
extern const struct cmd skopeo_copy, skopeo_delete, skopeo_inspect, skopeo_list_tags, skopeo_login,
	skopeo_logout, skopeo_manifest_digest, skopeo_sync, skopeo_standalone_sign,
	skopeo_standalone_verify;
int skopeo_main(int argc, char **argv);
int skopeo_explain(int argc, char **argv); /* for `lodge explain`: shows what would be changed */

/* --- errors.c --------------------------------------------------------------------------------------------- */

/* A line as logrus writes it: on a terminal "FATA[0000] text", else with time and level. */
void skopeo_log(const char *level, const char *text);
/* The texts for a wrong number of operands, as each command has its own. */
int need_operands(struct cmd_call *call, int n, const char *text, struct err *e);

/* --- where.c: options of a place -------------------------------------------------------------------------- */

struct where_args {
	char *authfile, *creds, *username, *password, *registry_token, *cert_dir, *daemon_host,
		*shared_blob_dir;
	bool no_creds;
	int tls_verify; /* -1: not given */
	/* set by where_fill */
	char *made_creds;
};
/* Rows of a place; p: "src-", "dest-" or "". */
#define WHERE_OPTS(p, S, f)                                                                        \
	OPT_STRING(0, p "authfile", S, f.authfile, "FILE", complete_file, "file of credentials"),  \
		OPT_STRING(0, p "cert-dir", S, f.cert_dir, "FOLDER", complete_file,                \
			"folder of certificates and keys"),                                        \
		OPT_STRING(0, p "creds", S, f.creds, "USER[:PASSWORD]", complete_none,             \
			"credentials for the registry"),                                           \
		OPT_FLAG(                                                                          \
			0, p "no-creds", S, f.no_creds, "no credentials, even if there are some"), \
		OPT_STRING(0, p "password", S, f.password, "PASSWORD", complete_none,              \
			"password for the registry"),                                              \
		OPT_STRING(0, p "registry-token", S, f.registry_token, "TOKEN", complete_none,     \
			"bearer token for the registry"),                                          \
		OPT_TRISTATE(                                                                      \
			0, p "tls-verify", S, f.tls_verify, "need HTTPS, and check certificates"), \
		OPT_STRING(0, p "username", S, f.username, "USER", complete_none,                  \
			"user name for the registry")

/* What a transport is to know. authfile: the one that is given for both ends; NULL. Strings stay a's and s's. */
int where_fill(const struct skopeo *s, struct where_args *a, const char *authfile, int64_t retries,
	struct transport_options *ret, struct err *e);
void where_clear(struct where_args *a);

/* --- copy.c, for sync.c too ------------------------------------------------------------------------------- */

/* A teller that prints each line, or nothing when quiet. */
struct teller {
	struct copy_teller t;
	bool quiet, debug;
};
void teller_init(struct teller *t, const struct skopeo *s, bool quiet);

/* One copy, by names; errors have skopeo's words before them. *ret_digest may be NULL. */
int copy_names(struct skopeo *s, const char *from, const struct transport_options *from_o,
	const char *to, const struct transport_options *to_o, const struct copy_options *o,
	char **ret_digest, struct err *e);

/* --- trust.c ---------------------------------------------------------------------------------------------- */

/* Whether an image may be taken, by policy.json; --insecure-policy takes all. */
struct trust {
	struct policy *policy; /* NULL: all */
	const char *transport;
	char *scope, *reference;
	struct transport_in *from;
	char *digest;
};
/* name: the source as the user wrote it. Needs trust_done() in every case. */
int trust_init(struct trust *t, const struct skopeo *s, const char *name, struct err *e);
void trust_done(struct trust *t);
/* Sets allow and allow_arg. */
void trust_use(struct trust *t, struct copy_options *o);

#endif
