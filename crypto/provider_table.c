/* SPDX-License-Identifier: Apache-2.0
 *
 * What OpenSSL calls of the provider "netbus" (crypto/provider.h): key management and signature for keys of which only the public
 * half is here.
 *
 * How libssl comes to use it: the operation is looked up by the name that the key's own key management gives, and these names
 * ("NETBUS-...") exist nowhere else, so that no other provider can be chosen for our key. Public halves are exported and imported
 * freely, since libssl holds our key against our certificate, whose key lives in the default provider.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>

#include "crypto/provider_internal.h"

const struct key_kind provider_ed25519 = {"ED25519", "NETBUS-ED25519", NULL, "", 256, 128, 64};
const struct key_kind provider_p256 = {"EC", "NETBUS-ECDSA", "prime256v1", "SHA256", 256, 128, 72};

struct key {
	const struct key_kind *type;
	const struct provider_signer *signer; /* NULL: the public half only */
	size_t public_length;                 /* 0: none yet */
	uint8_t public[PUBLIC_LEN_MAX];
};

/* ---- keys ---- */

static void *
key_new(const struct key_kind *type)
{
	struct key *key = OPENSSL_zalloc(sizeof *key);

	if (key)
		key->type = type;
	return key;
}

static void *
ed25519_new(void *provider)
{
	(void)provider;
	return key_new(&provider_ed25519);
}

static void *
p256_new(void *provider)
{
	(void)provider;
	return key_new(&provider_p256);
}

static void
key_free(void *data)
{
	OPENSSL_free(data);
}

/* A key with a signer counts as whole, for libssl will not work with half a one. */
static int
key_has(const void *data, int selection)
{
	const struct key *key = data;

	if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) && key->public_length == 0)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) && key->signer == NULL)
		return 0;
	return 1;
}

static int
key_match(const void *one, const void *other, int selection)
{
	const struct key *a = one, *b = other;

	if (a->type != b->type)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
		return 1;
	return a->public_length > 0 && a->public_length == b->public_length &&
	       CRYPTO_memcmp(a->public, b->public, a->public_length) == 0;
}

static bool
group_is_ours(const struct key *key, const OSSL_PARAM params[])
{
	const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);
	const char *name = NULL;

	if (group == NULL)
		return key->type->group == NULL;
	return key->type->group && OSSL_PARAM_get_utf8_string_ptr(group, &name) &&
	       (strcmp(name, key->type->group) == 0 || strcmp(name, "P-256") == 0);
}

static int
key_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct key *key = data;
	const OSSL_PARAM *public = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	const OSSL_PARAM *signer = OSSL_PARAM_locate_const(params, PARAM_SIGNER);
	const void *address = NULL;
	void *bytes = key->public;
	size_t length;

	if (!(selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) || public == NULL || !group_is_ours(key, params))
		return 0;
	if (signer && !OSSL_PARAM_get_octet_ptr(signer, &address, &length))
		return 0;
	if (!OSSL_PARAM_get_octet_string(public, &bytes, sizeof key->public, &key->public_length))
		return 0;
	key->signer = address;
	return 1;
}

static const OSSL_PARAM *
key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_octet_ptr(PARAM_SIGNER, NULL, 0),
	    OSSL_PARAM_END};

	return selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY ? types : NULL;
}

/* The public half, whatever was asked for: there is no more. */
static int
key_export(void *data, int selection, OSSL_CALLBACK *take, void *taker)
{
	struct key *key = data;
	OSSL_PARAM params[3];
	OSSL_PARAM *next = params;

	if (!(selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) || key->public_length == 0)
		return 0;
	if (key->type->group) {
		char *group = (char *)(uintptr_t)key->type->group; /* only read: OSSL_PARAM has no const */

		*next++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	}
	*next++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, key->public, key->public_length);
	*next = OSSL_PARAM_construct_end();
	return take(params, taker);
}

static const OSSL_PARAM *
key_export_types(int selection)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};

	return selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY ? types : NULL;
}

static bool
put_number(OSSL_PARAM params[], const char *name, size_t value)
{
	OSSL_PARAM *param = OSSL_PARAM_locate(params, name);

	return param == NULL || OSSL_PARAM_set_size_t(param, value);
}

static bool
put_text(OSSL_PARAM params[], const char *name, const char *value)
{
	OSSL_PARAM *param = value ? OSSL_PARAM_locate(params, name) : NULL;

	return param == NULL || OSSL_PARAM_set_utf8_string(param, value);
}

