/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of one policy (policy/arena.h): chunks in a list, filled from the front.
 */
#include "policy/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SIZE ((size_t)64 << 10)

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, room;
	_Alignas(max_align_t) unsigned char bytes[];
};

static struct arena_chunk *
chunk_new(size_t room)
{
	struct arena_chunk *chunk = calloc(1, sizeof *chunk + room);

	if (chunk)
		chunk->room = room;
	return chunk;
}

/* A large piece gets a chunk of its own, put behind the one that is being filled. */
static void *
take_large(struct arena *arena, size_t size)
{
	struct arena_chunk *chunk = chunk_new(size), **slot = arena->chunks ? &arena->chunks->next : &arena->chunks;

	if (chunk == NULL)
		return NULL;
	chunk->used = size;
	chunk->next = *slot;
	*slot = chunk;
	return chunk->bytes;
}

void *
arena_take(struct arena *arena, size_t size)
{
	const size_t align = _Alignof(max_align_t);
	struct arena_chunk *chunk = arena->chunks;
	void *piece;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + align - 1) / align * align;
	if (size > CHUNK_SIZE / 4)
		return take_large(arena, size);
	if (chunk == NULL || chunk->room - chunk->used < size) {
		chunk = chunk_new(CHUNK_SIZE);
		if (chunk == NULL)
			return NULL;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
	}
	piece = chunk->bytes + chunk->used;
	chunk->used += size;
	return piece;
}

void *
arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return arena_take(arena, bytes ? bytes : 1);
}

const char *
arena_text(struct arena *arena, const char *text, size_t length)
{
	char *copy = arena_take(arena, length + 1);

	if (copy)
		memcpy(copy, text, length);
	return copy;
}

void *
arena_grow(struct arena *arena, void *array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 16;
	void *copy;

	if (*room > count)
		return array;
	copy = arena_array(arena, more, size);
	if (copy == NULL)
		return NULL;
	if (count)
		memcpy(copy, array, count * size);
	*room = more;
	return copy;
}

void
arena_clear(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
}
