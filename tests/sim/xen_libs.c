/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulator (tests/sim/sim.h): stands in for libxengnttab.so.1 and libxenevtchn.so.1, as far as frontend/xen_port.c uses them. Loaded with LD_LIBRARY_PATH; NETBUS_SIM_GUEST is the guest's
 * socket. Makes no system call that netbus-attach-xen may not make once it is locked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <xenevtchn.h>
#include <xengnttab.h>

#include "tests/sim/sim.h"

struct xengntdev_handle {
	int fd, memory;
	uint8_t *pages;
};

struct xenevtchn_handle {
	int fd;
};

static int
call_guest(char who)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *path = getenv("NETBUS_SIM_GUEST");
	int fd;

	if (path == NULL || strlen(path) >= sizeof address.sun_path) {
		errno = ENOENT;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 || send(fd, &who, 1, 0) < 0)
		return -1;
	return fd;
}

/* ---- grants ---- */

static int
receive_memory(int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec vector = {&byte, 1};
	struct msghdr message = {
	    .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
	struct cmsghdr *header;
	int memory;

	if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) < 1 || (header = CMSG_FIRSTHDR(&message)) == NULL)
		return -1;
	memcpy(&memory, CMSG_DATA(header), sizeof memory);
	return memory;
}

xengnttab_handle *
xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
	struct xengntdev_handle *handle = calloc(1, sizeof *handle);

	(void)logger, (void)flags;
	if (handle == NULL)
		return NULL;
	handle->fd = call_guest('g');
	handle->memory = handle->fd < 0 ? -1 : receive_memory(handle->fd);
	handle->pages = mmap(NULL, (size_t)SIM_PAGES * SIM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, handle->memory, 0);
	if (handle->pages == MAP_FAILED) {
		free(handle);
		return NULL;
	}
	return handle;
}

int
xengnttab_close(xengnttab_handle *handle)
{
	munmap(handle->pages, (size_t)SIM_PAGES * SIM_PAGE);
	close(handle->memory);
	close(handle->fd);
	free(handle);
	return 0;
}

void *
xengnttab_map_domain_grant_refs(xengnttab_handle *handle, uint32_t count, uint32_t domid, uint32_t *refs, int prot)
{
	uint8_t *at = mmap(NULL, (size_t)count * SIM_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)domid;
	for (uint32_t i = 0; i < count && at != MAP_FAILED; i++) {
		if (refs[i] < SIM_PAGES && mmap(at + (size_t)i * SIM_PAGE, SIM_PAGE, prot, MAP_SHARED | MAP_FIXED,
					       handle->memory, (off_t)refs[i] * SIM_PAGE) != MAP_FAILED)
			continue;
		munmap(at, (size_t)count * SIM_PAGE);
		errno = EINVAL;
		return NULL;
	}
	return at == MAP_FAILED ? NULL : at;
}

int
xengnttab_unmap(xengnttab_handle *handle, void *start, uint32_t count)
{
	(void)handle;
	return munmap(start, (size_t)count * SIM_PAGE);
}

static uint8_t *
place_of(xengnttab_handle *handle, const union xengnttab_copy_ptr *at, uint16_t length)
{
	if (at->foreign.ref >= SIM_PAGES || at->foreign.offset + length > SIM_PAGE)
		return NULL;
	return handle->pages + (size_t)at->foreign.ref * SIM_PAGE + at->foreign.offset;
}

int
xengnttab_grant_copy(xengnttab_handle *handle, uint32_t count, xengnttab_grant_copy_segment_t *segments)
{
	for (uint32_t i = 0; i < count; i++) {
		xengnttab_grant_copy_segment_t *segment = &segments[i];
		int to_guest = segment->flags & GNTCOPY_dest_gref;
		uint8_t *guest = place_of(handle, to_guest ? &segment->dest : &segment->source, segment->len);

		segment->status = guest ? GNTST_okay : GNTST_bad_gntref;
		if (guest && to_guest)
			memcpy(guest, segment->source.virt, segment->len);
		else if (guest)
			memcpy(segment->dest.virt, guest, segment->len);
	}
	return 0;
}

/* ---- event channels ---- */

xenevtchn_handle *
xenevtchn_open(struct xentoollog_logger *logger, unsigned flags)
{
	struct xenevtchn_handle *handle = calloc(1, sizeof *handle);

	(void)logger, (void)flags;
	if (handle != NULL && (handle->fd = call_guest('e')) < 0) {
		free(handle);
		return NULL;
	}
	return handle;
}

int
xenevtchn_close(xenevtchn_handle *handle)
{
	close(handle->fd);
	free(handle);
	return 0;
}

int
xenevtchn_fd(xenevtchn_handle *handle)
{
	return handle->fd;
}

int
xenevtchn_restrict(xenevtchn_handle *handle, domid_t domid)
{
	(void)handle, (void)domid;
	return 0;
}

xenevtchn_port_or_error_t
xenevtchn_bind_interdomain(xenevtchn_handle *handle, uint32_t domid, evtchn_port_t remote)
{
	(void)handle, (void)domid;
	if (remote >= 1 && remote <= SIM_RINGS)
		return (xenevtchn_port_or_error_t)(remote + SIM_PORT_BASE);
	errno = EINVAL;
	return -1;
}

int
xenevtchn_unbind(xenevtchn_handle *handle, evtchn_port_t port)
{
	(void)handle, (void)port;
	return 0;
}

int
xenevtchn_notify(xenevtchn_handle *handle, evtchn_port_t port)
{
	uint32_t word = SIM_NOTIFY | port;

	return send(handle->fd, &word, sizeof word, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -1 : 0;
}
