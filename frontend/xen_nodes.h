/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of xenstore's nodes to values: what a guest wrote about its rings (<xen/io/blkif.h>, "Frontend XenBus Nodes"), and what a toolstack
 * wrote about a disk. (Names of virtual disks: base/vdev.h.)
 *
 * All that a guest wrote is hostile, and what a toolstack wrote is checked no less. A value is what xenstore gave: bytes that may contain NUL, with their length. Numbers are
 * decimal digits and nothing else.
 *
 * Pure: nodes are read through a function that the caller gives. Needs no header of Xen's.
 */
#ifndef NETBUS_FRONTEND_XEN_NODES_H
#define NETBUS_FRONTEND_XEN_NODES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/name.h"
#include "frontend/xenbus.h"
#include "wire/channel.h"

#define XEN_VALUE_MOST      255u    /* bytes of a value that is looked at: a longer one is wrong, whatever it says */
#define XEN_RING_ORDER_MOST 4u      /* of LIMIT_XEN_RING_PAGES */
#define XEN_CHANNEL_MOST    131071u /* EVTCHN_FIFO_NR_CHANNELS - 1, <xen/event_channel.h>; 0 is no channel */

/* Reads the node `name` below the frontend's directory into `value`, which has room for XEN_VALUE_MOST + 1 bytes. Its length (NUL not counted, not even added), or -ENOENT when
 * there is none, -EMSGSIZE when it is longer, or another error. `name` is made here and never from a guest's text. */
typedef int xen_read_node(void *owner, const char *name, char *value);

/* The frontend's rings as it wrote them. At most `rings_most` (1..LIMIT_LANES) of them; each reference and each channel at most once, because two rings over one page could each
 * change what the other has checked. abi, rings, pages, channels and refs are filled; `anew` is the caller's.
 * 0; -EBADMSG with a sentence that names the node; or what reading failed with. */
int xen_rings_parse(
    xen_read_node *read, void *owner, unsigned rings_most, struct msg_xen_rings *rings, struct error *error);

/* One digit. What is no state of xenbus, or no node at all (length < 0), is XENBUS_UNKNOWN. */
enum xenbus_state xen_state_parse(const char *value, int length);

#define XEN_TARGET_SCHEME "netbus://"

struct xen_target {
	struct name exporter;
	struct qualified share;
};

/* A backend's `params`: "netbus://HOST/tenant/share", also as libxl writes it for a raw image, "aio:netbus://...".
 * 0; -ENOENT: this is not ours, and nothing is wrong with it; -EINVAL: it is ours, and wrong. */
int xen_target_parse(const char *value, size_t length, struct xen_target *target, struct error *error);
#define XEN_PARAMS_LEN (sizeof XEN_TARGET_SCHEME + NAME_LEN_MAX + 1 + QUALIFIED_LEN_MAX)
void xen_target_print(const char *exporter, const char *share, char text[static XEN_PARAMS_LEN]);

/* "r" or "w": enum access_mode. -EINVAL. */
int xen_mode_parse(const char *value, size_t length, uint8_t *mode);

/* A whole number, at most `most`, from a path's component or a value. -EINVAL. */
int xen_number_parse(const char *value, size_t length, uint32_t most, uint32_t *number);

#endif
