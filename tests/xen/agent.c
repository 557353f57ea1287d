/* SPDX-License-Identifier: Apache-2.0
 *
 * agent serve LINE                      runs what commands arrive on LINE, for ever; in a machine or guest of tests/xen
 * agent run LINE SECONDS COMMAND        has the agent at the other end of LINE run COMMAND; its output, its exit code; 124 when it took longer
 * agent greet LINE SECONDS              waits until an agent answers there
 * agent await PATH SECONDS [WORD]       waits until PATH is there, and has a line with WORD
 * agent gone PATH SECONDS               waits until PATH is not there
 *
 * LINE is a terminal (a serial line, a Xen console) or the unix socket of an emulated serial line. Kernels write on these lines too, so a message is a line
 * of its own, "@VERB ID ...", with its payload in base64, and what is no message is passed over. Output that was lost on the way is an error:
 *     @run ID SECONDS COMMAND    @ping ID    @out ID BYTES    @end ID CODE COUNT (of the bytes in all @out)
 * Only these tests talk to it. Static, so that it runs in each file system.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "tests/xen/now.h"

#define LINE_MOST  (1u << 18) /* bytes of a message, with its payload in base64 */
#define PIECE      3000       /* bytes of output in one @out */
#define PING_EVERY 500        /* ms */
#define TIMED_OUT  124
#define NO_ANSWER  255

__attribute__((noreturn, format(printf, 1, 2))) static void
give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	fputs("agent: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
	va_end(arguments);
	exit(NO_ANSWER);
}

/* ---- deadlines, in ms ---- */

static int
left_until(int64_t deadline)
{
	int64_t left = deadline - now_ms();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int64_t
deadline_in(const char *seconds)
{
	return now_ms() + strtol(seconds, NULL, 10) * INT64_C(1000);
}

/* ---- base64 (RFC 4648 section 4) ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Room for 4 characters of each 3 bytes begun, and the NUL. */
static void
base64_print(const uint8_t *bytes, size_t count, char *text)
{
	for (size_t i = 0; i < count; i += 3) {
		size_t have = count - i < 3 ? count - i : 3;
		unsigned group = (unsigned)bytes[i] << 16;

		if (have > 1)
			group |= (unsigned)bytes[i + 1] << 8;
		if (have > 2)
			group |= bytes[i + 2];
		*text++ = digits[group >> 18];
		*text++ = digits[group >> 12 & 63];
		*text++ = have > 1 ? digits[group >> 6 & 63] : '=';
		*text++ = have > 2 ? digits[group & 63] : '=';
	}
	*text = '\0';
}

/* The count of bytes, or -1; room for 3 of each 4 characters. */
static ssize_t
base64_parse(const char *text, uint8_t *bytes)
{
	uint8_t *at = bytes;
	unsigned group = 0, have = 0;

	for (; *text != '\0' && *text != '='; text++) {
		const char *digit = strchr(digits, *text);

		if (digit == NULL)
			return -1;
		group = group << 6 | (unsigned)(digit - digits);
		if (++have % 4 != 0)
			continue;
		*at++ = (uint8_t)(group >> 16);
		*at++ = (uint8_t)(group >> 8);
		*at++ = (uint8_t)group;
	}
	if (have % 4 >= 2)
		*at++ = (uint8_t)(group >> (have % 4 == 2 ? 4 : 10));
	if (have % 4 == 3)
		*at++ = (uint8_t)(group >> 2);
	return at - bytes;
}

/* ---- the line ---- */

struct line {
	int fd;
	size_t used, taken; /* bytes in `text`, and of these the ones of the message given last */
	char text[LINE_MOST];
};

static int
open_socket(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
		give_up("cannot connect to %s: %s", path, strerror(errno));
	return fd;
}

static void
line_open(struct line *line, const char *path)
{
	struct termios raw;

	line->fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (line->fd < 0 && errno == ENXIO)
		line->fd = open_socket(path);
	if (line->fd < 0)
		give_up("cannot open %s: %s", path, strerror(errno));
	if (tcgetattr(line->fd, &raw) != 0)
		return;
	cfmakeraw(&raw);
	raw.c_cflag |= CLOCAL;
	cfsetspeed(&raw, B115200);
	tcsetattr(line->fd, TCSANOW, &raw);
}

static void
line_write(const struct line *line, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t written = write(line->fd, text, length);

		if (written < 0 && errno == EAGAIN)
			poll(&(struct pollfd){line->fd, POLLOUT, 0}, 1, PING_EVERY);
		else if (written < 0 && errno != EINTR)
			give_up("cannot write to the line: %s", strerror(errno));
		else if (written > 0)
			text += written, length -= (size_t)written;
	}
}

