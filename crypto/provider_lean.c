/* SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL's default provider without the kinds of keys that no handshake of ours has. To read the public key of a certificate OpenSSL (3.0) goes through all
 * decoders of all kinds of keys that it finds, each time: more than half of the processor time of a handshake, and hundreds of small pieces of memory. Where
 * there are two kinds, it goes through two.
 *
 * The implementations are the default provider's own; it is loaded in a library context of its own, where they look for what they need themselves.
 *
 * Source: provider-base(7), OSSL_PROVIDER_query_operation(3).
 */
#include <openssl/core_names.h>
#include <string.h>

#include "base/auto.h"
#include "crypto/provider_internal.h"

/* Kinds of operations of which only some algorithms are let through; of all others all are. */
static const struct {
	int operation;
	const char *names[5]; /* the first name of an algorithm */
} kept[] = {
    {OSSL_OP_DIGEST,
	{"SHA1", "SHA2-256", "SHA2-384", "SHA2-512"}}, /* SHA1: OpenSSL's own fingerprint of a certificate */
    {OSSL_OP_CIPHER, {"AES-256-GCM", "AES-128-GCM", "ChaCha20-Poly1305"}},
    {OSSL_OP_MAC, {"HMAC"}},
    {OSSL_OP_KDF, {"HKDF", "TLS13-KDF"}},
    {OSSL_OP_RAND, {"CTR-DRBG", "SEED-SRC"}},
    {OSSL_OP_KEYMGMT, {"EC", "ED25519", "X25519"}},
    {OSSL_OP_KEYEXCH, {"ECDH", "X25519"}},
    {OSSL_OP_SIGNATURE, {"ED25519", "ECDSA"}},
    {OSSL_OP_DECODER, {"EC", "ED25519"}},
    {OSSL_OP_ENCODER, {NULL}},
    {OSSL_OP_ASYM_CIPHER, {NULL}},
    {OSSL_OP_KEM, {NULL}},
    {OSSL_OP_STORE, {NULL}},
};

#define ALGORITHMS_MOST 16

/* Of the process: set up once, and then only read. */
static struct {
	OSSL_LIB_CTX *library;
	OSSL_PROVIDER *standard;
	OSSL_ALGORITHM tables[ARRAY_LENGTH(kept)][ALGORITHMS_MOST + 1];
} whole;

static bool
is_kept(size_t row, const OSSL_ALGORITHM *algorithm)
{
	size_t length = strcspn(algorithm->algorithm_names, ":");

	/* Of decoders, those of a public key in a certificate. */
	if (kept[row].operation == OSSL_OP_DECODER &&
	    strstr(algorithm->property_definition, "structure=SubjectPublicKeyInfo") == NULL)
		return false;
	for (size_t i = 0; i < ARRAY_LENGTH(kept[row].names) && kept[row].names[i]; i++)
		if (strlen(kept[row].names[i]) == length &&
		    strncmp(algorithm->algorithm_names, kept[row].names[i], length) == 0)
			return true;
	return false;
}

static void
fill_table(size_t row)
{
	int no_cache;
	const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(whole.standard, kept[row].operation, &no_cache);
	size_t count = 0;

	for (; all && all->algorithm_names && count < ALGORITHMS_MOST; all++)
		if (is_kept(row, all))
			whole.tables[row][count++] = *all;
}

static const OSSL_ALGORITHM *
lean_query(void *provider, int operation, int *no_cache)
{
	(void)provider;
	*no_cache = 0;
	for (size_t row = 0; row < ARRAY_LENGTH(kept); row++)
		if (kept[row].operation == operation)
			return whole.tables[row];
	return OSSL_PROVIDER_query_operation(whole.standard, operation, no_cache);
}

static int
lean_capabilities(void *provider, const char *capability, OSSL_CALLBACK *take, void *taker)
{
	(void)provider;
	return OSSL_PROVIDER_get_capabilities(whole.standard, capability, take, taker);
}

static int
lean_start(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *offered, const OSSL_DISPATCH **functions, void **context)
{
	static const OSSL_DISPATCH table[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))lean_query},
	    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))lean_capabilities}, {0, NULL}};

	(void)core, (void)offered;
	*functions = table;
	*context = OSSL_PROVIDER_get0_provider_ctx(whole.standard); /* what its implementations are called with */
	return 1;
}

OSSL_LIB_CTX *
provider_whole_library(void)
{
	if (whole.standard)
		return whole.library;
	if (whole.library == NULL)
		whole.library = OSSL_LIB_CTX_new();
	if (whole.library)
		whole.standard = OSSL_PROVIDER_load(whole.library, "default");
	if (whole.standard == NULL)
		return NULL;
	for (size_t row = 0; row < ARRAY_LENGTH(kept); row++)
		fill_table(row);
	return whole.library;
}

OSSL_PROVIDER *
provider_load_lean(OSSL_LIB_CTX *library)
{
	if (provider_whole_library() == NULL || OSSL_PROVIDER_add_builtin(library, "netbus-lean", lean_start) != 1)
		return NULL;
	return OSSL_PROVIDER_load(library, "netbus-lean");
}
