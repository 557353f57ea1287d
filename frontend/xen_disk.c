/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a vbd: connect, disconnect, the end of its device, and the events of its rings (frontend/xen_disk.h). Runs in netbus-attach-xen. The setup is in range but
 * chosen by the guest; the port has Xen check it.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "frontend/xen_vbd.h"

/* ---- what became of it ---- */

/* Tells the owner, who may free the disk in on_drained(). */
static void on_turn_end(struct defer *defer);

void
xen_disk_look(struct xen_disk *disk)
{
	if (disk->phase == XEN_LEAVING || disk->lie != NULL)
		defer_start(disk->loop, &disk->turn_end, on_turn_end);
}

void
xen_disk_break(struct xen_disk *disk, const char *lie)
{
	if (disk->lie != NULL)
		return;
	disk->lie = lie;
	xen_disk_look(disk);
}

void
xen_disk_fail(struct xen_disk *disk, int code, const char *what)
{
	log_error("%s: %s; the next process takes the rings over", what, strerror(-code));
	disk->is_left = true;
	loop_quit(disk->loop, code);
}

static bool
is_in_flight(const struct xen_disk *disk)
{
	for (unsigned i = 0; i < disk->queue_count; i++)
		if (disk->queues[i].in_flight > 0)
			return true;
	return false;
}

/* Nothing of the guest is mapped or bound any more; the shadow is not touched. */
static void
let_go(struct xen_disk *disk)
{
	struct xen_port *port = disk->port;

	watch_stop(&disk->watch);
	while (disk->queue_count > 0) {
		struct xen_queue *queue = &disk->queues[--disk->queue_count];

		xen_queue_stop(queue);
		if (queue->channel >= 0)
			port->class->unbind(port, queue->channel);
		if (queue->pages != NULL)
			port->class->unmap(port, queue->pages, disk->setup.pages);
	}
	disk->phase = XEN_IDLE;
}

static void
on_turn_end(struct defer *defer)
{
	struct xen_disk *disk = CONTAINER_OF(defer, struct xen_disk, turn_end);

	if (disk->lie != NULL && !disk->is_lie_told) {
		disk->is_lie_told = true;
		xen_disk_look(disk); /* afterwards, since the owner may free the disk here */
		disk->events->on_lie(disk->owner, disk->lie);
		return;
	}
	if (disk->phase != XEN_LEAVING || is_in_flight(disk))
		return;
	if (!disk->is_left)
		xen_shadow_clear(disk->shadow);
	let_go(disk);
	disk->events->on_drained(disk->owner);
}

/* ---- events of the rings ---- */

static void
on_channel(struct xen_disk *disk, int channel)
{
	for (unsigned i = 0; i < disk->queue_count; i++)
		if (disk->queues[i].channel == channel)
			xen_queue_settle(&disk->queues[i]);
}

static void
on_ready(struct watch *watch, uint32_t events)
{
	struct xen_disk *disk = CONTAINER_OF(watch, struct xen_disk, watch);
	int channels[XEN_RINGS_MAX], count = disk->port->class->take(disk->port, channels, XEN_RINGS_MAX);

	(void)events;
	if (count < 0)
		xen_disk_fail(disk, count, "cannot read the events of a vbd's rings");
	for (int i = 0; i < count; i++)
		on_channel(disk, channels[i]);
	disk->counts.events += count > 0 ? (unsigned)count : 0;
}

/* ---- connect ---- */

static bool
is_in_range(const struct xen_setup *setup)
{
	return setup->abi <= XEN_ABI_X86_32 && setup->rings >= 1 && setup->rings <= XEN_RINGS_MAX &&
	       setup->pages >= 1 && setup->pages <= XEN_RING_PAGES_MAX && (setup->pages & (setup->pages - 1)) == 0;
}

/* A queue that is begun is counted at once, so that let_go() ends what of it there is. */
static int
open_queue(struct xen_disk *disk, struct error *error)
{
	const struct xen_ring_setup *setup = &disk->setup.ring[disk->queue_count];
	struct xen_queue *queue = &disk->queues[disk->queue_count];
	struct xen_port *port = disk->port;

	*queue = (struct xen_queue){.disk = disk, .number = disk->queue_count++, .channel = -1};
	xen_jobs_init(&queue->finished);
	queue->pages = port->class->map(port, setup->references, disk->setup.pages, error);
	if (queue->pages == NULL)
		return error_wrap(error, "ring %u", queue->number);
	queue->channel = port->class->bind(port, setup->event_channel);
	if (queue->channel < 0)
		return error_errno(error, queue->channel, "ring %u: cannot bind event channel %u of the guest",
		    queue->number, setup->event_channel);
	return 0;
}

static int
recover(struct xen_disk *disk, struct error *error)
{
	if (disk->shadow->falls >= XEN_FALLS_MOST)
		return error_set(error, -EPROTO,
		    "%u processes in a row took them over, and each died of what is in flight in them", XEN_FALLS_MOST);
	for (unsigned i = 0; i < disk->queue_count; i++) {
		struct xen_queue *queue = &disk->queues[i];
		const char *lie = NULL;
		int count =
		    xen_ring_recover(&queue->ring, &disk->setup, i, queue->pages, disk->shadow, queue->recovered, &lie);

		if (count < 0)
			return error_set(error, count, "ring %u cannot be taken over: %s", i, lie);
		queue->recovered_count = (unsigned)count;
		disk->recovered_left += (unsigned)count;
		disk->counts.recovered += (unsigned)count;
	}
	disk->shadow->falls++; /* until it is known better */
	return 0;
}

