/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the export side of netbus/1: the state that frontend/peer.c (the conversation) and frontend/peer_io.c (the requests) share.
 */
#ifndef NETBUS_FRONTEND_PEER_LANE_H
#define NETBUS_FRONTEND_PEER_LANE_H

#include "base/loop.h"
#include "frontend/peer.h"
#include "wire/lane.h"
#include "wire/silence.h"

/*  HELLO -> IDLE (said hello) -> ASKED (ATTACH or JOIN went to the owner) -> SERVING -> LEAVING (DETACH) -> FAREWELL (last bytes leave) -> OVER
 *  SERVING, LEAVING -> ENDING (revoked: what is in flight is awaited) -> FAREWELL; any -> BROKEN (what is in flight is awaited) -> OVER */
enum peer_state {
	PEER_HELLO,
	PEER_IDLE,
	PEER_ASKED,
	PEER_SERVING,
	PEER_LEAVING,
	PEER_LEFT,
	PEER_ENDING,
	PEER_BROKEN,
	PEER_FAREWELL,
	PEER_OVER
};

/* One of the lane's credits. Its buffer stays with it, for the next request. */
struct request {
	struct io io; /* first: io_of */
	struct peer *peer;
	struct request *next_free;
	uint8_t *buffer;
	uint32_t room;
	uint64_t id;
	bool is_timed;
};

/* One request of each turn is timed, through three stages: being received (from the start of the turn), at the device, and being sent. */
enum timed_stage { TIMED_NONE, TIMED_RECEIVING, TIMED_AT_DEVICE, TIMED_SENDING };

struct timed {
	enum timed_stage stage;
	uint64_t since_ns;
	uint64_t receive_ns, device_ns;
};

struct peer {
	struct loop *loop;
	struct lane lane;
	const struct peer_events *events;
	void *owner;
	enum peer_state state;
	struct watch on_stream;
	struct defer turn_end;
	struct timer deadline, beat, again;
	uint32_t silence_ms;
	struct silence silence;
	struct timed timed;
	struct frame frame; /* whose payload is under way */
	bool in_payload;
	unsigned taken;            /* frames of the last turn that read some */
	bool has_more;             /* of what was read already: to be taken in another turn */
	struct request *under_way; /* WRITE: its payload is being read */

	struct backend *backend;
	struct lane_page *page;
	uint64_t epoch;
	unsigned in_flight;
	uint64_t bytes_in_flight;
	uint64_t room_total; /* bytes of all requests' buffers */
	struct request *free_requests;
	struct request requests[LIMIT_CREDITS];

	bool all_lanes;
	enum reason end_reason;
	char end_text[160];
	struct defer over;
};

/* The lane is over for this reason: no submission from now on; on_over follows when nothing is in flight any more. */
void peer_break(struct peer *peer, enum reason reason, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Something was said: it leaves at the end of this turn, together with what else was. */
void peer_flush_soon(struct peer *peer);
/* A request ended: perhaps that was what an ending lane waited for. */
void peer_settle(struct peer *peer);

/* ---- peer_time.c ---- */
void peer_time_begin(struct peer *peer);
/* True: this request, which now goes to the device, is the one that is timed. */
bool peer_time_submit(struct peer *peer);
void peer_time_done(struct peer *peer);
/* All that was to be said is with the socket. */
void peer_time_sent(struct peer *peer);

/* ---- peer_io.c ---- */
void peer_io_init(struct peer *peer);
void peer_io_clear(struct peer *peer);
/* A decoded I/O request; for a WRITE the payload's place is told to the lane. */
void peer_take_io(struct peer *peer, const struct frame *frame);
/* The payload of the WRITE under way is complete. */
void peer_take_written(struct peer *peer);

#endif
