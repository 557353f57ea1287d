/* SPDX-License-Identifier: Apache-2.0
 *
 * proof_verify(): a peer is proved by its signature over this handshake with our nonce in it, and by nothing less. The handshakes are libssl's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/auto.h"
#include "crypto/proof.h"
#include "tests/unit/made_certificate.h"
#include "tests/unit/made_handshake.h"

/* The clock by which chains are judged, in place of the C library's. */
static time_t later;

time_t
time(time_t *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (out)
		*out = now.tv_sec + later;
	return now.tv_sec + later;
}

enum { ED25519, P256, KEY_TYPES };
static const char *const key_types[] = {"ED25519", "P-256"};

/* m1 is the client and m2 the server; m3 is somebody else. Each has a key of either type. */
enum { M1, M2, M3, HOSTS };

static struct world {
	struct made ca, host[HOSTS][KEY_TYPES];
	struct keystore *store[HOSTS][KEY_TYPES];
} world;

/* One proof, under way: the handshake was shaken with its nonce, and the peer's chain was checked. */
struct attempt {
	struct proof *proof;
	struct handshake shaken;
	enum tls_side side;
	int type;
};

static struct half *
ours(struct attempt *attempt)
{
	return &attempt->shaken.side[attempt->side];
}

static int
check_chain(struct proof *proof, const struct made *peer)
{
	uint8_t chain[8192];

	return proof_check_chain(proof, chain, add_to_chain(chain, 0, peer->certificate), NULL);
}

static void
begin(struct attempt *attempt, enum tls_side side, int type)
{
	*attempt = (struct attempt){.side = side, .type = type};
	attempt->proof = proof_new(world.store[side == TLS_CLIENT ? M1 : M2][type], side, "");
	assert_non_null(attempt->proof);
	attempt->shaken.side[TLS_CLIENT].made = &world.host[M1][type];
	attempt->shaken.side[TLS_SERVER].made = &world.host[M2][type];
	memcpy(ours(attempt)->nonce, proof_nonce(attempt->proof), TLS_NONCE_LEN);
}

static void
shake(struct attempt *attempt)
{
	handshake_run(&attempt->shaken);
	assert_int_equal(check_chain(attempt->proof, attempt->shaken.side[!attempt->side].made), 0);
}

static void
begin_and_shake(struct attempt *attempt, enum tls_side side, int type)
{
	begin(attempt, side, type);
	shake(attempt);
}

static int
verify_with(struct attempt *attempt, const struct half *half, struct error *error)
{
	struct proved_peer peer;

	return proof_verify(attempt->proof, half->scheme, half->signature, half->signature_length, half->transcript,
	    half->length, &peer, error);
}

static void
refuses(struct attempt *attempt, const char *word)
{
	struct error error = {0};

	assert_int_equal(verify_with(attempt, ours(attempt), &error), -EACCES);
	if (strstr(error.text, word) == NULL)
		fail_msg("'%s' does not say '%s'", error.text, word);
}

/* ---- what is proved ---- */

static void
proves_a_peer_in_every_kind_of_handshake(void **state)
{
	static const char *const suites[] = {
	    "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LENGTH(suites) * 8; i++) {
		enum tls_side side = i & 1 ? TLS_CLIENT : TLS_SERVER;
		struct attempt attempt;
		struct proved_peer peer = {0};
		struct error error = {0};
		const struct half *half;

		begin(&attempt, side, i & 2 ? P256 : ED25519);
		attempt.shaken.suite = suites[i / 8];
		attempt.shaken.retry = (i & 4) != 0;
		shake(&attempt);
		half = ours(&attempt);
		if (proof_verify(attempt.proof, half->scheme, half->signature, half->signature_length, half->transcript,
			half->length, &peer, &error) != 0)
			fail_msg("%s, side %d, type %d, retry %d: %s", suites[i / 8], side, attempt.type,
			    attempt.shaken.retry, error.text);
		assert_string_equal(peer.host.text, side == TLS_CLIENT ? "m2" : "m1");
		assert_string_equal(
		    peer.fingerprint, keystore_fingerprint(world.store[side == TLS_CLIENT ? M2 : M1][attempt.type]));
		assert_true(peer.not_after_us ==
			    keystore_not_after_us(world.store[side == TLS_CLIENT ? M2 : M1][attempt.type]));
		proof_free(attempt.proof);
	}
}

