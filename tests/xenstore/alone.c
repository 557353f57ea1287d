/* SPDX-License-Identifier: Apache-2.0
 *
 * Loaded before the real xenstored (LD_PRELOAD), so that it runs on a machine without Xen. Replaced is what reaches for the hypervisor, and nothing else: which domains live,
 * their pages, event channels, and Xen's two files. Sockets, watches, transactions, permissions and quotas are xenstored's own.
 *
 * In the directory $NETBUS_ALONE:
 *   alive-D   is there while domain D lives; dom0 always does
 *   page-D    the page that domain D shares with xenstored; made here
 *   events    a pipe: who writes a port as a native 32-bit number there raises that event. Port 1: some domain ended
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define __XEN_TOOLS__ 1
#include <xenctrl.h>
#include <xenevtchn.h>
#include <xengnttab.h>

#define PAGE_BYTES   4096
#define PORT_ENDED   1
#define HANDLE_OF(x) ((void *)(uintptr_t)(x))

static int events = -1;
static int last_port = PORT_ENDED;

__attribute__((format(printf, 2, 3))) static const char *
path_of(char path[static 256], const char *format, ...)
{
	const char *directory = getenv("NETBUS_ALONE");
	va_list arguments;
	int length = snprintf(path, 256, "%s/", directory ? directory : ".");

	va_start(arguments, format);
	vsnprintf(path + length, 256 - (size_t)length, format, arguments);
	va_end(arguments);
	return path;
}

static int
open_page(unsigned domain)
{
	char path[256];
	int fd = open(path_of(path, "page-%u", domain), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0 && ftruncate(fd, PAGE_BYTES) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- libxenctrl ---- */

xc_interface *
xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger, unsigned open_flags)
{
	(void)logger, (void)dombuild_logger, (void)open_flags;
	return HANDLE_OF(1);
}

int
xc_interface_close(xc_interface *xch)
{
	(void)xch;
	return 0;
}

int
xc_domain_getinfo(xc_interface *xch, uint32_t first_domid, unsigned int max_doms, xc_dominfo_t *info)
{
	char path[256];

	(void)xch, (void)max_doms;
	if (first_domid != 0 && access(path_of(path, "alive-%u", first_domid), F_OK) < 0)
		return 0;
	memset(info, 0, sizeof *info);
	info->domid = first_domid;
	return 1;
}

/* ---- libxengnttab ---- */

xengnttab_handle *
xengnttab_open(xentoollog_logger *logger, unsigned open_flags)
{
	(void)logger, (void)open_flags;
	return HANDLE_OF(1);
}

int
xengnttab_close(xengnttab_handle *xgt)
{
	(void)xgt;
	return 0;
}

int
xengnttab_set_max_grants(xengnttab_handle *xgt, uint32_t nr_grants)
{
	(void)xgt, (void)nr_grants;
	return 0;
}

void *
xengnttab_map_grant_ref(xengnttab_handle *xgt, uint32_t domid, uint32_t ref, int prot)
{
	int fd = open_page(domid);
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, PAGE_BYTES, prot, MAP_SHARED, fd, 0);

	(void)xgt, (void)ref;
	if (fd >= 0)
		close(fd);
	return page == MAP_FAILED ? NULL : page;
}

int
xengnttab_unmap(xengnttab_handle *xgt, void *start_address, uint32_t count)
{
	(void)xgt;
	return munmap(start_address, (size_t)count * PAGE_BYTES);
}

/* ---- libxenevtchn ---- */

xenevtchn_handle *
xenevtchn_open(xentoollog_logger *logger, unsigned open_flags)
{
	char path[256];

	(void)logger, (void)open_flags;
	mkfifo(path_of(path, "events"), 0600);
	events = open(path_of(path, "events"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return events < 0 ? NULL : HANDLE_OF(1);
}

int
xenevtchn_close(xenevtchn_handle *xce)
{
	(void)xce;
	return close(events);
}

int
xenevtchn_fd(xenevtchn_handle *xce)
{
	(void)xce;
	return events;
}

xenevtchn_port_or_error_t
xenevtchn_bind_virq(xenevtchn_handle *xce, unsigned int virq)
{
	(void)xce, (void)virq;
	return PORT_ENDED;
}

xenevtchn_port_or_error_t
xenevtchn_bind_interdomain(xenevtchn_handle *xce, uint32_t domid, evtchn_port_t remote_port)
{
	(void)xce, (void)domid, (void)remote_port;
	return ++last_port;
}

int
xenevtchn_unbind(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce, (void)port;
	return 0;
}

int
xenevtchn_notify(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce, (void)port;
	return 0;
}

int
xenevtchn_unmask(xenevtchn_handle *xce, evtchn_port_t port)
{
	(void)xce, (void)port;
	return 0;
}

xenevtchn_port_or_error_t
xenevtchn_pending(xenevtchn_handle *xce)
{
	uint32_t port;

	(void)xce;
	return read(events, &port, sizeof port) == sizeof port ? (xenevtchn_port_or_error_t)port : -1;
}

/* ---- the kernel's files ---- */

static bool
ends_with(const char *path, const char *end)
{
	size_t length = strlen(path), want = strlen(end);

	return length >= want && strcmp(path + length - want, end) == 0;
}

/* The port of dom0's own channel, as text, and dom0's page. -2: not one of them. */
static int
open_xens(const char *path)
{
	int fd;

	if (strncmp(path, "/proc/xen/", 10) != 0 && strncmp(path, "/dev/xen/", 9) != 0)
		return -2;
	if (ends_with(path, "xsd_kva"))
		return open_page(0);
	if (!ends_with(path, "xsd_port"))
		return -2;
	fd = memfd_create("xsd_port", MFD_CLOEXEC);
	if (fd >= 0 && (write(fd, "1", 1) != 1 || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

int
open(const char *path, int flags, ...)
{
	int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))(uintptr_t)dlsym(RTLD_NEXT, "open");
	va_list arguments;
	mode_t mode;
	int fd = open_xens(path);

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return fd == -2 ? real(path, flags, mode) : fd;
}

int
open64(const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return open(path, flags, mode);
}

/* A test's user may have fewer descriptors than xenstored asks for. */
int
setrlimit(__rlimit_resource_t resource, const struct rlimit *limits)
{
	(void)resource, (void)limits;
	return 0;
}
