/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin ticket: keys that sign placement tickets, tickets, and what a ticket says. Works on files alone, where VMs are placed; no daemon is asked.
 * A secret key is written with mode 0600, never to a terminal, and never over anything that exists.
 */
#include "admin/admin.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "crypto/pki.h"
#include "crypto/ticket.h"

#define FILE_MOST      ((size_t)64 << 10)
#define TTL_DEFAULT_US (INT64_C(3600) * 1000000)
#define TTL_MOST_US    (INT64_C(365) * 86400 * 1000000)
/* Clocks differ: a ticket that holds from now on would be refused where it is a moment earlier. */
#define BACKDATE_US (INT64_C(30) * 1000000)

_Static_assert(TTL_MOST_US + BACKDATE_US <= TICKET_LIFE_MOST_US, "what is issued is taken");

/* ---- files ---- */

int
ticket_read_file(struct admin *admin, const char *path, char token[static LIMIT_TICKET + 1], size_t *length)
{
	bool is_standard_input = strcmp(path, "-") == 0;
	const char *shown = is_standard_input ? "standard input" : path;
	FILE *file = is_standard_input ? stdin : fopen(path, "re");
	char text[LIMIT_TICKET + 2]; /* with a newline; and one more shows that it is longer */
	size_t got;
	bool failed;

	if (file == NULL)
		return verb_fail(admin, ADMIN_FAILURE, "%s: %s", path, strerror(errno));
	got = fread(text, 1, sizeof text, file);
	failed = ferror(file) != 0;
	if (!is_standard_input)
		fclose(file);
	if (failed)
		return verb_fail(admin, ADMIN_FAILURE, "%s cannot be read", shown);
	if (got > 0 && text[got - 1] == '\n')
		got--;
	if (got > LIMIT_TICKET)
		return verb_fail(admin, ADMIN_FAILURE, "%s is longer than a ticket's %u bytes", shown, LIMIT_TICKET);
	if (got < 10 || memcmp(text, "v4.public.", 10) != 0)
		return verb_fail(admin, ADMIN_FAILURE,
		    "%s has no ticket; one begins with v4.public. (netbus-admin ticket issue makes it)", shown);
	memcpy(token, text, got);
	token[got] = '\0';
	*length = got;
	return 0;
}

/* ---- key new ---- */

static int
write_pair(struct admin *admin, const char *path, const char *public_path, const struct ticket_secret *secret,
    struct ticket_key *key)
{
	char public[PASERK_PUBLIC_LEN + 1], text[PASERK_SECRET_LEN + 1];
	struct error error = {0};
	int code;

	ticket_secret_public(secret, key);
	paserk_print_public(key->key, public);
	ticket_secret_print(secret, text);
	text[PASERK_SECRET_LEN] = public[PASERK_PUBLIC_LEN] = '\n'; /* in place of the NUL */
	code = file_replace(path, text, sizeof text, 0600, &error);
	if (code == 0)
		code = file_replace(public_path, public, sizeof public, 0644, &error);
	sodium_memzero(text, sizeof text);
	return code < 0 ? verb_fail(admin, ADMIN_FAILURE, "%s", error.text) : 0;
}

static void
say_key(struct admin *admin, const char *path, const char *public_path, const struct ticket_key *key)
{
	char public[PASERK_PUBLIC_LEN + 1];
	json_t *object;

	paserk_print_public(key->key, public);
	verb_say(admin, "%s signs placement tickets: keep it where no host can read it.", path);
	verb_say(admin, "%s goes onto export hosts, into ticket_keys of netbusd.yaml: %s", public_path, public);
	verb_say(admin, "Its id in tickets and trails is %s.", key->id);
	if (!admin->json)
		return;
	object = verb_memory(json_object());
	output_put(object, "secret_file", json_string(path));
	output_put(object, "public_file", json_string(public_path));
	output_put(object, "public_key", json_string(public));
	output_put(object, "key_id", json_string(key->id));
	output_json(object);
}

static char *
public_path_of(const char *path)
{
	char *whole = NULL;

	if (asprintf(&whole, "%s.pub", path) < 0)
		whole = NULL;
	return verb_memory(whole);
}

static int
key_new(struct admin *admin, const char *path)
{
	AUTO_FREE char *public_path = public_path_of(path);
	struct ticket_secret *secret;
	struct ticket_key key;
	struct error error = {0};
	int code;

	if (access(path, F_OK) == 0 || access(public_path, F_OK) == 0)
		return verb_fail(admin, ADMIN_CONFLICT,
		    "%s or %s exists, and a key is never overwritten; name another file", path, public_path);
	if (admin->dry_run) {
		verb_say(admin, "would make %s and %s", path, public_path);
		return ADMIN_OK;
	}
	secret = ticket_secret_new(&error);
	if (secret == NULL)
		return verb_fail(admin, ADMIN_FAILURE, "%s", error.text);
	code = write_pair(admin, path, public_path, secret, &key);
	ticket_secret_free(secret);
	if (code == 0)
		say_key(admin, path, public_path, &key);
	return code;
}

