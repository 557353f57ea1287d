/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine on io_uring(7): what was submitted in a turn of the loop leaves in one system call at its end, and what completed is
 * found when the ring's descriptor becomes readable.
 *
 * Runs in netbus-session. io_uring executes without asking seccomp, so the ring is restricted before the first hostile byte is read: reads,
 * writes, fsync and fallocate, on one registered file and on no descriptor. Requests live in `ops` while the kernel
 * works on them; more than fit wait in the file's list.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

#include "backend/file_engine.h"
#include "base/auto.h"
#include "base/log.h"

#define FILE_SLOT 0 /* of the ring's registered files */
/* When the kernel is short of memory. */
#define RETRY_NS (5 * NS_PER_MS)

struct op_list {
	struct file_op *first, **last;
};

struct uring_engine {
	struct file_engine engine;
	struct io_uring ring;
	struct watch on_ring;
	struct defer turn_end;
	struct timer retry;
	unsigned in_ring; /* ops that have an entry in the ring, submitted or not */
	bool said_refused, is_spent;
	struct file_op ops[LIMIT_CREDITS];
	struct file_op *idle;
	struct op_list again; /* begun, another call is due */
	struct op_list slow;  /* the next call is one that the ring cannot make */
};

static struct uring_engine *
uring_of(struct file_engine *engine)
{
	return CONTAINER_OF(engine, struct uring_engine, engine);
}

/* ---- lists of ops ---- */

static void
list_init(struct op_list *list)
{
	list->first = NULL;
	list->last = &list->first;
}

static void
list_put(struct op_list *list, struct file_op *op)
{
	op->next = NULL;
	*list->last = op;
	list->last = &op->next;
}

static struct file_op *
list_take(struct op_list *list)
{
	struct file_op *op = list->first;

	if (op == NULL)
		return NULL;
	list->first = op->next;
	if (list->first == NULL)
		list->last = &list->first;
	return op;
}

static void
op_idle(struct uring_engine *uring, struct file_op *op)
{
	op->io = NULL;
	op->next = uring->idle;
	uring->idle = op;
}

/* ---- into the ring ---- */

static void
prepare_entry(struct uring_engine *uring, struct io_uring_sqe *entry, struct file_op *op)
{
	struct file_call call = file_op_call(op, uring->engine.zeroes);

	switch (call.kind) {
	case CALL_READ:
		io_uring_prep_read(entry, FILE_SLOT, call.buffer, call.length, call.offset);
		break;
	case CALL_WRITE:
		io_uring_prep_write(entry, FILE_SLOT, call.source, call.length, call.offset);
		entry->rw_flags = call.durable ? RWF_DSYNC : 0;
		break;
	case CALL_PUNCH:
		io_uring_prep_fallocate(
		    entry, FILE_SLOT, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)call.offset, call.length);
		break;
	case CALL_ZERO_RANGE:
		io_uring_prep_fallocate(
		    entry, FILE_SLOT, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)call.offset, call.length);
		break;
	case CALL_SYNC:
	case CALL_DISCARD: /* never gets here: see fill() */
		io_uring_prep_fsync(entry, FILE_SLOT, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(entry, op);
}

/* The op whose call is to be made next: one that has begun, else the oldest that waits. NULL when there is none, or no room for it. */
static struct file_op *
next_op(struct uring_engine *uring)
{
	struct file_op *op = list_take(&uring->again);
	struct io *io;

	if (op != NULL || uring->idle == NULL)
		return op;
	io = io_queue_take(&uring->engine.file->submitted);
	if (io == NULL)
		return NULL;
	op = uring->idle;
	uring->idle = op->next;
	file_op_begin(op, uring->engine.file, io);
	return op;
}

static void on_turn_end(struct defer *defer);

