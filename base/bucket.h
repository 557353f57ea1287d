/* SPDX-License-Identifier: Apache-2.0
 *
 * A token bucket: units come in at a rate, up to a depth, and whoever takes some may go into debt, so that a piece larger than the depth passes too
 * and is paid for afterwards. Over any time no more is taken than depth + rate * time + the last piece.
 *
 * Pure: the time is passed in. Integer arithmetic that carries what is less than a unit, so that it does not drift.
 */
#ifndef NETBUS_BASE_BUCKET_H
#define NETBUS_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_RATE_MAX  (UINT64_C(1) << 50) /* units per second */
#define BUCKET_DEPTH_MAX (UINT64_C(1) << 60)

struct bucket {
	uint64_t rate, depth; /* units per second; units */
	int64_t tokens;       /* units; negative: debt, at most BUCKET_DEPTH_MAX */
	uint64_t part;        /* of the next unit, in 1/1000000000 */
	uint64_t at_ns;       /* filled until then */
};

/* Full. Rate and depth are cut to their limits; a depth of 0 is one of 1. */
void bucket_init(struct bucket *bucket, uint64_t rate, uint64_t depth, uint64_t now_ns);
/* Fills at the old rate until now; from now on the new ones. What is beyond the new depth is lost. */
void bucket_change(struct bucket *bucket, uint64_t rate, uint64_t depth, uint64_t now_ns);
/* A time before the last one changes nothing. */
void bucket_fill(struct bucket *bucket, uint64_t now_ns);
void bucket_take(struct bucket *bucket, uint64_t units);
/* From the time of the last fill until something can be taken: 0 = now, UINT64_MAX = never. */
uint64_t bucket_wait_ns(const struct bucket *bucket);

/* Something can be taken. */
static inline bool
bucket_has(const struct bucket *bucket)
{
	return bucket->tokens > 0;
}

static inline bool
bucket_is_full(const struct bucket *bucket)
{
	return bucket->tokens == (int64_t)bucket->depth;
}

#endif
