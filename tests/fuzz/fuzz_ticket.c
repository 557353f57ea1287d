/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement tickets and their keys (crypto/ticket.h, crypto/paseto.h). The first four bytes are an edit (place, byte, kind) of what the harness signs; the
 * rest is a token, a key, and as it stands a payload that our key signs.
 *
 * Holds: a token that the harness did not sign never opens, and leaves the output alone; what parses as a token is the one text of its parts; what
 * peeks or opens has names that are names, ordered times, and when it is signed again says the same; an edited ticket opens to the same or not at all; a
 * key that parses prints to the same text.
 */
#include <sodium.h>

#include "base/bytes.h"
#include "crypto/ticket.h"
#include "tests/fuzz/fuzz.h"

#define FILLER 0xa5
#define GOOD                                                                                                        \
	"{\"exp\":\"2026-01-01T01:00:00Z\",\"host\":\"m1\",\"iat\":\"2026-01-01T00:00:00Z\",\"jti\":\"x\",\"nbf\":" \
	"\"2026-01-01T00:00:00Z\",\"vm\":\"acme/web-1\"}"

static uint8_t raw[PASETO_SECRET_LEN];
static struct ticket_secret *secret;
static struct ticket_key key;
static const struct ticket good = {
    .id = "x", .vm = "acme/web-1", .host = "m1", .trust_domain = "test.example", .not_before_us = 1, .expires_us = 2};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	uint8_t seed[32] = {7}, public[PASETO_KEY_LEN];
	char text[PASERK_SECRET_LEN + 1], token[4 + TICKET_LEN_MAX + 1] = "\0\x31\x55\1";

	(void)argc, (void)argv;
	REQUIRE(sodium_init() >= 0);
	crypto_sign_seed_keypair(public, raw, seed);
	paserk_print_secret(raw, text);
	secret = ticket_secret_parse(text, PASERK_SECRET_LEN, NULL);
	REQUIRE(secret != NULL);
	ticket_secret_public(secret, &key);
	seed_write("payload", "\0\0\0\0" GOOD, sizeof GOOD + 3);
	seed_write("token", token, 4 + (size_t)ticket_sign(secret, &good, token + 4, NULL));
	memcpy(token + 4, text, sizeof text);
	seed_write("secret", token, 4 + PASERK_SECRET_LEN);
	paserk_print_public(key.key, token + 4);
	seed_write("public", token, 4 + PASERK_PUBLIC_LEN);
	return 0;
}

static bool
is_same(const struct ticket *a, const struct ticket *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->vm, b->vm) == 0 && strcmp(a->host, b->host) == 0 &&
	       strcmp(a->trust_domain, b->trust_domain) == 0 && a->issued_us == b->issued_us &&
	       a->not_before_us == b->not_before_us && a->expires_us == b->expires_us;
}

/* Signed again it says the same, though its text may differ (order and spaces of the claims). */
static void
check_ticket(const struct ticket *ticket)
{
	char token[TICKET_LEN_MAX + 1];
	struct ticket again;
	struct qualified vm;
	int length = ticket_sign(secret, ticket, token, NULL);

	REQUIRE(qualified_parse(ticket->vm, "VM", &vm, NULL) == 0 && name_is_valid(ticket->host, strlen(ticket->host)));
	REQUIRE(ticket->not_before_us < ticket->expires_us);
	REQUIRE(ticket->expires_us - ticket->not_before_us <= TICKET_LIFE_MOST_US);
	REQUIRE(length > 0 && ticket_open(token, (size_t)length, &key, 1, &again) == REASON_ALLOWED);
	REQUIRE(is_same(&again, ticket));
}

/* Nobody but the harness knows how to sign. */
static void
check_token(const char *text, size_t length)
{
	struct ticket ticket;

	memset(&ticket, FILLER, sizeof ticket);
	if (ticket_open(text, length, &key, 1, &ticket) == REASON_ALLOWED) {
		REQUIRE(is_same(&ticket, &good)); /* the seed */
		return;
	}
	REQUIRE(is_untouched(&ticket, sizeof ticket, FILLER));
	if (ticket_peek(text, length, &ticket) == REASON_ALLOWED)
		check_ticket(&ticket);
	else
		REQUIRE(is_untouched(&ticket, sizeof ticket, FILLER));
}

