/* SPDX-License-Identifier: Apache-2.0
 *
 * The desk of one session or attachment in netbus-keys: for each handshake a nonce, one signature, one judgement of the peer's certificates,
 * one proof. The process at the other end is hostile once it was taken over: wire/channel.def says what it may ask and when, and what it
 * gives is checked by crypto/proof. Whoever asks for what it may not get loses its channel, and with it everything.
 */
#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "daemon/keys.h"

struct desk {
	struct desk *next, *previous;
	struct desks *desks;
	struct channel channel;
	struct watch watch;
	enum tls_side side;
	char expect_host[NAME_LEN_MAX + 1];
	struct keystore *store; /* of this handshake: valid as long as proof is */
	struct proof *proof;    /* the handshake that is under way */
};

/* ---- life ---- */

static void
desk_close(struct desk *desk)
{
	struct desks *desks = desk->desks;

	if (desk->previous)
		desk->previous->next = desk->next;
	else
		desks->first = desk->next;
	if (desk->next)
		desk->next->previous = desk->previous;
	desks->count--;
	watch_stop(&desk->watch);
	close(desk->channel.fd);
	proof_free(desk->proof);
	free(desk);
}

void
desks_clear(struct desks *desks)
{
	while (desks->first)
		desk_close(desks->first);
}

/* ---- one question each: 0 = go on, negative = this process is done here ---- */

static int
refuse(const struct desk *desk, const char *why)
{
	log_error("%s %u %s; its channel is closed", role_name(desk->channel.peer), desk->channel.id, why);
	return -EPERM;
}

static int
answer(struct desk *desk, uint16_t number, const void *message, enum channel_state state)
{
	int code = channel_send(&desk->channel, number, message, -1);

	if (code == 0)
		desk->channel.state = state;
	return code;
}

static int
answer_identity_ask(struct desk *desk, const union channel_body *body)
{
	struct msg_identity identity = {0};
	struct keystore *store = desk->desks->files->current;
	const uint8_t *chain;
	size_t length;

	(void)body;
	/* A session serves one connection. A second identity for it would be somebody else's on a lane that was given to the first. */
	if (desk->side == TLS_SERVER && desk->channel.state == CH_PROVED)
		return refuse(desk, "began another handshake after its peer was proved");
	if (store == NULL)
		return refuse(desk, "asked for an identity before there is one");
	proof_free(TAKE(desk->proof));
	desk->proof = proof_new(store, desk->side, desk->expect_host);
	if (desk->proof == NULL)
		return refuse(desk, "cannot be served: out of memory");
	desk->store = store;
	chain = keystore_chain(store, &length);
	_Static_assert(sizeof identity.nonce == TLS_NONCE_LEN, "one length for nonces");
	_Static_assert(sizeof identity.chain.bytes == LIMIT_CHAIN, "one limit for chains");
	memcpy(identity.nonce, proof_nonce(desk->proof), sizeof identity.nonce);
	copy_text(identity.trust_domain, sizeof identity.trust_domain, keystore_identity(store)->trust_domain);
	memcpy(identity.chain.bytes, chain, length);
	identity.chain.length = (uint16_t)length;
	return answer(desk, MSG_IDENTITY, &identity, CH_TOLD);
}

static int
answer_sign(struct desk *desk, const union channel_body *body)
{
	const struct msg_sign *sign = &body->sign;
	struct msg_signature signature = {0};
	size_t used = 0;

	if (proof_check_sign_input(desk->side, sign->input.bytes, sign->input.length) < 0)
		return refuse(desk, "wants something signed that is not its side of a TLS 1.3 handshake");
	if (keystore_sign(desk->store, sign->input.bytes, sign->input.length, signature.signature.bytes,
		sizeof signature.signature.bytes, &used) < 0)
		return refuse(desk, "cannot be served: signing failed");
	signature.signature.length = (uint16_t)used;
	return answer(desk, MSG_SIGNED, &signature, desk->channel.state == CH_TOLD ? CH_SIGNED : CH_BOTH);
}

