/* SPDX-License-Identifier: MIT */
#ifndef LODGE_GUEST_SERVICE_H
#define LODGE_GUEST_SERVICE_H

/*
 * What is inside of a machine is asked of its lodge-init (the services of wire/machine.h), never read from
 * its disk: the disk's bytes are the guest's own. All that comes back is somebody else's too, and is checked.
 *
 * A machine that doesn't run is started without its command for it ("held"), from folders of its own, with
 * the guest's lock: to everybody else it is as stopped as before. It ends with the connection to it, so a
 * caller who is killed leaves nothing that runs.
 */

#include <stdbool.h>
#include "guest/guest.h"

/* Whether files and processes of the guest are reached this way: 1, 0 for what is no machine, or a code for
 * a machine that boots a system of its own. */
int machine_has_services(const struct guest *g, struct err *e);

struct machine_link;
enum {
	MACHINE_BARE = 1 << 0, /* without volumes and binds, where it is started for this */
};
/* Running, or held. Changes g as guest_lock() does. */
int machine_link_open(
	struct ctx *c, struct guest *g, unsigned flags, struct machine_link **ret, struct err *e);
/* Ends what was started; a code when what was written may not have reached the disk. NULL is good. */
int machine_link_close(struct machine_link *l, struct err *e);
void machine_link_freep(struct machine_link **l); /* when the code doesn't matter any more */

/* Takes a service's output; its code other than 0 is service_end()'s, and the service is ended. */
typedef int (*service_out)(void *data, const void *bytes, size_t n, struct err *e);

/* One at a time on a link. words: NULL-terminated. */
struct service;
int service_begin(struct machine_link *l, const char *const words[], service_out out, void *data,
	struct service **ret, struct err *e);
/* Input. Output is taken meanwhile, so neither side waits for the other for ever. A code when the service
 * has ended already, which service_end() explains. */
int service_put(struct service *s, const void *bytes, size_t n, struct err *e);
/* No more input; all the output; frees s. The service's own failure comes as -EIO with its words; with
 * ret_status, its exit status (not 0) is given there instead and 0 is returned. */
int service_end(struct service *s, int *ret_status, struct err *e);
void service_freep(struct service **s); /* gives it up */

/* Without input. */
int service_run(struct machine_link *l, const char *const words[], service_out out, void *data,
	struct err *e);
/* For service_out: data is a descriptor (int *) or a GByteArray of at most SERVICE_TEXT_MAX bytes. */
#define SERVICE_TEXT_MAX (64 * 1024 * 1024)
int service_to_fd(void *data, const void *bytes, size_t n, struct err *e);
int service_to_bytes(void *data, const void *bytes, size_t n, struct err *e);

/* hold.c: with the guest's lock. A connection to the monitor of a machine without its command. */
int machine_hold(struct ctx *c, struct guest *g, bool bare, struct err *e);
/* Ends it, with what it has in memory written. */
int machine_release(struct ctx *c, struct guest *g, int fd, struct err *e);
/* The rest of one whose caller was killed; with the lock. Whether something was left. */
bool machine_sweep(struct ctx *c, struct guest *g);
/* Whether such a rest is there while nobody has the lock; sweep: it is cleaned then. */
bool machine_is_left(struct ctx *c, struct guest *g, bool sweep);

/* machine-files.c: guest_copy_*(), guest_export() and guest_diff() of machines. */
struct copy_job; /* guest-priv.h */
int machine_copy(struct ctx *c, struct guest *g, struct copy_job *j, struct err *e);
int machine_export(struct ctx *c, struct guest *g, int out_fd, struct err *e);
int machine_diff(struct ctx *c, struct guest *g, json_t **ret, struct err *e);
/* machine-top.c */
int machine_top(struct ctx *c, struct guest *g, char *const *ps, json_t **ret, struct err *e);

#endif
