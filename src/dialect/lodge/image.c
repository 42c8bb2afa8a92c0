/* SPDX-License-Identifier: MIT */
/* image ...: docker-cli's reference, "image", and our own build-from-mirror. */

#include <string.h>
#include <unistd.h>
#include "base/units.h"
#include "dialect/lodge/lodge.h"
#include "dialect/lodge/transfer.h"
#include "image/archive.h"
#include "image/disk.h"
#include "image/mirror.h"
#include "image/ref.h"
#include "store/blob.h"

/* --- build-from-mirror ---------------------------------------------------------------------------------- */

struct mirror_args {
	char *mirror, *variant, *name, *arch;
	char **include, **component;
	int64_t disk;
	bool quiet;
};

/* clang-format off */
static const struct opt mirror_opts[] = {
	OPT_STRING(0, "mirror", struct mirror_args, mirror, "URL", complete_none, "instead of the host's own"),
	OPT_STRING(0, "variant", struct mirror_args, variant, "VARIANT", complete_none, "mmdebstrap's: minbase, important, ..."),
	OPT_LIST(0, "include", struct mirror_args, include, "PACKAGE", complete_none, "further package"),
	OPT_LIST(0, "component", struct mirror_args, component, "COMPONENT", complete_none, "part of the archive, instead of main"),
	OPT_SIZE(0, "disk", struct mirror_args, disk, "SIZE", "a disk of this size, with kernel and boot loader"),
	OPT_STRING('t', "name", struct mirror_args, name, "NAME", complete_none, "name of the image"),
	OPT_STRING(0, "arch", struct mirror_args, arch, "ARCH", complete_none, "another processor's packages"),
	OPT_FLAG('q', "quiet", struct mirror_args, quiet, "no progress"),
	OPT_END
};
/* clang-format on */

static int mirror_run(struct cmd_call *call, struct err *e)
{
	const struct mirror_args *a = call->args;
	const char *ref = call->operands[0];
	struct image_progress_file file;
	struct image_progress progress;
	struct image_mirror_options o = { a->mirror, a->variant, a->include, a->component, a->name,
		a->arch, a->disk, NULL };
	g_autofree char *id = NULL;
	int r;

	if (a->disk && g_str_equal(ref, "busybox"))
		return err_set(e, -E_USAGE, "--disk is for distributions, not for busybox");
	image_progress_init(&file, stderr, &progress);
	if (!a->quiet)
		o.progress = &progress;
	if (g_str_equal(ref, "busybox"))
		r = image_build_busybox(call->c, NULL, a->name, &id, e);
	else
		r = image_build_from_mirror(call->c, ref, &o, &id, e);
	if (o.progress)
		progress.tell(progress.data, NULL);
	if (r >= 0 && id)
		printf("%s\n", id);
	return r;
}

static const struct cmd image_mirror = {
	CMD_FILE,
	.name = "build-from-mirror",
	.run = mirror_run,
	.opts = mirror_opts,
	.args_size = sizeof(struct mirror_args),
	.brief = "make an image of a distribution from its mirror",
	.synopsis = "[OPTIONS] DISTRIBUTION:SUITE|busybox",
	.details = "With --disk it is a disk that machines boot from, by BIOS or UEFI: kernel, "
		   "systemd, "
		   "cloud-init, SSH server and QEMU's agent, named debian:12-disk.",
	.examples = "lodge image build-from-mirror debian:12   # Debian 12, signatures checked\n"
		    "lodge image build-from-mirror debian:12 --disk 4G   # a disk for machines\n"
		    "lodge image build-from-mirror busybox   # from this host's static busybox\n",
	.min_operands = 1,
	.max_operands = 1,
};

/* --- import, load, save ------------------------------------------------------------------------------------ */

struct import_args {
	char **change, **name;
	char *message, *type, *arch, *format;
	bool quiet, disk;
};

