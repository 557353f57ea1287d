/* SPDX-License-Identifier: Apache-2.0
 *
 * The ration: by example, then over thousands of random hierarchies against what authz/ration.h promises, and where one bucket is all, against a model that
 * finds the levels by bisection.
 */
#include "tests/unit/test.h"

#include <string.h>

#include "authz/ration.h"

#define MEMBERS 24
#define BUCKETS 6
#define ALL     RATION_WANTS_ALL

static uint64_t seed;

static uint64_t
next_random(uint64_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 8) % below;
}

static void
compute(struct ration_bucket *buckets, size_t bucket_count, struct ration_member *members, size_t member_count)
{
	struct ration_group tenants[MEMBERS], vms[MEMBERS];

	memset(tenants, 0xa5, sizeof tenants);
	memset(vms, 0xa5, sizeof vms);
	ration(buckets, bucket_count, members, member_count, tenants, vms);
}

/* ---- by example ---- */

/* Members are {tenant, vm, {buckets}, count, demand, floor}. */
static const struct {
	const char *what;
	uint64_t capacity[3];
	struct ration_member members[6];
	uint64_t rates[6];
} examples[] = {
    {"one has it all", {1000}, {{0, 0, {0}, 1, ALL}}, {1000}},
    {"who wants less has it all ready", {1000}, {{0, 0, {0}, 1, 10}}, {1000}},
    {"tenants first", {1000}, {{0, 0, {0}, 1, ALL}, {0, 1, {0}, 1, ALL}, {1, 2, {0}, 1, ALL}}, {250, 250, 500}},
    {"then VMs", {1200}, {{0, 0, {0}, 1, ALL}, {0, 0, {0}, 1, ALL}, {0, 1, {0}, 1, ALL}, {1, 2, {0}, 1, ALL}},
	{150, 150, 300, 600}},
    {"what one leaves the other has", {1000}, {{0, 0, {0}, 1, 100}, {1, 1, {0}, 1, ALL}}, {100, 900}},
    {"what a tenant leaves stays with its VMs first", {1000},
	{{0, 0, {0}, 1, 100}, {0, 1, {0}, 1, ALL}, {1, 2, {0}, 1, ALL}}, {100, 400, 500}},
    {"a floor is kept", {1000}, {{0, 0, {0}, 1, ALL, 800}, {1, 1, {0}, 1, ALL}}, {800, 200}},
    {"a floor that is less than the share is none", {1000}, {{0, 0, {0}, 1, ALL, 300}, {1, 1, {0}, 1, ALL}},
	{500, 500}},
    {"a floor counts for its tenant", {1000}, {{0, 0, {0}, 1, ALL, 800}, {0, 1, {0}, 1, ALL}, {1, 2, {0}, 1, ALL}},
	{800, 0, 200}},
    {"who does not want its floor lends it", {1000}, {{0, 0, {0}, 1, 50, 800}, {1, 1, {0}, 1, ALL}}, {50, 950}},
    {"floors that do not fit shrink", {1000}, {{0, 0, {0}, 1, ALL, 1500}, {1, 1, {0}, 1, ALL, 500}}, {750, 250}},
    {"the narrower of two buckets holds", {1000, 100}, {{0, 0, {0, 1}, 2, ALL}, {1, 1, {0}, 1, ALL}}, {100, 900}},
    {"buckets apart do not know each other", {1000, 100}, {{0, 0, {0}, 1, ALL}, {0, 0, {1}, 1, ALL}}, {1000, 100}},
    {"nothing to give", {0}, {{0, 0, {0}, 1, ALL, 5}, {1, 1, {0}, 1, ALL}}, {0, 0}},
    {"without a bucket without a bound", {1}, {{0, 0, {0}, 0, ALL}}, {RATION_RATE_MAX}},
};

static bool
is_about(uint64_t value, uint64_t wanted)
{
	return value <= wanted && value + 2 + wanted / 1000000 >= wanted;
}

static void
shares_as_it_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
		struct ration_member members[6];
		struct ration_bucket buckets[3] = {0};
		size_t count = 0;

		memcpy(members, examples[i].members, sizeof members);
		while (count < 6 && members[count].demand)
			count++;
		for (size_t b = 0; b < 3; b++)
			buckets[b].capacity = examples[i].capacity[b];
		compute(buckets, 3, members, count);
		for (size_t m = 0; m < count; m++)
			if (!is_about(members[m].rate, examples[i].rates[m]))
				fail_msg("%s: member %zu has %llu, not %llu", examples[i].what, m,
				    (unsigned long long)members[m].rate, (unsigned long long)examples[i].rates[m]);
	}
}

/* ---- at random ---- */

struct world {
	struct ration_bucket buckets[BUCKETS];
	struct ration_member members[MEMBERS];
	size_t bucket_count, member_count;
};

static uint64_t
some_rate(void)
{
	static const uint64_t scales[] = {10, 1000, 1000000, UINT64_C(1000000000000), RATION_RATE_MAX};

	return 1 + next_random(scales[next_random(5)]);
}

