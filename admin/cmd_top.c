/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin top: what leases do right now, from two answers of the broker and the time between them. On a terminal it draws again and again until q is
 * typed; otherwise, with --once and with --json it tells one interval. Rates and lines are made in top.c.
 */
#include "admin/admin.h"
#include "admin/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"

#define INTERVAL_US       UINT64_C(2000000)
#define INTERVAL_LEAST_US UINT64_C(100000)
#define INTERVAL_MOST_US  UINT64_C(3600000000)
#define HEIGHT_DEFAULT    24
#define CLEAR_LINE        "\033[K"
#define LINES_AROUND      2 /* the summary and the titles */

struct top {
	struct admin *admin;
	uint64_t interval_us;
	enum top_order order;
	struct top_sample before, now; /* their leases are owned */
	struct top_rate *rates;        /* owned; now.count */
	/* while it draws on a terminal */
	int signals;
	struct termios as_it_was;
};

/* ---- samples ---- */

static void
take_lease(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct top_sample *sample = asking->context;
	struct top_lease *lease;
	json_t *object, *held;

	if (number != ADMIN_ROW_LEASE)
		return;
	sample->leases = verb_memory(reallocarray(sample->leases, sample->count + 1, sizeof *sample->leases));
	lease = &sample->leases[sample->count++];
	*lease = (struct top_lease){.row = body->row_lease};
	/* By its name, since not every version has limits. */
	object = output_object(&admin_row(number)->type, body);
	held = json_object_get(object, "held");
	lease->has_held = held != NULL;
	lease->held = (uint64_t)json_integer_value(held);
	json_decref(object);
}

/* What was now is before, and now is asked for. 0, or an exit code with a sentence. */
static int
ask_again(struct top *top, struct error *error)
{
	struct asking asking = {.take = take_lease, .context = &top->now};
	int code;

	free(top->before.leases);
	top->before = top->now;
	top->now = (struct top_sample){0};
	code = client_ask_quietly(top->admin, ADMIN_GET_LEASES, &(struct msg_get_leases){0}, &asking, error);
	top->now.at_ns = clock_monotonic_ns();
	top->now.wall_us = clock_wall_us();
	if (code != ADMIN_OK && error->code == 0)
		error_set(error, -EACCES, "%s", asking.done.text);
	if (code != ADMIN_OK)
		return code;
	top->rates = verb_memory(reallocarray(top->rates, top->now.count + 1, sizeof *top->rates));
	top_rates(&top->before, &top->now, top->order, top->rates);
	return 0;
}

/* ---- once ---- */

/* Nothing is waited for but the time. */
static void
wait_until(uint64_t deadline_ns)
{
	for (uint64_t now; (now = clock_monotonic_ns()) < deadline_ns;)
		poll(NULL, 0, (int)((deadline_ns - now + 999999) / 1000000));
}

/* Whole ones a second: what is behind the point says nothing of an interval. */
static json_t *
json_of_rate(double rate)
{
	return json_integer((json_int_t)(rate + 0.5));
}

static json_t *
json_or_null(uint64_t number)
{
	return number > 0 ? json_integer((json_int_t)number) : json_null();
}

static json_t *
rate_object(const struct top *top, const struct top_rate *rate)
{
	static const char *const kept[] = {"lease", "vm", "share", "host", "mode", "in_flight"};
	json_t *object = verb_memory(json_object()), *row = output_object(&admin_row(ADMIN_ROW_LEASE)->type, rate->row);

	for (size_t i = 0; i < ARRAY_LENGTH(kept); i++)
		output_put(object, kept[i], json_incref(json_object_get(row, kept[i])));
	json_decref(row);
	output_put(object, "iops", json_of_rate(rate->iops));
	output_put(object, "bandwidth", json_of_rate(rate->bandwidth));
	output_put(object, "device_ns", json_or_null(rate->device_ns));
	output_put(object, "total_ns", json_or_null(rate->total_ns));
	if (rate->has_held)
		output_put(object, "held", json_of_rate(rate->held));
	output_put(object, "age_us", json_integer((json_int_t)rate->age_us));
	output_put(object, "interval_us", json_integer((json_int_t)((top->now.at_ns - top->before.at_ns) / 1000)));
	return object;
}

static void
print_json(const struct top *top)
{
	json_t *array = verb_memory(json_array());

	for (size_t i = 0; i < top->now.count; i++)
		output_append(array, rate_object(top, &top->rates[i]));
	output_json(array);
}

/* The titles and as many leases as there is room for. */
static void
print_lines(const struct top *top, size_t width, size_t most, const char *line_start)
{
	struct top_layout layout;
	char line[TOP_LINE_MOST];

	top_lay_out(top->rates, top->now.count, width, &layout);
	top_line(&layout, NULL, line);
	printf("%s%s%s%s\n", line_start, top->admin->color ? "\033[1m" : "", line, top->admin->color ? "\033[0m" : "");
	for (size_t i = 0; i < top->now.count && i < most; i++) {
		top_line(&layout, &top->rates[i], line);
		printf("%s%s\n", line_start, line);
	}
}

static int
run_once(struct top *top)
{
	struct error error = {0};
	int code = ask_again(top, &error);

	if (code == 0) {
		wait_until(top->now.at_ns + top->interval_us * 1000);
		code = ask_again(top, &error);
	}
	if (code != 0)
		return verb_fail(top->admin, code, "%s", error.text);
	if (top->admin->json)
		print_json(top);
	else if (top->now.count == 0)
		verb_say(top->admin, "There is no live lease.");
	else
		print_lines(top, output_terminal_width(), SIZE_MAX, "");
	return ADMIN_OK;
}

/* ---- on a terminal ---- */

static size_t
terminal_height(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : HEIGHT_DEFAULT;
}

