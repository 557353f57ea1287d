/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-keys as a process, seen from all its channels: the test plays the monitor, the broker, and sessions and attachments that behave or do
 * not. Needs the built program ($NETBUS_BUILD/bin/netbus-keys).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/auto.h"
#include "base/fd.h"
#include "daemon/channel.h"
#include "tests/unit/made_certificate.h"
#include "tests/unit/made_handshake.h"

#define WAIT_MS      20000
#define PROGRAM_ROOM 4096
enum { FD_MONITOR = 3 };

static struct world {
	char program[PROGRAM_ROOM];
	struct made ca, m1, m2;

	pid_t pid;
	struct channel keys, broker; /* our ends, as the monitor and as the broker */
	uint32_t last_id;
	struct channel_message message;
	union channel_body body;
} world;

/* ---- the monitor's part ---- */

static void
tell(struct channel *channel, uint16_t number, int fd)
{
	assert_int_equal(channel_send(channel, number, &world.body, fd), 0);
	memset(&world.body, 0, sizeof world.body);
}

static const struct channel_message *
ask(struct channel *channel, uint16_t number, uint16_t answer)
{
	int code = channel_call(channel, number, &world.body, answer, &world.message, WAIT_MS);

	memset(&world.body, 0, sizeof world.body);
	if (code != 0)
		fail_msg("message %u: no answer: %s", number, strerror(-code));
	return &world.message;
}

static void
give_file(uint8_t kind, const char *text)
{
	AUTO_CLOSE int fd = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	world.body.key_file.kind = kind;
	tell(&world.keys, MSG_KEY_FILE, fd);
}

static const struct msg_keys_ready *
commit(const char *host)
{
	snprintf(world.body.keys_commit.host, sizeof world.body.keys_commit.host, "%s", host);
	return &ask(&world.keys, MSG_KEYS_COMMIT, MSG_KEYS_READY)->body.keys_ready;
}

static void
give_files_of(const struct made *made)
{
	char text[3][8192] = {{0}};

	add_pem(text[0], sizeof text[0], made->certificate, NULL);
	add_pem(text[1], sizeof text[1], NULL, made->key);
	add_pem(text[2], sizeof text[2], world.ca.certificate, NULL);
	give_file(KEY_FILE_CERTIFICATE, text[0]);
	give_file(KEY_FILE_KEY, text[1]);
	give_file(KEY_FILE_CA, text[2]);
}

/* Our end of a new channel of netbus-keys to a session or attachment. */
static struct channel
new_peer(enum peer_kind kind, const char *expect_host)
{
	int ends[2];

	assert_int_equal(packet_pair(ends), 0);
	world.body.keys_peer.id = ++world.last_id;
	world.body.keys_peer.kind = (uint8_t)kind;
	snprintf(world.body.keys_peer.expect_host, sizeof world.body.keys_peer.expect_host, "%s", expect_host);
	tell(&world.keys, MSG_KEYS_PEER, ends[0]);
	close(ends[0]);
	return (struct channel){.fd = ends[1],
	    .self = kind == PEER_SESSION ? ROLE_SESSION : ROLE_ATTACH,
	    .peer = ROLE_KEYS,
	    .state = CH_NEW,
	    .id = world.last_id};
}

static int
start(void **state)
{
	int ends[2], broker[2];

	(void)state;
	if (access(world.program, X_OK) != 0) {
		printf("skip - %s is not there: NETBUS_BUILD must name a build with its programs\n", world.program);
		return 0;
	}
	assert_int_equal(packet_pair(ends), 0);
	world.pid = fork();
	assert_true(world.pid >= 0);
	if (world.pid == 0) {
		if (dup2(ends[1], FD_MONITOR) == FD_MONITOR && fcntl(FD_MONITOR, F_SETFD, 0) == 0)
			execl(world.program, world.program, "--id", "1", NULL);
		_exit(127);
	}
	close(ends[1]);
	world.keys = (struct channel){.fd = ends[0], .self = ROLE_MONITOR, .peer = ROLE_KEYS, .state = CH_NEW};
	give_files_of(&world.m2);
	assert_int_equal(commit("m2")->ok, 1);
	assert_int_equal(packet_pair(broker), 0);
	tell(&world.keys, MSG_KEYS_BROKER, broker[0]);
	close(broker[0]);
	world.broker = (struct channel){.fd = broker[1], .self = ROLE_BROKER, .peer = ROLE_KEYS, .state = CH_NEW};
	return 0;
}