/* One message; a newline before it ends what somebody else began. */
__attribute__((format(printf, 2, 3))) static void
line_say(const struct line *line, const char *format, ...)
{
	static char text[LINE_MOST];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof text - 1, format, arguments);
	va_end(arguments);
	if (length < 0 || (size_t)length >= sizeof text - 1)
		give_up("a message of %d bytes is too long", length);
	text[length] = '\n';
	line_write(line, "\n", 1);
	line_write(line, text, (size_t)length + 1);
}

/* What has arrived and was not looked at; NULL when that has no whole line. */
static char *
line_buffered(struct line *line)
{
	char *end;

	memmove(line->text, line->text + line->taken, line->used -= line->taken);
	line->taken = 0;
	end = memchr(line->text, '\n', line->used);
	if (end == NULL)
		return NULL;
	line->taken = (size_t)(end - line->text) + 1;
	*end = '\0';
	line->text[strcspn(line->text, "\r")] = '\0';
	return line->text;
}

/* The next line's message, from its '@' on; NULL at the deadline. */
static char *
line_next(struct line *line, int64_t deadline)
{
	for (;;) {
		char *text = line_buffered(line);
		char *message = text != NULL ? strchr(text, '@') : NULL;
		ssize_t got;

		if (message != NULL)
			return message;
		if (text != NULL)
			continue;
		if (line->used == sizeof line->text) /* noise */
			line->used = 0;
		if (poll(&(struct pollfd){line->fd, POLLIN, 0}, 1, left_until(deadline)) <= 0 && now_ms() >= deadline)
			return NULL;
		got = read(line->fd, line->text + line->used, sizeof line->text - line->used);
		if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN))
			give_up("the line was closed");
		line->used += got > 0 ? (size_t)got : 0;
	}
}

/* ---- serve ---- */

struct command {
	pid_t pid;
	int output, ended; /* a pipe; a pidfd */
	unsigned long sent;
};

__attribute__((noreturn)) static void
become_shell(const char *text, int output)
{
	int nothing = open("/dev/null", O_RDONLY);

	setsid();
	dup2(nothing, STDIN_FILENO);
	dup2(output, STDOUT_FILENO);
	dup2(output, STDERR_FILENO);
	execl("/bin/sh", "sh", "-c", text, (char *)NULL);
	_exit(127);
}

static void
command_start(struct command *command, const char *text)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		give_up("no pipe: %s", strerror(errno));
	fcntl(ends[1], F_SETFL, 0);
	command->pid = fork();
	if (command->pid == 0)
		become_shell(text, ends[1]);
	if (command->pid < 0)
		give_up("no process: %s", strerror(errno));
	close(ends[1]);
	command->output = ends[0];
	command->ended = (int)syscall(SYS_pidfd_open, command->pid, 0);
	command->sent = 0;
}

/* Passes on what is in the pipe; false at its end. */
static bool
command_pass(struct command *command, const struct line *line, const char *id)
{
	uint8_t bytes[PIECE];
	char text[PIECE / 3 * 4 + 8];
	ssize_t got = read(command->output, bytes, sizeof bytes);

	if (got <= 0)
		return got < 0 && errno == EINTR;
	base64_print(bytes, (size_t)got, text);
	line_say(line, "@out %s %s", id, text);
	command->sent += (size_t)got;
	return true;
}

