/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MIRROR_PRIV_H
#define LODGE_MIRROR_PRIV_H

/* Inside the making of images from a mirror: mirror.c (layers) and mirror-disk.c (disks). */

#include "image/disk-boot.h"
#include "image/mirror.h"
#include "store/layer.h"

struct plan;

struct distribution {
	const char *repository;		       /* of references */
	const char *origin;		       /* in the Release files, for apt */
	const char *mirror, *security;	       /* URLs when apt's configuration has none */
	const char *components;		       /* by ',' */
	const char *keyring, *keyring_package; /* NULL: Debian has none */
};

struct suite {
	const struct distribution *of;
	const char *number, *name; /* tags */
	bool updates;		   /* has NAME-updates and NAME-security */
	bool disks; /* has the packages that a disk is made of, by the names used here */
};

struct disk_build {
	struct boot_extent part[_BOOT_PART_MAX];
	int64_t size;
	char *uuids[_BOOT_PART_MAX + 1]; /* of the disk and of the partitions */
	char *root_uuid, *esp_id;	 /* of the file systems */
	char *raw, *qcow2;
};

struct build {
	struct ctx *c;
	const struct image_mirror_options *o;
	const struct suite *suite;
	bool latest, slim;
	char *mirror, *security; /* security NULL: none */
	char *dir;		 /* ROOT/cache/build.OWNER: temporary files, removed at the end */
	char *root;		 /* debootstrap's target; that of a disk */
	GPtrArray *names;	 /* full, NULL at the end */
	GPtrArray *argv;
	struct layer_in *layer;
	struct layer_result result;
	struct disk_build disk;
};

/* The end of both hook scripts: the image's own sources, and nothing that only this build knows. */
#define MIRROR_FINISH                                                                         \
	"rm -f etc/apt/sources.list etc/apt/sources.list.d/* "                                \
	"etc/apt/apt.conf.d/99mmdebstrap\n"                                                   \
	"printf '%s' \"$LODGE_SOURCES\" > etc/apt/sources.list.d/\"$LODGE_ORIGIN\".sources\n" \
	"rm -rf var/lib/apt/lists/* var/cache/apt/*.bin var/cache/apt/archives/*.deb "        \
	"var/cache/debconf/*-old var/lib/dpkg/*-old var/log/apt/* var/log/dpkg.log "          \
	"var/log/bootstrap.log var/log/alternatives.log var/cache/ldconfig/aux-cache\n"       \
	"rm -rf run/mount\n"                                                                  \
	"mkdir -p var/lib/apt/lists/partial\n"                                                \
	": > etc/machine-id\n"                                                                \
	"rm -f etc/hostname etc/resolv.conf\n"

/* The archive's parts, joined. Caller frees. */
char *mirror_components(const struct build *b, const char *by);
void mirror_arg(struct build *b, const char *fmt, ...) _printf_(2, 3);
/* Adds `--keyring` and what follows it up to the sources: what both kinds of image say to mmdebstrap. */
void mirror_args_common(struct build *b, const char *script, const char *target);

/* --- mirror-disk.c ---------------------------------------------------------------------------------- */

/* Checks the size, and that all programs are there; makes names and ids. */
int mirror_disk_prepare(struct build *b, struct err *e);
/* mmdebstrap's command, for a folder. */
void mirror_disk_command(struct build *b);
/* Further commands of explain: adds to n words of argv. */
void mirror_disk_show(struct build *b, struct plan *p);
/* Runs all, and records the image. */
int mirror_disk_build(struct build *b, const struct image_new *n, char **ret_id, struct err *e);
void mirror_disk_clear(struct build *b);

#endif
