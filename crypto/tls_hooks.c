/* SPDX-License-Identifier: Apache-2.0
 *
 * What OpenSSL asks us during a handshake: whether the ClientHello will do, which protocol, what goes into our nonce extension, who signs, whether the
 * peer's chain is good; and what it lets us see: each handshake message, which becomes the transcript for netbus-keys.
 *
 * All bytes of the peer are hostile. Everything that decides who the peer is goes to custody; what is judged here only makes for clear words and
 * an early end.
 *
 * Sources: RFC 8446 4 (messages), 4.2.1 (supported_versions), 4.4.3 (CertificateVerify); RFC 7301 (ALPN).
 */
#include <errno.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "crypto/tls_internal.h"

#define VERSION_TLS_1_3 0x0304

static struct tls *
tls_of(const SSL *ssl)
{
	return SSL_get_app_data(ssl);
}

void
tls_refuse(struct tls *tls, int code, const char *format, ...)
{
	struct error *refusal = &tls->shake->refusal;
	va_list arguments;

	if (refusal->code != 0)
		return;
	va_start(arguments, format);
	vsnprintf(refusal->text, sizeof refusal->text, format, arguments);
	va_end(arguments);
	refusal->code = code;
}

/* ---- the transcript ---- */

static void
record(struct tls *tls, const uint8_t *message, size_t length)
{
	struct tls_shake *shake = tls->shake;

	if (length > sizeof shake->transcript - shake->length) {
		tls_refuse(tls, -EPROTO, "the handshake is longer than %u bytes: the certificate chains are too long",
		    LIMIT_TRANSCRIPT);
		return;
	}
	memcpy(shake->transcript + shake->length, message, length);
	shake->length += length;
}

/* The peer's CertificateVerify: type, u24 length, u16 scheme, u16 length, signature. */
static void
keep_signature(struct tls_shake *shake, const uint8_t *message, size_t length)
{
	struct reader reader = reader_over(message, length);
	const uint8_t *signature;
	uint16_t scheme, signature_length;

	read_bytes(&reader, SSL3_HM_HEADER_LENGTH);
	scheme = read_u16(&reader);
	signature_length = read_u16(&reader);
	signature = read_bytes(&reader, signature_length);
	if (!reader_done(&reader) || signature_length > sizeof shake->signature)
		return; /* OpenSSL refuses such a message too; without it nothing is proved */
	memcpy(shake->signature, signature, signature_length);
	shake->signature_length = signature_length;
	shake->scheme = scheme;
	shake->whole = true;
}

static void
on_message(int is_ours, int version, int content_type, const void *bytes, size_t length, SSL *ssl, void *owner)
{
	struct tls *tls = tls_of(ssl);
	struct tls_shake *shake = tls->shake;
	const uint8_t *message = bytes;

	(void)version, (void)owner;
	if (content_type != SSL3_RT_HANDSHAKE || length < SSL3_HM_HEADER_LENGTH)
		return;
	if (shake == NULL) {
		tls->idle_messages += !is_ours;
		return;
	}
	if (!is_ours && message[0] == SSL3_MT_CLIENT_HELLO && length > LIMIT_CLIENT_HELLO)
		tls_refuse(tls, -EPROTO, "the peer's ClientHello is longer than %u bytes", LIMIT_CLIENT_HELLO);
	if (!shake->frozen)
		record(tls, message, length);
	if (!is_ours && message[0] == SSL3_MT_CERTIFICATE)
		shake->frozen = true;
	else if (!is_ours && message[0] == SSL3_MT_CERTIFICATE_VERIFY && shake->frozen && !shake->whole)
		keep_signature(shake, message, length);
}

/* ---- the ClientHello, on the server's side ---- */

static bool
offers_tls_1_3(SSL *ssl)
{
	const unsigned char *versions;
	struct reader reader;
	size_t length;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &versions, &length) != 1)
		return false;
	reader = reader_over(versions, length);
	read_u8(&reader);
	while (!reader_done(&reader) && !reader.bad)
		if (read_u16(&reader) == VERSION_TLS_1_3)
			return true;
	return false;
}

