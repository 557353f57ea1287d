/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xen-dm's parts: what it was started with, a guest's disks as xenstore has them, and the socket at which the toolstack speaks QMP.
 */
#ifndef NETBUS_DAEMON_XEN_DM_H
#define NETBUS_DAEMON_XEN_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <xenstore.h>

#include "base/error.h"
#include "base/loop.h"
#include "frontend/qmp.h"

#define XEN_DM_WAIT_MS   30000 /* for the disks; libxl gives a device model 60 s */
#define XEN_DM_SILENT_MS 10000 /* a connection that says nothing makes room for the next */
#define XEN_DM_DISKS_MAX 256   /* of one guest */

/* ---- xen_dm_options.c ---- */

/* Points into argv. */
struct xen_dm_options {
	unsigned domid;
	const char *guest; /* its name */
	char socket[108];  /* where libxl will speak QMP */
};

/* From the command line that libxl 4.17 makes for QEMU, of which most is of no meaning here. -EINVAL with a text for the log that libxl keeps
 * (/var/log/xen/qemu-dm-NAME.log) when this is no guest for us: an HVM guest, or device_model_restrict. */
int xen_dm_options_parse(int argc, char **argv, struct xen_dm_options *options, struct error *error);

/* ---- xen_dm_disks.c ---- */

enum xen_dm_verdict {
	XEN_DM_WAITING, /* a netbus disk is neither published nor refused: `text` says which, and why if that is known */
	XEN_DM_READY,   /* the guest can start */
	XEN_DM_REFUSED, /* it must not: `text` for the person at xl */
};

/* What stands in xenstore now, under backend/ of our own domain. Trusts it: all of it is written by the toolstack and by netbus-xenwatch. A disk of ours has
 * params aio:netbus://...; it is refused when its directory has a node `error`, and published in state InitWait or Connected. */
enum xen_dm_verdict xen_dm_look(struct xs_handle *store, unsigned domid, char text[static ERROR_TEXT_MAX]);

/* ---- xen_dm_socket.c ---- */

struct xen_dm_socket {
	struct loop *loop;
	struct watch listener, peer; /* one peer at a time, as libxl takes turns by a lock of its own */
	struct timer silence;
	struct qmp qmp;
	size_t used;
	char line[QMP_LINE_MAX];
};

/* Binds and listens; only its owner, root, can connect. A descriptor, or a negative errno. */
int xen_dm_socket_open(const char *path, struct error *error);
/* Serves from then on. `refusal` NULL or kept by reference, as is `guest`. The listener stays the caller's. */
int xen_dm_socket_serve(
    struct xen_dm_socket *server, struct loop *loop, int listener, const char *guest, const char *refusal);
void xen_dm_socket_stop(struct xen_dm_socket *server);

#endif
