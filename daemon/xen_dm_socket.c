/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xen-dm: the socket at which libxl speaks QMP (frontend/qmp.h). One peer at a time, one command at a time; who sends too much, does not read its answer
 * or says nothing for a while is hung up on.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "daemon/xen_dm.h"

int
xen_dm_socket_open(const char *path, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int code;

	if (fd < 0)
		return error_errno(error, -errno, "cannot make a socket");
	if (path_print(address.sun_path, sizeof address.sun_path, "%s", path) < 0)
		return error_set(error, -ENAMETOOLONG, "the path of libxl's socket is too long: %s", path);
	/* Of a guest that had this number before. */
	unlink(path);
	mask = umask(0177);
	code = bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 4) < 0 ? -errno : 0;
	umask(mask);
	return code < 0 ? error_errno(error, code, "cannot listen at %s", path) : take_fd(&fd);
}

/* ---- one peer ---- */

static void
hang_up(struct xen_dm_socket *server)
{
	int fd = server->peer.fd;

	timer_stop(&server->silence);
	watch_stop(&server->peer);
	close(fd);
	watch_change(&server->listener, EPOLLIN);
}

static void
on_silence(struct timer *timer)
{
	hang_up(CONTAINER_OF(timer, struct xen_dm_socket, silence));
}

/* Takes `line`. An answer is much shorter than what a socket holds: a peer that has no room for it does not read. */
static bool
say(struct xen_dm_socket *server, char *line)
{
	AUTO_FREE char *owned = line;
	size_t length = owned ? strlen(owned) : 0;

	return owned && send(server->peer.fd, owned, length, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)length;
}

/* Each whole line is answered; the rest moves to the front. */
static bool
answer_lines(struct xen_dm_socket *server)
{
	char *end;

	while ((end = memchr(server->line, '\n', server->used)) != NULL) {
		size_t length = (size_t)(end - server->line);
		size_t text = length && end[-1] == '\r' ? length - 1 : length;

		if (text && !say(server, qmp_answer(&server->qmp, server->line, text)))
			return false;
		server->used -= length + 1;
		memmove(server->line, end + 1, server->used);
	}
	return server->used < sizeof server->line;
}

static void
on_peer(struct watch *watch, uint32_t events)
{
	struct xen_dm_socket *server = CONTAINER_OF(watch, struct xen_dm_socket, peer);
	ssize_t got = recv(watch->fd, server->line + server->used, sizeof server->line - server->used, MSG_DONTWAIT);

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		server->used += (size_t)got;
	if (got <= 0 || !answer_lines(server))
		hang_up(server);
	else
		timer_start(server->loop, &server->silence, XEN_DM_SILENT_MS * NS_PER_MS, on_silence);
}

static void
on_connect(struct watch *watch, uint32_t events)
{
	struct xen_dm_socket *server = CONTAINER_OF(watch, struct xen_dm_socket, listener);
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (watch_start(server->loop, &server->peer, fd, EPOLLIN, on_peer) < 0) {
		close(fd);
		return;
	}
	watch_change(&server->listener, 0);
	server->used = 0;
	server->qmp.negotiated = false;
	timer_start(server->loop, &server->silence, XEN_DM_SILENT_MS * NS_PER_MS, on_silence);
	if (!say(server, qmp_greeting()))
		hang_up(server);
}

int
xen_dm_socket_serve(
    struct xen_dm_socket *server, struct loop *loop, int listener, const char *guest, const char *refusal)
{
	server->loop = loop;
	server->qmp = (struct qmp){.guest = guest, .refusal = refusal};
	return watch_start(loop, &server->listener, listener, EPOLLIN, on_connect);
}

void
xen_dm_socket_stop(struct xen_dm_socket *server)
{
	if (server->peer.loop)
		hang_up(server);
	watch_stop(&server->listener);
}
