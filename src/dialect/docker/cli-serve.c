/* SPDX-License-Identifier: MIT */
/* lodge serve docker */

#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include "base/opt.h"
#include "dialect/docker/docker.h"

#define NS		    INT64_C(1000000000)
#define CONNECTIONS_DEFAULT 1000

struct serve_args {
	char **listen;
	char *socket, *tls_cert, *tls_key, *tls_client_ca, *log;
	int64_t idle_exit, connections;
	bool insecure;
};

static void serve_defaults(void *p)
{
	struct serve_args *a = p;

	a->connections = CONNECTIONS_DEFAULT;
}

/* "unix:PATH": only root and the group docker may ask; whoever may, is root. */
static void say_address(const char *address, void *data)
{
	struct group *g = getgrnam("docker");

	if (g_str_has_prefix(address, "unix:/")) {
		const char *path = address + strlen("unix:");

		(void)RET_NERRNO(chown(path, (uid_t)-1, g ? g->gr_gid : (gid_t)-1));
		(void)RET_NERRNO(chmod(path, 0660));
	}
	printf("listening on %s\n", address);
	(void)fflush(stdout);
}

static int check(const struct serve_args *a, struct err *e)
{
	if ((a->tls_key || a->tls_client_ca) && !a->tls_cert)
		return err_set(e, -E_USAGE, "--tls-key and --tls-client-ca need --tls-cert");
	if (a->connections < 1 || a->connections > 100000)
		return err_set(e, -E_USAGE, "--connections is 1 to 100000");
	if (a->idle_exit < 0)
		return err_set(e, -E_USAGE, "--idle-exit is a time above 0");
	for (char **l = a->listen; l && *l; l++) {
		if (g_str_has_prefix(*l, "unix:") || (a->tls_cert && a->tls_client_ca))
			continue;
		if (!a->insecure) {
			err_set(e, -E_USAGE,
				"'%s' without mutual TLS gives root to whoever reaches it", *l);
			err_mend(e, "give --tls-cert and --tls-client-ca, or --insecure");
			return -E_USAGE;
		}
		(void)fprintf(
			stderr, "lodge: warning: whoever reaches '%s' is root on this host\n", *l);
	}
	return 0;
}

static int serve_run(struct cmd_call *call, struct err *e)
{
	const struct serve_args *a = call->args;
	g_autoptr(GPtrArray) listen = g_ptr_array_new_with_free_func(g_free);
	struct docker_options o = {
		.c = call->c,
		.tls_cert = a->tls_cert,
		.tls_key = a->tls_key,
		.tls_client_ca = a->tls_client_ca,
		.log = a->log,
		.idle_exit = a->idle_exit,
		.connections = (int)a->connections,
		.ready = say_address,
	};
	int r = check(a, e);

	if (r < 0)
		return r;
	if (a->socket)
		g_ptr_array_add(listen, g_strconcat("unix:", a->socket, NULL));
	for (char **l = a->listen; l && *l; l++)
		g_ptr_array_add(listen, g_strdup(*l));
	if (listen->len == 0 && !g_getenv("LISTEN_FDS"))
		g_ptr_array_add(listen, g_strconcat("unix:", call->c->run, "/docker.sock", NULL));
	g_ptr_array_add(listen, NULL);
	o.listen = (char *const *)listen->pdata;
	if (!call->c->explain)
		return docker_serve(&o, e);
	for (char *const *l = o.listen; *l; l++)
		printf("# listens on %s\n", *l);
	return 0;
}

/* clang-format off */
static const struct opt serve_opts[] = {
	OPT_STRING(0, "socket", struct serve_args, socket, "PATH", complete_file, "socket of the file system (default RUN/docker.sock)"),
	OPT_LIST('l', "listen", struct serve_args, listen, "ADDR", complete_none, "HOST:PORT, :PORT or unix:PATH"),
	OPT_STRING(0, "tls-cert", struct serve_args, tls_cert, "FILE", complete_file, "certificate chain in PEM; speak TLS"),
	OPT_STRING(0, "tls-key", struct serve_args, tls_key, "FILE", complete_file, "its key; by default in the same file"),
	OPT_STRING(0, "tls-client-ca", struct serve_args, tls_client_ca, "FILE", complete_file, "only clients with a certificate of this CA"),
	OPT_FLAG(0, "insecure", struct serve_args, insecure, "listen on a network without mutual TLS"),
	OPT_INT(0, "connections", struct serve_args, connections, "N", "at once; others wait (default 1000)"),
	OPT_TIME(0, "idle-exit", struct serve_args, idle_exit, "TIME", "end when nobody was connected for so long"),
	OPT_STRING(0, "access-log", struct serve_args, log, "FILE", complete_file, "a line for each request; - is standard error"),
	OPT_END
};
/* clang-format on */

const struct cmd docker_serve_cmd = {
	CMD_FILE,
	.name = "docker",
	.run = serve_run,
	.opts = serve_opts,
	.args_size = sizeof(struct serve_args),
	.defaults = serve_defaults,
	.brief = "answer Docker's Engine API",
	.synopsis = "[OPTIONS]",
	.details =
		"The Engine API 1.24 to 1.47, for docker's own client and whatever speaks to "
		"dockerd.\n"
		"Nothing depends on it: guests run on when it ends, and a socket that systemd "
		"holds\n"
		"(LISTEN_FDS) starts it when somebody connects; with --idle-exit it goes again.\n",
	.examples = "lodge serve docker --socket /var/run/docker.sock --idle-exit 30s\n",
};
