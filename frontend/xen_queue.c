/* SPDX-License-Identifier: Apache-2.0
 *
 * A turn of one ring of a vbd (frontend/xen_vbd.h): answers what is finished, takes what the guest has asked for, and pushes. Runs in netbus-attach-xen. What is in the
 * ring is hostile: xen_ring.c and xen_blkif.c check it, this file does what they say.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>

#include "base/auto.h"
#include "frontend/xen_vbd.h"

/* ---- a batch of copies: of one queue, begun and ended within its turn ---- */

static void
add_copy(struct xen_disk *disk, struct xen_copy copy)
{
	assert(disk->batch_count < XEN_BATCH_MAX);
	disk->batch[disk->batch_count++] = copy;
}

/* All segments, to or from the job's memory, side by side there. */
static void
add_data(struct xen_job *job)
{
	struct xen_disk *disk = job->queue->disk;
	uint8_t *local = job->memory;

	job->first_copy = disk->batch_count;
	for (unsigned i = 0; i < job->request.segments; i++) {
		const struct xen_segment *segment = &job->segments[i];

		add_copy(disk, (struct xen_copy){.local = local,
				   .reference = segment->reference,
				   .offset = segment->offset,
				   .length = segment->length,
				   .to_guest = job->request.op == IO_READ});
		local += segment->length;
	}
}

static void
add_segments(struct xen_job *job)
{
	struct xen_disk *disk = job->queue->disk;
	unsigned left = job->request.segments;

	job->first_copy = disk->batch_count;
	for (unsigned i = 0; left > 0; i++) {
		unsigned here = left < XEN_PAGE_SEGMENTS ? left : XEN_PAGE_SEGMENTS;

		add_copy(disk, (struct xen_copy){.local = job->memory + (size_t)i * XEN_PAGE,
				   .reference = job->request.pages[i],
				   .length = (uint16_t)(here * XEN_SEGMENT_LEN)});
		left -= here;
	}
}

static void
copy_all(struct xen_disk *disk)
{
	if (disk->batch_count == 0)
		return;
	disk->port->class->copy(disk->port, disk->batch, disk->batch_count);
	disk->counts.copy_calls++;
	disk->counts.copies += disk->batch_count;
	disk->batch_count = 0;
}

/* Whether `count` copies of the job went well. The batch is over, but what is in it is still there. */
static bool
is_copied(const struct xen_job *job, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (job->queue->disk->batch[job->first_copy + i].status != 0)
			return false;
	return true;
}

/* ---- answers ---- */

static void
count_answer(struct xen_counts *counts, const struct xen_job *job)
{
	if (job->answer != 0) {
		counts->errors++;
		return;
	}
	counts->requests++;
	if (job->request.op == IO_READ)
		counts->bytes_read += job->request.length;
	else if (job->request.op == IO_WRITE)
		counts->bytes_written += job->request.length;
}

static void
answer(struct xen_job *job)
{
	struct xen_queue *queue = job->queue;
	uint8_t bytes[XEN_RESPONSE_LEN_MAX];

	if (xen_disk_serves(queue->disk)) {
		xen_response_print(queue->ring.abi, &job->request, job->answer, bytes);
		xen_ring_answer(&queue->ring, job->entry, bytes);
		queue->disk->recovered_left -= job->is_recovered;
		count_answer(&queue->disk->counts, job);
	}
	xen_job_free(job);
}

static bool
is_to_be_copied(const struct xen_job *job)
{
	return job->request.op == IO_READ && job->answer == 0 && xen_disk_serves(job->queue->disk);
}

static void
answer_finished(struct xen_queue *queue)
{
	struct xen_job *job;

	for (job = queue->finished.first; job; job = job->next)
		if (is_to_be_copied(job))
			add_data(job);
	copy_all(queue->disk);
	while ((job = xen_jobs_take(&queue->finished)) != NULL) {
		if (is_to_be_copied(job) && !is_copied(job, job->request.segments))
			job->answer = xen_status(-EIO);
		answer(job);
	}
}

/* ---- requests ---- */

