/* SPDX-License-Identifier: Apache-2.0
 *
 * State in SQLite: shares, grants, leases, epochs, hosts, attachments, and the head of the audit trail.
 * Runs in netbus-broker only, which is its single writer.
 *
 * WAL, synchronous=FULL, foreign keys, STRICT tables, numbered migrations (PRAGMA user_version), one table of prepared statements
 * (db/statement.def). The schema makes two live leases of an exclusive share impossible, whatever the code above does.
 *
 * Every change goes through one transaction that carries its audit record:
 *
 *     db_begin(db, &error)
 *       db_lease_add(...)            effects on the tables
 *       db_record(db, &record, &seq) appends to the trail
 *     db_commit(db, &error)          fsync of the trail, then COMMIT with the new head
 *
 * A failure anywhere rolls all back (also the trail's tail, which is cut again) and returns: -ENOSPC, -EIO, ... with a sentence that names
 * the file. Names in and out are already parsed (base/name.h).
 */
#ifndef NETBUS_DB_DB_H
#define NETBUS_DB_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/name.h"
#include "wire/record.h"

#define LEASE_ID_LEN 16

struct db;

struct db_paths {
	const char *state;      /* state.db */
	const char *trail;      /* audit.jsonl */
	const char *checkpoint; /* audit.checkpoint */
};

/* Opens or creates, migrates, and holds the trail against its head: lines that were fsynced but whose transaction never committed are kept and a
 * trail.recovered record says that their effect was not made; a trail that is shorter than the head or differs from it refuses to open with
 * -EBADMSG and says what to do. `now_us` stamps the records. */
struct db *db_open(const struct db_paths *paths, int64_t now_us, struct error *error);
void db_close(struct db *db);

int db_begin(struct db *db, struct error *error);
int db_record(struct db *db, const struct record *record, int64_t now_us, uint64_t *seq, struct error *error);
int db_commit(struct db *db, struct error *error);
void db_rollback(struct db *db); /* harmless when nothing is open */
/* Whether the last commit worked: false refuses new grants and attaches with a clear reason. */
bool db_trail_ok(const struct db *db);
bool db_state_ok(const struct db *db);

/* Trail head, for checkpoints: number of lines, chain value of the last, RFC 6962 root over all lines. */
struct db_head {
	uint64_t size;
	uint8_t chain[32], root[32];
};
void db_head(const struct db *db, struct db_head *head);

/* ---- shares: what netbusd.yaml exports; kept so that epochs survive a share's absence ---- */
struct db_share {
	struct qualified name;
	char class[16];                      /* "disk" */
	uint8_t share_mode;                  /* enum share_mode of authz/authz.h */
	bool read_only, enabled, configured; /* configured: in the present netbusd.yaml */
	uint64_t epoch;                      /* of the latest lease; 0 = none yet */
};
/* Makes the table's `configured` set equal to the list. `enabled` is kept for known shares. */
int db_shares_sync(struct db *db, const struct db_share *shares, size_t count, struct error *error);
int db_share_get(struct db *db, const char *name, struct db_share *share); /* 0, -ENOENT, or -EIO */
int db_share_enable(struct db *db, const char *name, bool enabled, struct error *error);
int db_shares_each(struct db *db, void (*each)(const struct db_share *, void *), void *context);

/* ---- grants ---- */
struct db_grant {
	uint64_t id; /* never reused */
	struct qualified vm, share;
	char host[64];                  /* "" = any */
	uint8_t mode;                   /* 0 ro, 1 rw */
	int64_t created_us, expires_us; /* expires 0 = never */
	char maker[64], reason[256];
};
int db_grant_add(struct db *db, struct db_grant *grant, struct error *error); /* sets id */
int db_grant_get(struct db *db, uint64_t id, struct db_grant *grant);
int db_grant_remove(struct db *db, uint64_t id, struct error *error);
/* Whether a grant covers it now (an rw grant covers ro). */
bool db_grant_covers(struct db *db, const char *vm, const char *share, const char *host, uint8_t mode, int64_t now_us);
/* When the last of the grants that cover it now expires: microseconds, 0 = never; -ENOENT when none covers it. */
int db_grant_until(struct db *db, const char *vm, const char *share, const char *host, uint8_t mode, int64_t now_us,
    int64_t *until_us);
/* Filters are NULL for any. Expired ones are included; the caller looks at expires_us. */
int db_grants_each(struct db *db, const char *vm, const char *share, const char *host,
    void (*each)(const struct db_grant *, void *), void *context);

