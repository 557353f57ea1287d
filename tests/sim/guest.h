/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the simulated guest: guest.c is its socket and its commands, guest_ring.c a block frontend with Xen's own ring macros, guest_work.c what it does with the disk and what it knows of
 * its content.
 */
#ifndef NETBUS_TESTS_SIM_GUEST_H
#define NETBUS_TESTS_SIM_GUEST_H

#include <stdbool.h>

#include "frontend/xen_headers.h"
#include "tests/sim/sim.h"

#define BLOCK        SIM_PAGE
#define SEGMENTS_MAX 128u /* of a request: 512 KiB */
#define DEPTH        32u  /* requests of a ring at a time */
#define DIRECT_MAX   BLKIF_MAX_SEGMENTS_PER_REQUEST

enum work_op { WORK_READ, WORK_WRITE, WORK_FLUSH, WORK_DISCARD };

/* A request in flight; its number is the id. */
struct slot {
	bool busy;
	enum work_op op;
	uint32_t block, blocks;
	uint32_t data, indirect; /* first page of SEGMENTS_MAX; a page */
	uint64_t since_ms;
};

struct front {
	blkif_front_ring_t ring;
	uint32_t first_page;
	struct slot slots[DEPTH];
	unsigned busy;
	bool is_pending; /* its event is on the way, and not unmasked yet */
};

struct guest {
	uint8_t *memory;
	int memory_fd, listener, events, watch; /* -1: nobody */
	struct sim_message disk, said;          /* what it is; the last word of the watcher */
	bool is_ready, is_up, is_down, is_over, is_lied, is_refused, is_connected, wants_close;
	bool is_throwing; /* responses are of no interest */
	uint64_t size;    /* bytes */
	unsigned rings, pages, most_rings;
	uint32_t next_page;
	struct front fronts[SIM_RINGS];
};

extern struct guest guest;

/* ---- guest.c ---- */

/* Waits for what comes for at most so long, and takes it. */
void guest_turn(int most_ms);
void guest_signal(unsigned ring);
void guest_say(struct sim_message *message);
uint64_t guest_ms(void);
uint32_t guest_pages(unsigned count);

/* ---- guest_ring.c ---- */

void rings_make(unsigned rings, unsigned pages);
/* What it has to say about them. */
void rings_describe(struct sim_message *message);
/* Fills a free slot's request in; rings_push() shows it. */
void ring_ask(unsigned number, uint64_t id);
void rings_push(unsigned number);
/* Gives each response to `on_response`. */
void rings_take(unsigned number, void (*on_response)(unsigned number, uint64_t id, int status));
/* One of the known lies, shown to the other end. False: there is no such. */
bool ring_lie(unsigned kind);
/* Some requests of an attacker. How many. */
unsigned ring_throw(unsigned number);

/* ---- guest_work.c ---- */

void work_begin(void);
void work_response(unsigned number, uint64_t id, int status);
void work(unsigned milliseconds);
void work_check_file(const char *path);
void work_once(void);

#endif
