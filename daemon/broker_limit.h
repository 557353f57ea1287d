/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits of the policy as the broker keeps them: which apply to which lease, whom they count together, and what their lanes may do now.
 *
 * A bucket is one limit and one key (one share, VM, tenant, host or lease, or all), and is there as long as a lease or a recent attempt to attach has to do
 * with it. broker_limit.c keeps them and answers whether one more lease fits; broker_ration.c gives the lanes their rates, twenty times a second while
 * there is one that is limited.
 *
 * What sessions say in their pages of what they let through and lack is believed as far as they were allowed: by a lie a session can get its fair part,
 * and no more.
 */
#ifndef NETBUS_DAEMON_BROKER_LIMIT_H
#define NETBUS_DAEMON_BROKER_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/ration.h"
#include "base/bucket.h"
#include "base/loop.h"
#include "policy/policy.h"

struct broker;
struct lease;
struct process;
struct question;
struct authz_facts;

#define LIMIT_TEXT_LEN 192

enum limited { LIMITED_OPS, LIMITED_BYTES, LIMITED_KINDS };

struct limit_bucket {
	struct limit_bucket *next, *prev;
	struct policy_limit limit; /* its `file` is the one below */
	char file[128];
	uint8_t lease[16]; /* PER_LEASE: which */
	uint32_t leases;   /* that draw from it */
	struct bucket rates
	    [LIMITED_KINDS];    /* thousandths of operations, bytes; with a rate of 0 there is no limit of that kind */
	struct bucket attaches; /* sixtieths of an attempt: a minute's worth may come at once */
	uint32_t number;        /* in the ration that is being made */
};

/* A tenant or a VM that has limited leases. */
struct limit_group {
	struct limit_group *next, *prev;
	char name[QUALIFIED_LEN_MAX + 1];
	uint32_t leases;
	uint32_t number; /* in the ration that is being made */
};

/* A lease's. */
struct lease_limits {
	struct limit_bucket *at[POLICY_LIMITS_MOST];
	size_t count;
	struct limit_group *tenant, *vm;
	bool limited[LIMITED_KINDS];
	uint64_t floors[LIMITED_KINDS];
	uint64_t lasting[LIMITED_KINDS]; /* what its lanes may do now, without bursts */
	uint32_t member;                 /* in the ration that is being made */
	struct process *first_lane;      /* in it */
};

/* A lane's, for one kind. */
struct lane_account {
	bool counts;          /* it is limited */
	uint64_t booked;      /* of what it let through */
	uint64_t rate, depth; /* that it was given last */
	uint64_t usual;       /* running average of what it lets through in a second */
	uint64_t times_short; /* of its page, seen */
	bool is_short;        /* it wants more than it has */
};

struct limits {
	struct limit_bucket *buckets;
	struct limit_group *tenants, *vms;
	struct timer turn;
	uint64_t turn_ns; /* when the last one was */
	/* Room for a ration. */
	struct ration_member *members;
	struct ration_bucket *ration_buckets;
	struct ration_group *tenant_room, *vm_room;
	struct lease **leases;
	size_t member_room, bucket_room;
};

/* ---- broker_limit.c ---- */
/* What limits say of one more lease: fills live_leases, lease_limit and attach_rate_spent of the facts, and names the limit that stands against it. */
void limits_gather(struct broker *broker, const struct question *question, struct authz_facts *facts,
    char text[static LIMIT_TEXT_LEN]);
/* The one that keeps this limit, NULL when nothing has to do with it now. */
const struct limit_bucket *limits_bucket(struct broker *broker, const struct policy_limit *limit);
/* The policy allows it, so it counts as an attempt to attach. */
void limits_attempted(struct broker *broker, const struct question *question);
/* Lease's life: once after it was made and before it is freed. */
void limits_lease_new(struct lease *lease);
void limits_lease_gone(struct lease *lease);
/* A lane of a lease has its page, and its session was not yet told: before it may submit anything, it is limited. */
void limits_lane_opened(struct process *session);
/* The policy changed. */
void limits_reload(struct broker *broker);
void limits_clear(struct broker *broker);

/* ---- broker_ration.c ---- */
/* Soon (in this turn of the loop) the lanes get new rates. */
void ration_soon(struct broker *broker);
/* No room is needed any more. */
void ration_clear(struct limits *limits);

#endif
