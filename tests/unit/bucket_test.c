/* SPDX-License-Identifier: Apache-2.0
 *
 * The token bucket: never more than its promise, never less than its rate, and no drift, over thousands of random walks.
 */
#include "tests/unit/test.h"

#include "base/bucket.h"

#define SEC UINT64_C(1000000000)

static uint64_t seed = UINT64_C(0x6e657462757331);

static uint64_t
next_random(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 8) % below;
}

/* Whoever takes as soon as something is there, in pieces of up to `piece`, over `until_ns`. */
static uint64_t
take_all(struct bucket *bucket, uint64_t piece, uint64_t until_ns, bool in_steps)
{
	uint64_t now_ns = bucket->at_ns, taken = 0, units, wait_ns;

	for (;;) {
		while (bucket_has(bucket)) {
			units = 1 + next_random(piece);
			bucket_take(bucket, units);
			taken += units;
		}
		wait_ns = bucket_wait_ns(bucket);
		if (in_steps) /* looks in at any time; what it saw of a part must not be lost */
			wait_ns = 1 + next_random(wait_ns);
		if (wait_ns > until_ns - now_ns)
			return taken;
		now_ns += wait_ns;
		bucket_fill(bucket, now_ns);
	}
}

static void
gives_its_rate_and_no_more(void **state)
{
	(void)state;
	for (unsigned walk = 0; walk < 4000; walk++) {
		uint64_t rate = 1 + next_random(walk % 2 ? 1000 : 1000000), depth = 1 + next_random(1000),
			 piece = 1 + next_random(walk % 3 ? 10 : 5000), seconds = 1 + next_random(20), taken, most,
			 start = next_random(UINT64_C(1) << 60);
		struct bucket bucket;

		if (rate * seconds / piece > 100000)
			piece = rate;
		bucket_init(&bucket, rate, depth, start);
		taken = take_all(&bucket, piece, start + seconds * SEC, walk % 2);
		most = depth + rate * seconds;
		if (taken > most + piece || taken + piece + 1 < most)
			fail_msg("walk %u: %llu taken, %llu promised, in pieces of up to %llu", walk,
			    (unsigned long long)taken, (unsigned long long)most, (unsigned long long)piece);
	}
}

static void
waits_exactly_as_long_as_it_says(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		struct bucket bucket;
		uint64_t wait_ns;

		bucket_init(&bucket, 1 + next_random(BUCKET_RATE_MAX), 1 + next_random(1000), 0);
		bucket_take(&bucket, bucket.depth + next_random(1000000));
		wait_ns = bucket_wait_ns(&bucket);
		assert_true(wait_ns > 0);
		bucket_fill(&bucket, wait_ns - 1);
		assert_false(bucket_has(&bucket));
		bucket_fill(&bucket, wait_ns);
		assert_true(bucket_has(&bucket));
	}
}

static void
does_not_drift_however_often_it_is_looked_at(void **state)
{
	struct bucket often, once;

	(void)state;
	/* 3 units in 7 seconds: no step is a whole number of parts. */
	bucket_init(&often, 3, 1000000, 0);
	bucket_take(&often, 1000000);
	once = often;
	for (uint64_t now_ns = 0; now_ns < 7000 * SEC; now_ns += 6999999)
		bucket_fill(&often, now_ns);
	bucket_fill(&often, 7000 * SEC);
	bucket_fill(&once, 7000 * SEC);
	assert_int_equal(once.tokens, 21000);
	assert_int_equal(often.tokens, once.tokens);
	assert_int_equal(often.part, once.part);
}

static void
holds_at_its_limits(void **state)
{
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, UINT64_MAX, UINT64_MAX, 0);
	assert_true(bucket.rate == BUCKET_RATE_MAX && bucket.depth == BUCKET_DEPTH_MAX);
	for (unsigned i = 0; i < 5; i++)
		bucket_take(&bucket, UINT64_MAX);
	assert_true(bucket.tokens == -(int64_t)BUCKET_DEPTH_MAX);
	bucket_fill(&bucket, UINT64_MAX);
	assert_true(bucket_is_full(&bucket));
	bucket_fill(&bucket, 5); /* a clock that went back */
	assert_int_equal(bucket.at_ns, UINT64_MAX);
	bucket_init(&bucket, 0, 0, 0);
	assert_int_equal(bucket.depth, 1);
	bucket_take(&bucket, 1);
	assert_true(bucket_wait_ns(&bucket) == UINT64_MAX);
}

static void
changes_at_once_and_keeps_what_fits(void **state)
{
	struct bucket bucket;

	(void)state;
	bucket_init(&bucket, 10, 100, 0);
	bucket_take(&bucket, 100);
	bucket_change(&bucket, 1000, 30, 2 * SEC); /* 20 came in at the old rate */
	assert_int_equal(bucket.tokens, 20);
	bucket_fill(&bucket, 2 * SEC + SEC / 200);
	assert_int_equal(bucket.tokens, 25);
	bucket_change(&bucket, 1000, 5, 2 * SEC + SEC / 200);
	assert_int_equal(bucket.tokens, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(gives_its_rate_and_no_more),
	    cmocka_unit_test(waits_exactly_as_long_as_it_says),
	    cmocka_unit_test(does_not_drift_however_often_it_is_looked_at),
	    cmocka_unit_test(holds_at_its_limits),
	    cmocka_unit_test(changes_at_once_and_keeps_what_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
