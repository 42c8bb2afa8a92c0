/* SPDX-License-Identifier: MIT */
#ifndef LODGE_REGISTRY_DEPOT_H
#define LODGE_REGISTRY_DEPOT_H

/*
 * A depot: a registry on disk. All below ROOT, which is recognised by the file `lodge-registry`:
 *
 *	blobs/sha256/HEX			each content once, so that it is stored once
 *	repositories/NAME/_blobs/DIGEST		hard links of it: what the repository has
 *	repositories/NAME/_manifests/DIGEST	the same, of manifests
 *	repositories/NAME/_types/DIGEST		a link whose target is the manifest's media type
 *	repositories/NAME/_tags/TAG		a link whose target is the manifest's digest
 *	repositories/NAME/_referrers/DIGEST/DIGEST	of a subject: the manifests that name it
 *	repositories/NAME/_uploads/ID		what came so far of a blob
 *	fetches/DIGEST				the same, of one that a cache fetches
 *
 * A repository's name never has a part that begins with '_'. Reading needs no lock: every file appears whole, by
 * link or rename, after its bytes are on the disk; what is below a repository alone decides what it has, and a
 * content's links count its users. Whoever changes a repository's links holds an exclusive flock on its folder. So a
 * process may die at any moment, and garbage is collected beside pushes by another one.
 */

#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>
#include "base/err.h"
#include "codec/sha256.h"

struct depot {
	int root;
	bool read_only, no_delete;
	/* in the server's process, of uploads by their ids: what was hashed; the request that writes */
	GHashTable *hashes, *writers;
	struct upstream *upstream; /* the registry that this one is a cache of; NULL: none */
};

enum {
	DEPOT_MAKE = 1 << 0, /* make it in an empty or missing folder */
};
/* -E_INVALID when it is no registry's folder. */
int depot_open(const char *root, unsigned flags, struct depot **ret, struct err *e);
void depot_free(struct depot *r);

/* "repositories/NAME/KIND/WHAT"; what NULL: the folder. Caller frees. */
char *depot_repo_path(const char *name, const char *kind, const char *what);
char *depot_content_path(const char *digest);

/* Whether the repository has had a manifest. */
bool depot_repo_exists(const struct depot *r, const char *name);
/* The repository's lock, to be closed. make: makes the repository; else -ENOENT. */
int depot_repo_lock(const struct depot *r, const char *name, bool make);
/* Makes the folder with its parents, and sees that they stay. */
int depot_mkdirs(const struct depot *r, const char *path);
int depot_sync(const struct depot *r, const char *folder);

/* A regular file, to be read; its state in *ret. */
int depot_file(const struct depot *r, const char *path, struct stat *ret);
/* An anonymous file for a body. */
int depot_temp(const struct depot *r);
/* The target of a link, or NULL. */
char *depot_link(const struct depot *r, const char *path);
/* Names in a folder, sorted by bytes; hidden ones left out; NULL when there is no folder. */
GPtrArray *depot_list(const struct depot *r, const char *path);

/* Gives the repository (locked) the content of fd, which has this digest: syncs it, shares it with what is there
 * already. kind: "_blobs" or "_manifests". */
int depot_keep(
	const struct depot *r, const char *name, const char *kind, const char *digest, int fd);
/* The same, of what the registry has; from: another repository, NULL: anywhere. -ENOENT. */
int depot_share(const struct depot *r, const char *name, const char *digest, const char *from);
/* Makes or replaces a symbolic link. */
int depot_set_link(const struct depot *r, const char *folder, const char *name, const char *target);
/* Garbage collection leaves it alone for a while from now on. */
void depot_touch(const struct depot *r, int fd);

#endif
