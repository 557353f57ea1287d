/* SPDX-License-Identifier: Apache-2.0
 *
 * What a vbd asks of Xen, as a table of functions: pages of a ring, event channels, and copies into and out of pages that the guest granted. The real one
 * (xen_port.c) is over libxengnttab and libxenevtchn and reaches one domain; the tests' simulator is another. No Xen header is needed here.
 *
 * Descriptors are opened before the process locks itself; what is asked of them afterwards is SANDBOX_XEN of base/sandbox.h. Everything a guest names (references, event
 * channels) is checked by the hypervisor: a wrong one is an error here and nothing else.
 */
#ifndef NETBUS_FRONTEND_XEN_PORT_H
#define NETBUS_FRONTEND_XEN_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define XEN_PAGE 4096u /* of rings and grants, whatever the processor's pages are */

/* One copy between our memory and a page of the guest: inside that page. */
struct xen_copy {
	void *local;
	uint32_t reference;
	uint16_t offset, length; /* bytes; offset + length <= XEN_PAGE */
	bool to_guest;
	int status; /* afterwards: 0 or a negative errno */
};

struct xen_port {
	const struct xen_port_class *class;
	int fd; /* readable when an event channel is pending. Not to be closed */
};

struct xen_port_class {
	/* Maps `count` pages of the guest side by side, to be read and written. NULL with error set. */
	void *(*map)(struct xen_port *port, const uint32_t *references, unsigned count, struct error *error);
	void (*unmap)(struct xen_port *port, void *pages, unsigned count);
	/* Our end of the guest's event channel: its number, or a negative errno. */
	int (*bind)(struct xen_port *port, uint32_t event_channel);
	void (*unbind)(struct xen_port *port, int channel);
	void (*notify)(struct xen_port *port, int channel);
	/* Which of our ends are pending, at most `most`; they are pending no more and may become so again at once. How many; 0: none; or a negative errno. */
	int (*take)(struct xen_port *port, int *channels, unsigned most);
	/* All of them in one go, each with its status. */
	void (*copy)(struct xen_port *port, struct xen_copy *copies, unsigned count);
	void (*close)(struct xen_port *port);
};

/* The real one, for domain `domain` only as far as Xen can be told so: event channels yes, grants no (the grant device of Linux knows no such thing). Root, before the
 * process drops what it is. NULL with error set: no Xen, no right, no driver. */
struct xen_port *xen_port_open(uint16_t domain, struct error *error);
/* What is still mapped or bound goes too. NULL is accepted. */
void xen_port_close(struct xen_port *port);

#endif
