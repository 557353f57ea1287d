/* SPDX-License-Identifier: Apache-2.0
 *
 * The NBD server: who may come, who is here, and the end (frontend/nbd.h). Runs in netbus-attach.
 */
#include "frontend/nbd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/log.h"
#include "frontend/nbd_client.h"

static void
on_listener(struct watch *watch, uint32_t events)
{
	struct nbd_server *server = CONTAINER_OF(watch, struct nbd_server, watch);
	int fd;

	(void)events;
	while ((fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (server->client_count >= LIMIT_NBD_CLIENTS) {
			log_warning(
			    "an NBD client is closed: %u are connected, which is the limit", server->client_count);
			close(fd);
			continue;
		}
		nbd_client_new(server, fd);
	}
	if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
		log_warning("an NBD client cannot be accepted: %s", strerror(errno));
}

struct nbd_server *
nbd_server_new(struct loop *loop, int listen_fd, const char *export_name, const struct geometry *geometry,
    const struct nbd_events *events, void *owner, struct error *error)
{
	struct nbd_server *server = calloc(1, sizeof *server);
	int code;

	if (server)
		server->export_name = strdup(export_name);
	if (server == NULL || server->export_name == NULL) {
		free(server);
		close(listen_fd);
		error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	server->loop = loop;
	server->fd = listen_fd;
	server->geometry = *geometry;
	server->events = events;
	server->owner = owner;
	code = watch_start(loop, &server->watch, listen_fd, EPOLLIN, on_listener);
	if (code < 0) {
		error_errno(error, code, "cannot watch the socket for NBD clients");
		nbd_server_free(server);
		return NULL;
	}
	return server;
}

static void
stop_listening(struct nbd_server *server)
{
	watch_stop(&server->watch);
	if (server->fd >= 0)
		close(take_fd(&server->fd));
}

void
nbd_server_free(struct nbd_server *server)
{
	stop_listening(server);
	while (server->clients)
		nbd_client_free(server->clients);
	free(server->export_name);
	free(server);
}

void
nbd_client_move(struct nbd_client *client, struct backend *backend)
{
	if (!client->server->is_ended)
		client->backend = backend;
}

void
nbd_server_drain(struct nbd_server *server)
{
	stop_listening(server);
	for (struct nbd_client *client = server->clients; client; client = client->next)
		if (client->phase < NBD_TRANSMISSION)
			nbd_client_break(client, "the device is being taken back");
}

void
nbd_server_release(struct nbd_server *server)
{
	nbd_server_drain(server);
	server->is_released = true;
}

void
nbd_server_end(struct nbd_server *server)
{
	if (server->is_ended)
		return;
	server->is_ended = true;
	stop_listening(server);
	for (struct nbd_client *client = server->clients; client; client = client->next) {
		client->backend = NULL;
		nbd_client_settle(client);
	}
}

unsigned
nbd_server_clients(const struct nbd_server *server)
{
	return server->client_count;
}
