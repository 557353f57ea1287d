/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit trail as a stream for netbus-admin events: from a cursor, from a time, or the last records, and with `follow` what comes after them. Old and new
 * records take the same way: a batch of lines is read from the trail's file, and the loop has its turn before the next. A commit only wakes those who have
 * read all; so nothing is told twice or left out, and no reader, however slow, costs more than its part of LIMIT_FOLLOWER_BYTES.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/text.h"
#include "daemon/broker.h"

#define BATCH (32u << 10) /* bytes of the trail that are read in one turn */

struct events {
	struct client *client;
	struct db_place next; /* the record to be looked at next */
	uint64_t until;       /* the last one that is told; UINT64_MAX: it follows */
	uint64_t left;        /* rows that may still be told */
	int64_t from_us;      /* nothing is told before the first record of this time or later; 0: it was found */
	struct timer turn;    /* running: there is more to read */
	struct timer silence; /* running: a follower has something to take */
};

void
events_stop(struct client *client)
{
	if (client->events == NULL)
		return;
	timer_stop(&client->events->turn);
	timer_stop(&client->events->silence);
	free(client->events);
	client->events = NULL;
}

static bool
follows(const struct events *events)
{
	return events->until == UINT64_MAX;
}

static void
finish(struct events *events, enum admin_exit code, const char *text)
{
	struct client *client = events->client;

	events_stop(client);
	client_done(client, code, 0, "%s", text);
}

/* ---- a follower that does not read ---- */

static void
on_silence(struct timer *timer)
{
	struct events *events = CONTAINER_OF(timer, struct events, silence);
	struct client *client = events->client;

	log_warning("%s, who follows the audit trail, took nothing of it for %u s and is sent away before record "
		    "%" PRIu64,
	    client->name, LIMIT_FOLLOWER_MS / 1000, events->next.seq);
	client->gone = true;
	shutdown(client->fd, SHUT_RDWR); /* so that its watch comes and frees it */
}

/* The time counts from when something waits, and anew whenever some of it is taken. */
static void
watch_silence(struct events *events, bool taken)
{
	struct client *client = events->client;

	if (!follows(events) || buffer_length(&client->out) == 0)
		timer_stop(&events->silence);
	else if (taken || events->silence.loop == NULL)
		timer_start(client->broker->loop, &events->silence, LIMIT_FOLLOWER_MS * NS_PER_MS, on_silence);
}

/* ---- telling ---- */

/* Whether a name is of the tenant, or is not there at all. */
static bool
is_none_or_of(const struct record_text *name, const struct name *tenant)
{
	size_t length = strlen(tenant->text);

	return name->length == 0 ||
	       (name->length > length && memcmp(name->at, tenant->text, length) == 0 && name->at[length] == '/');
}

/* A tenant's operator is told what names his tenant and no other one. */
static bool
is_for(const struct client *client, const struct record_head *head)
{
	if (client->role != ROLE_TENANT)
		return true;
	return head->vm.length + head->share.length > 0 && is_none_or_of(&head->vm, &client->tenant) &&
	       is_none_or_of(&head->share, &client->tenant);
}

static void
tell(struct events *events, const char *line, size_t length, const struct record_head *head)
{
	struct msg_row_event row = {0};

	if (events->from_us > head->wall_us)
		return;
	events->from_us = 0;
	if (!is_for(events->client, head))
		return;
	memcpy(row.line, line, length); /* record_read() found it not longer than that */
	client_row(events->client, ADMIN_ROW_EVENT, &row);
	events->left--;
}

static bool
is_over(const struct events *events)
{
	return events->left == 0 || events->next.seq > events->until;
}

static bool
is_full(const struct events *events)
{
	return buffer_length(&events->client->out) >= LIMIT_FOLLOWER_BYTES;
}

/* 0 at the end of the trail or the batch, or when it has enough for now; or an error. */
static int
tell_batch(struct events *events, bool *at_end, struct error *error)
{
	char text[BATCH];
	size_t length, at = 0;
	int code = db_trail_read(events->client->broker->db, &events->next, text, sizeof text, &length, error);

	if (code < 0)
		return code;
	*at_end = length == 0;
	while (at < length && !is_over(events) && !is_full(events) && !events->client->gone) {
		struct record_head head;
		int line = db_trail_next(text + at, length - at, &events->next, &head, error);

		if (line < 0)
			return line;
		tell(events, text + at, (size_t)line, &head);
		at += (size_t)line + 1;
	}
	return 0;
}

static void
on_turn(struct timer *timer)
{
	struct events *events = CONTAINER_OF(timer, struct events, turn);
	struct error error = {0};
	bool at_end = false;

	if (tell_batch(events, &at_end, &error) < 0) {
		finish(events, ADMIN_FAILURE, error.text);
		return;
	}
	watch_silence(events, false);
	if (is_over(events) || (at_end && !follows(events)))
		finish(events, ADMIN_OK, "");
	else if (!at_end && !is_full(events) && !events->client->gone)
		timer_start(events->client->broker->loop, &events->turn, 0, on_turn);
}

