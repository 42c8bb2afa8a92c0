/* SPDX-License-Identifier: MIT */
#ifndef LODGE_COPYUP_H
#define LODGE_COPYUP_H

/* Copies what is in folder `from` into folder `to`: files, folders, links, devices; owners, modes and times.
 * Never follows a link, never leaves the file system of `from`. */
int copyup(int from, int to);

#endif
