/* SPDX-License-Identifier: Apache-2.0
 *
 * A request of a vbd on its way through the backend, in parts as large as that takes, and its memory, which is allocated once and used again
 * (frontend/xen_vbd.h). Runs in netbus-attach-xen. The request has been checked.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "frontend/xen_vbd.h"

/* ---- memory ---- */

static void
really_free(struct xen_job *job)
{
	free(job->memory);
	free(job->many);
	free(job);
}

struct xen_job *
xen_job_new(struct xen_queue *queue, uint16_t entry)
{
	struct xen_job *job = queue->spare, kept = {0};

	if (job != NULL) {
		queue->spare = job->next;
		queue->spare_bytes -= job->memory_room;
		kept = *job;
	} else {
		job = malloc(sizeof *job);
		if (job == NULL)
			return NULL;
	}
	*job = (struct xen_job){
	    .queue = queue, .entry = entry, .memory = kept.memory, .memory_room = kept.memory_room, .many = kept.many};
	for (unsigned i = 0; i < XEN_PARTS_MAX; i++) {
		job->parts[i].job = job;
		job->parts[i].next = job->idle;
		job->idle = &job->parts[i];
	}
	queue->in_flight++;
	return job;
}

void
xen_job_charge(struct xen_job *job)
{
	job->charge = (size_t)job->request.segments * XEN_PAGE;
	job->queue->in_flight_bytes += job->charge;
	/* Or many small requests would hold the memory of large ones, which nobody counts. */
	if (job->memory_room > 2 * job->charge) {
		free(TAKE(job->memory));
		job->memory_room = 0;
	}
}

bool
xen_job_give_memory(struct xen_job *job, size_t length)
{
	size_t room = (length + XEN_PAGE - 1) / XEN_PAGE * XEN_PAGE;

	/* On whole pages: gntdev cuts each copy where a page of ours ends, and sixteen pieces are a hypercall. */
	if (job->memory_room < room) {
		free(job->memory);
		job->memory = aligned_alloc(XEN_PAGE, room);
		job->memory_room = job->memory ? room : 0;
	}
	return job->memory != NULL;
}

bool
xen_job_give_segments(struct xen_job *job)
{
	if (job->many == NULL)
		job->many = malloc(XEN_INDIRECT_SEGMENTS_MAX * sizeof *job->many);
	return job->many != NULL;
}

void
xen_job_free(struct xen_job *job)
{
	struct xen_queue *queue = job->queue;

	queue->in_flight--;
	queue->in_flight_bytes -= job->charge;
	if (queue->spare_bytes + job->memory_room > XEN_SPARE_BYTES_MAX) {
		free(TAKE(job->memory));
		job->memory_room = 0;
	}
	queue->spare_bytes += job->memory_room;
	job->next = queue->spare;
	queue->spare = job;
}

void
xen_jobs_free_spare(struct xen_queue *queue)
{
	struct xen_job *job;

	while ((job = queue->spare) != NULL) {
		queue->spare = job->next;
		really_free(job);
	}
	queue->spare_bytes = 0;
}

/* ---- parts ---- */

static uint64_t
most_of_part(const struct geometry *geometry, enum io_op op)
{
	uint32_t most = op == IO_DISCARD ? geometry->most_range : geometry->most_payload;

	return most - most % geometry->logical_block;
}

static void on_part_done(struct io *io);

static void
submit_io(struct xen_job *job, const struct io *io)
{
	struct xen_queue *queue = job->queue;
	struct xen_part *part = job->idle;

	job->idle = part->next;
	part->io = *io;
	part->io.on_done = on_part_done;
	job->parts_out++;
	queue->in_backend++;
	queue->is_submitted = true;
	io_submit(queue->backend, &part->io);
}

static bool
is_failed(const struct xen_job *job)
{
	return job->answer != 0;
}

static void
submit_next(struct xen_job *job)
{
	const struct xen_request *request = &job->request;
	uint64_t most = most_of_part(&job->queue->disk->geometry, request->op), left = request->length - job->sent;
	struct io io = {
	    .op = request->op,
	    .offset = request->offset + job->sent,
	    .length = (uint32_t)(left < most ? left : most),
	    .buffer = request->op == IO_DISCARD ? NULL : job->memory + job->sent,
	};

	job->sent += io.length;
	submit_io(job, &io);
}

static bool
has_more(const struct xen_job *job)
{
	return !is_failed(job) && !job->is_flushing && job->sent < job->request.length;
}

/* Since the request began, the device may have gone, or the guest may have lied. */
static void
go_on(struct xen_job *job)
{
	if (has_more(job) && (job->queue->backend == NULL || !xen_disk_serves(job->queue->disk)))
		job->answer = xen_status(-ESHUTDOWN);
	while (has_more(job) && job->idle != NULL)
		submit_next(job);
	if (job->parts_out > 0)
		return;
	xen_jobs_put(&job->queue->finished, job);
}

static void
on_part_done(struct io *io)
{
	struct xen_part *part = CONTAINER_OF(io, struct xen_part, io);
	struct xen_job *job = part->job;
	struct xen_queue *queue = job->queue;

	part->next = job->idle;
	job->idle = part;
	job->parts_out--;
	job->is_flushing = false;
	queue->in_backend--;
	if (io->status < 0 && !is_failed(job))
		job->answer = xen_status(io->status);
	go_on(job);
	xen_queue_settle(queue);
}

void
xen_job_submit(struct xen_job *job)
{
	const struct xen_request *request = &job->request;

	assert(job->queue->backend != NULL);
	if (request->op == IO_FLUSH || request->flushes_first) {
		job->is_flushing = true;
		submit_io(job, &(struct io){.op = IO_FLUSH});
		return;
	}
	go_on(job);
}