static int
check_chain_anew(struct keystore *store, const struct made *peer, const char *expect_host)
{
	struct proof *proof = proof_new(store, TLS_CLIENT, expect_host);
	int code;

	assert_non_null(proof);
	code = check_chain(proof, peer);
	proof_free(proof);
	return code;
}

static void
a_chain_that_was_accepted_before_is_judged_anew(void **state)
{
	enum { TEN_YEARS = 10 * 366 * 86400 };
	struct keystore *store = world.store[M1][P256];
	const struct made *peer = &world.host[M2][P256];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		assert_int_equal(check_chain_anew(store, peer, ""), X509_V_OK);
		assert_int_equal(check_chain_anew(store, peer, "m3"), X509_V_ERR_HOSTNAME_MISMATCH);
		later = TEN_YEARS;
		assert_int_equal(check_chain_anew(store, peer, ""), X509_V_ERR_CERT_HAS_EXPIRED);
		later = -TEN_YEARS;
		assert_int_equal(check_chain_anew(store, peer, ""), X509_V_ERR_CERT_NOT_YET_VALID);
		later = 0;
	}
}

static void
nonces_differ(void **state)
{
	struct proof *one = proof_new(world.store[M1][0], TLS_CLIENT, ""),
		     *other = proof_new(world.store[M1][0], TLS_CLIENT, "");

	(void)state;
	assert_memory_not_equal(proof_nonce(one), proof_nonce(other), TLS_NONCE_LEN);
	proof_free(one);
	proof_free(other);
}

static void
a_proof_outlives_the_store_it_was_made_with(void **state)
{
	struct attempt attempt;
	struct keystore *store = make_store(&world.ca, &world.host[M2][P256], "m2");

	(void)state;
	begin(&attempt, TLS_SERVER, P256);
	proof_free(attempt.proof);
	attempt.proof = proof_new(store, TLS_SERVER, "");
	keystore_free(store);
	memcpy(ours(&attempt)->nonce, proof_nonce(attempt.proof), TLS_NONCE_LEN);
	shake(&attempt);
	assert_int_equal(verify_with(&attempt, ours(&attempt), NULL), 0);
	proof_free(attempt.proof);
}

/* ---- freshness ---- */

static void
refuses_a_handshake_with_another_nonce(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct attempt attempt;

		begin(&attempt, side, ED25519);
		ours(&attempt)->nonce[31] ^= 1;
		shake(&attempt);
		refuses(&attempt, "nonce");
		proof_free(attempt.proof);
	}
}

static void
refuses_our_nonce_in_the_peers_message(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct attempt attempt;

		begin(&attempt, side, ED25519);
		memcpy(attempt.shaken.side[!side].nonce, ours(&attempt)->nonce, TLS_NONCE_LEN);
		ours(&attempt)->nonce[0] ^= 1;
		shake(&attempt);
		refuses(&attempt, "nonce");
		proof_free(attempt.proof);
	}
}

static void
refuses_an_old_handshake(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct attempt old, now;
		struct error error = {0};

		begin_and_shake(&old, side, P256);
		begin_and_shake(&now, side, P256);
		assert_int_equal(verify_with(&old, ours(&old), NULL), 0);
		assert_int_equal(verify_with(&now, ours(&old), &error), -EACCES);
		assert_non_null(strstr(error.text, "nonce"));
		/* The old signature under the new handshake. */
		memcpy(ours(&now)->signature, ours(&old)->signature, sizeof old.shaken.side[0].signature);
		ours(&now)->signature_length = ours(&old)->signature_length;
		refuses(&now, "signature");
		proof_free(old.proof);
		proof_free(now.proof);
	}
}

/* ---- whom it was shaken with ---- */

