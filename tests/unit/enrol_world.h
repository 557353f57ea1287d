/* SPDX-License-Identifier: Apache-2.0
 *
 * An enroller as netbus-keys has it (host m2, with its CA) and newcomers, for unit tests and fuzzers: no file, no socket. Everything aborts when it fails.
 */
#ifndef NETBUS_TESTS_UNIT_ENROL_WORLD_H
#define NETBUS_TESTS_UNIT_ENROL_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "crypto/enrol.h"
#include "tests/unit/require.h"
#include "wire/channel.h"

/* A CA's directory. */
struct made_ca {
	char *pem, *key, *cross; /* owned; cross NULL: no roll-over */
};

static inline struct pki_ca *
made_ca_open(const struct made_ca *made)
{
	struct pki_ca *ca =
	    pki_ca_parse(made->pem, strlen(made->pem), made->key, strlen(made->key), clock_wall_us(), NULL);

	REQUIRE(ca != NULL);
	return ca;
}

static inline void
made_ca_new(struct made_ca *made)
{
	struct pki_pair pair = {0};

	REQUIRE(pki_make_ca("test.example", clock_wall_us(), &pair, NULL) == 0);
	*made = (struct made_ca){strdup(pair.certificate), strdup(pair.key), NULL};
	pki_pair_clear(&pair);
}

/* As pki rollover begin leaves it. */
static inline void
made_ca_roll_over(const struct made_ca *old, struct made_ca *both)
{
	struct made_ca new;
	struct pki_ca *old_ca = made_ca_open(old), *new_ca;
	size_t length;

	made_ca_new(&new);
	new_ca = made_ca_open(&new);
	REQUIRE(pki_cross(old_ca, new_ca, clock_wall_us(), &new.cross, &length, NULL) == 0);
	both->key = new.key;
	both->cross = new.cross;
	REQUIRE(asprintf(&both->pem, "%s%s", new.pem, old->pem) > 0);
	free(new.pem);
	pki_ca_free(old_ca);
	pki_ca_free(new_ca);
}

/* As pki rollover finish leaves it. */
static inline void
made_ca_finish(const struct made_ca *both, struct made_ca *new)
{
	static const char end[] = "-----END CERTIFICATE-----\n";
	const char *at = strstr(both->pem, end);

	REQUIRE(at != NULL);
	*new = (struct made_ca){strndup(both->pem, (size_t)(at - both->pem) + strlen(end)), strdup(both->key), NULL};
}

static inline void
made_ca_free(struct made_ca *made)
{
	free(made->pem);
	free(made->key);
	free(made->cross);
	*made = (struct made_ca){0};
}

static inline void
add_file(struct keystore *store, uint8_t kind, const char *text)
{
	REQUIRE(keystore_add(store, kind, text, strlen(text), NULL) == 0);
}

/* netbus-keys of host m2 with that CA. */
static inline struct keystore *
enroller_new(const struct made_ca *made)
{
	struct keystore *store = keystore_new();
	struct pki_ca *ca = made_ca_open(made);
	struct pki_pair pair = {0};
	struct name host = {.text = "m2"};
	struct error error = {0};

	REQUIRE(pki_issue(ca, &host, PKI_ED25519, 1, clock_wall_us(), &pair, NULL) == 0);
	add_file(store, KEY_FILE_CERTIFICATE, pair.certificate);
	add_file(store, KEY_FILE_KEY, pair.key);
	add_file(store, KEY_FILE_CA, made->pem);
	add_file(store, KEY_FILE_AUTHORITY, made->pem);
	add_file(store, KEY_FILE_AUTHORITY_KEY, made->key);
	if (made->cross)
		add_file(store, KEY_FILE_CROSS, made->cross);
	if (keystore_commit(store, "m2", &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		abort();
	}
	pki_pair_clear(&pair);
	pki_ca_free(ca);
	return store;
}

/* A token of this enroller. */
static inline void
token_new(const struct keystore *store, const char *host, struct join_token *token)
{
	uint8_t key[JOIN_TOKEN_KEY_LEN];

	*token = (struct join_token){.expires_s = 4000000000};
	REQUIRE(join_token_draw(token, key) == 0 && name_parse(host, "host", &token->host, NULL) == 0 &&
		parse_hex(keystore_authority(store), token->ca, sizeof token->ca) == 0);
}

/* One conversation. */
struct talk {
	struct newcomer *newcomer;
	uint8_t nonce[ENROL_NONCE_LEN];
	struct msg_enrol_request request;
	struct enrol_issued issued;
	struct msg_enrol_answer answer;
};

/* The case as the broker would hand it on. */
static inline struct enrol_case
case_of(const struct talk *talk)
{
	const struct msg_enrol_request *request = &talk->request;
	struct enrol_case ask = {.statement = {request->statement.bytes, request->statement.length},
	    .possession = {request->possession.bytes, request->possession.length},
	    .proof = {request->proof.bytes, request->proof.length},
	    .chain = {request->chain.bytes, request->chain.length},
	    .not_after_us = clock_wall_us() + INT64_C(3600) * 1000000};

	memcpy(ask.nonces.newcomer, newcomer_nonce(talk->newcomer), ENROL_NONCE_LEN);
	memcpy(ask.nonces.enroller, talk->nonce, ENROL_NONCE_LEN);
	return ask;
}

static inline void
talk_ask(struct talk *talk, struct newcomer *newcomer)
{
	memset(talk, 0, sizeof *talk);
	talk->newcomer = newcomer;
	memset(talk->nonce, 7, sizeof talk->nonce);
	REQUIRE(newcomer_request(newcomer, talk->nonce, &talk->request, NULL) == 0);
}

static inline int
talk_issue(struct talk *talk, const struct keystore *store, struct error *error)
{
	struct enrol_case ask = case_of(talk);
	int code = keystore_enrol(store, &ask, &talk->issued, error);

	if (code < 0)
		return code;
	memcpy(talk->answer.chain.bytes, talk->issued.chain, talk->issued.chain_length);
	talk->answer.chain.length = (uint16_t)talk->issued.chain_length;
	memcpy(talk->answer.bundle.bytes, talk->issued.bundle, talk->issued.bundle_length);
	talk->answer.bundle.length = (uint16_t)talk->issued.bundle_length;
	memcpy(talk->answer.signature.bytes, talk->issued.signature, talk->issued.signature_length);
	talk->answer.signature.length = (uint16_t)talk->issued.signature_length;
	return 0;
}

static inline struct newcomer *
joiner_new(enum pki_key_type type, const struct join_token *token)
{
	struct newcomer *newcomer = newcomer_new(type, NULL);

	REQUIRE(newcomer != NULL && newcomer_use_token(newcomer, token, NULL) == 0);
	return newcomer;
}

static inline struct newcomer *
renewer_new(enum pki_key_type type, const char *host, const struct newcomer_files *present)
{
	struct newcomer *newcomer = newcomer_new(type, NULL);

	REQUIRE(newcomer != NULL && newcomer_use_present(newcomer, host, present, NULL) == 0);
	return newcomer;
}

#endif
