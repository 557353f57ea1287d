/* SPDX-License-Identifier: Apache-2.0
 *
 * One simulated schedule: an export host with netbus-broker's hands, a monitor, processes and a database, attach hosts and an operator, all decided by
 * one seed. Unlike the checker's world this one has real times, many lanes, many leases one after the other, and channels.
 *
 * What the channels may do to a message, as the real ones: the streams of hosts (TLS) delay it and keep its order until they end, and what was under way
 * then is lost; a host that hears nothing asks again on another stream, so that what it asks for comes twice. The channels between broker, monitor and
 * each process lose nothing and keep their order, each for itself, but delay. A crash loses all of them.
 */
#ifndef NETBUS_TESTS_MODEL_SIMULATE_WORLD_H
#define NETBUS_TESTS_MODEL_SIMULATE_WORLD_H

#include "tests/model/simulate_store.h"

#define SIM_HOSTS     4
#define SIM_LEASES    (SIM_HOSTS * STORE_SHARES)
#define SIM_PROCESSES 96
#define SIM_MESSAGES  1024

enum message_kind {
	/* from hosts, through their lane's process */
	TO_ASK,
	TO_STAND_BY, /* number: id of the source */
	TO_JOIN,     /* number: epoch */
	TO_HEARD,    /* number: when */
	TO_YIELD,    /* number: until */
	TO_RESUME,
	TO_CLAIM,
	TO_LEAVE,
	/* from an operator */
	TO_REVOKE,
	TO_RELEASE, /* number: until */
	/* from the broker's own channels */
	TO_HEAR_GONE,
	TO_HEAR_FENCED,
	TO_HEAR_ANSWER,
	TO_RETRY,
	TO_TIME,
	/* to the monitor, and what happens there */
	TO_OPEN,
	TO_FENCE, /* number: courtesy */
	TO_DIE,
	TO_DRAIN,
	/* what makes all that happen */
	HOST_ACTS,
	OPERATOR_ACTS,
	CRASH, /* number: 1 = torn */
	START,
	MESSAGE_KINDS,
};

struct message {
	uint64_t at_ms, order; /* order: of those at the same time */
	uint64_t lease, process, number;
	enum message_kind kind;
	uint8_t host;
};

/* A lane's process, as the monitor and the broker know it. */
struct process {
	uint64_t id, lease, stream_ms; /* stream_ms: its channel to the broker keeps its order */
	uint8_t host, share, lane;
	bool write, alive, device;
	bool attached; /* the broker has not heard of its end */
};

struct sim_lease {
	struct lease_core core;
	uint64_t id, partner; /* partner: a standby's source, a moving source's target */
	uint64_t lane[LEASE_LANES_MOST];
	uint64_t timer_ms; /* when TO_TIME comes, 0 = not */
	uint8_t host, share;
	bool write, fencing;
	bool drained; /* it yielded, and was not resumed */
	bool revoked; /* it was told to end */
	enum { IDLE, STORES, MOVES, ENDS } order;
	bool answer;
	uint64_t answer_epoch;
};

struct schedule {
	uint64_t seed, random, now_ms, order, next_id;
	bool trace, kind, down; /* kind: no more faults, nobody wants anything any more */
	const char *broken;
	struct store store;
	struct share_core share[STORE_SHARES];
	uint64_t highest[STORE_SHARES]; /* epoch that ever executed */
	struct sim_lease lease[SIM_LEASES];
	struct process process[SIM_PROCESSES];
	struct message heap[SIM_MESSAGES];
	unsigned messages;
	uint64_t to_monitor_ms, from_monitor_ms, database_ms; /* channels that keep their order */
	struct {
		uint64_t messages, leases, moves, failed_moves, crashes, fences;
	} count;
};

/* Plays the schedule of its seed: whether every promise held. */
bool schedule_play(struct schedule *schedule, uint64_t seed, struct disk *disk, bool trace);

/* ---- simulate_world.c: random numbers, messages, who is who ---- */
uint64_t draw(struct schedule *schedule, uint64_t below);
bool chance(struct schedule *schedule, unsigned percent);
void expect(struct schedule *schedule, bool holds, const char *sentence);
void send(struct schedule *schedule, uint64_t at_ms, struct message message);
/* After a delay of up to `most_ms`, in the order of the channel whose last time is *channel_ms. */
void send_in_order(struct schedule *schedule, uint64_t *channel_ms, uint64_t most_ms, struct message message);
bool receive(struct schedule *schedule, struct message *message);
void message_print(const struct schedule *schedule, const struct message *message);
struct sim_lease *lease_of(struct schedule *schedule, uint64_t id);
struct process *process_of(struct schedule *schedule, uint64_t id);

/* ---- simulate_broker.c: the hands ---- */
void broker_hears(struct schedule *schedule, const struct message *message);
void broker_crashes(struct schedule *schedule, bool torn);
void broker_starts(struct schedule *schedule);

/* ---- simulate_hosts.c: hosts, operator, monitor ---- */
void host_acts(struct schedule *schedule, uint8_t host);
void operator_acts(struct schedule *schedule);
void monitor_hears(struct schedule *schedule, const struct message *message);
struct process *process_new(struct schedule *schedule, uint8_t host, uint8_t share, bool write);
void everybody_leaves(struct schedule *schedule);

#endif
