/* SPDX-License-Identifier: Apache-2.0
 *
 * Join tokens as text: what is printed is read, and whatever was mistyped, cut or edited is not. Messages of enrol/1 at their limits.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "crypto/join_token.h"
#include "wire/enrol.h"

static void
make(struct join_token *token, const char *host, char text[static JOIN_TOKEN_TEXT_MAX])
{
	uint8_t key[JOIN_TOKEN_KEY_LEN];

	*token = (struct join_token){.expires_s = 1796000000};
	assert_int_equal(join_token_draw(token, key), 0);
	memset(token->ca, 0xc5, sizeof token->ca);
	assert_int_equal(name_parse(host, "host", &token->host, NULL), 0);
	join_token_print(token, text);
}

static void
what_is_printed_is_read(void **state)
{
	static const char *const hosts[] = {
	    "m", "m1", "rack-7.node_12", "a23456789012345678901234567890123456789012345678901234567890123"};

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct join_token token, again = {0};
		char text[JOIN_TOKEN_TEXT_MAX];

		make(&token, hosts[i], text);
		assert_true(strlen(text) < JOIN_TOKEN_TEXT_MAX);
		assert_int_equal(join_token_parse(text, &again, NULL), 0);
		assert_memory_equal(&again, &token, sizeof token);
	}
}

static void
every_letter_counts(void **state)
{
	struct join_token token, again;
	char text[JOIN_TOKEN_TEXT_MAX], edited[JOIN_TOKEN_TEXT_MAX];

	(void)state;
	make(&token, "m1", text);
	for (size_t i = 0; text[i]; i++) {
		memcpy(edited, text, sizeof edited);
		edited[i] = edited[i] == 'A' ? 'B' : 'A';
		assert_int_equal(join_token_parse(edited, &again, NULL), -EINVAL);
	}
	for (size_t i = 0; i < strlen(text); i++) {
		memcpy(edited, text, sizeof edited);
		edited[i] = '\0';
		assert_int_equal(join_token_parse(edited, &again, NULL), -EINVAL);
	}
	memcpy(edited, text, sizeof edited);
	strncat(edited, "A", sizeof edited - strlen(edited) - 1);
	assert_int_equal(join_token_parse(edited, &again, NULL), -EINVAL);
}

static void
an_error_never_quotes_the_token(void **state)
{
	struct join_token token, again;
	char text[JOIN_TOKEN_TEXT_MAX];
	struct error error = {0};

	(void)state;
	make(&token, "m1", text);
	text[40] = text[40] == 'A' ? 'B' : 'A';
	assert_int_equal(join_token_parse(text, &again, &error), -EINVAL);
	assert_null(strstr(error.text, text + 60));
	assert_int_equal(join_token_parse(text + 1, &again, &error), -EINVAL);
	assert_null(strstr(error.text, text + 60));
}

/* ---- messages ---- */

static void
lengths_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(enrol_check_length(0), -EBADMSG);
	assert_int_equal(enrol_check_length(1), -EBADMSG);
	assert_int_equal(enrol_check_length(2), 0);
	assert_int_equal(enrol_check_length(LIMIT_ENROL_MESSAGE), 0);
	assert_int_equal(enrol_check_length(LIMIT_ENROL_MESSAGE + 1), -EBADMSG);
	/* The longest of them fits. */
	assert_true(message_room(enrol_type(MSG_ENROL_ANSWER)) + MESSAGE_NUMBER_LEN <= LIMIT_ENROL_MESSAGE);
	assert_true(message_room(enrol_type(MSG_ENROL_REQUEST)) + MESSAGE_NUMBER_LEN <= LIMIT_ENROL_MESSAGE);
	assert_true(
	    message_room(enrol_type(MSG_ENROL_STATEMENT)) <= sizeof((struct msg_enrol_request *)NULL)->statement.bytes);
}

static void
a_key_has_its_types_length(void **state)
{
	struct msg_enrol_statement statement = {.kind = ENROL_JOIN,
				       .host = "m1",
				       .key_type = ENROL_ED25519,
				       .authority_type = ENROL_ED25519,
				       .key.length = 32,
				       .authority.length = 32},
				   read;
	uint8_t bytes[512];
	int length;

	(void)state;
	for (int i = 0; i < 4; i++) {
		statement.key_type = i == 1 ? ENROL_P256 : ENROL_ED25519;
		statement.authority.length = i == 2 ? 33 : 32;
		statement.authority_type = i == 3 ? ENROL_P256 : ENROL_ED25519;
		length = enrol_encode_statement(&statement, bytes, sizeof bytes);
		assert_true(length > 0);
		assert_int_equal(enrol_decode_statement(bytes, (size_t)length, &read), i == 0 ? 0 : -EBADMSG);
		assert_int_equal(enrol_decode_statement(bytes, (size_t)length - 1, &read), -EBADMSG);
	}
}

static void
a_message_is_only_what_it_says(void **state)
{
	struct msg_enrol_hello hello = {.version = 1}, read;
	uint8_t bytes[64];
	int length = enrol_encode(MSG_ENROL_HELLO, &hello, bytes, sizeof bytes);

	(void)state;
	assert_int_equal(length, 2 + 2 + 2 + 32);
	assert_int_equal(get_be16(bytes), length - 2);
	assert_int_equal(enrol_decode(bytes + 2, (size_t)length - 2, MSG_ENROL_HELLO, &read), 0);
	assert_int_equal(enrol_decode(bytes + 2, (size_t)length - 3, MSG_ENROL_HELLO, &read), -EBADMSG);
	assert_int_equal(enrol_decode(bytes + 2, (size_t)length - 1, MSG_ENROL_HELLO, &read), -EBADMSG);
	assert_int_equal(enrol_decode(bytes + 2, (size_t)length - 2, MSG_ENROL_CHALLENGE, &read), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_printed_is_read),
	    cmocka_unit_test(every_letter_counts),
	    cmocka_unit_test(an_error_never_quotes_the_token),
	    cmocka_unit_test(lengths_are_bounded),
	    cmocka_unit_test(a_key_has_its_types_length),
	    cmocka_unit_test(a_message_is_only_what_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
