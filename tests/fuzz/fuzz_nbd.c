/* SPDX-License-Identifier: Apache-2.0
 *
 * The NBD server (wire/nbd.h, frontend/nbd*.c) under a hostile client, over a socket pair in the real event loop, with a device of 64 KiB in
 * memory. First bytes: the size of the pieces in which the input is sent; what the device can.
 *
 * Holds: headers that decode encode back to the identical bytes; the device sees only requests inside its geometry, and none is in flight when
 * the client is gone; a client that sent all it has is gone at the end; what we say is a greeting and then option replies with their magic.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/auto.h"
#include "base/log.h"
#include "frontend/nbd_client.h"
#include "tests/fuzz/fuzz.h"

#define DEVICE_SIZE 65536

static struct run {
	struct loop *loop;
	struct nbd_server server;
	struct backend backend;
	struct watch watch;
	int fd;
	const uint8_t *input;
	size_t left, piece;
	struct buffer output;
	struct defer complete;
	struct io *first, **last;
	unsigned served;
	uint8_t device[DEVICE_SIZE];
} run;

/* ---- the device ---- */

static void
on_complete(struct defer *defer)
{
	struct io *first = run.first;

	(void)defer;
	run.first = NULL, run.last = &run.first;
	while (first) {
		struct io *io = first;

		first = io->next;
		io->on_done(io);
	}
}

static void
device_submit(struct backend *backend, struct io *io)
{
	REQUIRE(io_check(&backend->geometry, io) == 0);
	if (io->op == IO_READ)
		memcpy(io->buffer, run.device + io->offset, io->length);
	else if (io->op == IO_WRITE)
		memcpy(run.device + io->offset, io->buffer, io->length);
	io->status = io->op == IO_DISCARD && io->offset == 0 ? -EIO : 0;
	io->next = NULL;
	*run.last = io;
	run.last = &io->next;
	defer_start(run.loop, &run.complete, on_complete);
}

static const struct backend_class memory_device = {.name = "memory", .submit = device_submit};

static struct backend *
on_client(void *owner, struct nbd_client *client)
{
	(void)owner, (void)client;
	run.served++;
	return &run.backend;
}

static void
on_client_gone(void *owner, struct nbd_client *client)
{
	(void)owner, (void)client;
	run.served--;
}

static const struct nbd_events events = {on_client, on_client_gone};

/* ---- the client ---- */

