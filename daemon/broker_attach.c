/* SPDX-License-Identifier: Apache-2.0
 *
 * What sessions ask: a lease for their peer, a further lane of one, and to leave. The session says what the peer wants; who the peer is, only
 * netbus-keys says. No record, no device: the order is decision, one transaction with the record on disk, then the device.
 */
#include <errno.h>
#include <sodium/randombytes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/broker.h"
#include "daemon/timers.h"

/* ---- refusals ---- */

static void
deny(struct process *session, uint16_t reason, uint64_t record)
{
	process_tell(session, MSG_DENIED, &(struct msg_denied){.reason = reason_on_wire(reason), .record = record});
}

/* Records the refusal and tells the peer as much as a peer may hear. Where no record can be made the log has it: the space that is left in a
 * full trail is for the ends of what runs. */
static void
refuse(struct process *session, struct record *record, uint16_t reason)
{
	struct broker *broker = session->broker;
	struct error error = {0};
	uint64_t seq = 0;

	record->decision = DECISION_DENY;
	record->reason = reason_name(reason);
	if (!db_trail_ok(broker->db))
		log_warning("refused without a record, since the audit trail has no space: %s for %s on %s: %s",
		    record->share ? record->share : "a lane", record->vm ? record->vm : "a VM", session->host,
		    reason_name(reason));
	else if (broker_record(broker, record, &seq, &error) < 0)
		log_error("a refusal cannot be recorded: %s", error.text);
	log_notice("refused: %s for %s on %s: %s", record->share ? record->share : "a lane",
	    record->vm ? record->vm : "a VM", session->host, reason_name(reason));
	deny(session, reason, seq);
}

/* ---- ATTACH ---- */

static struct record
ask_record(const struct process *session, const struct msg_ask_attach *ask, const struct shown_ticket *ticket,
    const struct verdict *verdict)
{
	const struct question question = {.host = session->host, .vm = ask->vm, .ticket = ticket};
	struct record record = {
	    .event = verdict->allowed ? EVENT_ATTACH_ALLOW : EVENT_ATTACH_DENY,
	    .decision = verdict->allowed ? DECISION_ALLOW : DECISION_DENY,
	    .reason = reason_name((uint16_t)verdict->reason),
	    .rule = verdict->rule,
	    .generation = verdict->generation,
	    .host = session->host,
	    .vm = ask->vm,
	    .share = ask->share,
	    .mode = ask->mode ? "rw" : "ro",
	    .detail = {{"source", session->source, 0}, {"session", NULL, session->id}},
	    .detail_count = 2,
	};

	if (verdict->limit[0])
		record.detail[record.detail_count++] = (struct record_detail){"limit", verdict->limit, 0};
	if (verdict->would_deny[0])
		record.detail[record.detail_count++] = (struct record_detail){"would_deny", verdict->would_deny, 0};
	if (verdict->would_allow[0])
		record.detail[record.detail_count++] = (struct record_detail){"would_allow", verdict->would_allow, 0};
	ticket_record(ticket, ticket_now(session->broker, &question, clock_wall_us()), &record);
	return record;
}

static int
store_lease(struct lease *lease, struct record *record, struct error *error)
{
	struct broker *broker = lease->broker;
	int code = db_begin(broker->db, error);

	if (code < 0)
		return code;
	code = db_lease_add(broker->db, &lease->row, error);
	if (code == 0) {
		record->lease = lease->row.id;
		record->epoch = lease->row.epoch;
		code = db_record(broker->db, record, lease->row.started_us, &lease->allow_record, error);
	}
	return db_end(broker->db, code, error);
}

/* Why it was refused although the decision was to allow. */
static uint16_t
reason_of_failure(const struct broker *broker, int code)
{
	if (code == -EBUSY) /* the schema's word */
		return REASON_SHARE_BUSY;
	return db_state_ok(broker->db) ? REASON_AUDIT_UNAVAILABLE : REASON_STATE_UNAVAILABLE;
}

static bool
may_discard(struct broker *broker, const struct question *question)
{
	const struct config_share *share = config_share(broker->config, question->share);
	struct question discard = *question;
	struct verdict verdict;
	int64_t expires_us;

	discard.verb = VERB_DISCARD;
	broker_decide(broker, &discard, true, &verdict, &expires_us);
	return verdict.allowed && question->mode == MODE_RW && share && share->discard;
}

static void
order_device(const struct lease *lease, struct process *session)
{
	const struct config_share *share = config_share(lease->broker->config, lease->row.share.text);
	struct msg_open_for order = {
	    .id = session->id,
	    .writable = lease->row.mode,
	    .discard = lease->row.discard,
	    .exclusive = share && share->sharing == SHARE_EXCLUSIVE,
	    .lane = session->lane,
	};

	memcpy(order.lease, lease->row.id, sizeof order.lease);
	snprintf(order.share, sizeof order.share, "%s", lease->row.share.text);
	session->channel.state = CH_ASKED;
	session->granted = (struct msg_granted){.epoch = lease->row.epoch,
	    .mode = lease->row.mode,
	    .discard = lease->row.discard,
	    .lane = session->lane,
	    .lanes = lease->row.lanes,
	    .silence_ms = lease->broker->config->lease_ttl_ms};
	memcpy(session->granted.lease, lease->row.id, sizeof session->granted.lease);
	broker_tell_monitor(lease->broker, MSG_OPEN_FOR, &order);
}

