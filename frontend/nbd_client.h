/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the NBD server: one client. nbd.c is the server, nbd_client.c a client's life and its bytes, nbd_option.c the handshake, nbd_request.c
 * requests on their way to the backend, nbd_reply.c answers on their way to the client.
 *
 * A client is freed in one place only, at the end of a turn (nbd_client.c, on_turn_end), once nothing of it is in flight.
 */
#ifndef NETBUS_FRONTEND_NBD_CLIENT_H
#define NETBUS_FRONTEND_NBD_CLIENT_H

#include <stdbool.h>

#include "base/buffer.h"
#include "frontend/nbd.h"
#include "wire/limits.h"
#include "wire/nbd.h"

/* Requests and payload bytes of one client that are in flight or not yet answered; then we stop reading. */
#define NBD_REQUESTS_MAX      64
#define NBD_REQUEST_BYTES_MAX ((size_t)64 << 20)
/* Bytes of an option that is too long, which are read and dropped before it is refused; beyond that the client is closed. */
#define NBD_OPTION_SKIP_MAX ((uint32_t)1 << 20)
#define NBD_INPUT_ROOM      ((size_t)64 << 10)
/* Payload memory of requests that are over which a client keeps for its next ones. */
#define NBD_SPARE_BYTES_MAX ((size_t)8 << 20)

struct nbd_request;

/* A part of a request, as large as the backend takes. */
struct nbd_piece {
	struct io io;
	struct nbd_request *request;
};

struct nbd_request {
	struct nbd_client *client;
	struct nbd_request *next; /* of the answers that wait to be sent, or of the client's spare ones */
	struct nbd_request_header header;
	uint8_t *payload; /* READ, WRITE: `length` bytes of `memory` */
	int status;       /* of the first piece that failed */
	unsigned pieces_left;
	bool is_flushing; /* the flush after a TRIM with FUA */
	uint8_t reply[NBD_REPLY_HEADER_MAX];
	size_t reply_length, payload_length, sent;
	uint8_t *memory;     /* owned; stays with the request for the next one */
	size_t memory_room;  /* bytes of it */
	unsigned piece_room; /* of pieces[] */
	unsigned piece_count;
	struct nbd_piece pieces[];
};

enum nbd_phase {
	NBD_GREETED, /* our greeting is out; the client's flags are awaited */
	NBD_OPTIONS,
	NBD_TRANSMISSION,
	NBD_LEAVING, /* nothing is read any more; what is in flight is answered, then it is closed */
	NBD_DEAD,    /* nothing is read or sent any more */
};

struct nbd_client {
	struct nbd_server *server;
	struct nbd_client *next, *prev;
	int fd;
	struct watch watch;
	struct timer deadline; /* of the handshake */
	struct defer turn_end;
	enum nbd_phase phase;
	bool is_served; /* on_client() was called */
	bool no_zeroes, structured, has_allocation;
	struct backend *backend;

	uint8_t *input; /* NBD_INPUT_ROOM */
	size_t input_start, input_end;
	uint32_t skip; /* bytes of the input to drop: an option that is too long, or the payload of a refused WRITE */
	uint32_t skip_option;          /* the option to refuse behind them, or 0 */
	struct nbd_request *receiving; /* a WRITE whose payload is not here yet */
	size_t received;

	unsigned in_flight; /* requests that are not answered or not sent */
	size_t in_flight_bytes;
	struct nbd_request *spare; /* over, with their memory */
	size_t spare_bytes;
	unsigned submitted; /* pieces in this turn, for the backend's kick */
	unsigned in_backend;

	struct buffer handshake; /* to be sent before any reply */
	struct nbd_request *replies, **replies_end;
	bool is_blocked; /* the socket takes no more for now */
	bool is_drained; /* the last read brought less than there was room for: there is no more now */
};

struct nbd_server {
	struct loop *loop;
	int fd;
	struct watch watch;
	char *export_name;
	struct geometry geometry;
	const struct nbd_events *events;
	void *owner;
	struct nbd_client *clients;
	unsigned client_count;
	bool is_released; /* nothing new goes to a backend */
	bool is_ended;
};

/* ---- nbd_client.c ---- */
void nbd_client_new(struct nbd_server *server, int fd);
void nbd_client_free(struct nbd_client *client);
/* Nothing of it counts any more; freed once its pieces are back. `why` is for the log. */
void nbd_client_break(struct nbd_client *client, const char *why);
/* What is to be done at the end of this turn: kick, send, look whether it is over. */
void nbd_client_settle(struct nbd_client *client);

/* ---- nbd_option.c ---- */
/* Takes options from the input; 1 when one was taken, 0 when more bytes are needed or the phase is another. */
int nbd_option_take(struct nbd_client *client);
/* Refuses an option whose bytes were dropped. */
void nbd_option_refuse_long(struct nbd_client *client, uint32_t option);

/* ---- nbd_request.c ---- */
/* 1 when a request was taken, 0 when more bytes are needed or too much is in flight. */
int nbd_request_take(struct nbd_client *client);
/* The payload of client->receiving is complete. */
void nbd_request_received(struct nbd_client *client);
void nbd_request_free(struct nbd_request *request);
/* All that were kept for later. */
void nbd_spare_free(struct nbd_client *client);
bool nbd_client_is_full(const struct nbd_client *client);

/* ---- nbd_reply.c ---- */
/* Lays out the answer and queues it. */
void nbd_reply(struct nbd_request *request);
void nbd_send(struct nbd_client *client);
bool nbd_has_output(const struct nbd_client *client);

uint16_t nbd_transmission_flags(const struct geometry *geometry);

#endif
