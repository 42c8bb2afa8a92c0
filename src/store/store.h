/* SPDX-License-Identifier: MIT */
#ifndef LODGE_STORE_H
#define LODGE_STORE_H

/*
 * The store: records in SQLite (WAL), content by sha256, layers as EROFS files, locks, the journal.
 *
 *   ROOT/state.db            records
 *   ROOT/blobs/sha256/HEX    content: image configurations and manifests; HEX.part: partial.h
 *   ROOT/layers/HEX.erofs    a layer, by the sha256 of its uncompressed tar (the diff id)
 *   ROOT/layers/HEX.tar      what gives back the exact tar (headers and padding; see layer.h)
 *   ROOT/layers/HEX/         the layer as a folder, where EROFS can't be mounted
 *   ROOT/disks/HEX.FORMAT    a disk that an image has, by the sha256 of the file
 *   ROOT/guests/ID/          a guest's own files: upper, work, plan, log, etc
 *   ROOT/volumes/NAME/       a volume's data
 *   ROOT/kernels/RELEASE-N/  a kernel prepared for machines (engine/vm/kernel.h)
 *   ROOT/cache/              what can be made again (compiled seccomp filters)
 *   ROOT/journal/            plans that are being run by PID.START
 *   RUN/guests/ID/           sock, status: what dies with the boot
 *   RUN/layers/HEX           where a layer's image is mounted
 *   RUN/networks/NAME/       leases/, names/
 *   RUN/events               one JSON object a line
 *
 * Records are plain structs whose strings belong to them (xxx_free). Lookups return -E_NOTFOUND
 * without a text where the caller knows better words.
 */

#include <glib.h>
#include <jansson.h>
#include "base/ctx.h"
#include "base/err.h"

/* Opens on first use, making folders and schema when they aren't there, and undoes what dead owners
 * left in the journal (store/journal.h). Borrowed: lives until store_close. */
int store_get(struct ctx *c, struct store **ret, struct err *e);
/* As store_get, but -E_NOTFOUND when there is no store yet: for commands that only read. */
int store_get_existing(struct ctx *c, struct store **ret, struct err *e);
void store_close(struct ctx *c);

/* Path below ROOT or RUN; never NULL, caller frees. */
char *store_path(struct ctx *c, const char *fmt, ...) _printf_(2, 3);
char *store_run_path(struct ctx *c, const char *fmt, ...) _printf_(2, 3);

/* One transaction (BEGIN IMMEDIATE); may not nest. store_rollback after a failed begin is harmless. */
int store_begin(struct store *s, struct err *e);
int store_commit(struct store *s, struct err *e);
void store_rollback(struct store *s);

/* --- guests ---------------------------------------------------------------------------------------- */

struct guest_record {
	char *id;	  /* 64 hexadecimal digits */
	char *realm;	  /* "lodge", "docker", ...: whose name it is */
	char *name;	  /* unique in the realm */
	char *kind;	  /* "container", "system", "vm" */
	char *engine;	  /* "oci" */
	char *image;	  /* image id ("sha256:..."), or NULL */
	char *image_name; /* as the user wrote it */
	char *spec;	  /* JSON: spec_to_json */
	char *doc;	  /* JSON of the dialect: labels and what the model doesn't know; "{}" */
	int64_t created;  /* nanoseconds since 1970 */
	bool auto_remove;
	bool wanted; /* should run after a boot: started, and not stopped by a user */
};
void guest_record_free(struct guest_record *g);
void guest_record_freep(struct guest_record **g);

int store_guest_add(
	struct store *s, const struct guest_record *g, struct err *e); /* -E_EXISTS: the name */
int store_guest_update(struct store *s, const struct guest_record *g, struct err *e);
int store_guest_remove(struct store *s, const char *id, struct err *e);
/* By exact name in the realm, exact id, or a prefix of an id that only one guest has. realm NULL: any. */
int store_guest_find(struct store *s, const char *realm, const char *ref, struct guest_record **ret,
	struct err *e);
/* Newest first; elements are struct guest_record. Caller frees with g_ptr_array_unref. */
int store_guest_list(struct store *s, const char *realm, GPtrArray **ret, struct err *e);

/* The JSON of a record's field, or -E_CORRUPT with the record named ("guest", its name) and the mend. */
int store_json(const char *text, const char *kind, const char *name, json_t **ret, struct err *e);

/* --- images ---------------------------------------------------------------------------------------- */

struct image_record {
	char *id;	   /* digest of the configuration blob */
	char *manifest;	   /* digest of the manifest blob, or NULL */
	char **layers;	   /* diff ids, lowest first; NULL-terminated; none for a disk */
	char *disk;	   /* digest of the disk's file, NULL for an image of layers; see disk.h */
	char *disk_format; /* QEMU's name; NULL without a disk */
	int64_t disk_size; /* bytes that a guest sees */
	char **names;	   /* "docker.io/library/debian:12" in full; may be empty (dangling) */
	int64_t size;	   /* bytes of the layers' or the disk's files */
	int64_t created;   /* of the image, nanoseconds */
	int64_t added;	   /* to this store */
	char *arch, *os;
};
void image_record_free(struct image_record *i);
void image_record_freep(struct image_record **i);

