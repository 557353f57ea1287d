/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of an NBD client and the bytes that it sends (frontend/nbd_client.h).
 */
#include "frontend/nbd_client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"

/* Reads of one client in one turn before others are looked at. */
#define READS_PER_TURN 8
/* Of answers to options: a client that asks and does not read. */
#define HANDSHAKE_OUTPUT_MAX ((size_t)64 << 10)

/* ---- the end ---- */

static void
drop_replies(struct nbd_client *client)
{
	while (client->replies) {
		struct nbd_request *first = client->replies;

		client->replies = first->next;
		nbd_request_free(first);
	}
	client->replies_end = &client->replies;
}

void
nbd_client_free(struct nbd_client *client)
{
	struct nbd_server *server = client->server;

	watch_stop(&client->watch);
	timer_stop(&client->deadline);
	defer_stop(&client->turn_end);
	drop_replies(client);
	if (client->receiving)
		nbd_request_free(TAKE(client->receiving));
	nbd_spare_free(client);
	if (client->next)
		client->next->prev = client->prev;
	*(client->prev ? &client->prev->next : &server->clients) = client->next;
	server->client_count--;
	close(client->fd);
	buffer_clear(&client->handshake);
	free(client->input);
	if (client->is_served)
		server->events->on_client_gone(server->owner, client);
	free(client);
}

void
nbd_client_break(struct nbd_client *client, const char *why)
{
	if (client->phase == NBD_DEAD)
		return;
	if (why)
		log_notice("an NBD client is closed: %s", why);
	client->phase = NBD_DEAD;
	watch_stop(&client->watch);
	timer_stop(&client->deadline);
	nbd_client_settle(client);
}

/* ---- the end of a turn ---- */

static bool
wants_to_read(const struct nbd_client *client)
{
	switch (client->phase) {
	case NBD_GREETED:
	case NBD_OPTIONS:
		return buffer_length(&client->handshake) < HANDSHAKE_OUTPUT_MAX / 2;
	case NBD_TRANSMISSION:
		return client->receiving || client->skip || !nbd_client_is_full(client);
	default:
		return false;
	}
}

static void
watch_what_matters(struct nbd_client *client)
{
	if (client->phase != NBD_DEAD)
		watch_change(
		    &client->watch, (wants_to_read(client) ? EPOLLIN : 0) | (client->is_blocked ? EPOLLOUT : 0));
}

static bool
is_over(const struct nbd_client *client)
{
	if (client->in_backend > 0)
		return false;
	return client->phase == NBD_DEAD ||
	       (client->phase == NBD_LEAVING && client->in_flight == 0 && !nbd_has_output(client));
}

static void take_input(struct nbd_client *client);
static void read_input(struct nbd_client *client);

static void
kick(struct nbd_client *client)
{
	if (client->submitted && client->backend && client->backend->class->kick)
		client->backend->class->kick(client->backend);
	client->submitted = 0;
}

/* The device is gone: what the client has sent so far is answered, and then it is closed. */
static void
let_go(struct nbd_client *client)
{
	if (client->phase == NBD_TRANSMISSION) {
		read_input(client);
		take_input(client);
	}
	if (client->phase == NBD_TRANSMISSION && !nbd_client_is_full(client))
		client->phase = NBD_LEAVING;
	else if (client->phase < NBD_TRANSMISSION)
		nbd_client_break(client, NULL);
	if (client->phase == NBD_LEAVING && client->receiving) /* never to be complete */
		nbd_request_free(TAKE(client->receiving));
}

static void
on_turn_end(struct defer *defer)
{
	struct nbd_client *client = CONTAINER_OF(defer, struct nbd_client, turn_end);

	if (client->server->is_ended)
		let_go(client);
	kick(client);
	if (client->phase != NBD_DEAD)
		nbd_send(client);
	/* Room was made by answers that left: what waits in the input goes on. */
	if (client->phase == NBD_TRANSMISSION && !nbd_client_is_full(client)) {
		take_input(client);
		kick(client);
	}
	if (is_over(client)) {
		nbd_client_free(client);
		return;
	}
	watch_what_matters(client);
}

void
nbd_client_settle(struct nbd_client *client)
{
	defer_start(client->server->loop, &client->turn_end, on_turn_end);
}

/* ---- input ---- */

static size_t
available(const struct nbd_client *client)
{
	return client->input_end - client->input_start;
}

/* Drops what is to be dropped. False while some of it is not here yet. */
static bool
skip_some(struct nbd_client *client)
{
	uint32_t here = (uint32_t)(available(client) < client->skip ? available(client) : client->skip);

	client->input_start += here;
	client->skip -= here;
	if (client->skip == 0 && client->skip_option) {
		nbd_option_refuse_long(client, client->skip_option);
		client->skip_option = 0;
	}
	return client->skip == 0;
}

