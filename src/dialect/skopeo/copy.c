/* SPDX-License-Identifier: MIT */
/* copy: skopeo-copy(1). */
#include <fcntl.h>
#include <string.h>
#include "codec/press.h"
#include "dialect/skopeo/skopeo.h"
#include "host/steps.h"
#include "store/journal.h"

struct copy_args {
	struct where_args src, dest;
	char *authfile, *digestfile, *format, *multi_arch, *compress_format;
	char *sign_by, *sign_sigstore, *sign_identity, *sign_passphrase;
	char **additional_tag, **decryption_key, **encryption_key, **encrypt_layer;
	bool all, quiet, compress, decompress, accept_uncompressed, precompute, preserve_digests,
		remove_signatures;
	int64_t level, retry_times;
};

/* clang-format off */
static const struct opt copy_opts[] = {
	OPT_LIST(0, "additional-tag", struct copy_args, additional_tag, "NAME", complete_none, "further name (docker-archive only)"),
	OPT_FLAG('a', "all", struct copy_args, all, "all images, if the source is a list"),
	OPT_STRING(0, "authfile", struct copy_args, authfile, "FILE", complete_file, "file of credentials"),
	OPT_LIST(0, "decryption-key", struct copy_args, decryption_key, "KEY", complete_none, "(not supported)"),
	OPT_FLAG(0, "dest-compress", struct copy_args, compress, "compress layers that are not"),
	OPT_STRING(0, "dest-compress-format", struct copy_args, compress_format, "FORMAT", complete_none, "compress layers so: gzip, zstd"),
	OPT_INT(0, "dest-compress-level", struct copy_args, level, "LEVEL", "gzip 1 to 9, zstd 1 to 22"),
	OPT_STRING(0, "dest-daemon-host", struct copy_args, dest.daemon_host, "HOST", complete_none, "address of the docker daemon"),
	OPT_FLAG(0, "dest-decompress", struct copy_args, decompress, "decompress layers"),
	OPT_FLAG(0, "dest-oci-accept-uncompressed-layers", struct copy_args, accept_uncompressed, "leave plain layers plain in an OCI layout"),
	OPT_FLAG(0, "dest-precompute-digests", struct copy_args, precompute, "(not supported)"),
	OPT_STRING(0, "dest-shared-blob-dir", struct copy_args, dest.shared_blob_dir, "FOLDER", complete_file, "folder of shared blobs (not supported)"),
	WHERE_OPTS("dest-", struct copy_args, dest),
	OPT_STRING(0, "digestfile", struct copy_args, digestfile, "FILE", complete_file, "write the image's digest there"),
	OPT_LIST(0, "encrypt-layer", struct copy_args, encrypt_layer, "N", complete_none, "(not supported)"),
	OPT_LIST(0, "encryption-key", struct copy_args, encryption_key, "KEY", complete_none, "(not supported)"),
	OPT_STRING('f', "format", struct copy_args, format, "TYPE", complete_none, "type of the manifest: oci, v2s2"),
	OPT_STRING(0, "multi-arch", struct copy_args, multi_arch, "WHICH", complete_none, "of a list: system, all, index-only"),
	OPT_FLAG(0, "preserve-digests", struct copy_args, preserve_digests, "fail rather than change a digest"),
	OPT_FLAG('q', "quiet", struct copy_args, quiet, "say nothing"),
	OPT_FLAG(0, "remove-signatures", struct copy_args, remove_signatures, "do not copy signatures"),
	OPT_INT(0, "retry-times", struct copy_args, retry_times, "N", "how often to try again"),
	OPT_STRING(0, "sign-by", struct copy_args, sign_by, "FINGERPRINT", complete_none, "sign with this GPG key"),
	OPT_STRING(0, "sign-by-sigstore-private-key", struct copy_args, sign_sigstore, "FILE", complete_file, "(not supported)"),
	OPT_STRING(0, "sign-identity", struct copy_args, sign_identity, "REFERENCE", complete_none, "reference in the signature"),
	OPT_STRING(0, "sign-passphrase-file", struct copy_args, sign_passphrase, "FILE", complete_file, "its first line is the key's passphrase"),
	OPT_STRING(0, "src-daemon-host", struct copy_args, src.daemon_host, "HOST", complete_none, "address of the docker daemon"),
	OPT_STRING(0, "src-shared-blob-dir", struct copy_args, src.shared_blob_dir, "FOLDER", complete_file, "folder of shared blobs (oci only)"),
	WHERE_OPTS("src-", struct copy_args, src),
	OPT_END
};
/* clang-format on */

