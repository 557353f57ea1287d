/* SPDX-License-Identifier: Apache-2.0
 *
 * Worlds as words: packed, with hosts in one order of all that mean the same and epochs as ranks (the engine only compares them), and the set of those
 * that were seen.
 */
#ifndef NETBUS_TESTS_MODEL_STATES_H
#define NETBUS_TESTS_MODEL_STATES_H

#include <stddef.h>

#include "tests/model/world.h"

#define WORDS_MOST (SHARES_MOST * (HOSTS_MOST + 1))

struct packed {
	uint64_t word[WORDS_MOST];
};

/* Which seat of the world each seat of the packed one was. */
struct swap {
	uint8_t from[SHARES_MOST][HOSTS_MOST];
};

unsigned words_of(const struct setting *setting);
/* swap may be NULL. */
void world_pack(const struct setting *setting, const struct world *world, struct packed *packed, struct swap *swap);
void world_unpack(const struct setting *setting, const struct packed *packed, struct world *world);

/* All states that were seen, in the order in which they were, with the move that led to each first. */
struct states {
	unsigned words;
	uint32_t count, room, *table, mask;
	uint64_t *word; /* count * words */
	uint32_t *parent;
	struct move *move;
};

void states_init(struct states *states, unsigned words);
void states_clear(struct states *states);
void states_get(const struct states *states, uint32_t number, struct packed *packed);
/* Its number; *new: it was not there. */
uint32_t states_add(struct states *states, const struct packed *packed, uint32_t parent, struct move move, bool *new);
/* Its number, or STATES_NONE. */
#define STATES_NONE UINT32_MAX
uint32_t states_find(const struct states *states, const struct packed *packed);

#endif