/* Moves payload that came with the requests before it. False while some of it is not here yet. */
static bool
receive_some(struct nbd_client *client)
{
	struct nbd_request *request = client->receiving;
	size_t left = request->header.length - client->received;
	size_t here = available(client) < left ? available(client) : left;

	memcpy(request->payload + client->received, client->input + client->input_start, here);
	client->received += here;
	client->input_start += here;
	if (here < left)
		return false;
	nbd_request_received(client);
	return true;
}

static void
take_input(struct nbd_client *client)
{
	bool goes_on = true;

	while (goes_on && client->phase < NBD_LEAVING) {
		if (client->skip)
			goes_on = skip_some(client);
		else if (client->receiving)
			goes_on = receive_some(client);
		else if (client->phase == NBD_TRANSMISSION)
			goes_on = nbd_request_take(client);
		else
			goes_on = nbd_option_take(client);
	}
	if (client->input_start == client->input_end)
		client->input_start = client->input_end = 0;
}

static void
make_room(struct nbd_client *client)
{
	if (client->input_start == 0)
		return;
	memmove(client->input, client->input + client->input_start, available(client));
	client->input_end -= client->input_start;
	client->input_start = 0;
}

/* One read: the rest of a payload goes straight where it belongs, and what follows into the input. Bytes read, 0 at the end, or a negative errno. */
static ssize_t
read_once(struct nbd_client *client)
{
	struct nbd_request *request = client->receiving;
	size_t direct = request ? request->header.length - client->received : 0;
	struct iovec vectors[2];
	size_t part;
	ssize_t got;

	make_room(client);
	vectors[0] = (struct iovec){request ? request->payload + client->received : NULL, direct};
	vectors[1] = (struct iovec){client->input + client->input_end, NBD_INPUT_ROOM - client->input_end};
	if (direct == 0 && vectors[1].iov_len == 0)
		return -EAGAIN;
	got = readv(client->fd, request ? vectors : vectors + 1, request ? 2 : 1);
	if (got <= 0)
		return got == 0 ? 0 : -errno;
	client->is_drained = (size_t)got < direct + vectors[1].iov_len;
	part = (size_t)got < direct ? (size_t)got : direct;
	client->received += part;
	client->input_end += (size_t)got - part;
	if (request && client->received == request->header.length)
		nbd_request_received(client);
	return got;
}

static void
read_input(struct nbd_client *client)
{
	ssize_t got = 1;

	client->is_drained = false;
	for (unsigned i = 0; i < READS_PER_TURN && got > 0 && !client->is_drained && wants_to_read(client); i++) {
		got = read_once(client);
		if (got > 0)
			take_input(client);
	}
	if (got == 0 && client->phase == NBD_LEAVING)
		return;
	if (got == 0)
		nbd_client_break(client, client->phase == NBD_TRANSMISSION && !client->receiving
					     ? NULL
					     : "it left in the middle of something");
	else if (got < 0 && got != -EAGAIN && got != -EINTR)
		nbd_client_break(client, strerror((int)-got));
}

static void
on_ready(struct watch *watch, uint32_t events)
{
	struct nbd_client *client = CONTAINER_OF(watch, struct nbd_client, watch);

	if (events & EPOLLOUT)
		client->is_blocked = false;
	if (client->phase < NBD_LEAVING && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		read_input(client);
	else if (events & (EPOLLHUP | EPOLLERR)) /* it left before its last answers were sent */
		nbd_client_break(client, NULL);
	if (events & (EPOLLHUP | EPOLLERR) && !wants_to_read(client))
		nbd_client_break(client, NULL);
	nbd_client_settle(client);
}

/* ---- the beginning ---- */

static void
on_deadline(struct timer *timer)
{
	nbd_client_break(CONTAINER_OF(timer, struct nbd_client, deadline), "it did not finish its handshake in time");
}

static int
begin(struct nbd_client *client)
{
	struct loop *loop = client->server->loop;
	uint8_t greeting[NBD_GREETING_LEN];
	int code;

	client->input = malloc(NBD_INPUT_ROOM);
	if (client->input == NULL)
		return -ENOMEM;
	nbd_greeting_encode(greeting);
	code = buffer_append(&client->handshake, greeting, sizeof greeting);
	if (code == 0)
		code = watch_start(loop, &client->watch, client->fd, EPOLLIN, on_ready);
	if (code == 0)
		timer_start(loop, &client->deadline, LIMIT_HANDSHAKE_MS * NS_PER_MS, on_deadline);
	return code;
}

void
nbd_client_new(struct nbd_server *server, int fd)
{
	struct nbd_client *client = calloc(1, sizeof *client);
	int code;

	if (client == NULL) {
		log_warning("an NBD client is closed: out of memory");
		close(fd);
		return;
	}
	client->server = server;
	client->fd = fd;
	client->replies_end = &client->replies;
	buffer_init(&client->handshake, HANDSHAKE_OUTPUT_MAX);
	client->next = server->clients;
	if (client->next)
		client->next->prev = client;
	server->clients = client;
	server->client_count++;
	code = begin(client);
	if (code < 0)
		nbd_client_break(client, strerror(-code));
	else
		nbd_client_settle(client);
}
