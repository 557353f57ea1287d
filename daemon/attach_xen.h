/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside netbus-attach-xen: the guest of an attachment (daemon/attach.h) is the rings of one vbd. attach_xen.c is that guest, attach_xen_watch.c what it and netbus-xenwatch say to each
 * other, attach_xen_keep.c what stands between a ring and its lane.
 */
#ifndef NETBUS_DAEMON_ATTACH_XEN_H
#define NETBUS_DAEMON_ATTACH_XEN_H

#include "backend/io_queue.h"
#include "daemon/attach.h"
#include "frontend/xen_disk.h"

/* ---- attach_xen_keep.c ---- */

/* The backend of a ring, in front of its lane's. A guest whose device will be there again in a moment is to wait, and not to see errors: so what the lane does not take any more (it
 * answers with -ESHUTDOWN), or could not finish, is kept here, unanswered, until it is known why. It is in the shadow too, for the next process. */
struct keeper {
	struct backend backend;         /* first */
	struct backend *lane;           /* whose requests are submitted to; NULL: they are kept */
	bool is_ending;                 /* whatever the lane says is kept */
	void (*on_done)(struct io *io); /* of all requests of the ring: a lane is given ours in its place */
	struct io_queue kept;
};

void keeper_init(struct keeper *keeper, const struct geometry *geometry);
/* Completes what was kept, with `status`. Not while a lane is in the middle of something. */
void keeper_give_up(struct keeper *keeper, int status);

/* ---- attach_xen.c ---- */

struct guest {
	struct attach *attach;
	uint32_t domain, device; /* for the log */
	struct xen_port *port;
	void *shadow;                       /* XEN_SHADOW_BYTES */
	struct xen_disk *disk;              /* NULL until lane 0 is up */
	struct keeper keepers[LIMIT_LANES]; /* of a ring each */
	bool is_stopping;                   /* the monitor ends us, and there will be another process */
	uint16_t ending_reason;             /* a lane was lost, and there will be another process: why, or 0 */
	bool is_gone;                       /* guest_end(): only errors are answered, until the rings are let go */

	/* ---- attach_xen_watch.c ---- */
	struct channel watcher; /* fd -1: netbus-xenwatch does not run, or we have not met */
	struct watch on_watcher;
	bool is_closing; /* XEN_CLOSE is to be answered */
	bool has_next;   /* rings that are to be connected when those before them are gone */
	struct xen_setup next;
};

/* ---- attach_xen_watch.c ---- */

/* Takes fd over: the channel to a netbus-xenwatch that has just been started, or to which we have. */
void watcher_meet(struct guest *guest, int fd);
void watcher_part(struct guest *guest);
/* There is a device. */
void watcher_tell_ready(struct guest *guest);
void watcher_tell_lie(struct guest *guest, const char *text);
/* xen_disk's on_drained(): answers XEN_CLOSE, or connects what is to be connected next. */
void watcher_on_drained(struct guest *guest);
/* Rings of the setup in the shadow, which a process before this one served. False: there are none. */
bool watcher_setup_of_shadow(const void *shadow, struct xen_setup *setup);
int rings_connect(struct guest *guest, const struct xen_setup *setup, struct error *error);

#endif
