/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside crypto/proof*.c and crypto/keystore*.c, which run in netbus-keys only.
 *
 *   spiffe.c            spiffe://domain/host/name
 *   keystore.c          key, chain, bundle and seal key; what they are used for
 *   keystore_load.c     their files, and held against each other
 *   keystore_enrol.c    an enroller's CA, and what it signs
 *   proof_certificate.c what one certificate says
 *   proof_chain.c       whether a chain is good: peers' and our own
 *   proof_known.c       peers' chains that need not be parsed again
 *   proof_transcript.c  the messages of a handshake, and their hash
 *   proof.c             one handshake
 */
#ifndef NETBUS_CRYPTO_PROOF_INTERNAL_H
#define NETBUS_CRYPTO_PROOF_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "crypto/proof.h"
#include "crypto/seal.h"

#define CHAIN_CERTIFICATES_MOST 8
#define CHAIN_DEPTH_MOST        4 /* CAs between a leaf and the bundle */
#define TRANSCRIPT_HASH_MAX     64
#define SHOWN_LEN               200 /* a peer's string, escaped, for a person */

/* ---- memory of OpenSSL, released at the end of the scope ---- */

static inline void
auto_x509_free(X509 **slot)
{
	X509_free(*slot);
}

static inline void
auto_pkey_free(EVP_PKEY **slot)
{
	EVP_PKEY_free(*slot);
}

static inline void
auto_digest_free(EVP_MD_CTX **slot)
{
	EVP_MD_CTX_free(*slot);
}

static inline void
auto_bio_free(BIO **slot)
{
	BIO_free(*slot);
}

static inline void
auto_certificates_free(STACK_OF(X509) * *slot)
{
	sk_X509_pop_free(*slot, X509_free);
}

/* ---- keystore ---- */

/* ---- proof_known.c ---- */

#define KNOWN_CHAINS_MOST 64

struct known_chain {
	uint8_t *bytes; /* exactly as the peer gave them */
	size_t length;  /* 0: none */
	STACK_OF(X509) * chain;
};
struct known_chains {
	struct known_chain list[KNOWN_CHAINS_MOST];
	size_t next; /* whose place is given away next */
};

/* References of the caller's, or NULL: not known. */
STACK_OF(X509) * known_chain_get(const struct known_chains *chains, const uint8_t *untrusted, size_t length);
/* One that was accepted. */
void known_chain_put(struct known_chains *chains, const uint8_t *bytes, size_t length, STACK_OF(X509) * chain);
void known_chains_clear(struct known_chains *chains);

struct keystore {
	unsigned references;
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* ours, leaf first */
	X509_STORE *bundle;
	struct known_chains known;
	struct seal_key *seal;
	bool complete; /* committed */
	uint8_t *chain_bytes;
	size_t chain_length;
	struct spiffe_id identity;
	char fingerprint[65];
	int64_t not_after_us, not_before_us, ca_not_after_us;

	/* of an enroller (keystore_enrol.c); all NULL when it is none */
	struct pki_ca *authority;
	STACK_OF(X509) * authority_bundle, *cross;
	X509_STORE *authority_store; /* the same bundle */
	char *authority_texts[3];    /* enum authority_file; until the commit */
	char authority_fingerprint[65];
};

struct keystore *keystore_hold(struct keystore *store);

/* ---- keystore_load.c ---- */

#define BUNDLE_MOST 64

/* All certificates of a PEM text, in order: 1 to `most`, else NULL. */
STACK_OF(X509) * certificates_read(const char *text, size_t length, int most);
/* A pem_password_cb: there is none. */
int certificates_no_passphrase(char *room, int length, int is_writing, void *owner);

/* ---- keystore_enrol.c ---- */

enum authority_file { AUTHORITY_CA, AUTHORITY_KEY, AUTHORITY_CROSS, AUTHORITY_FILES };
int authority_add(
    struct keystore *store, enum authority_file file, const char *text, size_t length, struct error *error);
int authority_commit(struct keystore *store, struct error *error);
void authority_wipe_texts(struct keystore *store);

/* ---- proof_certificate.c ---- */

enum key_type { KEY_OTHER, KEY_ED25519, KEY_P256 };
enum key_type key_type_of(EVP_PKEY *key);

/* X509_V_OK: its one SAN is a SPIFFE ID. Else the code, and a sentence. */
int certificate_identity(const X509 *certificate, struct spiffe_id *id, struct error *text);
/* SHA-256 of the SPKI, hex. 0 or -EINVAL. */
int certificate_fingerprint(const X509 *certificate, char fingerprint[static 65]);
/* 0 or -EINVAL. */
int certificate_not_after(const X509 *certificate, int64_t *us);
int certificate_not_before(const X509 *certificate, int64_t *us);
/* u24 length + DER. 0 or -EFBIG. */
int certificate_write(struct writer *writer, X509 *certificate);
/* "subject '...'": for a certificate that has no better name. */
void certificate_print(const X509 *certificate, char shown[static SHOWN_LEN]);

/* ---- proof_chain.c ---- */

/* u24 length + DER for each. NULL when malformed or longer than CHAIN_CERTIFICATES_MOST. */
STACK_OF(X509) * chain_parse(const uint8_t *untrusted, size_t length);
/* Whether the chain, leaf first, makes somebody a host of `trust_domain` (NULL = of any) by the bundle at this time. X509_V_OK or the code, and a
 * sentence. */
int chain_judge(X509_STORE *bundle, const char *trust_domain, const STACK_OF(X509) * chain, time_t now,
    struct spiffe_id *id, struct error *text);

/* ---- proof_transcript.c ---- */

struct transcript_expected {
	enum tls_side our_side;
	const uint8_t *nonce;      /* TLS_NONCE_LEN: in our message */
	const uint8_t *peer_chain; /* u24 length + DER: in the peer's Certificate, which is the last message */
	size_t peer_chain_length;
	const uint8_t *our_leaf; /* DER: in our own Certificate, when we are the server */
	size_t our_leaf_length;
};

/* The hash (RFC 8446 4.4.1) of a transcript that is as expected: its length, or -EACCES. */
int transcript_hash(const struct transcript_expected *expected, const uint8_t *untrusted, size_t length,
    uint8_t hash[static TRANSCRIPT_HASH_MAX], struct error *error);

/* ---- proof.c ---- */

#define SIGN_INPUT_PADDING 64
#define SIGN_INPUT_MAX     (SIGN_INPUT_PADDING + 34 + 48)
/* What a side signs, but for the hash: its length. */
size_t sign_input_begin(enum tls_side side, uint8_t input[static SIGN_INPUT_MAX]);

#endif
