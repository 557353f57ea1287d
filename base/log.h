/* SPDX-License-Identifier: Apache-2.0
 *
 * The operator's log: one line per event to standard error, with the journal's priority prefix
 * ("<4>") when standard error is not a terminal. A log may be lost; the audit trail may not.
 *
 * Every line starts with the program's name and, once known, a label ("netbus-session[17]: ...").
 * All bytes outside printable ASCII and UTF-8 letters are escaped (\xNN) by log_line itself, so a peer's
 * string can never forge a line; a line is at most 2 KiB.
 */
#ifndef NETBUS_BASE_LOG_H
#define NETBUS_BASE_LOG_H

enum log_level { LOG_ERROR_ = 3, LOG_WARNING_ = 4, LOG_NOTICE_ = 5, LOG_INFO_ = 6, LOG_DEBUG_ = 7 };

/* Program name (kept by reference) and lowest level that is printed (default LOG_INFO_). */
void log_open(const char *program, enum log_level most_verbose);
/* Text shown in brackets after the name; copied; NULL takes it away. */
void log_label(const char *label);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(LOG_ERROR_, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING_, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE_, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO_, __VA_ARGS__)
#define log_debug(...)   log_line(LOG_DEBUG_, __VA_ARGS__)

#endif
