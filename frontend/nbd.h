/* SPDX-License-Identifier: Apache-2.0
 *
 * The NBD server that faces a guest or a stock client on a unix socket (NetworkBlockDevice/nbd doc/proto.md): fixed newstyle,
 * NBD_OPT_{EXPORT_NAME,ABORT,LIST,INFO,GO,STRUCTURED_REPLY,LIST_META_CONTEXT,SET_META_CONTEXT}, structured replies, block sizes, multi-conn, read, write, flush, FUA,
 * trim, write zeroes (with NO_HOLE and FAST_ZERO refused correctly), cache as a no-op where advertised, and block status for base:allocation.
 *
 * Runs in netbus-attach. Everything from a client is hostile. A request is checked whole before anything happens. Requests larger than the backend's
 * payload are split; reads complete as one reply.
 */
#ifndef NETBUS_FRONTEND_NBD_H
#define NETBUS_FRONTEND_NBD_H

#include "backend/backend.h"

struct nbd_server;
struct nbd_client;

struct nbd_events {
	/* A client finished its handshake: which backend serves it? Not NULL. */
	struct backend *(*on_client)(void *owner, struct nbd_client *client);
	void (*on_client_gone)(void *owner, struct nbd_client *client);
};

/* `export_name` is what clients may ask for beside "" (the share). Takes listen_fd over. `geometry` is copied. */
struct nbd_server *nbd_server_new(struct loop *loop, int listen_fd, const char *export_name,
    const struct geometry *geometry, const struct nbd_events *events, void *owner, struct error *error);
/* Ends all clients; their requests in flight must have completed (close the backends before). */
void nbd_server_free(struct nbd_server *server);

/* New requests go to `backend` from now on. */
void nbd_client_move(struct nbd_client *client, struct backend *backend);
/* Nobody new: the socket closes, and with it who has not finished its handshake. */
void nbd_server_drain(struct nbd_server *server);
/* The device is about to go: nobody new, and new requests are answered with ESHUTDOWN; those that a backend has are answered as it says. */
void nbd_server_release(struct nbd_server *server);
/* The device is gone: waiting and new requests are answered with ESHUTDOWN, then clients are closed; no new clients. */
void nbd_server_end(struct nbd_server *server);
unsigned nbd_server_clients(const struct nbd_server *server);

#endif