/* ---- bars: what was revoked does not attach again by itself ---- */
struct db_bar {
	uint64_t id; /* never reused */
	struct qualified vm, share;
	char host[64]; /* "" = any */
	int64_t made_us;
	char maker[64], reason[256];
};
struct db_bar_filter {
	const char *vm, *share, *host; /* NULL = any */
};
/* One for each VM, share and host: a second one renews the first. Sets id. */
int db_bar_add(struct db *db, struct db_bar *bar, struct error *error);
int db_bar_get(struct db *db, uint64_t id, struct db_bar *bar); /* 0, -ENOENT */
int db_bar_lift(struct db *db, uint64_t id, struct error *error);
/* All of this VM and share. */
int db_bars_lift(struct db *db, const char *vm, const char *share, unsigned *count, struct error *error);
/* The bar that is in the way, or 0. */
uint64_t db_barred(struct db *db, const char *vm, const char *share, const char *host);
int db_bars_each(
    struct db *db, const struct db_bar_filter *filter, void (*each)(const struct db_bar *, void *), void *context);

/* ---- the policy in force: kept for a start at which the files on disk are faulty ---- */
struct db_policy_file {
	const char *name, *text;
	size_t length;
};
int db_policy_put(struct db *db, uint64_t generation, int64_t now_us, const struct db_policy_file *files, size_t count,
    struct error *error);
int db_policy_each(struct db *db, void (*each)(const struct db_policy_file *, void *), void *context);
/* Of the last generation; 0 = there was none yet. */
int db_policy_generation(struct db *db, uint64_t *generation, int64_t *loaded_us);

/* ---- leases ---- */
struct db_lease {
	uint8_t id[LEASE_ID_LEN];
	struct qualified vm, share;
	char host[64];
	char vm_uuid[37];
	uint8_t mode;
	bool discard;
	uint64_t epoch;
	int64_t started_us, expires_us; /* expires 0 = open-ended */
	bool live;
	int64_t ended_us;
	uint16_t end_reason;
	uint64_t generation; /* of the policy that allowed it */
	char rule[64];
	uint8_t lanes; /* most lanes */
};
/* Draws nothing: the caller made the id. Sets lease->epoch to the share's next epoch and stores it with the share. -EBUSY when the schema's
 * constraints forbid it. */
int db_lease_add(struct db *db, struct db_lease *lease, struct error *error);
int db_lease_end(
    struct db *db, const uint8_t id[static LEASE_ID_LEN], int64_t now_us, uint16_t reason, struct error *error);
int db_lease_get(struct db *db, const uint8_t id[static LEASE_ID_LEN], struct db_lease *lease); /* 0, -ENOENT */
/* Live ones only unless `ended` (then ended too, newest first, at most 1000). Filters NULL = any. `tenant` is of the share. */
struct db_lease_filter {
	const char *vm, *share, *host, *tenant;
	bool ended;
};
int db_leases_each(
    struct db *db, const struct db_lease_filter *filter, void (*each)(const struct db_lease *, void *), void *context);
struct db_lease_count {
	uint32_t readers, writers; /* live leases of the share */
	uint32_t of_host;          /* live leases of the host */
};
int db_lease_count(struct db *db, const char *share, const char *host, struct db_lease_count *count);

/* ---- hosts: peers this host knows ---- */
struct db_host {
	struct name name;
	char address[128]; /* numeric "192.0.2.1:7715", "[2001:db8::1]:7715", or "" */
	bool denied;
	char reason[256];
};
int db_host_put(struct db *db, const struct db_host *host, struct error *error);
int db_host_get(struct db *db, const char *name, struct db_host *host); /* 0, -ENOENT */
int db_hosts_each(struct db *db, void (*each)(const struct db_host *, void *), void *context);

/* ---- attachments: the guest side of this host ---- */
struct db_attachment {
	uint32_t id; /* never reused */
	struct qualified vm, share;
	char vm_uuid[37];
	char exporter[64];
	char frontend[256]; /* "nbd:/run/netbus/nbd/acme-web-1.sock" */
	uint8_t mode;
	char state[16]; /* "starting", "up", "ended" */
	uint8_t lease[LEASE_ID_LEN];
	uint64_t epoch, size;
	int64_t started_us, ended_us;
	char end_text[256];
};
int db_attachment_add(struct db *db, struct db_attachment *attachment, struct error *error); /* sets id */
int db_attachment_update(struct db *db, const struct db_attachment *attachment, struct error *error);
int db_attachment_get(struct db *db, uint32_t id, struct db_attachment *attachment);
/* Not ended ones unless `ended`. */
int db_attachments_each(struct db *db, bool ended, void (*each)(const struct db_attachment *, void *), void *context);

#endif
