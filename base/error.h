/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors for people. A function that can fail returns 0 (or a count) or a negative errno value, and,
 * where a person will read of it, takes a `struct error *` (last argument, may be NULL) that it fills
 * with one sentence: which object, what is wrong, what to do. Callers prefix context with
 * error_wrap(). Return or log, never both: the layer that decides logs.
 *
 * Threads: none of this is shared. Text that does not fit is cut, always NUL-terminated.
 */
#ifndef NETBUS_BASE_ERROR_H
#define NETBUS_BASE_ERROR_H

#define ERROR_TEXT_MAX 1024

struct error {
	int code; /* negative errno value, 0 = none */
	char text[ERROR_TEXT_MAX];
};

/* Sets code and text; returns `code`, so `return error_set(error, -EINVAL, "...")` reads well.
 * `code` must be negative. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4), cold));

/* As error_set(), and appends ": <strerror(-code)>". */
int error_errno(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4), cold));

/* Puts "<text>: " before what is there; returns error->code, or -EIO when error is NULL. */
int error_wrap(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

#endif
