/* SPDX-License-Identifier: MIT */
/*
 * Images to archives. What is written is an OCI layout (image-layout.md) with uncompressed layers; an archive of
 * docker's form has manifest.json and "repositories" beside (docker-image-spec v1.2), as docker 25 and later
 * write it, and is read by both kinds of program.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "image/archive-out.h"
#include "image/archive.h"
#include "image/manifest.h"
#include "image/ref.h"
#include "host/path.h"
#include "store/blob.h"
#include "store/journal.h"
#include "store/layer.h"

#define BLOBS "blobs/sha256"

static const char *const format_names[_IMAGE_FORMAT_MAX] = {
	[IMAGE_DOCKER_ARCHIVE] = "docker-archive",
	[IMAGE_OCI_ARCHIVE] = "oci-archive",
	[IMAGE_OCI_LAYOUT] = "oci-dir",
};

int image_format_from_name(const char *name)
{
	for (int i = 0; i < _IMAGE_FORMAT_MAX; i++)
		if (strcmp(name, format_names[i]) == 0)
			return i;
	return -EINVAL;
}

static int put_blob(
	struct archive_out *o, const char *text, size_t size, char **ret_digest, struct err *e)
{
	g_autofree char *digest = blob_digest(text, size), *path = NULL;
	int r;

	path = g_strdup_printf(BLOBS "/%s", digest + strlen("sha256:"));
	r = archive_out_text(o, path, text, size, e);
	*ret_digest = g_steal_pointer(&digest);
	return r;
}

static int put_layer(struct archive_out *o, const char *digest, int64_t size, struct err *e)
{
	g_autofree char *path = g_strdup_printf(BLOBS "/%s", digest + strlen("sha256:"));

	return archive_out_layer(o, path, digest, size, e);
}

/* --- one image ----------------------------------------------------------------------------------- */

struct save {
	struct archive_out out;
	enum image_format format;
	json_t *index;	      /* "manifests" */
	json_t *docker;	      /* manifest.json: an entry an image */
	json_t *repositories; /* {"NAME": {"TAG": ID}} */
	GHashTable *images;   /* id -> its entry of docker */
};

static int64_t tar_size(const GPtrArray *layers, const char *digest)
{
	for (unsigned i = 0; i < layers->len; i++) {
		const struct layer_record *l = layers->pdata[i];

		if (strcmp(l->digest, digest) == 0)
			return l->tar_size;
	}
	return 0;
}

static json_t *descriptor(const char *type, const char *digest, int64_t size)
{
	return json_pack(
		"{s:s, s:s, s:I}", "mediaType", type, "digest", digest, "size", (json_int_t)size);
}

static int put_layers(struct save *s, const struct image_record *i, json_t *ret_descriptors,
	json_t *ret_paths, struct err *e)
{
	g_autoptr(GPtrArray) layers = NULL;
	struct store *store;
	int r;

	r = store_get(s->out.c, &store, e);
	if (r >= 0)
		r = store_layer_list(store, &layers, e);
	for (char **l = i->layers; r >= 0 && *l; l++) {
		g_autofree char *path = g_strdup_printf(BLOBS "/%s", *l + strlen("sha256:"));
		int64_t size = tar_size(layers, *l);

		if (size <= 0)
			return err_set(e, -E_CORRUPT,
				"the record of the layer '%s' is lost, so it can't be "
				"saved; get the image again",
				*l);
		(void)json_array_append_new(ret_descriptors, descriptor(TYPE_OCI_LAYER, *l, size));
		(void)json_array_append_new(ret_paths, json_string(path));
		r = put_layer(&s->out, *l, size, e);
	}
	return r;
}

static int put_image(
	struct save *s, const struct image_record *i, json_t **ret_descriptor, struct err *e)
{
	json_t *layers = json_array(), *paths = json_array(), *manifest;
	g_autofree char *config = NULL, *digest = NULL, *path = NULL;
	size_t size;
	char *text;
	int r;

	r = blob_read(s->out.c, i->id, &config, &size, e);
	if (r >= 0)
		r = put_blob(&s->out, config, size, &digest, e);
	if (r >= 0)
		r = put_layers(s, i, layers, paths, e);
	if (r < 0) {
		json_decref(layers);
		json_decref(paths);
		return r;
	}
	manifest = json_pack("{s:i, s:s, s:o, s:o}", "schemaVersion", 2, "mediaType",
		TYPE_OCI_MANIFEST, "config", descriptor(TYPE_OCI_CONFIG, digest, (int64_t)size),
		"layers", layers);
	text = json_dumps(manifest, JSON_COMPACT);
	json_decref(manifest);
	path = g_strdup_printf(BLOBS "/%s", digest + strlen("sha256:"));
	(void)json_array_append_new(s->docker,
		json_pack("{s:s, s:[], s:o}", "Config", path, "RepoTags", "Layers", paths));
	g_free(digest);
	digest = NULL;
	r = put_blob(&s->out, text, strlen(text), &digest, e);
	*ret_descriptor = descriptor(TYPE_OCI_MANIFEST, digest, (int64_t)strlen(text));
	(void)json_object_set_new(*ret_descriptor, "platform",
		json_pack("{s:s, s:s}", "architecture", i->arch, "os", i->os));
	free(text);
	return r;
}

