/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the remote backend: the state that backend/remote.c (the conversation) and backend/remote_io.c (the requests) share.
 */
#ifndef NETBUS_BACKEND_REMOTE_LANE_H
#define NETBUS_BACKEND_REMOTE_LANE_H

#include "backend/io_queue.h"
#include "backend/remote.h"
#include "base/loop.h"
#include "wire/lane.h"
#include "wire/silence.h"

/*  OPENING (HELLO and ATTACH or JOIN are sent) -> UP -> DRAINING (takes nothing more) -> DETACHING (DETACH is sent) -> OVER; any -> OVER */
enum remote_state { REMOTE_OPENING, REMOTE_UP, REMOTE_DRAINING, REMOTE_DETACHING, REMOTE_OVER };

/* One of the exporter's credits. `id` is its number on the wire: the slot in the low byte, above it a count that makes a late or invented
 * reply miss. */
struct slot {
	struct io *io; /* NULL: free */
	uint64_t id;
	uint16_t next_free;
};

/* One request at a time is timed: from waking up for it (the start of the turn) to the lane, waiting there, and from being sent to its reply. */
struct timed {
	struct io *io; /* NULL: none */
	uint64_t since_ns, ring_ns, queue_ns;
	bool is_sent;
	uint64_t told_ns;
	struct msg_times sums, told;
};

struct remote {
	struct backend backend; /* first: remote_of */
	struct loop *loop;
	struct lane lane;
	const struct remote_events *events;
	void *owner;
	enum remote_state state;
	struct watch on_stream;
	struct defer turn_end, over;
	struct timer deadline, beat, again;
	struct silence silence;
	struct msg_attached attached;
	struct msg_join join; /* lease and epoch that ATTACHED must have, when joining */
	bool heard_hello, joining, all_lanes;
	struct frame frame; /* whose payload is under way */
	bool in_payload;
	struct slot *reading; /* whose data is the payload under way */

	struct io_queue waiting; /* for credits */
	struct io_queue failed;  /* completed with an error at the end of this turn */
	struct slot slots[LIMIT_CREDITS];
	uint16_t first_free;
	unsigned in_flight;
	uint64_t bytes_in_flight, count;

	bool wants_flush;       /* before DETACH */
	struct io flush;        /* that one */
	uint64_t release_by_ns; /* the soonest deadline that a RELEASE told; 0: none */

	struct timed timed;
	uint16_t over_reason;
	uint64_t over_record;
	char over_text[160];
};

#define NO_SLOT UINT16_MAX

/* ---- remote.c ---- */
void remote_over(struct remote *remote, uint16_t reason, uint64_t record, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void remote_at_turn_end(struct remote *remote);
/* Nothing is in flight or waits: perhaps that was what a detach waited for. */
void remote_settle(struct remote *remote);

/* ---- remote_time.c ---- */
void remote_time_submit(struct remote *remote, struct io *io);
void remote_time_send(struct remote *remote, const struct io *io);
void remote_time_done(struct remote *remote, const struct io *io, int status);

/* ---- remote_io.c ---- */
void remote_io_init(struct remote *remote);
void remote_submit(struct backend *backend, struct io *io);
/* Sends what credits and the stream's queue allow. */
void remote_pump(struct remote *remote);
bool remote_can_send(const struct remote *remote);
/* A reply's header; where its data goes is told to the lane. */
void remote_take_reply(struct remote *remote, const struct frame *frame);
/* Its data is complete. */
void remote_take_read(struct remote *remote);
/* Completes everything in flight and waiting. */
void remote_fail_all(struct remote *remote, int status);
void remote_complete_failed(struct remote *remote);

#endif
