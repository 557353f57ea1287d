/* SPDX-License-Identifier: Apache-2.0
 *
 * proof_check_sign_input(): netbus-keys signs a CertificateVerify input of its own side and nothing else.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/auto.h"
#include "crypto/proof.h"

#define PADDING 64
#define PREFIX  (PADDING + 33 + 1)
#define MOST    (PREFIX + 64 + 8)

/* As RFC 8446 4.4.3 draws it. */
static size_t
make_input(uint8_t *input, const char *context, size_t hash_length)
{
	size_t length = strlen(context) + 1;

	memset(input, 0x20, PADDING);
	memcpy(input + PADDING, context, length);
	memset(input + PADDING + length, 0xa5, hash_length);
	return PADDING + length + hash_length;
}

static void
only_our_side_and_only_a_known_hash_length(void **state)
{
	static const struct {
		const char *context;
		size_t hash_length;
		int as_server, as_client;
	} rows[] = {
	    {"TLS 1.3, server CertificateVerify", 32, 0, -EPERM},
	    {"TLS 1.3, server CertificateVerify", 48, 0, -EPERM},
	    {"TLS 1.3, client CertificateVerify", 32, -EPERM, 0},
	    {"TLS 1.3, client CertificateVerify", 48, -EPERM, 0},
	    {"TLS 1.3, server CertificateVerify", 0, -EPERM, -EPERM},
	    {"TLS 1.3, server CertificateVerify", 20, -EPERM, -EPERM},
	    {"TLS 1.3, server CertificateVerify", 31, -EPERM, -EPERM},
	    {"TLS 1.3, server CertificateVerify", 33, -EPERM, -EPERM},
	    {"TLS 1.3, server CertificateVerify", 47, -EPERM, -EPERM},
	    {"TLS 1.3, server CertificateVerify", 49, -EPERM, -EPERM},
	    {"TLS 1.3, server CertificateVerify", 64, -EPERM, -EPERM},
	    {"TLS 1.2, server CertificateVerify", 32, -EPERM, -EPERM},
	    {"TLS 1.3, server certificateVerify", 32, -EPERM, -EPERM},
	    {"TLS 1.3, Server CertificateVerify", 32, -EPERM, -EPERM},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		uint8_t input[MOST];
		size_t length = make_input(input, rows[i].context, rows[i].hash_length);

		assert_int_equal(proof_check_sign_input(TLS_SERVER, input, length), rows[i].as_server);
		assert_int_equal(proof_check_sign_input(TLS_CLIENT, input, length), rows[i].as_client);
	}
}

static void
refuses_each_flipped_bit_before_the_hash(void **state)
{
	uint8_t input[MOST];
	size_t length = make_input(input, "TLS 1.3, server CertificateVerify", 32);

	(void)state;
	for (size_t bit = 0; bit < 8 * length; bit++) {
		int wanted = bit < (size_t)8 * PREFIX ? -EPERM : 0; /* a hash may be any */

		input[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(proof_check_sign_input(TLS_SERVER, input, length), wanted);
		input[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
refuses_what_is_shifted_or_cut(void **state)
{
	uint8_t input[MOST];
	size_t length = make_input(input, "TLS 1.3, server CertificateVerify", 48);

	(void)state;
	for (size_t i = 0; i < length; i++) {
		/* Cut to a SHA-256 hash it is as good as one: there is nothing to tell them apart. */
		assert_int_equal(proof_check_sign_input(TLS_SERVER, input, i), i == PREFIX + 32 ? 0 : -EPERM);
		if (i > 0)
			assert_int_equal(proof_check_sign_input(TLS_SERVER, input + i, length - i), -EPERM);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_our_side_and_only_a_known_hash_length),
	    cmocka_unit_test(refuses_each_flipped_bit_before_the_hash),
	    cmocka_unit_test(refuses_what_is_shifted_or_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
