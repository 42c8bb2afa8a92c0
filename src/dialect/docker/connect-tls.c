/* SPDX-License-Identifier: MIT */
/* A client's TLS by OpenSSL, which is loaded only when a host wants it. */

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include "dialect/docker/client-priv.h"

/* The functions that we call: of libssl.so.3, and what it brings along of libcrypto.so.3. */
#define FUNCTIONS(X)                          \
	X(TLS_client_method)                  \
	X(SSL_CTX_new)                        \
	X(SSL_CTX_free)                       \
	X(SSL_CTX_ctrl)                       \
	X(SSL_CTX_use_certificate_chain_file) \
	X(SSL_CTX_use_PrivateKey_file)        \
	X(SSL_CTX_load_verify_locations)      \
	X(SSL_CTX_set_default_verify_paths)   \
	X(SSL_CTX_set_verify)                 \
	X(SSL_new)                            \
	X(SSL_free)                           \
	X(SSL_set_fd)                         \
	X(SSL_set1_host)                      \
	X(SSL_ctrl)                           \
	X(SSL_get0_param)                     \
	X(SSL_connect)                        \
	X(SSL_read_ex)                        \
	X(SSL_write_ex)                       \
	X(SSL_pending)                        \
	X(SSL_shutdown)                       \
	X(SSL_get_error)                      \
	X(SSL_get_verify_result)              \
	X(X509_verify_cert_error_string)      \
	X(X509_VERIFY_PARAM_set1_ip_asc)      \
	X(ERR_clear_error)                    \
	X(ERR_get_error)                      \
	X(ERR_error_string_n)

struct functions {
#define FIELD(f) __typeof__(f) *f;
	FUNCTIONS(FIELD)
#undef FIELD
};

struct client_tls {
	struct functions fn;
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
};

static int load(struct functions *fn, struct err *e)
{
	/* never unloaded: OpenSSL has handlers that run at exit */
	void *ssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_NODELETE);

#define FIND(f)                                               \
	fn->f = ssl ? (__typeof__(f) *)dlsym(ssl, #f) : NULL; \
	if (!fn->f)                                           \
		goto missing;
	FUNCTIONS(FIND)
#undef FIND
	return 0;
missing:
	(void)err_set(e, -E_UNSUPPORTED, "cannot load libssl.so.3");
	(void)err_mend(e, "install the package libssl3");
	return -E_UNSUPPORTED;
}

static int bad_file(const struct functions *fn, struct err *e, const char *what, const char *file)
{
	char text[256] = "unknown";
	unsigned long code = fn->ERR_get_error();

	if (code)
		fn->ERR_error_string_n(code, text, sizeof(text));
	return err_set(e, -E_INVALID, "unable to resolve docker endpoint: cannot use the %s %s: %s",
		what, file, text);
}

static int set_up(struct client_tls *t, const struct client *cl, struct err *e)
{
	const struct functions *fn = &t->fn;

	t->ctx = fn->SSL_CTX_new(fn->TLS_client_method());
	if (!t->ctx)
		return err_set(e, -E_UNSUPPORTED, "cannot begin TLS");
	(void)fn->SSL_CTX_ctrl(t->ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
	if (cl->tls_verify) {
		fn->SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
		if (cl->tls_ca ? fn->SSL_CTX_load_verify_locations(t->ctx, cl->tls_ca, NULL) != 1
			       : fn->SSL_CTX_set_default_verify_paths(t->ctx) != 1)
			return bad_file(fn, e, "CA", cl->tls_ca ?: "certificates");
	}
	if (cl->tls_cert && fn->SSL_CTX_use_certificate_chain_file(t->ctx, cl->tls_cert) != 1)
		return bad_file(fn, e, "certificate", cl->tls_cert);
	if (cl->tls_key &&
		fn->SSL_CTX_use_PrivateKey_file(t->ctx, cl->tls_key, SSL_FILETYPE_PEM) != 1)
		return bad_file(fn, e, "key", cl->tls_key);
	return 0;
}

static int shake_hands(
	struct client_tls *t, const struct client *cl, const char *host, struct err *e)
{
	const struct functions *fn = &t->fn;
	long verified;

	t->ssl = fn->SSL_new(t->ctx);
	if (!t->ssl || fn->SSL_set_fd(t->ssl, t->fd) != 1)
		return err_set(e, -E_UNSUPPORTED, "cannot begin TLS");
	if (g_hostname_is_ip_address(host))
		(void)fn->X509_VERIFY_PARAM_set1_ip_asc(fn->SSL_get0_param(t->ssl), host);
	else if (fn->SSL_set1_host(t->ssl, host) != 1)
		return err_set(e, -E_INVALID, "'%s' is no name of a host", host);
	else
		(void)fn->SSL_ctrl(t->ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
			(void *)host);
	fn->ERR_clear_error();
	if (fn->SSL_connect(t->ssl) == 1)
		return 0;
	verified = fn->SSL_get_verify_result(t->ssl);
	if (cl->tls_verify && verified != X509_V_OK)
		return err_set(e, -EPROTO,
			"error during connect: tls: failed to verify certificate: x509: %s",
			fn->X509_verify_cert_error_string(verified));
	return err_set(e, -EPROTO, "error during connect: tls: the handshake with %s failed", host);
}

int client_tls_open(
	const struct client *cl, int fd, const char *host, struct client_tls **ret, struct err *e)
{
	struct client_tls *t = g_new0(struct client_tls, 1);
	int r = load(&t->fn, e);

	t->fd = fd;
	if (r >= 0)
		r = set_up(t, cl, e);
	if (r >= 0)
		r = shake_hands(t, cl, host, e);
	if (r < 0) {
		client_tls_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

ssize_t client_tls_read(struct client_tls *t, void *p, size_t n)
{
	size_t got = 0;
	int r;

	t->fn.ERR_clear_error();
	r = t->fn.SSL_read_ex(t->ssl, p, n, &got);
	if (r == 1)
		return (ssize_t)got;
	/* many servers close without a word */
	return t->fn.SSL_get_error(t->ssl, r) == SSL_ERROR_ZERO_RETURN || t->fn.ERR_get_error() == 0
		       ? 0
		       : -EPROTO;
}

int client_tls_write(struct client_tls *t, const void *p, size_t n)
{
	size_t got = 0;

	t->fn.ERR_clear_error();
	return t->fn.SSL_write_ex(t->ssl, p, n, &got) == 1 ? 0 : -EPIPE;
}

bool client_tls_pending(struct client_tls *t)
{
	return t->fn.SSL_pending(t->ssl) > 0;
}

void client_tls_shut(struct client_tls *t)
{
	t->fn.ERR_clear_error();
	(void)t->fn.SSL_shutdown(t->ssl);
}

void client_tls_free(struct client_tls *t)
{
	if (!t)
		return;
	if (t->ssl)
		t->fn.SSL_free(t->ssl);
	if (t->ctx)
		t->fn.SSL_CTX_free(t->ctx);
	g_free(t);
}
