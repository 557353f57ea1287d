/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside crypto/provider*.c: the two kinds of key, and what the provider offers for them. provider.c makes library contexts and keys,
 * provider_table.c is what OpenSSL calls, provider_lean.c what is left of its own provider.
 */
#ifndef NETBUS_CRYPTO_PROVIDER_INTERNAL_H
#define NETBUS_CRYPTO_PROVIDER_INTERNAL_H

#include <openssl/core_dispatch.h>
#include <stdbool.h>

#include "crypto/provider.h"

#define PROVIDER_NAME       "netbus"
#define PROVIDER_PROPERTIES "provider=" PROVIDER_NAME
/* A parameter of our own: the address of the struct provider_signer. */
#define PARAM_SIGNER   "netbus-signer"
#define PUBLIC_LEN_MAX 65

struct key_kind {
	const char *name;      /* the kind of key, as the default provider calls it */
	const char *signature; /* ours alone */
	const char *group;     /* or NULL */
	const char *digest;    /* default digest; "" = must be none */
	size_t bits, security_bits, signature_most;
};

extern const struct key_kind provider_ed25519, provider_p256;

/* What is left of the default provider, loaded; NULL when the library refuses. */
OSSL_PROVIDER *provider_load_lean(OSSL_LIB_CTX *library);

/* OSSL_FUNC_provider_query_operation_fn. */
const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *no_cache);

#endif