/* clang-format off */
static const struct opt import_opts[] = {
	OPT_LIST('c', "change", struct import_args, change, "INSTRUCTION", complete_none, "CMD, ENV, ... for a root file system"),
	OPT_STRING('m', "message", struct import_args, message, "TEXT", complete_none, "comment of the image"),
	OPT_STRING(0, "type", struct import_args, type, "TYPE", complete_none, "archive or rootfs, instead of looking"),
	OPT_LIST('t', "name", struct import_args, name, "NAME", complete_none, "further name of the image"),
	OPT_STRING(0, "arch", struct import_args, arch, "ARCH", complete_none, "processor that the root file system is for"),
	OPT_FLAG(0, "disk", struct import_args, disk, "the file is a disk image"),
	OPT_STRING(0, "format", struct import_args, format, "FORMAT", complete_none, "of the disk image, instead of looking: raw, qcow2, vmdk, vdi, vhdx, vpc"),
	OPT_FLAG('q', "quiet", struct import_args, quiet, "only the id"),
	OPT_END
};
/* clang-format on */

static int import(struct cmd_call *call, const char *path, struct image_import_options *o,
	bool loaded, struct err *e)
{
	g_autoptr(GPtrArray) list = NULL;
	struct image_progress_file file;
	struct image_progress progress;
	bool show = o->progress != NULL;
	int r;

	image_progress_init(&file, stderr, &progress);
	/* told only where somebody watches */
	o->progress = show && isatty(STDERR_FILENO) ? &progress : NULL;
	r = image_import(call->c, path, o, &list, e);
	if (o->progress)
		progress.tell(progress.data, NULL);
	for (guint i = 0; r >= 0 && list && i < list->len; i++) {
		const struct image_imported *m = list->pdata[i];

		if (!loaded) {
			printf("%s\n", m->id);
			continue;
		}
		for (char **n = m->names; n && *n; n++) {
			g_autofree char *shown = ref_show(*n);

			printf("Loaded image: %s\n", shown);
		}
		if (!m->names || !m->names[0])
			printf("Loaded image ID: %s\n", m->id);
	}
	return r;
}

static int import_disk(struct cmd_call *call, char **names, struct err *e)
{
	const struct import_args *a = call->args;
	struct disk_import_options o = { .format = a->format,
		.names = (const char *const *)names,
		.message = a->message,
		.arch = a->arch };
	struct image_progress_file file;
	struct image_progress progress;
	g_autofree char *id = NULL;
	int r;

	if (a->change || a->type)
		return err_set(e, -E_USAGE, "--change and --type are not for a disk");
	image_progress_init(&file, stderr, &progress);
	if (!a->quiet && isatty(STDERR_FILENO))
		o.progress = &progress;
	r = image_import_disk(call->c, call->operands[0], &o, &id, e);
	if (o.progress)
		progress.tell(progress.data, NULL);
	if (r >= 0 && id)
		printf("%s\n", id);
	return r;
}

static int import_run(struct cmd_call *call, struct err *e)
{
	static const struct image_progress on = { 0 };
	const struct import_args *a = call->args;
	g_autoptr(GPtrArray) names = g_ptr_array_new();
	struct image_import_options o = { .changes = a->change,
		.message = a->message,
		.arch = a->arch,
		.progress = a->quiet ? NULL : &on };

	if (a->format && !a->disk)
		return err_set(e, -E_USAGE, "--format is for --disk");
	if (a->type && g_str_equal(a->type, "archive"))
		o.source = IMAGE_SOURCE_ARCHIVE;
	else if (a->type && g_str_equal(a->type, "rootfs"))
		o.source = IMAGE_SOURCE_ROOTFS;
	else if (a->type)
		return err_set(e, -E_USAGE, "invalid type '%s': not archive or rootfs", a->type);
	if (call->n_operands > 1)
		g_ptr_array_add(names, call->operands[1]);
	for (char **n = a->name; n && *n; n++)
		g_ptr_array_add(names, *n);
	g_ptr_array_add(names, NULL);
	if (a->disk)
		return import_disk(call, (char **)names->pdata, e);
	if (names->len > 1)
		o.names = (char **)names->pdata;
	return import(call, call->operands[0], &o, false, e);
}

