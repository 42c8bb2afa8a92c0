/* SPDX-License-Identifier: MIT */
#ifndef LODGE_USERS_H
#define LODGE_USERS_H

/*
 * Users and groups by the files of the root that this process is in: /etc/passwd and /etc/group, which
 * belong to somebody else. passwd(5), group(5). No NSS: it would load the guest's libraries.
 */

#include <sys/types.h>
#include "base/err.h"

#define USER_GROUPS_MAX 256
#define USER_HOME_MAX	256

struct user_ids {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX];
	size_t n_groups;
	char home[USER_HOME_MAX]; /* of the entry; "/" when there is none */
};

/*
 * user: "", "name", "uid", either with ":group" or ":gid". more: further groups by ",", names or numbers.
 * A name must be in the files; a number needn't. Without a group it is the entry's own (0 without an
 * entry), and the groups that list the user as a member are added. Files that aren't there are empty.
 */
int users_resolve(const char *user, const char *more, struct user_ids *ret, struct err *e);

/* The same over given texts, for tests and fuzzing. */
int users_resolve_in(const char *passwd, const char *group, const char *user, const char *more,
	struct user_ids *ret, struct err *e);

#endif
