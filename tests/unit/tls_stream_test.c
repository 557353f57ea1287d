/* SPDX-License-Identifier: Apache-2.0
 *
 * struct stream over TLS (crypto/tls_stream.c): what goes in comes out, in order and whole, under partial writes and changes of keys; how it ends in order
 * and otherwise; what a hostile peer can not do.
 */
#include "tests/unit/tls_world.h"

#define QUEUE_LIMIT (1u << 20)

static uint8_t
pattern(size_t position)
{
	return (uint8_t)(position * 31 + (position >> 8) * 7 + (position >> 16));
}

struct traffic {
	size_t total, sent, received;
	size_t piece; /* of one reserve */
	size_t room;  /* of one read */
};

/* Queues as much as fits and flushes. */
static void
push(struct stream *stream, struct traffic *traffic)
{
	while (traffic->sent < traffic->total) {
		size_t length =
		    traffic->total - traffic->sent < traffic->piece ? traffic->total - traffic->sent : traffic->piece;
		uint8_t *bytes = stream->class->reserve(stream, length);

		if (bytes == NULL)
			break;
		for (size_t i = 0; i < length; i++)
			bytes[i] = pattern(traffic->sent + i);
		stream->class->commit(stream, length);
		traffic->sent += length;
	}
	assert_in_range(-stream->class->flush(stream), 0, EAGAIN);
	assert_true(stream->class->queued(stream) <= QUEUE_LIMIT + TLS_WIRE_MOST + 2 * TLS_RECORD_MOST);
}

static void
pull(struct stream *stream, struct traffic *traffic)
{
	static uint8_t bytes[1u << 20];
	ssize_t length;

	while ((length = stream->class->read(stream, bytes, traffic->room)) > 0) {
		for (ssize_t i = 0; i < length; i++)
			if (bytes[i] != pattern(traffic->received + (size_t)i))
				fail_msg("byte %zu is wrong", traffic->received + (size_t)i);
		traffic->received += (size_t)length;
	}
	assert_int_equal(length, -EAGAIN);
	assert_false(stream->class->buffered(stream));
}

/* traffic[i]: what side i sends. */
static void
run_traffic(struct pair *pair, struct traffic traffic[2])
{
	int fds[2] = {pair->stream[0]->class->fd(pair->stream[0]), pair->stream[1]->class->fd(pair->stream[1])};

	while (traffic[0].received < traffic[0].total || traffic[1].received < traffic[1].total) {
		uint32_t wants[2];

		for (int i = 0; i < 2; i++) {
			push(pair->stream[i], &traffic[i]);
			pull(pair->stream[i], &traffic[1 - i]);
			wants[i] = pair->stream[i]->class->wants(pair->stream[i]);
			if (traffic[i].sent < traffic[i].total)
				wants[i] |= EPOLLOUT;
		}
		if (traffic[0].received < traffic[0].total || traffic[1].received < traffic[1].total)
			wait_for_either(fds, wants);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pair->stream[i]->class->queued(pair->stream[i]), 0);
}

