/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of the hostile frontend share. hostile.c has its main and says what it is for.
 */
#ifndef NETBUS_TESTS_XEN_HOSTILE_H
#define NETBUS_TESTS_XEN_HOSTILE_H

#include "tests/xen/guest_disk.h"

#define ANSWER_MS 30000 /* for anything that a backend has to do, on an emulated machine that is busy */

/* splitmix64: the same seed throws the same. */
struct dice {
	uint64_t state;
};

uint64_t dice_roll(struct dice *dice);
/* 0 .. bound-1 */
uint64_t dice_below(struct dice *dice, uint64_t bound);
/* A number such as breaks things: small, at an edge, or any. */
uint64_t dice_nasty(struct dice *dice);

/* What a thrown request may lead to. The backend may always disconnect. */
enum fate {
	FATE_ANY, /* any answer */
	FATE_REFUSED, /* must not be carried out: not BLKIF_RSP_OKAY, no byte of the guest's pages changes, nor of the disk's honest part */
};

struct pending {
	bool waits, unsure; /* unsure: its slot was written to while in flight, and so was the answer in it */
	enum fate fate;
	unsigned act;
	uint64_t id;
};

struct tally {
	uint64_t thrown, done, failed, unsupported,
	    lost; /* requests; what was answered; not answered as the backend disconnected */
};

#define ACTS_MAX      64
#define HONEST_BLOCKS 1024u /* of 4 KiB: the honest part of the disk, its first 4 MiB */
#define HONEST_BYTES  (HONEST_BLOCKS * GUEST_PAGE)

struct hostile {
	struct guest_disk disk;
	struct dice dice;
	struct pending pending[GUEST_RINGS_MAX][GUEST_RING_ENTRIES];
	struct tally tally[ACTS_MAX];
	uint32_t generation[HONEST_BLOCKS]; /* what was written there last; 0: nothing yet */
	uint32_t generations;
	bool connected;
	bool lies;        /* acts are thrown that may end the service for good */
	const char *only; /* an act's name, or NULL */
	uint64_t connects[GUEST_ABIS], thrown_out, honest_writes, honest_reads;
	uint64_t node_acts;
	unsigned failures;
};

/* A property does not hold: said, counted. */
void hostile_wrong(struct hostile *hostile, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- hostile_answers.c ---- */

/* A request with an id that is known to be expected. Room must be there. */
void hostile_throw(struct hostile *hostile, unsigned ring, struct guest_request *request, unsigned act, enum fate fate);
/* Until everything that was thrown is answered, or the backend is not Connected any more: then false, and `connected` is too. Silence is a failure. */
bool hostile_drain(struct hostile *hostile);
/* Takes what has come, without waiting. */
void hostile_collect(struct hostile *hostile);
/* Writes, reads back and compares in the honest part, by all ways that the backend offers. */
void hostile_check_service(struct hostile *hostile, unsigned rounds);
/* What is in flight is of no account any more. */
void hostile_forget(struct hostile *hostile);

/* ---- hostile_requests.c ---- */

/* One act at a ring, chosen by the dice. False: the ring is spoilt, only a new one helps. */
bool hostile_act(struct hostile *hostile);
const char *hostile_act_name(unsigned act);
unsigned hostile_acts(void);
/* No act of that name: false. */
bool hostile_knows(const char *name);

/* ---- hostile_nodes.c ---- */

/* Connects, closes and lies in xenstore as no honest frontend does; afterwards both ends may be in any state. */
void hostile_nodes(struct hostile *hostile);

/* ---- hostile_names.c ---- */

/* Tries to reach what belongs to domain OTHER; prints a line for each try. 0: nothing was reached. */
int hostile_names(unsigned device, unsigned other, unsigned other_device);

#endif
