/* SPDX-License-Identifier: MIT */
#ifndef LODGE_NFT_H
#define LODGE_NFT_H

/*
 * Elements of our nftables table "inet lodge", by nfnetlink messages of our own (no program on the way).
 * The table itself is text, loaded once a boot by nft(8).
 */

#include "host/netlink.h"

#define NFT_KEY_MAX	48
#define NFT_DATA_MAX	32
#define NFT_COMMENT_MAX 64

/* An element of a set or map. Fields of a concatenation are padded to 4 bytes each. */
struct nft_elem {
	const char *set;
	uint8_t key[NFT_KEY_MAX], end[NFT_KEY_MAX]; /* end: of a range in a concatenation */
	uint8_t data[NFT_DATA_MAX];		    /* of a map */
	size_t key_size, data_size;		    /* data_size 0: a set */
	bool range;				    /* end counts */
	bool closes;		       /* the end mark of a range in a set of one field */
	char comment[NFT_COMMENT_MAX]; /* "" : none */
};

/* The text of the table, for nft -f. */
extern const char nft_base_text[];

/* A batch is one transaction: all of it, or nothing. */
void nft_batch_begin(struct nl_buf *b);
/* Only if the rules of this network namespace are still of that generation; else -ERESTART. */
void nft_batch_begin_at(struct nl_buf *b, uint32_t generation);
int nft_generation(int fd, uint32_t *ret);
/* Adds an element; `exclusive`: one that is there already fails the batch with -EEXIST. The message's
 * number is b->seq afterwards. */
void nft_put_add(struct nl_buf *b, const struct nft_elem *m, bool exclusive);
void nft_put_delete(struct nl_buf *b, const struct nft_elem *m);
/* Ends the batch and runs it on fd (nl_open(NETLINK_NETFILTER)); b is emptied. */
int nft_batch_run(int fd, struct nl_buf *b, struct nl_refusal *ret);

/* Removes one element; one that isn't there is no error. */
int nft_delete(int fd, const struct nft_elem *m);

/* Whether the table is there: 1, 0 or a code. */
int nft_table_there(int fd);

/* The element that holds m's key (in a map with ranges: the one it lies in): data, key and comment go to
 * ret. -ENOENT. */
int nft_get(int fd, const struct nft_elem *m, struct nft_elem *ret);

/* Calls fn for each element of a set; ranges of a set of one field come as two elements. */
typedef int (*nft_each)(const struct nft_elem *m, void *data);
int nft_list(int fd, const char *set, nft_each fn, void *data);

/* Gives text to nft -f. */
int nft_load(const char *text, struct err *e);

#endif
