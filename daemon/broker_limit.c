/* SPDX-License-Identifier: Apache-2.0
 *
 * Which limits apply to which lease, and how many leases and attempts they let through (daemon/broker_limit.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/log.h"
#include "daemon/broker.h"

#define ATTEMPT 60u /* of a bucket that gets as many units a second as there may be attempts a minute */
/* Without a burst this much may come at once, so that a moment's lull is not lost. */
#define LULL_US 100000

/* ---- buckets ---- */

static uint64_t
depth_of(uint64_t rate, int64_t burst_us, uint64_t least)
{
	uint64_t us = burst_us > LULL_US ? (uint64_t)burst_us : LULL_US, depth = rate / 1000 * (us / 1000);

	return depth > least ? depth : least;
}

static bool
is_rated(const struct limit_bucket *bucket, enum limited kind)
{
	return (kind == LIMITED_OPS ? bucket->limit.amounts.iops : bucket->limit.amounts.bandwidth) > 0;
}

static void
set_amounts(struct limit_bucket *bucket, const struct policy_amounts *amounts, bool is_new)
{
	void (*set)(struct bucket *, uint64_t, uint64_t, uint64_t) = is_new ? bucket_init : bucket_change;
	uint64_t ops = amounts->iops * LANE_OPERATION, now_ns = clock_monotonic_ns();

	bucket->limit.amounts = *amounts;
	set(&bucket->rates[LIMITED_OPS], ops, depth_of(ops, amounts->burst_us, LANE_OPERATION), now_ns);
	set(&bucket->rates[LIMITED_BYTES], amounts->bandwidth, depth_of(amounts->bandwidth, amounts->burst_us, 1),
	    now_ns);
	set(&bucket->attaches, amounts->attach_rate, (uint64_t)amounts->attach_rate * ATTEMPT, now_ns);
}

static struct limit_bucket *
find_bucket(struct limits *limits, const struct policy_limit *limit, const uint8_t *lease)
{
	for (struct limit_bucket *bucket = limits->buckets; bucket; bucket = bucket->next) {
		const struct policy_limit *has = &bucket->limit;

		if (has->line == limit->line && has->column == limit->column && has->per == limit->per &&
		    strcmp(has->key, limit->key) == 0 && strcmp(has->file, limit->file) == 0 &&
		    (limit->per != PER_LEASE || (lease && memcmp(bucket->lease, lease, sizeof bucket->lease) == 0)) &&
		    /* Of a line that is counted in two ways alike. */
		    !has->amounts.leases == !limit->amounts.leases &&
		    !has->amounts.attach_rate == !limit->amounts.attach_rate)
			return bucket;
	}
	return NULL;
}

static struct limit_bucket *
make_bucket(struct limits *limits, const struct policy_limit *limit, const uint8_t *lease)
{
	struct limit_bucket *bucket = calloc(1, sizeof *bucket);

	if (bucket == NULL)
		return NULL;
	bucket->limit = *limit;
	snprintf(bucket->file, sizeof bucket->file, "%s", limit->file);
	bucket->limit.file = bucket->file;
	if (lease)
		memcpy(bucket->lease, lease, sizeof bucket->lease);
	set_amounts(bucket, &limit->amounts, true);
	bucket->next = limits->buckets;
	if (bucket->next)
		bucket->next->prev = bucket;
	limits->buckets = bucket;
	return bucket;
}

/* With the amounts that it has now. */
static struct limit_bucket *
get_bucket(struct limits *limits, const struct policy_limit *limit, const uint8_t *lease)
{
	struct limit_bucket *bucket = find_bucket(limits, limit, lease);

	if (bucket == NULL)
		return make_bucket(limits, limit, lease);
	if (memcmp(&bucket->limit.amounts, &limit->amounts, sizeof limit->amounts) != 0)
		set_amounts(bucket, &limit->amounts, false);
	return bucket;
}

static void
drop_bucket(struct limits *limits, struct limit_bucket *bucket)
{
	if (bucket->prev)
		bucket->prev->next = bucket->next;
	else
		limits->buckets = bucket->next;
	if (bucket->next)
		bucket->next->prev = bucket->prev;
	free(bucket);
}

/* Those that no lease has to do with; attempts are remembered until they are worth nothing. */
static void
sweep(struct limits *limits)
{
	uint64_t now_ns = clock_monotonic_ns();

	for (struct limit_bucket *bucket = limits->buckets, *next; bucket; bucket = next) {
		next = bucket->next;
		if (bucket->leases > 0)
			continue;
		bucket_fill(&bucket->attaches, now_ns);
		if (bucket->limit.amounts.attach_rate == 0 || bucket_is_full(&bucket->attaches))
			drop_bucket(limits, bucket);
	}
}

