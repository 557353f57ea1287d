/* SPDX-License-Identifier: Apache-2.0
 *
 * What the lanes may do now, twenty times a second while one is limited: what they let through since is taken from the buckets, what these have now is
 * handed out (authz/ration.h), and the rates go into the lane pages.
 *
 * A bucket that has tokens lets its leases be faster than its rate, for one turn; one in debt makes them slower. So the rate holds over time whatever a
 * lane did within a turn, and if we are late, lanes go on at rates that hold for good.
 */
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/broker.h"

#define TURN_NS (50 * NS_PER_MS)
/* What is given beyond the lasting rate is for this long: a turn that comes a little late leaves no gap. */
#define FRESH_NS (TURN_NS + TURN_NS / 2)
/* How fast the running average of what a lane lets through follows. */
#define USUAL_NS (150 * NS_PER_MS)
/* Turns take at most this part of our time. */
#define TURN_SHARE 20
/* A debt is paid over so many turns. */
#define DEBT_TURNS 4

#define NO_NUMBER UINT32_MAX

static const uint64_t least_depth[LIMITED_KINDS] = {LANE_OPERATION, 4096};

/* ---- what lanes did ---- */

static uint64_t
let_through(const struct lane_page *page, enum limited kind)
{
	return atomic_load_explicit(
	    kind == LIMITED_OPS ? &page->demand.ops : &page->demand.bytes, memory_order_relaxed);
}

static bool
lacks(const struct lane_page *page, enum limited kind, struct lane_account *account)
{
	uint64_t times = atomic_load_explicit(
	    kind == LIMITED_OPS ? &page->demand.short_ops : &page->demand.short_bytes, memory_order_relaxed);
	bool waits = atomic_load_explicit(&page->demand.waits_for, memory_order_relaxed) &
		     (kind == LIMITED_OPS ? LANE_LIMIT_OPS : LANE_LIMIT_BYTES);

	waits = waits || times != account->times_short;
	account->times_short = times;
	return waits;
}

/* A piece that was larger than what a lane had is booked over the turns in which it makes up for it; so is what a session says beyond what it may. */
static uint64_t
book(struct process *process, enum limited kind, uint64_t since_ns)
{
	struct lane_account *account = &process->accounts[kind];
	uint64_t claim = let_through(process->page, kind) - account->booked;
	uint64_t most = account->depth + account->rate / 1000 * (since_ns / 1000) / 1000;

	if (claim > most)
		claim = most;
	account->booked += claim;
	account->is_short = lacks(process->page, kind, account);
	if (since_ns > 0) {
		double part = (double)since_ns / (double)(since_ns + USUAL_NS),
		       now = (double)claim * 1e9 / (double)since_ns;

		account->usual = (uint64_t)((double)account->usual * (1 - part) + now * part);
	}
	return claim;
}

static bool
is_limited(const struct process *process, enum limited kind)
{
	return process->lease && lease_is_live(process->lease) && process->page && process->lease->limits.limited[kind];
}

static void
book_all(struct broker *broker, enum limited kind, uint64_t now_ns)
{
	uint64_t since_ns = now_ns - broker->limits.turn_ns;

	if (since_ns > NS_PER_SEC) /* we slept; what is older is forgotten as the buckets do */
		since_ns = NS_PER_SEC;
	for (struct process *process = broker->processes; process; process = process->next) {
		uint64_t booked;

		if (!is_limited(process, kind))
			continue;
		booked = book(process, kind, since_ns);
		for (size_t i = 0; i < process->lease->limits.count; i++)
			bucket_take(&process->lease->limits.at[i]->rates[kind], booked);
	}
}

/* ---- what there is ---- */

static uint64_t
capacity(struct limit_bucket *bucket, enum limited kind, uint64_t now_ns)
{
	struct bucket *rate = &bucket->rates[kind];
	uint64_t tokens, more;

	bucket_fill(rate, now_ns);
	if (rate->tokens >= 0) {
		tokens = (uint64_t)rate->tokens;
		more = tokens > RATION_RATE_MAX / 32 ? RATION_RATE_MAX : tokens * (NS_PER_SEC / TURN_NS);
		return rate->rate + more < RATION_RATE_MAX ? rate->rate + more : RATION_RATE_MAX;
	}
	more = (uint64_t)-rate->tokens;
	more = more > RATION_RATE_MAX / 32 ? RATION_RATE_MAX : more * (NS_PER_SEC / TURN_NS) / DEBT_TURNS;
	return more < rate->rate - rate->rate / 8 ? rate->rate - more : rate->rate / 8;
}

