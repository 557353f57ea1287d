/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshake transcripts as netbus-keys judges them (crypto/proof_transcript.c). Input: our side, and the rest as a list of u16 length and
 * bytes: our nonce (32), the peer's chain, our own leaf, the transcript. tests/fuzz/seeds/transcript/ holds handshakes of libssl, with and
 * without a HelloRetryRequest.
 *
 * Holds for what is accepted: its hash has 32 or 48 bytes and, without a HelloRetryRequest, is that of exactly these bytes; the nonce stands in
 * it, and it ends with a Certificate that holds the peer's leaf; when we are the server, our leaf stands before it. It is refused with another
 * nonce, with another leaf of ours, with another chain, with a byte less and with a byte more.
 */
#include <errno.h>

#include "base/bytes.h"
#include "crypto/proof_internal.h"
#include "tests/fuzz/fuzz.h"

struct input {
	struct transcript_expected expected;
	const uint8_t *transcript;
	size_t length;
};

static bool
has_bytes(const uint8_t *in, size_t length, const uint8_t *wanted, size_t wanted_length)
{
	return wanted_length == 0 || memmem(in, length, wanted, wanted_length) != NULL;
}

static int
judge(const struct input *input, size_t length)
{
	uint8_t hash[TRANSCRIPT_HASH_MAX], *copy = malloc(length ? length : 1);
	int code;

	REQUIRE(copy != NULL);
	memcpy(copy, input->transcript, length < input->length ? length : input->length);
	if (length > input->length)
		copy[length - 1] = 0;
	code = transcript_hash(&input->expected, copy, length, hash, NULL);
	free(copy);
	REQUIRE(code == -EACCES || code == 32 || code == 48);
	return code;
}

/* The same, with one byte of `bytes` changed. */
static void
is_refused_with(const struct input *input, const uint8_t **bytes, size_t length)
{
	const uint8_t *before = *bytes;

	for (size_t i = 0; i < length; i += 1 + length / 8) {
		uint8_t *changed = malloc(length);

		REQUIRE(changed != NULL);
		memcpy(changed, before, length);
		changed[i] ^= 0x20;
		*bytes = changed;
		REQUIRE(judge(input, input->length) == -EACCES);
		free(changed);
	}
	*bytes = before;
}

/* Certificates that were checked, but are not in the handshake. */
static void
is_refused_with_more_checked(struct input *input)
{
	struct transcript_expected *expected = &input->expected;
	const uint8_t *before = expected->peer_chain;
	uint8_t *more = calloc(1, expected->peer_chain_length + 3);

	REQUIRE(more != NULL);
	memcpy(more, before, expected->peer_chain_length);
	expected->peer_chain = more, expected->peer_chain_length += 3;
	REQUIRE(judge(input, input->length) == -EACCES);
	expected->peer_chain = before, expected->peer_chain_length -= 3;
	free(more);
}

static void
check_accepted(struct input *input)
{
	struct transcript_expected *expected = &input->expected;
	struct reader chain = reader_over(expected->peer_chain, expected->peer_chain_length);
	uint8_t hash[TRANSCRIPT_HASH_MAX], model[EVP_MAX_MD_SIZE];
	uint32_t leaf_length = read_u24(&chain);
	int length = transcript_hash(expected, input->transcript, input->length, hash, NULL);
	unsigned model_length;

	REQUIRE(EVP_Digest(input->transcript, input->length, model, &model_length,
		    length == 32 ? EVP_sha256() : EVP_sha384(), NULL) == 1);
	if (memmem(input->transcript, input->length, "\xcf\x21\xad\x74\xe5\x9a\x61\x11", 8) == NULL)
		REQUIRE(memcmp(hash, model, (size_t)length) == 0);
	REQUIRE(has_bytes(input->transcript, input->length, expected->nonce, TLS_NONCE_LEN));
	REQUIRE(has_bytes(input->transcript, input->length, chain.at, leaf_length));
	is_refused_with(input, &expected->nonce, TLS_NONCE_LEN);
	is_refused_with(input, &expected->peer_chain, expected->peer_chain_length);
	is_refused_with_more_checked(input);
	if (expected->our_side == TLS_SERVER) {
		REQUIRE(has_bytes(input->transcript, input->length, expected->our_leaf, expected->our_leaf_length));
		is_refused_with(input, &expected->our_leaf, expected->our_leaf_length);
	}
	REQUIRE(judge(input, input->length - 1) == -EACCES && judge(input, input->length + 1) == -EACCES);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	return 0;
}

static const uint8_t *
take(struct reader *reader, size_t *length)
{
	*length = read_u16(reader);
	return read_bytes(reader, *length);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct reader reader = reader_over(bytes, length);
	struct input input = {.expected.our_side = read_u8(&reader) & 1 ? TLS_CLIENT : TLS_SERVER};
	size_t nonce_length;

	input.expected.nonce = take(&reader, &nonce_length);
	input.expected.peer_chain = take(&reader, &input.expected.peer_chain_length);
	input.expected.our_leaf = take(&reader, &input.expected.our_leaf_length);
	input.transcript = take(&reader, &input.length);
	if (reader.bad || nonce_length != TLS_NONCE_LEN || input.length == 0)
		return 0;
	if (judge(&input, input.length) > 0)
		check_accepted(&input);
	return 0;
}