static int
stop(void **state)
{
	int status = 0;

	(void)state;
	if (world.pid == 0)
		return 0;
	close(world.broker.fd);
	close(world.keys.fd); /* which ends it */
	assert_int_equal(waitpid(world.pid, &status, 0), world.pid);
	world.pid = 0;
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	return 0;
}

static void
needs_the_program(void)
{
	if (world.pid == 0)
		skip();
}

/* ---- a session's or attachment's part ---- */

static void
hear(const struct channel *channel)
{
	struct pollfd ready = {.fd = channel->fd, .events = POLLIN};

	assert_int_equal(poll(&ready, 1, WAIT_MS), 1);
}

static void
is_cut_off(struct channel *peer)
{
	int got;

	do
		hear(peer);
	while ((got = channel_recv(peer, &world.message)) > 0);
	assert_int_equal(got, 0);
	close(peer->fd);
}

static void
fill_sign(enum tls_side side)
{
	struct msg_sign *sign = &world.body.sign;
	const char *context =
	    side == TLS_SERVER ? "TLS 1.3, server CertificateVerify" : "TLS 1.3, client CertificateVerify";

	memset(sign->input.bytes, ' ', 64);
	memcpy(sign->input.bytes + 64, context, 34);
	memset(sign->input.bytes + 98, 7, 32);
	sign->input.length = 130;
}

static void
fill_chain(const struct made *made)
{
	world.body.check_chain.chain.length =
	    (uint16_t)add_to_chain(world.body.check_chain.chain.bytes, 0, made->certificate);
}

static void
fill_prove(const struct half *half)
{
	struct msg_prove *prove = &world.body.prove;

	prove->scheme = half->scheme;
	memcpy(prove->signature.bytes, half->signature, half->signature_length);
	prove->signature.length = (uint16_t)half->signature_length;
	assert_true(half->length <= sizeof prove->transcript.bytes);
	memcpy(prove->transcript.bytes, half->transcript, half->length);
	prove->transcript.length = (uint16_t)half->length;
}

/* A handshake of m2, on the side of `peer`, with m1; all the questions in that side's order. */
static const struct msg_proof *
prove(struct channel *peer, bool falsify)
{
	enum tls_side side = peer->self == ROLE_SESSION ? TLS_SERVER : TLS_CLIENT;
	struct handshake shaken = {0};
	const struct msg_identity *identity = &ask(peer, MSG_IDENTITY_ASK, MSG_IDENTITY)->body.identity;

	assert_string_equal(identity->trust_domain, "test.example");
	shaken.side[side].made = &world.m2;
	shaken.side[!side].made = &world.m1;
	memcpy(shaken.side[side].nonce, identity->nonce, TLS_NONCE_LEN);
	shaken.side[side].nonce[0] ^= falsify;
	handshake_run(&shaken);
	if (side == TLS_CLIENT) {
		fill_chain(&world.m1);
		assert_int_equal(ask(peer, MSG_CHECK_CHAIN, MSG_CHAIN_CHECKED)->body.chain_checked.verify_error, 0);
	}
	fill_sign(side);
	assert_int_equal(ask(peer, MSG_SIGN, MSG_SIGNED)->body.signature.signature.length, 64);
	if (side == TLS_SERVER) {
		fill_chain(&world.m1);
		assert_int_equal(ask(peer, MSG_CHECK_CHAIN, MSG_CHAIN_CHECKED)->body.chain_checked.verify_error, 0);
		assert_string_equal(world.message.body.chain_checked.host, "m1");
	}
	fill_prove(&shaken.side[side]);
	return &ask(peer, MSG_PROVE, MSG_PROOF)->body.proof;
}

/* The broker's word is there already when the process has its own. */
static void
broker_knows(uint32_t id)
{
	assert_int_equal(channel_recv(&world.broker, &world.message), 1);
	assert_int_equal(world.message.number, MSG_PROVED);
	assert_int_equal(world.message.body.proved.id, id);
	assert_string_equal(world.message.body.proved.host, "m1");
	assert_int_equal(strlen(world.message.body.proved.fingerprint), 64);
}

/* ---- the tests ---- */

static void
tells_the_broker_first(void **state)
{
	static const enum peer_kind kinds[] = {PEER_SESSION, PEER_ATTACH};

	(void)state;
	needs_the_program();
	for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
		struct channel peer = new_peer(kinds[i], kinds[i] == PEER_ATTACH ? "m1" : "");
		const struct msg_proof *proof = prove(&peer, false);

		assert_int_equal(proof->ok, 1);
		assert_string_equal(proof->host, "m1");
		broker_knows(peer.id);
		close(peer.fd);
	}
}

