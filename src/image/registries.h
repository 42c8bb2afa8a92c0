/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRIES_H
#define LODGE_REGISTRIES_H

/*
 * registries.conf: which registries there are, what their names stand for, and which need no TLS
 * (containers-registries.conf(5), format 2; the older format 1 is read, too). Files: CONTAINERS_REGISTRIES_CONF, else
 * ~/.config/containers/registries.conf, else /etc/containers/registries.conf; then the *.conf of the folder
 * registries.conf.d beside it, in the order of their names.
 */

#include <glib.h>
#include "base/err.h"
#include "image/ref.h"
#include "image/transport.h"

#define REGISTRIES_FILE_MAX (1 << 20)

/* A repository at a registry. */
struct registry_place {
	char *domain; /* "host[:port]"; "docker.io" stands for its API's host */
	char *path;   /* "library/debian" */
	bool insecure;
	bool is_mirror;
};
void registry_place_free(struct registry_place *p);

struct registries;
void registries_free(struct registries *c);
void registries_freep(struct registries **c);

/* The files, as they are here; an empty configuration when there are none. */
int registries_load(const struct transport_options *o, struct registries **ret, struct err *e);
/* An empty one, and one more file's text over it. Pure. */
struct registries *registries_new(void);
int registries_add(struct registries *c, const char *text, size_t size, struct err *e);

/* Where to ask for an image: mirrors first, then the place that its name stands for; struct registry_place each.
 * -E_INVALID for a blocked one. Pure. */
int registries_places(
	const struct registries *c, const struct ref *r, GPtrArray **ret, struct err *e);
/* Where it is pushed to: mirrors and rewrites are for reading only, as podman has it. -E_INVALID for a blocked one. Pure. */
int registries_place(const struct registries *c, const struct ref *r, struct registry_place **ret,
	struct err *e);

/* Whether a whole registry is marked so. Pure. */
bool registries_is_insecure(const struct registries *c, const char *domain);

/* The names that what the user wrote may stand for, best first: char * each. One with a domain stands for itself;
 * without any configuration docker.io is meant. -E_INVALID where the configuration wants to be asked. Pure. */
int registries_names(
	const struct registries *c, const char *written, GPtrArray **ret, struct err *e);

#endif
