/* SPDX-License-Identifier: Apache-2.0
 *
 * Token buckets (base/bucket.h).
 */
#include "base/bucket.h"

#define NS_PER_SEC UINT64_C(1000000000)

/* A rate times nanoseconds does not fit into 64 bits. */
__extension__ typedef unsigned __int128 wide;

static void
set(struct bucket *bucket, uint64_t rate, uint64_t depth)
{
	bucket->rate = rate < BUCKET_RATE_MAX ? rate : BUCKET_RATE_MAX;
	bucket->depth = depth < BUCKET_DEPTH_MAX ? depth : BUCKET_DEPTH_MAX;
	if (bucket->depth == 0)
		bucket->depth = 1;
}

static void
be_full(struct bucket *bucket)
{
	bucket->tokens = (int64_t)bucket->depth;
	bucket->part = 0;
}

void
bucket_init(struct bucket *bucket, uint64_t rate, uint64_t depth, uint64_t now_ns)
{
	*bucket = (struct bucket){.at_ns = now_ns};
	set(bucket, rate, depth);
	be_full(bucket);
}

void
bucket_fill(struct bucket *bucket, uint64_t now_ns)
{
	wide parts;

	if (now_ns <= bucket->at_ns)
		return;
	parts = (wide)bucket->rate * (now_ns - bucket->at_ns) + bucket->part;
	bucket->at_ns = now_ns;
	if (parts / NS_PER_SEC >= (wide)((int64_t)bucket->depth - bucket->tokens)) {
		be_full(bucket);
		return;
	}
	bucket->tokens += (int64_t)(parts / NS_PER_SEC);
	bucket->part = (uint64_t)(parts % NS_PER_SEC);
}

void
bucket_change(struct bucket *bucket, uint64_t rate, uint64_t depth, uint64_t now_ns)
{
	bucket_fill(bucket, now_ns);
	set(bucket, rate, depth);
	if (bucket->tokens >= (int64_t)bucket->depth)
		be_full(bucket);
}

void
bucket_take(struct bucket *bucket, uint64_t units)
{
	const int64_t most = (int64_t)BUCKET_DEPTH_MAX;

	if (units > BUCKET_DEPTH_MAX || bucket->tokens - (int64_t)units < -most)
		bucket->tokens = -most;
	else
		bucket->tokens -= (int64_t)units;
}

uint64_t
bucket_wait_ns(const struct bucket *bucket)
{
	wide parts;

	if (bucket->tokens > 0)
		return 0;
	if (bucket->rate == 0)
		return UINT64_MAX;
	parts = (wide)(1 - bucket->tokens) * NS_PER_SEC - bucket->part;
	parts = (parts + bucket->rate - 1) / bucket->rate;
	return parts < UINT64_MAX ? (uint64_t)parts : UINT64_MAX;
}
