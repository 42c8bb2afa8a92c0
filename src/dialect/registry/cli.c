/* SPDX-License-Identifier: MIT */
/* The group of commands for a registry of one's own. */

#include <string.h>
#include "base/units.h"
#include "base/ctx.h"
#include "base/opt.h"
#include "dialect/registry/registry.h"

#define NS		    INT64_C(1000000000)
#define CONNECTIONS_DEFAULT 1000
#define CONNECTIONS_MAX	    100000
#define WORKERS_DEFAULT	    4
#define WORKERS_MAX	    64
#define FETCHERS_DEFAULT    16

/* --- serve -------------------------------------------------------------------------------------------------- */

struct serve_args {
	char *root, **listen;
	char *tls_cert, *tls_key, *tls_client_ca, *htpasswd, *realm, *log, *proxy_of;
	bool read_only, no_delete;
	int64_t timeout, idle_exit, connections, workers, fetchers;
};

static void serve_defaults(void *p)
{
	struct serve_args *a = p;

	a->realm = g_strdup("lodge registry");
	a->timeout = 60 * NS;
	a->connections = CONNECTIONS_DEFAULT;
	a->workers = WORKERS_DEFAULT;
	a->fetchers = FETCHERS_DEFAULT;
}

static void say_address(const char *address, void *data)
{
	printf("listening on %s\n", address);
	(void)fflush(stdout);
}

static int check_serve(const struct serve_args *a, struct err *e)
{
	if (!a->root)
		return err_set(e, -E_USAGE, "--root is missing: the folder of the registry");
	if ((a->tls_key || a->tls_client_ca) && !a->tls_cert)
		return err_set(e, -E_USAGE, "--tls-key and --tls-client-ca need --tls-cert");
	if (a->connections < 1 || a->connections > CONNECTIONS_MAX)
		return err_set(e, -E_USAGE, "--connections is 1 to %d", CONNECTIONS_MAX);
	if (a->workers < 1 || a->workers > WORKERS_MAX)
		return err_set(e, -E_USAGE, "--workers is 1 to %d", WORKERS_MAX);
	if (a->fetchers < 1 || a->fetchers > WORKERS_MAX)
		return err_set(e, -E_USAGE, "--fetchers is 1 to %d", WORKERS_MAX);
	if (a->proxy_of && a->read_only)
		return err_set(e, -E_USAGE, "a cache (--proxy-of) can't be --read-only");
	if (a->timeout <= 0 || a->idle_exit < 0)
		return err_set(e, -E_USAGE, "--timeout and --idle-exit are times above 0");
	if (strpbrk(a->realm, "\"\\\r\n"))
		return err_set(
			e, -E_USAGE, "--realm has a quote, a backslash or a line's end in it");
	return 0;
}

static int serve_run(struct cmd_call *call, struct err *e)
{
	const struct serve_args *a = call->args;
	struct registry_options o = {
		.root = a->root,
		.listen = a->listen,
		.tls_cert = a->tls_cert,
		.tls_key = a->tls_key,
		.tls_client_ca = a->tls_client_ca,
		.htpasswd = a->htpasswd,
		.realm = a->realm,
		.log = a->log,
		.timeout = a->timeout,
		.idle_exit = a->idle_exit,
		.connections = (int)a->connections,
		.workers = (int)a->workers,
		.fetchers = (int)a->fetchers,
		.proxy_of = a->proxy_of,
		.c = call->c,
		.read_only = a->read_only,
		.no_delete = a->no_delete,
		.ready = say_address,
	};
	int r = check_serve(a, e);

	if (r < 0)
		return r;
	if (!call->c->explain)
		return registry_serve(&o, e);
	if (!a->read_only)
		printf("mkdir -p %s/blobs/sha256 %s/repositories\n", a->root, a->root);
	for (char **l = a->listen; l && *l; l++)
		printf("# listens on %s\n", *l);
	return 0;
}

static const struct opt serve_opts[] = { OPT_LIST('l', "listen", struct serve_args, listen, "ADDR",
						 complete_none, "HOST:PORT, :PORT or unix:PATH"),
	OPT_STRING(0, "root", struct serve_args, root, "DIR", complete_file,
		"folder of the registry; made when missing"),
	OPT_FLAG(0, "read-only", struct serve_args, read_only, "refuse everything but reading"),
	OPT_FLAG(0, "no-delete", struct serve_args, no_delete, "refuse to delete"),
	OPT_STRING(0, "proxy-of", struct serve_args, proxy_of, "URL", complete_none,
		"be a cache of that registry"),
	OPT_GROUP("Who may connect"),
	OPT_STRING(0, "tls-cert", struct serve_args, tls_cert, "FILE", complete_file,
		"certificate chain in PEM; speak TLS"),
	OPT_STRING(0, "tls-key", struct serve_args, tls_key, "FILE", complete_file,
		"its key; by default in the same file"),
	OPT_STRING(0, "tls-client-ca", struct serve_args, tls_client_ca, "FILE", complete_file,
		"only clients with a certificate of this CA"),
	OPT_STRING(0, "htpasswd", struct serve_args, htpasswd, "FILE", complete_file,
		"only users of this file (htpasswd -B)"),
	OPT_STRING(0, "realm", struct serve_args, realm, "TEXT", complete_none,
		"what clients show when they ask for a password"),
	OPT_GROUP("Limits"),
	OPT_INT(0, "connections", struct serve_args, connections, "N",
		"at once; others wait (default 1000)"),
	OPT_INT(0, "workers", struct serve_args, workers, "N",
		"processes that wait for disks (default 4)"),
	OPT_INT(0, "fetchers", struct serve_args, fetchers, "N",
		"processes that fetch for a cache (default 16)"),
	OPT_TIME(0, "timeout", struct serve_args, timeout, "TIME",
		"for clients that send nothing (default 60s)"),
	OPT_TIME(0, "idle-exit", struct serve_args, idle_exit, "TIME",
		"end when nobody was connected for so long"),
	OPT_STRING(0, "access-log", struct serve_args, log, "FILE", complete_file,
		"a line for each request; - is standard error"),
	OPT_END };