static int
answer_check_chain(struct desk *desk, const union channel_body *body)
{
	const struct msg_check_chain *check = &body->check_chain;
	struct msg_chain_checked checked = {0};
	struct error text = {0};
	struct name host;
	int code = proof_check_chain(desk->proof, check->chain.bytes, check->chain.length, &text);

	checked.verify_error = (uint32_t)code;
	copy_text(checked.text, sizeof checked.text, text.text);
	if (code == X509_V_OK && proof_peer_host(desk->proof, &host) == 0)
		copy_text(checked.host, sizeof checked.host, host.text);
	return answer(desk, MSG_CHAIN_CHECKED, &checked, desk->channel.state == CH_TOLD ? CH_CHECKED : CH_BOTH);
}

static int
answer_prove(struct desk *desk, const union channel_body *body)
{
	const struct msg_prove *prove = &body->prove;
	struct msg_proof result = {0};
	struct proved_peer peer;
	struct error error = {0};
	int code = proof_verify(desk->proof, prove->scheme, prove->signature.bytes, prove->signature.length,
	    prove->transcript.bytes, prove->transcript.length, &peer, &error);

	proof_free(TAKE(desk->proof)); /* one try */
	if (code < 0) {
		log_warning(
		    "%s %u: its peer is not proved: %s", role_name(desk->channel.peer), desk->channel.id, error.text);
		copy_text(result.text, sizeof result.text, error.text);
		return answer(desk, MSG_PROOF, &result, CH_NEW);
	}
	/* The broker knows before the process can say a word about it. */
	code = desk->desks->tell_proved(desk->channel.id, &peer);
	if (code < 0)
		return code;
	result.ok = 1;
	copy_text(result.host, sizeof result.host, peer.host.text);
	return answer(desk, MSG_PROOF, &result, CH_PROVED);
}

static int
take_message(struct desk *desk, const struct channel_message *message)
{
	static const struct {
		uint16_t number;
		int (*answer)(struct desk *desk, const union channel_body *body);
	} answers[] = {
	    {MSG_IDENTITY_ASK, answer_identity_ask},
	    {MSG_SIGN, answer_sign},
	    {MSG_CHECK_CHAIN, answer_check_chain},
	    {MSG_PROVE, answer_prove},
	};

	for (size_t i = 0; i < ARRAY_LENGTH(answers); i++)
		if (answers[i].number == message->number)
			return answers[i].answer(desk, &message->body);
	return refuse(desk, "said what it may not say");
}

static void
on_ready(struct watch *watch, uint32_t events)
{
	struct desk *desk = CONTAINER_OF(watch, struct desk, watch);
	struct channel_message message;
	int got;

	(void)events;
	/* One a turn, so that nobody keeps the others waiting. */
	got = channel_recv(&desk->channel, &message);
	if (got == -EAGAIN)
		return;
	if (got <= 0 || take_message(desk, &message) < 0)
		desk_close(desk);
}

void
desk_open(struct desks *desks, const struct msg_keys_peer *peer, int fd)
{
	AUTO_CLOSE int owned = fd;
	bool is_session = peer->kind == PEER_SESSION;
	struct desk *desk;
	int code;

	if (peer->kind == PEER_KEYS || desks->count >= LIMIT_SESSIONS + LIMIT_ATTACHMENTS) {
		log_error("process %u gets no keys: %s", peer->id,
		    peer->kind == PEER_KEYS ? "it is not one that needs them" : "there are too many");
		return;
	}
	desk = calloc(1, sizeof *desk);
	if (desk == NULL) {
		log_error("process %u gets no keys: out of memory", peer->id);
		return;
	}
	code = watch_start(desks->loop, &desk->watch, owned, EPOLLIN, on_ready);
	if (code < 0) {
		log_error("process %u gets no keys: cannot watch its channel: %s", peer->id, strerror(-code));
		free(desk);
		return;
	}
	desk->desks = desks;
	desk->side = is_session ? TLS_SERVER : TLS_CLIENT;
	memcpy(desk->expect_host, peer->expect_host, sizeof desk->expect_host);
	desk->channel = (struct channel){.fd = take_fd(&owned),
	    .self = ROLE_KEYS,
	    .peer = is_session ? ROLE_SESSION : ROLE_ATTACH,
	    .state = CH_NEW,
	    .id = peer->id};
	desk->next = desks->first;
	if (desk->next)
		desk->next->previous = desk;
	desks->first = desk;
	desks->count++;
}
