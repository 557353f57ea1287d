/* SPDX-License-Identifier: Apache-2.0
 *
 * The one parser of names (base/name.h).
 */
#include "base/name.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

static bool
is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool
name_is_valid(const char *untrusted_text, size_t length)
{
	if (length < 1 || length > NAME_LEN_MAX || !is_letter_or_digit(untrusted_text[0]))
		return false;
	for (size_t i = 1; i < length; i++) {
		char c = untrusted_text[i];

		if (!is_letter_or_digit(c) && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

int
name_parse(const char *untrusted_text, const char *what, struct name *name, struct error *error)
{
	size_t length = strlen(untrusted_text);
	char shown[160];

	if (!name_is_valid(untrusted_text, length)) {
		print_escaped(untrusted_text, length, shown, sizeof shown);
		return error_set(error, -EINVAL,
		    "%s '%s' is not a name: 1 to %d of a-z 0-9 . _ -, the first a letter or digit", what, shown,
		    NAME_LEN_MAX);
	}
	memset(name, 0, sizeof *name);
	memcpy(name->text, untrusted_text, length);
	return 0;
}

int
qualified_parse(const char *untrusted_text, const char *what, struct qualified *name, struct error *error)
{
	const char *slash = strchr(untrusted_text, '/');
	size_t length = strlen(untrusted_text);
	char shown[160];

	if (slash == NULL || !name_is_valid(untrusted_text, (size_t)(slash - untrusted_text)) ||
	    !name_is_valid(slash + 1, strlen(slash + 1))) {
		print_escaped(untrusted_text, length, shown, sizeof shown);
		return error_set(error, -EINVAL,
		    "%s '%s' is not of the form tenant/name, each 1 to %d of a-z 0-9 . _ -, the first a letter or "
		    "digit",
		    what, shown, NAME_LEN_MAX);
	}
	memset(name, 0, sizeof *name);
	memcpy(name->text, untrusted_text, length);
	return 0;
}

struct name
qualified_tenant(const struct qualified *name)
{
	struct name tenant = {0};
	const char *slash = strchr(name->text, '/');

	if (slash != NULL)
		memcpy(tenant.text, name->text, (size_t)(slash - name->text));
	return tenant;
}

const char *
qualified_local(const struct qualified *name)
{
	const char *slash = strchr(name->text, '/');

	return slash != NULL ? slash + 1 : name->text;
}
