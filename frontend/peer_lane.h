/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the export side of netbus/1: the state that frontend/peer.c (the conversation) and frontend/peer_io.c (the requests) share.
 */
#ifndef NETBUS_FRONTEND_PEER_LANE_H
#define NETBUS_FRONTEND_PEER_LANE_H

#include "base/loop.h"
#include "frontend/peer.h"
#include "frontend/peer_rate.h"
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
	struct request *next_free; /* or the next that is held back */
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

/* Requests that a limit holds back, in the order in which they came. They count as in flight. */
struct held {
	struct request *first, *last;
	struct timer timer;
	uint64_t since_ns; /* counted as held until then; 0: none is held */
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
	uint64_t room_total;           /* bytes of all requests' buffers */
	struct request *free_requests; /* of those used before */
	unsigned requests_used;        /* since the lane began: the others were never touched */
	struct request requests[LIMIT_CREDITS];
	struct lane_pace pace;
	struct held held;

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

/* ---- peer_rate.c ---- */
/* Whether a request must be asked about. */
static inline bool
peer_is_limited(const struct peer *peer)
{
	return __builtin_expect(
	    atomic_load_explicit(&peer->page->limited, memory_order_relaxed) != 0 || peer->held.first != NULL, 0);
}
/* True: it waits, and comes back through peer_submit_held() or peer_refuse_held(). False: it may go on, and that was counted. */
bool peer_hold_back(struct request *request);
/* All that is held back is refused, in order. */
void peer_abort_held(struct peer *peer);

/* ---- peer_io.c ---- */
void peer_io_clear(struct peer *peer);
/* A decoded I/O request; for a WRITE the payload's place is told to the lane. */
void peer_take_io(struct peer *peer, const struct frame *frame);
/* The payload of the WRITE under way is complete. */
void peer_take_written(struct peer *peer);
/* What was held back goes to the device, unless the lane has ended meanwhile; or is answered without it. */
void peer_submit_held(struct request *request);
void peer_refuse_held(struct request *request);

#endif
