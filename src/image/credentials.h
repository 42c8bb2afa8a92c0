/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CREDENTIALS_H
#define LODGE_CREDENTIALS_H

/*
 * Who one is to a registry: containers-auth.json(5), docker's config.json, and the credential helpers that both
 * name. The first file that knows the registry counts: that of --authfile or REGISTRY_AUTH_FILE alone, else
 * $XDG_RUNTIME_DIR/containers/auth.json, $XDG_CONFIG_HOME/containers/auth.json, $DOCKER_CONFIG/config.json
 * (~/.docker), ~/.dockercfg.
 */

#include "base/err.h"
#include "image/transport.h"

#define CREDENTIALS_FILE_MAX (1 << 20)

struct credentials {
	char *user, *password;
	char *identity; /* a refresh token instead of a password; NULL: none */
};
void credentials_clear(struct credentials *c);

/* For "domain/path" (path may be NULL). 1; 0: nobody knows it; a code. */
int credentials_find(const struct transport_options *o, const char *domain, const char *path,
	struct credentials *ret, struct err *e);

/* What a file says, without its helpers: 1 and *ret, or 1 and *ret_helper (its program's suffix), or 0. Pure. */
int credentials_read(const char *text, size_t size, const char *domain, const char *path,
	struct credentials *ret, char **ret_helper, struct err *e);

/* Keeps them, or (c NULL) forgets; domain NULL forgets all. With forgetting 1: there were none. */
int credentials_write(const struct transport_options *o, const char *domain,
	const struct credentials *c, struct err *e);

/* The file that is written to. Caller frees. */
char *credentials_file(const struct transport_options *o);

/* "USER[:PASSWORD]". */
int credentials_split(const char *text, struct credentials *ret, struct err *e);

#endif