/* ---- the engine's hands while a session asks ---- */

struct lease_event
attach_store(struct lease *lease)
{
	struct broker *broker = lease->broker;
	const struct asking *asking = lease->asking;
	struct record record = ask_record(asking->session, asking->attach, asking->ticket, asking->verdict);
	struct error error = {0};
	int code = store_lease(lease, &record, &error);

	if (code < 0) {
		log_error("a lease of %s cannot be stored: %s", lease->row.share.text, error.text);
		return (struct lease_event){.kind = LE_NOT_STORED, .reason = reason_of_failure(broker, code)};
	}
	broker_seal_soon(broker);
	log_info("lease: %s for %s on %s, %s, epoch %llu, by rule %s", lease->row.share.text, lease->row.vm.text,
	    lease->row.host, lease->row.mode ? "rw" : "ro", (unsigned long long)lease->row.epoch, lease->row.rule);
	lease_take_lane(lease, asking->session, 0);
	return (struct lease_event){.kind = LE_STORED, .epoch = lease->row.epoch, .now_ms = lease_now_ms()};
}

void
attach_open(struct lease *lease)
{
	order_device(lease, lease->asking->session);
}

void
attach_admit(struct lease *lease, uint8_t lane)
{
	struct process *session = lease->asking->session;
	struct record record = *lease->asking->join;
	struct error error = {0};

	record.event = EVENT_JOIN_ALLOW;
	record.decision = DECISION_ALLOW;
	record.reason = reason_name(REASON_ALLOWED);
	record.vm = lease->row.vm.text;
	record.share = lease->row.share.text;
	record.mode = lease->row.mode ? "rw" : "ro";
	record.detail[2] = (struct record_detail){"lane", NULL, lane};
	record.detail_count = 3;
	if (broker_record(lease->broker, &record, NULL, &error) < 0) {
		log_error("a lane cannot be recorded: %s", error.text);
		lease_tell(lease, &(struct lease_event){.kind = LE_LANE_GONE, .lane = lane});
		deny(session, REASON_AUDIT_UNAVAILABLE, 0);
		return;
	}
	lease_take_lane(lease, session, lane);
	order_device(lease, session);
}

/* A lease that never came about is forgotten. */
void
attach_refuse(struct lease *lease, enum reason reason)
{
	const struct asking *asking = lease->asking;
	struct record record;

	if (asking->attach == NULL) {
		record = *asking->join;
		refuse(asking->session, &record, (uint16_t)reason);
		return;
	}
	record = ask_record(asking->session, asking->attach, asking->ticket, asking->verdict);
	record.event = EVENT_ATTACH_DENY;
	refuse(asking->session, &record, (uint16_t)reason);
	lease_free(lease);
}

/* ---- ATTACH ---- */

static void
fill_row(const struct process *session, const struct msg_ask_attach *ask, const struct verdict *verdict,
    struct db_lease *row)
{
	randombytes_buf(row->id, sizeof row->id);
	snprintf(row->vm.text, sizeof row->vm.text, "%s", ask->vm);
	snprintf(row->share.text, sizeof row->share.text, "%s", ask->share);
	snprintf(row->host, sizeof row->host, "%s", session->host);
	snprintf(row->vm_uuid, sizeof row->vm_uuid, "%s", ask->vm_uuid);
	snprintf(row->rule, sizeof row->rule, "%s", verdict->rule);
}

static void
grant(struct process *session, const struct msg_ask_attach *ask, const struct question *question,
    const struct verdict *verdict, int64_t expires_us)
{
	struct broker *broker = session->broker;
	const struct asking asking = {session, ask, verdict, NULL, question->ticket};
	struct db_lease row = {
	    .mode = ask->mode,
	    .discard = may_discard(broker, question),
	    .started_us = clock_wall_us(),
	    .expires_us = expires_us,
	    .generation = verdict->generation,
	    .lanes = ask->lanes,
	};
	struct lease *lease;

	fill_row(session, ask, verdict, &row);
	lease = lease_new(broker, &row);
	if (lease == NULL) {
		broker_fail(broker, "out of memory, or the state database cannot be read");
		return;
	}
	lease->ticket = *question->ticket;
	lease->asking = &asking;
	lease_tell(lease, &(struct lease_event){.kind = LE_ASK,
			      .write = row.mode,
			      .lanes_most = row.lanes,
			      .ttl_ms = lease_ttl_ms(broker),
			      .now_ms = lease_now_ms()});
	if (session->lease) /* else it was refused, and is forgotten */
		session->lease->asking = NULL;
}

