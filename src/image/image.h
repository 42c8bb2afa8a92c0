/* SPDX-License-Identifier: MIT */
#ifndef LODGE_IMAGE_H
#define LODGE_IMAGE_H

/*
 * Images: what a guest starts from. An image is a configuration (a JSON blob whose digest is the image's
 * id: OCI image-spec, config.md; docker image-spec v1.3) and layers (store/layer.h), or a disk instead of
 * layers (store/disk.h): a whole machine's, with a boot loader and a kernel of its own. Where an image comes
 * from is in archive.h (docker save, OCI archives and layouts, root file systems, disks) and mirror.h
 * (distribution mirrors, busybox).
 *
 * References are as image/ref.h reads them; ids may be cut. Whatever changes the store is a journalled
 * plan: shown instead of run with ctx.explain.
 */

#include <glib.h>
#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"
#include "store/store.h"

#define IMAGE_LAYERS_MAX 500  /* overlayfs takes no more */
#define IMAGE_NAMES_MAX	 1000 /* of one image, in an archive */
#define IMAGE_PATH_ENV	 "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct image_label {
	char *key, *value;
};

/* A configuration. Lists are NULL-terminated; a NULL one is "not given", an empty one is empty. */
struct image_config {
	char **env, **cmd, **entrypoint, **shell, **onbuild;
	char *cwd, *user, *stop_signal; /* NULL: not given */
	char **ports;			/* "80/tcp", sorted; never NULL */
	char **volumes;			/* absolute paths, sorted; never NULL */
	GPtrArray *labels;		/* struct image_label; never NULL */
	struct {
		char **test; /* {"CMD-SHELL", "..."}; NULL: none */
		int64_t interval, timeout, start_period,
			start_interval; /* nanoseconds; 0: the default */
		int retries;
	} health;
	char *arch, *os, *variant, *author; /* arch and os never NULL */
	int64_t created;		    /* nanoseconds since 1970; 0: not given */
	char **diff_ids;		    /* lowest layer first; never NULL */
	char *disk,
		*disk_format; /* digest of the disk's file, QEMU's name; NULL: layers. Both or none */
	int64_t disk_size;    /* bytes that a guest sees */
	json_t *raw;	      /* the whole document */
};
void image_config_free(struct image_config *i);
void image_config_freep(struct image_config **i);

/* Pure. -E_CORRUPT for what isn't one, -E_LIMIT for too many layers. */
int image_config_parse(const char *json, size_t size, struct image_config **ret, struct err *e);

/* -E_NOTFOUND "no such image 'x'". */
int image_resolve(struct ctx *c, const char *ref, struct image_record **ret, struct err *e);
int image_config(
	struct ctx *c, const struct image_record *i, struct image_config **ret, struct err *e);

/* Gives a further name; it moves when another image has it. */
int image_tag(struct ctx *c, const char *ref, const char *name, struct err *e);

/* Takes a name away, and the image with the last one; by id: all names. *ret is an array of
 * {"Untagged": NAME} and {"Deleted": ID}. -E_INUSE when a guest has it, or when it is named by id and has
 * names in several places, unless force; with force the image of a guest loses its names and stays. */
int image_remove(struct ctx *c, const char *ref, bool force, json_t **ret, struct err *e);

struct image_prune_query {
	bool all;	   /* named ones too, if no guest has them */
	int64_t until;	   /* only those made before, nanoseconds since 1970; 0: any */
	char **labels;	   /* "KEY" or "KEY=VALUE": all of them; NULL: any */
	char **not_labels; /* none of them */
};
/* Removes images that no guest has. *ret as image_remove's; *ret_bytes: what was freed on disk. */
int image_prune(struct ctx *c, const struct image_prune_query *q, json_t **ret, int64_t *ret_bytes,
	struct err *e);

/* Whether the image has this label: "KEY" or "KEY=VALUE". */
bool image_has_label(const struct image_config *i, const char *label);

/* Newest first: [{"Id", "Created" (seconds), "CreatedBy", "Comment", "Size", "Tags"}]. docker's names. */
int image_history(struct ctx *c, const char *ref, json_t **ret, struct err *e);
/* One object, as `docker image inspect` has it. */
int image_inspect(struct ctx *c, const char *ref, json_t **ret, struct err *e);

/* --- disks --------------------------------------------------------------------------------------------- */

/*
 * What a machine boots from. The file is the store's and is never written again: a guest gets an overlay of
 * its own over it. It stays while a guest's record names the image (guest_record.image). It has no backing
 * file, and QEMU must be told the format, so that it never looks for one by the content.
 */
struct image_disk {
	char *id;     /* of the image */
	char *path;   /* ROOT/disks/HEX.FORMAT, absolute */
	char *format; /* QEMU's name: "qcow2" */
	int64_t size; /* bytes that the guest sees */
	char *arch;   /* "amd64" */
};
void image_disk_free(struct image_disk *d);
void image_disk_freep(struct image_disk **d);

/* -E_NOTFOUND as image_resolve; -E_INVALID with a mend for an image of layers. */
int image_disk(struct ctx *c, const char *ref, struct image_disk **ret, struct err *e);

/* -E_INVALID with a mend when i, which the user called ref, is a disk: for those who need layers. Pure. */
int image_need_layers(const struct image_record *i, const char *ref, struct err *e);

/* --- for those who make images ------------------------------------------------------------------------ */

/* A disk, in a configuration: {"disk": {"digest", "format", "size"}} beside "rootfs", which has no layers then. A
 * member of our own: OCI's images have none. */
struct image_new_disk {
	const char *digest, *format;
	int64_t size;
};

/* What a new image says of itself, beside its layers. */
struct image_new {
	const char *arch, *os;			   /* NULL: this host's, "linux" */
	int64_t created;			   /* nanoseconds */
	const char *author, *comment, *created_by; /* NULL: none */
	json_t *config; /* {"Env": [...], "Cmd": [...]}; borrowed; NULL: empty */
	const char *const *diff_ids;
	unsigned n_diff_ids;
	const struct image_new_disk *disk; /* NULL: layers */
};
/* The configuration's JSON text. Caller frees. Pure. */
char *image_config_text(const struct image_new *n);

/* Tells of it (store/event.h): id is the image's; name how it was called, NULL: the id. */
void image_event(struct ctx *c, const char *action, const char *id, const char *name);

/* docker's name of this host's architecture: "amd64". */
const char *image_arch(void);

/* Applies one of `docker import --change`'s instructions to a config object: CMD, ENTRYPOINT, ENV, EXPOSE,
 * LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR, HEALTHCHECK, as in a Dockerfile. -E_INVALID. Pure. */
int image_change(json_t *config, const char *instruction, struct err *e);

/* Records an image whose layers (or disk) are there: blobs, record and names (full), one plan. An image that is there
 * already gets the names. manifest: its bytes, or NULL. *ret_id: caller frees; NULL: not wanted. */
int image_add(struct ctx *c, const char *config, size_t config_size, const char *manifest,
	size_t manifest_size, const char *const *names, char **ret_id, struct err *e);

/* Told what goes on: one line, without newline; NULL: the last one is done. May be called often with the
 * same stage and another number. */
struct image_progress {
	void (*tell)(void *data, const char *line);
	void *data;
};
/* A `tell` whose data is a struct image_progress_file: on a terminal one line that changes; else a line for
 * each stage (what comes before the first digit of a line). */
struct image_progress_file {
	FILE *out;
	bool tty; /* set by image_progress_init */
	char stage[64];
};
void image_progress_init(struct image_progress_file *f, FILE *out, struct image_progress *ret);

#endif
