/* SPDX-License-Identifier: Apache-2.0
 *
 * The key store: what is wrong with a set of files is said with the file's name; what is signed verifies; and all of it works under the list
 * of allowed system calls of netbus-keys.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/sandbox.h"
#include "crypto/proof.h"
#include "tests/unit/made_certificate.h"

#define TEXT_ROOM 16384

struct files {
	char text[KEY_FILE_SEAL + 1][TEXT_ROOM]; /* by kind; empty = not given */
};

static struct world {
	struct made ca, other_ca, host, other_host, p256;
	struct files files;
} world;

static void
make_files(struct files *files, const struct made *ca, X509 *certificate, EVP_PKEY *key)
{
	memset(files, 0, sizeof *files);
	add_pem(files->text[KEY_FILE_CERTIFICATE], TEXT_ROOM, certificate, NULL);
	add_pem(files->text[KEY_FILE_KEY], TEXT_ROOM, NULL, key);
	add_pem(files->text[KEY_FILE_CA], TEXT_ROOM, ca->certificate, NULL);
}

/* NULL with the error set. */
static struct keystore *
load(const struct files *files, const char *host, struct error *error)
{
	struct keystore *store = keystore_new();
	int code = 0;

	for (uint8_t kind = KEY_FILE_CERTIFICATE; kind <= KEY_FILE_SEAL && code == 0; kind++)
		if (files->text[kind][0] != '\0')
			code = keystore_add(store, kind, files->text[kind], strlen(files->text[kind]), error);
	if (code == 0)
		code = keystore_commit(store, host, error);
	if (code == 0)
		return store;
	keystore_free(store);
	return NULL;
}

static void
refuses(const struct files *files, const char *host, const char *word)
{
	struct error error = {0};

	assert_null(load(files, host, &error));
	assert_true(error.code < 0);
	if (strstr(error.text, word) == NULL)
		fail_msg("'%s' does not say '%s'", error.text, word);
}

static void
takes_a_good_set(void **state)
{
	struct keystore *store = load(&world.files, "m1", NULL);
	uint8_t chain[8192];
	size_t wanted = add_to_chain(chain, 0, world.host.certificate), length;

	(void)state;
	assert_non_null(store);
	assert_string_equal(keystore_identity(store)->host.text, "m1");
	assert_string_equal(keystore_identity(store)->trust_domain, "test.example");
	assert_int_equal(strlen(keystore_fingerprint(store)), 64);
	assert_true(keystore_not_after_us(store) > INT64_C(1600000000) * 1000000);
	assert_memory_equal(keystore_chain(store, &length), chain, wanted);
	assert_int_equal(length, wanted);
	keystore_free(store);
}

static void
names_the_missing_file(void **state)
{
	static const char *const names[] = {[KEY_FILE_CERTIFICATE] = "host.pem is missing",
	    [KEY_FILE_KEY] = "host.key is missing",
	    [KEY_FILE_CA] = "ca.pem is missing"};

	(void)state;
	for (uint8_t kind = KEY_FILE_CERTIFICATE; kind <= KEY_FILE_CA; kind++) {
		struct files files = world.files;

		files.text[kind][0] = '\0';
		refuses(&files, "m1", names[kind]);
	}
}

static void
names_the_file_that_holds_something_else(void **state)
{
	static const char *const names[] = {[KEY_FILE_CERTIFICATE] = "host.pem",
	    [KEY_FILE_KEY] = "host.key",
	    [KEY_FILE_CA] = "ca.pem",
	    [KEY_FILE_SEAL] = "seal.key"};
	static const char *const texts[] = {"x", "\n", "-----BEGIN CERTIFICATE-----\n",
	    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	    "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"};

	(void)state;
	for (uint8_t kind = KEY_FILE_CERTIFICATE; kind <= KEY_FILE_SEAL; kind++)
		for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
			struct files files = world.files;

			snprintf(files.text[kind], TEXT_ROOM, "%s", texts[i]);
			refuses(&files, "m1", names[kind]);
		}
}

/* Half a file is not the half that can be read. */
static void
refuses_a_bundle_that_is_cut(void **state)
{
	struct files files = world.files;

	(void)state;
	add_pem(files.text[KEY_FILE_CA], TEXT_ROOM, world.other_ca.certificate, NULL);
	files.text[KEY_FILE_CA][strlen(files.text[KEY_FILE_CA]) - 60] = '\0';
	refuses(&files, "m1", "ca.pem");
}

static void
holds_the_files_against_each_other(void **state)
{
	struct files files;

	(void)state;
	make_files(&files, &world.ca, world.host.certificate, world.other_host.key);
	refuses(&files, "m1", "the key in host.key is not the one of the certificate in host.pem");
	make_files(&files, &world.other_ca, world.host.certificate, world.host.key);
	refuses(&files, "m1", "host.pem: ");
	refuses(&files, "m1", "not signed by a CA of our bundle");
	refuses(&world.files, "m2", "host.pem is for host 'm1', but this host is 'm2'");
	files = world.files;
	snprintf(files.text[KEY_FILE_CA], TEXT_ROOM, "%s", files.text[KEY_FILE_CERTIFICATE]);
	refuses(&files, "m1", "certificate 1 in ca.pem is not one of a CA");
}

