/* SPDX-License-Identifier: Apache-2.0
 *
 * What somebody on the way, or in the enroller's place, says to a host that joins or renews: the answer as netbus-join judges it (newcomer_judge() of crypto/enrol.h).
 *
 * The first byte chooses. 0: the rest is a chain, 1: a bundle, both as they are, beside genuine parts. Else the genuine answer (even: to a join, odd: to a renewal)
 * with some bytes changed: u16 place, u8 difference, and so on. Keys are new in each run.
 *
 * Holds: no answer is believed in which a bit of chain, bundle or signature was changed.
 */
#include <sodium.h>

#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/enrol_world.h"

static struct talk genuine[2];

static void
make_genuine(void)
{
	struct made_ca ca, both;
	struct keystore *before, *during;
	struct join_token token;
	struct newcomer_gain gain;
	struct talk first;

	made_ca_new(&ca);
	made_ca_roll_over(&ca, &both);
	before = enroller_new(&ca);
	during = enroller_new(&both);
	token_new(before, "m1", &token);
	talk_ask(&first, joiner_new(PKI_ED25519, &token));
	REQUIRE(talk_issue(&first, before, NULL) == 0);
	REQUIRE(newcomer_judge(first.newcomer, &first.answer, clock_wall_us(), NULL) == 0);
	newcomer_gain(first.newcomer, &gain);
	/* Both in the midst of a roll-over, where there is most to be read. */
	talk_ask(&genuine[0], joiner_new(PKI_ED25519, &token));
	talk_ask(&genuine[1], renewer_new(PKI_ED25519, "m1", &gain.files));
	for (int i = 0; i < 2; i++)
		REQUIRE(talk_issue(&genuine[i], during, NULL) == 0);
	newcomer_free(first.newcomer);
	keystore_free(before);
	keystore_free(during);
	made_ca_free(&ca);
	made_ca_free(&both);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const uint8_t changes[] = {2, 0, 4, 1, 1, 0, 2, 8};
	uint8_t chain[1 + LIMIT_ENROL_CHAIN] = {0};

	(void)argc, (void)argv;
	REQUIRE(sodium_init() >= 0); /* not keystore_prepare(): what lies in its own heap looks like a leak */
	make_genuine();
	memcpy(chain + 1, genuine[0].answer.chain.bytes, genuine[0].answer.chain.length);
	seed_write("chain", chain, 1 + (size_t)genuine[0].answer.chain.length);
	chain[0] = 1;
	seed_write("bundle", chain, 1 + (size_t)genuine[0].answer.chain.length);
	seed_write("changed", changes, sizeof changes);
	seed_write("same", changes, 1);
	return 0;
}

static uint8_t *
place_in(struct msg_enrol_answer *answer, size_t place)
{
	if (place < answer->chain.length)
		return &answer->chain.bytes[place];
	place -= answer->chain.length;
	if (place < answer->bundle.length)
		return &answer->bundle.bytes[place];
	place -= answer->bundle.length;
	return &answer->signature.bytes[place % answer->signature.length];
}

static void
change(struct msg_enrol_answer *answer, const uint8_t *bytes, size_t length)
{
	struct reader reader = reader_over(bytes, length);

	while (reader.end - reader.at >= 3) {
		uint16_t place = read_u16(&reader);

		*place_in(answer, place) ^= read_u8(&reader);
	}
}

#define REPLACE(blob, from, size)                                                         \
	do {                                                                              \
		size_t used_ = (size) < sizeof(blob).bytes ? (size) : sizeof(blob).bytes; \
		memcpy((blob).bytes, (from), used_);                                      \
		(blob).length = (uint16_t)used_;                                          \
	} while (0)

static bool
is_same(const struct msg_enrol_answer *a, const struct msg_enrol_answer *b)
{
	return a->chain.length == b->chain.length && memcmp(a->chain.bytes, b->chain.bytes, a->chain.length) == 0 &&
	       a->bundle.length == b->bundle.length &&
	       memcmp(a->bundle.bytes, b->bundle.bytes, a->bundle.length) == 0 &&
	       memcmp(&a->signature, &b->signature, sizeof a->signature) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct msg_enrol_answer answer;
	struct talk *talk = &genuine[length ? bytes[0] & 1 : 0];
	int code;

	if (length == 0)
		return 0;
	answer = talk->answer;
	if (bytes[0] == 0)
		REPLACE(answer.chain, bytes + 1, length - 1);
	else if (bytes[0] == 1)
		REPLACE(answer.bundle, bytes + 1, length - 1);
	else
		change(&answer, bytes + 1, length - 1);
	code = newcomer_judge(talk->newcomer, &answer, clock_wall_us(), NULL);
	REQUIRE((code == 0) == is_same(&answer, &talk->answer));
	return 0;
}