/* A name of the image, in all three places. */
static void add_name(
	struct save *s, json_t *entry, json_t *desc, const struct ref *ref, const char *id)
{
	g_autofree char *full = ref_full(ref), *shown = ref_familiar(ref);
	g_autofree char *name = ref_familiar_name(ref);
	json_t *tags = json_object_get(s->repositories, name);

	/* containerd's annotation has the whole name; the other one what skopeo and podman look for */
	(void)json_object_set_new(desc, "annotations",
		json_pack("{s:s, s:s}", "io.containerd.image.name", full,
			"org.opencontainers.image.ref.name",
			s->format == IMAGE_DOCKER_ARCHIVE ? ref->tag : shown));
	(void)json_array_append_new(json_object_get(entry, "RepoTags"), json_string(shown));
	if (!tags) {
		tags = json_object();
		(void)json_object_set_new(s->repositories, name, tags);
	}
	(void)json_object_set_new(tags, ref->tag, json_string(id + strlen("sha256:")));
}

static int save_ref(struct save *s, const char *what, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	struct ref ref = { NULL };
	json_t *entry, *desc;
	bool named = false;
	int r;

	r = image_resolve(s->out.c, what, &i, e);
	if (r < 0)
		return r;
	desc = g_hash_table_lookup(s->images, i->id);
	if (desc) {
		desc = json_deep_copy(desc);
	} else {
		r = put_image(s, i, &desc, e);
		if (r < 0)
			return r;
		g_hash_table_insert(s->images, g_strdup(i->id), json_deep_copy(desc));
	}
	entry = json_array_get(s->docker, json_array_size(s->docker) - 1);
	for (size_t k = 0; k < json_array_size(s->docker); k++)
		if (g_str_has_suffix(json_string_value(json_object_get(
					     json_array_get(s->docker, k), "Config")),
			    i->id + strlen("sha256:")))
			entry = json_array_get(s->docker, k);
	if (ref_parse(what, 0, &ref, NULL) >= 0 && ref.tag && !ref.digest) {
		g_autofree char *full = ref_full(&ref);

		named = g_strv_contains((const char *const *)i->names, full);
	}
	if (named)
		add_name(s, entry, desc, &ref, i->id);
	ref_clear(&ref);
	(void)json_array_append_new(s->index, desc);
	return 0;
}

static int put_json(struct save *s, const char *path, json_t *j, struct err *e)
{
	char *text = json_dumps(j, JSON_COMPACT);
	int r = archive_out_text(&s->out, path, text, strlen(text), e);

	free(text);
	return r;
}

static int put_tail(struct save *s, struct err *e)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	json_t *index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
		TYPE_OCI_INDEX, "manifests", s->index);
	int r;

	r = put_json(s, "index.json", index, e);
	json_decref(index);
	if (r >= 0)
		r = archive_out_text(&s->out, "oci-layout", layout, strlen(layout), e);
	if (r >= 0 && s->format == IMAGE_DOCKER_ARCHIVE)
		r = put_json(s, "manifest.json", s->docker, e);
	if (r >= 0 && s->format == IMAGE_DOCKER_ARCHIVE && json_object_size(s->repositories) > 0)
		r = put_json(s, "repositories", s->repositories, e);
	return r < 0 ? r : archive_out_end(&s->out, e);
}

static int put_folders(struct archive_out *o, struct err *e)
{
	static const char *const folders[] = { "blobs", BLOBS };
	int r = 0;

	for (unsigned i = 0; r >= 0 && i < ELEMENTSOF(folders); i++)
		r = archive_out_folder(o, folders[i], e);
	return r;
}