static void
refuses_what_is_expired_or_has_another_key_type(void **state)
{
	static const struct {
		struct recipe change;
		const char *word;
	} rows[] = {
	    {{.from = -2 * DAY, .to = -DAY}, "expired on"},
	    {{.from = DAY, .to = 2 * DAY}, "not yet valid"},
	    {{.key = "RSA"}, "neither Ed25519 nor"},
	    {{.key = "P-384"}, "neither Ed25519 nor"},
	    {{.extended = "serverAuth"}, "clientAuth"},
	    {{.san = ""}, "no URI SAN"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct made made = make_certificate(but(good_host, rows[i].change), &world.ca);
		struct files files;

		make_files(&files, &world.ca, made.certificate, made.key);
		refuses(&files, "m1", rows[i].word);
		made_clear(&made);
	}
}

/* And does not ask the terminal for it. */
static void
refuses_a_key_with_a_passphrase(void **state)
{
	struct files files = world.files;
	BIO *bio = BIO_new(BIO_s_mem());
	int length;

	(void)state;
	assert_int_equal(PEM_write_bio_PrivateKey(
			     bio, world.host.key, EVP_aes_256_cbc(), (const unsigned char *)"secret", 6, NULL, NULL),
	    1);
	length = BIO_read(bio, files.text[KEY_FILE_KEY], TEXT_ROOM - 1);
	files.text[KEY_FILE_KEY][length] = '\0';
	BIO_free(bio);
	refuses(&files, "m1", "without a passphrase");
}

static void
signs_what_verifies(void **state)
{
	static const uint8_t input[130] = {1, 2, 3};
	const struct made *hosts[] = {&world.host, &world.p256};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++) {
		EVP_MD_CTX *context = EVP_MD_CTX_new();
		struct keystore *store;
		struct files files;
		uint8_t signature[256];
		size_t used = 0;

		make_files(&files, &world.ca, hosts[i]->certificate, hosts[i]->key);
		store = load(&files, "m1", NULL);
		assert_non_null(store);
		assert_int_equal(keystore_sign(store, input, sizeof input, signature, sizeof signature, &used), 0);
		assert_int_equal(
		    EVP_DigestVerifyInit(context, NULL, i == 0 ? NULL : EVP_sha256(), NULL, hosts[i]->key), 1);
		assert_int_equal(EVP_DigestVerify(context, signature, used, input, sizeof input), 1);
		assert_int_equal(keystore_sign(store, input, sizeof input, signature, 16, &used), -EIO);
		EVP_MD_CTX_free(context);
		keystore_free(store);
	}
}

static void
signs_nothing_before_the_commit_and_seals_nothing_without_a_key(void **state)
{
	struct keystore *store = keystore_new();
	uint8_t signature[256];
	size_t used;
	char note[256];

	(void)state;
	for (uint8_t kind = KEY_FILE_CERTIFICATE; kind <= KEY_FILE_CA; kind++)
		assert_int_equal(
		    keystore_add(store, kind, world.files.text[kind], strlen(world.files.text[kind]), NULL), 0);
	assert_int_equal(keystore_sign(store, (const uint8_t *)"x", 1, signature, sizeof signature, &used), -ENOKEY);
	assert_int_equal(keystore_seal(store, "x", 1, note, sizeof note), -ENOKEY);
	keystore_free(store);
}

/* In a child process, since there is no way back. Its exit code is what is checked: a call that is not allowed would have killed it. */
static int
work_inside_the_list(void)
{
	struct keystore *store;
	struct proof *proof;
	uint8_t chain[8192], signature[256];
	size_t length = add_to_chain(chain, 0, world.p256.certificate), used;
	int code = 0;

	if (sandbox_begin(NULL) < 0 || keystore_prepare(NULL) < 0 ||
	    sandbox_lock(SANDBOX_PASS_FDS | SANDBOX_FILE_IO, NULL) < 0)
		return 10;
	store = load(&world.files, "m1", NULL);
	if (store == NULL)
		return 11;
	proof = proof_new(store, TLS_SERVER, "");
	if (proof == NULL || proof_check_chain(proof, chain, length, NULL) != 0)
		code = 12;
	else if (keystore_sign(store, chain, 130, signature, sizeof signature, &used) < 0)
		code = 13;
	proof_free(proof);
	keystore_free(store);
	return code;
}

static void
works_inside_the_list_of_system_calls(void **state)
{
	pid_t child;
	int status = 0;

	(void)state;
	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(work_inside_the_list());
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
set_up(void **state)
{
	(void)state;
	world.ca = make_certificate(good_ca, NULL);
	world.other_ca = make_certificate(good_ca, NULL);
	world.host = make_certificate(good_host, &world.ca);
	world.other_host = make_certificate(good_host, &world.ca);
	world.p256 = make_certificate(but(good_host, (struct recipe){.key = "P-256"}), &world.ca);
	make_files(&world.files, &world.ca, world.host.certificate, world.host.key);
	return 0;
}

static int
tear_down(void **state)
{
	struct made *all[] = {&world.ca, &world.other_ca, &world.host, &world.other_host, &world.p256};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
		made_clear(all[i]);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(works_inside_the_list_of_system_calls),
	    cmocka_unit_test(takes_a_good_set),
	    cmocka_unit_test(names_the_missing_file),
	    cmocka_unit_test(names_the_file_that_holds_something_else),
	    cmocka_unit_test(refuses_a_bundle_that_is_cut),
	    cmocka_unit_test(holds_the_files_against_each_other),
	    cmocka_unit_test(refuses_what_is_expired_or_has_another_key_type),
	    cmocka_unit_test(refuses_a_key_with_a_passphrase),
	    cmocka_unit_test(signs_what_verifies),
	    cmocka_unit_test(signs_nothing_before_the_commit_and_seals_nothing_without_a_key),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
