/* SPDX-License-Identifier: Apache-2.0
 *
 * Who gets how much of what a limit lets through. Members (leases) draw from buckets (limits), each from one or several; the rates that come out
 *
 *   - never sum up to more than a bucket's capacity;
 *   - give each member its floor, as far as it wants that much (floors that a bucket cannot hold shrink in proportion);
 *   - are fair, max-min, between the tenants that want more, then between a tenant's VMs, then between a VM's leases: nobody gets more than another
 *     unless that one wants no more, is held by another of its buckets, or the first has it by its floor;
 *   - leave nothing unused: what nobody wants is handed out in the same way, so that whoever begins to want has it at once.
 *
 * Pure: no clock, and all memory is the caller's.
 */
#ifndef NETBUS_AUTHZ_RATION_H
#define NETBUS_AUTHZ_RATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATION_BUCKETS_MOST 8 /* of one member */
#define RATION_RATE_MAX     (UINT64_C(1) << 50)
#define RATION_WANTS_ALL    UINT64_MAX

struct ration_member {
	uint32_t tenant, vm;                   /* numbers below the count of members; a VM is of one tenant */
	uint32_t buckets[RATION_BUCKETS_MOST]; /* numbers; none twice */
	uint8_t bucket_count;
	uint64_t demand, floor; /* units per second */
	uint64_t rate;          /* comes out; RATION_RATE_MAX for who draws from no bucket */
	/* While it is computed. */
	double got, most, speed;
	bool grows;
	uint32_t next; /* of those that have to do with each other */
};

struct ration_bucket {
	uint64_t capacity; /* units per second, at most RATION_RATE_MAX */
	/* While it is computed. */
	double used, most, speed;
	uint32_t parent, first; /* buckets that have a member in common form a tree; its root has the list of members */
};

/* A tenant or a VM, while it is computed. */
struct ration_group {
	double got, speed;
	double least;     /* that one of those under it has who may grow */
	uint32_t growing; /* how many of these have no more than that */
	bool counted;
};

/* `tenants` and `vms` are room for `member_count` groups each, in any state. */
void ration(struct ration_bucket *buckets, size_t bucket_count, struct ration_member *members, size_t member_count,
    struct ration_group *tenants, struct ration_group *vms);

#endif
