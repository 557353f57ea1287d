/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside netbus-attach: one guest, one lease, 1..16 lanes. attach.c is the process (start, channels, end), attach_lane.c a lane's
 * life, attach_guest.c joins NBD clients to lanes, attach_release.c gives the share back when the export host asks for it.
 */
#ifndef NETBUS_DAEMON_ATTACH_H
#define NETBUS_DAEMON_ATTACH_H

#include <stdbool.h>

#include "backend/remote.h"
#include "base/loop.h"
#include "crypto/tls.h"
#include "daemon/channel.h"
#include "frontend/nbd.h"
#include "wire/limits.h"

/*  IDLE -> WANTED (asked the monitor for a socket) -> QUEUED (netbus-keys helps one handshake at a time) -> HANDSHAKE (TLS) -> OPENING (HELLO, ATTACH or JOIN) -> UP -> LEAVING -> IDLE
 *  Any of them falls back to IDLE when the lane fails. */
enum lane_state { LANE_IDLE, LANE_WANTED, LANE_QUEUED, LANE_HANDSHAKE, LANE_OPENING, LANE_UP, LANE_LEAVING };

struct attach_lane {
	struct attach *attach;
	uint8_t number;
	enum lane_state state;
	int fd;          /* QUEUED: the connected socket; else -1 */
	struct tls *tls; /* HANDSHAKE */
	struct watch on_socket;
	struct timer deadline;     /* WANTED, QUEUED and HANDSHAKE */
	struct remote *remote;     /* OPENING, UP, LEAVING */
	struct nbd_client *client; /* lanes above 0: whose lane this is */
};

/* The export host takes the share back. */
struct release {
	bool is_asked;
	bool is_leaving;         /* nothing new is taken; the lanes above 0 leave, then lane 0 flushes and leaves */
	struct msg_release told; /* the first one */
	uint64_t by_ns;          /* the soonest deadline */
	struct timer leave;      /* DRAIN: when we begin to leave */
};

struct attach {
	struct loop *loop;
	struct channel monitor, broker;
	struct watch on_monitor, on_broker;
	struct custody custody;
	struct msg_attach_order order;
	bool ordered, detaching, over;
	struct msg_attached attached; /* of lane 0 */
	char exporter[64];            /* who is at the other end of lane 0: proved */
	struct release release;
	struct attach_lane lanes[LIMIT_LANES];
	int nbd_fd;
	struct nbd_server *nbd;
	unsigned clients;
	struct defer goodbye;
	struct timer goodbye_late;
	int exit_code;
};

/* ---- attach.c ---- */

/* The attachment is over: tells the broker why, and, at the end of this turn, closes the lanes, answers the clients and ends the
 * loop. Only the first call counts. */
void attach_over(struct attach *attach, uint16_t reason, uint64_t record, const char *text);
void attach_client_left(struct attach *attach);

/* ---- attach_lane.c ---- */

void lane_want(struct attach_lane *lane);
/* Takes fd over. */
void lane_socket(struct attach_lane *lane, int fd);
/* The lane is not to be had, or is gone. Lane 0 takes the attachment with it. */
void lane_failed(struct attach_lane *lane, uint16_t reason, uint64_t record, const char *text);
/* In order; the lane is IDLE later, or at once when it was not up. */
void lane_leave(struct attach_lane *lane);
/* At once; harmless on an idle lane. */
void lane_close(struct attach_lane *lane);

/* ---- attach_release.c ---- */

/* Any lane was told so. */
void release_take(struct attach *attach, const struct msg_release *release);
/* A client or a lane is gone: perhaps that was what leaving waited for. */
void release_go_on(struct attach *attach);
/* Lane 0 is gone: attach_over() with the words of who looks at it later. */
void release_end(struct attach *attach, uint16_t reason, uint64_t record, const char *text);

/* ---- attach_guest.c ---- */

/* Lane 0 is up: NBD clients are served from now on. */
int guest_begin(struct attach *attach, struct error *error);
void guest_lane_up(struct attach_lane *lane);
void guest_lane_gone(struct attach_lane *lane);

#endif
