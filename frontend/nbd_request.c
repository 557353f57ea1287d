/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of an NBD client: checked whole, then cut into pieces that the backend takes, then one answer (frontend/nbd_client.h).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/auto.h"
#include "frontend/nbd_client.h"

/* ---- requests and their memory: allocated once, then used again and again ---- */

void
nbd_request_free(struct nbd_request *request)
{
	struct nbd_client *client = request->client;

	client->in_flight--;
	if (request->payload)
		client->in_flight_bytes -= request->header.length;
	if (client->spare_bytes + request->memory_room > NBD_SPARE_BYTES_MAX) {
		free(TAKE(request->memory));
		request->memory_room = 0;
	}
	client->spare_bytes += request->memory_room;
	request->next = client->spare;
	client->spare = request;
}

void
nbd_spare_free(struct nbd_client *client)
{
	struct nbd_request *request;

	while ((request = client->spare) != NULL) {
		client->spare = request->next;
		free(request->memory);
		free(request);
	}
	client->spare_bytes = 0;
}

/* One with room for so many pieces, everything else of it zero. */
static struct nbd_request *
take_spare(struct nbd_client *client, unsigned pieces)
{
	struct nbd_request *request = client->spare;
	uint8_t *memory = NULL;
	size_t memory_room = 0;

	if (request != NULL) {
		client->spare = request->next;
		client->spare_bytes -= request->memory_room;
		memory = request->memory;
		memory_room = request->memory_room;
	}
	if (request == NULL || request->piece_room < pieces) {
		free(request);
		request = malloc(sizeof *request + pieces * sizeof request->pieces[0]);
		if (request == NULL) {
			free(memory);
			return NULL;
		}
		request->piece_room = pieces;
	}
	*request =
	    (struct nbd_request){.memory = memory, .memory_room = memory_room, .piece_room = request->piece_room};
	return request;
}

static bool
give_memory(struct nbd_request *request, size_t length)
{
	if (request->memory_room < length) {
		/* What was in it is of no use: no realloc(3), which would copy. */
		free(request->memory);
		request->memory = malloc(length);
		request->memory_room = request->memory ? length : 0;
	}
	request->payload = request->memory;
	return request->payload != NULL;
}

bool
nbd_client_is_full(const struct nbd_client *client)
{
	return client->in_flight >= NBD_REQUESTS_MAX || client->in_flight_bytes >= NBD_REQUEST_BYTES_MAX;
}

/* ---- to the backend ---- */

static void piece_done(struct io *io);

static void
submit(struct nbd_piece *piece)
{
	struct nbd_client *client = piece->request->client;

	client->in_backend++;
	client->submitted++;
	io_submit(client->backend, &piece->io);
}

/* TRIM with FUA: no backend has it as one operation. */
static void
flush_behind(struct nbd_request *request)
{
	request->is_flushing = true;
	request->pieces_left = 1;
	request->pieces[0].io = (struct io){.op = IO_FLUSH, .on_done = piece_done};
	submit(&request->pieces[0]);
	nbd_client_settle(request->client);
}

static bool
needs_flush_behind(const struct nbd_request *request)
{
	return request->header.command == NBD_CMD_TRIM && (request->header.flags & NBD_CMD_FLAG_FUA) &&
	       !request->is_flushing && request->status == 0;
}

static void
piece_done(struct io *io)
{
	struct nbd_piece *piece = CONTAINER_OF(io, struct nbd_piece, io);
	struct nbd_request *request = piece->request;
	struct nbd_client *client = request->client;

	client->in_backend--;
	if (io->status < 0 && request->status == 0)
		request->status = io->status;
	if (--request->pieces_left > 0)
		return;
	if (needs_flush_behind(request) && client->backend) {
		flush_behind(request);
	} else {
		if (needs_flush_behind(request)) /* and nobody is there for it */
			request->status = -ESHUTDOWN;
		nbd_reply(request);
	}
	nbd_client_settle(client); /* it may be over now */
}

static void
submit_all(struct nbd_request *request)
{
	unsigned count = request->piece_count;

	request->pieces_left = count;
	/* No piece completes before the last was submitted (backend.h). */
	for (unsigned i = 0; i < count; i++)
		submit(&request->pieces[i]);
}

static void
pass_on(struct nbd_request *request)
{
	if (request->client->backend == NULL || request->client->server->is_released)
		request->status = -ESHUTDOWN;
	if (request->status < 0 || request->piece_count == 0)
		nbd_reply(request);
	else
		submit_all(request);
}

/* ---- from the client ---- */

static uint32_t
most_of_piece(const struct geometry *geometry, uint16_t command)
{
	uint32_t most =
	    command == NBD_CMD_READ || command == NBD_CMD_WRITE ? geometry->most_payload : geometry->most_range;

	return most - most % geometry->logical_block;
}

static bool
is_moving(uint16_t command)
{
	return command == NBD_CMD_READ || command == NBD_CMD_WRITE;
}

static unsigned
count_pieces(const struct geometry *geometry, const struct nbd_request_header *header)
{
	uint32_t most = most_of_piece(geometry, header->command);

	switch (header->command) {
	case NBD_CMD_FLUSH:
		return 1;
	case NBD_CMD_READ:
	case NBD_CMD_WRITE:
	case NBD_CMD_TRIM:
	case NBD_CMD_WRITE_ZEROES:
		return header->length / most + (header->length % most != 0);
	default:
		return 0;
	}
}

