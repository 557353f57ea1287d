/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement tickets (crypto/ticket.h). In the broker a token comes from a peer by way of its session: hostile until its signature holds, and held to
 * every limit after that too.
 */
#include "crypto/ticket.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

#define FOOTER_KEY    "{\"kid\":\""
#define FOOTER_DOMAIN "\",\"trust_domain\":\""
#define FOOTER_END    "\"}"
#define FOOTER_MAX    (sizeof FOOTER_KEY + PASERK_ID_LEN + sizeof FOOTER_DOMAIN + TRUST_DOMAIN_MAX + sizeof FOOTER_END)
#define TIME_TEXT_MAX 40 /* of an RFC 3339 time in a claim */
#define ID_BYTES      16

struct ticket_secret {
	uint8_t secret[PASETO_SECRET_LEN];
};

/* ---- keys ---- */

static size_t
without_newline(const char *text, size_t length)
{
	return length > 0 && text[length - 1] == '\n' ? length - 1 : length;
}

int
ticket_key_parse(const char *text, size_t length, struct ticket_key *key, struct error *error)
{
	uint8_t bytes[PASETO_KEY_LEN];

	if (sodium_init() < 0)
		return error_set(error, -EIO, "libsodium cannot be set up");
	if (paserk_parse_public(text, without_newline(text, length), bytes) < 0)
		return error_set(error, -EINVAL,
		    "this is not the public key of a ticket signer: one line k4.public.BASE64URL is, as netbus-admin "
		    "ticket key makes it");
	memcpy(key->key, bytes, sizeof bytes);
	paserk_print_id(key->key, key->id);
	return 0;
}

static struct ticket_secret *
secret_room(struct error *error)
{
	struct ticket_secret *secret = sodium_init() < 0 ? NULL : sodium_malloc(sizeof *secret);

	if (secret == NULL)
		error_set(error, -ENOMEM, "there is no memory for a ticket key");
	return secret;
}

struct ticket_secret *
ticket_secret_parse(const char *text, size_t length, struct error *error)
{
	struct ticket_secret *secret = secret_room(error);

	if (secret && paserk_parse_secret(text, without_newline(text, length), secret->secret) < 0) {
		error_set(error, -EINVAL,
		    "this is not the secret key of a ticket signer: one line k4.secret.BASE64URL is, as netbus-admin "
		    "ticket key makes it");
		sodium_free(secret);
		return NULL;
	}
	if (secret)
		sodium_mprotect_readonly(secret);
	return secret;
}

struct ticket_secret *
ticket_secret_new(struct error *error)
{
	struct ticket_secret *secret = secret_room(error);
	uint8_t public[PASETO_KEY_LEN];

	if (secret) {
		crypto_sign_keypair(public, secret->secret);
		sodium_mprotect_readonly(secret);
	}
	return secret;
}

void
ticket_secret_free(struct ticket_secret *secret)
{
	sodium_free(secret); /* wipes it */
}

void
ticket_secret_print(const struct ticket_secret *secret, char text[static PASERK_SECRET_LEN + 1])
{
	paserk_print_secret(secret->secret, text);
}

void
ticket_secret_public(const struct ticket_secret *secret, struct ticket_key *key)
{
	crypto_sign_ed25519_sk_to_pk(key->key, secret->secret);
	paserk_print_id(key->key, key->id);
}

/* ---- claims ---- */

static bool
id_is_valid(const char *id)
{
	size_t length = strlen(id);

	return length >= 1 && length <= TICKET_ID_MAX &&
	       strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == length;
}

/* Host and trust domain are what a host's certificate may say, so the parser of that judges them. */
static bool
place_is_valid(const char *trust_domain, const char *host)
{
	char uri[sizeof "spiffe:///host/" + TRUST_DOMAIN_MAX + NAME_LEN_MAX];
	struct spiffe_id id;
	int length = snprintf(uri, sizeof uri, "spiffe://%s/host/%s", trust_domain, host);

	return length > 0 && (size_t)length < sizeof uri && spiffe_parse(uri, (size_t)length, &id, NULL) == 0 &&
	       strcmp(id.trust_domain, trust_domain) == 0 && strcmp(id.host.text, host) == 0;
}