/* m1 proves itself to m3, who has our nonce from a session of ours that was taken over. */
static void
refuses_a_client_that_proved_itself_to_another_server(void **state)
{
	struct attempt attempt;

	(void)state;
	begin(&attempt, TLS_SERVER, ED25519);
	attempt.shaken.side[TLS_SERVER].made = &world.host[M3][ED25519];
	shake(&attempt);
	refuses(&attempt, "not ours");
	proof_free(attempt.proof);
}

static void
refuses_another_chain_than_the_checked_one(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct attempt attempt;

		begin(&attempt, side, ED25519);
		handshake_run(&attempt.shaken);
		/* The same host, with its other key; and another host. */
		assert_int_equal(check_chain(attempt.proof, &world.host[side == TLS_CLIENT ? M2 : M1][P256]), 0);
		refuses(&attempt, "not those that were checked");
		proof_free(attempt.proof);
		attempt.proof = proof_new(world.store[side == TLS_CLIENT ? M1 : M2][ED25519], side, "");
		assert_int_equal(check_chain(attempt.proof, &world.host[M3][ED25519]), 0);
		refuses(&attempt, "nonce");
		proof_free(attempt.proof);
	}
}

static void
refuses_a_longer_or_shorter_chain_than_the_checked_one(void **state)
{
	struct attempt attempt;
	uint8_t chain[8192];
	size_t length;

	(void)state;
	begin(&attempt, TLS_SERVER, ED25519);
	handshake_run(&attempt.shaken);
	length = add_to_chain(chain, 0, world.host[M1][ED25519].certificate);
	length = add_to_chain(chain, length, world.ca.certificate);
	assert_int_equal(proof_check_chain(attempt.proof, chain, length, NULL), 0);
	refuses(&attempt, "not those that were checked");
	proof_free(attempt.proof);
}

static void
refuses_without_an_accepted_chain(void **state)
{
	struct attempt attempt;

	(void)state;
	begin(&attempt, TLS_SERVER, ED25519);
	handshake_run(&attempt.shaken);
	refuses(&attempt, "not accepted");
	assert_int_not_equal(proof_check_chain(attempt.proof, (const uint8_t *)"x", 1, NULL), 0);
	refuses(&attempt, "not accepted");
	proof_free(attempt.proof);
}

static void
refuses_the_other_sides_view(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct attempt attempt;

		begin_and_shake(&attempt, side, P256);
		memcpy(attempt.shaken.side[!side].nonce, ours(&attempt)->nonce, TLS_NONCE_LEN);
		assert_int_equal(verify_with(&attempt, &attempt.shaken.side[!side], NULL), -EACCES);
		proof_free(attempt.proof);
	}
}

/* ---- the signature ---- */

static void
refuses_another_scheme_than_the_keys(void **state)
{
	static const uint16_t schemes[] = {
	    0x0403, 0x0807, 0x0503, 0x0603, 0x0804, 0x0808, 0x0401, 0x0203, 0x0000, 0xffff};

	(void)state;
	for (int type = 0; type < KEY_TYPES; type++) {
		struct attempt attempt;
		uint16_t right;

		begin_and_shake(&attempt, TLS_SERVER, type);
		right = ours(&attempt)->scheme;
		for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++) {
			ours(&attempt)->scheme = schemes[i];
			assert_int_equal(
			    verify_with(&attempt, ours(&attempt), NULL), schemes[i] == right ? 0 : -EACCES);
		}
		proof_free(attempt.proof);
	}
}

static void
refuses_our_own_signature(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct attempt attempt;
		struct half *half;

		begin_and_shake(&attempt, side, ED25519);
		half = ours(&attempt);
		memcpy(half->signature, attempt.shaken.side[!side].signature, half->signature_length);
		refuses(&attempt, "signature");
		proof_free(attempt.proof);
	}
}

static void
refuses_each_changed_byte_of_the_signature(void **state)
{
	(void)state;
	for (int type = 0; type < KEY_TYPES; type++) {
		struct attempt attempt;
		struct half *half;

		begin_and_shake(&attempt, TLS_CLIENT, type);
		half = ours(&attempt);
		for (size_t i = 0; i < half->signature_length; i++) {
			half->signature[i] ^= (uint8_t)(1 << i % 8);
			refuses(&attempt, "signature");
			half->signature[i] ^= (uint8_t)(1 << i % 8);
		}
		for (size_t length = half->signature_length; length-- > 0;) {
			half->signature_length = length;
			refuses(&attempt, "signature");
		}
		proof_free(attempt.proof);
	}
}

