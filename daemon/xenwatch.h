/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside netbus-xenwatch: the only process that talks to xenstore. xenwatch.c is the process, its channels and what it is told; xenwatch_store.c the store as this program uses
 * it; xenwatch_find.c which disks are ours, and whose; xenwatch_look.c what is looked at of a disk, and when; xenwatch_disk.c its life, as frontend/xenbus.h says it; xenwatch_nodes.c
 * what is written about it; xenwatch_place.c disks that an operator puts into a domain.
 *
 * Whom it believes. A node is the toolstack's when its owner is dom0 or ourselves and no other domain may write it; only such nodes say that a disk is ours, what it is to be,
 * and what its domain is called. Paths into a domain are made here from numbers, never taken from a node. What a guest wrote is the state of its frontend and its rings
 * (frontend/xen_nodes.h), and is looked at no more often than a bucket allows, for each disk by itself.
 */
#ifndef NETBUS_DAEMON_XENWATCH_H
#define NETBUS_DAEMON_XENWATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <xenstore.h>

#include "base/bucket.h"
#include "base/error.h"
#include "base/loop.h"
#include "daemon/channel.h"
#include "daemon/outbox.h"
#include "base/vdev.h"
#include "frontend/xen_nodes.h"
#include "frontend/xenbus.h"
#include "wire/limits.h"

#define STORE_PATH_LEN 160
#define DISK_TYPES_MAX 4
#define DISK_OWN_TYPE  "netbus"

/* ---- xenwatch_store.c ---- */

struct store {
	struct xs_handle *handle; /* owned; never closed, since its thread reads from it */
	uint32_t domid;           /* ours */
	bool is_broken;           /* the daemon is gone: nothing that is read means anything */
};

/* Opens xenstore and asks who we are. */
int store_open(struct store *store, struct error *error);
/* The value's length, NUL-terminated; -ENOENT, -EMSGSIZE beyond XEN_VALUE_MOST bytes, -EACCES, ... `at`: XBT_NULL or a transaction. */
int store_read(struct store *store, xs_transaction_t at, const char *path, char value[static XEN_VALUE_MOST + 1]);
int store_write(struct store *store, xs_transaction_t at, const char *path, const char *text);
/* Without an error when it is not there. */
int store_remove(struct store *store, xs_transaction_t at, const char *path);
int store_make(struct store *store, xs_transaction_t at, const char *path, uint32_t owner, uint32_t reader);
bool store_has(struct store *store, xs_transaction_t at, const char *path);
/* xenstored serves that domain. */
bool store_is_introduced(struct store *store, uint32_t domid);
/* The toolstack wrote it, and nobody else can have: see above. */
bool store_is_toolstacks(struct store *store, const char *path);
/* Names of children, as xs_directory(): one block to free(), or NULL. */
char **store_list(struct store *store, const char *path, unsigned *count);
/* Does `work` in a transaction, again while somebody else was faster, but not for ever. What `work` returns is returned; negative undoes it. */
int store_transact(
    struct store *store, int (*work)(struct store *store, xs_transaction_t at, void *owner), void *owner);

/* ---- xenwatch_disk.c ---- */

struct xenwatch;

struct disk {
	struct disk *next, *prev;
	struct xenwatch *xenwatch;
	uint32_t domid, device;
	char type[16]; /* of its backend nodes: "qdisk" */
	char backend[STORE_PATH_LEN], frontend[STORE_PATH_LEN];
	char vdev[VDEV_TEXT_LEN];
	struct xen_target target;
	uint8_t mode;

	bool has_nodes;    /* else an operator's that is not up yet, or one whose nodes were gone when we came */
	bool is_placed;    /* XEN_PLACE asked for it: its nodes are written when it is up */
	struct xenbus bus; /* has_nodes */
	bool is_forgotten; /* it goes at the end of the turn */
	bool
	    is_awaited; /* a process is there and may have rings of it: nothing is concluded from its not having said so */
	bool is_watched;     /* the frontend's state is */
	bool was_introduced; /* xenstored knew the domain: when it does not any more, that is gone */
	unsigned unwritten;  /* actions on nodes that failed, and are tried again */
	char why[1024];      /* it is not served */

	struct channel channel; /* to its netbus-attach-xen; fd -1 without */
	struct watch on_channel;
	bool is_ready;
	struct msg_xen_ready ready; /* is_ready */
	struct msg_xen_rings rings; /* as sent last */