static void
tells_the_broker_nothing_when_the_proof_fails(void **state)
{
	struct channel peer;

	(void)state;
	needs_the_program();
	peer = new_peer(PEER_SESSION, "");
	assert_int_equal(prove(&peer, true)->ok, 0);
	assert_non_null(strstr(world.message.body.proof.text, "nonce"));
	assert_int_equal(channel_recv(&world.broker, &world.message), -EAGAIN);
	/* And the next handshake may be a good one. */
	assert_int_equal(prove(&peer, false)->ok, 1);
	broker_knows(peer.id);
	close(peer.fd);
}

static void
an_attachment_may_shake_hands_again_a_session_may_not(void **state)
{
	struct channel peer;

	(void)state;
	needs_the_program();
	peer = new_peer(PEER_ATTACH, "m1");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(prove(&peer, false)->ok, 1);
		broker_knows(peer.id);
	}
	close(peer.fd);
	peer = new_peer(PEER_SESSION, "");
	assert_int_equal(prove(&peer, false)->ok, 1);
	broker_knows(peer.id);
	tell(&peer, MSG_IDENTITY_ASK, -1);
	is_cut_off(&peer);
}

static void
refuses_another_host_than_expected(void **state)
{
	struct channel peer;

	(void)state;
	needs_the_program();
	peer = new_peer(PEER_ATTACH, "m9");
	ask(&peer, MSG_IDENTITY_ASK, MSG_IDENTITY);
	fill_chain(&world.m1);
	ask(&peer, MSG_CHECK_CHAIN, MSG_CHAIN_CHECKED);
	assert_int_equal(world.message.body.chain_checked.verify_error, X509_V_ERR_HOSTNAME_MISMATCH);
	assert_non_null(strstr(world.message.body.chain_checked.text, "m9"));
	close(peer.fd);
}

/* What ends a process: the questions before it, and the one too much. */
static void
cuts_off_who_asks_for_too_much(void **state)
{
	static const struct {
		const char *name;
		uint16_t asked[4], last;
		enum tls_side side; /* of what it wants signed last */
	} rows[] = {
	    {"sign before identity", {0}, MSG_SIGN, TLS_SERVER},
	    {"check before identity", {0}, MSG_CHECK_CHAIN, TLS_SERVER},
	    {"prove before identity", {0}, MSG_PROVE, TLS_SERVER},
	    {"sign twice", {MSG_IDENTITY_ASK, MSG_SIGN}, MSG_SIGN, TLS_SERVER},
	    {"sign twice, chain between", {MSG_IDENTITY_ASK, MSG_SIGN, MSG_CHECK_CHAIN}, MSG_SIGN, TLS_SERVER},
	    {"check twice", {MSG_IDENTITY_ASK, MSG_CHECK_CHAIN}, MSG_CHECK_CHAIN, TLS_SERVER},
	    {"prove before sign", {MSG_IDENTITY_ASK, MSG_CHECK_CHAIN}, MSG_PROVE, TLS_SERVER},
	    {"prove before check", {MSG_IDENTITY_ASK, MSG_SIGN}, MSG_PROVE, TLS_SERVER},
	    {"sign as a client", {MSG_IDENTITY_ASK}, MSG_SIGN, TLS_CLIENT},
	    {"the broker's message", {MSG_IDENTITY_ASK}, MSG_SEAL, TLS_SERVER},
	    {"an answer", {MSG_IDENTITY_ASK}, MSG_SIGNED, TLS_SERVER},
	};

	(void)state;
	needs_the_program();
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct channel peer = new_peer(PEER_SESSION, ""), bystander = new_peer(PEER_SESSION, "");

		for (size_t k = 0; k < ARRAY_LENGTH(rows[i].asked) && rows[i].asked[k]; k++) {
			uint16_t number = rows[i].asked[k];

			if (number == MSG_SIGN)
				fill_sign(TLS_SERVER);
			else if (number == MSG_CHECK_CHAIN)
				fill_chain(&world.m1);
			ask(&peer, number, (uint16_t)(number + 1));
		}
		if (rows[i].last == MSG_SIGN)
			fill_sign(rows[i].side);
		else if (rows[i].last == MSG_CHECK_CHAIN)
			fill_chain(&world.m1);
		else if (rows[i].last == MSG_PROVE)
			world.body.prove =
			    (struct msg_prove){.scheme = 1, .signature.length = 1, .transcript.length = 1};
		else if (rows[i].last == MSG_SEAL)
			world.body.seal.note.length = 1;
		tell(&peer, rows[i].last, -1);
		is_cut_off(&peer);
		ask(&bystander, MSG_IDENTITY_ASK, MSG_IDENTITY);
		close(bystander.fd);
	}
}

