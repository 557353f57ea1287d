/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside a vbd (frontend/xen_disk.h). xen_disk.c is its life and its events, xen_queue.c a ring's turn: requests in, batches of copies, responses out; xen_job.c a request's memory and
 * its way through the backend.
 *
 * A turn of a queue is one batch each of: copies of what was read to the guest, copies of indirect segments from it, copies of what is to be written from it; then one
 * push of responses and at most one notification.
 */
#ifndef NETBUS_FRONTEND_XEN_VBD_H
#define NETBUS_FRONTEND_XEN_VBD_H

#include <stdbool.h>

#include "frontend/xen_blkif.h"
#include "frontend/xen_disk.h"
#include "frontend/xen_ring.h"

/* Bytes of requests of one ring that are taken and not answered, each segment counted as a page: beyond that the guest's ring is the queue. */
#define XEN_QUEUE_BYTES_MAX ((size_t)LIMIT_CREDIT_BYTES)
/* Memory of requests that are over which a ring keeps for its next ones. */
#define XEN_SPARE_BYTES_MAX ((size_t)LIMIT_CREDIT_BYTES)
/* Of a request with the backend at the same time. */
#define XEN_PARTS_MAX 8u
/* A request that brings the process down brings down the next one, too, which takes it over: after so many in a row nobody tries again. */
#define XEN_FALLS_MOST 16u
/* One batch: the limit above is passed by one request at most. */
#define XEN_BATCH_MAX (LIMIT_CREDIT_BYTES / XEN_PAGE + XEN_INDIRECT_SEGMENTS_MAX)

struct xen_job;

/* As much of a request as the backend takes at once. */
struct xen_part {
	struct io io;
	struct xen_job *job;
	struct xen_part *next; /* of those that are not with the backend */
};

struct xen_job {
	struct xen_queue *queue;
	struct xen_job *next; /* in the list that it is in */
	uint16_t entry;       /* of the shadow */
	struct xen_request request;
	const struct xen_segment *segments; /* request.segments of them */
	size_t charge;                      /* of the queue's bytes */
	bool is_recovered;                  /* a former process had it, too */
	int16_t answer;                     /* BLKIF_RSP_...; what the backend and the copies say is put in here */
	bool is_flushing;                   /* the flush before a write */
	uint64_t sent;                      /* bytes that were given to the backend */
	unsigned parts_out;
	unsigned first_copy; /* in the batch */
	struct xen_part *idle;
	uint8_t *memory; /* owned, as the rest; stays with the job for its next request */
	size_t memory_room;
	struct xen_segment *many; /* for XEN_INDIRECT_SEGMENTS_MAX, or NULL */
	struct xen_part parts[XEN_PARTS_MAX];
};

struct xen_job_list {
	struct xen_job *first, **last;
};

struct xen_queue {
	struct xen_disk *disk;
	unsigned number;
	void *pages; /* mapped */
	int channel; /* our end, or -1 */
	struct xen_ring ring;
	struct backend *backend;
	struct defer turn_end;
	struct timer again; /* there is more than one turn is for */
	unsigned in_flight; /* requests that are taken and not answered */
	size_t in_flight_bytes;
	unsigned in_backend;          /* parts */
	bool is_submitted;            /* in this turn, for the backend's kick */
	struct xen_job_list finished; /* to be answered */
	struct xen_job *spare;
	size_t spare_bytes;
	unsigned recovered_count; /* that are still to be taken up, from the end */
	uint16_t recovered[XEN_RING_SLOTS_MAX];
};

enum xen_phase {
	XEN_IDLE,
	XEN_CONNECTED,
	XEN_LEAVING, /* disconnect: what is in flight is answered */
};

struct xen_disk {
	struct loop *loop;
	struct xen_port *port;
	struct geometry geometry;
	struct xen_shadow *shadow;
	const struct xen_disk_events *events;
	void *owner;
	enum xen_phase phase;
	bool is_released, is_ended; /* what is new is answered with an error */
	bool is_left;               /* nothing is taken, nothing answered, for good */
	const char *lie;            /* not NULL: likewise, until the frontend connects anew */
	bool is_lie_told;
	struct xen_setup setup;
	struct xen_queue queues[XEN_RINGS_MAX];
	unsigned queue_count;    /* that are mapped */
	unsigned recovered_left; /* requests of a former process that are not answered yet */
	struct watch watch;
	struct defer turn_end; /* tells of lies, and of the end */
	struct xen_counts counts;
	unsigned batch_count;
	struct xen_copy batch[XEN_BATCH_MAX];
};

static inline void
xen_jobs_init(struct xen_job_list *list)
{
	*list = (struct xen_job_list){.last = &list->first};
}

static inline void
xen_jobs_put(struct xen_job_list *list, struct xen_job *job)
{
	job->next = NULL;
	*list->last = job;
	list->last = &job->next;
}

static inline struct xen_job *
xen_jobs_take(struct xen_job_list *list)
{
	struct xen_job *job = list->first;

	if (job == NULL)
		return NULL;
	list->first = job->next;
	if (list->first == NULL)
		list->last = &list->first;
	return job;
}

/* ---- xen_disk.c ---- */

/* Whether the guest may be given anything, and taken from. */
static inline bool
xen_disk_serves(const struct xen_disk *disk)
{
	return !disk->is_left && disk->lie == NULL && disk->phase != XEN_IDLE;
}

/* The guest broke the protocol. */
void xen_disk_break(struct xen_disk *disk, const char *lie);
/* We cannot go on, through no fault of the guest's: ends the loop, so that the next process takes the rings over. */
void xen_disk_fail(struct xen_disk *disk, int code, const char *what);
/* Something of it is over: is all? */
void xen_disk_look(struct xen_disk *disk);

/* ---- xen_queue.c ---- */

/* At the end of this turn of the loop. */
void xen_queue_settle(struct xen_queue *queue);
/* Nothing of it happens any more; jobs must be back from the backend. */
void xen_queue_stop(struct xen_queue *queue);

/* ---- xen_job.c ---- */

/* NULL: out of memory. */
struct xen_job *xen_job_new(struct xen_queue *queue, uint16_t entry);
/* Counts it among the queue's; memory that is much larger than it needs is given back. */
void xen_job_charge(struct xen_job *job);
/* Memory for so many bytes; what was in it is lost. */
bool xen_job_give_memory(struct xen_job *job, size_t length);
bool xen_job_give_segments(struct xen_job *job);
void xen_job_free(struct xen_job *job);
void xen_jobs_free_spare(struct xen_queue *queue);
/* To the backend; it is put among the finished when it is over, not before this returns. */
void xen_job_submit(struct xen_job *job);

#endif
