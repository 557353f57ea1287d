/* SPDX-License-Identifier: Apache-2.0
 *
 * hostile ADDRESS PORT PKI-DIR VM SHARE: a host with a good certificate and a good right that breaks the netbus/1 protocol in each way
 * of a table, against a real daemon. Prints "ok - CASE" or "not ok - CASE" with what was seen; used by tests/system/hostile.test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authz/reason.h"
#include "wire/control.h"
#include "wire/frame.h"
#include "wire/limits.h"

#define ANSWER_MS 20000

static struct {
	const char *address, *port, *pki, *vm, *share;
} target;

struct link {
	int fd;
	SSL_CTX *context;
	SSL *ssl;
	bool silent; /* nothing came for ANSWER_MS */
	struct msg_attached attached;
};

static void
give_up(const char *what)
{
	fprintf(stderr, "hostile: %s\n", what);
	ERR_print_errors_fp(stderr);
	exit(2);
}

static int
dial(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(target.port, NULL, 10))};
	struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || inet_pton(AF_INET, target.address, &to.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
		give_up("cannot connect");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	return fd;
}

static void
link_open(struct link *link)
{
	static const unsigned char alpn[] = "\x08netbus/1";
	char path[512];

	link->fd = dial();
	link->context = SSL_CTX_new(TLS_client_method());
	snprintf(path, sizeof path, "%s/host.pem", target.pki);
	if (SSL_CTX_use_certificate_chain_file(link->context, path) != 1)
		give_up("no certificate");
	snprintf(path, sizeof path, "%s/host.key", target.pki);
	if (SSL_CTX_use_PrivateKey_file(link->context, path, SSL_FILETYPE_PEM) != 1)
		give_up("no key");
	link->ssl = SSL_new(link->context);
	SSL_set_alpn_protos(link->ssl, alpn, sizeof alpn - 1);
	SSL_set_fd(link->ssl, link->fd);
	if (SSL_connect(link->ssl) != 1)
		give_up("no handshake");
}

static void
link_close(struct link *link)
{
	SSL_free(link->ssl);
	SSL_CTX_free(link->context);
	close(link->fd);
}

static void
put(struct link *link, const void *bytes, size_t length)
{
	/* The other end may have closed already: that is one of the right answers. */
	if (length > 0)
		SSL_write(link->ssl, bytes, (int)length);
}

static void
put_frame(struct link *link, const struct frame *frame, const void *payload, size_t length)
{
	uint8_t header[FRAME_HEADER_LEN];

	frame_encode(frame, header);
	put(link, header, sizeof header);
	put(link, payload, length);
}

static void
put_control(struct link *link, uint8_t type, const void *message)
{
	uint8_t payload[LIMIT_CONTROL_PAYLOAD];
	int length = message_encode(control_type(type), message, payload, sizeof payload);

	if (length < 0)
		give_up("cannot encode");
	put_frame(link, &(struct frame){.type = type, .length = (uint32_t)length}, payload, (size_t)length);
}

static bool
get(struct link *link, void *bytes, size_t length)
{
	uint8_t *at = bytes;

	while (length > 0) {
		int got = SSL_read(link->ssl, at, (int)length);

		if (got <= 0) {
			link->silent = SSL_get_error(link->ssl, got) == SSL_ERROR_WANT_READ;
			return false;
		}
		at += got;
		length -= (size_t)got;
	}
	return true;
}

/* The next frame, its payload thrown away or, for a control frame, kept. False at the end of the connection. */
static bool
get_frame(struct link *link, struct frame *frame, uint8_t *payload)
{
	static uint8_t waste[LIMIT_FRAME_PAYLOAD];
	uint8_t header[FRAME_HEADER_LEN];

	return get(link, header, sizeof header) && frame_decode(header, frame) == 0 &&
	       get(link, payload && frame->length <= LIMIT_CONTROL_PAYLOAD ? payload : waste, frame->length);
}

static void
hello(struct link *link)
{
	struct msg_hello message = {.version_least = 1, .version_most = 1, .software = "hostile"};

	put_control(link, FRAME_HELLO, &message);
}

static void
attach(struct link *link)
{
	struct msg_attach message = {.mode = ACCESS_RW, .lanes = 2};

	snprintf(message.vm, sizeof message.vm, "%s", target.vm);
	snprintf(message.share, sizeof message.share, "%s", target.share);
	put_control(link, FRAME_ATTACH, &message);
}

/* Up to a live lease, in order. False while another lease, of the case before, is still being ended. */
static bool
link_try_attach(struct link *link)
{
	uint8_t payload[LIMIT_CONTROL_PAYLOAD];
	struct msg_refused refused;
	struct frame frame;

	link_open(link);
	hello(link);
	attach(link);
	do {
		if (!get_frame(link, &frame, payload))
			give_up("closed before ATTACHED");
	} while (frame.type == FRAME_HELLO);
	if (frame.type == FRAME_REFUSED &&
	    message_decode(control_type(FRAME_REFUSED), payload, frame.length, &refused) == 0 &&
	    refused.reason == REASON_SHARE_BUSY)
		return false;
	if (frame.type != FRAME_ATTACHED ||
	    message_decode(control_type(FRAME_ATTACHED), payload, frame.length, &link->attached) != 0)
		give_up("not attached");
	return true;
}

