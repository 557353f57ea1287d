/* SPDX-License-Identifier: Apache-2.0
 *
 * Names as numbers (policy/atoms.h): open addressing, at most half full. Only operators' files add names; a peer's
 * name is only looked up, so nobody outside can lengthen a chain.
 */
#include "policy/atoms.h"

#include <string.h>

/* FNV-1a, 32 bits. */
uint32_t
atom_hash(uint32_t before, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		before = (before ^ (uint8_t)text[i]) * 16777619u;
	return before;
}

/* The slot where the name is, or the free one where it would be. The table is never full. */
static size_t
slot_of(const struct atoms *atoms, const char *text, size_t length, uint32_t hash)
{
	size_t mask = atoms->slot_count - 1, slot = hash & mask;

	for (; atoms->slots[slot] != NO_ATOM; slot = (slot + 1) & mask) {
		const struct atom *atom = &atoms->at[atoms->slots[slot]];

		if (atom->hash == hash && atom->length == length && memcmp(atom->text, text, length) == 0)
			break;
	}
	return slot;
}

static int
grow_slots(struct atoms *atoms, struct arena *arena)
{
	size_t count = atoms->slot_count ? atoms->slot_count * 2 : 64;
	uint32_t *slots = arena_array(arena, count, sizeof *slots);

	if (slots == NULL)
		return -1;
	memset(slots, 0xff, count * sizeof *slots);
	atoms->slots = slots;
	atoms->slot_count = count;
	for (uint32_t i = 0; i < atoms->count; i++)
		slots[slot_of(atoms, atoms->at[i].text, atoms->at[i].length, atoms->at[i].hash)] = i;
	return 0;
}

uint32_t
atoms_add(struct atoms *atoms, struct arena *arena, const char *text, size_t length)
{
	uint32_t found = atoms_find(atoms, text, length), hash = atom_hash(ATOM_HASH_OF_NOTHING, text, length);
	struct atom *at;
	const char *copy;

	if (found != NO_ATOM)
		return found;
	if (atoms->count * 2 >= atoms->slot_count && grow_slots(atoms, arena) < 0)
		return NO_ATOM;
	at = arena_grow(arena, atoms->at, atoms->count, &atoms->room, sizeof *at);
	if (at == NULL)
		return NO_ATOM;
	atoms->at = at;
	copy = arena_text(arena, text, length);
	if (copy == NULL)
		return NO_ATOM;
	at[atoms->count] = (struct atom){.text = copy, .length = (uint32_t)length, .hash = hash};
	atoms->slots[slot_of(atoms, text, length, hash)] = (uint32_t)atoms->count;
	return (uint32_t)atoms->count++;
}

uint32_t
atoms_find_hashed(const struct atoms *atoms, const char *text, size_t length, uint32_t hash)
{
	return atoms->slot_count ? atoms->slots[slot_of(atoms, text, length, hash)] : NO_ATOM;
}

uint32_t
atoms_find(const struct atoms *atoms, const char *text, size_t length)
{
	return atoms_find_hashed(atoms, text, length, atom_hash(ATOM_HASH_OF_NOTHING, text, length));
}
