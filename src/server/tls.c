/* SPDX-License-Identifier: MIT */
/* TLS by OpenSSL, which is loaded only when it is asked for: most commands never need it. */

#include <dlfcn.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include "server/server-priv.h"

/* The functions that we call; all of libssl.so.3, but ERR_* of libcrypto.so.3. */
#define FUNCTIONS(X)                          \
	X(TLS_server_method)                  \
	X(SSL_CTX_new)                        \
	X(SSL_CTX_free)                       \
	X(SSL_CTX_ctrl)                       \
	X(SSL_CTX_set_options)                \
	X(SSL_CTX_use_certificate_chain_file) \
	X(SSL_CTX_use_PrivateKey_file)        \
	X(SSL_CTX_check_private_key)          \
	X(SSL_CTX_load_verify_locations)      \
	X(SSL_CTX_set_client_CA_list)         \
	X(SSL_load_client_CA_file)            \
	X(SSL_CTX_set_verify)                 \
	X(SSL_CTX_set_alpn_select_cb)         \
	X(SSL_CTX_set_session_id_context)     \
	X(SSL_new)                            \
	X(SSL_free)                           \
	X(SSL_set_fd)                         \
	X(SSL_accept)                         \
	X(SSL_read_ex)                        \
	X(SSL_write_ex)                       \
	X(SSL_pending)                        \
	X(SSL_shutdown)                       \
	X(SSL_get_error)                      \
	X(ERR_clear_error)                    \
	X(ERR_get_error)                      \
	X(ERR_error_string_n)

struct functions {
#define FIELD(f) __typeof__(f) *f;
	FUNCTIONS(FIELD)
#undef FIELD
};

struct tls {
	struct functions fn;
	SSL_CTX *ctx;
};

struct tls_conn {
	const struct functions *fn;
	SSL *ssl;
};