static void
link_attach(struct link *link)
{
	for (unsigned tries = 0; tries < 500; tries++) {
		if (link_try_attach(link))
			return;
		link_close(link);
	}
	give_up("the lease of the case before does not end");
}

/* ---- what is done wrong ---- */

static void
garbage(struct link *link)
{
	uint8_t bytes[4096];

	memset(bytes, 0xa5, sizeof bytes);
	put(link, bytes, sizeof bytes);
}

static void
half_a_header(struct link *link)
{
	put(link, "\x01\x00\x00", 3);
	shutdown(link->fd, SHUT_WR);
}

static void
hello_too_long(struct link *link)
{
	uint8_t header[FRAME_HEADER_LEN] = {FRAME_HELLO, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};

	put(link, header, sizeof header);
}

/* What follows the header never comes: nothing is wrong yet, and it must not stay so for ever. */
static void
half_a_hello(struct link *link)
{
	put_frame(link, &(struct frame){.type = FRAME_HELLO, .length = 16}, "\0\1\0", 3);
}

static void
attach_before_hello(struct link *link)
{
	attach(link);
}

static void
two_hellos(struct link *link)
{
	hello(link);
	hello(link);
}

static void
no_common_version(struct link *link)
{
	put_control(link, FRAME_HELLO, &(struct msg_hello){.version_least = 7, .version_most = 9});
}

static void
io_before_attach(struct link *link)
{
	hello(link);
	put_frame(link, &(struct frame){.type = FRAME_READ, .id = 1, .epoch = 1, .count = 4096}, NULL, 0);
}

static void
join_of_nothing(struct link *link)
{
	hello(link);
	put_control(link, FRAME_JOIN, &(struct msg_join){.epoch = 1});
}

static void
bad_name(struct link *link)
{
	struct msg_attach message = {.mode = ACCESS_RW, .lanes = 1, .vm = "acme/../etc", .share = "acme/disk-1"};

	hello(link);
	put_control(link, FRAME_ATTACH, &message);
}

static void
frame_of_the_exporter(struct link *link)
{
	put_control(link, FRAME_REVOKED, &(struct msg_revoked){.reason = 20, .epoch = 1});
}

static void
second_attach(struct link *link)
{
	attach(link);
}

static void
reply_to_nothing(struct link *link)
{
	put_frame(link, &(struct frame){.type = FRAME_REPLY, .id = 5, .epoch = link->attached.epoch}, NULL, 0);
}

static void
unknown_frame(struct link *link)
{
	put_frame(link, &(struct frame){.type = 0x3f, .id = 5}, NULL, 0);
}

static void
reserved_not_zero(struct link *link)
{
	uint8_t header[FRAME_HEADER_LEN];

	frame_encode(
	    &(struct frame){.type = FRAME_READ, .id = 1, .epoch = link->attached.epoch, .count = 4096}, header);
	header[FRAME_HEADER_LEN - 1] = 1;
	put(link, header, sizeof header);
}

static void
write_longer_than_said(struct link *link)
{
	uint8_t header[FRAME_HEADER_LEN];

	frame_encode(
	    &(struct frame){.type = FRAME_WRITE, .id = 1, .epoch = link->attached.epoch, .count = 4096, .length = 8192},
	    header);
	put(link, header, sizeof header);
}

/* Both in one record, so that the second is there before the first is answered. */
static void
same_id_twice(struct link *link)
{
	struct frame frame = {.type = FRAME_FLUSH, .id = 9, .epoch = link->attached.epoch};
	uint8_t both[2][FRAME_HEADER_LEN];

	frame_encode(&frame, both[0]);
	frame_encode(&frame, both[1]);
	put(link, both, sizeof both);
}

static void
too_many_at_once(struct link *link)
{
	enum { MANY = LIMIT_CREDITS + 64 };
	static uint8_t all[MANY][FRAME_HEADER_LEN];

	for (unsigned i = 0; i < MANY; i++)
		frame_encode(&(struct frame){.type = FRAME_FLUSH, .id = i + 1, .epoch = link->attached.epoch}, all[i]);
	put(link, all, sizeof all);
}

/* Few requests, and more bytes than all may have together. */
static void
too_many_bytes_at_once(struct link *link)
{
	enum { MANY = LIMIT_CREDIT_BYTES / LIMIT_FRAME_PAYLOAD + 1 };
	uint8_t all[MANY][FRAME_HEADER_LEN];

	for (unsigned i = 0; i < MANY; i++)
		frame_encode(
		    &(struct frame){
			.type = FRAME_READ, .id = i + 1, .epoch = link->attached.epoch, .count = LIMIT_FRAME_PAYLOAD},
		    all[i]);
	put(link, all, sizeof all);
}

