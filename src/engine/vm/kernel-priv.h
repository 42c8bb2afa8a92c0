/* SPDX-License-Identifier: MIT */
#ifndef LODGE_VM_KERNEL_PRIV_H
#define LODGE_VM_KERNEL_PRIV_H

/*
 *   kernel.c          what is prepared, and whether it is still right
 *   kernel-host.c     the host's own kernel, or the mirror's
 *   kernel-prepare.c  from that the files that machines boot
 *   kernel-module.c   which modules, in which order
 */

#include "engine/vm/kernel.h"
#include "image/image.h"

/* Where a kernel is taken from. */
struct kernel_from {
	char *image;   /* bzImage */
	char *config;  /* text of its configuration */
	char *modules; /* folder with FILE.ko somewhere below, and modules.builtin */
	char *line;    /* of the file `source`: what says that it is another one now */
};
void kernel_from_clear(struct kernel_from *k);

/* The best of /boot that can be read and has what machines need. -E_NOTFOUND, without text. */
int kernel_from_host(struct kernel_from *ret);
/* Debian's, from the mirror, unpacked below dir. */
int kernel_from_mirror(struct ctx *c, const char *dir, const struct image_progress *p,
	struct kernel_from *ret, struct err *e);
/* Of all that was fetched from mirrors. */
#define KERNEL_MIRROR_LINE "kernel mirror"

/* "WORD PATH SIZE MTIME", or NULL when the file isn't there. */
char *kernel_file_line(const char *word, const char *path);

/* Makes vmlinux, bzImage, modules and modules.cpio in dir. *ret_release: g_free. */
int kernel_prepare(
	const struct kernel_from *from, const char *dir, char **ret_release, struct err *e);
/* Makes initrd in dir, of its modules.cpio and the program at init. */
int kernel_make_initrd(const char *dir, const char *init, struct err *e);

/* --- kernel-module.c --- */

struct module {
	const char *name; /* "_" for "-" */
	char *path;
	bool builtin;
	uint8_t *data; /* plain, without a signature; NULL: not read yet */
	size_t size;
	char **depends; /* names; NULL: not read yet */
};

/* name -> struct module, of a folder. Never NULL. g_hash_table_unref. */
GHashTable *module_table(const char *folder);

/* Adds name and all that it needs to *order, what is needed first; once each. -E_NOTFOUND. */
int module_add(GHashTable *table, const char *name, GPtrArray *order, struct err *e);

/* The rows of features; see kernel.h. */
struct feature {
	const char *name;
	const char *modules; /* by blanks; one with "?" may be missing */
};
extern const struct feature kernel_features[]; /* name NULL at the end */

/* What /order says, and all modules that any feature needs (struct module, borrowed from the table). */
int kernel_order(GHashTable *table, GString *order, GPtrArray *all, struct err *e);
/* The text of the file `modules`: "FEATURE: NAME NAME\n" for each that this kernel has. Adds to all. */
int kernel_feature_text(GHashTable *table, GString *text, GPtrArray *all, struct err *e);

#endif