static void
make_world(struct world *world, bool one_bucket, bool floors)
{
	uint32_t tenants = 1 + (uint32_t)next_random(4);

	memset(world, 0, sizeof *world);
	world->bucket_count = one_bucket ? 1 : 1 + next_random(BUCKETS);
	world->member_count = 1 + next_random(MEMBERS);
	for (size_t b = 0; b < world->bucket_count; b++)
		world->buckets[b].capacity = next_random(20) ? some_rate() : 0;
	for (size_t m = 0; m < world->member_count; m++) {
		struct ration_member *member = &world->members[m];

		/* A VM's number is below the count of members, and one more VM for each is the most there can be. */
		member->vm = (uint32_t)next_random(m + 1);
		member->tenant = member->vm % tenants;
		if (member->tenant >= world->member_count)
			member->tenant = 0;
		member->demand = next_random(3) ? some_rate() : ALL;
		member->floor = floors && next_random(2) ? some_rate() : 0;
		for (uint32_t b = 0; b < world->bucket_count; b++)
			if (one_bucket || next_random(2))
				member->buckets[member->bucket_count++] = b;
	}
}

static bool
draws_from(const struct ration_member *member, uint32_t bucket)
{
	for (uint8_t i = 0; i < member->bucket_count; i++)
		if (member->buckets[i] == bucket)
			return true;
	return false;
}

static uint64_t
used(const struct world *world, uint32_t bucket)
{
	uint64_t sum = 0;

	for (size_t m = 0; m < world->member_count; m++)
		sum += draws_from(&world->members[m], bucket) ? world->members[m].rate : 0;
	return sum;
}

/* Rates are whole, so that each member may lose one. */
static bool
is_full(const struct world *world, uint32_t bucket)
{
	uint64_t capacity = world->buckets[bucket].capacity;

	return used(world, bucket) + MEMBERS + capacity / 1000000 >= capacity;
}

static void
no_bucket_gives_more_than_it_has_nor_keeps_what_one_could_use(void **state)
{
	(void)state;
	seed = 11;
	for (unsigned round = 0; round < 20000; round++) {
		struct world world;

		make_world(&world, false, round % 2);
		compute(world.buckets, world.bucket_count, world.members, world.member_count);
		for (uint32_t b = 0; b < world.bucket_count; b++)
			if (used(&world, b) > world.buckets[b].capacity)
				fail_msg("round %u: bucket %u gives %llu of %llu", round, b,
				    (unsigned long long)used(&world, b), (unsigned long long)world.buckets[b].capacity);
		for (size_t m = 0; m < world.member_count; m++) {
			bool held = world.members[m].bucket_count == 0;

			for (uint32_t b = 0; b < world.bucket_count; b++)
				held = held || (draws_from(&world.members[m], b) && is_full(&world, b));
			if (!held)
				fail_msg("round %u: nothing holds member %zu", round, m);
		}
	}
}

static void
floors_are_kept_where_they_fit(void **state)
{
	(void)state;
	seed = 12;
	for (unsigned round = 0; round < 20000; round++) {
		struct world world;
		bool fits[BUCKETS];

		make_world(&world, false, true);
		for (uint32_t b = 0; b < world.bucket_count; b++) {
			long double sum = 0;

			for (size_t m = 0; m < world.member_count; m++)
				if (draws_from(&world.members[m], b))
					sum += world.members[m].floor;
			fits[b] = sum <= world.buckets[b].capacity;
		}
		compute(world.buckets, world.bucket_count, world.members, world.member_count);
		for (size_t m = 0; m < world.member_count; m++) {
			const struct ration_member *member = &world.members[m];
			uint64_t floor = member->floor < member->demand ? member->floor : member->demand;
			bool all_fit = true;

			for (uint8_t i = 0; i < member->bucket_count; i++)
				all_fit = all_fit && fits[member->buckets[i]];
			if (all_fit && member->rate + 2 + floor / 1000000 < floor)
				fail_msg("round %u: member %zu has %llu, less than its floor %llu", round, m,
				    (unsigned long long)member->rate, (unsigned long long)floor);
		}
	}
}

/* ---- one bucket: the model ---- */

#define STEPS 120

/* At this level each of `count` takes the lesser of it and what it wants; a level at which all together take `total`. */
static long double
find_level(const long double *wants, size_t count, long double total)
{
	long double low = 0, high = (long double)RATION_RATE_MAX;

	for (unsigned step = 0; step < STEPS; step++) {
		long double level = (low + high) / 2, sum = 0;

		for (size_t i = 0; i < count; i++)
			sum += wants[i] < level ? wants[i] : level;
		if (sum < total)
			low = level;
		else
			high = level;
	}
	return low;
}

static long double
least(long double a, long double b)
{
	return a < b ? a : b;
}