/* Each op has at most one entry, and there are as many entries as ops: a full ring only means that the kernel refused some before. */
static void
fill(struct uring_engine *uring)
{
	struct file_op *op;

	while (io_uring_sq_space_left(&uring->ring) > 0 && (op = next_op(uring)) != NULL) {
		if (op->kind == CALL_DISCARD) {
			list_put(&uring->slow, op);
			defer_start(uring->engine.loop, &uring->turn_end, on_turn_end);
			continue;
		}
		prepare_entry(uring, io_uring_get_sqe(&uring->ring), op);
		uring->in_ring++;
	}
}

static void
on_retry(struct timer *timer)
{
	struct uring_engine *uring = CONTAINER_OF(timer, struct uring_engine, retry);

	defer_start(uring->engine.loop, &uring->turn_end, on_turn_end);
}

static void
submit_entries(struct uring_engine *uring)
{
	int code;

	if (io_uring_sq_ready(&uring->ring) == 0)
		return;
	code = io_uring_submit(&uring->ring);
	if (io_uring_sq_ready(&uring->ring) == 0)
		return;
	/* -EAGAIN, -EBUSY, -EINTR: nothing is lost, the entries stay in the ring. */
	if (code < 0 && code != -EINTR && !uring->said_refused) {
		log_warning("share %s: the kernel takes no more requests for now (%s); trying again",
		    uring->engine.file->name, strerror(-code));
		uring->said_refused = true;
	}
	timer_start(uring->engine.loop, &uring->retry, RETRY_NS, on_retry);
}

/* ---- out of the ring ---- */

static void
take_result(struct uring_engine *uring, struct file_op *op, int result)
{
	struct io *io = op->io;

	if (file_op_step(op, uring->engine.file, result)) {
		list_put(&uring->again, op);
		defer_start(uring->engine.loop, &uring->turn_end, on_turn_end);
		return;
	}
	op_idle(uring, op);
	if (uring->engine.file->submitted.first != NULL)
		defer_start(uring->engine.loop, &uring->turn_end, on_turn_end);
	file_complete(io, io->status);
}

/* The next completion's op, or NULL. Completions of cancellations belong to none and are passed over. */
static struct file_op *
next_completion(struct uring_engine *uring, int *result)
{
	struct io_uring_cqe *entry;
	struct file_op *op;

	while (io_uring_peek_cqe(&uring->ring, &entry) == 0) {
		op = io_uring_cqe_get_data(entry);
		*result = entry->res;
		io_uring_cqe_seen(&uring->ring, entry);
		if (op == NULL)
			continue;
		uring->in_ring--;
		return op;
	}
	return NULL;
}

/* on_done may close the file; then nothing of it is in the ring any more. */
static void
reap(struct uring_engine *uring)
{
	struct file_op *op;
	int result = 0;

	while ((op = next_completion(uring, &result)) != NULL)
		take_result(uring, op, result);
}

static void
on_ring(struct watch *watch, uint32_t events)
{
	(void)events;
	reap(CONTAINER_OF(watch, struct uring_engine, on_ring));
}

static void
make_slow_calls(struct uring_engine *uring)
{
	struct file_op *op;

	while (uring->engine.file != NULL && (op = list_take(&uring->slow)) != NULL) {
		struct file_call call = file_op_call(op, uring->engine.zeroes);

		take_result(uring, op, file_call_now(uring->engine.file->fd, &call));
	}
}

/* What the page cache could answer has completed when the submission returns, and is answered in the same turn. */
static void
on_turn_end(struct defer *defer)
{
	struct uring_engine *uring = CONTAINER_OF(defer, struct uring_engine, turn_end);

	if (uring->engine.file == NULL)
		return;
	fill(uring);
	submit_entries(uring);
	reap(uring);
	make_slow_calls(uring);
}

/* ---- the end of a file ---- */

static void
cancel_all(struct uring_engine *uring)
{
	for (size_t i = 0; i < ARRAY_LENGTH(uring->ops); i++) {
		struct io_uring_sqe *entry = uring->ops[i].io ? io_uring_get_sqe(&uring->ring) : NULL;

		if (entry == NULL)
			continue;
		io_uring_prep_cancel(entry, &uring->ops[i], 0);
		io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
		io_uring_sqe_set_data(entry, NULL);
	}
}

