/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon/custody.c: what is asked of netbus-keys, and what becomes of each answer. The answer waits in the channel before the question
 * is put, so that one thread is enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/fd.h"

/* The programs link it as an object of their own; a test of it brings it along. */
#include "daemon/custody.c"

struct scene {
	int ends[2];
	struct custody custody;
	struct channel keys; /* netbus-keys' end */
	struct channel_message question;
};

static void
scene_open(struct scene *scene)
{
	assert_int_equal(packet_pair(scene->ends), 0);
	assert_int_equal(custody_open(&scene->custody, scene->ends[0], ROLE_ATTACH), 0);
	scene->keys = (struct channel){.fd = scene->ends[1], .self = ROLE_KEYS, .peer = ROLE_ATTACH, .state = CH_NEW};
}

static void
scene_close(struct scene *scene)
{
	custody_close(&scene->custody);
	close(scene->ends[0]);
	if (scene->ends[1] >= 0)
		close(scene->ends[1]);
}

static void
answer(struct scene *scene, uint16_t number, const void *message)
{
	assert_int_equal(channel_send(&scene->keys, number, message, -1), 0);
}

static const struct msg_identity an_identity = {
    .nonce = {1, 2, 3}, .trust_domain = "test.example", .chain = {.length = 4, .bytes = {0, 0, 1, 0x30}}};

static int
ask_identity(struct scene *scene, uint8_t nonce[static TLS_NONCE_LEN])
{
	const uint8_t *chain;
	size_t length;
	int code = scene->custody.identity(scene->custody.context, nonce, &chain, &length);

	if (code == 0) {
		assert_int_equal(length, 4);
		assert_memory_equal(chain, an_identity.chain.bytes, 4);
	}
	return code;
}

static void
asks_for_one_identity_at_a_time(void **state)
{
	struct scene scene;
	uint8_t nonce[TLS_NONCE_LEN];

	(void)state;
	scene_open(&scene);
	answer(&scene, MSG_IDENTITY, &an_identity);
	assert_int_equal(ask_identity(&scene, nonce), 0);
	assert_memory_equal(nonce, an_identity.nonce, TLS_NONCE_LEN);
	assert_int_equal(channel_recv(&scene.keys, &scene.question), 1);
	assert_int_equal(scene.question.number, MSG_IDENTITY_ASK);
	assert_int_equal(ask_identity(&scene, nonce), -EBUSY);
	assert_int_equal(channel_recv(&scene.keys, &scene.question), -EAGAIN); /* nothing was asked */
	scene.custody.end(scene.custody.context);
	answer(&scene, MSG_IDENTITY, &an_identity);
	assert_int_equal(ask_identity(&scene, nonce), 0);
	scene_close(&scene);
}

static int
ask_sign(struct scene *scene, size_t room, size_t *used)
{
	uint8_t signature[256];

	return scene->custody.sign(scene->custody.context, (const uint8_t *)"input", 5, signature, room, used);
}

static void
hands_over_a_signature_that_fits(void **state)
{
	static const struct {
		uint16_t length;
		size_t room;
		int code;
	} cases[] = {{64, 72, 0}, {72, 72, 0}, {73, 72, -EPERM}, {0, 72, -EPERM} /* it refused */};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct msg_signature made = {.signature.length = cases[i].length};
		struct scene scene;
		size_t used = 0;

		scene_open(&scene);
		scene.keys.state = CH_TOLD;
		answer(&scene, MSG_SIGNED, &made);
		assert_int_equal(ask_sign(&scene, cases[i].room, &used), cases[i].code);
		assert_int_equal(used, cases[i].code == 0 ? cases[i].length : 0);
		assert_int_equal(channel_recv(&scene.keys, &scene.question), 1);
		assert_int_equal(scene.question.number, MSG_SIGN);
		assert_int_equal(scene.question.body.sign.input.length, 5);
		assert_memory_equal(scene.question.body.sign.input.bytes, "input", 5);
		scene_close(&scene);
	}
}