static void
begin_anew(struct xen_disk *disk)
{
	xen_shadow_clear(disk->shadow);
	for (unsigned i = 0; i < disk->queue_count; i++)
		xen_ring_begin(&disk->queues[i].ring, &disk->setup, i, disk->queues[i].pages, disk->shadow);
	xen_shadow_begin(disk->shadow, &disk->setup);
}

static int
open_all(struct xen_disk *disk, struct error *error)
{
	int code = 0;

	while (code == 0 && disk->queue_count < disk->setup.rings)
		code = open_queue(disk, error);
	if (code < 0)
		return code;
	code = watch_start(disk->loop, &disk->watch, disk->port->fd, EPOLLIN, on_ready);
	if (code < 0)
		return error_errno(error, code, "cannot watch the events of the rings");
	if (!disk->setup.is_new && xen_shadow_is_of(disk->shadow, &disk->setup))
		return recover(disk, error);
	begin_anew(disk);
	return 0;
}

/* There may be requests whose event came before us, and responses whose notification a former process died before. */
static void
begin_queue(struct xen_queue *queue)
{
	struct xen_disk *disk = queue->disk;

	if (!disk->is_ended)
		queue->backend = disk->events->backend_of_ring(disk->owner, queue->number);
	disk->port->class->notify(disk->port, queue->channel);
	xen_queue_settle(queue);
}

int
xen_disk_connect(struct xen_disk *disk, const struct xen_setup *setup, struct error *error)
{
	int code;

	if (disk->phase != XEN_IDLE || disk->is_left)
		return error_set(error, -EBUSY, "the vbd is connected already, or was left to another process");
	if (!is_in_range(setup))
		return error_set(error, -EINVAL,
		    "a vbd has 1 to %u rings of 1, 2, 4, 8 or 16 pages: it was asked for %u of %u", XEN_RINGS_MAX,
		    setup->rings, setup->pages);
	disk->setup = *setup;
	disk->lie = NULL;
	disk->is_lie_told = false;
	disk->recovered_left = 0;
	code = open_all(disk, error);
	if (code < 0) {
		let_go(disk);
		return code;
	}
	disk->phase = XEN_CONNECTED;
	for (unsigned i = 0; i < disk->queue_count; i++)
		begin_queue(&disk->queues[i]);
	return 0;
}

void
xen_disk_disconnect(struct xen_disk *disk)
{
	disk->phase = XEN_LEAVING;
	xen_disk_look(disk);
}

bool
xen_disk_is_connected(const struct xen_disk *disk)
{
	return disk->phase != XEN_IDLE;
}

unsigned
xen_disk_rings(const struct xen_disk *disk)
{
	return disk->queue_count;
}

/* ---- its device ---- */

void
xen_disk_release(struct xen_disk *disk)
{
	disk->is_released = true;
}

void
xen_disk_end(struct xen_disk *disk)
{
	disk->is_ended = true;
	for (unsigned i = 0; i < disk->queue_count; i++) {
		disk->queues[i].backend = NULL;
		xen_queue_settle(&disk->queues[i]);
	}
}

void
xen_disk_leave(struct xen_disk *disk)
{
	disk->shadow->falls = 0;
	disk->is_left = true;
}

/* ---- new and free ---- */

static bool
is_possible(const struct geometry *geometry)
{
	uint32_t block = geometry->logical_block;

	return block >= XEN_SECTOR && (block & (block - 1)) == 0 && geometry->most_payload >= block &&
	       (!geometry->can_discard || geometry->most_range >= block);
}

struct xen_disk *
xen_disk_new(struct loop *loop, struct xen_port *port, const struct geometry *geometry, void *shadow,
    size_t shadow_size, const struct xen_disk_events *events, void *owner, struct error *error)
{
	struct xen_disk *disk;

	if (!is_possible(geometry) || shadow_size < XEN_SHADOW_BYTES) {
		error_set(error, -EINVAL, "a vbd needs blocks of 512 bytes or more, and a shadow of %zu bytes",
		    XEN_SHADOW_BYTES);
		return NULL;
	}
	disk = calloc(1, sizeof *disk);
	if (disk == NULL) {
		error_set(error, -ENOMEM, "out of memory for a vbd");
		return NULL;
	}
	disk->loop = loop;
	disk->port = port;
	disk->geometry = *geometry;
	disk->shadow = shadow;
	disk->events = events;
	disk->owner = owner;
	return disk;
}

void
xen_disk_free(struct xen_disk *disk)
{
	if (disk == NULL)
		return;
	defer_stop(&disk->turn_end);
	disk->is_left = true;
	let_go(disk);
	free(disk);
}

const struct xen_counts *
xen_disk_counts(const struct xen_disk *disk)
{
	return &disk->counts;
}
