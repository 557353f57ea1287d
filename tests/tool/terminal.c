/* SPDX-License-Identifier: Apache-2.0
 *
 * terminal ROWS COLUMNS COMMAND [ARGUMENT...]: runs a command at a terminal of that size, for tests of what redraws in place. Standard input says what
 * happens there, a line each:
 *
 *   expect TEXT        until the command has written TEXT, after what was expected before
 *   type TEXT          on the keyboard
 *   size ROWS COLUMNS  somebody resizes the window
 *   signal NUMBER      to the command
 *   end CODE           until the command has ended, with that exit code; the terminal must be as it was found
 *
 * What the command wrote goes to standard output. Exit code 0 if all came so, 1 if not, with a sentence on standard error. Waits are for output.
 */
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <utmp.h>

#define PATIENCE_MS 30000
#define OUTPUT_MOST (1u << 20)

static struct {
	int master, slave;
	pid_t child;
	char output[OUTPUT_MOST];
	size_t used, expected; /* behind what was expected last */
	struct termios found;
} terminal;

static void
give_up(const char *what, const char *detail)
{
	fflush(stdout);
	fprintf(stderr, "terminal: %s%s\n", what, detail);
	if (terminal.child > 0)
		kill(terminal.child, SIGKILL);
	exit(1);
}

/* Some output more; false when none came in time, or no more can come. */
static bool
hear(int patience_ms)
{
	struct pollfd poller = {.fd = terminal.master, .events = POLLIN};
	ssize_t got;

	if (terminal.used == OUTPUT_MOST || poll(&poller, 1, patience_ms) <= 0)
		return false;
	got = read(terminal.master, terminal.output + terminal.used, OUTPUT_MOST - terminal.used);
	if (got <= 0)
		return false;
	fwrite(terminal.output + terminal.used, 1, (size_t)got, stdout);
	fflush(stdout); /* somebody may wait for it */
	terminal.used += (size_t)got;
	return true;
}

static long
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* However much else is written meanwhile. */
static void
expect(const char *text)
{
	long deadline = now_ms() + PATIENCE_MS;
	const char *found;

	while ((found = memmem(terminal.output + terminal.expected, terminal.used - terminal.expected, text,
		    strlen(text))) == NULL) {
		long left = deadline - now_ms();

		if (left <= 0 || !hear((int)left))
			give_up("was not written: ", text);
	}
	terminal.expected = (size_t)(found - terminal.output) + strlen(text);
}

static void
resize(const char *size)
{
	struct winsize window = {0};

	if (sscanf(size, "%hu %hu", &window.ws_row, &window.ws_col) != 2 ||
	    ioctl(terminal.master, TIOCSWINSZ, &window) < 0)
		give_up("no size: ", size);
}

/* The other end is open here too, so that what was written last can be read, and the modes be looked at. */
static void
end(const char *code)
{
	struct termios now;
	int status = 0, waited = 0;

	while (waitpid(terminal.child, &status, WNOHANG) == 0)
		if (!hear(100) && ++waited > PATIENCE_MS / 100)
			give_up("the command does not end", "");
	terminal.child = 0;
	while (hear(0))
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != strtol(code, NULL, 10))
		give_up("another exit code than ", code);
	if (tcgetattr(terminal.slave, &now) < 0 || now.c_lflag != terminal.found.c_lflag)
		give_up("the terminal is not as it was found", "");
}

static void
act(char *line)
{
	char *argument = strchr(line, ' ');

	line[strcspn(line, "\n")] = '\0';
	argument = argument ? argument + 1 : line + strlen(line);
	if (strncmp(line, "expect ", 7) == 0)
		expect(argument);
	else if (strncmp(line, "type ", 5) == 0 && write(terminal.master, argument, strlen(argument)) > 0)
		return;
	else if (strncmp(line, "size ", 5) == 0)
		resize(argument);
	else if (strncmp(line, "signal ", 7) == 0)
		kill(terminal.child, (int)strtol(argument, NULL, 10));
	else if (strncmp(line, "end ", 4) == 0)
		end(argument);
	else
		give_up("what is ", line);
}

int
main(int argc, char **argv)
{
	struct winsize window = {0};
	char line[1024];

	if (argc < 4 || sscanf(argv[1], "%hu", &window.ws_row) != 1 || sscanf(argv[2], "%hu", &window.ws_col) != 1) {
		fprintf(stderr, "usage: terminal ROWS COLUMNS COMMAND [ARGUMENT...]\n");
		return 2;
	}
	if (openpty(&terminal.master, &terminal.slave, NULL, NULL, &window) < 0 ||
	    tcgetattr(terminal.slave, &terminal.found) < 0)
		give_up("no terminal", "");
	terminal.child = fork();
	if (terminal.child == 0) {
		close(terminal.master);
		login_tty(terminal.slave);
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	while (fgets(line, sizeof line, stdin))
		act(line);
	if (terminal.child > 0)
		give_up("the command was not waited for", "");
	return 0;
}
