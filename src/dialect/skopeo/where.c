/* SPDX-License-Identifier: MIT */
#include "dialect/skopeo/skopeo.h"

#include <string.h>

static int fill_creds(struct where_args *a, struct err *e)
{
	if (a->creds && (a->username || a->password || a->no_creds))
		return err_set(e, -E_INVALID,
			"creds and username/password/no-creds cannot be specified at the same "
			"time");
	if (a->no_creds && (a->username || a->password))
		return err_set(e, -E_INVALID,
			"no-creds and username/password cannot be specified at the same time");
	if (!a->username != !a->password)
		return err_set(e, -E_INVALID, "username and password must be given together");
	if (a->creds && *a->creds == '\0')
		return err_set(e, -E_INVALID, "credentials can't be empty");
	if (a->creds && *a->creds == ':')
		return err_set(e, -E_INVALID, "username can't be empty");
	if (a->username)
		a->made_creds = g_strdup_printf("%s:%s", a->username, a->password);
	return 0;
}

int where_fill(const struct skopeo *s, struct where_args *a, const char *authfile, int64_t retries,
	struct transport_options *ret, struct err *e)
{
	int r = fill_creds(a, e);

	if (r < 0)
		return r;
	if (retries < 0 || retries > 1000)
		return err_set(e, -E_INVALID, "invalid number of retries");
	*ret = (struct transport_options){
		.tls_verify = a->tls_verify,
		.auth_file = a->authfile ?: authfile,
		.creds = a->made_creds ?: a->creds,
		.bearer = a->registry_token,
		.no_creds = a->no_creds,
		.cert_dir = a->cert_dir,
		.daemon_host = a->daemon_host,
		.shared_blob_dir = a->shared_blob_dir,
		.registries_d = s->registries_d,
		.os = s->override_os,
		.arch = s->override_arch,
		.variant = s->override_variant,
		.retries = (int)retries,
		.tmp_dir = s->tmpdir,
	};
	return 0;
}

void where_clear(struct where_args *a)
{
	g_clear_pointer(&a->made_creds, g_free);
}