static const struct cmd registry_serve_cmd = {
	CMD_FILE,
	.name = "serve",
	.run = serve_run,
	.opts = serve_opts,
	.args_size = sizeof(struct serve_args),
	.defaults = serve_defaults,
	.brief = "serve a registry that clients pull from and push to",
	.synopsis = "[OPTIONS] --root DIR --listen ADDR",
	.details =
		"A registry by the OCI distribution specification 1.1, for docker, podman, skopeo\n"
		"and others: pull, push (in chunks, resumed after interruptions), mounts between\n"
		"repositories, lists of tags and repositories, referrers, deletion.\n"
		"\n"
		"It ends by SIGTERM or SIGINT, when what was begun is finished. Sockets can come\n"
		"from systemd (LISTEN_FDS), with --idle-exit for services that start on demand.\n"
		"Killed at any moment it leaves nothing broken; uploads go on where they were.\n",
	.examples =
		"lodge registry serve --root /srv/registry --listen :5000\n"
		"lodge registry serve --root r --listen :443 --tls-cert c.pem --htpasswd users\n",
};

/* --- gc ------------------------------------------------------------------------------------------------------ */

struct gc_args {
	char *root;
	int64_t grace, upload_age;
	bool untagged, dry_run;
};

static void gc_defaults(void *p)
{
	struct gc_args *a = p;

	a->grace = 3600 * NS;
	a->upload_age = 7 * 24 * 3600 * NS;
}

static int gc_run(struct cmd_call *call, struct err *e)
{
	const struct gc_args *a = call->args;
	struct registry_gc_options o = {
		.root = a->root,
		.grace = a->grace,
		.upload_age = a->upload_age,
		.untagged = a->untagged,
		.dry_run = a->dry_run || call->c->explain,
	};
	struct registry_gc_result res;
	g_autofree char *size = NULL;
	int r;

	if (!a->root)
		return err_set(e, -E_USAGE, "--root is missing: the folder of the registry");
	r = registry_gc(&o, &res, e);
	if (r < 0)
		return r;
	size = units_show_size(res.bytes);
	printf("%s %u manifests, %u blobs, %u uploads, %u repositories; %u contents of %s\n",
		o.dry_run ? "would remove" : "removed", res.manifests, res.blobs, res.uploads,
		res.repositories, res.contents, size);
	return 0;
}

static const struct opt gc_opts[] = { OPT_STRING(0, "root", struct gc_args, root, "DIR",
					      complete_file, "folder of the registry"),
	OPT_FLAG('m', "untagged", struct gc_args, untagged,
		"remove manifests that no tag leads to, too"),
	OPT_TIME(0, "grace", struct gc_args, grace, "TIME",
		"what was pushed or asked for since stays (default 1h)"),
	OPT_TIME(0, "upload-age", struct gc_args, upload_age, "TIME",
		"uploads without a byte for so long go (default 168h)"),
	OPT_FLAG('n', "dry-run", struct gc_args, dry_run, "only say what would go"), OPT_END };

static const struct cmd registry_gc_cmd = {
	CMD_FILE,
	.name = "gc",
	.run = gc_run,
	.opts = gc_opts,
	.args_size = sizeof(struct gc_args),
	.defaults = gc_defaults,
	.brief = "remove what nothing in a registry needs",
	.synopsis = "[OPTIONS] --root DIR",
	.details = "Blobs that no manifest of their repository names, contents that no repository "
		   "has,\n"
		   "uploads that were given up. The registry may be served meanwhile: pushes in\n"
		   "progress keep what they have brought for the time of --grace.\n",
	.examples = "lodge registry gc --root /srv/registry --untagged\n",
};

static const struct cmd *const registry_sub[] = {
	&registry_serve_cmd,
	&registry_gc_cmd,
	NULL,
};

const struct cmd registry_cmd = {
	CMD_FILE,
	.name = "registry",
	.brief = "a registry of images of one's own",
	.sub = registry_sub,
};
