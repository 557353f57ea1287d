/* SPDX-License-Identifier: Apache-2.0
 *
 * The ration (authz/ration.h), by filling: all begin at their floors, then whoever has least grows, tenants at the same speed, a tenant's speed shared by
 * its VMs and a VM's by its leases, until the next one is reached, has what it wants, or a bucket is full; and so on. First up to what each wants, then
 * without that bound. Each round ends the growth of one at least or joins two levels, so that there are few.
 *
 * Buckets that have no member in common have nothing to do with each other and are filled one after the other.
 */
#include "authz/ration.h"

#define NONE     UINT32_MAX
#define INFINITE (4.0 * (double)RATION_RATE_MAX)
/* Below this two levels are one. Rates come out in whole units. */
#define NEAR(value) (1e-6 + 1e-11 * (value))

struct filling {
	struct ration_bucket *buckets;
	struct ration_member *members;
	struct ration_group *tenants, *vms;
	uint32_t first; /* of the members that have to do with each other */
	size_t count;   /* of these */
	double least;   /* that a tenant has who may grow */
};

static double
lesser(double a, double b)
{
	return a < b ? a : b;
}

/* ---- going through those that have to do with each other ---- */

static struct ration_member *
first_of(const struct filling *filling)
{
	return &filling->members[filling->first];
}

static struct ration_member *
next_of(const struct filling *filling, const struct ration_member *member)
{
	return member->next == NONE ? NULL : &filling->members[member->next];
}

static struct ration_bucket *
bucket_of(const struct filling *filling, const struct ration_member *member, uint8_t i)
{
	return &filling->buckets[member->buckets[i]];
}

/* ---- who has to do with whom ---- */

static uint32_t
root_of(struct ration_bucket *buckets, uint32_t i)
{
	while (buckets[i].parent != i)
		i = buckets[i].parent = buckets[buckets[i].parent].parent;
	return i;
}

static void
join_up(struct filling *filling, size_t bucket_count, size_t member_count)
{
	struct ration_bucket *buckets = filling->buckets;

	for (uint32_t i = 0; i < bucket_count; i++)
		buckets[i].parent = i, buckets[i].first = NONE;
	for (size_t m = 0; m < member_count; m++)
		for (uint8_t i = 1; i < filling->members[m].bucket_count; i++)
			buckets[root_of(buckets, filling->members[m].buckets[i])].parent =
			    root_of(buckets, filling->members[m].buckets[0]);
	for (uint32_t m = 0; m < member_count; m++) {
		struct ration_member *member = &filling->members[m];
		uint32_t root;

		if (member->bucket_count == 0)
			continue;
		root = root_of(buckets, member->buckets[0]);
		member->next = buckets[root].first;
		buckets[root].first = m;
	}
}

/* ---- floors ---- */

static double
wanted_floor(const struct ration_member *member)
{
	return (double)(member->floor < member->demand ? member->floor : member->demand);
}

static void
begin(struct filling *filling)
{
	filling->count = 0;
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		filling->count++;
		filling->tenants[member->tenant].got = filling->vms[member->vm].got = 0;
		for (uint8_t i = 0; i < member->bucket_count; i++) {
			struct ration_bucket *bucket = bucket_of(filling, member, i);

			bucket->most =
			    (double)bucket->capacity * (1 - 1e-12); /* a little less, for what the sums lose */
			bucket->used = bucket->speed = 0;
		}
	}
	/* What all the floors would take; `speed` has nothing else to hold yet. */
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member))
		for (uint8_t i = 0; i < member->bucket_count; i++)
			bucket_of(filling, member, i)->speed += wanted_floor(member);
}

static void
give_floors(struct filling *filling)
{
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		double scale = 1;

		for (uint8_t i = 0; i < member->bucket_count; i++) {
			const struct ration_bucket *bucket = bucket_of(filling, member, i);

			if (bucket->speed > bucket->most)
				scale = lesser(scale, bucket->most / bucket->speed);
		}
		member->got = scale * wanted_floor(member);
		filling->tenants[member->tenant].got += member->got;
		filling->vms[member->vm].got += member->got;
	}
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member))
		for (uint8_t i = 0; i < member->bucket_count; i++)
			bucket_of(filling, member, i)->used += member->got;
}

/* ---- growing ---- */

static bool
is_near(double value, double level)
{
	return value <= level + NEAR(level);
}

/* Those that have what they may have grow no more. True: somebody does. */
static bool
stop_the_full(struct filling *filling)
{
	bool some = false;

	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		if (is_near(member->most, member->got))
			member->grows = false;
		for (uint8_t i = 0; i < member->bucket_count; i++) {
			const struct ration_bucket *bucket = bucket_of(filling, member, i);

			if (is_near(bucket->most, bucket->used))
				member->grows = false;
		}
		some = some || member->grows;
	}
	return some;
}

