/* SPDX-License-Identifier: Apache-2.0
 *
 * Simulator (tests/sim/sim.h): stands in for netbus-xenwatch and xenstore. Started by the monitor as the real one, with `--guest SOCKET` in front; speaks the same messages of wire/channel.def,
 * and in the place of xenstore with one guest that has one disk.
 *
 * Descriptors: 3 monitor, 4 broker.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "daemon/channel.h"
#include "tests/sim/sim.h"

static struct {
	const char *path;
	int guest;
	struct channel monitor, broker, attach;
	struct sim_message disk, rings;
	bool has_disk, has_rings, is_gone, is_closing;
	int again_ms; /* until the disk is asked for once more; -1: it is not */
} sim = {
    .guest = -1,
    .monitor = {.fd = 3, .self = ROLE_XENWATCH, .peer = ROLE_MONITOR, .state = CH_NEW},
    .broker = {.fd = 4, .self = ROLE_XENWATCH, .peer = ROLE_BROKER, .state = CH_NEW},
    .attach = {.fd = -1, .self = ROLE_XENWATCH, .peer = ROLE_ATTACH_XEN, .state = CH_NEW},
    .again_ms = -1,
};

static void
tell_guest(struct sim_message *message)
{
	if (sim.guest >= 0)
		send(sim.guest, message, sizeof *message, MSG_NOSIGNAL);
}

static void
call_guest(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", sim.path);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && send(fd, "w", 1, 0) == 1)
		sim.guest = fd;
	else
		close(fd);
}

static void
ask_for_disk(void)
{
	struct msg_xen_disk ask = {.domid = sim.disk.domid, .device = sim.disk.device, .mode = 1};

	snprintf(ask.domain, sizeof ask.domain, "%s", sim.disk.domain);
	snprintf(ask.vdev, sizeof ask.vdev, "%.31s", sim.disk.vdev);
	snprintf(ask.exporter, sizeof ask.exporter, "%.63s", sim.disk.exporter);
	snprintf(ask.share, sizeof ask.share, "%.127s", sim.disk.share);
	channel_send(&sim.broker, MSG_XEN_DISK, &ask, -1);
}

static void
send_rings(bool anew)
{
	struct msg_xen_rings rings = {
	    .rings = (uint8_t)sim.rings.rings, .pages = (uint8_t)sim.rings.pages, .anew = anew};
	unsigned refs = sim.rings.rings * sim.rings.pages;

	rings.channels.length = (uint16_t)(4 * sim.rings.rings);
	rings.refs.length = (uint16_t)(4 * refs);
	for (unsigned i = 0; i < sim.rings.rings; i++)
		put_be32(rings.channels.bytes + 4 * i, sim.rings.channels[i]);
	for (unsigned i = 0; i < refs; i++)
		put_be32(rings.refs.bytes + 4 * i, sim.rings.refs[i]);
	channel_send(&sim.attach, MSG_XEN_RINGS, &rings, -1);
}

/* ---- the guest ---- */

static void
let_go(void)
{
	if (sim.is_gone)
		channel_send(&sim.broker, MSG_XEN_GONE,
		    &(struct msg_xen_gone){.domid = sim.disk.domid, .device = sim.disk.device}, -1);
	sim.has_rings = sim.is_closing = false;
	tell_guest(&(struct sim_message){.type = SIM_DOWN});
}

static void
on_guest(void)
{
	struct sim_message message;

	if (recv(sim.guest, &message, sizeof message, 0) != sizeof message) {
		close(sim.guest);
		sim.guest = -1;
		return;
	}
	switch (message.type) {
	case SIM_DISK:
		sim.disk = message;
		sim.has_disk = true;
		if (!message.by_operator)
			ask_for_disk();
		return;
	case SIM_RINGS_ARE:
		sim.rings = message;
		sim.has_rings = true;
		if (sim.attach.fd >= 0 && message.anew)
			send_rings(true);
		return;
	case SIM_CLOSE:
		sim.is_gone = message.gone;
		sim.is_closing = true;
		if (sim.attach.fd < 0 || channel_send(&sim.attach, MSG_XEN_CLOSE,
					     &(struct msg_xen_close){.gone = (uint8_t)message.gone}, -1) < 0)
			let_go();
		return;
	default:
		return;
	}
}