	struct timer ask; /* for the device, again */
	uint64_t ask_after_ns;
	struct timer late; /* letting go */
	struct timer last; /* its last word is read meanwhile */
	struct bucket looks;
	struct timer calm;
	bool is_dirty; /* something was written that we have not looked at */
};

/* An operator put it there, and its nodes are of our making. */
bool disk_is_own(const struct disk *disk);
struct disk *disk_find(struct xenwatch *xenwatch, uint32_t domid, uint32_t device);
/* In the list; NULL when there are too many. */
struct disk *disk_new(struct xenwatch *xenwatch, uint32_t domid, uint32_t device, const char *type);
/* At the end of the turn. */
void disk_forget(struct disk *disk);
void disk_free(struct disk *disk);
/* Its nodes are there. What they say is looked at, and the device asked for. */
void disk_begin(struct disk *disk);
/* Some domain is gone: this one's? */
void disk_check_domain(struct disk *disk);
/* Something happened: what follows is carried out. */
void disk_event(struct disk *disk, struct xenbus_event event);
/* For good, with a sentence for people. */
void disk_refuse(struct disk *disk, const char *why);
void disk_ask_now(struct disk *disk);
/* XEN_OVER{again}: why it is not there, for people. */
void disk_wait(struct disk *disk, const char *why);
void disk_remove(struct disk *disk);
/* Takes fd over: a netbus-attach-xen is there for it. */
void disk_channel(struct disk *disk, int fd);

/* ---- xenwatch_look.c ---- */

#define TOKEN_FRONTEND "frontend" /* of the watch on a frontend's state */

void look_init(struct disk *disk);
void look_watch(struct disk *disk);
void look_unwatch(struct disk *disk);
/* What its nodes say as it is found. */
struct xenbus look_first(struct disk *disk);
/* Something below its nodes was written. */
void disk_touch(struct disk *disk);
/* At the end of a turn: what was touched is looked at, as often as its bucket allows. */
void disk_look_if_touched(struct disk *disk);
/* In a second, whatever happens. */
void look_later(struct disk *disk);
/* Rings were read: many looks' worth of nodes. */
void look_pay_for(struct disk *disk, const struct msg_xen_rings *rings);
bool look_domain_is_there(struct disk *disk);

/* ---- xenwatch_nodes.c ---- */

/* Beside the actions of frontend/xenbus.h: `why`, for what may heal. netbus-xen-dm tells it to who starts the guest. */
#define NODES_WAITING (1u << 16)
/* What of `actions` is to be written, in one transaction. -ENOENT when the nodes are gone. */
int nodes_write(struct disk *disk, unsigned actions);
/* Those that are ours to remove. */
void nodes_remove(struct disk *disk);
bool nodes_are_ours(const struct disk *disk);
int nodes_create(struct disk *disk, struct error *error);
/* The frontend's rings, as it wrote them. */
int nodes_read_rings(struct disk *disk, struct msg_xen_rings *rings, struct error *error);

/* ---- xenwatch_find.c ---- */

void find_all(struct xenwatch *xenwatch);
/* A watch below the backends fired. */
void find_at(struct xenwatch *xenwatch, const char *path);
/* The name and uuid of a domain, as the toolstack wrote them; `uuid` may be empty. */
#define DOMAIN_NAME_LEN 256
#define DOMAIN_UUID_LEN 37
int find_domain_names(struct store *store, uint32_t domid, char name[static DOMAIN_NAME_LEN],
    char uuid[static DOMAIN_UUID_LEN], struct error *error);

/* ---- xenwatch_place.c ---- */

void place_answer(struct xenwatch *xenwatch, const struct msg_xen_place *order);

/* ---- xenwatch.c ---- */

struct xenwatch {
	struct loop *loop;
	struct store store;
	const char *user;                  /* to become, or NULL */
	const char *types[DISK_TYPES_MAX]; /* of backends that are served */
	unsigned type_count;
	struct channel monitor, broker;
	struct watch on_monitor, on_broker, on_store;
	struct outbox outbox; /* to the broker */
	struct disk *disks;
	unsigned disk_count;
	struct defer sweep;
	struct timer more;  /* watch events are left */
	struct timer pulse; /* is the store there? */
};

void xenwatch_tell(struct xenwatch *xenwatch, uint16_t number, const void *message);
/* At the end of this turn: what was touched is looked at, what is forgotten goes. */
void xenwatch_sweep(struct xenwatch *xenwatch);
/* The store is gone; the monitor starts us again. */
void xenwatch_lost_store(struct xenwatch *xenwatch);

#endif