void
session_asks_attach(struct process *session, const struct msg_ask_attach *ask)
{
	struct broker *broker = session->broker;
	struct qualified vm, share;
	struct shown_ticket ticket;
	struct verdict verdict;
	struct record record;
	int64_t expires_us = 0;

	/* What is no name is a peer's fault, not a question. */
	if (qualified_parse(ask->vm, "VM", &vm, NULL) < 0 || qualified_parse(ask->share, "share", &share, NULL) < 0) {
		record = (struct record){.event = EVENT_ATTACH_DENY,
		    .host = session->host,
		    .detail = {{"source", session->source, 0}},
		    .detail_count = 1};
		refuse(session, &record, REASON_PROTOCOL_ERROR);
		return;
	}
	if (broker->stopping) {
		deny(session, REASON_STOPPING, 0);
		return;
	}
	const struct question question = {session->host, vm.text, share.text, VERB_ATTACH, (enum policy_mode)ask->mode,
	    session->channel.state == CH_PROVED, &ticket, session->key};

	ticket_take(broker, ask, &ticket);
	broker_decide(broker, &question, false, &verdict, &expires_us);
	if (verdict.allowed) {
		grant(session, ask, &question, &verdict, expires_us);
		return;
	}
	record = ask_record(session, ask, &ticket, &verdict);
	refuse(session, &record, (uint16_t)verdict.reason);
}

/* ---- JOIN ---- */

void
session_asks_join(struct process *session, const struct msg_ask_join *ask)
{
	struct lease *lease = lease_find(session->broker, ask->lease);
	struct record record = {
	    .event = EVENT_JOIN_DENY,
	    .host = session->host,
	    .lease = ask->lease,
	    .epoch = ask->epoch,
	    .detail = {{"source", session->source, 0}, {"session", NULL, session->id}},
	    .detail_count = 2,
	};
	const struct asking asking = {session, NULL, NULL, &record, NULL};

	if (lease == NULL || strcmp(lease->row.host, session->host) != 0) { /* another host's lease is none */
		refuse(session, &record, REASON_LEASE_UNKNOWN);
		return;
	}
	if (peer_is_denied(session->broker, session->host, session->key)) {
		refuse(session, &record, REASON_HOST_DENIED);
		return;
	}
	lease->asking = &asking;
	lease_tell(lease, &(struct lease_event){.kind = LE_JOIN, .epoch = ask->epoch, .now_ms = lease_now_ms()});
	lease->asking = NULL;
}

/* ---- the device ---- */

void
session_opened(struct broker *broker, uint32_t id, int page_fd)
{
	struct process *session = process_find(broker, id);
	void *page;

	if (session == NULL || session->lease == NULL || session->page) {
		close(page_fd);
		return;
	}
	page = mmap(NULL, LANE_PAGE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, page_fd, 0);
	close(page_fd);
	if (page == MAP_FAILED) {
		process_drop(session, "its lane page cannot be mapped: %s", strerror(errno));
		return;
	}
	session->page = page;
	if (!lease_is_live(session->lease)) { /* it ended while the device was opened */
		atomic_store(&session->page->ended, (uint32_t)session->lease->core.reason);
		return;
	}
	limits_lane_opened(session);
	session->channel.state = CH_HELD;
	process_tell(session, MSG_GRANTED, &session->granted);
}

void
session_open_failed(struct broker *broker, const struct msg_open_failed *failed)
{
	struct process *session = process_find(broker, failed->id);
	struct lease *lease = session ? session->lease : NULL;

	if (lease == NULL)
		return;
	log_error("%s", failed->text);
	if (session->lane == 0) {
		lease->refuse = session;
		lease_end(lease, REASON_DEVICE_UNAVAILABLE, 0, failed->text);
		return;
	}
	lease_release_lane(session);
	deny(session, failed->reason, 0);
}

/* ---- leaving ---- */

void
session_leaves(struct process *session, const struct msg_leave *leave)
{
	struct lease *lease = session->lease;

	session->channel.state = CH_ENDED;
	if (lease == NULL) {
		process_tell(session, MSG_LEFT, &(struct msg_left){0});
	} else if (!leave->all_lanes && session->lane != 0) {
		lease_release_lane(session);
		process_tell(session, MSG_LEFT, &(struct msg_left){0});
	} else {
		/* The session has closed the device; LEFT follows when that is certain, and recorded. */
		lease->leaving = session;
		lease->left = lease->core.leaving;
		if (lease->left)
			lease_end(
			    lease, (enum reason)lease->core.leave_reason, TIMER_DETACH_COURTESY_MS, lease->end_text);
		else
			lease_end(
			    lease, REASON_DETACHED, TIMER_DETACH_COURTESY_MS, "detached at the attach host's request");
	}
}
