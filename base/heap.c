/* SPDX-License-Identifier: Apache-2.0
 *
 * A heap that is settled before it is shared (base/heap.h). Knows of glibc's allocator that it grows upwards, and hands out a free piece before it grows; with
 * another one this does nothing.
 */
#include "base/heap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE        4096u
#define LARGE       (8u << 10)
#define CHUNK_STEP  16u
#define CHUNK_EXTRA 8u /* of a chunk's header that its user may not write */

/* All free pieces of a size that lie below `limit`. */
static void
take_pieces(size_t size, uintptr_t limit)
{
	void *piece;

	while ((piece = malloc(size)) != NULL && (uintptr_t)piece < limit)
		continue;
	free(piece);
}

void
heap_settle(void)
{
	uintptr_t limit;

	/* Else it learns from what was freed so far to take larger pieces from the heap. */
	mallopt(M_MMAP_THRESHOLD, LARGE);
	mallopt(M_TOP_PAD, LARGE); /* where the heap ends with more than that, a large piece would be taken of it */
	malloc_trim(0);
	limit = (uintptr_t)sbrk(0) - PAGE;
	for (size_t size = LARGE - CHUNK_STEP + CHUNK_EXTRA; size > CHUNK_EXTRA; size -= CHUNK_STEP)
		take_pieces(size, limit);
	malloc_trim(0);
}