/* What each has when all want more than there is: by tenants, then VMs, then leases. */
static void
model(const struct world *world, long double *rates)
{
	long double tenant_wants[MEMBERS] = {0}, vm_wants[MEMBERS] = {0}, wants[MEMBERS], level;
	size_t count = world->member_count;

	for (size_t m = 0; m < count; m++) {
		wants[m] = least((long double)world->members[m].demand, (long double)RATION_RATE_MAX);
		vm_wants[world->members[m].vm] += wants[m];
		tenant_wants[world->members[m].tenant] += wants[m];
	}
	level = find_level(tenant_wants, MEMBERS, (long double)world->buckets[0].capacity);
	for (uint32_t t = 0; t < MEMBERS; t++) {
		long double of_tenant[MEMBERS] = {0}, vm_level;

		if (tenant_wants[t] <= 0)
			continue;
		for (size_t m = 0; m < count; m++)
			if (world->members[m].tenant == t)
				of_tenant[world->members[m].vm] = vm_wants[world->members[m].vm];
		vm_level = find_level(of_tenant, MEMBERS, least(level, tenant_wants[t]));
		for (uint32_t v = 0; v < MEMBERS; v++) {
			long double of_vm[MEMBERS] = {0}, lease_level;

			if (of_tenant[v] <= 0)
				continue;
			for (size_t m = 0; m < count; m++)
				if (world->members[m].tenant == t && world->members[m].vm == v)
					of_vm[m] = wants[m];
			lease_level = find_level(of_vm, MEMBERS, least(vm_level, of_tenant[v]));
			for (size_t m = 0; m < count; m++)
				if (of_vm[m] > 0)
					rates[m] = least(lease_level, of_vm[m]);
		}
	}
}

static void
is_fair_between_tenants_then_vms_then_leases(void **state)
{
	unsigned compared = 0;

	(void)state;
	seed = 13;
	for (unsigned round = 0; round < 5000; round++) {
		struct world world;
		long double rates[MEMBERS] = {0}, wanted = 0;

		make_world(&world, true, false);
		for (size_t m = 0; m < world.member_count; m++)
			wanted += (long double)world.members[m].demand;
		if (wanted < (long double)world.buckets[0].capacity)
			continue;
		compared++;
		model(&world, rates);
		compute(world.buckets, 1, world.members, world.member_count);
		for (size_t m = 0; m < world.member_count; m++) {
			long double off = (long double)world.members[m].rate - rates[m];

			if (off > 2 + rates[m] / 1000000 || -off > 2 + rates[m] / 1000000)
				fail_msg("round %u: member %zu has %llu, the model gives it %.0Lf", round, m,
				    (unsigned long long)world.members[m].rate, rates[m]);
		}
	}
	assert_true(compared > 2000);
}

/* Tenants, times VMs of its tenant, times leases of its VM: it has a right to that part. */
static uint64_t
parts(const struct world *world, const struct ration_member *member)
{
	bool tenants[MEMBERS] = {false}, vms[MEMBERS] = {false};
	uint64_t tenant_count = 0, vm_count = 0, lease_count = 0;

	for (size_t m = 0; m < world->member_count; m++) {
		const struct ration_member *other = &world->members[m];

		tenant_count += !tenants[other->tenant];
		tenants[other->tenant] = true;
		vm_count += other->tenant == member->tenant && !vms[other->vm];
		vms[other->vm] = true;
		lease_count += other->vm == member->vm;
	}
	return tenant_count * vm_count * lease_count;
}

static void
who_wants_less_than_a_fair_part_is_not_held(void **state)
{
	(void)state;
	seed = 14;
	for (unsigned round = 0; round < 20000; round++) {
		struct world world;

		make_world(&world, true, false);
		compute(world.buckets, 1, world.members, world.member_count);
		for (size_t m = 0; m < world.member_count; m++) {
			const struct ration_member *member = &world.members[m];

			if (member->demand <= world.buckets[0].capacity / parts(&world, member) &&
			    member->rate + 2 + member->demand / 1000000 < member->demand)
				fail_msg("round %u: member %zu wants only %llu and has %llu", round, m,
				    (unsigned long long)member->demand, (unsigned long long)member->rate);
		}
	}
}

static void
is_done_in_time_with_many_members(void **state)
{
	static struct ration_member members[4096];
	static struct ration_group tenants[4096], vms[4096];
	struct ration_bucket bucket = {.capacity = UINT64_C(1000000000)};
	uint64_t sum = 0;

	(void)state;
	seed = 15;
	for (uint32_t m = 0; m < 4096; m++)
		members[m] = (struct ration_member){
		    .tenant = m % 64, .vm = m, .bucket_count = 1, .demand = next_random(2) ? some_rate() : ALL};
	ration(&bucket, 1, members, 4096, tenants, vms);
	for (uint32_t m = 0; m < 4096; m++)
		sum += members[m].rate;
	assert_in_range(sum, bucket.capacity - 8192, bucket.capacity);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(shares_as_it_says),
	    cmocka_unit_test(no_bucket_gives_more_than_it_has_nor_keeps_what_one_could_use),
	    cmocka_unit_test(floors_are_kept_where_they_fit),
	    cmocka_unit_test(is_fair_between_tenants_then_vms_then_leases),
	    cmocka_unit_test(who_wants_less_than_a_fair_part_is_not_held),
	    cmocka_unit_test(is_done_in_time_with_many_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
