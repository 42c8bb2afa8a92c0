/* SPDX-License-Identifier: MIT */
#ifndef LODGE_CPIO_H
#define LODGE_CPIO_H

/* cpio archives in the "newc" format, as the kernel unpacks its initramfs from. Written only. See the kernel's
 * Documentation/driver-api/early-userspace/buffer-format.rst. */

#include <glib.h>
#include <sys/types.h>

/* Adds an entry of owner 0: mode has the type. path: relative. data: a file's or a link's. */
void cpio_put(GByteArray *out, const char *path, mode_t mode, const void *data, size_t size);
/* The end of an archive. Another one may follow it in an initramfs. */
void cpio_put_end(GByteArray *out);

#endif