static const struct cmd image_import_cmd = {
	CMD_FILE,
	.name = "import",
	.run = import_run,
	.opts = import_opts,
	.args_size = sizeof(struct import_args),
	.brief = "make images from an archive, a layout or a root file system",
	.synopsis = "[OPTIONS] FILE|FOLDER|- [NAME]",
	.details = "What it is shows itself: an archive of docker save, an OCI archive, an OCI "
		   "layout, a root "
		   "file system as tar (plain, gzip or zstd) or as a folder. With --disk it is a "
		   "disk image that machines boot from.",
	.examples = "docker save debian:12 | lodge image import -   # from docker\n"
		    "lodge image import -c 'CMD [\"/bin/sh\"]' root.tar mine:1   # a root file "
		    "system\n"
		    "lodge image import --disk server.vmdk server:1   # a machine's disk\n",
	.min_operands = 1,
	.max_operands = 2,
	.complete = complete_file,
};

struct load_args {
	char *input;
	bool quiet;
};

static const struct opt load_opts[] = { OPT_STRING('i', "input", struct load_args, input, "FILE",
						complete_file, "instead of standard input"),
	OPT_FLAG('q', "quiet", struct load_args, quiet, "no progress"), OPT_END };

static int load_run(struct cmd_call *call, struct err *e)
{
	static const struct image_progress on = { 0 };
	const struct load_args *a = call->args;
	struct image_import_options o = { .source = IMAGE_SOURCE_ARCHIVE,
		.progress = a->quiet ? NULL : &on };

	if (!a->input && isatty(STDIN_FILENO)) {
		err_set(e, -E_INVALID, "refusing to read an archive from a terminal");
		err_mend(e, "use --input");
		return -E_INVALID;
	}
	return import(call, a->input ?: "-", &o, true, e);
}

static const struct cmd image_load = {
	CMD_FILE,
	.name = "load",
	.run = load_run,
	.opts = load_opts,
	.args_size = sizeof(struct load_args),
	.brief = "images from an archive of docker save or an OCI archive",
	.synopsis = "[OPTIONS]",
};

struct save_args {
	char *output, *format;
};

static const struct opt save_opts[] = { OPT_STRING('o', "output", struct save_args, output, "FILE",
						complete_file, "instead of standard output"),
	OPT_STRING(0, "format", struct save_args, format, "FORMAT", complete_none,
		"docker-archive, oci-archive or oci-dir"),
	OPT_END };

static int save_run(struct cmd_call *call, struct err *e)
{
	const struct save_args *a = call->args;
	int format = image_format_from_name(a->format ?: "docker-archive");

	if (format < 0)
		return err_set(e, -E_USAGE,
			"invalid format '%s': not docker-archive, oci-archive or oci-dir",
			a->format);
	if (!a->output && isatty(STDOUT_FILENO) && !call->c->explain) {
		err_set(e, -E_INVALID, "refusing to write an archive to a terminal");
		err_mend(e, "use --output");
		return -E_INVALID;
	}
	return image_save(call->c, call->operands, format, a->output ?: "-", e);
}

static const struct cmd image_save_cmd = {
	CMD_FILE,
	.name = "save",
	.run = save_run,
	.opts = save_opts,
	.args_size = sizeof(struct save_args),
	.brief = "write images to an archive",
	.synopsis = "[OPTIONS] IMAGE...",
	.examples = "lodge image save debian:12 | docker load   # to docker\n",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_image,
};

/* --- ls -------------------------------------------------------------------------------------------------------- */

struct ls_args {
	bool all, quiet, no_trunc, digests;
	char **filter;
	char *format;
};

