/* SPDX-License-Identifier: Apache-2.0
 *
 * Packing and the set of states (tests/model/states.h).
 */
#include "tests/model/states.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- epochs as ranks ---- */

struct ranks {
	unsigned count;
	uint64_t value[3 + 2 * HOSTS_MOST];
};

static void
rank_add(struct ranks *ranks, uint64_t value)
{
	unsigned at = ranks->count;

	for (unsigned i = 0; i < ranks->count; i++)
		if (ranks->value[i] == value)
			return;
	for (; at > 0 && ranks->value[at - 1] > value; at--)
		ranks->value[at] = ranks->value[at - 1];
	ranks->value[at] = value;
	ranks->count++;
}

static void
rank_all(const struct share_world *share, struct ranks *ranks)
{
	*ranks = (struct ranks){.count = 1};
	rank_add(ranks, share->core.epoch);
	rank_add(ranks, share->disk_epoch);
	for (unsigned i = 0; i < HOSTS_MOST; i++) {
		rank_add(ranks, share->seat[i].core.epoch);
		rank_add(ranks, share->seat[i].row);
	}
}

static uint64_t
rank_of(const struct ranks *ranks, uint64_t value)
{
	unsigned i = 0;

	while (ranks->value[i] != value)
		i++;
	return i;
}

/* ---- a seat in a word ---- */

struct bits {
	uint64_t word;
	unsigned at;
};

static void
put(struct bits *bits, unsigned width, uint64_t value)
{
	assert(value < UINT64_C(1) << width);
	bits->word |= value << bits->at;
	bits->at += width;
}

static uint64_t
get(struct bits *bits, unsigned width)
{
	uint64_t value = bits->word >> bits->at & ((UINT64_C(1) << width) - 1);

	bits->at += width;
	return value;
}

/* The partner comes first and is left out of what seats are sorted by. */
#define PARTNER_BITS 2
#define LATE_NEVER   7

static uint64_t
pack_seat(const struct seat *seat, const struct ranks *ranks)
{
	const struct lease_core *core = &seat->core;
	struct bits bits = {.at = PARTNER_BITS};

	put(&bits, 3, rank_of(ranks, seat->row));
	put(&bits, 4, core->phase);
	if (core->phase == LEASE_NONE)
		return bits.word;
	put(&bits, 1, core->write);
	put(&bits, 1, core->leaving);
	put(&bits, 2, core->lanes);
	put(&bits, 1, core->reason != 0);
	put(&bits, 3, rank_of(ranks, core->epoch));
	put(&bits, 1, core->ttl_ms != 0);
	put(&bits, 2, (NOW_MS - core->heard_ms) / TICK_MS);
	put(&bits, 3, core->late_ms == LEASE_NEVER ? LATE_NEVER : (core->late_ms - NOW_MS) / TICK_MS);
	put(&bits, 2, seat->processes);
	put(&bits, 1, seat->device);
	put(&bits, 1, seat->drained);
	put(&bits, 1, seat->retry);
	put(&bits, 2, seat->fence);
	put(&bits, 2, seat->order);
	put(&bits, 2, seat->answer);
	return bits.word;
}

static void
unpack_seat(const struct setting *setting, uint64_t word, struct seat *seat)
{
	struct lease_core *core = &seat->core;
	struct bits bits = {.word = word};
	uint64_t late;

	*seat = (struct seat){.partner = (uint8_t)get(&bits, PARTNER_BITS)};
	seat->row = get(&bits, 3);
	core->phase = (enum lease_phase)get(&bits, 4);
	if (core->phase == LEASE_NONE)
		return;
	core->lanes_most = setting->lanes_most;
	core->write = get(&bits, 1);
	core->leaving = get(&bits, 1);
	core->leave_reason = core->leaving ? REASON_STOLEN : 0;
	core->lanes = (uint16_t)get(&bits, 2);
	core->reason = get(&bits, 1) ? REASON_REVOKED : 0;
	core->epoch = get(&bits, 3);
	core->ttl_ms = get(&bits, 1) ? TICK_MS : 0;
	core->heard_ms = NOW_MS - get(&bits, 2) * TICK_MS;
	late = get(&bits, 3);
	core->late_ms = late == LATE_NEVER ? LEASE_NEVER : NOW_MS + late * TICK_MS;
	seat->processes = (uint8_t)get(&bits, 2);
	seat->device = get(&bits, 1);
	seat->drained = get(&bits, 1);
	seat->retry = get(&bits, 1);
	seat->fence = (enum fence)get(&bits, 2);
	seat->order = (enum order)get(&bits, 2);
	seat->answer = (enum answer)get(&bits, 2);
}

/* ---- a share in words: its own, then its seats ---- */

static const uint8_t orders[6][HOSTS_MOST] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

static bool
is_sorted(const uint64_t key[static HOSTS_MOST], const uint8_t order[static HOSTS_MOST])
{
	return key[order[0]] >= key[order[1]] && key[order[1]] >= key[order[2]];
}

static void
seats_in_order(const struct share_world *share, const uint64_t key[static HOSTS_MOST],
    const uint8_t order[static HOSTS_MOST], uint64_t word[static HOSTS_MOST])
{
	uint8_t place[HOSTS_MOST + 1] = {[NOBODY] = NOBODY};

	for (uint8_t i = 0; i < HOSTS_MOST; i++)
		place[order[i]] = i;
	for (unsigned i = 0; i < HOSTS_MOST; i++)
		word[i] = key[order[i]] | place[share->seat[order[i]].partner];
}

