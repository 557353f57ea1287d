/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that lives as long as one policy: taken piece by piece while the files are read, given back all at once. Used
 * by the loader only; a decision takes none.
 */
#ifndef NETBUS_POLICY_ARENA_H
#define NETBUS_POLICY_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* owned; zeroed memory starts as an empty arena */
};

/* Zeroed and aligned for anything; NULL when memory is out. */
void *arena_take(struct arena *arena, size_t size);
/* The same for `count` elements of `size` bytes; the product is checked. A count of 0 gives a valid pointer. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* A terminated copy, or NULL. */
const char *arena_text(struct arena *arena, const char *text, size_t length);
/* `array` itself while *room > count, else a copy with twice the room (the old one stays in the arena). NULL when memory
 * is out; then nothing changed. */
void *arena_grow(struct arena *arena, void *array, size_t count, size_t *room, size_t size);
void arena_clear(struct arena *arena);

#endif
