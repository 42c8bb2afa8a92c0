/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_ARGV_H
#define LODGE_VM_ARGV_H

/*
 * QEMU's command line and what its process is given, as they grow. QEMU opens nothing by itself: whatever it
 * works with is a descriptor that steps of the child put at a number, and its command line names the number.
 */

#include <glib.h>
#include "engine/engine.h"

struct vm_build {
	struct ctx *c;
	const struct engine_start *s;
	const struct spec *spec;
	struct plan *p;	     /* = s->plan */
	struct plan *opened; /* AT_CHILD steps that give descriptors; they come after close-fds */
	GPtrArray *argv;     /* of char *, owned */
	unsigned fd, set;    /* the next numbers */
	const char *cgroup;
	bool kvm;
};

void vm_build_init(struct vm_build *b, struct ctx *c, const struct engine_start *s);
void vm_build_done(struct vm_build *b);

/* Appends words; the list ends with NULL. */
#define vm_arg(b, ...) vm_args((b), __VA_ARGS__, (const char *)NULL)
void vm_args(struct vm_build *b, ...) __attribute__((sentinel));
/* An option and its formatted value. */
void vm_argf(struct vm_build *b, const char *option, const char *fmt, ...) _printf_(3, 4);

/* A value inside of an option's list by commas: commas are doubled. Lives as long as the plan. */
const char *vm_escape(struct vm_build *b, const char *text);

/* Descriptors; each returns the number at which QEMU has it. */
unsigned vm_fd_open(struct vm_build *b, const char *path, bool write);
unsigned vm_fd_channel(struct vm_build *b, const char *which);
unsigned vm_fd_connect(struct vm_build *b, const char *path);
/* "/dev/fdset/N" of a file, with -add-fd: what block devices open. */
const char *vm_file(struct vm_build *b, const char *path, bool write);

/* The network cards that net/ planned: the host's side as steps; the card's netdev is "n0", "n1", ... What
 * is done inside is left to the caller. Returns how many; *ret_mac: their addresses, strings of the plan. */
int vm_networks(struct vm_build *b, GPtrArray *ret_mac, struct err *e);

/* What a machine that boots by itself is told of its card by DHCP: the step "answer" for the interface ifname, number n, of
 * what net/ planned for a container's card (veth). Nothing without an IPv4 address. */
void vm_plan_answer(struct plan *p, const struct plan *net, const struct step *veth,
	const char *ifname, unsigned n, const char *hostname);

/* The cgroup, the process without rights, and QEMU itself: the last of all. */
int vm_plan_process(struct vm_build *b, struct err *e);

/* QEMU's program for this host; -E_UNSUPPORTED with the mend. Static. */
int vm_program(const char **ret, struct err *e);

/* A user id for the machine that no other has: QEMU that was broken into reaches nobody else's. */
unsigned vm_uid(const char *id);

/* init.c: a machine from an image's layers, booted by lodge-init. */
int vm_plan_init(struct vm_build *b, struct err *e);
int vm_plan_exec(struct ctx *c, const struct engine_start *s, const struct engine_exec *x,
	struct plan *p, uint32_t flags, struct err *e);

#endif
