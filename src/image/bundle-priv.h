/* SPDX-License-Identifier: MIT */
#ifndef LODGE_IMAGE_BUNDLE_PRIV_H
#define LODGE_IMAGE_BUNDLE_PRIV_H

/* What the files of bundle.h share. */

#include <jansson.h>
#include <sys/stat.h>
#include "codec/tar.h"
#include "image/bundle.h"
#include "image/image.h"

/* --- ids (bundle-ids.c; pure) --------------------------------------------------------------------------------- */

#define BUNDLE_MAPS_MAX	     340 /* the kernel's, user_namespaces(7) */
#define BUNDLE_ROOTLESS_ATTR "user.rootlesscontainers"
#define BUNDLE_ROOTLESS_MAX  12 /* bytes of its value: two numbers of protobuf, 1 and 2 */

struct bundle_map {
	uint32_t container, host, size;
};
struct bundle_ids {
	struct bundle_map uid[BUNDLE_MAPS_MAX], gid[BUNDLE_MAPS_MAX];
	unsigned n_uid, n_gid; /* 0: as they are */
	bool rootless;
};
/* -E_INVALID; -E_LIMIT. */
int bundle_ids_parse(char *const *uid, char *const *gid, bool rootless, uint32_t own_uid,
	uint32_t own_gid, struct bundle_ids *ret, struct err *e);
/* An id of the image on the host, or (back) the other way. -E_INVALID: isn't mapped. */
int bundle_map_id(const struct bundle_map *m, unsigned n, uint32_t id, bool back, uint32_t *ret);
/* umoci.json's map_options. */
json_t *bundle_ids_json(const struct bundle_ids *ids);
/* One list in runtime-spec's words: [{"containerID", "hostID", "size"}]. */
json_t *bundle_map_json(const struct bundle_map *m, unsigned n);
/* The value of BUNDLE_ROOTLESS_ATTR; returns its size. */
size_t bundle_rootless_put(uint32_t uid, uint32_t gid, uint8_t ret[BUNDLE_ROOTLESS_MAX]);
/* -E_CORRUPT. */
int bundle_rootless_get(const uint8_t *p, size_t n, uint32_t *ret_uid, uint32_t *ret_gid);

/* --- layers (bundle-apply.c) ---------------------------------------------------------------------------------- */

/* Takes the plain tar of a layer: a process that can reach nothing but the root reads it. */
struct apply;
int apply_new(int root, const struct bundle_ids *ids, bool keep_dirlinks, struct apply **ret,
	struct err *e);
int apply_write(struct apply *a, const void *data, size_t size, struct err *e);
int apply_finish(struct apply *a, struct err *e);
void apply_free(struct apply *a);
void apply_freep(struct apply **a);

/* --- config.json (bundle-config.c) ---------------------------------------------------------------------------- */

/* Caller frees *ret. root: of the unpacked files, whose users are looked up. image-spec conversion.md. */
int bundle_config(const struct image_config *i, int root, const struct bundle_ids *ids, char **ret,
	struct err *e);

/* --- the record (bundle-record.c) ----------------------------------------------------------------------------- */

/* Text of the mtree file, mtree(5) in go-mtree's dialect: sizes, types, owners, modes, links, whole seconds, sha256 and
 * extended attributes of all below root. Caller frees. */
int bundle_record(int root, char **ret, struct err *e);

/* --- differences (bundle-mtree.c, pure; bundle-diff.c) ----------------------------------------------------------- */

/* Reads such a text, ours or go-mtree's: paths ("" is the root) to what is compared of them. -E_CORRUPT. */
int bundle_record_parse(const char *text, GHashTable **ret, struct err *e);
/* entry: of such a table; NULL: not there. */
bool bundle_record_is_folder(const char *entry);

typedef int (*bundle_sink)(void *arg, const void *data, size_t size, struct err *e);

/* Writes the layer of what differs between two records; `now` is root's own. masks: paths below which nothing is
 * compared. */
int bundle_diff(int root, const struct bundle_ids *ids, GHashTable *then, GHashTable *now,
	char *const *masks, bundle_sink sink, void *arg, struct err *e);

#endif
