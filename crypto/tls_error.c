/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a handshake failed, in a sentence for the operator's log. Our own reason comes first, then what the peer's first bytes
 * say, then OpenSSL's.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

#include "base/auto.h"
#include "crypto/tls_internal.h"

struct sentence {
	int reason; /* SSL_R_... */
	const char *text;
};

static const struct sentence sentences[] = {
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE, "the peer showed no certificate"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "the peer offers no TLS 1.3 (version 1.2 at most)"},
    {SSL_R_WRONG_SSL_VERSION, "the peer offers no TLS 1.3 (version 1.2 at most)"},
    {SSL_R_VERSION_TOO_LOW, "the peer offers no TLS 1.3 (version 1.2 at most)"},
    {SSL_R_WRONG_VERSION_NUMBER, "the peer's bytes are not TLS"},
    {SSL_R_NO_SHARED_CIPHER, "the peer shares no cipher with us (AES-GCM, ChaCha20-Poly1305)"},
    {SSL_R_NO_SHARED_GROUPS, "the peer shares no key exchange with us (X25519, P-256)"},
    {SSL_R_NO_SUITABLE_GROUPS, "the peer shares no key exchange with us (X25519, P-256)"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "the peer shares no key exchange with us (X25519, P-256)"},
    {SSL_R_BAD_KEY_SHARE, "the peer shares no key exchange with us (X25519, P-256)"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "the peer does not take the signatures that our "
					    "certificate's key makes (Ed25519 or ECDSA P-256)"},
    {SSL_R_WRONG_SIGNATURE_TYPE, "the peer signs with something else than Ed25519 or ECDSA P-256"},
    {SSL_R_BAD_SIGNATURE, "the peer's signature is wrong"},
    {SSL_R_EXCESSIVE_MESSAGE_SIZE, "the peer's certificate chain or another of its messages is too long"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record arrived damaged"},
};

static const char *
sentence_of(int reason)
{
	for (size_t i = 0; i < ARRAY_LENGTH(sentences); i++)
		if (sentences[i].reason == reason)
			return sentences[i].text;
	return NULL;
}

/* OpenSSL numbers the alerts that it received from here on. */
static const char *
alert_of(int reason)
{
	if (reason < SSL_AD_REASON_OFFSET || reason > SSL_AD_REASON_OFFSET + 255)
		return NULL;
	return SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
}

/* The earliest reason of libssl in the queue, which is emptied; 0 = none. */
static unsigned long
take_reason(void)
{
	unsigned long code, first = 0;

	while ((code = ERR_get_error()) != 0)
		if (first == 0 && ERR_GET_LIB(code) == ERR_LIB_SSL)
			first = code;
	return first;
}

const char *
tls_alert_received(void)
{
	return alert_of(ERR_GET_REASON(take_reason()));
}

static bool
spoke_something_else(const struct tls_wire *wire)
{
	return wire->first_length > 0 && wire->first[0] != SSL3_RT_HANDSHAKE && wire->first[0] != SSL3_RT_ALERT;
}

static bool
is_http(const struct tls_wire *wire)
{
	static const char *const begins[] = {"GET ", "PUT ", "POST", "HEAD", "HTTP", "CONN", "OPTI", "DELE"};

	for (size_t i = 0; i < ARRAY_LENGTH(begins); i++)
		if (wire->first_length >= 4 && memcmp(wire->first, begins[i], 4) == 0)
			return true;
	return false;
}

int
tls_explain(struct tls *tls, struct error *error)
{
	const struct error *refusal = &tls->shake->refusal;
	const struct tls_wire *wire = &tls->wire;
	unsigned long code = take_reason();
	const char *alert = alert_of(ERR_GET_REASON(code)), *text = sentence_of(ERR_GET_REASON(code));

	if (refusal->code != 0)
		return error_set(error, refusal->code, "%s", refusal->text);
	if (spoke_something_else(wire))
		return error_set(error, -EPROTO, "the peer does not speak TLS: its first bytes are plaintext%s",
		    is_http(wire) ? " (HTTP)" : "");
	if (alert != NULL)
		return error_set(error, -ECONNRESET, "the peer refused us with the TLS alert \"%s\"", alert);
	if (wire->ended)
		return error_set(
		    error, -ECONNRESET, "the peer closed the connection before the handshake was complete");
	if (wire->broken != 0)
		return error_errno(error, wire->broken, "the connection broke");
	if (text != NULL)
		return error_set(error, -EPROTO, "%s", text);
	text = code ? ERR_reason_error_string(code) : NULL;
	return error_set(
	    error, -EPROTO, "the peer broke the TLS protocol: %s", text ? text : "no further reason is known");
}
