/* SPDX-License-Identifier: MIT */
#ifndef LODGE_INIT_SERVE_H
#define LODGE_INIT_SERVE_H

/*
 * The services of wire/machine.h. Each runs in a process of its own, with pipes as its standard streams, in the
 * guest's mount namespace where it works on the guest's files: whatever the guest has put there, it can't
 * reach into lodge-init. There is no /proc that can be trusted; nothing uses it.
 *
 * They return 0 or a code with e; what they write goes to standard output.
 */

#include "base/err.h"
#include "host/plan.h"

struct serve {
	const char *path, *flags; /* "" where the words have none */
	const struct plan *plan;  /* of the machine */
};

/* The step that stacks the guest's root, or NULL. */
const struct step *serve_overlay(const struct plan *p);

int serve_pack(const struct serve *s, struct err *e);	 /* serve-pack.c */
int serve_unpack(const struct serve *s, struct err *e);	 /* serve-unpack.c */
int serve_stat(const struct serve *s, struct err *e);	 /* serve-look.c */
int serve_changes(const struct serve *s, struct err *e); /* serve-look.c */
int serve_ps(const struct serve *s, struct err *e);	 /* serve-ps.c */

/* A place in the guest: a folder and a name in it. */
struct serve_place {
	int dir;
	char name[256];
};

/*
 * Finds path in the guest's root; with follow goes on where a link at its end leads to, by names, so that the
 * result is a folder and a name again: "." for the root itself, and for what ends in "..". -ENOENT when nothing is there.
 */
int serve_find(const char *path, bool follow, struct serve_place *ret);

/* All bytes, to standard output. */
int serve_write(const void *data, size_t size, struct err *e);

/* Names of a folder, sorted; the pointers and names are malloc'd: serve_names_free(). A negative code. */
int serve_names(int dir, char ***ret, size_t *ret_n);
void serve_names_free(char **names, size_t n);

/* A path that grows and shrinks while a tree is walked. */
struct serve_path {
	char *p;
	size_t n, size;
};
/* Appends "/NAME" (without the slash at the beginning of a path); returns the length before, to cut to. */
int serve_path_add(struct serve_path *p, const char *name);
void serve_path_cut(struct serve_path *p, size_t n);

#define SERVE_DEPTH_MAX 1000 /* folders in folders; each is a descriptor */

#endif