static void
draw_summary(const struct top *top, size_t width, size_t shown)
{
	char iops[TOP_NUMBER_LEN], bandwidth[TOP_NUMBER_LEN], hidden[48] = "", line[256];
	double all_iops = 0, all_bytes = 0;

	for (size_t i = 0; i < top->now.count; i++) {
		all_iops += top->rates[i].iops;
		all_bytes += top->rates[i].bandwidth;
	}
	top_number(all_iops, 1000, iops);
	top_number(all_bytes, 1024, bandwidth);
	if (shown < top->now.count)
		snprintf(hidden, sizeof hidden, " (%zu not shown)", top->now.count - shown);
	if (top->before.at_ns == 0)
		snprintf(line, sizeof line, "%zu leases; measuring. q quits", top->now.count);
	else
		snprintf(line, sizeof line, "%zu lease%s%s  %s IOPS  %s bytes/s  q quits", top->now.count,
		    top->now.count == 1 ? "" : "s", hidden, iops, bandwidth);
	printf(CLEAR_LINE "%.*s\n", (int)width, line);
}

/* From the top left corner, line by line, without clearing it all, which would flicker. A line is cleared before it is written: behind a line that is as
 * wide as the terminal, that would take its last character. */
static void
draw(const struct top *top)
{
	size_t width = output_terminal_width(), height = terminal_height();
	size_t room = height > LINES_AROUND + 1 ? height - LINES_AROUND - 1 : 0;
	size_t shown = top->now.count < room ? top->now.count : room;

	fputs("\033[H", stdout);
	draw_summary(top, width, shown);
	if (top->before.at_ns != 0)
		print_lines(top, width, shown, CLEAR_LINE);
	fputs("\033[J", stdout);
	fflush(stdout);
}

static void
terminal_back(const struct top *top)
{
	fputs("\033[?25h", stdout);
	fflush(stdout);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &top->as_it_was);
}

/* Keys come one by one and are not shown; signals are read, so that the terminal is left as it was found. */
static int
terminal_take(struct top *top)
{
	struct termios mode;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
	    (top->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0 ||
	    tcgetattr(STDIN_FILENO, &top->as_it_was) < 0)
		return verb_fail(top->admin, ADMIN_FAILURE, "cannot take over the terminal: %s", strerror(errno));
	mode = top->as_it_was;
	mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	mode.c_cc[VMIN] = 1;
	mode.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &mode);
	fputs("\033[?25l\033[2J", stdout);
	return 0;
}

/* False: it is enough. A size that changed is drawn. */
static bool
take_signals(const struct top *top)
{
	struct signalfd_siginfo info;

	while (read(top->signals, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo != SIGWINCH)
			return false;
		draw(top);
	}
	return true;
}

static bool
take_keys(void)
{
	char keys[64];
	ssize_t got = read(STDIN_FILENO, keys, sizeof keys);

	return got > 0 && memchr(keys, 'q', (size_t)got) == NULL && memchr(keys, 'Q', (size_t)got) == NULL;
}

/* False when it is to end. */
static bool
watch_until(const struct top *top, uint64_t deadline_ns)
{
	struct pollfd pollers[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = top->signals, .events = POLLIN}};

	for (uint64_t now; (now = clock_monotonic_ns()) < deadline_ns;) {
		if (poll(pollers, ARRAY_LENGTH(pollers), (int)((deadline_ns - now + 999999) / 1000000)) < 0 &&
		    errno != EINTR)
			return false;
		if ((pollers[1].revents && !take_signals(top)) || (pollers[0].revents && !take_keys()))
			return false;
		pollers[0].revents = pollers[1].revents = 0;
	}
	return true;
}

static int
run_on_terminal(struct top *top)
{
	struct error error = {0};
	int code = ask_again(top, &error);

	if (code != 0)
		return verb_fail(top->admin, code, "%s", error.text);
	code = terminal_take(top);
	if (code != 0)
		return code;
	do
		draw(top);
	while (watch_until(top, top->now.at_ns + top->interval_us * 1000) && (code = ask_again(top, &error)) == 0);
	terminal_back(top);
	close(top->signals);
	return code == 0 ? ADMIN_OK : verb_fail(top->admin, code, "%s", error.text);
}

/* ---- the verb ---- */

static int
operand_order(struct admin *admin, const char *text, enum top_order *order)
{
	static const char *const orders[] = {"iops", "bandwidth", "latency"}; /* as enum top_order */

	for (size_t i = 0; text != NULL && i < ARRAY_LENGTH(orders); i++)
		if (strcmp(text, orders[i]) == 0) {
			*order = (enum top_order)i;
			return 0;
		}
	return text == NULL ? 0 : verb_usage(admin, "--sort '%s' is no order; iops, bandwidth and latency are", text);
}

static bool
is_terminal(void)
{
	const char *terminal = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

int
cmd_top(struct admin *admin, int argc, char **argv)
{
	struct top top = {.admin = admin, .interval_us = INTERVAL_US, .signals = -1};
	const char *interval = NULL, *sort = NULL;
	bool once = false;
	const struct verb_option options[] = {
	    {"interval", .value = &interval}, {"once", .flag = &once}, {"sort", .value = &sort}, {NULL}};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code == 0)
		code = operand_duration(admin, "--interval", interval, INTERVAL_MOST_US, &top.interval_us);
	if (code == 0 && top.interval_us < INTERVAL_LEAST_US)
		code = verb_usage(admin, "--interval: %s is too short; 100ms is the least", interval);
	if (code == 0)
		code = operand_order(admin, sort, &top.order);
	if (code != 0)
		return code;
	code = once || admin->json || !is_terminal() ? run_once(&top) : run_on_terminal(&top);
	free(top.before.leases);
	free(top.now.leases);
	free(top.rates);
	return code;
}
