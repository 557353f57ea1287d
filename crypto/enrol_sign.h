/* SPDX-License-Identifier: Apache-2.0
 *
 * What is signed in enrol/1, by whom, and how raw public keys become keys (wire/enrol.h). Used by netbus-keys of an enroller and by netbus-join.
 *
 * Signed is always:  32 bytes of label, padded with zeroes | SHA-256 over both nonces and, each behind its length as u32, the parts
 *
 * The label begins with "netbus enrol/1", which no certificate, handshake or checkpoint does: no signature of one kind can pass for another.
 */
#ifndef NETBUS_CRYPTO_ENROL_SIGN_H
#define NETBUS_CRYPTO_ENROL_SIGN_H

#include <openssl/evp.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/enrol.h"

#define ENROL_INPUT_LEN     64
#define ENROL_SIGNATURE_MAX 128

enum enrol_label {
	ENROL_POSSESSION, /* the new key: I am held by who asks */
	ENROL_PROOF,      /* the token's or the present key: I want that key certified */
	ENROL_SEAL,       /* the CA: this is the answer to that request */
};

struct enrol_nonces {
	uint8_t newcomer[ENROL_NONCE_LEN], enroller[ENROL_NONCE_LEN];
};

struct enrol_part {
	const uint8_t *bytes;
	size_t length;
};

/* 0 or -EIO. */
int enrol_sign(EVP_PKEY *key, enum enrol_label label, const struct enrol_nonces *nonces, const struct enrol_part *parts,
    size_t count, uint8_t signature[static ENROL_SIGNATURE_MAX], size_t *length);
/* 0 or -EACCES. */
int enrol_verify(EVP_PKEY *key, enum enrol_label label, const struct enrol_nonces *nonces,
    const struct enrol_part *parts, size_t count, const uint8_t *untrusted_signature, size_t length);

/* From raw bytes, NULL when they are no key of that type. */
EVP_PKEY *enrol_public_key(uint8_t key_type, const uint8_t *untrusted, size_t length);
/* The other way: 0, or -EINVAL for a key that is neither Ed25519 nor P-256. */
int enrol_raw_key(EVP_PKEY *key, uint8_t *key_type, uint8_t raw[static ENROL_P256_LEN], size_t *length);

#endif