/* Room for this many. False: memory is out, and all stays as it is. */
static bool
make_room(struct limits *limits, size_t members, size_t buckets)
{
	if (members > limits->member_room) {
		size_t room = members * 2;

		ration_clear(limits);
		limits->members = calloc(room, sizeof *limits->members);
		limits->tenant_room = calloc(room, sizeof *limits->tenant_room);
		limits->vm_room = calloc(room, sizeof *limits->vm_room);
		limits->leases = calloc(room, sizeof *limits->leases);
		limits->member_room =
		    limits->members && limits->tenant_room && limits->vm_room && limits->leases ? room : 0;
	}
	if (buckets > limits->bucket_room) {
		free(limits->ration_buckets);
		limits->ration_buckets = calloc(buckets * 2, sizeof *limits->ration_buckets);
		limits->bucket_room = limits->ration_buckets ? buckets * 2 : 0;
	}
	return members <= limits->member_room && buckets <= limits->bucket_room;
}

void
ration_clear(struct limits *limits)
{
	free(TAKE(limits->members));
	free(TAKE(limits->tenant_room));
	free(TAKE(limits->vm_room));
	free(TAKE(limits->leases));
	free(TAKE(limits->ration_buckets));
	limits->member_room = limits->bucket_room = 0;
}

static size_t
number_buckets(struct limits *limits, enum limited kind, uint64_t now_ns)
{
	uint32_t count = 0;

	for (struct limit_bucket *bucket = limits->buckets; bucket; bucket = bucket->next) {
		bucket->number = NO_NUMBER;
		if (bucket->rates[kind].rate == 0 || bucket->leases == 0)
			continue;
		bucket->number = count;
		limits->ration_buckets[count++] = (struct ration_bucket){.capacity = capacity(bucket, kind, now_ns)};
	}
	return count;
}

/* ---- who wants it ---- */

static uint64_t
wish(const struct lane_account *account)
{
	return account->is_short ? RATION_WANTS_ALL : account->usual + account->usual / 4;
}

static uint64_t
add_wishes(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? RATION_WANTS_ALL : a + b;
}

static uint32_t
number_group(struct limit_group *group, uint32_t *count)
{
	if (group->number == NO_NUMBER)
		group->number = (*count)++;
	return group->number;
}

static void
forget_numbers(struct limit_group *group)
{
	for (; group; group = group->next)
		group->number = NO_NUMBER;
}

static size_t
gather_members(struct broker *broker, enum limited kind)
{
	struct limits *limits = &broker->limits;
	uint32_t count = 0, tenants = 0, vms = 0;

	forget_numbers(limits->tenants);
	forget_numbers(limits->vms);
	for (struct lease *lease = broker->leases; lease; lease = lease->next) {
		struct lease_limits *has = &lease->limits;
		struct ration_member *member = &limits->members[count];

		has->member = NO_NUMBER;
		has->first_lane = NULL;
		if (!has->limited[kind] || !lease_is_live(lease))
			continue;
		*member = (struct ration_member){.tenant = number_group(has->tenant, &tenants),
		    .vm = number_group(has->vm, &vms),
		    .floor = has->floors[kind]};
		for (size_t i = 0; i < has->count; i++)
			if (has->at[i]->number != NO_NUMBER)
				member->buckets[member->bucket_count++] = has->at[i]->number;
		has->member = count;
		limits->leases[count++] = lease;
	}
	for (struct process *process = broker->processes; process; process = process->next)
		if (is_limited(process, kind)) {
			struct lease_limits *has = &process->lease->limits;
			struct ration_member *member = &limits->members[has->member];

			member->demand = add_wishes(member->demand, wish(&process->accounts[kind]));
			process->next_lane = has->first_lane;
			has->first_lane = process;
		}
	return count;
}

/* ---- telling lanes ---- */

struct share_of {
	uint64_t rate, after; /* of the lease */
	enum limited kind;
	uint64_t now_ns;
};

static void
tell_lane(struct process *process, const struct share_of *share, uint64_t rate)
{
	struct lane_page *page = process->page;
	struct lane_account *account = &process->accounts[share->kind];
	struct lane_rate *told = share->kind == LIMITED_OPS ? &page->allowance.ops : &page->allowance.bytes;
	uint64_t after = share->rate ? (uint64_t)((double)rate * ((double)share->after / (double)share->rate)) : 0,
		 depth = rate / (NS_PER_SEC / TURN_NS);
	uint32_t turn = atomic_load_explicit(&page->allowance.turn, memory_order_relaxed) | 1;

	account->rate = rate;
	account->depth = depth > least_depth[share->kind] ? depth : least_depth[share->kind];
	atomic_store_explicit(&page->allowance.turn, turn, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&told->rate, rate, memory_order_relaxed);
	atomic_store_explicit(&told->after, after, memory_order_relaxed);
	atomic_store_explicit(&told->depth, account->depth, memory_order_relaxed);
	atomic_store_explicit(&page->allowance.until_ns, share->now_ns + FRESH_NS, memory_order_relaxed);
	atomic_store_explicit(&page->allowance.turn, turn + 1, memory_order_release);
}

