/* SPDX-License-Identifier: Apache-2.0
 *
 * The NBD server (frontend/nbd.h) when its device is taken back: nobody new in a drain, nothing new after a release, and what the backend has is answered as
 * the backend says. A backend that answers when it is told to, and clients that speak NBD byte by byte.
 */
#include "tests/unit/far_end.h"

#include <sys/un.h>

#include "base/bytes.h"
#include "frontend/nbd.h"
#include "wire/nbd.h"

#define SIZE UINT64_C(1048576)

static struct test {
	struct loop *loop;
	struct nbd_server *server;
	struct sockaddr_un address;
	socklen_t address_length;
	struct backend backend;
	struct io *held[16];
	unsigned held_count, came, went;
} test;

/* ---- the backend ---- */

static void
hold(struct backend *backend, struct io *io)
{
	(void)backend;
	assert_true(test.held_count < ARRAY_LENGTH(test.held));
	test.held[test.held_count++] = io;
}

static void
let_all_go(int status)
{
	unsigned count = test.held_count;

	test.held_count = 0;
	for (unsigned i = 0; i < count; i++) {
		test.held[i]->status = status;
		test.held[i]->on_done(test.held[i]);
	}
	settle(test.loop);
}

static const struct backend_class holding = {.name = "holding", .submit = hold};

static struct backend *
on_client(void *owner, struct nbd_client *client)
{
	(void)owner, (void)client;
	test.came++;
	return &test.backend;
}

static void
on_client_gone(void *owner, struct nbd_client *client)
{
	(void)owner, (void)client;
	test.went++;
}

static const struct nbd_events events = {on_client, on_client_gone};

static void
server_begin(void)
{
	struct geometry geometry = {.size = SIZE,
	    .logical_block = 512,
	    .physical_block = 4096,
	    .most_payload = 65536,
	    .most_range = 65536,
	    .can_discard = true};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct error error = {0};

	memset(&test, 0, sizeof test);
	test.address.sun_family = AF_UNIX;
	test.address_length = sizeof test.address;
	/* Without a name, the kernel gives one. */
	assert_int_equal(bind(fd, (struct sockaddr *)&test.address, sizeof test.address.sun_family), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&test.address, &test.address_length), 0);
	assert_int_equal(listen(fd, 8), 0);
	test.loop = loop_new(&error);
	test.backend = (struct backend){&holding, geometry};
	test.server = nbd_server_new(test.loop, fd, "a/s", &geometry, &events, &test, &error);
	assert_non_null(test.server);
}

static void
server_end(void)
{
	let_all_go(-ESHUTDOWN);
	nbd_server_free(test.server);
	loop_free(test.loop);
}

/* ---- a client ---- */

/* -1: nobody listens. */
static int
client_dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&test.address, test.address_length) == 0)
		return fd;
	close(fd);
	return -1;
}

static void
send_all(int fd, const void *bytes, size_t length)
{
	assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), length);
}

static bool
recv_all(int fd, void *bytes, size_t length)
{
	settle(test.loop);
	return recv(fd, bytes, length, MSG_DONTWAIT) == (ssize_t)length;
}