static void
finish(struct xen_job *job, int16_t status)
{
	job->answer = status;
	xen_jobs_put(&job->queue->finished, job);
}

static bool
is_full(const struct xen_queue *queue)
{
	return queue->in_flight_bytes >= XEN_QUEUE_BYTES_MAX;
}

/* As xen_ring_take(), and what was recovered first. */
static int
take_bytes(struct xen_queue *queue, uint8_t *bytes, uint16_t *entry, const char **lie)
{
	if (queue->recovered_count == 0)
		return xen_ring_take(&queue->ring, bytes, entry, lie);
	*entry = queue->recovered[--queue->recovered_count];
	xen_ring_retake(&queue->ring, *entry, bytes);
	return 1;
}

/* NULL: there is none now, or it was the last that will be taken. What is refused is put among the finished. */
static struct xen_job *
take_job(struct xen_queue *queue, enum xen_verdict *verdict)
{
	struct xen_disk *disk = queue->disk;
	uint8_t bytes[XEN_REQUEST_LEN_MAX];
	bool is_recovered = queue->recovered_count > 0;
	const char *lie = NULL;
	struct xen_job *job;
	uint16_t entry;
	int got = take_bytes(queue, bytes, &entry, &lie);

	if (got < 0)
		xen_disk_break(disk, lie);
	if (got <= 0)
		return NULL;
	job = xen_job_new(queue, entry);
	if (job == NULL) { /* it is in the shadow, and stays there */
		xen_disk_fail(disk, -ENOMEM, "a request of a vbd cannot be taken");
		return NULL;
	}
	job->is_recovered = is_recovered;
	*verdict = xen_request_parse(queue->ring.abi, &disk->geometry, bytes, &job->request, &lie);
	if (*verdict == XEN_LIE) {
		xen_disk_break(disk, lie);
		xen_job_free(job);
		return NULL;
	}
	return job;
}

static bool
has_device(const struct xen_queue *queue)
{
	return !queue->disk->is_released && queue->backend != NULL;
}

/* With the segments known: memory, and, for a write, the copies. */
static void
prepare_data(struct xen_job *job, struct xen_job_list *ready)
{
	bool has_data = job->request.op == IO_READ || job->request.op == IO_WRITE;

	if (has_data && !xen_job_give_memory(job, job->request.length)) {
		finish(job, xen_status(-ENOMEM));
		return;
	}
	if (job->request.op == IO_WRITE)
		add_data(job);
	xen_jobs_put(ready, job);
}

static void
prepare_indirect(struct xen_job *job, struct xen_job_list *indirect)
{
	size_t pages = xen_segment_pages(job->request.segments);

	if (!xen_job_give_memory(job, pages * XEN_PAGE) || !xen_job_give_segments(job)) {
		finish(job, xen_status(-ENOMEM));
		return;
	}
	add_segments(job);
	xen_jobs_put(indirect, job);
}

/* Until the ring is empty, or enough is in flight. One ring's length at most, so that others have their turn. */
static void
take_jobs(struct xen_queue *queue, struct xen_job_list *direct, struct xen_job_list *indirect)
{
	for (uint32_t i = 0; i < queue->ring.size && !is_full(queue); i++) {
		enum xen_verdict verdict = XEN_SERVE;
		struct xen_job *job = take_job(queue, &verdict);

		if (job == NULL)
			return;
		if (verdict != XEN_SERVE) {
			finish(job, xen_verdict_status(verdict));
			continue;
		}
		xen_job_charge(job);
		if (!has_device(queue))
			finish(job, xen_status(-ESHUTDOWN));
		else if (job->request.is_indirect)
			prepare_indirect(job, indirect);
		else
			xen_jobs_put(direct, job);
	}
}

