/* SPDX-License-Identifier: Apache-2.0
 *
 * Placement tickets: "this VM is placed on this host", for a while, signed by whoever places VMs. A PASETO v4.public token (crypto/paseto.h) of one form:
 *
 *   payload             {"exp":T,"host":"m1","iat":T,"jti":ID,"nbf":T,"vm":"acme/web-1"}   all of these and nothing else; T is RFC 3339
 *   footer              {"kid":"k4.pid.<44>","trust_domain":"example.org"}                 to the byte
 *   implicit assertion  the trust domain
 *
 * The footer is taken apart by position before the signature is verified; JSON is parsed only after that, so that a peer who has no key cannot
 * feed the parser. The trust domain stands in the footer only so that a ticket of another one can be told from an edited one.
 *
 * Pure: the time is passed in. netbus-broker checks tickets, netbus-admin makes and shows them. Reasons are those of authz/reason.def.
 */
#ifndef NETBUS_CRYPTO_TICKET_H
#define NETBUS_CRYPTO_TICKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/reason.h"
#include "base/error.h"
#include "base/name.h"
#include "crypto/paseto.h"
#include "crypto/proof.h"

#define TICKET_LEN_MAX      1536u /* bytes of its text; with the longest names it is shorter, and LIMIT_TICKET leaves room */
#define TICKET_ID_MAX       63                               /* of [A-Za-z0-9._-]; ours are 32 hexadecimal digits */
#define TICKET_LIFE_MOST_US (INT64_C(366) * 86400 * 1000000) /* from not-before to expiry */
#define TICKET_KEYS_MOST    16

struct ticket {
	char id[TICKET_ID_MAX + 1];
	char vm[QUALIFIED_LEN_MAX + 1];
	char host[NAME_LEN_MAX + 1];
	char trust_domain[TRUST_DOMAIN_MAX + 1];
	char key_id[PASERK_ID_LEN + 1]; /* of the key that signed it */
	int64_t issued_us;              /* for people; decides nothing */
	int64_t not_before_us;          /* holds from then on */
	int64_t expires_us;             /* and no longer then */
};

/* ---- keys ---- */

struct ticket_key { /* that tickets are verified with */
	uint8_t key[PASETO_KEY_LEN];
	char id[PASERK_ID_LEN + 1];
};
struct ticket_secret; /* in guarded memory */

/* "k4.public.<43>" with or without a newline; -EINVAL. */
int ticket_key_parse(const char *text, size_t length, struct ticket_key *key, struct error *error);
/* "k4.secret.<86>" with or without a newline; NULL when it is none. */
struct ticket_secret *ticket_secret_parse(const char *text, size_t length, struct error *error);
struct ticket_secret *ticket_secret_new(struct error *error);
void ticket_secret_free(struct ticket_secret *secret); /* wipes it; NULL is fine */
/* Its text without a newline, which the caller wipes; and its public half. */
void ticket_secret_print(const struct ticket_secret *secret, char text[static PASERK_SECRET_LEN + 1]);
void ticket_secret_public(const struct ticket_secret *secret, struct ticket_key *key);

/* ---- tickets ---- */

/* A new id. */
void ticket_draw_id(struct ticket *ticket);
/* Signs; key_id is the secret's whatever `ticket` says. The token's length (it is NUL-terminated), or -EINVAL when a claim is none that
 * ticket_open() takes. */
int ticket_sign(const struct ticket_secret *secret, const struct ticket *ticket, char token[static TICKET_LEN_MAX + 1],
    struct error *error);

/* What it says, unverified: for people. REASON_ALLOWED, or TICKET_HUGE, TICKET_MALFORMED, TICKET_FOOTER. */
enum reason ticket_peek(const char *untrusted_token, size_t length, struct ticket *untrusted_ticket);
/* What it says, when one of these keys signed it: as before, or TICKET_KEY, TICKET_EDITED. */
enum reason ticket_open(
    const char *untrusted_token, size_t length, const struct ticket_key *keys, size_t key_count, struct ticket *ticket);

struct ticket_place {
	const char *host, *vm, *trust_domain; /* who asks, as proved; ours */
	int64_t now_us;
};
/* Whether an opened ticket is for this: REASON_ALLOWED, or TICKET_TRUST_DOMAIN, TICKET_HOST, TICKET_VM, TICKET_NOT_YET, TICKET_EXPIRED, the first that
 * is so in this order. */
enum reason ticket_judge(const struct ticket *ticket, const struct ticket_place *place);

#endif