static int
check_claims(const struct ticket *ticket, struct error *error)
{
	struct qualified vm;

	if (!id_is_valid(ticket->id))
		return error_set(error, -EINVAL, "the id of a ticket has 1 to %d of A-Z a-z 0-9 . _ -", TICKET_ID_MAX);
	if (qualified_parse(ticket->vm, "VM", &vm, error) < 0)
		return -EINVAL;
	if (!place_is_valid(ticket->trust_domain, ticket->host))
		return error_set(error, -EINVAL,
		    "'%.80s' and '%.80s' are not a trust domain (a-z 0-9 . _ -) and a host's name in it",
		    ticket->trust_domain, ticket->host);
	if (ticket->expires_us <= ticket->not_before_us)
		return error_set(error, -EINVAL, "a ticket must expire after it begins to hold");
	if (ticket->expires_us - ticket->not_before_us > TICKET_LIFE_MOST_US)
		return error_set(error, -EINVAL, "a ticket holds at most 366 days");
	return 0;
}

struct claim {
	const char *name;
	char *text;
	size_t room;
	int64_t *us;
};

static bool
take_claim(const struct claim *claim, const json_t *value)
{
	const char *text = json_string_value(value);
	size_t length = json_string_length(value), most = claim->us ? TIME_TEXT_MAX : claim->room - 1;

	if (text == NULL || length > most || strlen(text) != length)
		return false;
	if (claim->us)
		return clock_parse(text, claim->us, NULL) == 0;
	memcpy(claim->text, text, length + 1);
	return true;
}

/* All claims and nothing else: what a claim that we do not know would forbid, we must not allow. */
static bool
take_claims(const struct paseto *paseto, struct ticket *ticket)
{
	const struct claim claims[] = {{"jti", ticket->id, sizeof ticket->id, NULL},
	    {"vm", ticket->vm, sizeof ticket->vm, NULL}, {"host", ticket->host, sizeof ticket->host, NULL},
	    {"iat", NULL, 0, &ticket->issued_us}, {"nbf", NULL, 0, &ticket->not_before_us},
	    {"exp", NULL, 0, &ticket->expires_us}};
	const size_t count = sizeof claims / sizeof claims[0];
	json_t *object =
	    json_loadb((const char *)paseto->payload, paseto->payload_length, JSON_REJECT_DUPLICATES, NULL);
	bool good = json_is_object(object) && json_object_size(object) == count;

	for (size_t i = 0; i < count && good; i++)
		good = take_claim(&claims[i], json_object_get(object, claims[i].name));
	json_decref(object);
	return good && check_claims(ticket, NULL) == 0;
}

/* ---- footer ---- */

static bool
skip(const char **at, size_t *left, const char *word)
{
	size_t length = strlen(word);

	if (*left < length || memcmp(*at, word, length) != 0)
		return false;
	*at += length;
	*left -= length;
	return true;
}

/* The key's id and the trust domain, by position. */
static bool
take_footer(const struct paseto *paseto, struct ticket *ticket)
{
	const char *at = (const char *)paseto->footer;
	size_t left = paseto->footer_length, length;

	if (!skip(&at, &left, FOOTER_KEY) || left < PASERK_ID_LEN || memchr(at, '"', PASERK_ID_LEN))
		return false;
	memcpy(ticket->key_id, at, PASERK_ID_LEN);
	ticket->key_id[PASERK_ID_LEN] = '\0';
	at += PASERK_ID_LEN;
	left -= PASERK_ID_LEN;
	if (strlen(ticket->key_id) != PASERK_ID_LEN || !skip(&at, &left, FOOTER_DOMAIN) || left < strlen(FOOTER_END))
		return false;
	length = left - strlen(FOOTER_END);
	if (length > TRUST_DOMAIN_MAX || memcmp(at + length, FOOTER_END, strlen(FOOTER_END)) != 0)
		return false;
	memcpy(ticket->trust_domain, at, length);
	ticket->trust_domain[length] = '\0';
	return strlen(ticket->trust_domain) == length && place_is_valid(ticket->trust_domain, "h");
}

/* ---- tickets ---- */

void
ticket_draw_id(struct ticket *ticket)
{
	uint8_t bytes[ID_BYTES];

	randombytes_buf(bytes, sizeof bytes);
	print_hex(bytes, sizeof bytes, ticket->id);
}

