/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside netbus-attach and netbus-attach-xen: one guest, one lease, 1..16 lanes. attach.c is the process (start, channels, end), attach_lane.c a lane's life,
 * attach_release.c gives the share back when the export host asks for it. They are the same in both programs. Who the guest is stands in a file of its own, and the program is
 * linked with one of them: attach_nbd.c (NBD clients) or attach_xen.c (the rings of a Xen guest).
 */
#ifndef NETBUS_DAEMON_ATTACH_H
#define NETBUS_DAEMON_ATTACH_H

#include <stdbool.h>

#include "backend/remote.h"
#include "base/loop.h"
#include "crypto/tls.h"
#include "daemon/channel.h"
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
	struct timer deadline; /* WANTED, QUEUED and HANDSHAKE */
	struct remote *remote; /* OPENING, UP, LEAVING */
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
	bool is_up;                   /* guest_begin() was called */
	struct msg_attached attached; /* of lane 0 */
	char exporter[64];            /* who is at the other end of lane 0: proved */
	struct release release;
	struct attach_lane lanes[LIMIT_LANES];
	struct guest *guest;
	struct defer goodbye;
	uint16_t reason; /* over: why */
	int exit_code;
};

/* ---- attach.c ---- */

/* The attachment is over: tells the broker why, and, at the end of this turn, closes the lanes and calls guest_end(). Only the first call counts. */
void attach_over(struct attach *attach, uint16_t reason, uint64_t record, const char *text);
/* After guest_end(): the guest has all that it will get. */
void attach_quit(struct attach *attach);
/* What follows `name` on the command line, or NULL. */
const char *attach_argument(int argc, char **argv, const char *name);

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
/* One above 0 that nobody has and the lease allows, or NULL. */
struct attach_lane *lane_find_idle(struct attach *attach);

/* ---- attach_release.c ---- */

/* Any lane was told so. */
void release_take(struct attach *attach, const struct msg_release *release);
/* A user of the device or a lane is gone: perhaps that was what leaving waited for. */
void release_go_on(struct attach *attach);
/* Lane 0 is gone: attach_over() with the words of who looks at it later. */
void release_end(struct attach *attach, uint16_t reason, uint64_t record, const char *text);

/* ---- the guest: attach_nbd.c or attach_xen.c ---- */

struct guest_program {
	const char *name; /* "netbus-attach" */
	enum role role;   /* to the monitor */
	unsigned needs;   /* enum sandbox_need */
};
extern const struct guest_program guest_program;

/* First, with what only the start may do: sets attach->guest. */
int guest_open(struct attach *attach, int argc, char **argv, struct error *error);
void guest_free(struct guest *guest); /* NULL is accepted. The lanes are closed */
/* A message of the monitor that is not for each attachment; also after attach_over(). False: nor for this one. */
bool guest_take_message(struct guest *guest, struct channel_message *message);

/* Lane 0 is up: the device is there. */
int guest_begin(struct guest *guest, struct error *error);
/* A lane above 0 that the guest wanted is up. */
void guest_lane_up(struct guest *guest, struct attach_lane *lane);
/* A lane above 0 is gone: nothing goes to its backend any more. */
void guest_lane_gone(struct guest *guest, struct attach_lane *lane);
/* Nobody uses the device. When that becomes so: release_go_on(). */
bool guest_is_idle(const struct guest *guest);

/* The share is being taken back: who uses it may go on, nobody new comes; and then: new requests are refused, those in flight are answered. */
void guest_drain(struct guest *guest);
void guest_release(struct guest *guest);
/* The monitor ends the process; also after attach_over(). What is in flight on the lanes is answered, and then they end. */
void guest_stop(struct guest *guest, uint16_t reason);
/* A lane, or all, is about to end for this reason, and what is in flight there fails next. From inside of the lane: only to be noted. */
void guest_ending(struct guest *guest, uint16_t reason);
/* The device is gone and the lanes are closed: ends with attach_quit(). */
void guest_end(struct guest *guest, uint16_t reason);

#endif
