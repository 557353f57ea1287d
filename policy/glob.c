/* SPDX-License-Identifier: Apache-2.0
 *
 * The matcher (policy/glob.h). Linear in the name for each '*', so at worst length times length; no recursion.
 */
#include "policy/glob.h"

#include <string.h>

bool
is_glob(const char *text)
{
	return strpbrk(text, "*?") != NULL;
}

struct glob
glob_compile(const char *text)
{
	size_t length = strlen(text), prefix = strcspn(text, "*?");

	return (struct glob){
	    .text = text,
	    .length = (uint8_t)length,
	    .prefix = (uint8_t)prefix,
	    .is_prefix = prefix + 1 == length && text[prefix] == '*',
	};
}

/* Remembers the last '*' only: between two '/' an earlier one can give nothing that the later one cannot, and over a '/'
 * none may reach. */
static bool
match_rest(const char *glob, const char *glob_end, const char *name, const char *name_end)
{
	const char *star = NULL, *taken = NULL; /* after the last '*'; what it has taken ends here */

	while (name < name_end) {
		if (glob < glob_end && *glob == '*') {
			star = ++glob;
			taken = name;
		} else if (glob < glob_end && (*glob == *name || (*glob == '?' && *name != '/'))) {
			glob++;
			name++;
		} else if (star != NULL && *taken != '/') {
			glob = star;
			name = ++taken;
		} else {
			return false;
		}
	}
	while (glob < glob_end && *glob == '*')
		glob++;
	return glob == glob_end;
}

bool
glob_match(const struct glob *glob, const char *name, size_t length)
{
	if (length < glob->prefix || memcmp(glob->text, name, glob->prefix) != 0)
		return false;
	if (glob->is_prefix)
		return memchr(name + glob->prefix, '/', length - glob->prefix) == NULL;
	return match_rest(glob->text + glob->prefix, glob->text + glob->length, name + glob->prefix, name + length);
}
