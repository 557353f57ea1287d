/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls to netbus-keys (daemon/custody.h).
 */
#include "daemon/custody.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/name.h"

#define ANSWER_MS 10000

struct desk {
	struct channel keys;
	bool busy;   /* a handshake is under way */
	bool broken; /* a call failed: what comes next on the channel answers we know not what */
	struct channel_message answer;
	union channel_body question;
};

static int
ask(struct desk *desk, uint16_t number, uint16_t answer)
{
	int code;

	if (desk->broken)
		return -EPIPE;
	code = channel_call(&desk->keys, number, &desk->question, answer, &desk->answer, ANSWER_MS);
	desk->broken = code < 0;
	return code;
}

/* A question with nothing in it but what the caller fills in now. */
static union channel_body *
blank(struct desk *desk)
{
	memset(&desk->question, 0, sizeof desk->question);
	return &desk->question;
}

static int
custody_identity(void *context, uint8_t nonce[static TLS_NONCE_LEN], const uint8_t **chain, size_t *chain_length)
{
	struct desk *desk = context;
	const struct msg_identity *identity = &desk->answer.body.identity;
	int code;

	if (desk->busy)
		return -EBUSY;
	blank(desk);
	code = ask(desk, MSG_IDENTITY_ASK, MSG_IDENTITY);
	if (code < 0)
		return code;
	_Static_assert(sizeof identity->nonce == TLS_NONCE_LEN, "one length for nonces");
	memcpy(nonce, identity->nonce, TLS_NONCE_LEN);
	*chain = identity->chain.bytes;
	*chain_length = identity->chain.length;
	desk->busy = true;
	return 0;
}

static void
custody_end(void *context)
{
	struct desk *desk = context;

	desk->busy = false;
}

static int
custody_sign(
    void *context, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *signature_length)
{
	struct desk *desk = context;
	struct msg_sign *sign = &blank(desk)->sign;
	const struct msg_signature *made = &desk->answer.body.signature;
	int code;

	if (length > sizeof sign->input.bytes)
		return -EMSGSIZE;
	memcpy(sign->input.bytes, input, length);
	sign->input.length = (uint16_t)length;
	code = ask(desk, MSG_SIGN, MSG_SIGNED);
	if (code < 0)
		return code;
	if (made->signature.length == 0 || made->signature.length > room)
		return -EPERM; /* it refused */
	memcpy(signature, made->signature.bytes, made->signature.length);
	*signature_length = made->signature.length;
	return 0;
}

static int
custody_check_chain(void *context, const uint8_t *chain, size_t length, int *verify_error, struct error *text)
{
	struct desk *desk = context;
	struct msg_check_chain *check = &blank(desk)->check_chain;
	const struct msg_chain_checked *checked = &desk->answer.body.chain_checked;
	int code;

	if (length > sizeof check->chain.bytes)
		return -EMSGSIZE;
	memcpy(check->chain.bytes, chain, length);
	check->chain.length = (uint16_t)length;
	code = ask(desk, MSG_CHECK_CHAIN, MSG_CHAIN_CHECKED);
	if (code < 0)
		return code;
	*verify_error = (int)checked->verify_error;
	if (checked->verify_error != X509_V_OK)
		error_set(text, -EPROTO, "%s", checked->text);
	return 0;
}

static int
custody_prove(void *context, uint16_t scheme, const uint8_t *signature, size_t signature_length,
    const uint8_t *transcript, size_t transcript_length, char *host, struct error *error)
{
	struct desk *desk = context;
	struct msg_prove *prove = &blank(desk)->prove;
	const struct msg_proof *proof = &desk->answer.body.proof;
	int code;

	if (signature_length > sizeof prove->signature.bytes || transcript_length > sizeof prove->transcript.bytes)
		return error_set(error, -EMSGSIZE, "the handshake is longer than netbus-keys takes");
	prove->scheme = scheme;
	memcpy(prove->signature.bytes, signature, signature_length);
	prove->signature.length = (uint16_t)signature_length;
	memcpy(prove->transcript.bytes, transcript, transcript_length);
	prove->transcript.length = (uint16_t)transcript_length;
	code = ask(desk, MSG_PROVE, MSG_PROOF);
	if (code < 0)
		return error_errno(error, code, "netbus-keys does not answer");
	if (!proof->ok)
		return error_set(error, -EACCES, "%s", proof->text);
	_Static_assert(sizeof proof->host == NAME_LEN_MAX + 1, "one limit for host names");
	memcpy(host, proof->host, sizeof proof->host);
	return 0;
}

int
custody_open(struct custody *custody, int keys_fd, enum role self)
{
	struct desk *desk;
	int code = tls_prepare(NULL);

	if (code < 0)
		return code;
	desk = calloc(1, sizeof *desk);
	if (desk == NULL)
		return -ENOMEM;
	desk->keys = (struct channel){.fd = keys_fd, .self = self, .peer = ROLE_KEYS, .state = CH_NEW};
	*custody = (struct custody){.context = desk,
	    .identity = custody_identity,
	    .sign = custody_sign,
	    .check_chain = custody_check_chain,
	    .prove = custody_prove,
	    .end = custody_end};
	return 0;
}

void
custody_close(struct custody *custody)
{
	free(TAKE(custody->context));
}
