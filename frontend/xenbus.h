/* SPDX-License-Identifier: Apache-2.0
 *
 * The backend's side of xenbus for one virtual disk: (state, event) -> (state, actions). Source: <xen/io/xenbus.h>, the state diagram of <xen/io/blkif.h>, and what Linux's
 * frontends do that neither says (a kernel that was started by another resets its devices: Closing, Closed, Initialising; after a resume it writes Initialised again, with other
 * rings; mini-os writes Connected at once).
 *
 *   frontend                     backend (this)
 *   Initialising                 Initialising, and InitWait once there is a device
 *   Initialised or Connected     its rings are mapped, then Connected
 *   Closing                      Closing
 *   Closed, or no node at all    its rings are let go, then Closed. Always, also when there never was a device: a toolstack waits for it
 *   Initialising again           InitWait
 *
 * Who carries out the actions is netbus-xenwatch. The rings are netbus-attach-xen's, which may be lost and come back: then a frontend that is connected stays so and only waits.
 * A frontend can write what it likes as often as it likes: each event causes at most one action of each kind, and an event that says nothing new causes none.
 *
 * Pure.
 */
#ifndef NETBUS_FRONTEND_XENBUS_H
#define NETBUS_FRONTEND_XENBUS_H

#include <stdbool.h>
#include <stdint.h>

/* The numbers of <xen/io/xenbus.h>. */
enum xenbus_state {
	XENBUS_UNKNOWN = 0, /* no node, or none that says a state */
	XENBUS_INITIALISING = 1,
	XENBUS_INIT_WAIT = 2,
	XENBUS_INITIALISED = 3,
	XENBUS_CONNECTED = 4,
	XENBUS_CLOSING = 5,
	XENBUS_CLOSED = 6,
	XENBUS_RECONFIGURING = 7, /* these two are taken as Connected: no block frontend uses them */
	XENBUS_RECONFIGURED = 8,
};

/* Whether netbus-attach-xen has a lease for it. */
enum xenbus_device {
	XENBUS_AWAY,  /* not yet, or not now */
	XENBUS_READY, /* and can take rings */
	XENBUS_OVER,  /* never again. What it still holds of the guest's it answers with errors */
};

/*  NONE -> ASKED (to map them) -> UP -> LEAVING (asked to let go) -> NONE */
enum xenbus_rings { XENBUS_RINGS_NONE, XENBUS_RINGS_ASKED, XENBUS_RINGS_UP, XENBUS_RINGS_LEAVING };

struct xenbus {
	enum xenbus_state backend, frontend; /* what their nodes say */
	enum xenbus_device device;
	enum xenbus_rings rings;
	bool is_offline;  /* the toolstack or an operator takes it away: `online` is 0 */
	bool is_removing; /* an operator does */
	bool is_spoiled;  /* what the frontend wrote could not be used: nothing more until it starts over */
	bool is_stale;    /* the frontend has other rings than those that are up */
	bool is_lying;    /* the guest broke the protocol of the rings: they are let go */
	bool is_dead;     /* the domain is gone */
	bool is_vanished; /* the nodes are gone */
	bool is_told;     /* the broker knows that the disk is gone */
	bool is_over;     /* nothing can happen any more */
};

enum xenbus_kind {
	XENBUS_ON_FRONTEND,      /* its state was read: `state`, `is_renewed` */
	XENBUS_ON_BACKEND,       /* ours was, which the toolstack may have written: `state`, `is_online` */
	XENBUS_ON_VANISHED,      /* our nodes are gone */
	XENBUS_ON_DEVICE,        /* the lease is up: `has_rings` */
	XENBUS_ON_DEVICE_LOST,   /* netbus-attach-xen is gone, and what it had mapped */
	XENBUS_ON_DEVICE_OVER,   /* refused, revoked, ...: `has_rings` */
	XENBUS_ON_RINGS_UP,      /* the answer to XENBUS_SEND_RINGS */
	XENBUS_ON_RINGS_REFUSED, /* the other one, or the nodes could not be used */
	XENBUS_ON_RINGS_DOWN,    /* the answer to XENBUS_SEND_CLOSE */
	XENBUS_ON_LIE,
	XENBUS_ON_DOMAIN_GONE,
	XENBUS_ON_REMOVE, /* an operator wants it away */
	XENBUS_ON_LATE,   /* it was not let go of in time */
};
#define XENBUS_KINDS 13

struct xenbus_event {
	enum xenbus_kind kind;
	enum xenbus_state state;
	bool is_online;
	bool is_renewed; /* the rings that the frontend names are not those that were sent */
	bool
	    has_rings; /* they are mapped already, or may be: netbus-xenwatch was started again, or the lease was not to be had again */
};

/* To be carried out in this order; those of the store in one transaction. */
enum xenbus_action {
	XENBUS_WRITE_ERROR = 1 << 0, /* why it is not served, for people */
	XENBUS_PUBLISH = 1 << 1,     /* the device's properties, as far as they are not there */
	XENBUS_WRITE_OFFLINE = 1 << 2,
	XENBUS_WRITE_STATE = 1 << 3, /* xenbus.backend */
	XENBUS_SEND_RINGS = 1 << 4,  /* as new ones, unless xenbus_is_recovery() */
	XENBUS_SEND_CLOSE = 1 << 5,
	XENBUS_ASK_DEVICE = 1 << 6,   /* after a while */
	XENBUS_REMOVE_NODES = 1 << 7, /* those that are ours to remove */
	XENBUS_TELL_HELD = 1 << 8,
	XENBUS_TELL_GONE = 1 << 9,
	XENBUS_FORGET = 1 << 10,
};

/* As found in the store: nothing is known of a device. */
struct xenbus xenbus_found(enum xenbus_state backend, enum xenbus_state frontend, bool is_online);
/* Returns the actions, a set of enum xenbus_action. */
unsigned xenbus_step(struct xenbus *bus, const struct xenbus_event *event);

/* Nothing will be served under these nodes unless something changes: the toolstack, an operator or the export host ended it. */
bool xenbus_is_ending(const struct xenbus *bus);
/* The frontend is connected and knows of no loss: rings that xenbus_step() just asked to send are those that it had. */
bool xenbus_is_recovery(const struct xenbus *bus);
/* "InitWait", for logs. */
const char *xenbus_state_name(enum xenbus_state state);

#endif
