/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificate chains as netbus-keys judges them (crypto/proof_chain.c): u24 length and DER for each, leaf first. The CAs and hosts are made when
 * it starts, always the same (fixed Ed25519 keys, fixed times), so that a seed and a crash stay what they are.
 *
 * Holds: who is accepted is a host that our CA (or the one below it) signed: its key is that host's key, and it gets that host's name; the
 * name is one by its grammar; it is refused ten years before and a hundred years after, and in another trust domain. What is refused leaves the
 * output alone and has a sentence.
 */
#include <errno.h>
#include <openssl/x509v3.h>

#include "crypto/proof_internal.h"
#include "tests/fuzz/fuzz.h"

#define FILLER     0xa5
#define NOW        ((time_t)1800000000)
#define YEAR       ((long)365 * 86400)
#define DOMAIN     "test.example"
#define LEAF_USAGE "critical,digitalSignature"
#define CA_USAGE   "critical,keyCertSign,cRLSign"

enum { CA, MIDDLE, M1, M2, STRANGER, MADE };
static struct made {
	const char *name, *basic, *usage, *extended, *san;
	int issuer;
	EVP_PKEY *key;
	X509 *certificate;
} made[MADE] = {
    [CA] = {"CA", "critical,CA:TRUE", CA_USAGE, NULL, NULL, CA, NULL, NULL},
    [MIDDLE] = {"middle", "critical,CA:TRUE,pathlen:0", CA_USAGE, NULL, NULL, CA, NULL, NULL},
    [M1] = {"m1", "critical,CA:FALSE", LEAF_USAGE, "serverAuth,clientAuth", "URI:spiffe://" DOMAIN "/host/m1", CA, NULL,
	NULL},
    [M2] = {"m2", "critical,CA:FALSE", LEAF_USAGE, "serverAuth,clientAuth", "URI:spiffe://" DOMAIN "/host/m2", MIDDLE,
	NULL, NULL},
    [STRANGER] = {"CA", "critical,CA:FALSE", LEAF_USAGE, "serverAuth,clientAuth", "URI:spiffe://" DOMAIN "/host/m1",
	STRANGER, NULL, NULL},
};
static X509_STORE *bundle;

static void
add_extension(struct made *one, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	if (value == NULL)
		return;
	X509V3_set_ctx(&context, made[one->issuer].certificate, one->certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	REQUIRE(extension != NULL && X509_add_ext(one->certificate, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void
make(int number)
{
	struct made *one = &made[number], *issuer = &made[one->issuer];
	uint8_t seed[32];

	memset(seed, 1 + number, sizeof seed);
	one->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
	one->certificate = X509_new();
	REQUIRE(one->key != NULL && one->certificate != NULL);
	X509_set_version(one->certificate, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(one->certificate), 1 + number);
	X509_set_pubkey(one->certificate, one->key);
	ASN1_TIME_set(X509_getm_notBefore(one->certificate), NOW - YEAR);
	ASN1_TIME_set(X509_getm_notAfter(one->certificate), NOW + YEAR);
	X509_NAME_add_entry_by_txt(
	    X509_get_subject_name(one->certificate), "CN", MBSTRING_ASC, (const unsigned char *)one->name, -1, -1, 0);
	X509_set_issuer_name(one->certificate, X509_get_subject_name(issuer->certificate));
	add_extension(one, NID_subject_key_identifier, "hash");
	add_extension(one, NID_authority_key_identifier, one == issuer ? NULL : "keyid:always");
	add_extension(one, NID_basic_constraints, one->basic);
	add_extension(one, NID_key_usage, one->usage);
	add_extension(one, NID_ext_key_usage, one->extended);
	add_extension(one, NID_subject_alt_name, one->san);
	REQUIRE(X509_sign(one->certificate, issuer->key, NULL) > 0);
}

static void
write_chain(const char *name, const int *numbers, int count)
{
	uint8_t chain[8192];
	size_t length = 0;

	for (int i = 0; i < count; i++) {
		uint8_t *at = chain + length + 3;
		int size = i2d_X509(made[numbers[i]].certificate, &at);

		chain[length] = 0, chain[length + 1] = (uint8_t)(size >> 8), chain[length + 2] = (uint8_t)size;
		length += 3 + (size_t)size;
	}
	REQUIRE(LLVMFuzzerTestOneInput(chain, length) == 0);
	seed_write(name, chain, length);
}

static int
judge(const uint8_t *bytes, size_t length, const char *domain, time_t now, struct spiffe_id *id, EVP_PKEY **key)
{
	AUTO(auto_certificates_free) STACK_OF(X509) *chain = chain_parse(bytes, length);
	struct error text = {0};
	int code;

	memset(id, FILLER, sizeof *id);
	if (chain == NULL)
		return X509_V_ERR_CERT_REJECTED;
	REQUIRE(sk_X509_num(chain) > 0 && sk_X509_num(chain) <= CHAIN_CERTIFICATES_MOST);
	code = chain_judge(bundle, domain, chain, now, id, &text);
	REQUIRE(
	    code == X509_V_OK ? text.text[0] == '\0' : text.text[0] != '\0' && is_untouched(id, sizeof *id, FILLER));
	*key = X509_get_pubkey(sk_X509_value(chain, 0));
	return code;
}

static bool
is_accepted(const uint8_t *bytes, size_t length, const char *domain, time_t now, struct spiffe_id *id, EVP_PKEY **key)
{
	bool accepted = judge(bytes, length, domain, now, id, key) == X509_V_OK;

	if (!accepted) {
		EVP_PKEY_free(*key);
		*key = NULL;
	}
	return accepted;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const int chains[][2] = {{M1, CA}, {M2, MIDDLE}, {STRANGER, CA}, {MIDDLE, CA}};
	struct spiffe_id id;
	EVP_PKEY *key = NULL;
	uint8_t leaf[3 + 2048] = {0}, *at = leaf + 3;
	int size;

	(void)argc, (void)argv;
	bundle = X509_STORE_new();
	for (int i = 0; i < MADE; i++)
		make(i);
	REQUIRE(bundle != NULL && X509_STORE_add_cert(bundle, made[CA].certificate) == 1);
	size = i2d_X509(made[M1].certificate, &at);
	leaf[1] = (uint8_t)(size >> 8), leaf[2] = (uint8_t)size;
	REQUIRE(is_accepted(leaf, 3 + (size_t)size, DOMAIN, NOW, &id, &key)); /* there is something to break */
	EVP_PKEY_free(key);
	for (int i = 0; i < 8; i++) {
		char name[] = {'c', (char)('0' + i), '\0'};

		write_chain(name, chains[i % 4], 1 + i / 4);
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const time_t wrong_times[] = {NOW - 10 * YEAR, NOW + 100 * YEAR};
	EVP_PKEY *key = NULL, *other = NULL;
	struct spiffe_id id, other_id;

	if (!is_accepted(bytes, length, DOMAIN, NOW, &id, &key))
		return 0;
	REQUIRE(strcmp(id.trust_domain, DOMAIN) == 0 && name_is_valid(id.host.text, strlen(id.host.text)));
	REQUIRE((strcmp(id.host.text, "m1") == 0 && EVP_PKEY_eq(key, made[M1].key) == 1) ||
		(strcmp(id.host.text, "m2") == 0 && EVP_PKEY_eq(key, made[M2].key) == 1));
	for (int i = 0; i < 2; i++)
		REQUIRE(!is_accepted(bytes, length, DOMAIN, wrong_times[i], &other_id, &other));
	REQUIRE(!is_accepted(bytes, length, "other.example", NOW, &other_id, &other));
	EVP_PKEY_free(key);
	return 0;
}
