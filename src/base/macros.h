/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MACROS_H
#define LODGE_MACROS_H

/*
 * Cleanup attributes and the few macros that every file uses. C library only: host/, monitor/ and
 * init/ are linked without GLib.
 */

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _must_check_ __attribute__((warn_unused_result))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_ __attribute__((unused))

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

/* Moves a pointer or a descriptor out of a variable that has a cleanup attribute. */
#define TAKE_PTR(p)                    \
	({                             \
		__typeof__(p) t_ = (p); \
		(p) = NULL;            \
		t_;                    \
	})
#define TAKE_FD(fd)          \
	({                   \
		int t_ = (fd); \
		(fd) = -1;   \
		t_;          \
	})

/* The value of a system call, or its negative errno. */
#define RET_NERRNO(expr)                       \
	({                                     \
		__typeof__(expr) r_ = (expr);  \
		r_ < 0 ? (__typeof__(expr))-errno : r_; \
	})

static inline void closep(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

static inline void freep(void *p)
{
	free(*(void **)p);
}
#define _cleanup_free_ _cleanup_(freep)

#endif
