/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands between a ring and its lane, and keeps what cannot be answered with the truth yet (daemon/attach_xen.h). Runs in netbus-attach-xen.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "daemon/attach_xen.h"

static void
on_lane_done(struct io *io)
{
	struct keeper *keeper = io->backend_data;

	io->on_done = keeper->on_done;
	if (keeper->is_ending || io->status == -ESHUTDOWN)
		io_queue_put(&keeper->kept, io);
	else
		io->on_done(io);
}

static void
keeper_submit(struct backend *backend, struct io *io)
{
	struct keeper *keeper = (struct keeper *)backend;

	if (keeper->lane == NULL) {
		io_queue_put(&keeper->kept, io);
		return;
	}
	assert(keeper->on_done == NULL || keeper->on_done == io->on_done);
	keeper->on_done = io->on_done;
	io->on_done = on_lane_done;
	io->backend_data = keeper;
	io_submit(keeper->lane, io);
}

static void
keeper_close(struct backend *backend)
{
	(void)backend; /* it belongs to the guest */
}

static const struct backend_class keeper_class = {.name = "keeper", .submit = keeper_submit, .close = keeper_close};

void
keeper_init(struct keeper *keeper, const struct geometry *geometry)
{
	*keeper = (struct keeper){.backend = {&keeper_class, *geometry}};
	io_queue_init(&keeper->kept);
}

void
keeper_give_up(struct keeper *keeper, int status)
{
	struct io *io;

	while ((io = io_queue_take(&keeper->kept)) != NULL) {
		io->status = status;
		io->on_done(io);
	}
}
