/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement tickets on the export host: which keys may sign them (ticket_keys of netbusd.yaml), and what a ticket that was shown is worth now. The token
 * comes from a peer; crypto/ticket.h says what is done with it before anybody believes it. A lease keeps what its ticket said, and is judged by that
 * again whenever policy or keys change.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/broker.h"

#define KEY_FILE_MOST 4096u

/* ---- keys ---- */

/* A text of ticket_keys: a key, or the path of a file that has one. */
static int
take_key(const char *text, struct ticket_key *key, struct error *error)
{
	AUTO_FREE char *content = NULL;
	size_t length;
	int code;

	if (text[0] != '/') {
		code = ticket_key_parse(text, strlen(text), key, error);
		return code < 0 ? error_wrap(error, "ticket_keys: '%.60s'", text) : 0;
	}
	code = file_read_all(text, KEY_FILE_MOST, &content, &length, error);
	if (code < 0)
		return error_wrap(error,
		    "ticket_keys (netbus-broker reads files in the directory of netbusd.yaml and below it, mode 0644)");
	code = ticket_key_parse(content, length, key, error);
	return code < 0 ? error_wrap(error, "ticket_keys: %s", text) : 0;
}

int
tickets_load(const struct config *config, struct ticket_keys *keys, struct error *error)
{
	struct ticket_keys loaded = {.count = config->ticket_key_count};

	for (size_t i = 0; i < loaded.count; i++) {
		int code = take_key(config->ticket_keys[i], &loaded.list[i], error);

		if (code < 0)
			return code;
	}
	*keys = loaded;
	return 0;
}

static bool
is_listed(const struct ticket_keys *keys, const char *id)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcmp(keys->list[i].id, id) == 0)
			return true;
	return false;
}

bool
tickets_lost_a_key(const struct ticket_keys *old, const struct ticket_keys *new)
{
	for (size_t i = 0; i < old->count; i++)
		if (!is_listed(new, old->list[i].id))
			return true;
	return false;
}

/* ---- tickets ---- */

void
ticket_take(const struct broker *broker, const struct msg_ask_attach *ask, struct shown_ticket *shown)
{
	*shown = (struct shown_ticket){0};
	if (ask->ticket.length)
		shown->opened = ticket_open((const char *)ask->ticket.bytes, ask->ticket.length,
		    broker->ticket_keys.list, broker->ticket_keys.count, &shown->ticket);
}

enum reason
ticket_now(const struct broker *broker, const struct question *question, int64_t at_us)
{
	const struct shown_ticket *shown = question->ticket;
	const struct ticket_place place = {question->host, question->vm, broker->identity.trust_domain, at_us};

	if (shown == NULL || shown->opened == 0)
		return REASON_TICKET_MISSING;
	if (shown->opened != REASON_ALLOWED)
		return shown->opened;
	if (!is_listed(&broker->ticket_keys, shown->ticket.key_id))
		return REASON_TICKET_KEY;
	if (!broker->has_identity) /* whose trust domain is ours cannot be said yet */
		return REASON_TICKET_INVALID;
	return ticket_judge(&shown->ticket, &place);
}

void
ticket_record(const struct shown_ticket *shown, enum reason now, struct record *record)
{
	if (shown->opened == 0)
		return;
	if (shown->opened == REASON_ALLOWED) {
		record->detail[record->detail_count++] = (struct record_detail){"ticket", shown->ticket.id, 0};
		record->detail[record->detail_count++] = (struct record_detail){"ticket_key", shown->ticket.key_id, 0};
	}
	if (now != REASON_ALLOWED)
		record->detail[record->detail_count++] =
		    (struct record_detail){"ticket_fault", reason_name((uint16_t)now), 0};
}