static void
check_edit(struct reader *choices)
{
	char token[TICKET_LEN_MAX + 2];
	size_t length = (size_t)ticket_sign(secret, &good, token, NULL), at = read_u16(choices) % length;
	uint8_t byte = read_u8(choices), kind = read_u8(choices) % 3;
	struct ticket ticket;
	bool is_edited = true;

	if (kind == 0) {
		is_edited = token[at] != (char)byte;
		token[at] = (char)byte;
	} else if (kind == 1) {
		memmove(token + at + 1, token + at, length++ - at);
		token[at] = (char)byte;
	} else {
		length = at;
	}
	REQUIRE((ticket_open(token, length, &key, 1, &ticket) == REASON_ALLOWED) != is_edited);
	REQUIRE(is_edited || is_same(&ticket, &good));
}

/* What stands there as claims, under a signature that holds. */
static void
check_payload(const char *text, size_t length)
{
	char token[PASETO_TOKEN_MAX + 1], footer[256];
	int footer_length =
	    snprintf(footer, sizeof footer, "{\"kid\":\"%s\",\"trust_domain\":\"test.example\"}", key.id);
	const struct paseto_bytes parts[3] = {{text, length}, {footer, (size_t)footer_length}, {"test.example", 12}};
	int made = paseto_sign(raw, &parts[0], &parts[1], &parts[2], token, sizeof token);
	struct ticket ticket;
	enum reason reason;

	if (made < 0)
		return;
	reason = ticket_open(token, (size_t)made, &key, 1, &ticket);
	REQUIRE(reason == REASON_ALLOWED || reason == REASON_TICKET_MALFORMED || reason == REASON_TICKET_HUGE);
	if (reason == REASON_ALLOWED)
		check_ticket(&ticket);
}

static void
check_keys(const char *text, size_t length)
{
	uint8_t public[PASETO_KEY_LEN], whole[PASETO_SECRET_LEN];
	char printed[PASERK_SECRET_LEN + 1];

	if (paserk_parse_public(text, length, public) == 0) {
		paserk_print_public(public, printed);
		REQUIRE(length == PASERK_PUBLIC_LEN && memcmp(printed, text, length) == 0);
	}
	if (paserk_parse_secret(text, length, whole) == 0) {
		paserk_print_secret(whole, printed);
		REQUIRE(length == PASERK_SECRET_LEN && memcmp(printed, text, length) == 0);
	}
}

/* A token is the one text of its parts. */
static void
check_text(const char *text, size_t length)
{
	char again[PASETO_TOKEN_MAX + 1];
	struct paseto paseto;
	size_t whole;

	if (paseto_parse(text, length, &paseto) < 0)
		return;
	whole = paseto.payload_length;
	memcpy(paseto.payload + whole, paseto.signature, PASETO_SIGNATURE_LEN);
	memcpy(again, "v4.public.", 10);
	sodium_bin2base64(again + 10, sizeof again - 10, paseto.payload, whole + PASETO_SIGNATURE_LEN,
	    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	if (paseto.footer_length) {
		size_t at = strlen(again);

		again[at++] = '.';
		sodium_bin2base64(again + at, sizeof again - at, paseto.footer, paseto.footer_length,
		    sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	}
	REQUIRE(strlen(again) == length && memcmp(again, text, length) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct reader choices = reader_over(bytes, length);
	char *text;

	if (length < 4)
		return 0;
	text = malloc(length - 4 ? length - 4 : 1); /* of exactly that size: a read behind it is seen */
	REQUIRE(text != NULL);
	memcpy(text, bytes + 4, length - 4);
	check_edit(&choices);
	check_token(text, length - 4);
	check_text(text, length - 4);
	check_payload(text, length - 4);
	check_keys(text, length - 4);
	free(text);
	return 0;
}
