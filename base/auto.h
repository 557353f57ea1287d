/* SPDX-License-Identifier: Apache-2.0
 *
 * Ownership that reads as such: a local marked AUTO_x is released when its scope ends, on every
 * path; TAKE(x) moves it out (returns the value and leaves NULL or -1 behind).
 */
#ifndef NETBUS_BASE_AUTO_H
#define NETBUS_BASE_AUTO_H

#include <stdlib.h>
#include <unistd.h>

static inline void
auto_free(void *slot)
{
	free(*(void **)slot);
}

static inline void
auto_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* free(3) at the end of the scope. The pointer starts as NULL or owned. */
#define AUTO_FREE __attribute__((cleanup(auto_free)))
/* close(2) at the end of the scope. The descriptor starts as -1 or owned. */
#define AUTO_CLOSE __attribute__((cleanup(auto_close)))
/* Any other clean-up: AUTO(fclose_slot) FILE *f = NULL; the function takes a pointer to the slot. */
#define AUTO(function) __attribute__((cleanup(function)))

/* Move out of an AUTO_FREE pointer. */
#define TAKE(pointer)                                   \
	__extension__({                                 \
		__typeof__(pointer) taken_ = (pointer); \
		(pointer) = NULL;                       \
		taken_;                                 \
	})

/* Move out of an AUTO_CLOSE descriptor. */
static inline int
take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))
/* The struct that holds `member`, from a pointer to the member. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
