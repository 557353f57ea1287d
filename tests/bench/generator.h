/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the load generator: what it was asked for, its lanes, and the protocols that a lane can speak. generator.c keeps the requests going and
 * counts; speak_nbd.c and speak_netbus.c know the bytes.
 */
#ifndef NETBUS_BENCH_GENERATOR_H
#define NETBUS_BENCH_GENERATOR_H

#include "backend/backend.h"
#include "tests/bench/bulk.h"

struct options {
	const char *speak;   /* netbus | nbd-starttls | nbd-tls | nbd */
	const char *connect; /* HOST:PORT or a path */
	const char *certificate, *key, *ca;
	const char *share, *vm; /* netbus: %u is the lane's number; nbd: `share` is the export */
	const char *op;         /* read | write | mix | verify */
	uint32_t bytes;         /* of one request */
	unsigned depth, lanes, parallel;
	double seconds;
	uint64_t total;  /* bytes to move instead of seconds, or 0 */
	unsigned opens;  /* connections to open, use for one read and close, instead of a load; or 0 */
	unsigned server; /* the server's process, whose CPU time is to be told; or 0 */
	bool spin;       /* looks for replies without sleeping */
	bool cold;       /* begins to count at once, without a pass over the device */
	bool each;       /* netbus: every lane is a lease of its own */
	bool hold;       /* says "holding" when all lanes are up, and starts the load when a line comes in */
	bool stay;       /* keeps the lanes after the load until a line comes in, and then detaches in order */
	bool
	    outlive; /* while it holds: a lane that is taken back is let go, and the others stay; ends with 2 when all were */
	unsigned pause_ms; /* each slot waits so long after a reply before it asks again */
	uint64_t rekey;    /* records of ours after which both sides change their keys, or 0 */
};

struct slot {
	enum io_op op;
	uint64_t offset, began_ns;
	uint32_t length;
	uint8_t *buffer; /* verify only */
	uint64_t mark;   /* what the last write left there, next to where it is */
};

struct lane {
	const struct options *options;
	const struct protocol *protocol;
	struct bulk bulk;
	unsigned number;
	uint64_t size, epoch;
	uint8_t lease[16];
	uint8_t *in;
	size_t start, end;
	uint32_t missing;     /* bytes of the payload under way */
	struct slot *reading; /* whose it is; NULL: nobody's */
	struct slot *slots;
	uint64_t rounds; /* marks given */
	unsigned begun;  /* requests since the last flush */
	uint64_t warm;   /* how far the first pass over the device has come */
};

struct protocol {
	const char *name;
	size_t header;
	/* Connects and asks for the device; `first`: lane 0 of the same lease, or NULL. */
	void (*open)(struct lane *lane, const struct lane *first);
	void (*request)(struct lane *lane, const struct slot *slot, unsigned number, const uint8_t *payload);
	/* A reply's header: whose it is (NULL: none's, its payload is dropped) and how much payload follows. */
	struct slot *(*reply)(struct lane *lane, const uint8_t *header, uint32_t *payload);
	void (*leave)(struct lane *lane);
};

extern const struct protocol netbus_protocol, nbd_protocol;

/* Connected, not secured. */
int lane_connect(const struct options *options);
/* `length` bytes of input, waiting for them; only while a lane is opened. */
const uint8_t *lane_need(struct lane *lane, size_t length);

#endif