static void
says_what_netbus_keys_says_of_a_chain(void **state)
{
	static const struct msg_chain_checked verdicts[] = {{.verify_error = X509_V_OK, .host = "m1"},
	    {.verify_error = X509_V_ERR_CERT_HAS_EXPIRED, .text = "it has expired"}};

	(void)state;
	for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++) {
		struct scene scene;
		struct error text = {0};
		int verify_error = -1;

		scene_open(&scene);
		scene.keys.state = CH_TOLD;
		answer(&scene, MSG_CHAIN_CHECKED, &verdicts[i]);
		assert_int_equal(
		    scene.custody.check_chain(scene.custody.context, (const uint8_t *)"chain", 5, &verify_error, &text),
		    0);
		assert_int_equal(verify_error, verdicts[i].verify_error);
		assert_string_equal(text.text, verdicts[i].text);
		assert_int_equal(channel_recv(&scene.keys, &scene.question), 1);
		assert_memory_equal(scene.question.body.check_chain.chain.bytes, "chain", 5);
		scene_close(&scene);
	}
}

static void
believes_a_proof_and_nothing_else(void **state)
{
	static const struct msg_proof proofs[] = {
	    {.ok = 1, .host = "m1"}, {.ok = 0, .host = "m1", .text = "the nonce is not in it"}};

	(void)state;
	for (size_t i = 0; i < sizeof proofs / sizeof proofs[0]; i++) {
		struct scene scene;
		struct error error = {0};
		char host[NAME_LEN_MAX + 1] = "";

		scene_open(&scene);
		scene.keys.state = CH_BOTH;
		answer(&scene, MSG_PROOF, &proofs[i]);
		assert_int_equal(scene.custody.prove(scene.custody.context, 0x0807, (const uint8_t *)"s", 1,
				     (const uint8_t *)"trans", 5, host, &error),
		    proofs[i].ok ? 0 : -EACCES);
		assert_string_equal(host, proofs[i].ok ? "m1" : "");
		assert_string_equal(error.text, proofs[i].text);
		assert_int_equal(channel_recv(&scene.keys, &scene.question), 1);
		assert_int_equal(scene.question.body.prove.scheme, 0x0807);
		assert_memory_equal(scene.question.body.prove.transcript.bytes, "trans", 5);
		scene_close(&scene);
	}
}

static void
sends_nothing_that_is_too_long(void **state)
{
	static const uint8_t bytes[LIMIT_TRANSCRIPT + 1];
	struct scene scene;
	struct error error = {0};
	char host[NAME_LEN_MAX + 1];
	uint8_t signature[256];
	size_t used;
	int verify_error;

	(void)state;
	scene_open(&scene);
	scene.keys.state = CH_TOLD | CH_BOTH;
	assert_int_equal(
	    scene.custody.sign(scene.custody.context, bytes, 257, signature, sizeof signature, &used), -EMSGSIZE);
	assert_int_equal(
	    scene.custody.check_chain(scene.custody.context, bytes, LIMIT_CHAIN + 1, &verify_error, &error), -EMSGSIZE);
	assert_int_equal(
	    scene.custody.prove(scene.custody.context, 1, bytes, 1, bytes, LIMIT_TRANSCRIPT + 1, host, &error),
	    -EMSGSIZE);
	assert_int_equal(scene.custody.prove(scene.custody.context, 1, bytes, 257, bytes, 1, host, &error), -EMSGSIZE);
	assert_int_equal(channel_recv(&scene.keys, &scene.question), -EAGAIN);
	scene_close(&scene);
}

static void
asks_no_more_after_a_wrong_answer(void **state)
{
	struct msg_signature made = {.signature.length = 64};
	struct scene scene;
	uint8_t nonce[TLS_NONCE_LEN];
	size_t used;

	(void)state;
	scene_open(&scene);
	answer(&scene, MSG_SIGNED, &made); /* to another question */
	answer(&scene, MSG_SIGNED, &made);
	assert_int_equal(ask_identity(&scene, nonce), -EPROTO);
	assert_int_equal(ask_sign(&scene, 72, &used), -EPIPE);
	scene_close(&scene);
}

static void
fails_when_netbus_keys_is_gone(void **state)
{
	struct scene scene;
	uint8_t nonce[TLS_NONCE_LEN];

	(void)state;
	scene_open(&scene);
	close(scene.ends[1]);
	scene.ends[1] = -1;
	assert_int_equal(ask_identity(&scene, nonce), -EPIPE);
	scene_close(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(asks_for_one_identity_at_a_time),
	    cmocka_unit_test(hands_over_a_signature_that_fits),
	    cmocka_unit_test(says_what_netbus_keys_says_of_a_chain),
	    cmocka_unit_test(believes_a_proof_and_nothing_else),
	    cmocka_unit_test(sends_nothing_that_is_too_long),
	    cmocka_unit_test(asks_no_more_after_a_wrong_answer),
	    cmocka_unit_test(fails_when_netbus_keys_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
