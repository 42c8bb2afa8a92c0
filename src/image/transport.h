/* SPDX-License-Identifier: MIT */
#ifndef LODGE_TRANSPORT_H
#define LODGE_TRANSPORT_H

/*
 * Where images come from and go to, as containers-transports(5) names it: "docker://busybox:1",
 * "oci:DIR:TAG". One file a transport; all of them can be copied between (image/copy.h).
 *
 * A source gives documents (a manifest, or an index of several) and blobs by digest, byte for byte as they lie
 * there; who reads checks digest and size. A target takes the blobs first, then the documents, and nothing can be
 * seen of the image before transport_out_ops.commit.
 */

#include "base/ctx.h"
#include "base/err.h"
#include "image/image.h"

/* What a registry, a daemon or the user wants to be known; a transport ignores what isn't its business. */
struct transport_options {
	int tls_verify;	       /* 1, 0; -1: as registries.conf has it */
	const char *auth_file; /* --authfile; NULL: the usual places */
	const char *creds;     /* --creds USER[:PASSWORD]; NULL: none */
	const char *bearer;    /* --registry-token; NULL: none */
	bool no_creds;	       /* --no-creds */
	const char *cert_dir;  /* --cert-dir; NULL: certs.d of the usual places */
	const char *
		daemon_host; /* --daemon-host of docker-daemon:; NULL: DOCKER_HOST or its default */
	const char *registries_conf; /* NULL: the usual places */
	const char *registries_d;    /* --registries.d; NULL: the usual places */
	bool loopback_insecure;	     /* docker's rule: this host's registries may do without TLS */
	const char *os, *arch, *variant; /* of the image to choose; NULL: this host's */
	bool accept_uncompressed;	 /* oci:, dir: --dest-decompress */
	int retries;			 /* --retry-times */
	const char *tmp_dir;
	const char *
		shared_blob_dir; /* oci: blobs are in this folder instead of the layout's own; NULL */
	char **additional_tags; /* docker-archive: further names of the image; NULL: none */
	const struct image_progress *progress; /* NULL: none */
};

#define TRANSPORT_DOCUMENT_MAX (4 << 20) /* bytes of a manifest; what registries take, too */

/* Takes bytes as they come. */
typedef int (*transport_sink)(void *arg, const void *data, size_t size, struct err *e);

struct transport_in;
struct transport_in_ops {
	/* The document of this digest; NULL: the one that the reference names. *ret_type: its media type, as said
	 * there or as told by the content. *ret has a NUL behind it. Caller frees both. -E_NOTFOUND. */
	int (*document)(struct transport_in *s, const char *digest, char **ret, size_t *ret_size,
		char **ret_type, struct err *e);
	/* Bytes of a blob from an offset on. *ret_size: of the whole blob, -1: not known before; may be NULL. Unchecked. */
	int (*blob)(struct transport_in *s, const char *digest, int64_t offset, transport_sink sink,
		void *arg, int64_t *ret_size, struct err *e);
	/* As document(NULL), but the one that came with the image, whose blobs needn't be here. NULL slot: the same. */
	int (*original)(struct transport_in *s, char **ret, size_t *ret_size, char **ret_type,
		struct err *e);
	/* Sigstore signatures of a document: struct policy_attachment each; *ret stays NULL where they aren't looked
	 * for. NULL slot: has none. */
	int (*attachments)(
		struct transport_in *s, const char *digest, GPtrArray **ret, struct err *e);
	/* Simple signatures of a document (containers-signature(5)): GBytes each. NULL slot: has none. */
	int (*signatures)(
		struct transport_in *s, const char *digest, GPtrArray **ret, struct err *e);
	/* The tags of the repository, as it orders them. NULL slot: it has no such thing. */
	int (*tags)(struct transport_in *s, GPtrArray **ret, struct err *e);
	void (*free)(struct transport_in *s);
};
struct transport_in {
	const struct transport_in_ops *ops;
	struct ctx *c;
	const char *shown; /* "docker://host/name:tag"; the transport's own */
	const char *
		repository; /* "host/name" that has the blobs, once a document was read; NULL: none */
};

