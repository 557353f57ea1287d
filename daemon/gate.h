/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside netbus-gate: the only process that accepts and makes TCP connections. It reads no byte of them. gate.c is the process and what it is told, gate_accept.c
 * connections that come, gate_connect.c connections that are made, gate_admit.c who may come.
 */
#ifndef NETBUS_DAEMON_GATE_H
#define NETBUS_DAEMON_GATE_H

#include <stdbool.h>

#include "base/loop.h"
#include "daemon/channel.h"
#include "daemon/outbox.h"
#include "daemon/gate_admit.h"

#define GATE_LISTENERS_MAX 17 /* CONFIG_LISTEN_MAX, and one for newcomers */

struct gate;

struct listener {
	struct gate *gate;
	struct watch watch;
	int fd;
	uint8_t door; /* enum door */
};

/* A connection that has not spoken yet, or spoke and waits for a place among the unproved. */
struct waiting {
	struct waiting *next, *prev; /* oldest first */
	struct gate *gate;
	struct watch watch;
	struct timer silence;
	int fd;
	uint8_t door;
	bool spoke;
	char source[ADDRESS_TEXT_LEN];
};

/* A connection on its way out. */
struct connecting {
	struct connecting *next, *prev;
	struct gate *gate;
	struct watch watch;
	struct timer late;
	int fd;
	uint32_t id;
	uint8_t lane;
	char address[128];
};

struct gate {
	struct loop *loop;
	struct channel monitor;
	struct watch on_monitor;
	struct outbox outbox; /* to the monitor */
	struct listener listeners[GATE_LISTENERS_MAX];
	unsigned listener_count;
	struct timer pause; /* accepting stops while descriptors are short */
	bool is_paused;
	struct admit *admit;
	struct waiting *oldest, *newest;
	struct connecting *connecting;
	unsigned closed; /* connections closed since the log last said so */
	uint64_t said_ns;
};

/* ---- gate.c ---- */
/* In order, queued when the channel has no room. Takes fd over (-1 none). */
void gate_tell(struct gate *gate, uint16_t number, const void *message, int fd);
bool gate_is_behind(const struct gate *gate);
/* What every connection gets that is handed on. */
void gate_set_options(int fd);

/* ---- gate_accept.c ---- */
void gate_listen(struct gate *gate, const struct msg_gate_listen *order);
/* There may be room among the unproved now. */
void gate_pass_on(struct gate *gate);
void gate_accept_clear(struct gate *gate);

/* ---- gate_connect.c ---- */
void gate_connect(struct gate *gate, const struct msg_gate_connect *order);
void gate_connect_clear(struct gate *gate);

#endif