static void
carries_everything_in_order_both_ways(void **state)
{
	static const struct traffic cases[][2] = {
	    {{.total = 1, .piece = 1, .room = 1}, {.total = 1, .piece = 1, .room = 1}},
	    {{.total = 8 << 20, .piece = 1 << 20, .room = 1 << 20}, {.total = 0}},
	    {{.total = 0}, {.total = 8 << 20, .piece = 65576, .room = 1 << 20}},
	    {{.total = 5 << 20, .piece = 40, .room = 16384}, {.total = 5 << 20, .piece = 131112, .room = 333}},
	    {{.total = 300001, .piece = 16385, .room = 16383}, {.total = 400003, .piece = 1, .room = 7}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int small = 0; small < 2; small++) {
			struct traffic traffic[2] = {cases[i][0], cases[i][1]};
			struct pair pair;
			int bytes = 4096;

			traffic[0].total >>= 3 * small;
			traffic[1].total >>= 3 * small;
			pair_open(&pair, "ED25519", "P-256");
			pair_shake(&pair);
			pair_streams(&pair, QUEUE_LIMIT);
			for (int side = 0; small && side < 2; side++)
				setsockopt(pair.stream[side]->class->fd(pair.stream[side]), SOL_SOCKET, SO_SNDBUF,
				    &bytes, sizeof bytes);
			run_traffic(&pair, traffic);
			pair_close(&pair);
		}
}

static void
changes_its_key_before_the_cipher_wears_out(void **state)
{
	struct traffic traffic[2] = {
	    {.total = 2 << 20, .piece = 50000, .room = 65536}, {.total = 1 << 20, .piece = 3000, .room = 65536}};
	struct pair pair;

	(void)state;
	pair_open(&pair, "ED25519", "ED25519");
	pair_shake(&pair);
	pair_streams(&pair, QUEUE_LIMIT);
	for (int i = 0; i < 2; i++) {
		struct tls *tls = (struct tls *)(void *)pair.stream[i];

		assert_true(tls->rekey_each < 23000000);
		tls->rekey_each = 3;
	}
	run_traffic(&pair, traffic);
	for (int i = 0; i < 2; i++)
		assert_true(((struct tls *)(void *)pair.stream[i])->records <= 3);
	pair_close(&pair);
}

static void
queues_no_more_than_its_limit(void **state)
{
	struct pair pair;
	struct stream *stream;

	(void)state;
	pair_open(&pair, "ED25519", "ED25519");
	pair_shake(&pair);
	pair_streams(&pair, 1000);
	stream = pair.stream[TLS_SERVER];
	assert_null(stream->class->reserve(stream, 1001));
	assert_non_null(stream->class->reserve(stream, 600));
	stream->class->commit(stream, 600);
	assert_null(stream->class->reserve(stream, 401));
	assert_non_null(stream->class->reserve(stream, 400));
	assert_int_equal(stream->class->queued(stream), 600);
	assert_int_equal(stream->class->wants(stream), EPOLLIN | EPOLLOUT);
	pair_close(&pair);
}

static void
ends_in_order_after_the_last_byte(void **state)
{
	struct pair pair;
	struct stream *stream;
	uint8_t bytes[64], *out;
	ssize_t length;

	(void)state;
	pair_open(&pair, "ED25519", "ED25519");
	pair_shake(&pair);
	pair_streams(&pair, QUEUE_LIMIT);
	out = pair.stream[TLS_CLIENT]->class->reserve(pair.stream[TLS_CLIENT], 5);
	assert_non_null(out);
	memcpy(out, "adieu", 5);
	pair.stream[TLS_CLIENT]->class->commit(pair.stream[TLS_CLIENT], 5);
	pair.stream[TLS_CLIENT]->class->close(pair.stream[TLS_CLIENT]); /* flushes what is queued */
	pair.stream[TLS_CLIENT] = NULL;
	stream = pair.stream[TLS_SERVER];
	while ((length = stream->class->read(stream, bytes, sizeof bytes)) == -EAGAIN)
		wait_for(stream->class->fd(stream), POLLIN);
	assert_int_equal(length, 5);
	assert_memory_equal(bytes, "adieu", 5);
	while ((length = stream->class->read(stream, bytes, sizeof bytes)) == -EAGAIN)
		wait_for(stream->class->fd(stream), POLLIN);
	assert_int_equal(length, 0);
	assert_true(stream->class->buffered(stream)); /* the owner hears of it even when the socket stays silent */
	assert_int_equal(stream->class->read(stream, bytes, sizeof bytes), 0);
	pair_close(&pair);
}

/* What the socket brings after the handshake, raw, and what becomes of it. */
static void
reports_what_is_no_orderly_end(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		int code;
	} cases[] = {
	    {"", 0, -ECONNRESET},                     /* torn off */
	    {"\x17\x03\x03\x00\x20", 5, -ECONNRESET}, /* torn off inside a record */
	    {"\x17\x03\x03\x00\x14"
	     "01234567890123456789",
		25, -EPROTO}, /* not sealed with our key */
	    {"GET / HTTP/1.0\r\n\r\n", 18, -EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct pair pair;
		struct stream *stream;
		uint8_t byte;
		ssize_t code;
		int fd;

		pair_open(&pair, "ED25519", "ED25519");
		pair_shake(&pair);
		pair_streams(&pair, QUEUE_LIMIT);
		fd = pair.stream[TLS_CLIENT]->class->fd(pair.stream[TLS_CLIENT]);
		assert_int_equal(write(fd, cases[i].bytes, cases[i].length), cases[i].length);
		shutdown(fd, SHUT_WR);
		stream = pair.stream[TLS_SERVER];
		while ((code = stream->class->read(stream, &byte, 1)) == -EAGAIN)
			wait_for(stream->class->fd(stream), POLLIN);
		assert_int_equal(code, cases[i].code);
		assert_int_equal(stream->class->read(stream, &byte, 1), cases[i].code);
		pair_close(&pair);
	}
}

/* In TLS 1.3 a client is done before the server has judged it: the refusal is the first thing that it reads. */
static void
a_refused_client_reads_nothing_but_the_refusal(void **state)
{
	struct pair pair;
	struct stream *stream;
	uint8_t byte, *out;
	ssize_t code;

	(void)state;
	pair_open(&pair, "ED25519", "ED25519");
	pair.keeper[TLS_SERVER].misdeed = BAD_CHAIN;
	pair_shake(&pair);
	assert_int_equal(pair.code[TLS_CLIENT], 1);
	assert_int_equal(pair.code[TLS_SERVER], -EPROTO);
	stream = pair.stream[TLS_CLIENT] = tls_stream(pair.tls[TLS_CLIENT], QUEUE_LIMIT);
	pair.tls[TLS_CLIENT] = NULL;
	out = stream->class->reserve(stream, 1);
	assert_non_null(out);
	*out = 'x';
	stream->class->commit(stream, 1);
	stream->class->flush(stream);
	tls_free(pair.tls[TLS_SERVER]); /* with what we just sent still unread */
	pair.tls[TLS_SERVER] = NULL;
	while ((code = stream->class->read(stream, &byte, 1)) == -EAGAIN)
		wait_for(stream->class->fd(stream), POLLIN);
	assert_int_equal(code, -ECONNRESET);
	/* By the alert, not because the connection went away. */
	assert_int_equal(((struct tls *)(void *)stream)->wire.broken, 0);
	assert_false(((struct tls *)(void *)stream)->wire.ended);
	pair_close(&pair);
}

static void
breaks_when_the_peer_is_gone_while_it_sends(void **state)
{
	struct pair pair;
	struct stream *stream;
	struct traffic traffic = {.total = 64 << 20, .piece = 65536};
	int code = 0;

	(void)state;
	pair_open(&pair, "ED25519", "ED25519");
	pair_shake(&pair);
	pair_streams(&pair, QUEUE_LIMIT);
	pair.stream[TLS_CLIENT]->class->close(pair.stream[TLS_CLIENT]);
	pair.stream[TLS_CLIENT] = NULL;
	stream = pair.stream[TLS_SERVER];
	while (code == 0 || code == -EAGAIN) {
		uint8_t *bytes = stream->class->reserve(stream, traffic.piece);

		if (bytes) {
			memset(bytes, 1, traffic.piece);
			stream->class->commit(stream, traffic.piece);
		}
		code = stream->class->flush(stream);
		if (code == -EAGAIN)
			wait_for(stream->class->fd(stream), POLLOUT);
	}
	assert_true(code == -EPIPE || code == -ECONNRESET);
	assert_int_equal(stream->class->flush(stream), code);
	pair_close(&pair);
}

/* KeyUpdate messages without end must not hold the reader. */
static void
bears_few_key_updates_but_not_a_flood(void **state)
{
	static const struct {
		unsigned updates;
		int code;
	} cases[] = {{20, -EAGAIN}, {500, -EPROTO}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct pair pair;
		struct tls *flooder;
		struct stream *stream;
		uint8_t byte;
		ssize_t code;

		pair_open(&pair, "ED25519", "ED25519");
		pair_shake(&pair);
		pair_streams(&pair, QUEUE_LIMIT);
		flooder = (struct tls *)(void *)pair.stream[TLS_CLIENT];
		for (unsigned n = 0; n < cases[i].updates; n++) {
			assert_int_equal(SSL_key_update(flooder->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
			assert_int_equal(SSL_do_handshake(flooder->ssl), 1);
		}
		assert_int_equal(tls_wire_flush(&flooder->wire), 0);
		stream = pair.stream[TLS_SERVER];
		wait_for(stream->class->fd(stream), POLLIN);
		code = stream->class->read(stream, &byte, 1);
		assert_int_equal(code, cases[i].code);
		pair_close(&pair);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(carries_everything_in_order_both_ways),
	    cmocka_unit_test(changes_its_key_before_the_cipher_wears_out),
	    cmocka_unit_test(queues_no_more_than_its_limit),
	    cmocka_unit_test(ends_in_order_after_the_last_byte),
	    cmocka_unit_test(reports_what_is_no_orderly_end),
	    cmocka_unit_test(a_refused_client_reads_nothing_but_the_refusal),
	    cmocka_unit_test(breaks_when_the_peer_is_gone_while_it_sends),
	    cmocka_unit_test(bears_few_key_updates_but_not_a_flood),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
