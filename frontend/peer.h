/* SPDX-License-Identifier: Apache-2.0
 *
 * The export side of netbus/1: one lane of one peer (another host's attachment) over a secured stream.
 * Runs in netbus-session. Everything from the stream is hostile.
 *
 * It speaks HELLO, takes one ATTACH or JOIN and hands it to its owner, and once the owner gave it a device it turns I/O frames
 * into struct io, within credits and limits, and completions into replies. Malformed or ill-timed bytes end the lane with a reason.
 *
 * The owner must not free the peer from inside a callback, except from on_over.
 */
#ifndef NETBUS_FRONTEND_PEER_H
#define NETBUS_FRONTEND_PEER_H

#include "authz/reason.h"
#include "backend/backend.h"
#include "wire/control.h"
#include "wire/lane_page.h"
#include "wire/stream.h"

struct peer;

struct peer_events {
	void (*on_attach)(void *owner, const struct msg_attach *attach);
	void (*on_join)(void *owner, const struct msg_join *join);
	/* The peer asked to detach and nothing of it is in flight; answer with peer_left(). */
	void (*on_leave)(void *owner, bool all_lanes);
	/* The lane is over and its last bytes were sent or given up; nothing is in flight in the backend. `text` says what happened. */
	void (*on_over)(void *owner, enum reason reason, const char *text);
};

/* Takes the stream over. `software` is told in HELLO. */
struct peer *peer_new(struct loop *loop, struct stream *stream, const char *software, const struct peer_events *events,
    void *owner, struct error *error);
/* Closes the stream; what is in flight must be over (on_over was called) or the backend closed before. */
void peer_free(struct peer *peer);

/* Answers ATTACH or JOIN with ATTACHED and begins to serve. Backend and page are borrowed. */
void peer_serve(
    struct peer *peer, struct backend *backend, struct lane_page *page, const struct msg_attached *attached);
/* Answers ATTACH or JOIN with REFUSED, sends it, then on_over. */
void peer_refuse(struct peer *peer, enum reason wire_reason, uint64_t record);
/* Answers DETACH with DETACHED, sends it, then on_over(REASON_DETACHED). */
void peer_left(struct peer *peer);
/* Tells the attach host that the share is taken back: a request, while it is served as before. What makes it true is peer_end(). */
void peer_release(struct peer *peer, const struct msg_release *release);
/* No submission from now on; when what is in flight is done: REVOKED, then on_over. */
void peer_end(struct peer *peer, enum reason reason);

#endif