/* False: the guest lied, and the job is gone. */
static bool
read_segments(struct xen_job *job, struct xen_job_list *direct)
{
	struct xen_disk *disk = job->queue->disk;
	enum xen_verdict verdict;
	const char *lie = NULL;

	if (!is_copied(job, xen_segment_pages(job->request.segments))) {
		finish(job, xen_status(-EIO));
		return true;
	}
	verdict = xen_segments_parse(&disk->geometry, job->memory, &job->request, job->many, &lie);
	if (verdict == XEN_LIE) {
		xen_disk_break(disk, lie);
		xen_job_free(job);
		return false;
	}
	if (verdict != XEN_SERVE) {
		finish(job, xen_verdict_status(verdict));
		return true;
	}
	xen_jobs_put(direct, job);
	return true;
}

static void
drop(struct xen_job_list *list)
{
	struct xen_job *job;

	while ((job = xen_jobs_take(list)) != NULL)
		xen_job_free(job);
}

static void
submit_ready(struct xen_job_list *ready)
{
	struct xen_job *job;

	while ((job = xen_jobs_take(ready)) != NULL) {
		if (job->request.op == IO_WRITE && !is_copied(job, job->request.segments))
			finish(job, xen_status(-EIO));
		else
			xen_job_submit(job);
	}
}

static void
take_requests(struct xen_queue *queue)
{
	struct xen_job_list direct, indirect, ready;
	struct xen_disk *disk = queue->disk;
	struct xen_job *job;

	xen_jobs_init(&direct);
	xen_jobs_init(&indirect);
	xen_jobs_init(&ready);
	take_jobs(queue, &direct, &indirect);
	copy_all(disk);
	while (disk->lie == NULL && (job = xen_jobs_take(&indirect)) != NULL)
		read_segments(job, &direct);
	while (disk->lie == NULL && (job = xen_jobs_take(&direct)) != NULL) {
		job->segments = job->request.is_indirect ? job->many : job->request.segment;
		prepare_data(job, &ready);
	}
	copy_all(disk);
	submit_ready(&ready);
	/* After a lie: nothing of that turn reaches the device. */
	drop(&indirect);
	drop(&direct);
}

/* ---- the turn ---- */

static void
push(struct xen_queue *queue)
{
	struct xen_disk *disk = queue->disk;
	bool is_wanted;

	if (!xen_disk_serves(disk))
		return;
	is_wanted = xen_ring_push(&queue->ring);
	if (disk->recovered_left == 0 && disk->shadow->falls != 0)
		disk->shadow->falls = 0;
	if (!is_wanted)
		return;
	disk->port->class->notify(disk->port, queue->channel);
	disk->counts.notifications++;
}

static void
kick(struct xen_queue *queue)
{
	if (queue->is_submitted && queue->backend && queue->backend->class->kick)
		queue->backend->class->kick(queue->backend);
	queue->is_submitted = false;
}

static bool
is_taking(const struct xen_queue *queue)
{
	return xen_disk_serves(queue->disk) && queue->disk->phase == XEN_CONNECTED;
}

static void
on_again(struct timer *timer)
{
	xen_queue_settle(CONTAINER_OF(timer, struct xen_queue, again));
}

/* While too much is in flight nothing is asked of the guest: the end of a request looks at the ring anyway. */
static void
rest(struct xen_queue *queue)
{
	if (!is_taking(queue) || is_full(queue))
		return;
	if (queue->recovered_count > 0 || !xen_ring_sleep(&queue->ring))
		timer_start(queue->disk->loop, &queue->again, 0, on_again);
	else
		loop_poll(queue->disk->loop);
}

static void
on_turn_end(struct defer *defer)
{
	struct xen_queue *queue = CONTAINER_OF(defer, struct xen_queue, turn_end);

	answer_finished(queue);
	if (is_taking(queue))
		take_requests(queue);
	answer_finished(queue); /* what was refused at once */
	push(queue);
	kick(queue);
	rest(queue);
	if (queue->in_flight == 0)
		xen_disk_look(queue->disk);
}

void
xen_queue_settle(struct xen_queue *queue)
{
	defer_start(queue->disk->loop, &queue->turn_end, on_turn_end);
}

void
xen_queue_stop(struct xen_queue *queue)
{
	assert(queue->in_backend == 0);
	defer_stop(&queue->turn_end);
	timer_stop(&queue->again);
	drop(&queue->finished);
	xen_jobs_free_spare(queue);
}
