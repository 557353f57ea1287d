/* SPDX-License-Identifier: Apache-2.0
 *
 * A signing key that is not here. An OpenSSL provider, "netbus", whose keys are the public half and a function that signs: libssl
 * takes such a key for a complete one, and its only use, the CertificateVerify signature of a TLS 1.3 handshake, goes to that function (and from
 * there to netbus-keys). Ed25519 and EC on P-256.
 *
 * Source: provider-keymgmt(7), provider-signature(7).
 */
#ifndef NETBUS_CRYPTO_PROVIDER_H
#define NETBUS_CRYPTO_PROVIDER_H

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stddef.h>
#include <stdint.h>

/* Must outlive the key. */
struct provider_signer {
	/* Signs `input` itself, not a hash of it. 0 or a negative errno. */
	int (*sign)(void *owner, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *used);
	void *owner;
};

/* A library context of its own, with the providers "netbus" and, for all else, the part of OpenSSL's default provider that TLS with such keys needs. */
struct provider_context {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *standard, *ours;
};
/* 0, or -ENOMEM when the library refuses. */
int provider_open(struct provider_context *context);
/* Harmless on a zeroed struct. */
void provider_close(struct provider_context *context);

/* The whole default provider, in a library context that lives as long as the process. NULL when the library refuses. */
OSSL_LIB_CTX *provider_whole_library(void);

/* A key of the "netbus" provider with the public half of `certified`; NULL when that is neither Ed25519 nor P-256. */
EVP_PKEY *provider_key_new(OSSL_LIB_CTX *library, EVP_PKEY *certified, const struct provider_signer *signer);

#endif
