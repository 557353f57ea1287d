/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit trail's two hashes (crypto/chain.h). Pure; used by the broker as it writes and by netbus-admin as it verifies, so both
 * compute the same. SHA-256 by libsodium, whose hash functions need no set-up.
 *
 * Source: RFC 6962 section 2.1 (leaf and node hashes with their prefix bytes, the shape of a tree whose size is no power of two).
 */
#include "crypto/chain.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

_Static_assert(CHAIN_LEN == crypto_hash_sha256_BYTES, "the chain is of SHA-256");

void
chain_next(const uint8_t previous[static CHAIN_LEN], const void *text, size_t length, uint8_t next[static CHAIN_LEN])
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, previous, CHAIN_LEN);
	crypto_hash_sha256_update(&state, text, length);
	crypto_hash_sha256_final(&state, next);
}

/* ---- the tree ---- */

/* The prefixes keep a leaf from passing for a node (RFC 6962 2.1: second preimages). */
static void
hash_leaf(const void *leaf, size_t length, uint8_t hash[static CHAIN_LEN])
{
	static const uint8_t prefix = 0x00;
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, &prefix, 1);
	crypto_hash_sha256_update(&state, leaf, length);
	crypto_hash_sha256_final(&state, hash);
}

/* `hash` may be `right`. */
static void
hash_node(const uint8_t left[static CHAIN_LEN], const uint8_t right[static CHAIN_LEN], uint8_t hash[static CHAIN_LEN])
{
	static const uint8_t prefix = 0x01;
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, &prefix, 1);
	crypto_hash_sha256_update(&state, left, CHAIN_LEN);
	crypto_hash_sha256_update(&state, right, CHAIN_LEN);
	crypto_hash_sha256_final(&state, hash);
}

/* As a binary counter: complete subtrees of equal size are joined, the carry moves up. */
void
tree_append(struct tree *tree, const void *leaf, size_t length)
{
	uint8_t carry[CHAIN_LEN];
	unsigned k = 0;

	assert(tree->size < UINT64_MAX);
	hash_leaf(leaf, length, carry);
	for (; tree->size >> k & 1; k++)
		hash_node(tree->edge[k], carry, carry);
	memcpy(tree->edge[k], carry, CHAIN_LEN);
	tree->size++;
}

void
tree_root(const struct tree *tree, uint8_t root[static CHAIN_LEN])
{
	uint8_t hash[CHAIN_LEN];
	unsigned k = 0;

	if (tree->size == 0) {
		crypto_hash_sha256(root, NULL, 0);
		return;
	}
	while (!(tree->size >> k & 1))
		k++;
	memcpy(hash, tree->edge[k], CHAIN_LEN);
	for (k++; k < TREE_DEPTH; k++)
		if (tree->size >> k & 1)
			hash_node(tree->edge[k], hash, hash);
	memcpy(root, hash, CHAIN_LEN);
}
