/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside netbus-broker, which decides: policy, state, audit trail, and the operators' socket. It opens no device, has no connection to another host and
 * no key; it parses no byte of a peer (sessions do), only the messages of our own processes and of whoever types netbus-admin, none of whom it trusts
 * further than the tables in wire/ allow.
 *
 * The broker*.c files share this one state; broker.c owns it.
 */
#ifndef NETBUS_DAEMON_BROKER_H
#define NETBUS_DAEMON_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "authz/authz.h"
#include "authz/lease.h"
#include "base/bucket.h"
#include "base/buffer.h"
#include "base/loop.h"
#include "crypto/ticket.h"
#include "daemon/broker_limit.h"
#include "daemon/channel.h"
#include "daemon/outbox.h"
#include "daemon/config.h"
#include "db/db.h"
#include "policy/policy.h"
#include "wire/admin.h"
#include "wire/lane_page.h"
#include "wire/limits.h"

struct broker;

/* ---- placement tickets ---- */

struct ticket_keys {
	struct ticket_key list[TICKET_KEYS_MOST];
	size_t count;
};
/* What came with an ATTACH; its lease keeps it. */
struct shown_ticket {
	enum reason opened; /* 0: none was shown; REASON_ALLOWED: `ticket` is what a key of ours signed; else why not */
	struct ticket ticket;
};

/* ---- processes that speak with us: sessions and attachments ---- */

/* One newcomer's request, while netbus-keys looks at it (broker_enrol.c). */
struct enrolment {
	uint8_t newcomer_nonce[32], nonce[32];
	struct msg_enrol_statement statement; /* untrusted until netbus-keys has certified it */
	bool asked;
};

struct process {
	struct process *next, *prev;
	struct broker *broker;
	uint32_t id;
	bool is_attach, is_enrol;
	uint32_t attachment; /* of an attach process */
	char source[64];
	char host[NAME_LEN_MAX + 1]; /* proved; "" not yet */
	char key[65];                /* fingerprint of the key that proved it */
	struct enrolment enrolment;
	int64_t since_us;
	struct channel channel; /* fd -1 once it closed */
	struct watch on_message;
	struct lease *lease; /* a session's, while it has a lane of it */
	uint8_t lane;
	struct lane_page *page;     /* NULL until OPENED */
	struct msg_granted granted; /* told when the device is there */
	struct lane_account accounts[LIMITED_KINDS];
	struct process *next_lane; /* of its lease, in the ration that is being made */
};

/* ---- live leases ---- */

/* A share that somebody holds: the engine's view of it. */
struct holding {
	struct holding *next, **slot;
	struct qualified share;
	struct share_core core;
	unsigned leases;
};

/* Sums over lanes that are gone; with the pages of those that are there, the lease's totals. */
struct totals {
	uint64_t submitted, completed, aborted, errors, last_completed, reads, writes, flushes, discards, read_bytes,
	    written_bytes;
	uint64_t timed, receive_ns, device_ns, send_ns, told, ring_ns, queue_ns, exchange_ns; /* struct lane_times */
	uint64_t held, held_ns;                                                               /* struct lane_demand */
};

/* A command that waits for the end of a lease (broker_receipt.c). */
struct waiter {
	struct waiter *next;
	struct revoke *revoke;
};

/* What a session asked, while the engine and the database are asked in turn. */
struct asking {
	struct process *session;
	const struct msg_ask_attach *attach; /* NULL: a JOIN */
	const struct verdict *verdict;
	const struct record *join;
	const struct shown_ticket *ticket; /* with `attach` */
};

/* What a lease is and may do next is the engine's (core); the rest is what its hands need. */
struct lease {
	struct lease *next, *prev;
	struct broker *broker;
	struct db_lease row;
	struct lease_core core;
	struct holding *holding;
	struct process *sessions[LIMIT_LANES]; /* by lane; NULL: none, or gone */
	const struct asking *asking;
	struct totals gone;
	struct timer expiry, due;
	char end_text[256];
	uint64_t allow_record, end_record;
	uint64_t ending_since_ns;
	uint8_t fenced_lanes, killed;
	uint32_t fence_us;              /* that the monitor needed */
	enum release_mode release_mode; /* while it is asked to go */
	uint64_t release_record;
	bool left;               /* went by itself when it was asked to */
	bool end_wanted;         /* fenced: its end is to be stored */
	struct process *refuse;  /* the session that waits to hear that it got no device */
	struct process *leaving; /* the session that waits to say goodbye */
	char revoker[64], revoke_reason[256];
	struct waiter *waiters; /* whose receipts wait for its end */
	struct lease_limits limits;
	struct shown_ticket ticket;
};

