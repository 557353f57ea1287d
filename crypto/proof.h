/* SPDX-License-Identifier: Apache-2.0
 *
 * Identity proved: what netbus-keys checks before it signs, and before it says who a peer is. Runs in netbus-keys only; pure but
 * for the key and trust store that it is given.
 *
 * Sources: RFC 8446 4.4.2-4.4.4 (Certificate, CertificateVerify), 4.4.1 (transcript hash, HelloRetryRequest), SPIFFE X.509-SVID
 * sections 2-5.
 */
#ifndef NETBUS_CRYPTO_PROOF_H
#define NETBUS_CRYPTO_PROOF_H

#include <stdint.h>

#include "base/error.h"
#include "base/name.h"
#include "crypto/tls.h"

/* 0 when `input` is exactly a CertificateVerify input of our side (64 spaces, the context string, 0, a SHA-256 or SHA-384 hash), else -EPERM. */
int proof_check_sign_input(enum tls_side side, const uint8_t *input, size_t length);

#define TRUST_DOMAIN_MAX 255

/* Exactly one URI SAN, spiffe://<trust_domain>/host/<name>. */
struct spiffe_id {
	char trust_domain[TRUST_DOMAIN_MAX + 1];
	struct name host;
};
int spiffe_parse(const char *uri, size_t length, struct spiffe_id *id, struct error *error);

struct keystore; /* our key and chain, the trust bundle, the seal key */
struct proved_peer {
	struct name host;
	char fingerprint[65]; /* SHA-256 of the SPKI, hex */
	int64_t not_after_us;
};

/* Each takes the text of one PEM file; the store is complete after keystore_commit(), which holds them against each other: key matches
 * certificate, certificate is for `host` and by the bundle, not expired, Ed25519 or P-256. Errors name the file and the remedy. */
struct keystore *keystore_new(void);
/* A proof keeps the store that it was made with; the memory goes, wiped, with the last of them. */
void keystore_free(struct keystore *store);
int keystore_add(struct keystore *store, uint8_t key_file_kind, const char *text, size_t length, struct error *error);
int keystore_commit(struct keystore *store, const char *host, struct error *error);
const struct spiffe_id *keystore_identity(const struct keystore *store);
const char *keystore_fingerprint(const struct keystore *store);
int64_t keystore_not_after_us(const struct keystore *store);
int64_t keystore_not_before_us(const struct keystore *store);
int64_t keystore_ca_not_after_us(const struct keystore *store); /* of the CA above our certificate */
unsigned keystore_ca_count(const struct keystore *store);       /* in the bundle */
/* u24 length + DER for each certificate, leaf first. */
const uint8_t *keystore_chain(const struct keystore *store, size_t *length);
int keystore_sign(
    struct keystore *store, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *used);
/* The signed note over a checkpoint's text: its length; -ENOKEY when there is no seal key; else as seal_sign(). */
int keystore_seal(const struct keystore *store, const char *text, size_t length, char *note, size_t room);
/* Once per process, before the sandbox is locked: everything in the libraries that is set up only once, and locked pages for the keys.
 * 0; 1 when the system locks no pages (keys could reach the swap: the caller logs); negative on error. */
int keystore_prepare(struct error *error);

/* One handshake as custody sees it. */
struct proof;
struct proof *proof_new(struct keystore *store, enum tls_side our_side, const char *expect_host); /* "" = any */
void proof_free(struct proof *proof);
const uint8_t *proof_nonce(const struct proof *proof);
/* X509_V_OK or the verification error; `text` says it for a person. Remembers the chain. */
int proof_check_chain(struct proof *proof, const uint8_t *untrusted_chain, size_t length, struct error *text);
/* The host of the chain, once it was accepted: not yet proved. 0 or -EACCES. */
int proof_peer_host(const struct proof *proof, struct name *host);
/* Checks: the transcript holds our nonce in our message; its last message is the Certificate that proof_check_chain() saw; the signature is by
 * that leaf over this transcript's hash with the peer's context string. 0 or -EACCES. */
int proof_verify(struct proof *proof, uint16_t scheme, const uint8_t *signature, size_t signature_length,
    const uint8_t *untrusted_transcript, size_t length, struct proved_peer *peer, struct error *error);

#endif
