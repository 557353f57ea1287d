/* SPDX-License-Identifier: Apache-2.0
 *
 * Names as numbers: each literal name that stands in the files gets one, so that a decision hashes each name of the
 * request once and compares numbers after that.
 */
#ifndef NETBUS_POLICY_ATOMS_H
#define NETBUS_POLICY_ATOMS_H

#include <stddef.h>
#include <stdint.h>

#include "policy/arena.h"

#define NO_ATOM UINT32_MAX

struct atom {
	const char *text; /* in the arena */
	uint32_t length, hash;
};

/* What a look-up needs, so that it touches nothing but this and the text. */
struct atom_slot {
	const char *text; /* NULL: free */
	uint32_t hash, number;
};

/* Zeroed memory is an empty table. */
struct atoms {
	struct atom *at;         /* by number */
	struct atom_slot *slots; /* hash table, at most half full */
	size_t count, room;
	unsigned slot_bits; /* there are 2 to the power of this, or none while `slots` is NULL */
};

/* The number of `text`, which it gets now unless it has one. NO_ATOM when memory is out. Tables live in the arena. */
uint32_t atoms_add(struct atoms *atoms, struct arena *arena, const char *text, size_t length);
/* The hash of a text, piece by piece: of what came before, and of what follows. */
#define ATOM_HASH_OF_NOTHING UINT32_C(2166136261)
uint32_t atom_hash(uint32_t before, const char *text, size_t length);
/* The same as atoms_find(), for whoever has the hash already. */
uint32_t atoms_find_hashed(const struct atoms *atoms, const char *text, size_t length, uint32_t hash);
/* Tells the processor that this hash will be looked for. */
void atoms_expect(const struct atoms *atoms, uint32_t hash);
/* NO_ATOM when `text` has none. Takes no memory. */
uint32_t atoms_find(const struct atoms *atoms, const char *text, size_t length);

#endif