static int save_all(struct save *s, char **refs, struct err *e)
{
	_cleanup_close_ int lock = -1;
	int r;

	/* layers must not be collected while they are read */
	r = lock = blob_hold(s->out.c, e);
	if (r < 0)
		return r;
	s->index = json_array();
	s->docker = json_array();
	s->repositories = json_object();
	s->images =
		g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)json_decref);
	r = put_folders(&s->out, e);
	for (char **ref = refs; r >= 0 && *ref; ref++)
		r = save_ref(s, *ref, e);
	if (r >= 0)
		r = put_tail(s, e);
	for (char **ref = refs; r >= 0 && *ref; ref++) {
		_cleanup_(image_record_freep) struct image_record *i = NULL;

		if (image_resolve(s->out.c, *ref, &i, NULL) >= 0)
			image_event(s->out.c, "save", i->id, NULL);
	}
	json_decref(s->index);
	json_decref(s->docker);
	json_decref(s->repositories);
	g_hash_table_unref(s->images);
	return r;
}

/* --- where to ------------------------------------------------------------------------------------ */

static int save_file(struct save *s, char **refs, const char *path, struct err *e)
{
	g_autofree char *temp = NULL;
	int r;

	if (strcmp(path, "-") == 0) {
		s->out.shown = "standard output";
		s->out.fd = STDOUT_FILENO;
		if (isatty(STDOUT_FILENO)) {
			r = err_set(e, -E_USAGE, "an archive isn't written to a terminal");
			(void)err_mend(e, "name a file with -o, or redirect the output");
			return r;
		}
		return save_all(s, refs, e);
	}
	temp = g_strdup_printf("%s.part-%d", path, (int)getpid());
	s->out.fd = RET_NERRNO(open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	if (s->out.fd < 0)
		return err_sys(e, s->out.fd, "cannot make '%s'", temp);
	r = save_all(s, refs, e);
	if (r >= 0 && close(TAKE_FD(s->out.fd)) < 0)
		r = err_sys(e, -errno, "cannot write '%s'", path);
	if (r >= 0 && rename(temp, path) < 0)
		r = err_sys(e, -errno, "cannot write '%s'", path);
	if (r < 0)
		(void)unlink(temp);
	closep(&s->out.fd);
	return r;
}

static bool is_empty(const char *path)
{
	GDir *d = g_dir_open(path, 0, NULL);
	bool empty = d && !g_dir_read_name(d);

	if (d)
		g_dir_close(d);
	return empty;
}

static int save_folder(struct save *s, char **refs, const char *path, struct err *e)
{
	bool made = mkdir(path, 0755) == 0;
	int r = made ? 0 : -errno;

	if (r == -EEXIST && !is_empty(path))
		return err_set(
			e, -E_EXISTS, "'%s' is there already, and isn't an empty folder", path);
	if (r < 0 && r != -EEXIST)
		return err_sys(e, r, "cannot make '%s'", path);
	s->out.dir = RET_NERRNO(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	if (s->out.dir < 0)
		return err_sys(e, s->out.dir, "cannot open '%s'", path);
	r = save_all(s, refs, e);
	if (r < 0) {
		/* all that is in it is ours */
		(void)path_remove_tree(s->out.dir, "blobs");
		(void)unlinkat(s->out.dir, "index.json", 0);
		(void)unlinkat(s->out.dir, "oci-layout", 0);
		if (made)
			(void)rmdir(path);
	}
	closep(&s->out.dir);
	return r;
}

int image_save(
	struct ctx *c, char **refs, enum image_format format, const char *path, struct err *e)
{
	struct save s = { .format = format };
	int r;

	for (char **ref = refs; *ref; ref++) {
		_cleanup_(image_record_freep) struct image_record *i = NULL;

		r = image_resolve(c, *ref, &i, e);
		if (r >= 0 && image_need_layers(i, *ref, e) < 0) {
			(void)err_mend(e, "its file is what 'lodge image inspect --format "
					  "{{.Disk.Path}}' says; qemu-img copies it");
			return -E_INVALID;
		}
		if (r < 0)
			return r;
	}
	if (!*refs)
		return err_set(e, -E_USAGE, "no image to save was named");
	if (c->explain) {
		_cleanup_(plan_freep) struct plan *p = plan_new();
		g_autofree char *to = g_strdup_printf(
			"%s:%s", format == IMAGE_OCI_LAYOUT ? "oci" : format_names[format], path);

		for (char **ref = refs; *ref; ref++)
			plan_add(p, AT_HOST, &step_content, "skopeo", "copy",
				plan_str(p, "containers-storage:%s", *ref), to);
		plan_show(p, stdout);
		return 0;
	}
	archive_out_init(&s.out, c, path);
	if (format != IMAGE_OCI_LAYOUT)
		r = save_file(&s, refs, path, e);
	else if (strcmp(path, "-") == 0)
		r = err_set(e, -E_USAGE, "a folder isn't written to standard output");
	else
		r = save_folder(&s, refs, path, e);
	archive_out_done(&s.out);
	return r;
}