struct transport_out;
struct transport_out_ops {
	/* 1: it is there already (or could be mounted from another repository there). 0. */
	int (*has_blob)(struct transport_out *t, const char *digest, int64_t size, struct err *e);
	/* One blob: begin, write, finish. digest "": not known before (it is being compressed meanwhile); finish always knows.
	 * *ret_offset: how many bytes are there from an attempt before, and the caller goes on behind them; NULL: always
	 * from 0. Finish checks digest and size of the whole. */
	int (*blob_begin)(struct transport_out *t, const char *digest, int64_t size,
		int64_t *ret_offset, struct err *e);
	int (*blob_write)(struct transport_out *t, const void *data, size_t size, struct err *e);
	int (*blob_finish)(
		struct transport_out *t, const char *digest, int64_t size, struct err *e);
	/* A document; after its blobs, and those that an index names before the index. top: what the reference will name. */
	int (*document)(struct transport_out *t, const char *text, size_t size, const char *type,
		bool top, struct err *e);
	int (*signatures)(
		struct transport_out *t, const char *digest, GPtrArray *signatures, struct err *e);
	/* Sigstore signatures (struct policy_attachment) of a document. NULL slot: has no place for them. */
	int (*attachments)(
		struct transport_out *t, const char *digest, GPtrArray *attachments, struct err *e);
	/* Media types of documents that it takes, NULL-terminated, the best first; NULL slot: all. */
	const char *const *(*types)(struct transport_out *t);
	int (*commit)(struct transport_out *t, struct err *e);
	void (*free)(struct transport_out *t); /* without commit: nothing of it is left */
};
struct transport_out {
	const struct transport_out_ops *ops;
	struct ctx *c;
	const char *shown;
	bool wants_plain; /* layers are kept uncompressed there (docker-archive:, docker-daemon:) */
	bool wants_packed; /* plain layers are compressed on the way there (docker://, oci:) */
	bool one_image;	   /* takes no index (docker-archive:, the store) */
	bool goes_on;	   /* with a blob that was cut, by blob_begin's offset (docker://) */
	/* Set by the caller before has_blob and blob_begin, for those to whom it matters: what the blob is; */
	const char *blob_type; /* NULL: not known */
	const char *
		blob_diff_id; /* of a layer: the digest of its tar, as the configuration has it; NULL */
	const char *
		blob_key; /* for blob_begin without a digest: the same bytes have the same key; NULL: nothing is gone on with */
	const char *source; /* "host/name" that has them too, to be mounted from; NULL: none */
	const char *
		identity; /* docker reference of the target, that signatures name; NULL: has none */
};

/* A slot that stays NULL is a thing that this transport can't do. */
struct transport {
	const char *name; /* "docker": what stands before the ":" */
	int (*open_in)(struct ctx *c, const char *rest, const struct transport_options *o,
		struct transport_in **ret, struct err *e);
	int (*open_out)(struct ctx *c, const char *rest, const struct transport_options *o,
		struct transport_out **ret, struct err *e);
	int (*remove)(
		struct ctx *c, const char *rest, const struct transport_options *o, struct err *e);
	/* The folder of the host that an image is written into, for explain. Caller frees. NULL slot: into none. */
	char *(*folder)(const char *rest);
};

extern const struct transport transport_docker, transport_oci, transport_oci_archive,
	transport_docker_archive, transport_dir, transport_store, transport_daemon;

void transport_in_free(struct transport_in *s); /* NULL is nothing */
void transport_in_freep(struct transport_in **s);
void transport_out_free(struct transport_out *t);
void transport_out_freep(struct transport_out **t);

/* Splits "TRANSPORT:REST". -E_INVALID with the names that there are. */
int transport_find(
	const char *text, const struct transport **ret, const char **ret_rest, struct err *e);

#endif