static void
old_epoch(struct link *link)
{
	put_frame(link, &(struct frame){.type = FRAME_READ, .id = 1, .epoch = link->attached.epoch + 1, .count = 4096},
	    NULL, 0);
}

static void
beyond_the_end(struct link *link)
{
	struct frame frame = {
	    .type = FRAME_READ, .id = 1, .epoch = link->attached.epoch, .offset = link->attached.size, .count = 4096};

	put_frame(link, &frame, NULL, 0);
}

static void
misaligned(struct link *link)
{
	put_frame(link,
	    &(struct frame){.type = FRAME_READ, .id = 1, .epoch = link->attached.epoch, .offset = 1, .count = 4096},
	    NULL, 0);
}

/* ---- what must be seen ---- */

enum outcome { ENDED, REFUSED, ANSWERED_INVALID, ANSWERED_ENDED, ANSWERED_BOTH, SILENCE };

static const struct {
	const char *name;
	bool attached_first;
	void (*act)(struct link *link);
	enum outcome want;
} cases[] = {
    {"garbage_after_the_handshake", false, garbage, ENDED},
    {"half_a_header_then_end", false, half_a_header, ENDED},
    {"hello_of_four_gigabytes", false, hello_too_long, ENDED},
    {"half_a_hello_then_silence", false, half_a_hello, ENDED},
    {"attach_before_hello", false, attach_before_hello, ENDED},
    {"two_hellos", false, two_hellos, ENDED},
    {"no_common_version", false, no_common_version, ENDED},
    {"io_before_attach", false, io_before_attach, ENDED},
    {"join_of_an_unknown_lease", false, join_of_nothing, REFUSED},
    {"vm_name_that_is_none", false, bad_name, REFUSED},
    {"frame_only_an_exporter_may_send", true, frame_of_the_exporter, ENDED},
    {"second_attach_on_a_lane", true, second_attach, ENDED},
    {"reply_to_nothing", true, reply_to_nothing, ENDED},
    {"unknown_frame_type", true, unknown_frame, ENDED},
    {"reserved_field_not_zero", true, reserved_not_zero, ENDED},
    {"write_payload_longer_than_its_count", true, write_longer_than_said, ENDED},
    {"one_id_twice_in_flight", true, same_id_twice, ANSWERED_BOTH},
    {"more_requests_than_credits", true, too_many_at_once, ENDED},
    {"more_bytes_than_credits", true, too_many_bytes_at_once, ENDED},
    {"another_epoch", true, old_epoch, ANSWERED_ENDED},
    {"read_beyond_the_end", true, beyond_the_end, ANSWERED_INVALID},
    {"misaligned_read", true, misaligned, ANSWERED_INVALID},
};

static const char *
outcome_name(enum outcome outcome)
{
	static const char *const names[] = {
	    [ENDED] = "the connection ends",
	    [REFUSED] = "REFUSED",
	    [ANSWERED_INVALID] = "a reply with status INVALID",
	    [ANSWERED_ENDED] = "a reply with status ENDED",
	    [ANSWERED_BOTH] = "two replies with status OK",
	    [SILENCE] = "nothing",
	};

	return names[outcome];
}

/* Frames until the connection ends, a REFUSED, a reply that says INVALID or ENDED, two that say OK, or silence. */
static enum outcome
see(struct link *link)
{
	struct frame frame;
	unsigned good = 0;

	while (get_frame(link, &frame, NULL)) {
		if (frame.type == FRAME_REFUSED)
			return REFUSED;
		if (frame.type == FRAME_REPLY && frame.status == STATUS_INVALID)
			return ANSWERED_INVALID;
		if (frame.type == FRAME_REPLY && frame.status == STATUS_OK && ++good == 2)
			return ANSWERED_BOTH;
		if (frame.type == FRAME_REPLY && frame.status == STATUS_ENDED)
			return ANSWERED_ENDED;
	}
	return link->silent ? SILENCE : ENDED;
}

int
main(int argc, char **argv)
{
	unsigned failed = 0;

	if (argc != 6) {
		fprintf(stderr, "usage: hostile ADDRESS PORT PKI-DIR VM SHARE\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN); /* the other end closes when it has seen enough */
	target.address = argv[1], target.port = argv[2], target.pki = argv[3], target.vm = argv[4],
	target.share = argv[5];
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct link link = {0};
		enum outcome seen;

		if (cases[i].attached_first)
			link_attach(&link);
		else
			link_open(&link);
		cases[i].act(&link);
		seen = see(&link);
		printf("%s - %s\n", seen == cases[i].want ? "ok" : "not ok", cases[i].name);
		if (seen != cases[i].want) {
			printf("  wanted: %s; seen: %s\n", outcome_name(cases[i].want), outcome_name(seen));
			failed++;
		}
		fflush(stdout);
		link_close(&link);
	}
	return failed ? 1 : 0;
}
