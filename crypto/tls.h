/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS 1.3 as Netbus uses it, on OpenSSL: mutual authentication, ALPN netbus/1, no tickets, no resumption, no 0-RTT, no renegotiation, no
 * compression; TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, TLS_AES_128_GCM_SHA256; groups X25519 and P-256; Ed25519 and ECDSA P-256.
 *
 * Runs in netbus-session and netbus-attach, which hold no key: a small OpenSSL provider (crypto/provider.c) hands the one signature of a
 * handshake to `custody`, and the peer's chain and handshake proof too. No byte of application data is given to the caller before
 * custody has accepted the proof.
 *
 * Freshness: custody's nonce travels in our handshake message as extension 0xff4e (a server puts it into CertificateRequest, a client into
 * ClientHello; RFC 8446 4.2 and 4.3.2 let the peer ignore it), so that the transcript under the peer's signature can be no older than the nonce.
 */
#ifndef NETBUS_CRYPTO_TLS_H
#define NETBUS_CRYPTO_TLS_H

#include "base/error.h"
#include "base/loop.h"
#include "wire/stream.h"

#define TLS_NONCE_EXTENSION 0xff4e
#define TLS_NONCE_LEN       32

/* Calls to netbus-keys. Each blocks for its answer (the process has nothing else to do meanwhile) and returns 0 or a negative errno.
 * The struct must outlive every tls that was made with it. */
struct custody {
	void *context;
	/* Begins a handshake. chain: u24 length + DER for each certificate, leaf first; points into the callee's memory until the next call. */
	int (*identity)(
	    void *context, uint8_t nonce[static TLS_NONCE_LEN], const uint8_t **chain, size_t *chain_length);
	int (*sign)(void *context, const uint8_t *input, size_t length, uint8_t *signature, size_t room,
	    size_t *signature_length);
	/* *verify_error: X509_V_OK or the X509_V_ERR_ code that decides the alert; `text` then says it for a person. */
	int (*check_chain)(void *context, const uint8_t *chain, size_t length, int *verify_error, struct error *text);
	/* The peer's proved host name (NAME_LEN_MAX + 1), or -EACCES. */
	int (*prove)(void *context, uint16_t scheme, const uint8_t *signature, size_t signature_length,
	    const uint8_t *transcript, size_t transcript_length, char *host, struct error *error);
	/* The handshake that identity() began is over, in whatever way. Until then identity() gives -EBUSY: one handshake at a time. */
	void (*end)(void *context);
};

struct tls; /* is a struct stream once the handshake is done */

enum tls_side { TLS_SERVER, TLS_CLIENT };

/* Once, before the sandbox is locked: everything in the library that is set up only once in a process. custody_open() calls it. */
int tls_prepare(struct error *error);

/* Connects to itself once, so that what the library makes at its first use is there. For a process that is forked. */
int tls_rehearse(struct error *error);

/* Takes the socket over, closing it even when this fails (non-blocking, TCP_NODELAY is set here). One handshake, one connection. -EBUSY in
 * error->code: another handshake is under way with this custody. */
struct tls *tls_new(enum tls_side side, int socket, const struct custody *custody, struct error *error);
void tls_free(struct tls *tls);
/* 1 = done and proved, 0 = call again when the socket is ready for tls_wants(), negative = failed: `error` says why in a sentence
 * (peer sent plaintext, TLS 1.2, no certificate, certificate expired, unknown CA, ...). -EACCES: the peer is not who it must be. */
int tls_handshake(struct tls *tls, struct error *error);
uint32_t tls_wants(const struct tls *tls);
/* After tls_handshake() gave 1. */
const char *tls_peer_host(const struct tls *tls);
const char *tls_cipher(const struct tls *tls);
/* The stream takes the tls over: stream->close frees it. `queue_limit` bounds what waits to be sent. */
struct stream *tls_stream(struct tls *tls, size_t queue_limit);

#endif