/* ---- attachments of this host's guests ---- */

/* Where a Xen disk is. */
struct xen_place {
	bool is;     /* a Xen disk */
	bool is_set; /* `domid` is known: netbus-xenwatch knows of it */
	bool by_operator, was_up;
	bool is_gone; /* the disk or its domain is; nobody waits to hear how it ended */
	bool is_told; /* netbus-xenwatch was, that it is over */
	uint32_t domid, device;
	char domain[XEN_DOMAIN_LEN_MAX + 1];
};

struct guest {
	struct guest *next, *prev;
	struct broker *broker;
	struct db_attachment row;
	struct msg_attach_order *order; /* owned; NULL once it was given */
	uint8_t lanes_up;
	struct xen_place xen;
	struct process *process;
	bool started;          /* the monitor was told to */
	bool down;             /* over; to be recorded if it is not yet */
	bool recorded, reaped; /* reaped: its process, or there is none */
	uint16_t reason;
	uint64_t peer_record, down_record; /* the exporter's, and ours of its end; 0: none */
	char text[256];
	struct client *attaching, *detaching; /* who waits */
};

/* netbus-xenwatch (broker_xenwatch.c). */
struct xenwatch {
	uint32_t id; /* 0: it does not run */
	struct channel channel;
	struct watch on_message;
	struct outbox outbox;
	struct xen_lost *lost; /* disks whose guests wait for them to come back */
};

/* ---- operators ---- */

enum admin_role { ROLE_NOBODY, ROLE_AUDITOR, ROLE_TENANT, ROLE_OPERATOR };

struct client {
	struct client *next, *prev;
	struct broker *broker;
	int fd;
	struct watch on_ready;
	enum admin_role role;
	struct name tenant;            /* of ROLE_TENANT */
	char name[NAME_LEN_MAX + 1];   /* "root", "uid:1000": goes into the trail */
	struct buffer out;             /* u16 length and bytes, each a packet */
	const struct admin_row *asked; /* the last request */
	bool busy;                     /* a request is being carried out */
	bool renewing;                 /* it waits for our own certificate's renewal */
	struct events *events;         /* owned; who is told the trail, NULL: nobody */
	struct candidate *candidate;   /* owned; a policy that he asks about, as far as it came; NULL: none */
	struct survey *survey;         /* owned; a request that looks at many questions; NULL: none */
	bool gone;
};

/* A revoke that is being carried out: its client hears of each lease, then DONE. */
struct revoke {
	struct client *client; /* NULL: left */
	unsigned waiting;
	unsigned ended, grants, bars, forced;
	uint64_t record;
	const char *verb;  /* "revoked", "denied" for the last sentence */
	bool asked_nicely; /* soft or drain: what had to be forced is said */
};

/* The policy in force waits to be confirmed, or was rolled back because it was not. */
struct policy_trial {
	bool waiting, rolled_back;
	struct policy *former; /* while it waits: comes back; NULL: none was in force */
	uint64_t *former_observed;
	int64_t until_us;
	struct timer late;
	uint8_t digest[32]; /* rolled_back: of the files that must not come back by themselves */
};

struct broker {
	struct loop *loop;
	const char *config_path, *root;
	const char *adopt; /* "drop" or "keep" the grants; NULL: serve */
	struct config *config;
	struct ticket_keys ticket_keys; /* of netbusd.yaml, in force */
	struct db *db;
	struct channel monitor, keys; /* keys.fd -1 until the monitor gave it */
	struct outbox outbox;         /* to the monitor */
	struct watch on_monitor, on_keys, on_admin;
	int admin_fd;
	bool ready, stopping, stop_recorded, stopped;
	int64_t started_us;
	unsigned orphans; /* leases that were found live at the start */

