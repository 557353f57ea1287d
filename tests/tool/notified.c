/* SPDX-License-Identifier: Apache-2.0
 *
 * notified COMMAND...: what a supervisor of Type=notify would see. Runs the command with a NOTIFY_SOCKET, prints each notification, sends SIGTERM
 * after READY=1, and exits with the command's exit code.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
	struct sockaddr_un self = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 30};
	char directory[] = "/tmp/netbus-notify.XXXXXX", text[512];
	int socket_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), status = 1;
	bool stopping = false;
	pid_t child;

	if (argc < 2 || mkdtemp(directory) == NULL || socket_fd < 0)
		return 2;
	snprintf(self.sun_path, sizeof self.sun_path, "%s/s", directory);
	if (bind(socket_fd, (struct sockaddr *)&self, sizeof self) != 0)
		return 2;
	setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setenv("NOTIFY_SOCKET", self.sun_path, 1);
	child = fork();
	if (child == 0) {
		execv(argv[1], argv + 1);
		_exit(127);
	}
	while (!stopping) {
		ssize_t got = recv(socket_fd, text, sizeof text - 1, 0);

		if (got <= 0)
			break;
		text[got] = 0;
		printf("%s\n", text);
		fflush(stdout);
		if (strncmp(text, "READY=1", 7) == 0)
			kill(child, SIGTERM);
		stopping = strstr(text, "STOPPING=1") != NULL;
	}
	if (!stopping)
		kill(child, SIGKILL);
	waitpid(child, &status, 0);
	unlink(self.sun_path);
	rmdir(directory);
	return WIFEXITED(status) && stopping ? WEXITSTATUS(status) : 1;
}
