/* SPDX-License-Identifier: Apache-2.0
 *
 * Our key, our chain, the trust bundle and the seal key (crypto/proof.h), and the two things that are done with keys: one signature of a
 * handshake, one of a checkpoint. Runs in netbus-keys only. What may be signed is decided by the caller, with proof_check_sign_input(), and by
 * seal_sign().
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#include "crypto/pki.h"
#include "crypto/proof_internal.h"

#define SECURE_HEAP_BYTES \
	(256u << 10) /* OpenSSL keeps private keys, and what is computed from them, in these locked pages */
#define SECURE_HEAP_LEAST 16
#define LOCKABLE_ENOUGH   (32u << 20)

/* ---- life ---- */

struct keystore *
keystore_new(void)
{
	struct keystore *store = calloc(1, sizeof *store);

	if (store == NULL)
		return NULL;
	store->references = 1;
	store->bundle = X509_STORE_new();
	if (store->bundle == NULL) {
		free(store);
		return NULL;
	}
	return store;
}

struct keystore *
keystore_hold(struct keystore *store)
{
	store->references++;
	return store;
}

void
keystore_free(struct keystore *store)
{
	if (store == NULL || --store->references > 0)
		return;
	EVP_PKEY_free(store->key); /* OpenSSL wipes private keys as it frees them */
	sk_X509_pop_free(store->chain, X509_free);
	known_chains_clear(&store->known);
	X509_STORE_free(store->bundle);
	seal_key_free(store->seal);
	authority_wipe_texts(store);
	pki_ca_free(store->authority);
	sk_X509_pop_free(store->authority_bundle, X509_free);
	sk_X509_pop_free(store->cross, X509_free);
	X509_STORE_free(store->authority_store);
	free(store->chain_bytes);
	sodium_memzero(store, sizeof *store);
	free(store);
}

/* ---- what it is ---- */

const struct spiffe_id *
keystore_identity(const struct keystore *store)
{
	return &store->identity;
}

const char *
keystore_fingerprint(const struct keystore *store)
{
	return store->fingerprint;
}

int64_t
keystore_not_after_us(const struct keystore *store)
{
	return store->not_after_us;
}

int64_t
keystore_not_before_us(const struct keystore *store)
{
	return store->not_before_us;
}

int64_t
keystore_ca_not_after_us(const struct keystore *store)
{
	return store->ca_not_after_us;
}

unsigned
keystore_ca_count(const struct keystore *store)
{
	return (unsigned)sk_X509_OBJECT_num(X509_STORE_get0_objects(store->bundle));
}

const uint8_t *
keystore_chain(const struct keystore *store, size_t *length)
{
	*length = store->chain_length;
	return store->chain_bytes;
}

/* ---- what is done with it ---- */

int
keystore_sign(
    struct keystore *store, const uint8_t *input, size_t length, uint8_t *signature, size_t room, size_t *used)
{
	AUTO(auto_digest_free) EVP_MD_CTX *context = EVP_MD_CTX_new();
	const EVP_MD *digest = key_type_of(store->key) == KEY_P256 ? EVP_sha256() : NULL;
	size_t made = room;
	int done;

	if (!store->complete)
		return -ENOKEY;
	done = context != NULL && EVP_DigestSignInit(context, NULL, digest, NULL, store->key) == 1 &&
	       EVP_DigestSign(context, signature, &made, input, length) == 1;
	ERR_clear_error();
	if (!done)
		return -EIO;
	*used = made;
	return 0;
}

int
keystore_seal(const struct keystore *store, const char *text, size_t length, char *note, size_t room)
{
	return store->seal != NULL ? seal_sign(store->seal, text, length, note, room) : -ENOKEY;
}

/* ---- once per process ---- */

/* A process that may lock little could lock what is there now, and then be refused the next page that it asks for: it is not tried. To be root is
 * not enough, since the root of a user namespace may lock no more than its user. The keys themselves are in locked pages in any case. */
static bool
may_lock_all(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur >= LOCKABLE_ENOUGH;
}

static void
auto_key_context_free(EVP_PKEY_CTX **slot)
{
	EVP_PKEY_CTX_free(*slot);
}

/* Everything that the library looks up or sets up at its first use. */
static bool
warm_up(void)
{
	static const char *const algorithms[] = {"ED25519", "EC", "RSA"};
	uint8_t random[32];
	unsigned char hash[EVP_MAX_MD_SIZE];

	for (size_t i = 0; i < ARRAY_LENGTH(algorithms); i++) {
		AUTO(auto_key_context_free)
		EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, algorithms[i], NULL);

		if (context == NULL)
			return false;
	}
	return RAND_bytes(random, sizeof random) == 1 && RAND_priv_bytes(random, sizeof random) == 1 &&
	       EVP_Digest(random, sizeof random, hash, NULL, EVP_sha256(), NULL) == 1 &&
	       EVP_Digest(random, sizeof random, hash, NULL, EVP_sha384(), NULL) == 1;
}

int
keystore_prepare(struct error *error)
{
	bool locked;

	/* The library's own configuration file would say which providers there are: ours are those that it comes with. */
	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS, NULL) != 1)
		return error_set(error, -EIO, "cannot set up libcrypto");
	if (sodium_init() < 0)
		return error_set(error, -EIO, "cannot set up libsodium");
	locked = may_lock_all() && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
	/* 1 = in locked pages, 2 = they could not be locked. */
	switch (CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, SECURE_HEAP_LEAST)) {
	case 1:
		locked = true;
		break;
	case 2:
		break;
	default:
		return error_set(error, -ENOMEM, "cannot set memory for private keys aside");
	}
	tzset(); /* else the first conversion of a time reads /etc/localtime */
	if (!warm_up())
		return error_set(
		    error, -EIO, "libcrypto lacks what Netbus needs: Ed25519, ECDSA on P-256, SHA-256, SHA-384");
	return locked ? 0 : 1;
}