/* A lease's part goes to its lanes as a bucket's goes to leases. */
static void
tell_lanes(const struct lease *lease, const struct share_of *share)
{
	struct ration_member lanes[LIMIT_LANES];
	struct ration_group tenants[LIMIT_LANES], vms[LIMIT_LANES];
	struct process *processes[LIMIT_LANES];
	struct ration_bucket bucket = {.capacity = share->rate};
	uint32_t count = 0;

	for (struct process *process = lease->limits.first_lane; process && count < LIMIT_LANES;
	     process = process->next_lane) {
		lanes[count] = (struct ration_member){
		    .tenant = count, .vm = count, .bucket_count = 1, .demand = wish(&process->accounts[share->kind])};
		processes[count++] = process;
	}
	ration(&bucket, 1, lanes, count, tenants, vms);
	for (uint32_t i = 0; i < count; i++)
		tell_lane(processes[i], share, lanes[i].rate);
}

/* What it may have for good: of each bucket no more than its rate, in the proportion in which it has what there is now. */
static uint64_t
lasting(const struct limits *limits, const struct lease *lease, const struct ration_member *member, enum limited kind)
{
	double part = 1;

	for (size_t i = 0; i < lease->limits.count; i++) {
		const struct limit_bucket *bucket = lease->limits.at[i];
		uint64_t now;

		if (bucket->number == NO_NUMBER)
			continue;
		now = limits->ration_buckets[bucket->number].capacity;
		if (now > bucket->rates[kind].rate && (double)bucket->rates[kind].rate / (double)now < part)
			part = (double)bucket->rates[kind].rate / (double)now;
	}
	return (uint64_t)((double)member->rate * part);
}

/* ---- a turn ---- */

static void
share_out(struct broker *broker, enum limited kind, uint64_t now_ns)
{
	struct limits *limits = &broker->limits;
	size_t buckets = number_buckets(limits, kind, now_ns), members = gather_members(broker, kind);

	ration(limits->ration_buckets, buckets, limits->members, members, limits->tenant_room, limits->vm_room);
	for (size_t i = 0; i < members; i++) {
		struct lease *lease = limits->leases[i];
		struct share_of share = {.rate = limits->members[i].rate, .kind = kind, .now_ns = now_ns};

		share.after = lasting(limits, lease, &limits->members[i], kind);
		lease->limits.lasting[kind] = share.after;
		tell_lanes(lease, &share);
	}
}

static size_t
count_leases(const struct broker *broker, bool *some)
{
	size_t count = 0;

	*some = false;
	for (const struct lease *lease = broker->leases; lease; lease = lease->next) {
		count++;
		*some = *some || lease->limits.limited[LIMITED_OPS] || lease->limits.limited[LIMITED_BYTES];
	}
	return count;
}

static size_t
count_buckets(const struct limits *limits)
{
	size_t count = 0;

	for (const struct limit_bucket *bucket = limits->buckets; bucket; bucket = bucket->next)
		count++;
	return count;
}

static void
on_turn(struct timer *timer)
{
	struct broker *broker = CONTAINER_OF(timer, struct broker, limits.turn);
	struct limits *limits = &broker->limits;
	uint64_t now_ns = clock_monotonic_ns(), took_ns;
	bool some;
	size_t leases = count_leases(broker, &some);

	if (!some)
		return; /* until a lane is opened that is limited */
	if (!make_room(limits, leases, count_buckets(limits))) {
		log_warning("out of memory: limits stay as they were handed out last");
	} else {
		for (enum limited kind = 0; kind < LIMITED_KINDS; kind++) {
			book_all(broker, kind, now_ns);
			share_out(broker, kind, now_ns);
		}
		limits->turn_ns = now_ns;
	}
	took_ns = (clock_monotonic_ns() - now_ns) * TURN_SHARE;
	timer_start(broker->loop, timer, took_ns > TURN_NS ? took_ns : TURN_NS, on_turn);
}

void
ration_soon(struct broker *broker)
{
	timer_start(broker->loop, &broker->limits.turn, 0, on_turn);
}