static const struct opt ls_opts[] = { OPT_FLAG(0, "digests", struct ls_args, digests,
					      "a column of digests"),
	OPT_LIST('f', "filter", struct ls_args, filter, "KEY=VALUE", complete_none,
		"only those: reference, dangling, label, before, since"),
	OPT_STRING(0, "format", struct ls_args, format, "FORMAT", complete_none,
		"table, json, or a template"),
	OPT_FLAG(0, "no-trunc", struct ls_args, no_trunc, "do not cut ids"),
	OPT_FLAG('q', "quiet", struct ls_args, quiet, "only ids"), OPT_END };

static const char *const ls_keys[] = { "before", "dangling", "label", "reference", "since", NULL };

static const struct tab_column ls_columns[] = {
	{ "REPOSITORY", "Repository" },
	{ "TAG", "Tag" },
	{ "IMAGE ID", "ID" },
	{ "CREATED", "CreatedSince" },
	{ "SIZE", "Size" },
	{ NULL, NULL },
};

static const struct tab_column ls_digest_columns[] = {
	{ "REPOSITORY", "Repository" },
	{ "TAG", "Tag" },
	{ "DIGEST", "Digest" },
	{ "IMAGE ID", "ID" },
	{ "CREATED", "CreatedSince" },
	{ "SIZE", "Size" },
	{ NULL, NULL },
};

struct ls {
	struct ctx *c;
	const struct ls_args *a;
	struct filters *f;
	int64_t now, before, since;
	json_t *rows;
};

static void put(json_t *row, const char *key, char *text)
{
	json_object_set_new(row, key, json_string(text ?: ""));
	g_free(text);
}

static void add_image_row(struct ls *l, const struct image_record *i, const char *name,
	const char *tag, const char *digest)
{
	json_t *row = json_object();

	put(row, "Repository", g_strdup(name));
	put(row, "Tag", g_strdup(tag));
	put(row, "Digest", g_strdup(digest));
	put(row, "ID", l->a->no_trunc ? g_strdup(i->id) : short_id(i->id));
	put(row, "CreatedAt", units_show_time(i->created));
	put(row, "CreatedSince", i->created ? ago(i->created, l->now) : g_strdup("N/A"));
	put(row, "Size", units_show_size(i->size));
	put(row, "VirtualSize", units_show_size(i->size));
	json_object_set_new(row, "Bytes", json_integer(i->size));
	put(row, "Kind", g_strdup(i->disk ? "disk" : "layers"));
	json_array_append_new(l->rows, row);
}

/* Shell patterns on the name, or on name and tag. */
static bool match_reference(const struct ls *l, const char *familiar_name, const char *tag)
{
	char *const *v = filters_get(l->f, "reference");
	g_autofree char *whole = g_strdup_printf("%s:%s", familiar_name, tag);

	if (!v)
		return true;
	for (; *v; v++)
		if (g_pattern_match_simple(*v, whole) || g_pattern_match_simple(*v, familiar_name))
			return true;
	return false;
}

static void add_image(struct ls *l, const struct image_record *i)
{
	const char *manifest = i->manifest ?: "<none>";
	bool any = false;

	for (char **n = i->names; n && *n; n++) {
		struct ref ref = { 0 };

		any = true;
		if (ref_parse(*n, REF_NO_DEFAULT, &ref, NULL) < 0)
			continue;
		g_autofree char *name = ref_familiar_name(&ref);
		if (match_reference(l, name, ref.tag ?: "<none>"))
			add_image_row(l, i, name, ref.tag ?: "<none>", ref.digest ?: manifest);
		ref_clear(&ref);
	}
	if (!any && !filters_have(l->f, "reference"))
		add_image_row(l, i, "<none>", "<none>", manifest);
}

static bool match_image_labels(const struct ls *l, const struct image_record *i)
{
	_cleanup_(image_config_freep) struct image_config *config = NULL;
	char *const *v = filters_get(l->f, "label");

	if (!v)
		return true;
	if (image_config(l->c, i, &config, NULL) < 0)
		return false;
	for (; *v; v++)
		if (!image_has_label(config, *v))
			return false;
	return true;
}