static void
go_on(struct events *events)
{
	if (events->turn.loop == NULL && !is_full(events))
		timer_start(events->client->broker->loop, &events->turn, 0, on_turn);
}

void
events_taken(struct client *client)
{
	if (client->events == NULL)
		return;
	watch_silence(client->events, true);
	go_on(client->events);
}

static void
on_commit(void *context)
{
	const struct broker *broker = context;

	for (struct client *client = broker->clients; client; client = client->next)
		if (client->events)
			go_on(client->events);
}

void
events_flush(struct broker *broker)
{
	for (struct client *client = broker->clients; client; client = client->next) {
		struct error error;
		bool at_end;

		if (client->events)
			(void)tell_batch(client->events, &at_end,
			    &error); /* what it does not get now, it finds from its cursor on */
	}
}

void
events_begin(struct broker *broker)
{
	db_on_commit(broker->db, on_commit, broker);
}

/* ---- where it begins ---- */

static unsigned
count_followers(const struct broker *broker)
{
	unsigned count = 0;

	for (const struct client *client = broker->clients; client; client = client->next)
		count += client->events != NULL && follows(client->events);
	return count;
}

static bool
has_chain(const struct msg_get_events *ask)
{
	static const uint8_t none[sizeof ask->chain];

	return memcmp(ask->chain, none, sizeof none) != 0;
}

/* A cursor of another trail: this one was replaced, or cut, or the cursor comes from another host. */
static int
hold_against(const struct client *client, const struct msg_get_events *ask, struct db_place *place, struct error *error)
{
	const struct broker *broker = client->broker;
	char text[RECORD_WHOLE_MAX + 1], said[2 * sizeof ask->chain + 1], is[sizeof said];
	struct record_head head;
	size_t length;
	int code = db_trail_find(broker->db, ask->since, place, error);

	if (code == 0)
		code = db_trail_read(broker->db, place, text, sizeof text, &length, error);
	if (code == 0)
		code = db_trail_next(text, length, place, &head, error);
	if (code < 0 || memcmp(head.chain, ask->chain, sizeof ask->chain) == 0)
		return code < 0 ? code : 0;
	if (client->role == ROLE_TENANT) /* a record that he is not shown can be guessed by its chain value */
		return error_set(error, -EBADMSG,
		    "the cursor is not of this audit trail: it was replaced, or the cursor is of another host");
	print_hex(ask->chain, sizeof ask->chain, said);
	print_hex(head.chain, sizeof ask->chain, is);
	return error_set(error, -EBADMSG,
	    "the cursor is not of this audit trail: the chain value of record %" PRIu64
	    " begins with %s, not with %s. The trail was replaced, or the cursor is of another host",
	    ask->since, is, said);
}

static int
find_start(const struct client *client, const struct msg_get_events *ask, struct events *events, struct error *error)
{
	const struct broker *broker = client->broker;
	struct db_head head;

	db_head(broker->db, &head);
	events->until = ask->follow ? UINT64_MAX : head.size;
	events->left = ask->limit ? ask->limit : UINT64_MAX;
	switch (ask->from) {
	case 0:
		return db_trail_find(
		    broker->db, ask->since < head.size ? head.size - ask->since + 1 : 1, &events->next, error);
	case 1:
		if (ask->since > head.size)
			return error_set(error, -ENOENT,
			    "the audit trail has no record %" PRIu64 ", its last is %" PRIu64 "%s", ask->since,
			    head.size, has_chain(ask) ? ": it was replaced, or the cursor is of another host" : "");
		if (ask->since > 0 && has_chain(ask))
			return hold_against(client, ask, &events->next, error);
		return db_trail_find(broker->db, ask->since + 1, &events->next, error);
	default:
		events->from_us = (int64_t)ask->since;
		return db_trail_find(broker->db, 1, &events->next, error);
	}
}

static enum admin_exit
exit_code_of(const struct msg_get_events *ask, int code)
{
	if (code == -EBADMSG || (code == -ENOENT && has_chain(ask)))
		return ADMIN_VERIFY;
	return code == -ENOENT ? ADMIN_NOT_FOUND : ADMIN_FAILURE;
}

void
events_asked(struct client *client, const struct msg_get_events *ask)
{
	struct broker *broker = client->broker;
	struct error error = {0};
	struct events *events;
	int code;

	if (ask->follow && count_followers(broker) >= LIMIT_ADMIN_FOLLOWERS) {
		client_done(client, ADMIN_CONFLICT, 0,
		    "%u clients follow the audit trail already, which is as many as may", LIMIT_ADMIN_FOLLOWERS);
		return;
	}
	events = calloc(1, sizeof *events);
	if (events == NULL) {
		client_done(client, ADMIN_FAILURE, 0, "out of memory");
		return;
	}
	events->client = client;
	code = find_start(client, ask, events, &error);
	if (code < 0) {
		free(events);
		client_done(client, exit_code_of(ask, code), 0, "%s", error.text);
		return;
	}
	client->events = events;
	go_on(events);
}
