/* SPDX-License-Identifier: MIT */
#ifndef LODGE_HOST_CRIU_H
#define LODGE_HOST_CRIU_H

/*
 * CRIU, criu(8): what it is asked and what it answers. `criu swrk FD` is its service for one client: messages of
 * protocol buffers (its rpc.proto), one a packet. That way it hands over terminals, tells when namespaces are
 * there, and names what it restored, which its command line can't.
 *
 * A request is written as the words that the command line has for the same ("--tree=12", "--leave-running"), so
 * that a plan can be read and typed. Encoding and decoding are pure.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

enum criu_type {
	CRIU_DUMP = 1,
	CRIU_RESTORE = 2,
	CRIU_PRE_DUMP = 4,
	CRIU_NOTIFY = 6,
	CRIU_FEATURES = 9,
};

enum {
	CRIU_PACKET_MAX = 64 * 1024,
	CRIU_WORDS_MAX = 512,
};

enum {
	CRIU_MEM_TRACK = 1, /* earlier images can be added to: --pre-dump, --parent-path */
	CRIU_LAZY_PAGES = 2,
};

/* What a word needs opened: its value is a folder, or names a file in "fd[PATH]:KEY". */
enum criu_opens {
	CRIU_OPENS_NONE,
	CRIU_OPENS_FOLDER, /* the descriptor is this process's */
	CRIU_OPENS_FILE,   /* criu inherits it, at the number that is given */
};
/* *ret: the path in it, ret_n bytes of it. A number in the place of PATH is an open descriptor: none. */
enum criu_opens criu_word_opens(const char *word, const char **ret, size_t *ret_n);

/* Whether it is "fd[N]:KEY" with an open descriptor N of this process. */
bool criu_word_inherits(const char *word, int *ret);

/* Encodes a request in buf (CRIU_PACKET_MAX bytes); fds has a descriptor for each word that opens something.
 * The length, or -E_INVALID with e for a word that isn't known. */
ssize_t criu_encode(enum criu_type type, const char *const *words, const int *fds, unsigned n,
	uint8_t *buf, struct err *e);

/* The answer to a notification. The length. */
size_t criu_encode_notified(bool good, uint8_t *buf);
/* The question which of CRIU_MEM_TRACK and CRIU_LAZY_PAGES there are. The length. */
size_t criu_encode_features(uint8_t *buf);

struct criu_reply {
	unsigned type; /* enum criu_type */
	bool success;
	pid_t pid;	 /* restored, or whom a notification is about; 0: not said */
	char script[64]; /* of a notification: "post-restore" */
	unsigned features;
	int code; /* errno's, or 0 */
	char text[256];
};

/* -E_CORRUPT for what isn't a message. */
int criu_decode(const uint8_t *buf, size_t n, struct criu_reply *ret);

/* Starts criu to ask what it and this kernel can: bits. Changes nothing. */
int criu_features(const char *program, struct err *e);

#endif
