/* SPDX-License-Identifier: Apache-2.0
 *
 * Xen as a vbd sees it (frontend/xen_port.h), over libxengnttab and libxenevtchn on Linux. Runs in netbus-attach-xen, which alone links it. Grant references and event channels
 * come from the guest; the hypervisor checks that they are the guest's to give, and to give to this domain.
 *
 * What is asked of the kernel after the process locked itself: ioctl on both devices (base/sandbox.c has the numbers), mmap and munmap of the grant device, read and write of the
 * event channel device. The event channel handle is restricted to the guest. The grant device knows no such thing: a process that is taken over can map what any domain
 * has granted to this one, if it guesses the references.
 */
#include "frontend/xen_port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "frontend/xen_headers.h"
#include "wire/limits.h"

#include <xenevtchn.h>
#include <xengnttab.h>

/* One call to the kernel; it makes smaller hypercalls of that. */
#define COPIES_PER_CALL 512u

struct real_port {
	struct xen_port port; /* first */
	uint16_t domain;
	xengnttab_handle *grants;
	xenevtchn_handle *events;
	xengnttab_grant_copy_segment_t pieces[COPIES_PER_CALL];
};

static struct real_port *
real_of(struct xen_port *port)
{
	return CONTAINER_OF(port, struct real_port, port);
}

/* ---- pages ---- */

static void *
port_map(struct xen_port *port, const uint32_t *references, unsigned count, struct error *error)
{
	struct real_port *real = real_of(port);
	uint32_t copy[LIMIT_XEN_RING_PAGES];
	void *pages;

	if (count > LIMIT_XEN_RING_PAGES) {
		error_set(error, -EINVAL, "cannot map %u pages: a ring has %u at most", count, LIMIT_XEN_RING_PAGES);
		return NULL;
	}
	memcpy(copy, references, count * sizeof *copy);
	pages = xengnttab_map_domain_grant_refs(real->grants, count, real->domain, copy, PROT_READ | PROT_WRITE);
	if (pages == NULL)
		error_errno(error, -errno, "cannot map %u pages that domain %u granted, from reference %u on", count,
		    real->domain, references[0]);
	return pages;
}

static void
port_unmap(struct xen_port *port, void *pages, unsigned count)
{
	if (xengnttab_unmap(real_of(port)->grants, pages, count) < 0)
		log_warning("cannot unmap %u pages of domain %u: %s", count, real_of(port)->domain, strerror(errno));
}

/* ---- copies ---- */

static xengnttab_grant_copy_segment_t
piece_of(const struct real_port *real, const struct xen_copy *copy)
{
	xengnttab_grant_copy_segment_t piece = {
	    .len = copy->length, .flags = copy->to_guest ? GNTCOPY_dest_gref : GNTCOPY_source_gref};
	union xengnttab_copy_ptr guest = {.foreign = {copy->reference, copy->offset, real->domain}},
				 local = {.virt = copy->local};

	piece.source = copy->to_guest ? local : guest;
	piece.dest = copy->to_guest ? guest : local;
	return piece;
}

/* A call that fails has done nothing that could be relied on. */
static void
copy_some(struct real_port *real, struct xen_copy *copies, unsigned count)
{
	int code = 0;

	for (unsigned i = 0; i < count; i++)
		real->pieces[i] = piece_of(real, &copies[i]);
	if (xengnttab_grant_copy(real->grants, count, real->pieces) < 0)
		code = -errno;
	for (unsigned i = 0; i < count; i++)
		copies[i].status = code < 0 ? code : real->pieces[i].status == GNTST_okay ? 0 : -EFAULT;
}

static void
port_copy(struct xen_port *port, struct xen_copy *copies, unsigned count)
{
	while (count > 0) {
		unsigned here = count < COPIES_PER_CALL ? count : COPIES_PER_CALL;

		copy_some(real_of(port), copies, here);
		copies += here;
		count -= here;
	}
}

/* ---- event channels ---- */

static int
port_bind(struct xen_port *port, uint32_t event_channel)
{
	struct real_port *real = real_of(port);
	int channel = xenevtchn_bind_interdomain(real->events, real->domain, event_channel);

	return channel < 0 ? -errno : channel;
}

static void
port_unbind(struct xen_port *port, int channel)
{
	if (xenevtchn_unbind(real_of(port)->events, (evtchn_port_t)channel) < 0)
		log_warning("cannot unbind an event channel of domain %u: %s", real_of(port)->domain, strerror(errno));
}

/* It fails when the guest has closed its end: then nobody is there to be told. */
static void
port_notify(struct xen_port *port, int channel)
{
	xenevtchn_notify(real_of(port)->events, (evtchn_port_t)channel);
}

/* As xenevtchn_pending() and xenevtchn_unmask() do it, with one read and one write for all of them. The descriptor does not block. */
static int
port_take(struct xen_port *port, int *channels, unsigned most)
{
	evtchn_port_t pending[LIMIT_LANES];
	ssize_t got = read(port->fd, pending, (most < LIMIT_LANES ? most : LIMIT_LANES) * sizeof *pending);
	size_t count;

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	count = (size_t)got / sizeof *pending;
	for (size_t i = 0; i < count; i++)
		channels[i] = (int)pending[i];
	if (write(port->fd, pending, count * sizeof *pending) < 0)
		return -errno;
	return (int)count;
}

/* ---- life ---- */

static void
port_close(struct xen_port *port)
{
	struct real_port *real = real_of(port);

	if (real->events)
		xenevtchn_close(real->events);
	if (real->grants)
		xengnttab_close(real->grants);
	free(real);
}

static const struct xen_port_class real_class = {
    .map = port_map,
    .unmap = port_unmap,
    .bind = port_bind,
    .unbind = port_unbind,
    .notify = port_notify,
    .take = port_take,
    .copy = port_copy,
    .close = port_close,
};

static int
open_devices(struct real_port *real, struct error *error)
{
	real->grants = xengnttab_open(NULL, 0);
	if (real->grants == NULL)
		return error_errno(
		    error, -errno, "cannot open the grant device (is this a Xen host with xen-gntdev loaded?)");
	real->events = xenevtchn_open(NULL, 0);
	if (real->events == NULL)
		return error_errno(
		    error, -errno, "cannot open the event channel device (is this a Xen host with xen-evtchn loaded?)");
	if (xenevtchn_restrict(real->events, real->domain) < 0)
		return error_errno(error, -errno, "cannot restrict event channels to domain %u", real->domain);
	real->port.fd = xenevtchn_fd(real->events);
	if (fd_set_nonblocking(real->port.fd, true) < 0)
		return error_errno(error, -errno, "cannot set up the event channel device");
	return 0;
}

struct xen_port *
xen_port_open(uint16_t domain, struct error *error)
{
	struct real_port *real = calloc(1, sizeof *real);

	if (real == NULL) {
		error_set(error, -ENOMEM, "out of memory for the devices of Xen");
		return NULL;
	}
	real->port.class = &real_class;
	real->domain = domain;
	if (open_devices(real, error) < 0) {
		port_close(&real->port);
		return NULL;
	}
	return &real->port;
}

void
xen_port_close(struct xen_port *port)
{
	if (port != NULL)
		port->class->close(port);
}
