/* SPDX-License-Identifier: Apache-2.0
 *
 * The lease engine: who holds a share, since which epoch, and how a lease comes, changes hands and ends.
 *
 * Pure: (state, event) -> (state, actions). It does nothing itself: netbus-broker tells it what happened and carries out, in order, what it asks for.
 * That makes it small enough for a model checker to walk through every interleaving (tests/model).
 *
 *     NONE -ASK-> STORING -STORED-> LIVE -END, lane 0 lost, TTL over, late-> ENDING -FENCED-> FENCED -END_STORED-> ENDED
 *
 *     hand-over:  the source  LIVE -YIELD-> YIELDED -(CLAIM)-> MOVING -FENCED-> HANDING -STORED-> ENDED; RESUME, or late: LIVE again
 *                 the target  NONE -STAND_BY-> STANDBY -CLAIM-> CLAIMING -(STORED)-> LIVE
 *
 * What holds, whatever happens in whatever order:
 *   - between STORED and FENCED, and only there, a device may be used under a lease; its record is on disk before that begins (I1)
 *   - of an exclusive share at most one lease is in STORING .. FENCED; a source that hands over is fenced before the target's epoch is stored (I2)
 *   - what was stored gets to ENDED only when it was fenced and its end is on disk, and then nothing executes (I3)
 *   - a share's epoch strictly grows
 *   - a hand-over that fails, is late or loses its target leaves the source live (without lanes when it was fenced already: it has its TTL to join)
 *
 * Times are milliseconds of a monotonic clock that the caller reads.
 */
#ifndef NETBUS_AUTHZ_LEASE_H
#define NETBUS_AUTHZ_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "authz/reason.h"

#define LEASE_LANES_MOST 16
/* What a session has to end in order before it is killed: when lane 0 was lost, the TTL is over, a release is late. */
#define LEASE_LOST_COURTESY_MS   500u
#define LEASE_SILENT_COURTESY_MS 100u
#define LEASE_LATE_COURTESY_MS   100u
#define LEASE_NEVER              UINT64_MAX

enum share_mode { SHARE_EXCLUSIVE = 0, SHARE_SHARED_READ = 1, SHARE_SHARED_WRITE = 2 };

enum lease_phase {
	LEASE_NONE,
	LEASE_STORING,  /* its allow is being stored */
	LEASE_LIVE,     /* stored; its lanes may use the device */
	LEASE_STANDBY,  /* the target of a hand-over, with warm lanes and no device; holds nothing */
	LEASE_CLAIMING, /* the same, while its source is fenced and the flip is stored */
	LEASE_YIELDED,  /* live, drained and paused by its holder, for a target that may claim it */
	LEASE_MOVING,   /* claimed; being fenced */
	LEASE_HANDING,  /* nothing executes; the flip to the target is being stored */
	LEASE_ENDING,   /* being fenced for good */
	LEASE_FENCED,   /* nothing executes; its end is being stored */
	LEASE_ENDED,
};

/* A share, as far as leases go. All zero with its mode and its last epoch is a share that nobody holds. */
struct share_core {
	enum share_mode mode;
	uint64_t epoch;            /* of the latest lease; 0 = none yet */
	uint32_t readers, writers; /* leases in STORING .. FENCED, but for STANDBY and CLAIMING */
};

/* A lease. All zero is one that is yet to be asked for. */
struct lease_core {
	enum lease_phase phase;
	bool write;
	bool leaving;          /* its holder was asked to go: nobody joins */
	uint8_t lanes_most;    /* 1 .. LEASE_LANES_MOST */
	uint16_t lanes;        /* bit n: lane n is in use */
	uint16_t reason;       /* why it ends or is to end (enum reason); 0 = it is not to */
	uint16_t leave_reason; /* why it was asked to go */
	uint64_t epoch;        /* 0 = not stored */
	uint32_t ttl_ms;       /* longest time without a sign of life; 0 = any, as long as it has lanes */
	uint64_t heard_ms;     /* last sign of life */
	uint64_t late_ms;      /* when a release is forced or a yield is taken back; LEASE_NEVER */
};

