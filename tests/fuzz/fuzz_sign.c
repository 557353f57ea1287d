/* SPDX-License-Identifier: Apache-2.0
 *
 * What netbus-keys signs (proof_check_sign_input() of crypto/proof.h)..
 *
 * Holds: accepted is exactly 64 spaces, the context string of our side, a zero byte and as many bytes as SHA-256 or SHA-384 have; nothing
 * else, and never for the other side too. The model is written out here and shares nothing with the product.
 */
#include <errno.h>

#include "crypto/proof.h"
#include "tests/fuzz/fuzz.h"

static const char *const contexts[] = {
    [TLS_SERVER] = "TLS 1.3, server CertificateVerify", [TLS_CLIENT] = "TLS 1.3, client CertificateVerify"};

static bool
is_good(enum tls_side side, const uint8_t *input, size_t length)
{
	size_t context = strlen(contexts[side]);

	if (length != 64 + context + 1 + 32 && length != 64 + context + 1 + 48)
		return false;
	for (int i = 0; i < 64; i++)
		if (input[i] != ' ')
			return false;
	return memcmp(input + 64, contexts[side], context) == 0 && input[64 + context] == 0;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	for (int side = 0; side < 2; side++) {
		uint8_t seed[64 + 34 + 48] = {0};

		memset(seed, ' ', 64);
		memcpy(seed + 64, contexts[side], 33);
		seed_write(side == TLS_SERVER ? "server-384" : "client-384", seed, sizeof seed);
		seed_write(side == TLS_SERVER ? "server-256" : "client-256", seed, sizeof seed - 16);
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	for (int side = 0; side < 2; side++)
		REQUIRE(proof_check_sign_input(side, bytes, length) == (is_good(side, bytes, length) ? 0 : -EPERM));
	return 0;
}
