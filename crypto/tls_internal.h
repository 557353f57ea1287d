/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside crypto/tls*.c: one connection.
 *
 *   tls.c          life, and the steps of a handshake
 *   tls_context.c  what OpenSSL is told to do, our certificate and key
 *   tls_hooks.c    what OpenSSL asks us during a handshake
 *   tls_error.c    why a handshake failed, as a sentence
 *   tls_wire.c     the socket: many records in one system call
 *   tls_stream.c   struct stream: after the handshake
 *   tls_rehearse.c a connection with ourselves, for a process that is forked
 */
#ifndef NETBUS_CRYPTO_TLS_INTERNAL_H
#define NETBUS_CRYPTO_TLS_INTERNAL_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/name.h"
#include "crypto/provider.h"
#include "crypto/tls.h"
#include "wire/limits.h"

#define TLS_PROTOCOL     "netbus/1"
#define TLS_ALPN         "\x08" TLS_PROTOCOL
#define TLS_RECORD_MOST  16384u
#define TLS_RECORD_EXTRA 256u         /* header, content type, tag of a record; more than any cipher adds */
#define TLS_WIRE_MOST    (256u << 10) /* ciphertext that may wait for the socket */
#define TLS_WIRE_SEND    (80u << 10)  /* of it, so much leaves at once, so that the other end works while we do */
#define TLS_READ_AHEAD   (256u << 10) /* ciphertext that one system call may bring */
#define TLS_FIRST_BYTES  8
#define TLS_CLOSED       1   /* as a failure: the peer said goodbye */
#define TLS_IDLE_MOST    32u /* KeyUpdate messages in a row */
/* RFC 8446 5.5: AES-GCM protects 2^24.5 records under one key. */
#define TLS_REKEY_RECORDS (UINT64_C(1) << 23)

/* The socket, and the ciphertext that waits for it. */
struct tls_wire {
	int fd;
	int broken; /* negative errno, once */
	bool ended; /* the peer sends no more */
	/* The last recv(2) brought less than there was room for: there is no more before the loop says so, which is when all that came was taken. */
	bool is_drained;
	struct buffer out;
	uint8_t first[TLS_FIRST_BYTES]; /* what the peer said first, to name what it speaks when that is not TLS */
	size_t first_length;
};

/* What is only needed until the peer is proved. */
struct tls_shake {
	uint8_t nonce[TLS_NONCE_LEN];
	bool began; /* custody knows of this handshake */
	bool signed_ours;
	bool whole;  /* the transcript ends with the peer's Certificate, and its CertificateVerify is here */
	bool frozen; /* the transcript ends with the peer's Certificate */
	bool too_long;
	uint16_t scheme;
	uint8_t signature[256];
	size_t signature_length;
	size_t length;
	uint8_t transcript[LIMIT_TRANSCRIPT];
	struct error refusal; /* the first reason of ours to fail; code 0 = none */
};

struct tls {
	struct stream stream;
	enum tls_side side;
	const struct custody *custody;
	struct provider_signer signer;
	struct tls_wire wire;
	SSL *ssl;
	struct tls_shake *shake; /* until the handshake is done */
	char host[NAME_LEN_MAX + 1];

	/* tls_stream.c */
	struct buffer queue;          /* plaintext */
	int failure;                  /* why nothing more can be read: negative errno, or TLS_CLOSED */
	bool dry;                     /* the last read took all that was there */
	unsigned idle_messages;       /* handshake messages of the peer since its last data */
	uint64_t records, rekey_each; /* sealed under the present key, and how many that may be */
};

/* ---- tls_context.c ---- */

/* Of all connections of this process; after tls_prepare(). */
OSSL_LIB_CTX *tls_library(void);
/* The connection itself, with our chain and key. */
int tls_set_up(struct tls *tls, const uint8_t *chain, size_t length, struct error *error);

/* ---- tls_hooks.c ---- */

/* Into the settings of all connections; each finds its struct tls as the connection's application data. */
int tls_hooks_install(SSL_CTX *settings);
int tls_on_sign(void *owner, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *used);
/* The first reason is kept. */
void tls_refuse(struct tls *tls, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- tls_error.c ---- */

/* Why OpenSSL failed this handshake; empties its error queue. Negative. */
int tls_explain(struct tls *tls, struct error *error);
/* Of a fatal alert that the peer sent, found in OpenSSL's error queue, or NULL. Empties the queue. */
const char *tls_alert_received(void);

/* ---- tls_wire.c ---- */

BIO_METHOD *tls_wire_method(void);
BIO *tls_wire_bio(const BIO_METHOD *method, struct tls_wire *wire);
/* 0 = all sent, -EAGAIN, or broken. */
int tls_wire_flush(struct tls_wire *wire);
/* Ends the connection so that the peer can still read what was sent last. */
void tls_wire_close(struct tls_wire *wire);

/* ---- tls_stream.c ---- */

extern const struct stream_class tls_stream_class;

#endif
