/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xenwatch between a real xenstored and peers that are played here: the monitor, the broker, netbus-attach-xen, libxl and a guest. drive.c is what each of them does,
 * drive_*.c what is to come of it. What does not hold ends the program.
 */
#ifndef NETBUS_TESTS_XENSTORE_DRIVE_H
#define NETBUS_TESTS_XENSTORE_DRIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/channel.h"

#define REQUIRE(condition) require((condition), #condition, __FILE__, __LINE__)
void require(bool condition, const char *text, const char *file, int line);

struct scenario {
	const char *name;
	void (*run)(void);
};
extern const struct scenario toolstack_scenarios[], guest_scenarios[], operator_scenarios[], failure_scenarios[],
    model_scenarios[];

/* ---- xenstore, as dom0's toolstack ---- */

#define PATH_LEN 200
#define UUID     "11111111-2222-3333-4444-555555555555"

__attribute__((format(printf, 2, 3))) void put(const char *text, const char *format, ...);
__attribute__((format(printf, 1, 2))) void take_away(const char *format, ...);
/* Malloc'd, NULL when there is none. */
__attribute__((format(printf, 1, 2))) char *get(const char *format, ...);
/* Whether the node says that; NULL: is not there. */
__attribute__((format(printf, 2, 3))) bool says(const char *text, const char *format, ...);
/* Until it does; by a watch, for at most five seconds. */
__attribute__((format(printf, 2, 3))) void wait_for(const char *text, const char *format, ...);
/* Nobody writes below a path for a while. */
__attribute__((format(printf, 1, 2))) void require_quiet(const char *format, ...);
/* Counts who is woken by changes below a path. */
void watch_count(const char *path);
unsigned watch_counted(void);
/* Its owner, and the one other that may read it. */
bool is_owned(const char *path, unsigned owner, unsigned reader);
bool is_owned_below(const char *path, const char *name, unsigned owner, unsigned reader);
/* Sets owner and a reader. */
void give(const char *path, unsigned owner, unsigned other, bool other_writes);

/* A domain as libxl makes it, known to xenstored. */
void domain_make(unsigned domid, const char *name);
void domain_end(unsigned domid);

/* ---- a disk ---- */

struct place {
	unsigned domid, device;
	char backend[PATH_LEN], frontend[PATH_LEN];
};

/* The disk that is tried, unless it is about another. */
#define TARGET "aio:netbus://m2/acme/disk-1"

struct place place_of(unsigned owner, const char *type, unsigned domid, unsigned device);
/* Both directories in one transaction, as libxl writes them. */
void disk_make(const struct place *place, const char *params, const char *mode);
void disk_take_away(const struct place *place); /* online 0, state 5 */
void frontend_says(const struct place *place, unsigned state);
/* One ring of one page. */
void frontend_sets_up(const struct place *place, unsigned reference, unsigned channel);
void wait_backend(const struct place *place, unsigned state);

/* ---- netbus-xenwatch and its peers ---- */

struct peer {
	int fd;
	enum role role; /* ours */
};

extern struct peer monitor, broker;

void watch_start_serving(const char *types);
/* Everybody's; netbus-xen is on hosts that Netbus was installed on. */
#define DROP_USER "nobody"
#define DROP_UID  "65534"
/* Each of its threads has that line in its status, and there are so many. */
void require_of_threads(const char *line, unsigned least);
void watch_kill(void);
/* Its exit code, waiting for it. */
int watch_end(void);

void say(const struct peer *peer, uint16_t number, const void *message, int fd);
/* The next message, which must be that one, within seven seconds. */
union channel_body hear(const struct peer *peer, uint16_t number);
void hear_nothing(const struct peer *peer, int milliseconds);
bool is_closed(const struct peer *peer);

/* XEN_CHANNEL; what the disk's netbus-attach-xen has in hand. */
struct peer attach_start(const struct place *place);
void attach_ready(const struct peer *attach, bool connected);
/* xvda of a new domain "web-1", as libxl writes it while netbus-xenwatch looks on. */
struct place disk_served(unsigned domid);
/* XEN_DISK was asked: ordered, up. */
struct peer attach_ordered(const struct place *place);
/* From InitWait to Connected on both sides. */
void connect_rings(const struct peer *attach, const struct place *place);
/* All the way. */
struct peer connect_disk(const struct place *place);
void answer_rings(const struct peer *attach);
void answer_close(const struct peer *attach, bool gone);
/* Of a domain that ended: xenstored removes what the guest owned a moment before it says that the domain is gone. */
void answer_end(const struct peer *attach);

#endif