static bool
is_closed(int fd)
{
	uint8_t byte;

	settle(test.loop);
	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

/* In the middle of its handshake: the greeting was read, and the flags are sent. */
static int
client_greeted(void)
{
	uint8_t greeting[NBD_GREETING_LEN];
	int fd = client_dial();

	assert_true(fd >= 0);
	assert_true(recv_all(fd, greeting, sizeof greeting));
	send_all(fd, "\0\0\0\3", 4);
	settle(test.loop);
	return fd;
}

/* Ready for requests. */
static int
client_open(void)
{
	uint8_t reply[10];
	int fd = client_greeted();

	send_all(fd, "IHAVEOPT\0\0\0\1\0\0\0\0", 16);
	assert_true(recv_all(fd, reply, sizeof reply));
	return fd;
}

static void
ask(int fd, uint16_t command, uint16_t flags, uint64_t cookie, uint32_t length)
{
	uint8_t request[NBD_REQUEST_LEN] = {0};

	put_be32(request, NBD_REQUEST_MAGIC);
	put_be16(request + 4, flags);
	put_be16(request + 6, command);
	put_be64(request + 8, cookie);
	put_be32(request + 24, length);
	send_all(fd, request, sizeof request);
	settle(test.loop);
}

/* The reply to that cookie comes next, and says so. */
static void
assert_answered(int fd, uint64_t cookie, uint32_t error)
{
	uint8_t reply[NBD_SIMPLE_REPLY_LEN];

	assert_true(recv_all(fd, reply, sizeof reply));
	assert_true(get_be64(reply + 8) == cookie);
	assert_int_equal(get_be32(reply + 4), error);
}

static const uint8_t block[4096];

/* ---- the properties ---- */

static void
in_a_drain_clients_go_on_and_nobody_new_comes(void **state)
{
	int client, half;

	(void)state;
	server_begin();
	client = client_open();
	half = client_greeted();
	nbd_server_drain(test.server);
	assert_true(is_closed(half));
	assert_int_equal(client_dial(), -1);
	ask(client, NBD_CMD_FLUSH, 0, 1, 0);
	assert_int_equal(test.held_count, 1);
	let_all_go(0);
	assert_answered(client, 1, NBD_OK);
	assert_int_equal(test.came, 1);
	assert_int_equal(test.went, 0);
	close(client);
	settle(test.loop);
	assert_int_equal(test.went, 1);
	close(half);
	server_end();
}

static void
after_a_release_what_is_new_is_refused_and_what_was_taken_is_answered(void **state)
{
	static const uint16_t commands[] = {NBD_CMD_READ, NBD_CMD_FLUSH, NBD_CMD_TRIM, NBD_CMD_WRITE};
	int client;

	(void)state;
	server_begin();
	client = client_open();
	ask(client, NBD_CMD_WRITE, 0, 1, sizeof block);
	send_all(client, block, sizeof block);
	ask(client, NBD_CMD_TRIM, 0, 2, 4096);
	assert_int_equal(test.held_count, 2);
	nbd_server_release(test.server);
	for (uint64_t i = 0; i < ARRAY_LENGTH(commands); i++) {
		ask(client, commands[i], 0, 10 + i, commands[i] == NBD_CMD_FLUSH ? 0 : 4096);
		if (commands[i] == NBD_CMD_WRITE)
			send_all(client, block, sizeof block);
		assert_answered(client, 10 + i, NBD_ESHUTDOWN);
	}
	assert_int_equal(test.held_count, 2);
	assert_int_equal(client_dial(), -1);
	let_all_go(0);
	assert_answered(client, 1, NBD_OK);
	assert_answered(client, 2, NBD_OK);
	nbd_server_end(test.server);
	assert_true(is_closed(client));
	assert_int_equal(test.went, 1);
	close(client);
	server_end();
}

/* Its payload is not all here, so the backend never had it. */
static void
a_write_under_way_is_refused_by_a_release(void **state)
{
	int client;

	(void)state;
	server_begin();
	client = client_open();
	ask(client, NBD_CMD_WRITE, 0, 1, sizeof block);
	send_all(client, block, 1000);
	settle(test.loop);
	nbd_server_release(test.server);
	send_all(client, block, sizeof block - 1000);
	assert_answered(client, 1, NBD_ESHUTDOWN);
	assert_int_equal(test.held_count, 0);
	close(client);
	server_end();
}

static void
a_trim_with_fua_that_was_taken_is_flushed_before_its_answer(void **state)
{
	int client;

	(void)state;
	server_begin();
	client = client_open();
	ask(client, NBD_CMD_TRIM, NBD_CMD_FLAG_FUA, 1, 4096);
	nbd_server_release(test.server);
	let_all_go(0);
	assert_int_equal(test.held_count, 1);
	assert_int_equal(test.held[0]->op, IO_FLUSH);
	let_all_go(-EIO);
	assert_answered(client, 1, NBD_EIO);
	close(client);
	server_end();
}

static void
a_trim_with_fua_without_its_flush_is_no_success(void **state)
{
	int client;

	(void)state;
	server_begin();
	client = client_open();
	ask(client, NBD_CMD_TRIM, NBD_CMD_FLAG_FUA, 1, 4096);
	nbd_server_end(test.server);
	let_all_go(0);
	assert_answered(client, 1, NBD_ESHUTDOWN);
	close(client);
	server_end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(in_a_drain_clients_go_on_and_nobody_new_comes),
	    cmocka_unit_test(after_a_release_what_is_new_is_refused_and_what_was_taken_is_answered),
	    cmocka_unit_test(a_write_under_way_is_refused_by_a_release),
	    cmocka_unit_test(a_trim_with_fua_that_was_taken_is_flushed_before_its_answer),
	    cmocka_unit_test(a_trim_with_fua_without_its_flush_is_no_success),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