static int load(struct functions *fn, struct err *e)
{
	/* never unloaded: OpenSSL has handlers that run at exit */
	void *ssl = dlopen("libssl.so.3", RTLD_NOW | RTLD_NODELETE);
	int r;

#define FIND(f)                                               \
	fn->f = ssl ? (__typeof__(f) *)dlsym(ssl, #f) : NULL; \
	if (!fn->f)                                           \
		goto missing;
	FUNCTIONS(FIND)
#undef FIND
	return 0;
missing:
	r = err_set(e, -E_UNSUPPORTED, "cannot load libssl.so.3");
	err_mend(e, "install the package libssl3");
	return r;
}

static int ssl_err(const struct functions *fn, struct err *e, const char *what, const char *file)
{
	char text[256] = "unknown";
	unsigned long code = fn->ERR_get_error();

	if (code)
		fn->ERR_error_string_n(code, text, sizeof(text));
	return err_set(e, -E_INVALID, "cannot use the %s '%s': %s", what, file, text);
}

/* We speak HTTP/1.1 and say so to clients that would rather speak HTTP/2 (RFC 7301). */
static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_n,
	const unsigned char *offered, unsigned n, void *data)
{
	static const char ours[] = "http/1.1";

	for (unsigned at = 0; at < n; at += 1U + offered[at])
		if (offered[at] == sizeof(ours) - 1 && at + offered[at] < n &&
			memcmp(offered + at + 1, ours, sizeof(ours) - 1) == 0) {
			*ret = offered + at + 1;
			*ret_n = offered[at];
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_NOACK;
}

static int ask_clients(struct tls *t, const char *ca, struct err *e)
{
	const struct functions *fn = &t->fn;
	STACK_OF(X509_NAME) * names;

	if (fn->SSL_CTX_load_verify_locations(t->ctx, ca, NULL) != 1)
		return ssl_err(fn, e, "clients' CA", ca);
	names = fn->SSL_load_client_CA_file(ca);
	if (names)
		fn->SSL_CTX_set_client_CA_list(t->ctx, names);
	fn->SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

static int set_up(struct tls *t, const struct server_config *cfg, struct err *e)
{
	const struct functions *fn = &t->fn;
	const char *key = cfg->tls_key ?: cfg->tls_cert;

	t->ctx = fn->SSL_CTX_new(fn->TLS_server_method());
	if (!t->ctx)
		return err_set(e, -E_UNSUPPORTED, "cannot begin TLS");
	(void)fn->SSL_CTX_ctrl(t->ctx, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_2_VERSION, NULL);
	/* what is sent again comes from the file again; idle connections keep no buffers */
	(void)fn->SSL_CTX_ctrl(t->ctx, SSL_CTRL_MODE,
		SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			SSL_MODE_RELEASE_BUFFERS,
		NULL);
	(void)fn->SSL_CTX_set_options(
		t->ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)fn->SSL_CTX_set_session_id_context(t->ctx, (const unsigned char *)"lodge", 5);
	fn->SSL_CTX_set_alpn_select_cb(t->ctx, choose_protocol, NULL);
	if (fn->SSL_CTX_use_certificate_chain_file(t->ctx, cfg->tls_cert) != 1)
		return ssl_err(fn, e, "certificate", cfg->tls_cert);
	if (fn->SSL_CTX_use_PrivateKey_file(t->ctx, key, SSL_FILETYPE_PEM) != 1 ||
		fn->SSL_CTX_check_private_key(t->ctx) != 1)
		return ssl_err(fn, e, "key", key);
	return cfg->tls_client_ca ? ask_clients(t, cfg->tls_client_ca, e) : 0;
}

int tls_new(const struct server_config *cfg, struct tls **ret, struct err *e)
{
	struct tls *t = g_new0(struct tls, 1);
	int r = load(&t->fn, e);

	if (r >= 0)
		r = set_up(t, cfg, e);
	if (r < 0) {
		tls_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tls_free(struct tls *t)
{
	if (t && t->ctx)
		t->fn.SSL_CTX_free(t->ctx);
	g_free(t);
}

struct tls_conn *tls_conn_new(struct tls *t, int fd)
{
	struct tls_conn *c = g_new0(struct tls_conn, 1);

	c->fn = &t->fn;
	c->ssl = t->fn.SSL_new(t->ctx);
	if (c->ssl && t->fn.SSL_set_fd(c->ssl, fd) == 1)
		return c;
	tls_conn_free(c);
	return NULL;
}

void tls_conn_free(struct tls_conn *c)
{
	if (!c)
		return;
	c->fn->SSL_free(c->ssl);
	g_free(c);
}

/* What a call that didn't succeed means: -EAGAIN, 0 at the end, else -EPROTO. */
static int outcome(struct tls_conn *c, int r, bool *ret_read, bool *ret_write)
{
	switch (c->fn->SSL_get_error(c->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		*ret_read = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		*ret_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return -EPROTO;
	}
}

int tls_handshake(struct tls_conn *c, bool *ret_read, bool *ret_write)
{
	int r;

	*ret_read = *ret_write = false;
	c->fn->ERR_clear_error();
	r = c->fn->SSL_accept(c->ssl);
	if (r == 1)
		return 0;
	r = outcome(c, r, ret_read, ret_write);
	return r == 0 ? -EPROTO : r;
}

ssize_t tls_recv(struct tls_conn *c, void *p, size_t n, bool *ret_read, bool *ret_write)
{
	size_t got = 0;
	int r;

	*ret_read = *ret_write = false;
	c->fn->ERR_clear_error();
	r = c->fn->SSL_read_ex(c->ssl, p, n, &got);
	return r == 1 ? (ssize_t)got : outcome(c, r, ret_read, ret_write);
}

ssize_t tls_send(struct tls_conn *c, const void *p, size_t n, bool *ret_read, bool *ret_write)
{
	size_t got = 0;
	int r;

	*ret_read = *ret_write = false;
	c->fn->ERR_clear_error();
	r = c->fn->SSL_write_ex(c->ssl, p, n, &got);
	return r == 1 ? (ssize_t)got : outcome(c, r, ret_read, ret_write);
}

bool tls_pending(struct tls_conn *c)
{
	return c->fn->SSL_pending(c->ssl) > 0;
}

void tls_shutdown(struct tls_conn *c)
{
	c->fn->ERR_clear_error();
	(void)c->fn->SSL_shutdown(c->ssl);
}
