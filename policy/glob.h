/* SPDX-License-Identifier: Apache-2.0
 *
 * Globs over names: '*' is any run of characters, '?' any one character, neither ever the '/' between tenant and name; all
 * else stands for itself. The whole name must match.
 */
#ifndef NETBUS_POLICY_GLOB_H
#define NETBUS_POLICY_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A compiled glob. `text` is borrowed. */
struct glob {
	const char *text;
	uint8_t length; /* names are short: at most 127 */
	uint8_t prefix; /* bytes before the first '*' or '?' */
	bool is_prefix; /* "prefix*": nothing else follows */
};

bool is_glob(const char *text);
/* `text` is of at most 255 bytes. */
struct glob glob_compile(const char *text);
bool glob_match(const struct glob *glob, const char *name, size_t length);

#endif
