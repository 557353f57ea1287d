/* SPDX-License-Identifier: Apache-2.0
 *
 * The operator's log (base/log.h). One write(2) for each line, so that lines of many processes do not mix.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define LINE_MAX_LEN 2048

static struct {
	const char *program;
	char label[64];
	enum log_level most_verbose;
	int prefix; /* the journal's "<4>": when standard error is not a terminal */
} log_state = {.program = "netbus", .most_verbose = LOG_INFO_};

void
log_open(const char *program, enum log_level most_verbose)
{
	log_state.program = program;
	log_state.most_verbose = most_verbose;
	log_state.prefix = !isatty(STDERR_FILENO);
}

void
log_label(const char *label)
{
	log_state.label[0] = '\0';
	if (label != NULL)
		snprintf(log_state.label, sizeof log_state.label, "[%s]", label);
}

void
log_line(enum log_level level, const char *format, ...)
{
	char raw[LINE_MAX_LEN], text[LINE_MAX_LEN], line[LINE_MAX_LEN + 128];
	char priority[8] = "";
	va_list arguments;
	int length;

	if (level > log_state.most_verbose)
		return;
	va_start(arguments, format);
	vsnprintf(raw, sizeof raw, format, arguments);
	va_end(arguments);
	print_escaped(raw, strlen(raw), text, sizeof text);
	if (log_state.prefix)
		snprintf(priority, sizeof priority, "<%d>", (int)level);
	length = snprintf(line, sizeof line, "%s%s%s: %s\n", priority, log_state.program, log_state.label, text);
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		return; /* a log may be lost */
}