enum lease_event_kind {
	LE_ASK,            /* write, lanes_most, ttl_ms: the decision was to allow */
	LE_STAND_BY,       /* the same; `other` is the source */
	LE_STORED,         /* epoch */
	LE_NOT_STORED,     /* reason */
	LE_JOIN,           /* epoch: a further lane */
	LE_LANE_GONE,      /* lane: whoever was admitted as it last is gone */
	LE_HEARD,          /* a sign of life at now_ms */
	LE_TIME,           /* it is now_ms */
	LE_RELEASE,        /* reason, until_ms: its holder is asked to go by itself until then */
	LE_END,            /* reason, courtesy_ms */
	LE_FENCED,         /* the monitor: nothing executes under it */
	LE_END_STORED,     /* its end is recorded */
	LE_END_NOT_STORED, /* not yet: the share stays taken */
	LE_RETRY,          /* try again to record it */
	LE_YIELD,          /* until_ms: its holder drained and flushed, and waits for a claim until then */
	LE_RESUME,         /* its holder takes the yield back */
	LE_CLAIM,          /* of a standby; `other` is its source, NULL when that is over */
};

/* now_ms goes with every event: answers of the database and of the monitor begin a lease's time anew. */
struct lease_event {
	enum lease_event_kind kind;
	bool write;
	uint8_t lane, lanes_most;
	uint16_t reason;
	uint32_t ttl_ms, courtesy_ms;
	uint64_t epoch, now_ms, until_ms;
};

enum lease_action_kind {
	LA_REFUSE,     /* number: reason, for who asked */
	LA_STORE,      /* the lease with the share's next epoch and its record; then LE_STORED or LE_NOT_STORED */
	LA_STORE_MOVE, /* of a source: its end, and the target with the next epoch, in one transaction; then LE_STORED or LE_NOT_STORED for the source */
	LA_STORE_END,  /* its end; then LE_END_STORED or LE_END_NOT_STORED */
	LA_ADMIT,      /* number: lane, for who joined */
	LA_OPEN,       /* devices for all its lanes */
	LA_ASK_RELEASE, /* number: milliseconds that are left */
	LA_PAUSE,       /* nothing is submitted until LA_RESUME */
	LA_RESUME,
	LA_MARK,        /* nothing is submitted any more; number: reason */
	LA_FENCE,       /* number: courtesy in milliseconds; LE_FENCED follows, whatever the processes do */
	LA_RETRY_LATER, /* LE_RETRY is wanted, soon */
	LA_OVER,        /* it is over: tell whoever waits, forget it */
	LA_FAILED_MOVE, /* of a target: the hand-over did not happen, it stands by again */
	LA_BROKEN,      /* an epoch that does not grow: state that cannot be trusted; stop everything */
};

#define LEASE_ACTIONS_MOST 6
struct lease_actions {
	unsigned count;
	struct lease_action {
		enum lease_action_kind kind;
		bool of_other; /* carried out for `other` */
		uint32_t number;
	} list[LEASE_ACTIONS_MOST];
};

/* Whether a further lease may hold the share now: REASON_ALLOWED, or who is in the way. */
enum reason share_ask(const struct share_core *share, bool write);

/* `other`: the partner in a hand-over (a standby's source, a moving source's target), NULL when there is none. An event that means nothing in the present
 * phase changes nothing and asks for nothing. */
void lease_step(struct share_core *share, struct lease_core *lease, struct lease_core *other,
    const struct lease_event *event, struct lease_actions *actions);

/* When LE_TIME is wanted next, LEASE_NEVER = not at all. */
uint64_t lease_due_ms(const struct lease_core *lease);

/* Whether something may execute under it. */
bool lease_may_execute(const struct lease_core *lease);
/* Whether it counts as holding its share. */
bool lease_holds(const struct lease_core *lease);
const char *lease_phase_name(enum lease_phase phase);

#endif
