/* SPDX-License-Identifier: MIT */
#ifndef LODGE_PATH_H
#define LODGE_PATH_H

/*
 * Paths inside a root that somebody else controls. All resolution is openat2(2) with RESOLVE_IN_ROOT: no
 * symbolic link, "..", or magic link of the root leads out of it.
 */

#include <stdbool.h>
#include <sys/types.h>
#include "base/macros.h"

enum {
	PATH_NOFOLLOW_LAST = 1 << 0, /* the last component may not be a symbolic link: -ELOOP */
};

/* Opens path (absolute or not: the root is root_fd either way) with open(2)'s flags. A descriptor or code. */
int path_open_in(int root_fd, const char *path, int open_flags, mode_t mode, unsigned flags);

/* As mkdir -p inside the root; O_PATH descriptor of the folder. What is there already is kept. */
int path_mkdirs_in(int root_fd, const char *path, mode_t mode, unsigned flags);

/* Makes an empty regular file (and its folders) where nothing is; O_PATH descriptor of what is there. */
int path_touch_in(int root_fd, const char *path, mode_t mode);

/* The O_PATH descriptor of the folder that holds path, and its last component in name (NAME_MAX + 1
 * bytes). -EINVAL for "/" and paths that end in "..". With create, folders are made. */
int path_parent_in(int root_fd, const char *path, bool create, char *name);

/* "/proc/self/fd/N" in buf of 32 bytes: for system calls that want a path to what fd is. */
const char *path_of_fd(int fd, char *buf);

/* Makes a folder the working directory (an O_PATH descriptor will do), or the root as well. For processes of their own
 * that have nothing else to do: extended attributes of links are set by name only. */
int path_enter(int dir_fd);
int path_confine(int root_fd);

/* Removes a tree below dir_fd, never crossing into another file system, never following links. What isn't
 * there is no error. */
int path_remove_tree(int dir_fd, const char *name);

#endif