static int image_moment(struct ls *l, const char *key, int64_t *ret, struct err *e)
{
	_cleanup_(image_record_freep) struct image_record *i = NULL;
	char *const *v = filters_get(l->f, key);
	int r = v ? image_resolve(l->c, v[0], &i, e) : 0;

	*ret = i ? i->created : 0;
	return r;
}

static int ls_list(struct ls *l, struct err *e)
{
	g_autoptr(GPtrArray) all = NULL;
	struct store *s;
	int dangling, r;

	dangling = filters_bool(l->f, "dangling", e);
	if (dangling < -1)
		return dangling;
	r = image_moment(l, "before", &l->before, e);
	if (r >= 0)
		r = image_moment(l, "since", &l->since, e);
	if (r >= 0)
		r = store_get_existing(l->c, &s, e);
	if (r == -E_NOTFOUND && !filters_have(l->f, "before") && !filters_have(l->f, "since"))
		return 0;
	if (r >= 0)
		r = store_image_list(s, &all, e);
	for (guint k = 0; r >= 0 && k < all->len; k++) {
		const struct image_record *i = all->pdata[k];
		int bare = !(i->names && i->names[0]);

		if ((dangling >= 0 && dangling != bare) || (l->before && i->created >= l->before) ||
			(l->since && i->created <= l->since) || !match_image_labels(l, i))
			continue;
		add_image(l, i);
	}
	return r;
}

static int ls_run(struct cmd_call *call, struct err *e)
{
	const struct ls_args *a = call->args;
	_cleanup_(filters_freep) struct filters *f = NULL;
	struct ls l = { .c = call->c, .a = a, .now = g_get_real_time() * 1000 };
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	g_autofree char *reference = NULL;
	int r;

	for (char **w = a->filter; w && *w; w++)
		g_ptr_array_add(words, *w);
	if (call->n_operands) {
		reference = g_strdup_printf("reference=%s", call->operands[0]);
		g_ptr_array_add(words, reference);
	}
	g_ptr_array_add(words, NULL);
	r = filters_parse((char *const *)words->pdata, ls_keys, &f, e);
	if (r < 0)
		return r;
	l.f = f;
	l.rows = json_array();
	r = ls_list(&l, e);
	if (r < 0) {
		json_decref(l.rows);
		return r;
	}
	return print_rows(
		a->digests ? ls_digest_columns : ls_columns, l.rows, a->quiet, "ID", a->format, e);
}

static const struct cmd image_ls = {
	CMD_FILE,
	.name = "ls",
	.run = ls_run,
	.opts = ls_opts,
	.args_size = sizeof(struct ls_args),
	.brief = "list images",
	.synopsis = "[OPTIONS] [NAME[:TAG]]",
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
	.aliases = "list",
};

/* --- rm, tag, prune ---------------------------------------------------------------------------------------------- */

struct rm_args {
	bool force;
};

static const struct opt rm_opts[] = { OPT_FLAG('f', "force", struct rm_args, force,
					      "take the names even of an image that guests have"),
	OPT_END };

static void print_removed(json_t *list)
{
	json_t *one, *v;
	const char *key;
	size_t i;

	json_array_foreach(list, i, one)
		json_object_foreach(one, key, v)
			printf("%s: %s\n", key, json_string_value(v));
	json_decref(list);
}

static int rm_run(struct cmd_call *call, struct err *e)
{
	const struct rm_args *a = call->args;
	int status = 0;

	for (int i = 0; i < call->n_operands; i++) {
		struct err one = { 0 };
		json_t *list = NULL;
		int r = image_remove(call->c, call->operands[i], a->force, &list, &one);

		if (r < 0)
			status = print_failed(&one, r);
		else if (!call->c->explain)
			print_removed(list);
		else
			json_decref(list);
	}
	return status;
}