/* OpenSSL would say most of this itself, but later and in its own words; that there is no ALPN at all it would not even mention. */
static int
on_client_hello(SSL *ssl, int *alert, void *owner)
{
	struct tls *tls = tls_of(ssl);
	const unsigned char *protocols;
	size_t length;

	(void)owner;
	*alert = SSL_AD_ILLEGAL_PARAMETER;
	if (!offers_tls_1_3(ssl)) {
		*alert = SSL_AD_PROTOCOL_VERSION;
		tls_refuse(tls, -EPROTO, "the peer offers no TLS 1.3 (version 1.2 at most)");
	} else if (SSL_client_hello_get0_ext(
		       ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &protocols, &length) != 1) {
		*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
		tls_refuse(tls, -EPROTO,
		    "the peer offers no application protocol (ALPN); a Netbus host "
		    "offers " TLS_PROTOCOL);
	}
	return tls->shake->refusal.code == 0 ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

static int
on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_length, const unsigned char *offered,
    unsigned offered_length, void *owner)
{
	struct reader reader = reader_over(offered, offered_length);

	(void)owner;
	while (!reader_done(&reader) && !reader.bad) {
		uint8_t length = read_u8(&reader);
		const uint8_t *name = read_bytes(&reader, length);

		if (name && length == strlen(TLS_PROTOCOL) && memcmp(name, TLS_PROTOCOL, length) == 0) {
			*chosen = name;
			*chosen_length = length;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	tls_refuse(tls_of(ssl), -EPROTO, "the peer does not offer the application protocol " TLS_PROTOCOL " (ALPN)");
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* ---- the nonce ---- */

static int
on_nonce_wanted(SSL *ssl, unsigned type, unsigned message, const unsigned char **bytes, size_t *length,
    X509 *certificate, size_t chain_index, int *alert, void *owner)
{
	const struct tls *tls = tls_of(ssl);
	unsigned ours = tls->side == TLS_CLIENT ? SSL_EXT_CLIENT_HELLO : SSL_EXT_TLS1_3_CERTIFICATE_REQUEST;

	(void)owner, (void)type, (void)certificate, (void)chain_index, (void)alert;
	if (message != ours || tls->shake == NULL)
		return 0;
	*bytes = tls->shake->nonce;
	*length = TLS_NONCE_LEN;
	return 1;
}

/* The peer's nonce is for its own netbus-keys; that it is there at all is known, so that OpenSSL does not stumble over it. */
static int
on_nonce_seen(SSL *ssl, unsigned type, unsigned message, const unsigned char *bytes, size_t length, X509 *certificate,
    size_t chain_index, int *alert, void *owner)
{
	(void)ssl, (void)type, (void)message, (void)bytes, (void)length, (void)certificate, (void)chain_index,
	    (void)alert, (void)owner;
	return 1;
}

/* ---- signature and chain ---- */

int
tls_on_sign(void *owner, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *used)
{
	struct tls *tls = owner;
	int code = -EPERM;

	if (tls->shake == NULL)
		return code;
	code = tls->custody->sign(tls->custody->context, input, length, signature, room, used);
	if (code < 0)
		tls_refuse(tls, -EIO, "netbus-keys did not sign our side of the handshake: %s", strerror(-code));
	else
		tls->shake->signed_ours = true;
	return code;
}

/* u24 length + DER for each certificate, leaf first. Bytes used, or 0 when it does not fit. */
static size_t
print_chain(const STACK_OF(X509) * chain, uint8_t *out, size_t room)
{
	struct writer writer = writer_over(out, room);

	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *certificate = sk_X509_value(chain, i);
		int length = i2d_X509(certificate, NULL);
		uint8_t *der;

		if (length <= 0)
			return 0;
		write_u8(&writer, (uint8_t)(length >> 16));
		write_u16(&writer, (uint16_t)length);
		der = write_room(&writer, (size_t)length);
		if (der == NULL)
			return 0;
		i2d_X509(certificate, &der);
	}
	return writer_used(&writer);
}

static int
judge_chain(struct tls *tls, const STACK_OF(X509) * chain)
{
	uint8_t bytes[LIMIT_CHAIN];
	size_t length = print_chain(chain, bytes, sizeof bytes);
	int verdict = X509_V_ERR_UNSPECIFIED;
	struct error text = {0};
	int code;

	if (length == 0) {
		tls_refuse(tls, -EPROTO, "the peer's certificate chain is empty or longer than %u bytes", LIMIT_CHAIN);
		return X509_V_ERR_CERT_CHAIN_TOO_LONG;
	}
	code = tls->custody->check_chain(tls->custody->context, bytes, length, &verdict, &text);
	if (code < 0) {
		tls_refuse(tls, -EIO, "netbus-keys did not judge the peer's certificate: %s", strerror(-code));
		return X509_V_ERR_UNSPECIFIED;
	}
	if (verdict != X509_V_OK)
		tls_refuse(tls, verdict == X509_V_ERR_HOSTNAME_MISMATCH ? -EACCES : -EPROTO,
		    "the peer's certificate is refused: %s",
		    text.text[0] ? text.text : X509_verify_cert_error_string(verdict));
	return verdict;
}

static bool
protocol_is_agreed(SSL *ssl)
{
	const unsigned char *name;
	unsigned length;

	SSL_get0_alpn_selected(ssl, &name, &length);
	return length == strlen(TLS_PROTOCOL) && memcmp(name, TLS_PROTOCOL, length) == 0;
}

/* In place of OpenSSL's own verification. In TLS 1.3 the protocol is agreed before the first certificate. */
static int
on_chain(X509_STORE_CTX *store, void *owner)
{
	struct tls *tls = tls_of(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
	int verdict = X509_V_ERR_UNSPECIFIED;

	(void)owner;
	if (tls->shake == NULL) {
		X509_STORE_CTX_set_error(store, verdict);
		return 0;
	}
	if (!protocol_is_agreed(tls->ssl))
		tls_refuse(tls, -EPROTO, "the peer did not choose the application protocol " TLS_PROTOCOL " (ALPN)");
	else if (tls->shake->refusal.code == 0)
		verdict = judge_chain(tls, X509_STORE_CTX_get0_untrusted(store));
	X509_STORE_CTX_set_error(store, verdict);
	return verdict == X509_V_OK;
}

int
tls_hooks_install(SSL_CTX *settings)
{
	unsigned where = SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_3_CERTIFICATE_REQUEST;

	SSL_CTX_set_msg_callback(settings, on_message);
	SSL_CTX_set_verify(settings, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(settings, on_chain, NULL);
	/* What a client offers, and what a server does with it. */
	SSL_CTX_set_client_hello_cb(settings, on_client_hello, NULL);
	SSL_CTX_set_alpn_select_cb(settings, on_protocols, NULL);
	if (SSL_CTX_add_custom_ext(
		settings, TLS_NONCE_EXTENSION, where, on_nonce_wanted, NULL, NULL, on_nonce_seen, NULL) != 1)
		return -ENOMEM;
	/* 0 is success here, and here alone */
	return SSL_CTX_set_alpn_protos(settings, (const unsigned char *)TLS_ALPN, strlen(TLS_ALPN)) == 0 ? 0 : -ENOMEM;
}
