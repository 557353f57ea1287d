/* SPDX-License-Identifier: Apache-2.0
 *
 * The schema as numbered migrations: migration n brings a database from user_version n to n + 1. A migration that was ever released is never
 * changed again; a new one follows it.
 *
 * Numbers: times are microseconds since 1970 UTC, 0 = never; modes 0 ro, 1 rw; sharing is enum share_mode of authz/authz.h.
 */
#include "db/statement.h"

const char *const db_migrations[] = {
    /* 1: the first */
    "CREATE TABLE shares ("
    "  name TEXT PRIMARY KEY, class TEXT NOT NULL, sharing INTEGER NOT NULL CHECK (sharing BETWEEN 0 AND 2),"
    "  read_only INTEGER NOT NULL CHECK (read_only IN (0, 1)), enabled INTEGER NOT NULL CHECK (enabled IN (0, 1)),"
    "  configured INTEGER NOT NULL CHECK (configured IN (0, 1)), epoch INTEGER NOT NULL CHECK (epoch >= 0)"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE grants ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, vm TEXT NOT NULL, share TEXT NOT NULL, host TEXT NOT NULL,"
    "  mode INTEGER NOT NULL CHECK (mode IN (0, 1)), created_us INTEGER NOT NULL, expires_us INTEGER NOT NULL,"
    "  maker TEXT NOT NULL, reason TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX grants_by_vm ON grants (vm, share);"

    "CREATE TABLE leases ("
    "  id BLOB PRIMARY KEY CHECK (length(id) = 16), vm TEXT NOT NULL, vm_uuid TEXT NOT NULL,"
    "  share TEXT NOT NULL REFERENCES shares (name), host TEXT NOT NULL, mode INTEGER NOT NULL CHECK (mode IN (0, 1)),"
    "  discard INTEGER NOT NULL CHECK (discard IN (0, 1)), epoch INTEGER NOT NULL CHECK (epoch > 0),"
    "  started_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, live INTEGER NOT NULL CHECK (live IN (0, 1)),"
    "  ended_us INTEGER NOT NULL, end_reason INTEGER NOT NULL, generation INTEGER NOT NULL, rule TEXT NOT NULL,"
    "  lanes INTEGER NOT NULL CHECK (lanes BETWEEN 1 AND 16),"
    "  sharing INTEGER NOT NULL CHECK (sharing BETWEEN 0 AND 2), /* of the share when the lease was made */"
    "  UNIQUE (share, epoch)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX leases_live ON leases (share) WHERE live = 1;"
    "CREATE INDEX leases_of_host ON leases (host) WHERE live = 1;"
    /* One live lease of an exclusive share, whatever the code above does; the trigger says the same for shares whose sharing
     * was changed while leases lived, and keeps a shared-read share's writer alone. */
    "CREATE UNIQUE INDEX leases_exclusive ON leases (share) WHERE live = 1 AND sharing = 0;"
    "CREATE TRIGGER leases_alone BEFORE INSERT ON leases WHEN NEW.live = 1 AND EXISTS ("
    "  SELECT 1 FROM leases WHERE share = NEW.share AND live = 1 AND (sharing = 0 OR NEW.sharing = 0"
    "    OR ((sharing = 1 OR NEW.sharing = 1) AND (mode = 1 OR NEW.mode = 1))))"
    "  BEGIN SELECT RAISE(ABORT, 'the share is held'); END;"
    /* What has ended stays ended, and a lease stays what it was. */
    "CREATE TRIGGER leases_end_once BEFORE UPDATE ON leases WHEN OLD.live = 0 OR NEW.live = 1 OR NEW.share <> OLD.share"
    "  OR NEW.epoch <> OLD.epoch OR NEW.mode <> OLD.mode OR NEW.sharing <> OLD.sharing"
    "  BEGIN SELECT RAISE(ABORT, 'a lease only ends, once'); END;"
    /* Epochs only grow. */
    "CREATE TRIGGER shares_epoch_grows BEFORE UPDATE OF epoch ON shares WHEN NEW.epoch <= OLD.epoch"
    "  BEGIN SELECT RAISE(ABORT, 'an epoch only grows'); END;"

    "CREATE TABLE hosts ("
    "  name TEXT PRIMARY KEY, address TEXT NOT NULL, denied INTEGER NOT NULL CHECK (denied IN (0, 1)), reason TEXT NOT "
    "NULL"
    ") STRICT, WITHOUT ROWID;"

    "CREATE TABLE attachments ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, vm TEXT NOT NULL, vm_uuid TEXT NOT NULL, share TEXT NOT NULL,"
    "  exporter TEXT NOT NULL, frontend TEXT NOT NULL, mode INTEGER NOT NULL CHECK (mode IN (0, 1)),"
    "  state TEXT NOT NULL CHECK (state IN ('starting', 'up', 'ended')), lease BLOB NOT NULL CHECK (length(lease) = "
    "16),"
    "  epoch INTEGER NOT NULL, size INTEGER NOT NULL, started_us INTEGER NOT NULL, ended_us INTEGER NOT NULL, end_text "
    "TEXT NOT NULL"
    ") STRICT;"
    "CREATE UNIQUE INDEX attachments_frontend ON attachments (frontend) WHERE state <> 'ended';"
    "CREATE UNIQUE INDEX attachments_vm_share ON attachments (vm, share) WHERE state <> 'ended';"

    /* The policy in force, for a start with a faulty one; its generation only grows. */
    "CREATE TABLE policy_files (name TEXT PRIMARY KEY, text BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE policy_generation (one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, loaded_us "
    "INTEGER NOT NULL) STRICT;"
    "INSERT INTO policy_generation VALUES (1, 0, 0);"

    /* The head of the audit trail: moves in the transaction of what it records. edge: the Merkle tree's right edge (crypto/chain.h). */
    "CREATE TABLE trail ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1), lines INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    "  chain BLOB NOT NULL CHECK (length(chain) = 32), edge BLOB NOT NULL"
    ") STRICT;"
    "INSERT INTO trail VALUES (1, 0, 0, zeroblob(32), zeroblob(0));",

    /* 2: the database's own history, held against the mark outside (db/mark.h); bars; lists by tenant and VM without looking at every lease */
    "ALTER TABLE trail ADD COLUMN line BLOB NOT NULL DEFAULT x'00000000000000000000000000000000' CHECK (length(line) = "
    "16);"
    "ALTER TABLE trail ADD COLUMN serial INTEGER NOT NULL DEFAULT 0 CHECK (serial >= 0);"
    "ALTER TABLE trail ADD COLUMN floor INTEGER NOT NULL DEFAULT 0 CHECK (floor >= 0);"

    "CREATE TABLE bars ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, share TEXT NOT NULL, vm TEXT NOT NULL, host TEXT NOT NULL, made_us "
    "INTEGER NOT NULL,"
    "  maker TEXT NOT NULL, reason TEXT NOT NULL, UNIQUE (vm, share, host)"
    ") STRICT;"
    "CREATE INDEX leases_of_vm ON leases (vm) WHERE live = 1;",

    /* 3: enrolment: join tokens (of which only the public half is here), what was certified last for each host, and keys that are denied */
    "CREATE TABLE tokens ("
    "  id BLOB PRIMARY KEY CHECK (length(id) = 16), host TEXT NOT NULL, key BLOB NOT NULL CHECK (length(key) = 32),"
    "  made_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, used_us INTEGER NOT NULL, used_by TEXT NOT NULL,"
    "  maker TEXT NOT NULL, reason TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    /* Whatever the code above does, a token is used once. */
    "CREATE TRIGGER tokens_once BEFORE UPDATE ON tokens WHEN OLD.used_us <> 0"
    "  BEGIN SELECT RAISE(ABORT, 'a token is used once'); END;"
    "CREATE TABLE issued ("
    "  host TEXT PRIMARY KEY, key TEXT NOT NULL, issuer TEXT NOT NULL, issued_us INTEGER NOT NULL, not_after_us "
    "INTEGER "
    "NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE denied_keys ("
    "  key TEXT PRIMARY KEY CHECK (length(key) = 64), made_us INTEGER NOT NULL, maker TEXT NOT NULL, reason TEXT NOT "
    "NULL"
    ") STRICT, WITHOUT ROWID;",
    /* 4: a generation that waits to be confirmed, and the one that comes back if it is not. `last`: the largest generation that ever was in force.
     * policy_trial has no row, or one: waiting = 1 while it may be confirmed; 0: it was rolled back, and `digest` says which files must not come back by
     * themselves. */
    "ALTER TABLE policy_generation ADD COLUMN last INTEGER NOT NULL DEFAULT 0;"
    "UPDATE policy_generation SET last = generation;"
    "CREATE TABLE policy_former (name TEXT PRIMARY KEY, text BLOB NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE policy_trial ("
    "  one INTEGER PRIMARY KEY CHECK (one = 1), waiting INTEGER NOT NULL CHECK (waiting IN (0, 1)),"
    "  former INTEGER NOT NULL, former_loaded_us INTEGER NOT NULL, until_us INTEGER NOT NULL,"
    "  digest BLOB NOT NULL CHECK (length(digest) = 32)"
    ") STRICT;",
};

const int db_migration_count = (int)(sizeof db_migrations / sizeof db_migrations[0]);