/* The end is the end of the shell, and all that it wrote until then: a daemon that it left behind may hold the pipe for ever. */
static int
command_end(struct command *command, const struct line *line, const char *id, int64_t deadline)
{
	struct pollfd wait[] = {{command->output, POLLIN, 0}, {command->ended, POLLIN, 0}};
	bool late = false;
	int status;

	while (wait[1].revents == 0) {
		if (poll(wait, 2, late ? -1 : left_until(deadline)) == 0) {
			late = true;
			kill(-command->pid, SIGKILL);
		} else if (wait[0].revents != 0 && !command_pass(command, line, id)) {
			wait[0].fd = -1;
		}
	}
	while (command_pass(command, line, id))
		;
	waitpid(command->pid, &status, 0);
	close(command->output);
	close(command->ended);
	return late ? TIMED_OUT : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
answer_run(const struct line *line, const char *id, unsigned seconds, const char *payload)
{
	static uint8_t text[LINE_MOST];
	struct command command;
	ssize_t length = base64_parse(payload, text);
	int code;

	if (length < 0)
		return;
	text[length] = '\0';
	command_start(&command, (const char *)text);
	code = command_end(&command, line, id, now_ms() + seconds * INT64_C(1000));
	line_say(line, "@end %s %d %lu", id, code, command.sent);
	while (waitpid(-1, NULL, WNOHANG) > 0) /* init's children */
		;
}

__attribute__((noreturn)) static void
serve(struct line *line)
{
	static char payload[LINE_MOST];
	char id[64];
	unsigned seconds;

	for (;;) {
		const char *message = line_next(line, INT64_MAX);

		if (message == NULL)
			continue;
		if (sscanf(message, "@ping %63s", id) == 1)
			line_say(line, "@end %s 0 0", id);
		else if (sscanf(message, "@run %63s %u %262143s", id, &seconds, payload) == 3)
			answer_run(line, id, seconds, payload);
	}
}

/* ---- the other end ---- */

/* The exit code that came back for `id`; what was put out is written. -1: nothing until the deadline. */
static int
collect(struct line *line, const char *id, int64_t deadline)
{
	static char payload[LINE_MOST];
	static uint8_t bytes[LINE_MOST];
	unsigned long count, have = 0;
	char whose[64];
	char *message;
	int code;

	while ((message = line_next(line, deadline)) != NULL) {
		if (sscanf(message, "@out %63s %262143s", whose, payload) == 2 && strcmp(whose, id) == 0) {
			ssize_t length = base64_parse(payload, bytes);

			if (length > 0)
				have += fwrite(bytes, 1, (size_t)length, stdout);
		} else if (sscanf(message, "@end %63s %d %lu", whose, &code, &count) == 3 && strcmp(whose, id) == 0) {
			fflush(stdout);
			if (have != count)
				give_up("%lu of %lu bytes of output came back", have, count);
			return code;
		}
	}
	return -1;
}

static void
new_id(char *id, size_t room)
{
	snprintf(id, room, "%d.%ld", getpid(), (long)now_ms());
}

/* The other end keeps the deadline; here it has some seconds more, to say so. */
static int
run(struct line *line, const char *seconds, const char *text)
{
	static char payload[LINE_MOST];
	char id[64];
	int code;

	if (strlen(text) > (LINE_MOST - 128) / 4 * 3)
		give_up("the command is too long");
	new_id(id, sizeof id);
	base64_print((const uint8_t *)text, strlen(text), payload);
	line_say(line, "@run %s %s %s", id, seconds, payload);
	code = collect(line, id, deadline_in(seconds) + 10000);
	if (code < 0)
		give_up("no answer in %s s", seconds);
	return code;
}

static int
greet(struct line *line, const char *seconds)
{
	int64_t deadline = deadline_in(seconds);
	char id[64];

	new_id(id, sizeof id);
	while (now_ms() < deadline) {
		int64_t again = now_ms() + PING_EVERY;

		line_say(line, "@ping %s", id);
		if (collect(line, id, again < deadline ? again : deadline) == 0)
			return 0;
	}
	give_up("no answer in %s s", seconds);
}

/* ---- files ---- */

static bool
has_word(const char *path, const char *word)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	size_t room = 0;
	bool found = false;

	while (file != NULL && !found && getline(&text, &room, file) >= 0)
		found = strstr(text, word) != NULL;
	free(text);
	if (file != NULL)
		fclose(file);
	return found;
}

static bool
holds(const char *path, const char *word, bool there)
{
	return word != NULL ? has_word(path, word) : (access(path, F_OK) == 0) == there;
}

/* Watches the directory, which has to be there, and so all files in it. */
static int
await(const char *path, const char *seconds, const char *word, bool there)
{
	int64_t deadline = deadline_in(seconds);
	int fd = inotify_init1(IN_CLOEXEC);
	char directory[PATH_MAX], events[4096];
	char *slash;

	snprintf(directory, sizeof directory, "%s", path);
	slash = strrchr(directory, '/');
	if (slash == NULL || slash == directory)
		give_up("'%s' is not of the form /DIRECTORY/NAME", path);
	*slash = '\0';
	if (inotify_add_watch(fd, directory, IN_CREATE | IN_DELETE | IN_MOVE | IN_MODIFY) < 0)
		give_up("cannot watch %s: %s", directory, strerror(errno));
	while (!holds(path, word, there)) {
		if (poll(&(struct pollfd){fd, POLLIN, 0}, 1, left_until(deadline)) == 0)
			return TIMED_OUT;
		if (read(fd, events, sizeof events) < 0 && errno != EINTR)
			give_up("cannot watch %s: %s", directory, strerror(errno));
	}
	return 0;
}

int
main(int argc, char **argv)
{
	static struct line line;
	const char *verb = argc >= 3 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (strcmp(verb, "await") == 0 && (argc == 4 || argc == 5))
		return await(argv[2], argv[3], argv[4], true);
	if (strcmp(verb, "gone") == 0 && argc == 4)
		return await(argv[2], argv[3], NULL, false);
	if (argc >= 3)
		line_open(&line, argv[2]);
	if (strcmp(verb, "serve") == 0 && argc == 3)
		serve(&line);
	if (strcmp(verb, "run") == 0 && argc == 5)
		return run(&line, argv[3], argv[4]);
	if (strcmp(verb, "greet") == 0 && argc == 4)
		return greet(&line, argv[3]);
	give_up("usage: agent serve LINE | run LINE SECONDS COMMAND | greet LINE SECONDS | await PATH SECONDS [WORD] | "
		"gone PATH SECONDS");
}
