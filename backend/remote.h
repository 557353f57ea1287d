/* SPDX-License-Identifier: Apache-2.0
 *
 * A share on another host, over one lane of netbus/1: remote is just another backend. Runs in netbus-attach. The exporter's bytes are
 * checked as hostile ones: a reply nobody waits for, a wrong length or epoch, a geometry outside its limits end the lane.
 *
 * Keeps to the exporter's credits (more waits here, in order), pings when silent, and notices a silent peer. When the lane ends, everything in flight completes with -ESHUTDOWN (revoked, detached) or -EIO (lost).
 */
#ifndef NETBUS_BACKEND_REMOTE_H
#define NETBUS_BACKEND_REMOTE_H

#include "backend/backend.h"
#include "wire/control.h"
#include "wire/stream.h"

struct remote;

/* What ATTACHED says of the device. */
struct geometry remote_geometry(const struct msg_attached *attached);

struct remote_events {
	/* The lane is up: remote_backend() may be used. */
	void (*on_up)(void *owner, const struct msg_attached *attached);
	/* The exporter takes the share back; the lane goes on. Again only with a sooner deadline. NULL: nobody wants to know. */
	void (*on_release)(void *owner, const struct msg_release *release);
	/* The lane is over (refused, revoked, detached, lost). `reason`: a number of authz/reason.def as the exporter told it or as found here;
	 * `record`: the exporter's audit record to quote, or 0. The owner may call remote_free() from here. */
	void (*on_over)(void *owner, uint16_t reason, uint64_t record, const char *text);
	/* The lane is about to be over for this reason: what is in flight completes with errors next, then comes on_over. From inside of the remote, so that the
	 * owner can only note it: none of this header's functions. NULL: nobody wants to know. */
	void (*on_ending)(void *owner, uint16_t reason);
};

/* Take the stream over and start: HELLO, then ATTACH or JOIN. */
struct remote *remote_attach(struct loop *loop, struct stream *stream, const char *software,
    const struct msg_attach *attach, const struct remote_events *events, void *owner, struct error *error);
struct remote *remote_join(struct loop *loop, struct stream *stream, const char *software, const struct msg_join *join,
    const struct remote_events *events, void *owner, struct error *error);
/* Everything in flight completes with -ESHUTDOWN. */
void remote_free(struct remote *remote);

/* Owned by the remote; only after on_up. */
struct backend *remote_backend(struct remote *remote);
/* Takes no more requests (-ESHUTDOWN), waits for those in flight, then DETACH; on_over follows. */
void remote_detach(struct remote *remote, bool all_lanes);
/* The same of the whole lease, with a FLUSH between the last answer and DETACH: whatever was answered, on any lane, is on stable storage when the device is
 * gone. That the flush failed stands in on_over's text. */
void remote_flush_and_detach(struct remote *remote);

#endif