static enum io_op
op_of(uint16_t command)
{
	static const enum io_op ops[] = {
	    [NBD_CMD_READ] = IO_READ,
	    [NBD_CMD_WRITE] = IO_WRITE,
	    [NBD_CMD_FLUSH] = IO_FLUSH,
	    [NBD_CMD_TRIM] = IO_DISCARD,
	    [NBD_CMD_WRITE_ZEROES] = IO_WRITE_ZEROES,
	};

	return ops[command];
}

static unsigned
flags_of(const struct nbd_request_header *header)
{
	unsigned flags = 0;

	if ((header->flags & NBD_CMD_FLAG_FUA) &&
	    (header->command == NBD_CMD_WRITE || header->command == NBD_CMD_WRITE_ZEROES))
		flags |= IO_FUA;
	if ((header->flags & NBD_CMD_FLAG_NO_HOLE) && header->command == NBD_CMD_WRITE_ZEROES)
		flags |= IO_NO_HOLE;
	return flags;
}

/* Lays the pieces out and holds each against the geometry. 0, or the error to answer. */
static int
cut(struct nbd_request *request, const struct geometry *geometry)
{
	const struct nbd_request_header *header = &request->header;
	uint32_t most = most_of_piece(geometry, header->command), done = 0;
	int code = 0;

	for (unsigned i = 0; i < request->piece_count && code == 0; i++) {
		struct nbd_piece *piece = &request->pieces[i];
		uint32_t length = header->length - done < most ? header->length - done : most;

		piece->request = request;
		piece->io = (struct io){
		    .op = op_of(header->command),
		    .flags = flags_of(header),
		    .offset = header->offset + done,
		    .length = length,
		    .buffer = request->payload ? request->payload + done : NULL,
		    .on_done = piece_done,
		};
		code = io_check(geometry, &piece->io);
		done += length;
	}
	return code;
}

/* What no piece shows. NBD_CMD_FLAG_FUA is allowed everywhere (doc/proto.md, "Command flags"). */
static int
check_header(const struct nbd_client *client, const struct nbd_request_header *header)
{
	static const uint16_t allowed[] = {
	    [NBD_CMD_READ] = NBD_CMD_FLAG_DF,
	    [NBD_CMD_WRITE] = 0,
	    [NBD_CMD_DISC] = 0,
	    [NBD_CMD_FLUSH] = 0,
	    [NBD_CMD_TRIM] = 0,
	    [NBD_CMD_CACHE] = 0,
	    [NBD_CMD_WRITE_ZEROES] = NBD_CMD_FLAG_NO_HOLE,
	    [NBD_CMD_BLOCK_STATUS] = NBD_CMD_FLAG_REQ_ONE,
	};
	const struct geometry *geometry = &client->server->geometry;

	if (header->command >= ARRAY_LENGTH(allowed) || header->command == NBD_CMD_CACHE)
		return -EINVAL;
	if (header->flags &
	    ~(allowed[header->command] | NBD_CMD_FLAG_FUA)) /* with it FAST_ZERO, which is not offered */
		return -EINVAL;
	if (header->command == NBD_CMD_FLUSH)
		return header->offset == 0 && header->length == 0 ? 0 : -EINVAL;
	if (is_moving(header->command) && header->length > LIMIT_NBD_REQUEST)
		return -EOVERFLOW;
	if (header->length == 0 || header->offset > geometry->size || header->length > geometry->size - header->offset)
		return header->command == NBD_CMD_WRITE || header->command == NBD_CMD_WRITE_ZEROES ? -ENOSPC : -EINVAL;
	if (header->command == NBD_CMD_BLOCK_STATUS && !client->has_allocation)
		return -EINVAL;
	return 0;
}

static struct nbd_request *
request_new(struct nbd_client *client, const struct nbd_request_header *header, int status)
{
	unsigned pieces = status < 0 ? 0 : count_pieces(&client->server->geometry, header);
	struct nbd_request *request = take_spare(client, pieces);

	if (request == NULL)
		return NULL;
	request->client = client;
	request->header = *header;
	request->status = status;
	request->piece_count = pieces;
	if (status == 0 && is_moving(header->command)) {
		if (!give_memory(request, header->length)) {
			free(request);
			return NULL;
		}
		client->in_flight_bytes += header->length;
	}
	client->in_flight++;
	if (status == 0)
		request->status = cut(request, &client->server->geometry);
	return request;
}

void
nbd_request_received(struct nbd_client *client)
{
	pass_on(TAKE(client->receiving));
}

/* A WRITE brings its payload, also when it is refused. */
static void
begin_write(struct nbd_client *client, struct nbd_request *request)
{
	if (request->payload) {
		client->receiving = request;
		client->received = 0;
		return;
	}
	client->skip = request->header.length;
	nbd_reply(request);
}

int
nbd_request_take(struct nbd_client *client)
{
	struct nbd_request_header header;
	struct nbd_request *request;

	if (client->input_end - client->input_start < NBD_REQUEST_LEN || nbd_client_is_full(client))
		return 0;
	if (nbd_request_decode(client->input + client->input_start, &header) < 0) {
		nbd_client_break(client, "it sent what is no NBD request");
		return 0;
	}
	client->input_start += NBD_REQUEST_LEN;
	if (header.command == NBD_CMD_DISC) {
		client->phase = NBD_LEAVING;
		nbd_client_settle(client);
		return 0;
	}
	if (header.command == NBD_CMD_WRITE && header.length > LIMIT_NBD_REQUEST) {
		nbd_client_break(client, "it sent a WRITE that is larger than the maximum block size");
		return 0;
	}
	request = request_new(client, &header, check_header(client, &header));
	if (request == NULL) {
		nbd_client_break(client, "out of memory");
		return 0;
	}
	if (header.command == NBD_CMD_WRITE)
		begin_write(client, request);
	else
		pass_on(request);
	return 1;
}
