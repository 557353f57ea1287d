/* SPDX-License-Identifier: Apache-2.0
 *
 * hostile names: from inside a guest, everything that might reach another tenant's disk through xenstore, grants or event channels. One line a try, "refused: " or
 * "REACHED: ". What a guest may do by Xen's rules without harm (its frontend's link to a backend is its own node) is "allowed: "; what comes of it the test
 * outside must look at, and the last line shows what the disk then holds: "content: HEX".
 */
#include "tests/xen/hostile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LENGTH(of) (sizeof(of) / sizeof *(of))

struct tries {
	struct hostile hostile;
	unsigned self, other, device, other_device;
	unsigned reached;
};

static void
tell(struct tries *tries, bool reached, const char *verb, const char *what)
{
	printf("%s: %s %s\n", reached ? "REACHED" : "refused", verb, what);
	tries->reached += reached;
}

static void
try_read(struct tries *tries, const char *path)
{
	unsigned count;
	char *value = xs_read(tries->hostile.disk.store, XBT_NULL, path, &count);
	char **names = xs_directory(tries->hostile.disk.store, XBT_NULL, path, &count);

	tell(tries, value != NULL, "read", path);
	tell(tries, names != NULL, "list", path);
	free(value);
	free(names);
}

static void
try_write(struct tries *tries, const char *path, const char *value)
{
	struct xs_handle *store = tries->hostile.disk.store;
	struct xs_permissions all = {.id = tries->self, .perms = XS_PERM_READ | XS_PERM_WRITE};

	tell(tries, xs_write(store, XBT_NULL, path, value, (unsigned)strlen(value)), "write", path);
	tell(tries, xs_set_permissions(store, XBT_NULL, path, &all, 1), "take", path);
	tell(tries, xs_rm(store, XBT_NULL, path), "remove", path);
}

/* A node of another's, or of the toolstack's: read as well as written. %S, %O: the two domains; %d, %o: their devices. */
static void
expand(const struct tries *tries, const char *form, char path[static 256])
{
	size_t length = 0;

	for (; *form && length < 240; form++) {
		if (*form != '%') {
			path[length++] = *form;
			continue;
		}
		form++;
		length += (size_t)snprintf(path + length, 256 - length, "%u",
		    *form == 'S'   ? tries->self
		    : *form == 'O' ? tries->other
		    : *form == 'd' ? tries->device
				   : tries->other_device);
	}
	path[length] = '\0';
}

static void
others_nodes(struct tries *tries)
{
	static const char *const unreadable[] = {"/local/domain/%O/name", "/local/domain/%O/vm",
	    "/local/domain/%O/device/vbd/%o", "/local/domain/%O/device/vbd/%o/backend",
	    "/local/domain/%O/device/vbd/%o/ring-ref", "/local/domain/%O/device/vbd/%o/event-channel",
	    "/local/domain/%O/console/ring-ref", "/local/domain/0/backend/netbus/%O/%o",
	    "/local/domain/0/backend/netbus/%O/%o/params", "/local/domain/0/backend/netbus/%O/%o/mode",
	    "/local/domain/0/backend/qdisk/%O/%o", "/local/domain/0/backend/qdisk/%O/%o/params",
	    "/local/domain/0/backend/vbd/%O/%o/params", "/libxl/%O/device/vbd/%o/params",
	    "/local/domain/0/device-model/%O/state"};
	char path[256];
	unsigned i;

	for (i = 0; i < LENGTH(unreadable); i++) {
		expand(tries, unreadable[i], path);
		try_read(tries, path);
	}
}

static void
writes(struct tries *tries)
{
	static const struct {
		const char *path, *value;
	} forbidden[] = {{"/local/domain/%S/name", "web-2"},
	    {"/local/domain/%S/vm", "/vm/00000000-0000-0000-0000-000000000000"}, {"/local/domain/%S/domid", "0"},
	    {"/local/domain/%S/backend/netbus/%O/%o/state", "4"}, {"/local/domain/%S/image/device-model-pid", "1"},
	    {"/local/domain/0/backend/netbus/%S/%d/params", "netbus://m2/globex/disk-2"},
	    {"/local/domain/0/backend/netbus/%S/%d/mode", "w"},
	    {"/local/domain/0/backend/netbus/%S/%d/frontend", "/local/domain/%O/device/vbd/%o"},
	    {"/local/domain/0/backend/netbus/%S/%d/frontend-id", "0"},
	    {"/local/domain/0/backend/netbus/%S/%d/online", "0"}, {"/local/domain/0/backend/netbus/%S/%d/state", "4"},
	    {"/local/domain/0/backend/netbus/%S/51999/params", "netbus://m2/globex/disk-2"},
	    {"/local/domain/0/backend/qdisk/%S/%d/params", "aio:netbus://m2/globex/disk-2"},
	    {"/local/domain/0/backend/qdisk/%S/%d/mode", "w"},
	    {"/local/domain/0/backend/qdisk/%S/51999/params", "aio:netbus://m2/globex/disk-2"},
	    {"/local/domain/0/backend/netbus/%O/%o/state", "5"}, {"/local/domain/0/backend/netbus/%O/%o/online", "0"},
	    {"/local/domain/0/backend/qdisk/%O/%o/state", "5"},
	    {"/local/domain/0/backend/qdisk/%O/%o/params", "aio:netbus://m2/acme/disk-1"},
	    {"/local/domain/%O/device/vbd/%o/state", "5"}, {"/local/domain/%O/device/vbd/%o/ring-ref", "8"},
	    {"/local/domain/%O/name", "gone"}, {"/libxl/%S/device/vbd/%d/params", "aio:netbus://m2/globex/disk-2"},
	    {"/local/domain/0/device-model/%S/state", "running"}, {"/local/domain/0/name", "web-2"}};
	char path[256];
	unsigned i;

	for (i = 0; i < LENGTH(forbidden); i++) {
		expand(tries, forbidden[i].path, path);
		try_write(tries, path, forbidden[i].value);
	}
}