	struct policy *policy; /* in force; NULL: none, everything is denied */
	uint64_t *
	    observed; /* by number of rule: how often it would have decided, if it did not only observe, since it is in force */
	int64_t policy_loaded_us, load_failed_us;
	bool policy_is_last_good; /* the files on disk are faulty */
	struct faults faults;     /* of the last load that failed */
	struct policy_trial trial;

	struct msg_identity_is identity;
	bool has_identity;
	char listening[CONFIG_LISTEN_MAX][CONFIG_ADDRESS_LEN];
	size_t listening_count;
	char enrolling[CONFIG_ADDRESS_LEN]; /* "": no enroller */
	struct bucket strangers;            /* refusals of strangers that the trail takes */

	struct process *processes;
	struct lease *leases;
	struct holding *holdings;
	struct defer ends; /* at the end of a turn, the ends that are wanted are stored */
	struct guest *guests;
	struct xenwatch xenwatch;
	struct client *clients;
	unsigned client_count;
	struct limits limits;

	struct timer retry, seal, stop_late;
	uint64_t sealed_lines; /* covered by the last checkpoint of this run */
	bool sealing, seal_refused, seal_put_off;
};

/* ---- broker.c ---- */
/* In order; what the channel has no room for waits. */
void broker_tell_monitor(struct broker *broker, uint16_t number, const void *message);
/* What cannot go on: logs, and the process ends, and with it all of netbusd's. */
void broker_fail(struct broker *broker, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Hears what the monitor and netbus-keys have said so far. */
void broker_catch_up(struct broker *broker);
/* Something ended while stopping: perhaps it was the last. */
void broker_stop_go_on(struct broker *broker);
/* One transaction that only carries a record. 0 and *seq (may be NULL), or an error that was logged. */
int broker_record(struct broker *broker, const struct record *record, uint64_t *seq, struct error *error);
/* Soon, a checkpoint; and what could not be recorded is tried again. */
void broker_seal_soon(struct broker *broker);
void broker_retry_soon(struct broker *broker);

/* ---- broker_adopt.c ---- */
/* Opens the state; an error says what to do. */
int broker_open_db(struct broker *broker, struct error *error);
/* netbusd --adopt-state: does it, and prints what it did. */
int broker_adopt(struct broker *broker, bool keep_grants, struct error *error);

/* ---- broker_policy.c ---- */
/* At the start: the files, or when they are faulty the copy of the last good ones, or none. */
int policy_start(struct broker *broker, struct error *error);
struct policy_order {
	const char *admin; /* NULL: the monitor asked, or we start */
	bool dry_run;
	uint64_t expect_generation; /* must be in force; 0: whatever is */
	int64_t confirm_within_us;  /* rolled back when it is not confirmed; 0: for good */
};
/* 0, or -EINVAL: broker->faults says what is wrong; -EBUSY: another generation is in force than was expected, or it waits to be confirmed; -ECANCELED: these
 * files were rolled back. Leases that the new policy does not allow are ended; `revoke` (may be NULL) waits for them. */
int policy_reload(struct broker *broker, const struct policy_order *order, struct revoke *revoke, uint64_t *record,
    struct error *error);
/* What rules would have decided that only observed, before their policy goes. */
void policy_log_observed(const struct broker *broker);
/* netbusd.yaml again, then its shares into the database. */
int config_reload(struct broker *broker, struct error *error);
int shares_sync(struct broker *broker, struct error *error);

/* ---- broker_files.c ---- */
struct policy_files {
	struct policy_file *list; /* names and texts are owned */
	size_t count;
};
void policy_files_clear(struct policy_files *files);
/* Takes name and text, also when it fails: memory is out. */
bool policy_files_add(struct policy_files *files, char *name, char *text, size_t length);
/* All of a directory; what cannot be read is a fault. */
void policy_files_read(struct policy_files *files, const char *path, struct faults *faults);
/* Sorts them by name. */
void policy_files_digest(struct policy_files *files, uint8_t digest[static 32]);

/* ---- broker_trial.c: a policy that waits to be confirmed ---- */
/* What the policy in force was is kept; the caller puts the new one in force next. */
void trial_begin(struct broker *broker, const struct db_trial *trial, int64_t within_us);
/* A policy is in force for good. */
void trial_end(struct broker *broker);
/* These files were rolled back, and come back only when an operator says so. */
bool trial_forbids(const struct broker *broker, struct policy_files *files);
/* At the start: what nobody confirmed is rolled back, in the database. */
int trial_start(struct broker *broker, struct error *error);
void trial_confirm_asked(struct client *client, const struct msg_policy_confirm *ask);
void trial_clear(struct broker *broker);

/* ---- broker_candidate.c: what a policy would change ---- */
void candidate_part_asked(struct client *client, const struct msg_candidate_part *ask);
void policy_diff_asked(struct client *client, const struct msg_policy_diff *ask);
void candidate_stop(struct client *client);

/* ---- broker_who_can.c ---- */
void who_can_asked(struct client *client, const struct msg_who_can *ask);

/* ---- broker_decide.c ---- */
struct question {
	const char *host, *vm, *share;
	enum policy_verb verb;
	enum policy_mode mode;
	bool proved;
	const struct shown_ticket *ticket; /* NULL: none */
	const char *key;                   /* fingerprint of the key that proved the host; NULL: not asked for */
};
/* The policy's and authz's answer from the facts of now. *expires_us: when a lease ends at the latest, 0 = never. `renewing`: for a lease that holds the
 * share itself, so that bars, holders and quota are not asked. */
void broker_decide(struct broker *broker, const struct question *question, bool renewing, struct verdict *verdict,
    int64_t *expires_us);
/* The same at another time (0: now), for policy explain. */
void broker_decide_at(struct broker *broker, const struct question *question, int64_t at_us, struct verdict *verdict,
    int64_t *expires_us);
/* Every rule that matches, at that time (0: now), with what its demands lack. */
void broker_matches(
    const struct broker *broker, const struct question *question, int64_t at_us, policy_each *each, void *context);
/* Whether `policy` (NULL: none, all is denied) lets a live lease go on: what a reload asks of each, and a diff beforehand. */
void lease_judge(
    struct broker *broker, const struct policy *policy, const struct lease *lease, struct verdict *verdict);
/* Every rule that matches, at that time (0: now), with what its demands lack. */
void broker_matches(
    const struct broker *broker, const struct question *question, int64_t at_us, policy_each *each, void *context);
void question_to_request(const struct broker *broker, const struct question *question, struct policy_request *request);

/* ---- broker_ticket.c ---- */
/* Reads the keys that `config` names; the error says which is none. */
int tickets_load(const struct config *config, struct ticket_keys *keys, struct error *error);
/* Whether a key of `old` is not in `new`: what it signed holds no longer. */
bool tickets_lost_a_key(const struct ticket_keys *old, const struct ticket_keys *new);
void ticket_take(const struct broker *broker, const struct msg_ask_attach *ask, struct shown_ticket *shown);
/* REASON_ALLOWED when the ticket holds for this question at that time; else why it does not. */
enum reason ticket_now(const struct broker *broker, const struct question *question, int64_t at_us);
/* Adds to a record which ticket was shown, and (`now`) what was wrong with it: at most three details. */
void ticket_record(const struct shown_ticket *shown, enum reason now, struct record *record);

/* ---- broker_process.c ---- */
void process_new(struct broker *broker, const struct msg_peer_new *new, int fd); /* takes fd */
void process_gone(struct broker *broker, const struct msg_peer_gone *gone);
struct process *process_find(struct broker *broker, uint32_t id);
void process_tell(struct process *process, uint16_t number, const void *message);
/* It broke a rule, or is of no use any more: the monitor ends it. */
void process_drop(struct process *process, const char *format, ...) __attribute__((format(printf, 2, 3)));
void process_proved(struct broker *broker, const struct msg_proved *proved);
/* Has the attach host told, on this session's lane, that the share is taken back. A request that may go unheard: whoever makes it ends the lease at the
 * deadline (at most RELEASE_DEADLINE_MOST_MS). `record`: what a person there can quote. One lane of a lease is enough; a later call can only
 * make the deadline sooner. */
void process_release(
    struct process *session, enum release_mode mode, uint32_t deadline_ms, enum reason reason, uint64_t record);

/* ---- broker_attach.c: what sessions ask ---- */
void session_asks_attach(struct process *session, const struct msg_ask_attach *ask);
void session_asks_join(struct process *session, const struct msg_ask_join *ask);
void session_leaves(struct process *session, const struct msg_leave *leave);
void session_opened(struct broker *broker, uint32_t id, int page_fd); /* takes page_fd */
void session_open_failed(struct broker *broker, const struct msg_open_failed *failed);
/* What the engine asks for when a session asked: the allow on disk, then its event; the device for each of its lanes; a further lane; or the refusal. */
struct lease_event attach_store(struct lease *lease);
void attach_open(struct lease *lease);
void attach_admit(struct lease *lease, uint8_t lane);
void attach_refuse(struct lease *lease, enum reason reason);

/* ---- broker_lease.c: the hands of the lease engine (authz/lease.h) ---- */
/* A lease that is yet to be asked for; NULL: out of memory. */
struct lease *lease_new(struct broker *broker, const struct db_lease *row);
void lease_free(struct lease *lease);
struct lease *lease_find(struct broker *broker, const uint8_t id[static LEASE_ID_LEN]);
/* Tells the engine and carries out what it asks for. The lease may be gone afterwards when it was refused (LE_ASK). */
void lease_tell(struct lease *lease, const struct lease_event *event);
/* Nothing more is submitted under it; when nothing executes any more its end is recorded. Only the first reason counts. */
void lease_end(struct lease *lease, enum reason reason, uint32_t courtesy_ms, const char *text);
/* The same, but its holder gets the time until the deadline to go by itself. `record`: what is quoted to it. */
void lease_release(
    struct lease *lease, enum reason reason, enum release_mode mode, uint32_t deadline_ms, uint64_t record);
bool lease_is_live(const struct lease *lease);
/* A session has this lane from now on; and has it no more. */
void lease_take_lane(struct lease *lease, struct process *session, uint8_t lane);
void lease_release_lane(struct process *session);
void lease_totals(const struct lease *lease, struct totals *totals);
unsigned lease_lane_count(const struct lease *lease);
uint64_t lease_now_ms(void);
uint32_t lease_ttl_ms(const struct broker *broker);

/* ---- broker_timers.c ---- */
void lease_tell_timers(struct client *client);

/* ---- broker_end.c: how a lease ends ---- */
void lease_mark(struct lease *lease);
void lease_fence(struct lease *lease, uint32_t courtesy_ms);
void lease_fenced(struct broker *broker, const struct msg_fenced *fenced);
/* Its end is stored at the end of this turn, with those of others. */
void lease_want_end(struct lease *lease);
/* Tries again to store what could not be stored. */
void leases_retry(struct broker *broker);
/* Ends leases that are no longer allowed, and marks them for `revoke` (may be NULL). */
void leases_judge(struct broker *broker, struct revoke *revoke);
/* At the start: what the last run left live. Says how many. */
int leases_reconcile(struct broker *broker, unsigned *count, struct error *error);

/* ---- broker_guest.c: the lives of attachments ---- */
struct guest *guest_find(struct broker *broker, uint32_t id);
/* Where a host is reached, or NULL; perhaps in *host. */
const char *guest_address(struct broker *broker, const char *exporter, struct db_host *host);
/* The same for a host that something is to be had from; NULL with error set: -ENOENT it has no address, -EACCES it is denied here. */
const char *guest_exporter(struct broker *broker, const char *exporter, struct db_host *host, struct error *error);
/* One that is yet to be stored, then started; NULL: out of memory. guest_free() only before it is stored, or when it is reaped and recorded. */
struct guest *guest_new(struct broker *broker, const struct msg_guest_attach *ask, const char *frontend);
void guest_free(struct guest *guest);
/* `admin` NULL: no operator asked. -EBUSY: this VM has the share already, or another one this frontend. */
int guest_store_begin(struct guest *guest, const char *admin, const char *why, uint64_t *seq, struct error *error);
/* Has its process started. It may be gone afterwards. */
void guest_start(struct guest *guest);
/* Ends it in order. The caller calls guests_finish() afterwards. */
void guest_stop(struct guest *guest, enum reason reason);
/* It is over, and has no process: guests_finish() follows. */
void guest_end_here(struct guest *guest, enum reason reason, const char *text);
void guest_process_here(struct process *process);
void guest_up(struct process *process, const struct msg_attach_up *up);
void guest_down(struct process *process, const struct msg_attach_down *down);
void guest_refused(struct broker *broker, const struct msg_attach_refused *refused);
void guest_process_gone(struct process *process, const char *cause);
/* Its export host was proved to be one that is denied. */
void guest_exporter_denied(struct process *process, const char *host);
/* What is over is recorded, told, and forgotten once its process is reaped. */
void guests_finish(struct broker *broker);
int guests_reconcile(struct broker *broker, struct error *error);

/* ---- broker_guest_ask.c: what operators ask of them ---- */
void guest_begin(struct client *client, const struct msg_guest_attach *ask);
void guest_stop_asked(struct client *client, const struct msg_guest_detach *ask);
/* To whoever waits for it. */
void guest_answer_up(struct guest *guest, uint64_t seq);
void guest_answer_failure(struct guest *guest);

/* ---- broker_xen*.c: disks of Xen guests, and netbus-xenwatch (daemon/broker_xen.h has what they say to each other) ---- */
void xen_watch_here(struct broker *broker, const struct msg_peer_new *new, int fd); /* takes fd */
/* Whether it was netbus-xenwatch that ended. */
bool xen_watch_gone(struct broker *broker, const struct msg_peer_gone *gone);
void xen_clear(struct broker *broker);
/* The VM that the table has for "xen:DOMAIN", which stands in ask->vm; false: the operator was told that there is none. */
bool xen_vm_of(struct client *client, const struct msg_guest_attach *ask, char vm[static QUALIFIED_LEN_MAX + 1]);
/* "xen:DOMAIN/VDEV" of an operator; false: he was told why not. */
bool xen_place_for(struct client *client, const struct msg_guest_attach *ask, struct xen_place *place);
/* An operator's, which is stored: where is its domain? It may be gone afterwards. */
void xen_guest_place(struct guest *guest);
/* Its guest is asked to let go of it; false: the client was told why not. */
bool xen_guest_remove(struct client *client, struct guest *guest);
/* It is over, and recorded: netbus-xenwatch is told, once. */
void xen_guest_over(struct guest *guest);

/* ---- broker_enrol.c: newcomers and renewals ---- */
void enrol_begins(struct process *enrol, const struct msg_enrol_begin *begin);
void enrol_asks(struct process *enrol, const struct msg_enrol_ask *ask);
void enrol_issued(struct broker *broker, const struct msg_issued *issued);

/* ---- broker_token.c: join tokens, and our own renewal, for operators ---- */
void tokens_asked(struct client *client);
void token_add_asked(struct client *client, const struct msg_token_add *ask);
void token_withdraw_asked(struct client *client, const struct msg_token_withdraw *ask);
void renew_asked(struct client *client, const struct msg_renew_ask *ask);
void renew_heard(struct broker *broker, const struct msg_renewed *renewed);
const char *token_state(const struct db_token *token, int64_t now_us);

/* ---- broker_deny.c: hosts and keys that are denied ---- */
/* Whether a host or a key of its is; also when it cannot be known. */
bool peer_is_denied(struct broker *broker, const char *host, const char *key);
void host_deny_asked(struct client *client, const struct msg_host_deny *ask);
void key_deny_asked(struct client *client, const struct msg_key_deny *ask);

/* ---- broker_revoke.c ---- */
void revoke_asked(struct client *client, const struct msg_revoke *ask);

/* ---- broker_steal.c ---- */
void steal_asked(struct client *client, const struct msg_steal *ask);

/* ---- broker_bar.c ---- */
/* This VM does not attach the share again by itself; host "" = on any. Part of the open transaction; counts in *count. */
int bar_store(struct client *client, const char *vm, const char *share, const char *host, const char *reason,
    unsigned *count, struct error *error);
void bars_asked(struct client *client, const struct msg_get_bars *ask);
void bar_lift_asked(struct client *client, const struct msg_bar_lift *ask);

/* ---- broker_receipt.c: who waits for the ends of leases ---- */
struct revoke *revoke_new(struct client *client, const char *verb);
/* Waits for the end of this lease, which its caller begins next. */
void revoke_wait_for(struct revoke *revoke, struct lease *lease, const char *reason);
/* Ends the lease for this revoke. */
void revoke_lease(struct revoke *revoke, struct lease *lease, enum reason reason, uint32_t courtesy_ms);
/* The end of a lease is recorded: its receipt, for all who wait for it. */
void receipts_give(struct lease *lease);
/* We end before it does: nobody waits for it any more. */
void receipts_drop(struct lease *lease);
/* All was begun: answers at once when nothing is waited for. */
void revoke_begun(struct revoke *revoke);
void receipt_fill(const struct lease *lease, const char *outcome, struct msg_row_receipt *row);

/* ---- broker_admin.c: the operators' socket ---- */
void admin_open(struct broker *broker, int fd); /* takes fd */
void admin_close(struct broker *broker);
void client_row(struct client *client, uint16_t number, const void *row);
/* The last of an answer. `client` NULL: nobody waits. */
void client_done(struct client *client, enum admin_exit code, uint64_t record, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void client_note(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether rows and changes of this tenant ("acme" of "acme/x") are his business. */
bool client_may(const struct client *client, const char *qualified);
/* What names a VM and a share (a grant, lease, bar, attachment) is a tenant's operator's only when both are of his tenant. */
bool client_sees(const struct client *client, const char *vm, const char *share);
/* The only answer for what is not there and for what is another tenant's, so that nobody can tell one from the other: the same text, exit code and record
 * number (none). Of a tenant's operator both are recorded. */
void client_not_found(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Records that he asked for it, and answers nothing. */
void client_denied(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Whether this client may speak of a VM and a share that he names; says that there are none otherwise. A VM need not exist; for a tenant's operator a share
 * must, since one that does not is not to differ from another tenant's. */
bool client_names(struct client *client, const char *vm, const char *share);

/* ---- broker_events.c: the audit trail as a stream ---- */
/* From now on followers hear what is committed. */
void events_begin(struct broker *broker);
void events_asked(struct client *client, const struct msg_get_events *ask);
/* Before the end: followers that read hear of it. */
void events_flush(struct broker *broker);
/* Some of what waited for it was taken. */
void events_taken(struct client *client);
void events_stop(struct client *client);

/* ---- broker_people.c ---- */
/* Who is at the other end, by SO_PEERCRED. */
enum admin_role people_role(
    const struct config *config, int fd, char name[static NAME_LEN_MAX + 1], struct name *tenant);

/* What netbusd.yaml names as a user or group is a number, or in /etc/passwd or /etc/group. */
bool people_has_user(const char *name);
bool people_has_group(const char *name);

/* ---- broker_findings.c ---- */
void findings_asked(struct client *client);

/* ---- broker_doctor.c ---- */
/* `severity`: "ok", "warning", "error". */
void client_finding(struct client *client, const char *check, const char *severity, const char *remedy,
    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Findings beside those of status (policy, certificate, trail); of a tenant's operator, those on what is his. */
void doctor_asked(struct client *client);

/* ---- broker_read.c, broker_change.c: requests ---- */
void admin_read(struct client *client, uint16_t number, const union admin_body *body);
void admin_change(struct client *client, uint16_t number, const union admin_body *body);

/* ROW_LIMIT; `leases`: that it counts together now. */
/* Those that the client sees, of the leases that a limit counts together (NULL: none). */
uint32_t client_count_limited(const struct client *client, const struct limit_bucket *bucket);
void client_limit(struct client *client, const struct policy_limit *limit, uint32_t leases);

/* ---- broker_explain.c ---- */
void explain_asked(struct client *client, const struct msg_explain *ask);
void policy_asked(struct client *client);
/* Whether it is exported, and his business; else says that there is none, the same words for both. */
bool share_asked_about(struct client *client, const char *share);
/* Whether `text` was a verb; else says what there is. */
bool verb_asked_about(struct client *client, enum policy_verb verb, const char *text);
/* "grant, ticket" */
void demands_print(unsigned demands, char text[static 32]);

/* ---- broker_seal.c ---- */
void seal_start(struct broker *broker);
void seal_done(struct broker *broker, const struct msg_sealed *sealed);

#endif