/* ---- tenants and VMs ---- */

static struct limit_group *
join_group(struct limit_group **list, const char *name, size_t length)
{
	struct limit_group *group = *list;

	while (group && (strncmp(group->name, name, length) != 0 || group->name[length] != '\0'))
		group = group->next;
	if (group == NULL) {
		group = calloc(1, sizeof *group);
		if (group == NULL)
			return NULL;
		snprintf(group->name, sizeof group->name, "%.*s", (int)length, name);
		group->next = *list;
		if (group->next)
			group->next->prev = group;
		*list = group;
	}
	group->leases++;
	return group;
}

static void
leave_group(struct limit_group **list, struct limit_group *group)
{
	if (group == NULL || --group->leases > 0)
		return;
	if (group->prev)
		group->prev->next = group->next;
	else
		*list = group->next;
	if (group->next)
		group->next->prev = group->prev;
	free(group);
}

/* ---- leases ---- */

static size_t
limits_of(struct broker *broker, const struct question *question, struct policy_limit *limits)
{
	struct policy_request request;

	if (broker->policy == NULL)
		return 0;
	question_to_request(broker, question, &request);
	request.verb = VERB_ATTACH; /* whatever is asked, it is about a lease */
	return policy_limits(broker->policy, &request, limits);
}

static bool
join_bucket(struct lease *lease, const struct policy_limit *limit)
{
	struct lease_limits *has = &lease->limits;
	struct limit_bucket *bucket =
	    get_bucket(&lease->broker->limits, limit, limit->per == PER_LEASE ? lease->row.id : NULL);

	if (bucket == NULL)
		return false;
	bucket->leases++;
	has->at[has->count++] = bucket;
	if (limit->amounts.floor_iops * LANE_OPERATION > has->floors[LIMITED_OPS])
		has->floors[LIMITED_OPS] = limit->amounts.floor_iops * LANE_OPERATION;
	if (limit->amounts.floor_bandwidth > has->floors[LIMITED_BYTES])
		has->floors[LIMITED_BYTES] = limit->amounts.floor_bandwidth;
	for (enum limited kind = 0; kind < LIMITED_KINDS; kind++)
		has->limited[kind] = has->limited[kind] || is_rated(bucket, kind);
	return true;
}

static void
join(struct lease *lease)
{
	struct question question = {lease->row.host, lease->row.vm.text, lease->row.share.text, VERB_ATTACH,
	    (enum policy_mode)lease->row.mode, true};
	struct policy_limit applying[POLICY_LIMITS_MOST];
	size_t count = limits_of(lease->broker, &question, applying), most = count;
	struct limits *limits = &lease->broker->limits;
	bool joined = true;

	if (count > POLICY_LIMITS_MOST) { /* a reload made it so: a new lease would be refused */
		most = POLICY_LIMITS_MOST;
		log_error(
		    "policy: %zu limits apply to the lease of %s by %s; only the first %d are enforced, join some",
		    count, lease->row.share.text, lease->row.vm.text, POLICY_LIMITS_MOST);
	}
	if (most == 0)
		return;
	lease->limits.tenant = join_group(&limits->tenants, lease->row.vm.text, strcspn(lease->row.vm.text, "/"));
	lease->limits.vm = join_group(&limits->vms, lease->row.vm.text, strlen(lease->row.vm.text));
	for (size_t i = 0; i < most; i++)
		joined = joined && join_bucket(lease, &applying[i]);
	if (!joined || lease->limits.tenant == NULL || lease->limits.vm == NULL)
		broker_fail(lease->broker, "out of memory");
}

static void
leave(struct lease *lease)
{
	struct limits *limits = &lease->broker->limits;

	for (size_t i = 0; i < lease->limits.count; i++)
		lease->limits.at[i]->leases--;
	leave_group(&limits->tenants, lease->limits.tenant);
	leave_group(&limits->vms, lease->limits.vm);
	lease->limits = (struct lease_limits){.count = 0};
}

void
limits_lease_new(struct lease *lease)
{
	join(lease);
}

void
limits_lease_gone(struct lease *lease)
{
	leave(lease);
	sweep(&lease->broker->limits);
}

/* ---- lanes ---- */