int
cmd_ticket_key(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	int code = verb_options(admin, &argc, argv, options, 2, 2);

	if (code != 0)
		return code;
	if (strcmp(argv[0], "new") != 0)
		return verb_usage(admin, "'%s' is not known here; 'ticket key new FILE' makes a key", argv[0]);
	return key_new(admin, argv[1]);
}

/* ---- what a ticket says ---- */

static json_t *
ticket_object(const struct ticket *ticket)
{
	char issued[CLOCK_TEXT_LEN], begins[CLOCK_TEXT_LEN], ends[CLOCK_TEXT_LEN];
	json_t *object = verb_memory(json_object());

	clock_print(ticket->issued_us, issued);
	clock_print(ticket->not_before_us, begins);
	clock_print(ticket->expires_us, ends);
	output_put(object, "id", json_string(ticket->id));
	output_put(object, "vm", json_string(ticket->vm));
	output_put(object, "host", json_string(ticket->host));
	output_put(object, "trust_domain", json_string(ticket->trust_domain));
	output_put(object, "issued", json_string(issued));
	output_put(object, "not_before", json_string(begins));
	output_put(object, "expires", json_string(ends));
	output_put(object, "key_id", json_string(ticket->key_id));
	return object;
}

/* ---- issue ---- */

struct issue {
	struct ticket ticket;
	const char *key_path;
};

static struct ticket_secret *
load_secret(struct admin *admin, const char *path, int *code)
{
	AUTO_FREE char *text = NULL;
	struct ticket_secret *secret = NULL;
	struct error error = {0};
	size_t length;

	*code = 0;
	if (file_read_all(path, FILE_MOST, &text, &length, &error) < 0) {
		*code = verb_fail(admin, ADMIN_FAILURE,
		    "%s; --key names the secret key, 'netbus-admin ticket key new FILE' makes one", error.text);
		return NULL;
	}
	secret = ticket_secret_parse(text, length, &error);
	sodium_memzero(text, length);
	if (secret == NULL)
		*code = verb_fail(admin, ADMIN_FAILURE, "%s: %s", path, error.text);
	return secret;
}

static int
sign(struct admin *admin, struct issue *issue)
{
	char token[TICKET_LEN_MAX + 1];
	struct ticket_key key;
	struct error error = {0};
	json_t *object;
	int code;
	struct ticket_secret *secret = load_secret(admin, issue->key_path, &code);

	if (secret == NULL)
		return code;
	ticket_draw_id(&issue->ticket);
	ticket_secret_public(secret, &key);
	memcpy(issue->ticket.key_id, key.id, sizeof issue->ticket.key_id);
	code = ticket_sign(secret, &issue->ticket, token, &error);
	ticket_secret_free(secret);
	if (code < 0)
		return verb_usage(admin, "%s", error.text);
	if (!admin->json) {
		puts(token);
		return ADMIN_OK;
	}
	object = ticket_object(&issue->ticket);
	output_put(object, "ticket", json_string(token));
	output_json(object);
	return ADMIN_OK;
}

/* --trust-domain, or that of this host's certificate. */
static int
operand_trust_domain(struct admin *admin, const char *text, struct ticket *ticket)
{
	AUTO_FREE char *path = verb_path(admin, "/etc/netbus/pki/host.pem"), *certificate = NULL;
	struct pki_facts facts;
	struct error error = {0};
	size_t length;

	if (text == NULL && file_read_all(path, FILE_MOST, &certificate, &length, &error) == 0 &&
	    pki_describe(certificate, length, &facts, &error) == 0)
		text = facts.trust_domain;
	if (text == NULL)
		return verb_usage(admin, "--trust-domain is needed, since this host has no certificate that says it");
	if (pki_trust_domain_check(text, &error) < 0)
		return verb_usage(admin, "--trust-domain %s", error.text);
	snprintf(ticket->trust_domain, sizeof ticket->trust_domain, "%s", text);
	return 0;
}

