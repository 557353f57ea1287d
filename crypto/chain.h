/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit trail's two hashes: a chain, which names the first bad line, and an RFC 6962 Merkle tree over the lines (leaf = the whole line without its
 * newline), whose root a signed checkpoint fixes. Pure. SHA-256 by libsodium.
 */
#ifndef NETBUS_CRYPTO_CHAIN_H
#define NETBUS_CRYPTO_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#define CHAIN_LEN 32

/* next = SHA-256(previous || text); the chain before the first line is 32 zero bytes. */
void chain_next(
    const uint8_t previous[static CHAIN_LEN], const void *text, size_t length, uint8_t next[static CHAIN_LEN]);

/* The tree's right edge: at most one root for each complete subtree. */
#define TREE_DEPTH 64
struct tree {
	uint64_t size;
	uint8_t edge[TREE_DEPTH][CHAIN_LEN]; /* edge[k] is valid where bit k of size is set */
};
void tree_append(struct tree *tree, const void *leaf, size_t length);
void tree_root(const struct tree *tree, uint8_t root[static CHAIN_LEN]);

#endif
