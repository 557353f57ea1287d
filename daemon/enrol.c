/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-enrol: serves one newcomer to the trust domain, or one host that renews. Started by the monitor for one connection to the address of `enrol:`.
 *
 * The peer is a stranger and hostile. This process reads his messages (wire/enrol.def) and hands them on; it holds nothing, knows no token, and cannot judge or
 * sign: netbus-broker decides, netbus-keys checks the signatures and certifies. What it could do when taken over is to refuse. The monitor and the broker are trusted.
 *
 * Descriptors: 3 monitor, 4 broker, 5 the accepted TCP socket.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/sandbox.h"
#include "daemon/channel.h"
#include "daemon/enrol_stream.h"

enum { FD_MONITOR = 3, FD_BROKER = 4, FD_PEER = 5 };
enum { EXIT_CLEAN = 0, EXIT_FAILED = 1, EXIT_UNSERVED = 3 };

static struct enrol {
	struct channel broker;
	struct enrol_stream peer;
	struct channel_message answer;
} enrol;

#define COPY_BLOB(to, from)                                                                            \
	do {                                                                                           \
		_Static_assert(sizeof(to).bytes == sizeof(from).bytes, "one limit for both messages"); \
		memcpy((to).bytes, (from).bytes, (from).length);                                       \
		(to).length = (from).length;                                                           \
	} while (0)

static int
failed(const char *what, int code)
{
	log_notice("not served: %s: %s", what, strerror(-code));
	return EXIT_UNSERVED;
}

/* ---- the broker ---- */

/* Its next message, into enrol.answer. */
static int
hear_broker(void)
{
	uint64_t now = clock_monotonic_ns();
	struct pollfd ready = {.fd = FD_BROKER, .events = POLLIN};
	int got = channel_recv(&enrol.broker, &enrol.answer);

	while (got == -EAGAIN && now < enrol.peer.deadline_ns) {
		if (poll(&ready, 1, (int)((enrol.peer.deadline_ns - now) / 1000000 + 1)) < 0 && errno != EINTR)
			return -errno;
		got = channel_recv(&enrol.broker, &enrol.answer);
		now = clock_monotonic_ns();
	}
	return got == 1 ? 0 : got == 0 ? -EPIPE : got == -EAGAIN ? -ETIMEDOUT : got;
}

/* ---- the conversation ---- */

static int
challenge(void)
{
	struct msg_enrol_hello hello;
	struct msg_enrol_begin begin = {0};
	struct msg_enrol_challenge told = {0};
	int code = enrol_stream_recv(&enrol.peer);

	if (code >= 0)
		code = enrol_stream_take(&enrol.peer, MSG_ENROL_HELLO, &hello);
	if (code < 0)
		return failed("the peer does not speak enrol/1", code);
	if (hello.version != ENROL_VERSION) {
		struct msg_enrol_refused refused = {.text = "this enroller speaks enrol/1 only"};

		enrol_stream_send(&enrol.peer, MSG_ENROL_REFUSED, &refused);
		return failed("the peer speaks another version", -EPROTO);
	}
	memcpy(begin.nonce, hello.nonce, sizeof begin.nonce);
	code = channel_send(&enrol.broker, MSG_ENROL_BEGIN, &begin, -1);
	if (code == 0)
		code = hear_broker();
	if (code < 0 || enrol.answer.number != MSG_ENROL_NONCE)
		return failed("netbus-broker does not answer", code < 0 ? code : -EPROTO);
	memcpy(told.nonce, enrol.answer.body.enrol_nonce.nonce, sizeof told.nonce);
	code = enrol_stream_send(&enrol.peer, MSG_ENROL_CHALLENGE, &told);
	return code < 0 ? failed("the peer left", code) : EXIT_CLEAN;
}

static int
pass_request_on(void)
{
	static struct msg_enrol_request request;
	static struct msg_enrol_ask ask;
	int code = enrol_stream_recv(&enrol.peer);

	if (code >= 0)
		code = enrol_stream_take(&enrol.peer, MSG_ENROL_REQUEST, &request);
	if (code < 0)
		return failed("the peer made no request", code);
	COPY_BLOB(ask.statement, request.statement);
	COPY_BLOB(ask.possession, request.possession);
	COPY_BLOB(ask.proof, request.proof);
	COPY_BLOB(ask.chain, request.chain);
	code = channel_send(&enrol.broker, MSG_ENROL_ASK, &ask, -1);
	if (code == 0)
		code = hear_broker();
	return code < 0 ? failed("netbus-broker does not answer", code) : EXIT_CLEAN;
}

static int
give(const struct msg_enrol_give *give)
{
	static struct msg_enrol_answer answer;
	int code;

	COPY_BLOB(answer.chain, give->chain);
	COPY_BLOB(answer.bundle, give->bundle);
	COPY_BLOB(answer.signature, give->signature);
	code = enrol_stream_send(&enrol.peer, MSG_ENROL_ANSWER, &answer);
	return code < 0 ? failed("the peer left before it had its certificate", code) : EXIT_CLEAN;
}

static int
deny(const struct msg_enrol_deny *deny)
{
	struct msg_enrol_refused refused = {.record = deny->record};

	_Static_assert(sizeof refused.text == sizeof deny->text, "one limit for both messages");
	memcpy(refused.text, deny->text, sizeof refused.text);
	enrol_stream_send(&enrol.peer, MSG_ENROL_REFUSED, &refused);
	return EXIT_UNSERVED;
}

static int
serve(void)
{
	int code = challenge();

	if (code == EXIT_CLEAN)
		code = pass_request_on();
	if (code != EXIT_CLEAN)
		return code;
	switch (enrol.answer.number) {
	case MSG_ENROL_GIVE:
		return give(&enrol.answer.body.enrol_give);
	case MSG_ENROL_DENY:
		return deny(&enrol.answer.body.enrol_deny);
	default:
		return failed("netbus-broker said something else", -EPROTO);
	}
}

int
main(int argc, char **argv)
{
	struct error error = {0};

	log_open("netbus-enrol", LOG_INFO_);
	log_label(argc > 2 ? argv[2] : NULL);
	enrol.broker = (struct channel){.fd = FD_BROKER, .self = ROLE_ENROL, .peer = ROLE_BROKER, .state = CH_NEW};
	enrol.peer.fd = FD_PEER;
	enrol.peer.deadline_ns = clock_monotonic_ns() + LIMIT_ENROL_MS * NS_PER_MS;
	if (sandbox_begin(&error) < 0 || sandbox_lock(SANDBOX_PASS_FDS, &error) < 0) {
		log_error("%s", error.text);
		return EXIT_FAILED;
	}
	return serve();
}
