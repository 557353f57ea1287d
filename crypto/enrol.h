/* SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of an enrolment (wire/enrol.h), without their sockets and files.
 *
 * The enroller's end runs in netbus-keys (keystore_enrol.c), which has the CA's key and certifies nothing but a key whose holder signed for it, at the word
 * of a token's key or of a host's present key that signed for it too. Who may have what, and whether a token was used, the broker decides.
 *
 * The host's end runs in netbus-join (newcomer.c): it makes the new key, which stays there and in the file that it writes.
 */
#ifndef NETBUS_CRYPTO_ENROL_H
#define NETBUS_CRYPTO_ENROL_H

#include <stdint.h>

#include "base/error.h"
#include "crypto/enrol_sign.h"
#include "crypto/join_token.h"
#include "crypto/pki.h"
#include "crypto/proof.h"

/* ---- enroller ---- */

struct enrol_case {
	struct enrol_nonces nonces;
	struct enrol_part statement, possession, proof, chain; /* untrusted */
	int64_t not_after_us;                                  /* cut to the CA's own end */
};

struct enrol_issued {
	char fingerprint[65], issuer[65]; /* SHA-256 of the SPKI of the new key, of the CA, hex */
	int64_t not_after_us;
	uint8_t chain[LIMIT_ENROL_CHAIN], bundle[LIMIT_ENROL_BUNDLE];
	size_t chain_length, bundle_length;
	uint8_t signature[ENROL_SIGNATURE_MAX];
	size_t signature_length;
};

/* 0; -ENOKEY when there is no CA here, -EACCES when a signature or the present certificate does not hold: with a sentence for the one who asked. */
int keystore_enrol(
    const struct keystore *store, const struct enrol_case *ask, struct enrol_issued *issued, struct error *error);
/* Fingerprint of the CA that signs; "" when there is none. */
const char *keystore_authority(const struct keystore *store);

/* ---- host ---- */

struct newcomer;
/* Makes the new key. NULL with error set. */
struct newcomer *newcomer_new(enum pki_key_type type, struct error *error);
void newcomer_free(struct newcomer *newcomer); /* wipes */
/* Of a private key in PEM; -EINVAL when it is none of ours. */
int newcomer_type_of(const char *key, size_t length, enum pki_key_type *type);
/* One of both. Texts are PEM; `host` is whom the present certificate must name. */
int newcomer_use_token(struct newcomer *newcomer, const struct join_token *token, struct error *error);
struct newcomer_files {
	const char *key, *chain, *bundle;
	size_t key_length, chain_length, bundle_length;
};
int newcomer_use_present(
    struct newcomer *newcomer, const char *host, const struct newcomer_files *present, struct error *error);

const uint8_t *newcomer_nonce(const struct newcomer *newcomer);
/* Once the enroller's nonce is known. 0 or -EIO. */
int newcomer_request(struct newcomer *newcomer, const uint8_t nonce[static ENROL_NONCE_LEN],
    struct msg_enrol_request *request, struct error *error);
/* Whether the answer is the enroller's own, for this request, and makes the new key that of our host. -EACCES and why not. */
int newcomer_judge(
    struct newcomer *newcomer, const struct msg_enrol_answer *untrusted, int64_t now_us, struct error *error);

/* After newcomer_judge() gave 0. The texts are the newcomer's: the new key, its chain and the bundle. */
struct newcomer_gain {
	struct newcomer_files files;
	const char *host, *trust_domain, *fingerprint; /* of the new key */
	int64_t not_after_us;
};
void newcomer_gain(const struct newcomer *newcomer, struct newcomer_gain *gain);

#endif
