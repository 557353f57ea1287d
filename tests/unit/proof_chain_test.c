/* SPDX-License-Identifier: Apache-2.0
 *
 * proof_check_chain(): whose certificates are good, and what a person reads about the others.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "crypto/proof.h"
#include "tests/unit/made_certificate.h"

#define URI "URI:spiffe://test.example/host/m1"

struct row {
	const char *name;
	struct recipe change;
	int code;         /* X509_V_OK, or */
	const char *word; /* in the sentence */
};

static const struct row rows[] = {
    {"good ed25519", {.key = "ED25519"}, X509_V_OK, NULL},
    {"good p256", {.key = "P-256"}, X509_V_OK, NULL},
    {"other key usages beside", {.usage = "critical,digitalSignature,keyAgreement"}, X509_V_OK, NULL},
    {"expired", {.from = -2 * DAY, .to = -DAY}, X509_V_ERR_CERT_HAS_EXPIRED, "expired on "},
    {"expired a second ago", {.to = -1}, X509_V_ERR_CERT_HAS_EXPIRED, "expired on "},
    {"early", {.from = DAY, .to = 2 * DAY}, X509_V_ERR_CERT_NOT_YET_VALID, "not yet valid"},
    {"no san", {.san = ""}, X509_V_ERR_CERT_REJECTED, "has no URI SAN"},
    {"dns san only", {.san = "DNS:m1"}, X509_V_ERR_CERT_REJECTED, "has no URI SAN"},
    {"two uris", {.san = URI ",URI:spiffe://test.example/host/m9"}, X509_V_ERR_CERT_REJECTED, "more than one SAN"},
    {"the same twice", {.san = URI "," URI}, X509_V_ERR_CERT_REJECTED, "more than one SAN"},
    {"a dns name beside", {.san = "DNS:m1," URI}, X509_V_ERR_CERT_REJECTED, "more than one SAN"},
    {"a dns name behind", {.san = URI ",DNS:m1"}, X509_V_ERR_CERT_REJECTED, "more than one SAN"},
    {"not a host", {.san = "URI:spiffe://test.example/vm/m1"}, X509_V_ERR_CERT_REJECTED, "names no host"},
    {"not spiffe", {.san = "URI:https://test.example/host/m1"}, X509_V_ERR_CERT_REJECTED, "names no host"},
    {"bad name", {.san = "URI:spiffe://test.example/host/M1"}, X509_V_ERR_CERT_REJECTED, "names no host"},
    {"other domain", {.san = "URI:spiffe://evil.example/host/m1"}, X509_V_ERR_CERT_REJECTED,
	"another trust domain 'evil.example' (ours is 'test.example')"},
    {"domain as prefix", {.san = "URI:spiffe://test.example.evil/host/m1"}, X509_V_ERR_CERT_REJECTED,
	"another trust domain"},
    {"client only", {.extended = "clientAuth"}, X509_V_ERR_INVALID_PURPOSE, "EKU does not allow serverAuth"},
    {"server only", {.extended = "serverAuth"}, X509_V_ERR_INVALID_PURPOSE, "EKU does not allow clientAuth"},
    {"no eku", {.extended = ""}, X509_V_ERR_INVALID_PURPOSE, "EKU does not allow"},
    {"any eku only", {.extended = "anyExtendedKeyUsage"}, X509_V_ERR_INVALID_PURPOSE, "EKU does not allow"},
    {"no key usage", {.usage = ""}, X509_V_ERR_INVALID_PURPOSE, "digitalSignature"},
    {"no signatures", {.usage = "critical,keyAgreement"}, X509_V_ERR_INVALID_PURPOSE, "digitalSignature"},
    {"signs certificates", {.usage = "critical,digitalSignature,keyCertSign"}, X509_V_ERR_INVALID_PURPOSE, ""},
    {"signs crls", {.usage = "critical,digitalSignature,cRLSign"}, X509_V_ERR_INVALID_PURPOSE, "cRLSign"},
    {"a ca", {.basic = "critical,CA:TRUE", .usage = "critical,digitalSignature,keyCertSign"},
	X509_V_ERR_INVALID_PURPOSE, "of a CA"},
    {"p384 key", {.key = "P-384"}, X509_V_ERR_CERT_REJECTED, "neither Ed25519 nor"},
    {"rsa key", {.key = "RSA"}, X509_V_ERR_CERT_REJECTED, "neither Ed25519 nor"},
};
static const struct recipe own_host = {.san = "critical,URI:spiffe://test.example/host/m2"};
static const struct recipe middle_ca = {.subject = "middle CA", .basic = "critical,CA:TRUE,pathlen:0"};
static const struct recipe old_ca = {.subject = "old CA", .from = -2 * DAY, .to = -DAY};