static int
key_get_params(void *data, OSSL_PARAM params[])
{
	const struct key *key = data;
	const struct key_kind *type = key->type;
	OSSL_PARAM *public = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PUB_KEY);
	const char *digest = type->digest[0] ? OSSL_PKEY_PARAM_DEFAULT_DIGEST : OSSL_PKEY_PARAM_MANDATORY_DIGEST;

	return put_number(params, OSSL_PKEY_PARAM_BITS, type->bits) &&
	       put_number(params, OSSL_PKEY_PARAM_SECURITY_BITS, type->security_bits) &&
	       put_number(params, OSSL_PKEY_PARAM_MAX_SIZE, type->signature_most) &&
	       put_text(params, digest, type->digest) && put_text(params, OSSL_PKEY_PARAM_GROUP_NAME, type->group) &&
	       (public == NULL || OSSL_PARAM_set_octet_string(public, key->public, key->public_length));
}

static const OSSL_PARAM *
key_gettable_params(void *provider)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_size_t(OSSL_PKEY_PARAM_BITS, NULL),
	    OSSL_PARAM_size_t(OSSL_PKEY_PARAM_SECURITY_BITS, NULL), OSSL_PARAM_size_t(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
	    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};

	(void)provider;
	return types;
}

static const char *
ed25519_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? provider_ed25519.signature : NULL;
}

static const char *
p256_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? provider_p256.signature : NULL;
}

/* ---- the one operation ---- */

struct signing {
	const struct key *key;
};

static void *
signing_new(void *provider, const char *properties)
{
	(void)provider, (void)properties;
	return OPENSSL_zalloc(sizeof(struct signing));
}

static void
signing_free(void *data)
{
	OPENSSL_free(data);
}

static int
signing_begin(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signing *signing = data;

	(void)params;
	if (key == NULL)
		return signing->key != NULL;
	signing->key = key;
	/* The far side knows nothing but the key's own digest. */
	return digest == NULL || OPENSSL_strcasecmp(digest, signing->key->type->digest) == 0 ||
	       (OPENSSL_strcasecmp(digest, "SHA2-256") == 0 && signing->key->type == &provider_p256);
}

static int
signing_sign(
    void *data, unsigned char *signature, size_t *length, size_t room, const unsigned char *input, size_t input_length)
{
	struct signing *signing = data;
	const struct key *key = signing->key;

	if (signature == NULL) {
		*length = key->type->signature_most;
		return 1;
	}
	if (key->signer == NULL)
		return 0;
	return key->signer->sign(key->signer->owner, input, input_length, signature, room, length) == 0;
}

/* ---- the tables ---- */

#define FUNCTION(id, function)                 \
	{                                      \
		id, (void (*)(void))(function) \
	}
#define KEY_FUNCTIONS                                                                                     \
	FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free), FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),             \
	    FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match), FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import), \
	    FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),                                   \
	    FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                                               \
	    FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types),                                   \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                                       \
	    FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),                             \
	{                                                                                                 \
		0, NULL                                                                                   \
	}

static const OSSL_DISPATCH ed25519_functions[] = {FUNCTION(OSSL_FUNC_KEYMGMT_NEW, ed25519_new),
    FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ed25519_operation), KEY_FUNCTIONS};
static const OSSL_DISPATCH p256_functions[] = {FUNCTION(OSSL_FUNC_KEYMGMT_NEW, p256_new),
    FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, p256_operation), KEY_FUNCTIONS};
static const OSSL_DISPATCH signing_functions[] = {FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
    FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free), FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_begin),
    FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign), {0, NULL}};

const OSSL_ALGORITHM *
provider_query(void *provider, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = {
	    {"ED25519:1.3.101.112", PROVIDER_PROPERTIES, ed25519_functions, "Ed25519 keys that are elsewhere"},
	    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROVIDER_PROPERTIES, p256_functions,
		"P-256 keys that are elsewhere"},
	    {NULL, NULL, NULL, NULL}};
	static const OSSL_ALGORITHM signatures[] = {
	    {"NETBUS-ED25519", PROVIDER_PROPERTIES, signing_functions, "Ed25519 signed elsewhere"},
	    {"NETBUS-ECDSA", PROVIDER_PROPERTIES, signing_functions, "ECDSA P-256 signed elsewhere"},
	    {NULL, NULL, NULL, NULL}};

	(void)provider;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return keys;
	case OSSL_OP_SIGNATURE:
		return signatures;
	default:
		return NULL;
	}
}
