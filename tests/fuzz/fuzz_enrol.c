/* SPDX-License-Identifier: Apache-2.0
 *
 * What a stranger says to an enroller: the framing (enrol_decode() of wire/enrol.h), then the request as netbus-keys judges it (keystore_enrol() of
 * crypto/enrol.h), and the text of a join token.
 *
 * The first byte chooses. 0: a message from the stream. 1: a join token's text. Else a genuine request (an even number: a join, an odd one: a renewal) with some
 * bytes changed: u16 place, u8 difference, and so on. Keys are new in each run, so that only the changes are in the input.
 *
 * Holds: nothing is certified that is not, byte for byte, what both keys signed for.
 */
#include <errno.h>
#include <sodium.h>

#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/enrol_world.h"

static struct keystore *enroller;
static struct talk genuine[2];

static void
make_genuine(void)
{
	struct made_ca ca;
	struct join_token token;
	struct newcomer_gain gain;

	made_ca_new(&ca);
	enroller = enroller_new(&ca);
	token_new(enroller, "m1", &token);
	talk_ask(&genuine[0], joiner_new(PKI_P256, &token));
	REQUIRE(talk_issue(&genuine[0], enroller, NULL) == 0);
	REQUIRE(newcomer_judge(genuine[0].newcomer, &genuine[0].answer, clock_wall_us(), NULL) == 0);
	newcomer_gain(genuine[0].newcomer, &gain);
	talk_ask(&genuine[1], renewer_new(PKI_ED25519, "m1", &gain.files));
	REQUIRE(talk_issue(&genuine[1], enroller, NULL) == 0);
	made_ca_free(&ca);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const uint8_t changes[] = {2, 0, 4, 1, 1, 0, 2, 8};
	static const char token[] = "\1netbus-join-1.Am0xGLOxjbnSyK-1ndKonEaCWwAAAABrCgG7NcaR0WLUF0FtJhoZoExR";
	struct msg_enrol_hello hello = {.version = 1};
	uint8_t bytes[64] = {0};
	int length;

	(void)argc, (void)argv;
	REQUIRE(sodium_init() >= 0); /* not keystore_prepare(): what lies in its own heap looks like a leak */
	make_genuine();
	length = enrol_encode(MSG_ENROL_HELLO, &hello, bytes + 1, sizeof bytes - 1);
	memmove(bytes + 1, bytes + 1 + ENROL_LENGTH_LEN, (size_t)length - ENROL_LENGTH_LEN);
	seed_write("hello", bytes, 1 + (size_t)length - ENROL_LENGTH_LEN);
	seed_write("token", token, sizeof token - 1);
	seed_write("join", changes, sizeof changes);
	seed_write("same", changes, 1);
	return 0;
}

static void
try_message(const uint8_t *bytes, size_t length)
{
	static struct msg_enrol_request request; /* as large as any */
	struct msg_enrol_statement statement;

	for (uint16_t number = 1; number <= MSG_ENROL_REQUEST; number++) {
		const struct message_type *type = enrol_type(number);

		if (type->size > sizeof request || enrol_decode(bytes, length, number, &request) < 0)
			continue;
		REQUIRE(length >= 2 && get_be16(bytes) == number);
	}
	if (enrol_decode_statement(bytes, length, &statement) == 0)
		REQUIRE(statement.key.length == (statement.key_type == ENROL_P256 ? 65 : 32));
}

static void
try_token(const uint8_t *bytes, size_t length)
{
	char *text = text_of(bytes, length), again[JOIN_TOKEN_TEXT_MAX];
	struct join_token token;

	if (join_token_parse(text, &token, NULL) == 0) {
		join_token_print(&token, again);
		REQUIRE(strcmp(text, again) == 0);
	}
	free(text);
}

/* One of the request's parts, and the place in it, by a place in all of them. */
static uint8_t *
place_in(struct msg_enrol_request *request, size_t place)
{
	if (place < request->statement.length)
		return &request->statement.bytes[place];
	place -= request->statement.length;
	if (place < request->possession.length)
		return &request->possession.bytes[place];
	place -= request->possession.length;
	if (place < request->proof.length)
		return &request->proof.bytes[place];
	place -= request->proof.length;
	return request->chain.length ? &request->chain.bytes[place % request->chain.length]
				     : &request->statement.bytes[0];
}

static void
try_request(const struct talk *from, const uint8_t *changes, size_t length)
{
	static struct talk talk;
	struct reader reader = reader_over(changes, length);
	struct enrol_issued issued;
	struct enrol_case ask;

	talk = *from;
	while (reader.end - reader.at >= 3) {
		uint16_t place = read_u16(&reader);

		*place_in(&talk.request, place) ^= read_u8(&reader);
	}
	ask = case_of(&talk);
	if (keystore_enrol(enroller, &ask, &issued, NULL) < 0) /* what is as it was must pass, or nothing is tested */
		REQUIRE(memcmp(&talk.request, &from->request, sizeof talk.request) != 0);
	else /* an ECDSA signature has a second form; the statement has not, and of the chain the signatures have not either */
		REQUIRE(memcmp(&talk.request.statement, &from->request.statement, sizeof talk.request.statement) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	if (length == 0)
		return 0;
	if (bytes[0] == 0)
		try_message(bytes + 1, length - 1);
	else if (bytes[0] == 1)
		try_token(bytes + 1, length - 1);
	else
		try_request(&genuine[bytes[0] & 1], bytes + 1, length - 1);
	return 0;
}