/* Its ring and data pages, and its event channels, by their numbers. */
static void
grants_and_channels(struct tries *tries)
{
	xengnttab_handle *grants = xengnttab_open(NULL, 0);
	unsigned mapped = 0, bound = 0;
	uint32_t reference;
	evtchn_port_t port;
	void *page;

	if (!grants) {
		perror("/dev/xen/gntdev");
		exit(2);
	}
	for (reference = 0; reference < 1024; reference++)
		if ((page = xengnttab_map_grant_ref(grants, tries->other, reference, PROT_READ))) {
			mapped++;
			xengnttab_unmap(grants, page, 1);
		}
	for (port = 1; port < 128; port++)
		if (xenevtchn_bind_interdomain(tries->hostile.disk.events, tries->other, port) >= 0)
			bound++;
	xengnttab_close(grants);
	tell(tries, mapped > 0, "map", "grants 0..1023 of the other domain");
	tell(tries, bound > 0, "bind", "event channels 1..127 of the other domain");
}

/* The link is this guest's node: who follows it serves another's disk to this one. */
static void
links(struct tries *tries)
{
	struct guest_disk *disk = &tries->hostile.disk;
	char path[256];
	unsigned i;
	static const char *const own[][2] = {{"backend", "/local/domain/0/backend/netbus/%O/%o"}, {"backend-id", "0"},
	    {"virtual-device", "%o"}, {"params", "netbus://m2/globex/disk-2"}, {"tenant", "globex"}, {"mode", "w"},
	    {"frontend-id", "%O"}};

	for (i = 0; i < LENGTH(own); i++) {
		expand(tries, own[i][1], path);
		printf(
		    "%s: %s = %s\n", guest_write(disk, own[i][0], "%s", path) ? "allowed" : "refused", own[i][0], path);
	}
}

/* A frontend that nobody asked for. */
static void
forged_frontend(struct tries *tries)
{
	static const char *const node[][2] = {{"backend", "/local/domain/0/backend/netbus/%O/%o"}, {"backend-id", "0"},
	    {"virtual-device", "51999"}, {"ring-ref", "8"}, {"event-channel", "4"}, {"state", "3"}};
	struct guest_disk *disk = &tries->hostile.disk;
	char path[256], value[256];
	bool made = false;
	unsigned i;

	for (i = 0; i < LENGTH(node); i++) {
		snprintf(path, sizeof path, "device/vbd/51999/%s", node[i][0]);
		expand(tries, node[i][1], value);
		made = xs_write(disk->store, XBT_NULL, path, value, (unsigned)strlen(value));
	}
	printf("%s: a frontend of its own, device/vbd/51999\n", made ? "allowed" : "refused");
}

/* Through its device as the links are now. */
static int
show_content(struct tries *tries)
{
	struct guest_disk *disk = &tries->hostile.disk;
	struct guest_request read = {
	    .operation = GUEST_READ, .segments = 1, .segment = {{disk->data_reference[0], 0, 7}}};
	struct guest_response response;
	int64_t until = now_ms() + ANSWER_MS;
	unsigned i;

	guest_close(disk, 2000);
	if (!guest_connect(disk, (struct guest_shape){GUEST_NATIVE, 1, 0}, ANSWER_MS)) {
		puts("content: not connected");
		return 0;
	}
	guest_put(disk, disk->ring, &read);
	guest_publish(disk->ring);
	guest_notify(disk, disk->ring);
	while (guest_take(disk->ring, &response) != 1 && now_ms() < until)
		guest_wait(disk, 20);
	fputs("content: ", stdout);
	for (i = 0; i < 32; i++)
		printf("%02x", disk->data[i]);
	puts("");
	guest_close(disk, ANSWER_MS);
	return 0;
}

int
hostile_names(unsigned device, unsigned other, unsigned other_device)
{
	static struct tries tries;
	char *self;

	guest_open(&tries.hostile.disk, device);
	tries.device = device;
	tries.other = other;
	tries.other_device = other_device;
	if ((self = guest_read(&tries.hostile.disk, "domid", "")))
		tries.self = (unsigned)strtoul(self, NULL, 10);
	free(self);
	others_nodes(&tries);
	writes(&tries);
	grants_and_channels(&tries);
	forged_frontend(&tries);
	links(&tries);
	show_content(&tries);
	printf("%u reached\n", tries.reached);
	return tries.reached > 0;
}
