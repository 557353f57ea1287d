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
 *     db_commit(db, &error)          the mark, fsync of the trail, then COMMIT with the new head
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
/* Changes of one kind that the callers put into one transaction at most: their records fit into it (db/trail.h). */
#define DB_BATCH_MAX 256

struct db;
struct db_grant;

struct db_paths {
	const char *state;      /* state.db */
	const char *trail;      /* audit.jsonl */
	const char *checkpoint; /* audit.checkpoint */
	const char *mark;       /* epoch.mark, beside the trail: not where the database is */
};

/* Opens or creates, migrates, and holds the trail against its head: lines that were fsynced but whose transaction never committed are kept and a
 * trail.recovered record says that their effect was not made; a trail that is shorter than the head or differs from it refuses to open with
 * -EBADMSG and says what to do. `now_us` stamps the records.
 *
 * And holds the database against the mark (db/mark.h): one that is older than what was ever committed, or of which that cannot be known, refuses to open
 * with -ESTALE and says why; db_adopt() is what can be done about it. */
struct db *db_open(const struct db_paths *paths, int64_t now_us, struct error *error);
void db_close(struct db *db);
/* Syncs what the last commits left to be synced later: the mark's `done`. Cheap when there is nothing. */
void db_settle(struct db *db);

/* ---- adoption: an operator says that a database which db_open() refuses is the one to go on with ---- */

enum adopted_trail { TRAIL_SAME, TRAIL_AHEAD, TRAIL_BEHIND, TRAIL_DIFFERS };

struct db_adoption {
	bool needed;                           /* false: db_open() does not refuse, and nothing was changed */
	struct error why;                      /* what db_open() said */
	const char *mark;                      /* "read", "missing", "damaged", "of another database" */
	enum adopted_trail trail;              /* against the database's head */
	uint64_t database_change, mark_change; /* numbers of the latest changes */
	uint64_t database_lines, trail_lines, mark_lines; /* of the trail */
	uint64_t database_epochs, epochs; /* the largest by the database; all later ones are above `epochs` */
	unsigned leases;                  /* live in the database; the next start records their end */
	unsigned grants;                  /* dropped, or kept */
	char checkpoint[256]; /* where the old checkpoint went, since it covers lines that are lost; "" if it stayed */
	uint64_t record;      /* of state.adopted */
};

/* Makes database, trail and mark agree again, with one record (state.adopted) in the trail:
 *   epochs   all later ones are above the largest that database, mark or trail know of; by ADOPT_MARGIN more when the mark cannot be read
 *   trail    stays as it is, whatever the database says; -EBADMSG when it is broken in itself
 *   grants   are removed, since those that were taken back after the backup are in it again; `each` sees them first. `keep_grants`: stay
 *   numbers  of grants, bars and attachments go on ADOPT_NUMBERS higher, so that none is used twice
 * Leases that the database has as live are ended by the next start, as those of any run that ended without order. */
#define ADOPT_MARGIN  UINT64_C(1000000)
#define ADOPT_NUMBERS 100000
int db_adopt(const struct db_paths *paths, bool keep_grants, int64_t now_us,
    void (*each)(const struct db_grant *, void *), void *context, struct db_adoption *adoption, struct error *error);

int db_begin(struct db *db, struct error *error);
int db_record(struct db *db, const struct record *record, int64_t now_us, uint64_t *seq, struct error *error);
int db_commit(struct db *db, struct error *error);
void db_rollback(struct db *db); /* harmless when nothing is open */
/* Ends a transaction whose changes came to `code`: rolls back and returns it when it is an error, else commits. */
int db_end(struct db *db, int code, struct error *error);
/* Work that can wait until nobody waits: moves a long write-ahead log into the database. Several syncs; nothing is lost without it, but a commit does it itself
 * when the log has grown very long. */
void db_tidy(struct db *db);
/* Whether the last commit worked: false refuses new grants and attaches with a clear reason. */
bool db_trail_ok(const struct db *db);
bool db_state_ok(const struct db *db);

/* Trail head, for checkpoints: number of lines, chain value of the last, RFC 6962 root over all lines. */
struct db_head {
	uint64_t size;
	uint8_t chain[32], root[32];
};
void db_head(const struct db *db, struct db_head *head);

/* ---- what is in the trail, for who follows it: committed lines only ---- */

/* Where a line of the trail begins. */
struct db_place {
	uint64_t seq, offset;
};
/* Of record `seq`, or of the next one to be written; looks at a few places of the file, however long it is. -ENOENT when there is no such record,
 * -EBADMSG when the file is not as it was written, -EIO. */
int db_trail_find(const struct db *db, uint64_t seq, struct db_place *place, struct error *error);
/* Whole lines, with their newlines, as many as fit into `room` (more than RECORD_WHOLE_MAX); *length 0 at the end. */
int db_trail_read(
    const struct db *db, const struct db_place *place, char *text, size_t room, size_t *length, struct error *error);
/* Reads the line at the start of `text` and moves `place` behind it: its length without the newline, or -EBADMSG when it is not the record that belongs
 * there. */
