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

/* Names that differ in the last letter have hashes that lie close together, so the place is taken from the high bits of a product. */
static size_t
place_of(const struct atoms *atoms, uint32_t hash)
{
	return (uint32_t)(hash * UINT32_C(2654435769)) >> (32 - atoms->slot_bits);
}

/* The slot where the name is, or the free one where it would be. The table is never full. */
static struct atom_slot *
slot_of(const struct atoms *atoms, const char *text, size_t length, uint32_t hash)
{
	size_t mask = ((size_t)1 << atoms->slot_bits) - 1;
	size_t place = place_of(atoms, hash);

	for (;; place = (place + 1) & mask) {
		struct atom_slot *slot = &atoms->slots[place];

		if (slot->text == NULL)
			return slot;
		if (slot->hash == hash && strncmp(slot->text, text, length) == 0 && slot->text[length] == '\0')
			return slot;
	}
}

static void
fill_slot(struct atoms *atoms, uint32_t number)
{
	const struct atom *atom = &atoms->at[number];

	*slot_of(atoms, atom->text, atom->length, atom->hash) =
	    (struct atom_slot){.text = atom->text, .hash = atom->hash, .number = number};
}

static int
grow_slots(struct atoms *atoms, struct arena *arena)
{
	unsigned bits = atoms->slots ? atoms->slot_bits + 1 : 6;
	struct atom_slot *slots = bits < 32 ? arena_array(arena, (size_t)1 << bits, sizeof *slots) : NULL;

	if (slots == NULL)
		return -1;
	atoms->slots = slots;
	atoms->slot_bits = bits;
	for (uint32_t i = 0; i < atoms->count; i++)
		fill_slot(atoms, i);
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
	if ((atoms->slots == NULL || atoms->count * 2 >= (size_t)1 << atoms->slot_bits) && grow_slots(atoms, arena) < 0)
		return NO_ATOM;
	at = arena_grow(arena, atoms->at, atoms->count, &atoms->room, sizeof *at);
	if (at == NULL)
		return NO_ATOM;
	atoms->at = at;
	copy = arena_text(arena, text, length);
	if (copy == NULL)
		return NO_ATOM;
	at[atoms->count] = (struct atom){.text = copy, .length = (uint32_t)length, .hash = hash};
	fill_slot(atoms, (uint32_t)atoms->count);
	return (uint32_t)atoms->count++;
}

uint32_t
atoms_find_hashed(const struct atoms *atoms, const char *text, size_t length, uint32_t hash)
{
	const struct atom_slot *slot = atoms->slots ? slot_of(atoms, text, length, hash) : NULL;

	return slot && slot->text ? slot->number : NO_ATOM;
}

void
atoms_expect(const struct atoms *atoms, uint32_t hash)
{
	if (atoms->slots)
		__builtin_prefetch(&atoms->slots[place_of(atoms, hash)]);
}

uint32_t
atoms_find(const struct atoms *atoms, const char *text, size_t length)
{
	return atoms_find_hashed(atoms, text, length, atom_hash(ATOM_HASH_OF_NOTHING, text, length));
}