static const struct cmd image_rm = {
	CMD_FILE,
	.name = "rm",
	.run = rm_run,
	.opts = rm_opts,
	.args_size = sizeof(struct rm_args),
	.brief = "remove images",
	.synopsis = "[OPTIONS] IMAGE...",
	.min_operands = 1,
	.max_operands = -1,
	.complete = complete_image,
	.aliases = "remove",
};

static int tag_run(struct cmd_call *call, struct err *e)
{
	return image_tag(call->c, call->operands[0], call->operands[1], e);
}

static const struct cmd image_tag_cmd = {
	CMD_FILE,
	.name = "tag",
	.run = tag_run,
	.brief = "give an image a further name",
	.synopsis = "IMAGE NAME[:TAG]",
	.min_operands = 2,
	.max_operands = 2,
	.complete = complete_image,
};

struct prune_args {
	bool all, force;
	char **filter;
};

static const struct opt prune_opts[] = { OPT_FLAG('a', "all", struct prune_args, all,
						 "named ones, too, if no guest has them"),
	OPT_FLAG('f', "force", struct prune_args, force, "do not ask"),
	OPT_LIST(0, "filter", struct prune_args, filter, "KEY=VALUE", complete_none,
		"only those: until, label, label!"),
	OPT_END };

static const char *const prune_keys[] = { "label", "label!", "until", NULL };

static int prune_run(struct cmd_call *call, struct err *e)
{
	const struct prune_args *a = call->args;
	_cleanup_(filters_freep) struct filters *f = NULL;
	struct image_prune_query q = { .all = a->all };
	g_autofree char *size = NULL;
	json_t *list = NULL;
	int64_t bytes = 0;
	char *const *until;
	int r;

	r = filters_parse(a->filter, prune_keys, &f, e);
	if (r < 0)
		return r;
	until = filters_get(f, "until");
	if (until && units_parse_moment(until[0], g_get_real_time() * 1000, &q.until) < 0)
		return err_set(e, -E_INVALID, "invalid filter 'until=%s': not a time", until[0]);
	q.labels = (char **)(uintptr_t)filters_get(f, "label");
	q.not_labels = (char **)(uintptr_t)filters_get(f, "label!");
	if (!confirm(a->force || call->c->explain,
		    a->all ? "This removes all images that no guest has."
			   : "This removes all images without a name."))
		return 0;
	r = image_prune(call->c, &q, &list, &bytes, e);
	if (r < 0 || call->c->explain) {
		json_decref(list);
		return MIN(r, 0);
	}
	print_removed(list);
	size = units_show_size(bytes);
	printf("Total reclaimed space: %s\n", size);
	return 0;
}

static const struct cmd image_prune_cmd = {
	CMD_FILE,
	.name = "prune",
	.run = prune_run,
	.opts = prune_opts,
	.args_size = sizeof(struct prune_args),
	.brief = "remove images that nothing needs",
	.synopsis = "[OPTIONS]",
};

/* --- inspect, history -------------------------------------------------------------------------------------------- */

struct inspect_args {
	char *format;
};

static const struct opt inspect_opts[] = { OPT_STRING('f', "format", struct inspect_args, format,
						   "FORMAT", complete_none, "json, or a template"),
	OPT_END };

static int inspect_run(struct cmd_call *call, struct err *e)
{
	const struct inspect_args *a = call->args;

	return inspect_operands(call, a->format, image_inspect, e);
}

static const struct cmd image_inspect_cmd = {
	CMD_FILE,
	.name = "inspect",
	.run = inspect_run,
	.opts = inspect_opts,
	.args_size = sizeof(struct inspect_args),
	.brief = "all about images, as JSON",
	.synopsis = "[OPTIONS] IMAGE...",
	.min_operands = 1,
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
	.complete = complete_image,
};

struct history_args {
	bool quiet, no_trunc, human;
	char *format;
};

