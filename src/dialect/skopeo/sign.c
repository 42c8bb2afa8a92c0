/* SPDX-License-Identifier: MIT */
/* manifest-digest, standalone-sign, standalone-verify: the pages of these names. */
#include <string.h>
#include "codec/json.h"
#include "dialect/skopeo/skopeo.h"
#include "image/sign.h"
#include "store/blob.h"
#include "store/journal.h"

static int read_file(
	const char *what, const char *path, char **ret, size_t *ret_size, struct err *e)
{
	g_autoptr(GError) error = NULL;

	if (g_file_get_contents(path, ret, ret_size, &error))
		return 0;
	return err_set(e, error->code == G_FILE_ERROR_NOENT ? -E_NOTFOUND : -EIO,
		"Error reading %s from %s: open %s: %s", what, path, path,
		error->code == G_FILE_ERROR_NOENT ? "no such file or directory" : error->message);
}

/* Of a manifest; one of schema 1 has its signatures apart. */
static int digest_of(const char *path, char **ret, struct err *e)
{
	g_autofree char *text = NULL;
	size_t size;
	int r = read_file("manifest", path, &text, &size, e);

	if (r < 0)
		return r;
	if (strcmp(manifest_type_of(text, size), TYPE_DOCKER_V1_SIGNED) == 0)
		return err_set(e, -E_UNSUPPORTED,
			"Error computing digest: manifests of schema 1 are not read");
	*ret = blob_digest(text, size);
	return 0;
}

static int digest_run(struct cmd_call *call, struct err *e)
{
	g_autofree char *digest = NULL;
	int r = need_operands(call, 1, "Usage: skopeo manifest-digest manifest", e);

	if (r >= 0)
		r = digest_of(call->operands[0], &digest, e);
	if (r >= 0)
		printf("%s\n", digest);
	return r;
}

const struct cmd skopeo_manifest_digest = {
	CMD_FILE,
	.name = "manifest-digest",
	.run = digest_run,
	.brief = "the digest of a manifest in a file",
	.synopsis = "MANIFEST-FILE",
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
};

struct sign_args {
	char *output, *passphrase_file;
};

/* clang-format off */
static const struct opt sign_opts[] = {
	OPT_STRING('o', "output", struct sign_args, output, "FILE", complete_file, "where the signature goes"),
	OPT_STRING(0, "passphrase-file", struct sign_args, passphrase_file, "FILE", complete_file, "its first line is the key's passphrase"),
	OPT_END
};
/* clang-format on */

static void explain_sign(const char *key, const char *output)
{
	_cleanup_(plan_freep) struct plan *p = plan_new();

	plan_add(p, AT_HOST, &step_content, "gpg", "--local-user", key, "--sign", "--output",
		output);
	plan_show(p, stdout);
}

static int sign_run(struct cmd_call *call, struct err *e)
{
	const struct sign_args *a = call->args;
	g_autofree char *digest = NULL;
	g_autoptr(GError) error = NULL;
	GBytes *made = NULL;
	size_t size;
	int r;

	if (call->n_operands != 3 || !a->output)
		return err_set(e, -E_INVALID,
			"Usage: skopeo standalone-sign manifest docker-reference key-fingerprint "
			"-o signature");
	r = digest_of(call->operands[0], &digest, e);
	if (r >= 0 && call->c->explain) {
		explain_sign(call->operands[2], a->output);
		return 0;
	}
	if (r >= 0)
		r = sign_make(
			digest, call->operands[1], call->operands[2], a->passphrase_file, &made, e);
	if (r < 0)
		return r;
	if (!g_file_set_contents(a->output, g_bytes_get_data(made, &size),
		    (gssize)g_bytes_get_size(made), &error))
		r = err_set(
			e, -EIO, "Error writing signature to %s: %s", a->output, error->message);
	g_bytes_unref(made);
	return r;
}

const struct cmd skopeo_standalone_sign = {
	CMD_FILE,
	.name = "standalone-sign",
	.run = sign_run,
	.opts = sign_opts,
	.args_size = sizeof(struct sign_args),
	.brief = "sign a manifest in a file",
	.synopsis = "[OPTIONS] MANIFEST DOCKER-REFERENCE KEY-FINGERPRINT",
	.max_operands = -1,
};

static int verify_run(struct cmd_call *call, struct err *e)
{
	g_autofree char *digest = NULL, *signature = NULL;
	char **o = call->operands;
	size_t size;
	int r;

	r = need_operands(call, 4,
		"Usage: skopeo standalone-verify manifest docker-reference key-fingerprint "
		"signature",
		e);
	if (r >= 0)
		r = digest_of(o[0], &digest, e);
	if (r >= 0)
		r = read_file("signature", o[3], &signature, &size, e);
	if (r < 0)
		return r;
	r = sign_verify(signature, size, digest, o[1], o[2], e);
	if (r < 0)
		return err_prefix(e, "Error verifying signature");
	printf("Signature verified, digest %s\n", digest);
	return 0;
}

const struct cmd skopeo_standalone_verify = {
	CMD_FILE,
	.name = "standalone-verify",
	.run = verify_run,
	.brief = "check a signature of a manifest in files",
	.synopsis = "MANIFEST DOCKER-REFERENCE KEY-FINGERPRINT SIGNATURE",
	.max_operands = -1,
	.flags = CMD_READS_ONLY,
};