static void
cuts_off_who_sends_rubbish(void **state)
{
	static const char *const packets[] = {
	    "x", "\x00\x5a", "\x00\x5a\x01\x02", "\xff\xff....", "\x00\x5e\x20\x01...."};

	(void)state;
	needs_the_program();
	for (size_t i = 0; i < ARRAY_LENGTH(packets); i++) {
		struct channel peer = new_peer(PEER_ATTACH, "m1");

		assert_int_equal(packet_send(peer.fd, packets[i], i == 1 ? 2 : strlen(packets[i] + 1) + 1, -1), 0);
		is_cut_off(&peer);
	}
}

static void
a_bad_reload_keeps_the_old_keys(void **state)
{
	const struct msg_keys_ready *ready;
	struct channel peer;

	(void)state;
	needs_the_program();
	give_files_of(&world.m2);
	give_file(KEY_FILE_KEY, "nonsense");
	ready = commit("m2");
	assert_int_equal(ready->ok, 0);
	assert_non_null(strstr(ready->text, "host.key"));
	assert_string_equal(ready->host, "m2"); /* who we still are */
	assert_int_equal(commit("m2")->ok, 0);  /* nothing came since */
	give_files_of(&world.m1);
	ready = commit("m2");
	assert_int_equal(ready->ok, 0);
	assert_non_null(strstr(ready->text, "host.pem is for host 'm1'"));
	peer = new_peer(PEER_SESSION, "");
	assert_int_equal(prove(&peer, false)->ok, 1);
	broker_knows(peer.id);
	close(peer.fd);
}

static void
a_handshake_under_way_survives_a_reload(void **state)
{
	struct channel peer;

	(void)state;
	needs_the_program();
	peer = new_peer(PEER_SESSION, "");
	ask(&peer, MSG_IDENTITY_ASK, MSG_IDENTITY);
	give_files_of(&world.m2);
	assert_int_equal(commit("m2")->ok, 1);
	fill_sign(TLS_SERVER);
	assert_int_equal(ask(&peer, MSG_SIGN, MSG_SIGNED)->body.signature.signature.length, 64);
	fill_chain(&world.m1);
	assert_int_equal(ask(&peer, MSG_CHECK_CHAIN, MSG_CHAIN_CHECKED)->body.chain_checked.verify_error, 0);
	close(peer.fd);
}

static void
seals_nothing_without_a_seal_key(void **state)
{
	(void)state;
	needs_the_program();
	memcpy(world.body.seal.note.bytes, "x", 1);
	world.body.seal.note.length = 1;
	assert_int_equal(ask(&world.broker, MSG_SEAL, MSG_SEALED)->body.sealed.note.length, 0);
}

static void
find_program(void)
{
	const char *build = getenv("NETBUS_BUILD");

	snprintf(world.program, sizeof world.program, "%s/bin/netbus-keys", build ? build : "build");
}

static int
set_up(void **state)
{
	(void)state;
	find_program();
	world.ca = make_certificate(good_ca, NULL);
	world.m1 = make_certificate(good_host, &world.ca);
	world.m2 =
	    make_certificate(but(good_host, (struct recipe){.san = "URI:spiffe://test.example/host/m2"}), &world.ca);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	made_clear(&world.m2);
	made_clear(&world.m1);
	made_clear(&world.ca);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(tells_the_broker_first, start, stop),
	    cmocka_unit_test_setup_teardown(tells_the_broker_nothing_when_the_proof_fails, start, stop),
	    cmocka_unit_test_setup_teardown(an_attachment_may_shake_hands_again_a_session_may_not, start, stop),
	    cmocka_unit_test_setup_teardown(refuses_another_host_than_expected, start, stop),
	    cmocka_unit_test_setup_teardown(cuts_off_who_asks_for_too_much, start, stop),
	    cmocka_unit_test_setup_teardown(cuts_off_who_sends_rubbish, start, stop),
	    cmocka_unit_test_setup_teardown(a_bad_reload_keeps_the_old_keys, start, stop),
	    cmocka_unit_test_setup_teardown(a_handshake_under_way_survives_a_reload, start, stop),
	    cmocka_unit_test_setup_teardown(seals_nothing_without_a_seal_key, start, stop),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