static struct world {
	struct made ca, own;
	struct keystore *store;
} world;

static int
judge(const uint8_t *chain, size_t length, const char *expect_host, struct error *text)
{
	struct proof *proof = proof_new(world.store, TLS_SERVER, expect_host);
	int code = proof_check_chain(proof, chain, length, text);

	proof_free(proof);
	return code;
}

static void
judges_each_leaf_by_its_own_contents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct made leaf = make_certificate(but(good_host, rows[i].change), &world.ca);
		struct error text = {0};
		uint8_t chain[8192];
		size_t length = add_to_chain(chain, 0, leaf.certificate);
		int code = judge(chain, length, "", &text);

		if (code != rows[i].code)
			fail_msg("%s: %d (%s), not %d", rows[i].name, code, text.text, rows[i].code);
		if (rows[i].word && strstr(text.text, rows[i].word) == NULL)
			fail_msg("%s: '%s' does not say '%s'", rows[i].name, text.text, rows[i].word);
		made_clear(&leaf);
	}
}

static void
refuses_what_no_ca_of_ours_signed(void **state)
{
	struct made other = make_certificate(good_ca, NULL); /* the same name, another key */
	struct made leaf = make_certificate(good_host, &other), self = make_certificate(good_host, NULL);
	struct error text = {0};
	uint8_t chain[8192];
	size_t length;

	(void)state;
	length = add_to_chain(chain, 0, leaf.certificate);
	assert_int_not_equal(judge(chain, length, "", &text), X509_V_OK);
	assert_non_null(strstr(text.text, "not signed by a CA of our bundle (unknown issuer)"));
	/* Bringing that CA along does not help. */
	length = add_to_chain(chain, length, other.certificate);
	assert_int_not_equal(judge(chain, length, "", &text), X509_V_OK);
	length = add_to_chain(chain, 0, self.certificate);
	assert_int_not_equal(judge(chain, length, "", &text), X509_V_OK);
	assert_non_null(strstr(text.text, "unknown issuer"));
	made_clear(&self);
	made_clear(&leaf);
	made_clear(&other);
}

static void
refuses_a_host_that_plays_ca(void **state)
{
	struct made leaf = make_certificate(good_host, &world.own);
	struct error text = {0};
	uint8_t chain[8192];
	size_t length = add_to_chain(chain, 0, leaf.certificate);

	(void)state;
	length = add_to_chain(chain, length, world.own.certificate);
	assert_int_not_equal(judge(chain, length, "", &text), X509_V_OK);
	made_clear(&leaf);
}

static void
takes_a_ca_between_and_needs_it(void **state)
{
	struct made middle = make_certificate(but(good_ca, middle_ca), &world.ca);
	struct made leaf = make_certificate(good_host, &middle);
	struct error text = {0};
	uint8_t chain[8192];
	size_t length = add_to_chain(chain, 0, leaf.certificate);

	(void)state;
	assert_int_not_equal(judge(chain, length, "", &text), X509_V_OK);
	length = add_to_chain(chain, length, middle.certificate);
	assert_int_equal(judge(chain, length, "", &text), X509_V_OK);
	made_clear(&leaf);
	made_clear(&middle);
}

static void
refuses_an_expired_ca_above(void **state)
{
	struct made middle = make_certificate(but(good_ca, old_ca), &world.ca);
	struct made leaf = make_certificate(good_host, &middle);
	struct error text = {0};
	uint8_t chain[8192];
	size_t length = add_to_chain(chain, 0, leaf.certificate);

	(void)state;
	length = add_to_chain(chain, length, middle.certificate);
	assert_int_equal(judge(chain, length, "", &text), X509_V_ERR_CERT_HAS_EXPIRED);
	assert_non_null(strstr(text.text, "the CA above it"));
	made_clear(&leaf);
	made_clear(&middle);
}

