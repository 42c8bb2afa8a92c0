/* SPDX-License-Identifier: MIT */
#ifndef LODGE_XATTR_H
#define LODGE_XATTR_H

#include <stdint.h>

/* An extended attribute, by its full name ("user.x"). Limits are the kernel's (xattr(7)), less one
 * byte of value, which EROFS can't hold. */
struct xattr {
	const char *name;
	const uint8_t *value;
	uint32_t size;
};

#define XATTR_NAME_LIMIT  255
#define XATTR_VALUE_LIMIT 65535
#define XATTR_COUNT_LIMIT 128 /* of one file */

#endif
