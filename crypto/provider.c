/* SPDX-License-Identifier: Apache-2.0
 *
 * Library contexts that have the provider "netbus", and its keys (crypto/provider.h).
 */
#include "crypto/provider.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "base/auto.h"
#include "crypto/provider_internal.h"

/* ---- the provider ---- */

static int
provider_start(
    const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *offered, const OSSL_DISPATCH **functions, void **context)
{
	static const OSSL_DISPATCH table[] = {
	    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))provider_query}, {0, NULL}};

	(void)offered;
	*functions = table;
	*context = (void *)(uintptr_t)core; /* no function of ours reads it, but it must not be NULL */
	return 1;
}

int
provider_open(struct provider_context *context)
{
	*context = (struct provider_context){.library = OSSL_LIB_CTX_new()};
	if (context->library == NULL)
		return -ENOMEM;
	context->standard = provider_load_lean(context->library);
	if (OSSL_PROVIDER_add_builtin(context->library, PROVIDER_NAME, provider_start) == 1)
		context->ours = OSSL_PROVIDER_load(context->library, PROVIDER_NAME);
	/* Peers' keys are of the same kinds as ours: they belong to the default provider. */
	if (context->standard && context->ours &&
	    EVP_set_default_properties(context->library, "?provider=default") == 1)
		return 0;
	provider_close(context);
	return -ENOMEM;
}

void
provider_close(struct provider_context *context)
{
	if (context->ours)
		OSSL_PROVIDER_unload(context->ours);
	if (context->standard)
		OSSL_PROVIDER_unload(context->standard);
	OSSL_LIB_CTX_free(context->library);
	*context = (struct provider_context){0};
}

/* ---- making a key ---- */

static void
free_key_context(EVP_PKEY_CTX **context)
{
	EVP_PKEY_CTX_free(*context);
}

static const struct key_kind *
type_of(EVP_PKEY *certified)
{
	char group[32] = "";

	if (EVP_PKEY_is_a(certified, provider_ed25519.name))
		return &provider_ed25519;
	if (EVP_PKEY_is_a(certified, provider_p256.name) &&
	    EVP_PKEY_get_group_name(certified, group, sizeof group, NULL) == 1 &&
	    strcmp(group, provider_p256.group) == 0)
		return &provider_p256;
	return NULL;
}

EVP_PKEY *
provider_key_new(OSSL_LIB_CTX *library, EVP_PKEY *certified, const struct provider_signer *signer)
{
	AUTO(free_key_context) EVP_PKEY_CTX *making = NULL;
	const struct key_kind *type = type_of(certified);
	void *address = (void *)(uintptr_t)signer; /* only read: OSSL_PARAM has no const */
	uint8_t public[PUBLIC_LEN_MAX];
	OSSL_PARAM params[4], *next = params;
	EVP_PKEY *key = NULL;
	size_t length;

	if (type == NULL ||
	    EVP_PKEY_get_octet_string_param(certified, OSSL_PKEY_PARAM_PUB_KEY, public, sizeof public, &length) != 1)
		return NULL;
	if (type->group) {
		char *group = (char *)(uintptr_t)type->group;

		*next++ = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0);
	}
	*next++ = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, public, length);
	*next++ = OSSL_PARAM_construct_octet_ptr(PARAM_SIGNER, &address, 0);
	*next = OSSL_PARAM_construct_end();
	making = EVP_PKEY_CTX_new_from_name(library, type->name, PROVIDER_PROPERTIES);
	if (making == NULL || EVP_PKEY_fromdata_init(making) != 1 ||
	    EVP_PKEY_fromdata(making, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return key;
}