static const struct opt history_opts[] = { OPT_FLAG('H', "human", struct history_args, human,
						   "sizes and times for people"),
	OPT_FLAG('q', "quiet", struct history_args, quiet, "only ids"),
	OPT_FLAG(0, "no-trunc", struct history_args, no_trunc, "do not cut commands and ids"),
	OPT_STRING(0, "format", struct history_args, format, "FORMAT", complete_none,
		"table, json, or a template"),
	OPT_END };

static const struct tab_column history_columns[] = {
	{ "IMAGE", "ID" },
	{ "CREATED", "CreatedSince" },
	{ "CREATED BY", "CreatedBy" },
	{ "SIZE", "Size" },
	{ "COMMENT", "Comment" },
	{ NULL, NULL },
};

#define CREATED_BY_WIDTH 45

static void history_defaults(void *args)
{
	((struct history_args *)args)->human = true;
}

static json_t *history_row(const struct history_args *a, const json_t *h, int64_t now)
{
	const char *id = json_string_value(json_object_get(h, "Id")) ?: "";
	const char *by = json_string_value(json_object_get(h, "CreatedBy")) ?: "";
	int64_t created = json_integer_value(json_object_get(h, "Created")) * 1000000000;
	int64_t size = json_integer_value(json_object_get(h, "Size"));
	json_t *row = json_object();

	put(row, "ID", a->no_trunc || id[0] == '<' ? g_strdup(id) : short_id(id));
	put(row, "CreatedAt", units_show_time(created));
	put(row, "CreatedSince",
		!created   ? g_strdup("N/A")
		: a->human ? ago(created, now)
			   : units_show_time(created));
	if (!a->no_trunc && g_utf8_strlen(by, -1) > CREATED_BY_WIDTH) {
		g_autofree char *cut = g_utf8_substring(by, 0, CREATED_BY_WIDTH - 1);

		put(row, "CreatedBy", g_strconcat(cut, "\xe2\x80\xa6", NULL));
	} else {
		put(row, "CreatedBy", g_strdup(by));
	}
	put(row, "Size",
		a->human ? units_show_size(size) : g_strdup_printf("%" G_GINT64_FORMAT, size));
	put(row, "Comment", g_strdup(json_string_value(json_object_get(h, "Comment")) ?: ""));
	return row;
}

static int history_run(struct cmd_call *call, struct err *e)
{
	const struct history_args *a = call->args;
	int64_t now = g_get_real_time() * 1000;
	json_t *list = NULL, *one, *rows;
	size_t i;
	int r = image_history(call->c, call->operands[0], &list, e);

	if (r < 0)
		return r;
	rows = json_array();
	json_array_foreach(list, i, one)
		json_array_append_new(rows, history_row(a, one, now));
	json_decref(list);
	return print_rows(history_columns, rows, a->quiet, "ID", a->format, e);
}

static const struct cmd image_history_cmd = {
	CMD_FILE,
	.name = "history",
	.run = history_run,
	.opts = history_opts,
	.args_size = sizeof(struct history_args),
	.defaults = history_defaults,
	.brief = "how an image came to be",
	.synopsis = "[OPTIONS] IMAGE",
	.min_operands = 1,
	.max_operands = 1,
	.flags = CMD_READS_ONLY,
	.complete = complete_image,
};

static const struct cmd *const image_sub[] = {
	&image_mirror,
	&image_diff_cmd,
	&image_history_cmd,
	&image_import_cmd,
	&image_inspect_cmd,
	&image_load,
	&image_ls,
	&image_mount_cmd,
	&image_outdated_cmd,
	&image_prune_cmd,
	&image_pull_cmd,
	&image_push_cmd,
	&image_repack_cmd,
	&image_rm,
	&image_save_cmd,
	&image_tag_cmd,
	&image_tree_cmd,
	&image_unmount_cmd,
	&image_unpack_cmd,
	NULL,
};

const struct cmd lodge_image = {
	CMD_FILE,
	.name = "image",
	.brief = "images: what guests start from",
	.sub = image_sub,
};