static void
open_account(struct lane_account *account, bool counts, const _Atomic uint64_t *let_through)
{
	if (counts && !account->counts) /* what it did before is its own */
		account->booked = atomic_load_explicit(let_through, memory_order_relaxed);
	account->counts = counts;
	account->is_short = true; /* until it is known, it wants its part */
}

void
limits_lane_opened(struct process *session)
{
	const struct lease_limits *limits = &session->lease->limits;
	unsigned limited = (limits->limited[LIMITED_OPS] ? LANE_LIMIT_OPS : 0u) |
			   (limits->limited[LIMITED_BYTES] ? LANE_LIMIT_BYTES : 0u);

	for (enum limited kind = 0; kind < LIMITED_KINDS; kind++)
		open_account(&session->accounts[kind], limits->limited[kind],
		    kind == LIMITED_OPS ? &session->page->demand.ops : &session->page->demand.bytes);
	/* Its rates follow in this turn; until then it has none. */
	atomic_store_explicit(&session->page->limited, limited, memory_order_release);
	if (limited)
		ration_soon(session->broker);
}

void
limits_reload(struct broker *broker)
{
	for (struct lease *lease = broker->leases; lease; lease = lease->next)
		leave(lease);
	for (struct lease *lease = broker->leases; lease; lease = lease->next)
		join(lease);
	sweep(&broker->limits);
	for (struct process *process = broker->processes; process; process = process->next)
		if (process->lease && process->page)
			limits_lane_opened(process);
}

void
limits_clear(struct broker *broker)
{
	struct limits *limits = &broker->limits;

	timer_stop(&limits->turn);
	for (struct lease *lease = broker->leases; lease; lease = lease->next)
		leave(lease);
	while (limits->buckets)
		drop_bucket(limits, limits->buckets);
	ration_clear(limits);
}

/* ---- one more lease ---- */

static void
name_limit(const struct policy_limit *limit, const char *what, char text[static LIMIT_TEXT_LEN])
{
	snprintf(text, LIMIT_TEXT_LEN, "%s:%u: %s per %s%s%s", limit->file, limit->line, what, per_name(limit->per),
	    limit->key[0] ? " " : "", limit->key);
}

void
limits_gather(
    struct broker *broker, const struct question *question, struct authz_facts *facts, char text[static LIMIT_TEXT_LEN])
{
	struct policy_limit applying[POLICY_LIMITS_MOST];
	size_t count = limits_of(broker, question, applying);
	uint64_t now_ns = clock_monotonic_ns();

	if (count > POLICY_LIMITS_MOST) { /* what cannot be enforced is not allowed */
		facts->live_leases = facts->lease_limit = 1;
		snprintf(text, LIMIT_TEXT_LEN, "%zu limits apply to it, more than %d", count, POLICY_LIMITS_MOST);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct policy_amounts *amounts = &applying[i].amounts;
		struct limit_bucket *bucket = find_bucket(&broker->limits, &applying[i], NULL);

		if (bucket == NULL)
			continue;
		bucket_fill(&bucket->attaches, now_ns);
		if (amounts->leases && bucket->leases >= amounts->leases) {
			facts->live_leases = bucket->leases;
			facts->lease_limit = amounts->leases;
			name_limit(&applying[i], "leases", text);
			return;
		}
		if (amounts->attach_rate && bucket->attaches.tokens < (int64_t)ATTEMPT) {
			facts->attach_rate_spent = true;
			name_limit(&applying[i], "attach_rate", text);
		}
	}
}

const struct limit_bucket *
limits_bucket(struct broker *broker, const struct policy_limit *limit)
{
	return find_bucket(&broker->limits, limit, NULL);
}

void
limits_attempted(struct broker *broker, const struct question *question)
{
	struct policy_limit applying[POLICY_LIMITS_MOST];
	size_t count = limits_of(broker, question, applying);

	sweep(&broker->limits);
	for (size_t i = 0; i < count && i < POLICY_LIMITS_MOST; i++) {
		struct limit_bucket *bucket;

		if (applying[i].amounts.attach_rate == 0)
			continue;
		bucket = get_bucket(&broker->limits, &applying[i], NULL);
		if (bucket == NULL) {
			broker_fail(broker, "out of memory");
			return;
		}
		/* An attempt that is refused costs nothing, so that who tries on and on is let in as soon as the rate allows. */
		if (bucket->attaches.tokens >= (int64_t)ATTEMPT)
			bucket_take(&bucket->attaches, ATTEMPT);
	}
}