/* Names are of an alphabet that JSON takes as it stands. */
static int
print_payload(const struct ticket *ticket, char *out, size_t room)
{
	char issued[CLOCK_TEXT_LEN], begins[CLOCK_TEXT_LEN], ends[CLOCK_TEXT_LEN];

	clock_print(ticket->issued_us, issued);
	clock_print(ticket->not_before_us, begins);
	clock_print(ticket->expires_us, ends);
	return snprintf(out, room,
	    "{\"exp\":\"%s\",\"host\":\"%s\",\"iat\":\"%s\",\"jti\":\"%s\",\"nbf\":\"%s\",\"vm\":\"%s\"}", ends,
	    ticket->host, issued, ticket->id, begins, ticket->vm);
}

int
ticket_sign(const struct ticket_secret *secret, const struct ticket *ticket, char token[static TICKET_LEN_MAX + 1],
    struct error *error)
{
	char payload[TICKET_LEN_MAX], footer[FOOTER_MAX];
	struct ticket_key key;
	struct paseto_bytes parts[3] = {
	    {payload, 0}, {footer, 0}, {ticket->trust_domain, strlen(ticket->trust_domain)}};
	int code = check_claims(ticket, error);

	if (code < 0)
		return code;
	ticket_secret_public(secret, &key);
	parts[0].length = (size_t)print_payload(ticket, payload, sizeof payload);
	parts[1].length = (size_t)snprintf(
	    footer, sizeof footer, FOOTER_KEY "%s" FOOTER_DOMAIN "%s" FOOTER_END, key.id, ticket->trust_domain);
	code = paseto_sign(secret->secret, &parts[0], &parts[1], &parts[2], token, TICKET_LEN_MAX + 1);
	return code < 0 ? error_set(error, -EINVAL, "a ticket has at most %u bytes", TICKET_LEN_MAX) : code;
}

static enum reason
take_apart(const char *token, size_t length, struct paseto *paseto, struct ticket *ticket)
{
	if (length > TICKET_LEN_MAX)
		return REASON_TICKET_HUGE;
	if (paseto_parse(token, length, paseto) < 0)
		return REASON_TICKET_MALFORMED;
	return take_footer(paseto, ticket) ? REASON_ALLOWED : REASON_TICKET_FOOTER;
}

static enum reason
verify(const struct paseto *paseto, const struct ticket *ticket, const struct ticket_key *keys, size_t key_count)
{
	const struct paseto_bytes implicit = {ticket->trust_domain, strlen(ticket->trust_domain)};

	for (size_t i = 0; i < key_count; i++)
		if (strcmp(keys[i].id, ticket->key_id) == 0)
			return paseto_verify(keys[i].key, paseto, &implicit) == 0 ? REASON_ALLOWED
										  : REASON_TICKET_EDITED;
	return REASON_TICKET_KEY;
}

enum reason
ticket_peek(const char *token, size_t length, struct ticket *ticket)
{
	struct paseto paseto;
	struct ticket parsed;
	enum reason reason = take_apart(token, length, &paseto, &parsed);

	if (reason == REASON_ALLOWED && !take_claims(&paseto, &parsed))
		reason = REASON_TICKET_MALFORMED;
	if (reason == REASON_ALLOWED)
		*ticket = parsed;
	return reason;
}

enum reason
ticket_open(const char *token, size_t length, const struct ticket_key *keys, size_t key_count, struct ticket *ticket)
{
	struct paseto paseto;
	struct ticket parsed;
	enum reason reason = take_apart(token, length, &paseto, &parsed);

	if (reason == REASON_ALLOWED)
		reason = verify(&paseto, &parsed, keys, key_count);
	if (reason == REASON_ALLOWED && !take_claims(&paseto, &parsed))
		reason = REASON_TICKET_MALFORMED;
	if (reason == REASON_ALLOWED)
		*ticket = parsed;
	return reason;
}

enum reason
ticket_judge(const struct ticket *ticket, const struct ticket_place *place)
{
	if (strcmp(ticket->trust_domain, place->trust_domain) != 0)
		return REASON_TICKET_TRUST_DOMAIN;
	if (strcmp(ticket->host, place->host) != 0)
		return REASON_TICKET_HOST;
	if (strcmp(ticket->vm, place->vm) != 0)
		return REASON_TICKET_VM;
	if (place->now_us < ticket->not_before_us)
		return REASON_TICKET_NOT_YET;
	return place->now_us < ticket->expires_us ? REASON_ALLOWED : REASON_TICKET_EXPIRED;
}
