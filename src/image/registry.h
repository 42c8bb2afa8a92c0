/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRY_H
#define LODGE_REGISTRY_H

/*
 * Who one is to a registry: the files of podman and docker (containers-auth.json(5)), their credential helpers,
 * and what login and logout do with them. The registry itself is reached through transport_docker
 * (image/transport.h), image_pull() and image_push().
 */

#include "base/ctx.h"
#include "base/err.h"
#include "image/transport.h"

/* Asks the registry ("host[:port]", or with a namespace) whether it takes them, then keeps them in the file that o
 * names, or podman's own; -E_INVALID when the registry says no. verified false: isn't asked. */
int registry_login(struct ctx *c, const char *registry, const char *user, const char *password,
	const struct transport_options *o, struct err *e);
/* Asks only. -EACCES: it doesn't take them. */
int registry_check(struct ctx *c, const char *registry, const char *user, const char *password,
	const struct transport_options *o, struct err *e);
/* Forgets one registry, or all (NULL). 0; 1 when nothing was known. */
int registry_logout(
	struct ctx *c, const char *registry, const struct transport_options *o, struct err *e);
/* The user that is kept for a registry. -E_NOTFOUND. Caller frees. */
int registry_logged_in(struct ctx *c, const char *registry, const struct transport_options *o,
	char **ret_user, struct err *e);
/* The file that login writes to. Caller frees. */
char *registry_auth_file(const struct transport_options *o);

#endif
