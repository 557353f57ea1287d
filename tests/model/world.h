/* SPDX-License-Identifier: Apache-2.0
 *
 * The world around the lease engine (authz/lease.h), as small as a model checker needs it: hosts that want shares, a broker that carries out what the
 * engine asks for ("the hands", as daemon/broker_lease.c would), a database that survives crashes, and a monitor that knows which devices are open.
 * Whatever can happen is a move; which moves there are in a state is the adversary's choice (moves.c), and what must hold is in promises.c.
 *
 * One seat is one host's lease of one share: a host has at most one in play. Hosts differ in nothing, so seats may be swapped (states.c).
 *
 *     what is worst is assumed: a device that was opened stays open until the fence of its lease completes, whoever dies; the end of a process is heard
 *     of at any time, also long after its fence; a timer fires late or early; the database answers late.
 *     what is relied on: an answer of the database is heard before it is asked again; a fence is answered once; a crash ends all processes.
 */
#ifndef NETBUS_TESTS_MODEL_WORLD_H
#define NETBUS_TESTS_MODEL_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "authz/lease.h"

#define SHARES_MOST 2
#define HOSTS_MOST  3
#define NOBODY      3 /* no seat */

/* Time stands still at NOW_MS and what it is compared with moves, so that there are finitely many states. */
#define TICK_MS  10000u /* at least what the engine itself waits for */
#define NOW_MS   (UINT64_C(1000) * TICK_MS)
#define AGE_MOST 1 /* ticks; nobody waits longer for a sign of life */

enum order { ORDER_NONE, ORDER_STORE, ORDER_MOVE, ORDER_END };
enum answer { ANSWER_OPEN, ANSWER_DONE, ANSWER_FAILED, ANSWER_LIE }; /* LIE: done, with an epoch that does not grow */
enum fence { FENCE_NONE, FENCE_ORDERED, FENCE_DONE };                /* DONE: at the monitor; not heard of yet */

struct seat {
	struct lease_core core; /* the engine's; the rest is what the hands, the database and the monitor know */
	uint8_t partner;        /* a standby's source, a moving source's target, or NOBODY */
	uint8_t processes;      /* bit n: lane n's process, whose end was not heard of yet */
	bool device;            /* open under this lease */
	bool drained;           /* its holder flushed and waits */
	bool retry;             /* LE_RETRY is wanted */
	enum fence fence;
	enum order order; /* of the database */
	enum answer answer;
	uint64_t row; /* epoch of its live row on disk; 0 = none */
};

struct share_world {
	struct share_core core;
	uint64_t disk_epoch;
	struct seat seat[HOSTS_MOST];
};

struct world {
	bool down;          /* the broker crashed and has not come up yet */
	const char *broken; /* the first promise that does not hold, NULL */
	struct share_world share[SHARES_MOST];
};

struct setting {
	const char *name;
	unsigned shares, hosts;
	enum share_mode mode;
	uint8_t lanes_most;
	bool readers, writers; /* who asks */
	bool deadlines;        /* with and without a time to live, and time passes; else neither */
	bool all_events;       /* else what ends, moves, stores and crashes */
};

enum move_kind {
	MOVE_ASK,      /* argument: write + 2 * with a time to live */
	MOVE_STAND_BY, /* argument: source + 4 * with a time to live */
	MOVE_JOIN,     /* argument: 1 = with an epoch that is not its own */
	MOVE_GONE,     /* argument: lane */
	MOVE_HEARD,    /* argument: 1 = of a tick ago */
	MOVE_TIME,
	MOVE_RELEASE, /* argument: ticks */
	MOVE_END,
	MOVE_YIELD, /* argument: ticks */
	MOVE_RESUME,
	MOVE_CLAIM,
	MOVE_ANSWER, /* argument: enum answer, what the database makes of the order */
	MOVE_LEARN,  /* the broker hears of it */
	MOVE_RETRY,
	MOVE_FENCE, /* completes at the monitor */
	MOVE_FENCED,
	MOVE_RECONCILE, /* the row of the last run */
	MOVE_TICK,      /* of the world, as all from here on */
	MOVE_CRASH,
	MOVE_START,
};

struct move {
	uint8_t kind, share, seat, argument;
};

#define MOVES_MOST 256

void world_init(const struct setting *setting, struct world *world);
/* What can happen: the number of moves. */
unsigned moves_of(const struct setting *setting, const struct world *world, struct move moves[static MOVES_MOST]);
/* The one move that a kind environment makes next: fences complete, stores work, holders leave, time passes. */
struct move kind_move(const struct setting *setting, const struct world *world);
void move_make(const struct setting *setting, struct world *world, struct move move);
/* "host 2, share 1: claims its source's place"; host_of: which host has the seat. */
void move_print(struct move move, const uint8_t host_of[static HOSTS_MOST]);
void world_print(
    const struct setting *setting, const struct world *world, const uint8_t seat_of[SHARES_MOST][HOSTS_MOST]);

/* The hands: tells the engine of an event and carries out what it asks for. */
void hands_tell(struct world *world, unsigned share, unsigned seat, struct lease_event event);
/* What is over is forgotten: whoever had it as a partner has none. */
void hands_forget(struct share_world *share, unsigned seat);
/* The broker's state and all processes are gone; what is on disk stays. */
void hands_crash(struct world *world);

/* The database: gives the answer to a seat's order, and does what it says. */
void database_answer(struct world *world, struct share_world *share, struct seat *seat, enum answer answer);

/* ---- promises.c ---- */

void promise(struct world *world, bool holds, const char *sentence);
/* What must hold in every state. */
void promises_of_state(const struct setting *setting, struct world *world);
/* What must hold of one step of the engine for the lease at `seat`. */
void promises_of_step(struct world *world, const struct share_world *before, const struct share_world *after,
    unsigned seat, const struct lease_event *event, const struct lease_actions *actions);
/* Whether nobody holds anything, anywhere. */
bool world_is_clear(const struct setting *setting, const struct world *world);

#endif