int db_trail_next(
    const char *text, size_t length, struct db_place *place, struct record_head *head, struct error *error);
/* `call` after each commit that wrote records; it may not begin a transaction. */
void db_on_commit(struct db *db, void (*call)(void *context), void *context);

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

/* ---- bars: what was revoked does not come back by itself ---- */
struct db_bar {
	uint64_t id; /* never reused */
	struct qualified vm, share;
	char host[64]; /* "" = any */
	int64_t made_us;
	char maker[64], reason[256];
};
/* Sets id. One that is there for the same share, VM and host stays, with the new maker, time and reason. */
int db_bar_add(struct db *db, struct db_bar *bar, struct error *error);
int db_bar_get(struct db *db, uint64_t id, struct db_bar *bar);   /* 0, -ENOENT, or -EIO */
int db_bar_lift(struct db *db, uint64_t id, struct error *error); /* -ENOENT when there is none */
/* All of this VM and share, whatever the host (a new grant lifts them): how many, or an error. */
int db_bars_lift(struct db *db, const char *vm, const char *share, struct error *error);
/* The number of a bar that stands in the way, or 0. When it cannot be known: UINT64_MAX, which is no bar's. */
uint64_t db_barred(struct db *db, const char *vm, const char *share, const char *host);
/* Filters are NULL for any; `host` "" finds those for any host; `tenant` is of the share. In the order in which they were made. */
struct db_bar_filter {
	const char *vm, *share, *host, *tenant;
};
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
/* Of the generation in force; 0 = there was none yet. *last: the largest that there ever was. */
int db_policy_generation(struct db *db, uint64_t *generation, int64_t *loaded_us, uint64_t *last);

/* ---- a generation that waits to be confirmed; the former one is kept beside it ---- */
struct db_trial {
	bool waiting; /* false: it was rolled back, and files of this digest must not come back by themselves */
	uint64_t former;
	int64_t former_loaded_us, until_us;
	uint8_t digest[32]; /* of the generation on trial */
};
int db_trial_get(struct db *db, struct db_trial *trial); /* 0, -ENOENT, or -EIO */
/* Before db_policy_put() of the new one: keeps the copy of what is in force, unless an older one on trial is kept already (then that stays the former).
 * Sets former and former_loaded_us. */
int db_trial_begin(struct db *db, struct db_trial *trial, struct error *error);
/* Confirmed, or replaced for good: nothing of it stays. */
int db_trial_clear(struct db *db, struct error *error);
/* The former generation's copy is the policy again. */
int db_trial_roll_back(struct db *db, const struct db_trial *trial, struct error *error);

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

/* ---- enrolment (enrol.c) ---- */
#define DB_TOKEN_ID_LEN  16
#define DB_TOKEN_KEY_LEN 32
struct db_token {
	uint8_t id[DB_TOKEN_ID_LEN], key[DB_TOKEN_KEY_LEN]; /* key: the public half */
	struct name host;
	int64_t made_us, expires_us, used_us; /* used 0 = not yet */
	char used_by[65];                     /* fingerprint of the key that it was used for; "withdrawn" */
	char maker[64], reason[256];
};
int db_token_add(struct db *db, const struct db_token *token, struct error *error);
int db_token_get(
    struct db *db, const uint8_t id[static DB_TOKEN_ID_LEN], struct db_token *token); /* 0, -ENOENT, -EIO */
/* -EBUSY when it was used before, whoever did: the schema says so. -ENOENT. */
int db_token_use(
    struct db *db, const uint8_t id[static DB_TOKEN_ID_LEN], int64_t now_us, const char *used_by, struct error *error);
int db_tokens_each(struct db *db, void (*each)(const struct db_token *, void *), void *context);
/* Neither used nor expired: how many (negative: an error), and when the first of them expires. */
int db_tokens_open(struct db *db, int64_t now_us, int64_t *first_expiry_us);
/* Forgets those that expired before. */
int db_tokens_prune(struct db *db, int64_t before_us, struct error *error);

/* The newest certificate that this enroller gave each host. */
struct db_issued {
	struct name host;
	char key[65], issuer[65]; /* fingerprints: of the host's key, of the CA */
	int64_t issued_us, not_after_us;
};
int db_issued_put(struct db *db, const struct db_issued *issued, struct error *error);
int db_issued_each(struct db *db, void (*each)(const struct db_issued *, void *), void *context);

/* Keys that are denied, whatever host has them. */
struct db_denied_key {
	char key[65]; /* fingerprint */
	int64_t made_us;
	char maker[64], reason[256];
};
int db_key_deny(struct db *db, const struct db_denied_key *denied, struct error *error);
int db_key_allow(struct db *db, const char *key, struct error *error); /* -ENOENT when it was not denied */
/* Also true when it cannot be known. */
bool db_key_denied(struct db *db, const char *key);
int db_keys_denied_each(struct db *db, void (*each)(const struct db_denied_key *, void *), void *context);

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