/* For each VM, tenant and for all: the least that one has who may grow. */
static void
find_the_least(struct filling *filling)
{
	filling->least = INFINITE;
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		struct ration_group *tenant = &filling->tenants[member->tenant], *vm = &filling->vms[member->vm];

		tenant->least = vm->least = INFINITE;
		tenant->growing = vm->growing = 0;
		vm->counted = false;
		for (uint8_t i = 0; i < member->bucket_count; i++)
			bucket_of(filling, member, i)->speed = 0;
	}
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		struct ration_group *tenant = &filling->tenants[member->tenant], *vm = &filling->vms[member->vm];

		if (!member->grows)
			continue;
		vm->least = lesser(vm->least, member->got);
		tenant->least = lesser(tenant->least, vm->got);
		filling->least = lesser(filling->least, tenant->got);
	}
}

static void
count_the_least(struct filling *filling)
{
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		struct ration_group *tenant = &filling->tenants[member->tenant], *vm = &filling->vms[member->vm];

		if (!member->grows)
			continue;
		vm->growing += is_near(member->got, vm->least);
		tenant->growing += !vm->counted && is_near(vm->got, tenant->least);
		vm->counted = true;
	}
}

static void
set_speeds(struct filling *filling)
{
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		struct ration_group *tenant = &filling->tenants[member->tenant], *vm = &filling->vms[member->vm];

		member->speed = 0;
		if (!member->grows)
			continue;
		tenant->speed = is_near(tenant->got, filling->least) ? 1 : 0;
		vm->speed = is_near(vm->got, tenant->least) ? tenant->speed / tenant->growing : 0;
		member->speed = is_near(member->got, vm->least) ? vm->speed / vm->growing : 0;
		for (uint8_t i = 0; i < member->bucket_count; i++)
			bucket_of(filling, member, i)->speed += member->speed;
	}
}

/* How long until something changes. */
static double
next_change(const struct filling *filling)
{
	double after = INFINITE;

	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		const struct ration_group *tenant = &filling->tenants[member->tenant], *vm = &filling->vms[member->vm];

		if (!member->grows)
			continue;
		/* Those that wait are reached by the ones below them. */
		if (tenant->speed <= 0)
			after = lesser(after, tenant->got - filling->least);
		else if (vm->speed <= 0)
			after = lesser(after, (vm->got - tenant->least) * tenant->growing / tenant->speed);
		else if (member->speed <= 0)
			after = lesser(after, (member->got - vm->least) * vm->growing / vm->speed);
		else
			after = lesser(after, (member->most - member->got) / member->speed);
		for (uint8_t i = 0; i < member->bucket_count; i++) {
			const struct ration_bucket *bucket = bucket_of(filling, member, i);

			if (bucket->speed > 0)
				after = lesser(after, (bucket->most - bucket->used) / bucket->speed);
		}
	}
	return after;
}

static void
grow(struct filling *filling, double after)
{
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		double more = member->speed * after;

		member->got += more;
		filling->tenants[member->tenant].got += more;
		filling->vms[member->vm].got += more;
		for (uint8_t i = 0; i < member->bucket_count; i++)
			bucket_of(filling, member, i)->used += more;
	}
}

/* Up to what each wants, or (`all`) as far as the buckets go. */
static void
fill(struct filling *filling, bool all)
{
	for (struct ration_member *member = first_of(filling); member; member = next_of(filling, member)) {
		member->grows = true;
		member->most =
		    all || member->demand > RATION_RATE_MAX ? (double)RATION_RATE_MAX : (double)member->demand;
	}
	/* A member, its VM and its tenant each are reached once and stop once; more rounds would be an error of rounding. */
	for (size_t left = 8 * filling->count + 8; left > 0 && stop_the_full(filling); left--) {
		find_the_least(filling);
		count_the_least(filling);
		set_speeds(filling);
		grow(filling, next_change(filling));
	}
}

void
ration(struct ration_bucket *buckets, size_t bucket_count, struct ration_member *members, size_t member_count,
    struct ration_group *tenants, struct ration_group *vms)
{
	struct filling filling = {.buckets = buckets, .members = members, .tenants = tenants, .vms = vms};

	join_up(&filling, bucket_count, member_count);
	for (size_t i = 0; i < bucket_count; i++) {
		filling.first = buckets[i].first;
		if (filling.first == NONE)
			continue;
		begin(&filling);
		give_floors(&filling);
		fill(&filling, false);
		fill(&filling, true);
	}
	for (size_t m = 0; m < member_count; m++)
		members[m].rate = members[m].bucket_count ? (uint64_t)members[m].got : RATION_RATE_MAX;
}
