/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors for people (base/error.h).
 */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int
error_set(struct error *error, int code, const char *format, ...)
{
	va_list arguments;

	if (error == NULL)
		return code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	error->code = code;
	return code;
}

int
error_errno(struct error *error, int code, const char *format, ...)
{
	va_list arguments;
	size_t used;

	if (error == NULL)
		return code;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof error->text, format, arguments);
	va_end(arguments);
	used = strlen(error->text);
	snprintf(error->text + used, sizeof error->text - used, ": %s", strerrordesc_np(-code));
	error->code = code;
	return code;
}

int
error_wrap(struct error *error, const char *format, ...)
{
	char prefix[ERROR_TEXT_MAX / 2], rest[ERROR_TEXT_MAX];
	va_list arguments;
	size_t used;

	if (error == NULL)
		return -EIO;
	va_start(arguments, format);
	vsnprintf(prefix, sizeof prefix, format, arguments);
	va_end(arguments);
	memcpy(rest, error->text, sizeof rest);
	used = strlen(prefix);
	memcpy(error->text, prefix, used);
	memcpy(error->text + used, ": ", 2);
	used += 2;
	memcpy(error->text + used, rest, sizeof rest - used);
	error->text[sizeof error->text - 1] = '\0';
	return error->code;
}