/* Of the orders that sort the seats (several when some are alike but for their partners), the one with the greatest words. */
static const uint8_t *
pack_seats(const struct share_world *share, const struct ranks *ranks, uint64_t word[static HOSTS_MOST])
{
	uint64_t key[HOSTS_MOST], tried[HOSTS_MOST];
	const uint8_t *best = NULL;

	for (unsigned i = 0; i < HOSTS_MOST; i++)
		key[i] = pack_seat(&share->seat[i], ranks);
	for (unsigned i = 0; i < 6; i++) {
		if (!is_sorted(key, orders[i]))
			continue;
		seats_in_order(share, key, orders[i], tried);
		if (best && memcmp(tried, word, sizeof tried) <= 0)
			continue;
		memcpy(word, tried, sizeof tried);
		best = orders[i];
	}
	assert(best);
	return best;
}

static uint64_t
pack_share(const struct world *world, const struct share_world *share, const struct ranks *ranks)
{
	struct bits bits = {0};

	put(&bits, 1, world->down);
	put(&bits, 2, share->core.readers);
	put(&bits, 2, share->core.writers);
	put(&bits, 3, rank_of(ranks, share->core.epoch));
	put(&bits, 3, rank_of(ranks, share->disk_epoch));
	return bits.word;
}

unsigned
words_of(const struct setting *setting)
{
	return setting->shares * (HOSTS_MOST + 1);
}

void
world_pack(const struct setting *setting, const struct world *world, struct packed *packed, struct swap *swap)
{
	for (unsigned i = 0; i < setting->shares; i++) {
		const struct share_world *share = &world->share[i];
		uint64_t *word = &packed->word[(size_t)i * (HOSTS_MOST + 1)];
		const uint8_t *order;
		struct ranks ranks;

		rank_all(share, &ranks);
		word[0] = pack_share(world, share, &ranks);
		order = pack_seats(share, &ranks, word + 1);
		if (swap)
			memcpy(swap->from[i], order, HOSTS_MOST);
	}
}

void
world_unpack(const struct setting *setting, const struct packed *packed, struct world *world)
{
	world_init(setting, world);
	for (unsigned i = 0; i < setting->shares; i++) {
		const uint64_t *word = &packed->word[(size_t)i * (HOSTS_MOST + 1)];
		struct share_world *share = &world->share[i];
		struct bits bits = {.word = word[0]};

		world->down = get(&bits, 1);
		share->core.readers = (uint32_t)get(&bits, 2);
		share->core.writers = (uint32_t)get(&bits, 2);
		share->core.epoch = get(&bits, 3);
		share->disk_epoch = get(&bits, 3);
		for (unsigned j = 0; j < HOSTS_MOST; j++)
			unpack_seat(setting, word[1 + j], &share->seat[j]);
	}
}

/* ---- the set ---- */

static void *
grow(void *bytes, size_t count, size_t size)
{
	void *grown = reallocarray(bytes, count, size);

	if (grown == NULL)
		abort();
	return grown;
}

static uint64_t
hash(const uint64_t *word, unsigned words)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < words; i++) {
		value = (value ^ word[i]) * UINT64_C(0x9e3779b97f4a7c15);
		value ^= value >> 29;
	}
	return value;
}

/* Where it is in the table, or where it would be. */
static uint32_t
slot_of(const struct states *states, const uint64_t *word)
{
	uint32_t at = (uint32_t)hash(word, states->words) & states->mask;

	while (states->table[at] != STATES_NONE && memcmp(&states->word[(size_t)states->table[at] * states->words],
						       word, states->words * sizeof *word) != 0)
		at = (at + 1) & states->mask;
	return at;
}

static void
table_grow(struct states *states)
{
	states->mask = states->mask * 2 + 1;
	states->table = grow(states->table, (size_t)states->mask + 1, sizeof *states->table);
	memset(states->table, 0xff, ((size_t)states->mask + 1) * sizeof *states->table);
	for (uint32_t i = 0; i < states->count; i++)
		states->table[slot_of(states, &states->word[(size_t)i * states->words])] = i;
}

static void
room_grow(struct states *states)
{
	states->room = states->room ? states->room * 2 : 1024;
	states->word = grow(states->word, (size_t)states->room * states->words, sizeof *states->word);
	states->parent = grow(states->parent, states->room, sizeof *states->parent);
	states->move = grow(states->move, states->room, sizeof *states->move);
}

void
states_init(struct states *states, unsigned words)
{
	*states = (struct states){.words = words, .mask = 1023};
	table_grow(states);
}

void
states_clear(struct states *states)
{
	free(states->table);
	free(states->word);
	free(states->parent);
	free(states->move);
}

void
states_get(const struct states *states, uint32_t number, struct packed *packed)
{
	memcpy(packed->word, &states->word[(size_t)number * states->words], states->words * sizeof *packed->word);
}

uint32_t
states_add(struct states *states, const struct packed *packed, uint32_t parent, struct move move, bool *new)
{
	uint32_t slot = slot_of(states, packed->word);

	*new = states->table[slot] == STATES_NONE;
	if (!*new)
		return states->table[slot];
	if (states->count == states->room)
		room_grow(states);
	if (states->count > states->mask / 2) {
		table_grow(states);
		slot = slot_of(states, packed->word);
	}
	memcpy(
	    &states->word[(size_t)states->count * states->words], packed->word, states->words * sizeof *packed->word);
	states->parent[states->count] = parent;
	states->move[states->count] = move;
	states->table[slot] = states->count;
	return states->count++;
}

uint32_t
states_find(const struct states *states, const struct packed *packed)
{
	return states->table[slot_of(states, packed->word)];
}