static void
expects_the_host_it_was_told(void **state)
{
	struct made leaf = make_certificate(good_host, &world.ca);
	struct error text = {0};
	uint8_t chain[8192];
	size_t length = add_to_chain(chain, 0, leaf.certificate);

	(void)state;
	assert_int_equal(judge(chain, length, "m1", &text), X509_V_OK);
	assert_int_equal(judge(chain, length, "m3", &text), X509_V_ERR_HOSTNAME_MISMATCH);
	assert_non_null(strstr(text.text, "'m1'"));
	assert_int_equal(judge(chain, length, "m", &text), X509_V_ERR_HOSTNAME_MISMATCH);
	made_clear(&leaf);
}

static void
refuses_malformed_chains(void **state)
{
	struct made leaf = make_certificate(good_host, &world.ca);
	uint8_t chain[16384];
	size_t length = add_to_chain(chain, 0, leaf.certificate), many = 0;

	(void)state;
	for (size_t cut = 0; cut < length; cut++)
		assert_int_not_equal(judge(chain, cut, "", NULL), X509_V_OK);
	chain[length] = 0;
	assert_int_not_equal(judge(chain, length + 1, "", NULL), X509_V_OK);
	/* A byte behind the certificate, inside its length. */
	chain[2]++;
	assert_int_not_equal(judge(chain, length + 1, "", NULL), X509_V_OK);
	for (int i = 0; i < 9; i++)
		many = add_to_chain(chain, many, leaf.certificate);
	assert_true(many < 8192);
	assert_int_not_equal(judge(chain, many, "", NULL), X509_V_OK);
	made_clear(&leaf);
}

static void
refuses_each_flipped_bit_of_a_sampling(void **state)
{
	struct made leaf = make_certificate(good_host, &world.ca);
	uint8_t chain[8192];
	size_t length = add_to_chain(chain, 0, leaf.certificate);

	(void)state;
	for (size_t i = 0; i < length; i++) {
		chain[i] ^= (uint8_t)(1 << i % 8);
		assert_int_not_equal(judge(chain, length, "", NULL), X509_V_OK);
		chain[i] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(judge(chain, length, "", NULL), X509_V_OK);
	made_clear(&leaf);
}

static void
judges_once(void **state)
{
	struct made leaf = make_certificate(good_host, &world.ca);
	struct proof *proof = proof_new(world.store, TLS_SERVER, "");
	uint8_t chain[8192];
	size_t length = add_to_chain(chain, 0, leaf.certificate);
	struct name host;

	(void)state;
	assert_int_equal(proof_peer_host(proof, &host), -EACCES);
	assert_int_equal(proof_check_chain(proof, chain, length, NULL), X509_V_OK);
	assert_int_equal(proof_peer_host(proof, &host), 0);
	assert_string_equal(host.text, "m1");
	assert_int_not_equal(proof_check_chain(proof, chain, length, NULL), X509_V_OK);
	proof_free(proof);
	made_clear(&leaf);
}

static int
set_up(void **state)
{
	(void)state;
	world.ca = make_certificate(good_ca, NULL);
	world.own = make_certificate(but(good_host, own_host), &world.ca);
	world.store = make_store(&world.ca, &world.own, "m2");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	keystore_free(world.store);
	made_clear(&world.own);
	made_clear(&world.ca);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judges_each_leaf_by_its_own_contents),
	    cmocka_unit_test(refuses_what_no_ca_of_ours_signed),
	    cmocka_unit_test(refuses_a_host_that_plays_ca),
	    cmocka_unit_test(takes_a_ca_between_and_needs_it),
	    cmocka_unit_test(refuses_an_expired_ca_above),
	    cmocka_unit_test(expects_the_host_it_was_told),
	    cmocka_unit_test(refuses_malformed_chains),
	    cmocka_unit_test(refuses_each_flipped_bit_of_a_sampling),
	    cmocka_unit_test(judges_once),
	};

	if (keystore_prepare(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