/* ---- the transcript ---- */

static void
refuses_each_changed_byte_of_the_transcript(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct attempt attempt;
		struct half *half;

		begin(&attempt, i & 1, ED25519);
		attempt.shaken.retry = (i & 2) != 0;
		shake(&attempt);
		half = ours(&attempt);
		for (size_t at = 0; at < half->length; at++) {
			half->transcript[at] ^= (uint8_t)(1 << at % 8);
			if (verify_with(&attempt, half, NULL) != -EACCES)
				fail_msg("byte %zu of %zu changed, side %u", at, half->length, i & 1);
			half->transcript[at] ^= (uint8_t)(1 << at % 8);
		}
		assert_int_equal(verify_with(&attempt, half, NULL), 0);
		proof_free(attempt.proof);
	}
}

static void
refuses_each_cut_and_each_addition(void **state)
{
	(void)state;
	for (int side = 0; side < 2; side++) {
		struct attempt attempt;
		struct half *half;
		size_t whole;

		begin_and_shake(&attempt, side, ED25519);
		half = ours(&attempt);
		whole = half->length;
		for (half->length = 0; half->length < whole; half->length++)
			refuses(&attempt, "not a complete TLS 1.3 handshake");
		memset(half->transcript + whole, 0, 4);
		for (half->length = whole + 1; half->length <= whole + 4; half->length++)
			refuses(&attempt, "not a complete TLS 1.3 handshake");
		half->length = sizeof half->transcript;
		refuses(&attempt, "longer than");
		half->length = whole;
		assert_int_equal(verify_with(&attempt, half, NULL), 0);
		proof_free(attempt.proof);
	}
}

static int
set_up(void **state)
{
	static const char *const names[] = {"m1", "m2", "m3"};

	(void)state;
	world.ca = make_certificate(good_ca, NULL);
	for (int host = 0; host < HOSTS; host++)
		for (int type = 0; type < KEY_TYPES; type++) {
			char san[64];

			snprintf(san, sizeof san, "critical,URI:spiffe://test.example/host/%s", names[host]);
			world.host[host][type] = make_certificate(
			    but(good_host, (struct recipe){.san = san, .key = key_types[type]}), &world.ca);
			world.store[host][type] = make_store(&world.ca, &world.host[host][type], names[host]);
		}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (int host = 0; host < HOSTS; host++)
		for (int type = 0; type < KEY_TYPES; type++) {
			keystore_free(world.store[host][type]);
			made_clear(&world.host[host][type]);
		}
	made_clear(&world.ca);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(proves_a_peer_in_every_kind_of_handshake),
	    cmocka_unit_test(a_chain_that_was_accepted_before_is_judged_anew),
	    cmocka_unit_test(nonces_differ),
	    cmocka_unit_test(a_proof_outlives_the_store_it_was_made_with),
	    cmocka_unit_test(refuses_a_handshake_with_another_nonce),
	    cmocka_unit_test(refuses_our_nonce_in_the_peers_message),
	    cmocka_unit_test(refuses_an_old_handshake),
	    cmocka_unit_test(refuses_a_client_that_proved_itself_to_another_server),
	    cmocka_unit_test(refuses_another_chain_than_the_checked_one),
	    cmocka_unit_test(refuses_a_longer_or_shorter_chain_than_the_checked_one),
	    cmocka_unit_test(refuses_without_an_accepted_chain),
	    cmocka_unit_test(refuses_the_other_sides_view),
	    cmocka_unit_test(refuses_another_scheme_than_the_keys),
	    cmocka_unit_test(refuses_our_own_signature),
	    cmocka_unit_test(refuses_each_changed_byte_of_the_signature),
	    cmocka_unit_test(refuses_each_changed_byte_of_the_transcript),
	    cmocka_unit_test(refuses_each_cut_and_each_addition),
	};

	if (keystore_prepare(NULL) < 0)
		return 1;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