static int
operand_times(struct admin *admin, const char *ttl, const char *not_before, struct ticket *ticket)
{
	uint64_t ttl_us = TTL_DEFAULT_US;
	struct error error = {0};
	int64_t now_us = clock_wall_us(), begin_us = now_us;
	int code = operand_duration(admin, "--ttl", ttl, TTL_MOST_US, &ttl_us);

	if (code != 0)
		return code;
	if (not_before != NULL && clock_parse(not_before, &begin_us, &error) < 0)
		return verb_usage(admin, "--not-before: %s", error.text);
	ticket->issued_us = now_us;
	ticket->not_before_us = not_before != NULL ? begin_us : now_us - BACKDATE_US;
	ticket->expires_us = begin_us + (int64_t)ttl_us;
	return 0;
}

int
cmd_ticket_issue(struct admin *admin, int argc, char **argv)
{
	AUTO_FREE char *default_key = verb_path(admin, "/etc/netbus/pki/ticket.key");
	const char *ttl = NULL, *not_before = NULL, *trust_domain = NULL;
	struct issue issue = {.key_path = default_key};
	const struct verb_option options[] = {{"ttl", .value = &ttl}, {"not-before", .value = &not_before},
	    {"key", .value = &issue.key_path}, {"trust-domain", .value = &trust_domain}, {NULL}};
	int code = verb_options(admin, &argc, argv, options, 2, 2);

	if (code == 0)
		code = operand_qualified(admin, "VM", argv[0], issue.ticket.vm);
	if (code == 0)
		code = operand_name(admin, "host", argv[1], issue.ticket.host);
	if (code == 0)
		code = operand_times(admin, ttl, not_before, &issue.ticket);
	if (code == 0)
		code = operand_trust_domain(admin, trust_domain, &issue.ticket);
	return code == 0 ? sign(admin, &issue) : code;
}

/* ---- show ---- */

static const char *
state_of(const struct ticket *ticket, int64_t now_us)
{
	if (now_us < ticket->not_before_us)
		return "not-yet";
	return now_us < ticket->expires_us ? "holds" : "expired";
}

static int
load_public(struct admin *admin, const char *path, struct ticket_key *key)
{
	AUTO_FREE char *text = NULL;
	struct error error = {0};
	size_t length;

	if (file_read_all(path, FILE_MOST, &text, &length, &error) < 0)
		return verb_fail(admin, ADMIN_FAILURE, "%s", error.text);
	if (ticket_key_parse(text, length, key, &error) < 0)
		return verb_fail(admin, ADMIN_FAILURE, "%s: %s", path, error.text);
	return 0;
}

static void
say_ticket(struct admin *admin, json_t *taken)
{
	const char *key;
	json_t *value;

	json_object_foreach(taken, key, value) verb_say(admin, "%-12s %s", key, json_string_value(value));
	if (admin->json)
		output_json(taken);
	else
		json_decref(taken);
}

/* `key` NULL: the signature is not looked at. */
static int
show(struct admin *admin, const char *token, size_t length, const struct ticket_key *key)
{
	struct ticket ticket, opened;
	enum reason reason = ticket_peek(token, length, &ticket);
	bool is_ticket = reason == REASON_ALLOWED;
	json_t *object;

	if (key != NULL)
		reason = ticket_open(token, length, key, 1, &opened);
	if (!is_ticket)
		return verb_fail(admin, reason == REASON_TICKET_EDITED ? ADMIN_VERIFY : ADMIN_FAILURE, "%s",
		    reason_sentence((uint16_t)reason));
	object = ticket_object(&ticket);
	output_put(object, "state", json_string(state_of(&ticket, clock_wall_us())));
	output_put(object, "signature",
	    json_string(key == NULL                   ? "not-checked"
			: reason == REASON_ALLOWED    ? "good"
			: reason == REASON_TICKET_KEY ? "other-key"
						      : "bad"));
	say_ticket(admin, object);
	if (reason == REASON_TICKET_KEY)
		return verb_fail(
		    admin, ADMIN_VERIFY, "it is signed with another key: %s, not %s", ticket.key_id, key->id);
	if (reason != REASON_ALLOWED)
		return verb_fail(admin, ADMIN_VERIFY, "its signature does not hold: it was changed");
	return ADMIN_OK;
}

int
cmd_ticket_show(struct admin *admin, int argc, char **argv)
{
	const char *public_path = NULL;
	const struct verb_option options[] = {{"pub", .value = &public_path}, {NULL}};
	char token[LIMIT_TICKET + 1];
	struct ticket_key key;
	size_t length = 0;
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code == 0 && public_path != NULL)
		code = load_public(admin, public_path, &key);
	if (code == 0)
		code = ticket_read_file(admin, argv[0], token, &length);
	return code == 0 ? show(admin, token, length, public_path != NULL ? &key : NULL) : code;
}