int store_image_add(
	struct store *s, const struct image_record *i, struct err *e); /* names move to it */
int store_image_remove(
	struct store *s, const char *id, struct err *e); /* -E_INUSE: a guest has it */
int store_image_users(struct store *s, const char *id, GPtrArray **ret_guest_ids, struct err *e);
int store_image_tag(struct store *s, const char *id, const char *name, struct err *e);
int store_image_untag(struct store *s, const char *name, struct err *e);
/* By full name, "name@digest", id, or a prefix of the id's hexadecimal digits. */
int store_image_find(struct store *s, const char *ref, struct image_record **ret, struct err *e);
int store_image_list(struct store *s, GPtrArray **ret, struct err *e);

/* --- layers: rows for files that layer.h writes ------------------------------------------------------ */

struct layer_record {
	char *digest;	  /* diff id */
	int64_t size;	  /* bytes of files on disk that belong to it */
	int64_t tar_size; /* of the uncompressed tar */
	int64_t created;
};
void layer_record_free(struct layer_record *l);

int store_layer_add(struct store *s, const struct layer_record *l, struct err *e);
int store_layer_has(struct store *s, const char *digest, struct err *e); /* 1, 0 or a code */
int store_layer_list(struct store *s, GPtrArray **ret, struct err *e);
/* Layers that no image names; removed with their files by layer.h's layer_collect(). */
int store_layer_unused(struct store *s, GPtrArray **ret_digests, struct err *e);
int store_layer_remove(struct store *s, const char *digest, struct err *e);

/* --- volumes and networks ---------------------------------------------------------------------------- */

struct volume_record {
	char *name;
	char *driver; /* "local" */
	char *doc;    /* JSON: labels, options */
	int64_t created;
	bool anonymous;
};
void volume_record_free(struct volume_record *v);
void volume_record_freep(struct volume_record **v);
int store_volume_add(struct store *s, const struct volume_record *v, struct err *e);
int store_volume_remove(struct store *s, const char *name, struct err *e); /* -E_INUSE */
int store_volume_find(struct store *s, const char *name, struct volume_record **ret, struct err *e);
int store_volume_list(struct store *s, GPtrArray **ret, struct err *e);
/* Which guests use what: kept with the guest's record, for -E_INUSE and prune. */
int store_guest_uses(struct store *s, const char *guest, const char *kind, const char *what,
	struct err *e); /* kind: "volume", "network" */
int store_guest_leaves(struct store *s, const char *guest, const char *kind, const char *what,
	struct err *e); /* one that it didn't use is no error */
int store_users(struct store *s, const char *kind, const char *what, GPtrArray **ret_guest_ids,
	struct err *e);

struct network_record {
	char *id; /* 64 hexadecimal digits */
	char *name;
	char *driver;				     /* "bridge", "macvlan", "ipvlan" */
	char *bridge;				     /* interface */
	char *subnet, *gateway, *subnet6, *gateway6; /* cidr and address; the 6 ones may be NULL */
	char *parent;				     /* macvlan, ipvlan */
	char *doc;				     /* JSON: labels, options */
	bool internal;
	int mtu; /* 0: the kernel's */
	int64_t created;
};
void network_record_free(struct network_record *n);
void network_record_freep(struct network_record **n);
int store_network_add(struct store *s, const struct network_record *n, struct err *e);
int store_network_remove(struct store *s, const char *name, struct err *e); /* -E_INUSE */
int store_network_find(
	struct store *s, const char *ref, struct network_record **ret, struct err *e);
int store_network_list(struct store *s, GPtrArray **ret, struct err *e);

/* --- the whole of it --------------------------------------------------------------------------------- */

/*
 * Checks all that is below ROOT: the database, records, blobs and their digests, files of layers, folders
 * of guests and volumes, the journal, files that nobody knows. Adds one line a problem. With repair mends
 * what can be: what holds data that isn't known any more goes to ROOT/lost, what holds none is removed.
 * Mended lines end with what was done, in brackets. Returns the number of problems that are left.
 * What commands that live are making just now is no problem.
 */
int store_fsck(struct ctx *c, bool repair, GPtrArray *problems, struct err *e);

/*
 * What takes how much: *ret is an array of {"kind": "images"|"containers"|"volumes"|"kernels"|"cache"|"other",
 * "count", "active", "bytes", "reclaimable", "items": [{"id" or "name", "bytes", "active"}]}. Bytes are
 * those on disk (blocks), hard links once, folders too: their sum is what `du -s ROOT` says. Active: images
 * that a guest has, guests whose status file says that they run, volumes that a guest uses.
 */
int store_df(struct ctx *c, json_t **ret, struct err *e);

/* --- locks ------------------------------------------------------------------------------------------- */

/* An flock(2) on RUN/locks/KIND-NAME (the folder is the store's); blocks. Returns a descriptor to close. */
int store_lock(struct ctx *c, const char *kind, const char *name, struct err *e);

#endif