static void copy_defaults(void *args)
{
	((struct copy_args *)args)->level = PRESS_LEVEL_DEFAULT;
}

/* --- lines ------------------------------------------------------------------------------------------------ */

static void tell(void *data, const char *line)
{
	struct teller *t = data;

	if (t->debug)
		skopeo_log("debug", line);
	if (t->quiet)
		return;
	printf("%s\n", line);
	(void)fflush(stdout);
}

void teller_init(struct teller *t, const struct skopeo *s, bool quiet)
{
	*t = (struct teller){ .t = { .tell = tell }, .quiet = quiet, .debug = s->debug };
	t->t.data = t;
}

/* --- copying ---------------------------------------------------------------------------------------------- */

/* A name that can't be one has other words than an image that isn't there. */
static int prefix(struct err *e, int r, const char *what, const char *name)
{
	(void)err_prefix(
		e, r == -E_INVALID ? "Invalid %s name %s" : "initializing %s %s", what, name);
	return r;
}

/* What a copy changes here, when it is only to be shown: nobody is asked, and nothing is opened. */
static void explain(const char *from, const char *to, const char *to_rest,
	const struct transport *t, const struct copy_options *o)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();
	g_autofree char *folder = t->folder ? t->folder(to_rest) : NULL;

	if (folder)
		plan_add(p, AT_HOST, &step_mkdirs, folder, "755");
	if (o->which == COPY_ALL)
		plan_add(p, AT_HOST, &step_content, "skopeo", "copy", "--all", from, to);
	else
		plan_add(p, AT_HOST, &step_content, "skopeo", "copy", from, to);
	plan_show(p, stdout);
}

int copy_names(struct skopeo *s, const char *from, const struct transport_options *from_o,
	const char *to, const struct transport_options *to_o, const struct copy_options *o,
	char **ret_digest, struct err *e)
{
	_cleanup_(transport_in_freep) struct transport_in *in = NULL;
	_cleanup_(transport_out_freep) struct transport_out *out = NULL;
	const struct transport *from_t, *to_t;
	const char *from_rest, *to_rest;
	struct copy_options trusted = *o;
	struct trust trust;
	int r;

	r = transport_find(from, &from_t, &from_rest, e);
	if (r < 0)
		return prefix(e, r, "source", from);
	r = transport_find(to, &to_t, &to_rest, e);
	if (r < 0)
		return prefix(e, r, "destination", to);
	if (!from_t->open_in || !to_t->open_out)
		return err_set(e, -E_UNSUPPORTED, "'%s' can't be %s", from_t->open_in ? to : from,
			from_t->open_in ? "written to" : "read from");
	if (s->ctx.explain) {
		explain(from, to, to_rest, to_t, o);
		return 0;
	}
	r = from_t->open_in(&s->ctx, from_rest, from_o, &in, e);
	if (r < 0)
		return prefix(e, r, "source", from);
	r = to_t->open_out(&s->ctx, to_rest, to_o, &out, e);
	if (r < 0)
		return prefix(e, r, "destination", to);
	r = trust_init(&trust, s, from, e);
	if (r >= 0) {
		trust_use(&trust, &trusted);
		r = image_copy(in, out, &trusted, ret_digest, e);
	}
	trust_done(&trust);
	return r;
}

static int refuse(const struct copy_args *a, struct err *e)
{
	if (a->decryption_key || a->encryption_key || a->encrypt_layer)
		return err_set(e, -E_UNSUPPORTED, "encrypted layers are not supported");
	if (a->sign_sigstore)
		return err_set(e, -E_UNSUPPORTED,
			"signing for sigstore is not supported: use --sign-by with a GPG key");
	if (a->precompute)
		return err_set(e, -E_UNSUPPORTED, "--dest-precompute-digests is not supported");
	if (a->compress && a->decompress)
		return err_set(e, -E_INVALID,
			"--dest-compress and --dest-decompress can't be given together");
	return 0;
}

static int fill_which(const struct copy_args *a, struct copy_options *o, struct err *e)
{
	const char *w = a->multi_arch;

	if (a->all && w && *w)
		return err_set(e, -E_INVALID, "Cannot use --all and --multi-arch flags together");
	if (a->all || g_strcmp0(w, "all") == 0)
		o->which = COPY_ALL;
	else if (g_strcmp0(w, "index-only") == 0)
		o->which = COPY_INDEX_ONLY;
	else if (w && *w && strcmp(w, "system") != 0)
		return err_set(e, -E_INVALID,
			"unknown multi-arch option \"%s\". Choose one of the supported options: "
			"'system', 'all', or 'index-only'",
			w);
	return 0;
}