static void
send_piece(void)
{
	size_t length = run.left < run.piece ? run.left : run.piece;
	ssize_t sent = send(run.fd, run.input, length, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (sent < 0 && errno != EAGAIN)
		run.left = 0; /* it was closed */
	else if (sent > 0)
		run.input += sent, run.left -= (size_t)sent;
	if (run.left == 0) {
		shutdown(run.fd, SHUT_WR);
		watch_change(&run.watch, EPOLLIN);
	}
}

static void
on_ready(struct watch *watch, uint32_t ready)
{
	static uint8_t bytes[1 << 16];
	ssize_t got = recv(watch->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (got > 0 && buffer_length(&run.output) + (size_t)got <= run.output.limit)
		REQUIRE(buffer_append(&run.output, bytes, (size_t)got) == 0);
	if (got == 0 || (got < 0 && errno != EAGAIN))
		loop_quit(run.loop, 0);
	else if (ready & EPOLLOUT)
		send_piece();
}

/* Until transmission begins, whose first reply has another magic, and as far as it was sent. */
static void
check_output(void)
{
	const uint8_t *at = buffer_front(&run.output), *end = at + buffer_length(&run.output);

	if (end - at < NBD_GREETING_LEN)
		return;
	REQUIRE(get_be64(at) == NBD_MAGIC && get_be64(at + 8) == NBD_OPTION_MAGIC);
	at += NBD_GREETING_LEN;
	while (end - at >= NBD_OPTION_REPLY_LEN && get_be64(at) == NBD_REPLY_MAGIC) {
		uint32_t length = get_be32(at + 16);

		REQUIRE(length <= NBD_STRING_MAX + 4);
		if ((size_t)(end - at) < NBD_OPTION_REPLY_LEN + (size_t)length)
			return;
		at += NBD_OPTION_REPLY_LEN + length;
	}
	if (end - at >= 10 && get_be64(at) == DEVICE_SIZE) /* the answer to EXPORT_NAME */
		at += end - at >= 10 + NBD_EXPORT_NAME_ZEROES && get_be16(at + 10) == 0 ? 10 + NBD_EXPORT_NAME_ZEROES
											: 10;
	if (end - at >= 4)
		REQUIRE(get_be32(at) == NBD_SIMPLE_REPLY_MAGIC || get_be32(at) == NBD_STRUCTURED_REPLY_MAGIC);
}

static void
run_server(uint8_t choices)
{
	struct geometry geometry = {.size = DEVICE_SIZE,
	    .logical_block = 512,
	    .physical_block = 4096,
	    .most_payload = 4096,
	    .most_range = 8192,
	    .read_only = choices & 1,
	    .can_discard = choices & 2,
	    .can_write_zeroes = choices & 4};
	int fds[2];

	run.loop = loop_new(NULL);
	REQUIRE(run.loop != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	run.fd = fds[0];
	run.last = &run.first;
	run.backend = (struct backend){&memory_device, geometry};
	run.server = (struct nbd_server){
	    .loop = run.loop, .fd = -1, .export_name = (char[]){"a/s"}, .geometry = geometry, .events = &events};
	buffer_init(&run.output, (size_t)1 << 22);
	REQUIRE(watch_start(run.loop, &run.watch, run.fd, EPOLLIN | EPOLLOUT, on_ready) == 0);
	nbd_client_new(&run.server, fds[1]);
	REQUIRE(loop_run(run.loop) == 0);
	REQUIRE(run.server.clients == NULL && run.server.client_count == 0 && run.served == 0 && run.first == NULL);
	check_output();
	watch_stop(&run.watch);
	close(run.fd);
	buffer_clear(&run.output);
	loop_free(run.loop);
}

/* ---- headers ---- */

static void
check_headers(const uint8_t *bytes, size_t length)
{
	struct nbd_option_header option;
	struct nbd_request_header request;
	uint8_t again[NBD_REQUEST_LEN];

	if (length >= NBD_OPTION_HEADER_LEN && nbd_option_decode(bytes, &option) == 0) {
		put_be64(again, NBD_OPTION_MAGIC), put_be32(again + 8, option.option),
		    put_be32(again + 12, option.length);
		REQUIRE(memcmp(bytes, again, NBD_OPTION_HEADER_LEN) == 0);
	}
	if (length >= NBD_REQUEST_LEN && nbd_request_decode(bytes, &request) == 0) {
		put_be32(again, NBD_REQUEST_MAGIC), put_be16(again + 4, request.flags),
		    put_be16(again + 6, request.command);
		put_be64(again + 8, request.cookie), put_be64(again + 16, request.offset);
		put_be32(again + 24, request.length);
		REQUIRE(memcmp(bytes, again, NBD_REQUEST_LEN) == 0);
	}
}

static void
add_option(struct writer *out, uint32_t option, const void *payload, uint32_t length)
{
	write_u64(out, NBD_OPTION_MAGIC), write_u32(out, option), write_u32(out, length);
	write_bytes(out, payload, length);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	uint8_t bytes[4096];
	struct writer out = writer_over(bytes, sizeof bytes);

	(void)argc, (void)argv;
	log_open("fuzz_nbd", LOG_ERROR_);
	write_u16(&out, 0xff06), write_u32(&out, NBD_FLAG_FIXED_NEWSTYLE | NBD_FLAG_NO_ZEROES);
	add_option(&out, NBD_OPT_LIST, NULL, 0);
	add_option(&out, NBD_OPT_STRUCTURED_REPLY, NULL, 0);
	add_option(&out, NBD_OPT_SET_META_CONTEXT, "\0\0\0\3a/s\0\0\0\1\0\0\0\17base:allocation", 30);
	add_option(&out, NBD_OPT_INFO, "\0\0\0\0\0\1\0\1", 8);
	seed_write("options", bytes, writer_used(&out));
	add_option(&out, NBD_OPT_GO, "\0\0\0\0\0\0", 6);
	for (uint16_t command = NBD_CMD_READ; command <= NBD_CMD_BLOCK_STATUS + 1; command++) {
		/* DISC, which ends it, comes last. */
		uint16_t sent = command < NBD_CMD_DISC            ? command
				: command <= NBD_CMD_BLOCK_STATUS ? command + 1
								  : NBD_CMD_DISC;

		write_u32(&out, NBD_REQUEST_MAGIC), write_u16(&out, 0), write_u16(&out, sent);
		write_u64(&out, command), write_u64(&out, 0), write_u32(&out, sent == NBD_CMD_FLUSH ? 0 : 512);
		if (sent == NBD_CMD_WRITE)
			memset(write_room(&out, 512), 1, 512);
	}
	seed_write("transmission", bytes, writer_used(&out));
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	if (length < 2)
		return 0;
	check_headers(bytes + 2, length - 2);
	memset(&run, 0, sizeof run);
	run.input = bytes + 2, run.left = length - 2, run.piece = 1 + (size_t)bytes[0] * 16;
	run_server(bytes[1]);
	return 0;
}
