/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands between a ring and its lane, and keeps what cannot be answered with the truth yet (daemon/attach_xen.h). Runs in netbus-attach-xen.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "daemon/attach_xen.h"

static void
keep(struct keeper *keeper, struct io *io)
{
	io->next = NULL;
	*keeper->kept_end = io;
	keeper->kept_end = &io->next;
}

static void
on_lane_done(struct io *io)
{
	struct keeper *keeper = io->backend_data;

	io->on_done = keeper->on_done;
	if (keeper->is_ending || io->status == -ESHUTDOWN)
		keep(keeper, io);
	else
		io->on_done(io);
}

static void
keeper_submit(struct backend *backend, struct io *io)
{
	struct keeper *keeper = (struct keeper *)backend;

	if (keeper->lane == NULL) {
		keep(keeper, io);
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
	*keeper = (struct keeper){.backend = {&keeper_class, *geometry}, .kept_end = &keeper->kept};
}

void
keeper_give_up(struct keeper *keeper, int status)
{
	struct io *io;

	while ((io = keeper->kept) != NULL) {
		keeper->kept = io->next;
		if (keeper->kept == NULL)
			keeper->kept_end = &keeper->kept;
		io->status = status;
		io->on_done(io);
	}
}