/* ---- netbus-attach-xen ---- */

static void
take_from_attach(const struct channel_message *message)
{
	struct sim_message told = {0};

	switch (message->number) {
	case MSG_XEN_READY:
		told.type = SIM_READY;
		told.size = message->body.xen_ready.size;
		told.rings = message->body.xen_ready.rings;
		if (sim.has_rings && !message->body.xen_ready.connected)
			send_rings(false);
		break;
	case MSG_XEN_RINGS_UP:
		told.type = SIM_UP;
		told.ok = message->body.xen_rings_up.ok;
		snprintf(told.text, sizeof told.text, "%s", message->body.xen_rings_up.text);
		break;
	case MSG_XEN_RINGS_DOWN:
		let_go();
		return;
	default:
		told.type = SIM_LIE;
		snprintf(told.text, sizeof told.text, "%s", message->body.xen_lie.text);
	}
	tell_guest(&told);
}

static void
on_attach(void)
{
	struct channel_message message;
	int got = channel_recv(&sim.attach, &message);

	if (got > 0) {
		take_from_attach(&message);
	} else if (got != -EAGAIN) {
		close(sim.attach.fd);
		sim.attach.fd = -1;
		if (sim.is_closing)
			let_go();
	}
}

/* ---- the broker and the monitor ---- */

static void
take_over(const struct msg_xen_over *over)
{
	struct sim_message told = {.type = SIM_OVER};

	fprintf(stderr, "simulated xenwatch: over, again %u: %s\n", over->again, over->text);
	if (over->again) {
		sim.again_ms = 1000;
		return;
	}
	snprintf(told.text, sizeof told.text, "%s", over->text);
	tell_guest(&told);
}

static void
answer_place(const struct msg_xen_place *place)
{
	struct msg_xen_placed placed = {.attachment = place->attachment, .domid = sim.disk.domid};

	placed.ok = sim.has_disk && strcmp(place->domain, sim.disk.domain) == 0 && place->device == sim.disk.device;
	snprintf(placed.domain, sizeof placed.domain, "%s", place->domain);
	if (!placed.ok)
		snprintf(placed.text, sizeof placed.text, "there is no such domain in the simulator");
	channel_send(&sim.broker, MSG_XEN_PLACED, &placed, -1);
}

/* False: it is gone. */
static bool
on_broker(void)
{
	struct channel_message message;
	int got = channel_recv(&sim.broker, &message);

	if (got <= 0)
		return got == -EAGAIN;
	if (message.number == MSG_XEN_OVER)
		take_over(&message.body.xen_over);
	else if (message.number == MSG_XEN_PLACE)
		answer_place(&message.body.xen_place);
	else if (message.number == MSG_XEN_REMOVE)
		tell_guest(&(struct sim_message){.type = SIM_REMOVE});
	return true;
}

static bool
on_monitor(void)
{
	struct channel_message message;
	int got = channel_recv(&sim.monitor, &message);

	if (got <= 0)
		return got == -EAGAIN;
	if (sim.attach.fd >= 0)
		close(sim.attach.fd);
	sim.attach.fd = message.fd;
	return true;
}

int
main(int argc, char **argv)
{
	enum { TICK_MS = 50 };

	if (argc < 3)
		return 2;
	sim.path = argv[2];
	for (;;) {
		struct pollfd on[] = {
		    {3, POLLIN, 0}, {4, POLLIN, 0}, {sim.guest, POLLIN, 0}, {sim.attach.fd, POLLIN, 0}};

		if (sim.guest < 0)
			call_guest();
		if (poll(on, 4, TICK_MS) == 0 && sim.again_ms >= 0 && (sim.again_ms -= TICK_MS) < 0)
			ask_for_disk();
		if (on[3].revents)
			on_attach();
		if (on[2].revents)
			on_guest();
		if ((on[1].revents && !on_broker()) || (on[0].revents && !on_monitor()))
			return 0;
	}
}