static int fill_packing(const struct copy_args *a, struct copy_options *o, struct err *e)
{
	const char *f = a->compress_format;

	o->packing = PACKING_GZIP;
	if (a->decompress)
		o->layers = COPY_PACKING_PLAIN;
	else if (a->compress)
		o->layers = COPY_PACKING_PACKED;
	if (f && strcmp(f, "zstd") == 0)
		o->packing = PACKING_ZSTD;
	else if (f && strcmp(f, "zstd:chunked") == 0)
		return err_set(e, -E_UNSUPPORTED, "zstd:chunked is not written; zstd is");
	else if (f && strcmp(f, "gzip") != 0)
		return err_set(e, -E_INVALID, "cannot find compressor for \"%s\"", f);
	if (f && !a->decompress)
		o->layers = COPY_PACKING_CHOSEN;
	if (a->level < INT_MIN || a->level > INT_MAX)
		return err_set(e, -E_INVALID, "invalid compression level");
	o->level = (int)a->level;
	return press_check(o->packing == PACKING_ZSTD ? INFLATE_ZSTD : INFLATE_GZIP, o->level, e);
}

static int write_digest(const char *path, const char *digest, struct err *e)
{
	g_autoptr(GError) error = NULL;

	if (!g_file_set_contents(path, digest, -1, &error))
		return err_set(
			e, -EIO, "Failed to write digest to file \"%s\": %s", path, error->message);
	return 0;
}

static int run(struct skopeo *s, const struct copy_args *a, char **operands, struct err *e)
{
	struct transport_options from, to;
	struct copy_options o = { .preserve_digests = a->preserve_digests,
		.remove_signatures = a->remove_signatures,
		.os = s->override_os,
		.arch = s->override_arch,
		.variant = s->override_variant,
		.sign_by = a->sign_by,
		.sign_identity = a->sign_identity,
		.sign_passphrase = a->sign_passphrase };
	struct where_args *src = (struct where_args *)&a->src,
			  *dest = (struct where_args *)&a->dest;
	g_autofree char *digest = NULL;
	struct teller teller;
	int r;

	teller_init(&teller, s, a->quiet);
	o.teller = &teller.t;
	r = refuse(a, e);
	if (r >= 0 && a->format)
		r = copy_format_from_name(a->format, &o.format, e);
	if (r >= 0)
		r = fill_which(a, &o, e);
	if (r >= 0)
		r = fill_packing(a, &o, e);
	if (r >= 0)
		r = where_fill(s, src, a->authfile, a->retry_times, &from, e);
	if (r >= 0)
		r = where_fill(s, dest, a->authfile, a->retry_times, &to, e);
	if (r < 0)
		return r;
	to.accept_uncompressed = a->accept_uncompressed;
	to.additional_tags = a->additional_tag;
	if (a->additional_tag && !g_str_has_prefix(operands[1], "docker-archive:"))
		return err_set(e, -E_UNSUPPORTED, "--additional-tag is for docker-archive: only");
	r = copy_names(s, operands[0], &from, operands[1], &to, &o, &digest, e);
	if (r >= 0 && a->digestfile && !s->ctx.explain)
		r = write_digest(a->digestfile, digest, e);
	return r < 0 ? r : 0;
}

static int copy_run(struct cmd_call *call, struct err *e)
{
	struct copy_args *a = call->args;
	int r;

	/* as skopeo does */
	if (call->n_operands != 2) {
		cmd_help(call->cmd, call->full_name, stdout);
		return 0;
	}
	r = run(skopeo_of(call), a, call->operands, e);
	where_clear(&a->src);
	where_clear(&a->dest);
	return r;
}

const struct cmd skopeo_copy = {
	CMD_FILE,
	.name = "copy",
	.run = copy_run,
	.opts = copy_opts,
	.args_size = sizeof(struct copy_args),
	.defaults = copy_defaults,
	.brief = "copy an image from one place to another",
	.synopsis = "[OPTIONS] SOURCE-IMAGE DESTINATION-IMAGE",
	.details = "An image is named TRANSPORT:DETAILS. Transports: containers-storage (our own "
		   "store), dir, docker, "
		   "docker-archive, docker-daemon, oci, oci-archive.",
	.examples =
		"skopeo copy docker://debian:12 oci:layout:12   # from a registry to a folder\n",
	.max_operands = -1,
};