static void
wait_until(struct uring_engine *uring, unsigned in_ring)
{
	struct io_uring_cqe *entry;
	int code, result;

	while (uring->in_ring > in_ring) {
		if (next_completion(uring, &result) != NULL)
			continue;
		code = io_uring_wait_cqe(&uring->ring, &entry);
		if (code < 0 && code != -EINTR) {
			/* Giving the buffers back now would let the kernel write into whatever they become. */
			log_error("share %s: cannot wait for requests in flight: %s", uring->engine.file->name,
			    strerror(-code));
			abort();
		}
	}
}

/* Until the kernel touches no buffer any more. Entries that it does not even take never run: then the ring is not used again. */
static void
wait_for_kernel(struct uring_engine *uring)
{
	unsigned never_taken;

	submit_entries(uring);
	never_taken = io_uring_sq_ready(&uring->ring);
	if (never_taken == 0) {
		cancel_all(uring);
		io_uring_submit(&uring->ring);
	}
	uring->is_spent = io_uring_sq_ready(&uring->ring) > 0;
	wait_until(uring, never_taken);
}

static void
uring_drain(struct file_engine *engine)
{
	struct uring_engine *uring = uring_of(engine);

	wait_for_kernel(uring);
	list_init(&uring->again);
	list_init(&uring->slow);
	uring->in_ring = 0;
	for (size_t i = 0; i < ARRAY_LENGTH(uring->ops); i++) {
		struct io *io = uring->ops[i].io;

		if (io == NULL)
			continue;
		op_idle(uring, &uring->ops[i]);
		file_complete(io, -ESHUTDOWN);
	}
	defer_stop(&uring->turn_end);
	timer_stop(&uring->retry);
}

static int
uring_adopt(struct file_engine *engine, int fd, struct error *error)
{
	struct uring_engine *uring = uring_of(engine);
	int code;

	if (uring->is_spent && fd >= 0)
		return error_set(error, -EIO,
		    "the kernel did not take the requests of an earlier device; start a new "
		    "process");
	code = io_uring_register_files_update(&uring->ring, FILE_SLOT, &fd, 1);
	return code < 0 ? error_errno(error, code, "cannot give the device to io_uring") : 0;
}

static void
uring_wake(struct file_engine *engine)
{
	defer_start(engine->loop, &uring_of(engine)->turn_end, on_turn_end);
}

static void
uring_push(struct file_engine *engine)
{
	fill(uring_of(engine));
	submit_entries(uring_of(engine));
}

static void
uring_free(struct file_engine *engine)
{
	struct uring_engine *uring = uring_of(engine);

	watch_stop(&uring->on_ring);
	defer_stop(&uring->turn_end);
	timer_stop(&uring->retry);
	io_uring_queue_exit(&uring->ring);
	free(uring);
}

static const struct file_engine_class uring_class = {
    "io_uring", uring_adopt, uring_wake, uring_push, uring_drain, uring_free};

/* ---- making one ---- */

struct file_engine *
file_uring_new(struct loop *loop, struct error *error)
{
	struct uring_engine *uring = calloc(1, sizeof *uring);
	const char *step = "allocating memory";
	int code = uring ? file_ring_open(&uring->ring, &step) : -ENOMEM;

	if (code < 0) {
		error_errno(error, code, "no io_uring: %s", step);
		free(uring);
		return NULL;
	}
	code = watch_start(loop, &uring->on_ring, uring->ring.ring_fd, EPOLLIN, on_ring);
	if (code < 0) {
		error_errno(error, code, "no io_uring: watching it");
		io_uring_queue_exit(&uring->ring);
		free(uring);
		return NULL;
	}
	uring->engine.class = &uring_class;
	uring->engine.loop = loop;
	list_init(&uring->again);
	list_init(&uring->slow);
	for (size_t i = 0; i < ARRAY_LENGTH(uring->ops); i++)
		op_idle(uring, &uring->ops[i]);
	return &uring->engine;
}
