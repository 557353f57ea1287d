/* SPDX-License-Identifier: Apache-2.0
 *
 * policy/glob.h: a table of what globs mean, and every short glob over every short name against a naive matcher.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/auto.h"
#include "policy/glob.h"

static bool
matches(const char *text, const char *name)
{
	struct glob glob = glob_compile(text);

	return glob_match(&glob, name, strlen(name));
}

static void
means_what_the_language_says(void **state)
{
	static const struct {
		const char *glob, *name;
		bool match;
	} cases[] = {
	    {"acme/web-*", "acme/web-1", true},
	    {"acme/web-*", "acme/web-", true},
	    {"acme/web-*", "acme/web", false},
	    {"acme/web-*", "acme/db-1", false},
	    {"acme/*", "acme/anything", true},
	    {"acme/*", "globex/anything", false},
	    {"acme/*", "acme/two/parts", false},
	    {"*/web-1", "acme/web-1", true},
	    {"*/web-1", "web-1", false},
	    {"*", "acme/web-1", false},
	    {"*/*", "acme/web-1", true},
	    {"ac*", "acme/web-1", false},
	    {"acme?web-1", "acme/web-1", false},
	    {"acme/db-?", "acme/db-1", true},
	    {"acme/db-?", "acme/db-10", false},
	    {"acme/db-?", "acme/db-", false},
	    {"m*1", "m1", true},
	    {"m*1", "m-rack-1", true},
	    {"m*1", "m12", false},
	    {"*a*b*", "xxaxxbxx", true},
	    {"*a*b*", "xxbxxaxx", false},
	    {"a**b", "ab", true},
	    {"node-??", "node-07", true},
	    {"m1", "m1", true},
	    {"m1", "m10", false},
	    {"m.1", "mx1", false},
	    {"[ab]", "a", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		if (matches(cases[i].glob, cases[i].name) != cases[i].match)
			fail_msg("'%s' over '%s' should%s match", cases[i].glob, cases[i].name,
			    cases[i].match ? "" : " not");
	}
}

/* The definition, by recursion. */
static bool
naive(const char *glob, const char *name)
{
	if (*glob == '\0')
		return *name == '\0';
	if (*glob == '*')
		return naive(glob + 1, name) || (*name && *name != '/' && naive(glob, name + 1));
	if (*name == '\0')
		return false;
	return (*glob == *name || (*glob == '?' && *name != '/')) && naive(glob + 1, name + 1);
}

/* The next text over the alphabet, counting up like a number, shorter before longer; false after the last. */
static bool
next_text(char *text, size_t most, const char *alphabet)
{
	size_t length = strlen(text);

	for (size_t i = length; i-- > 0;) {
		const char *letter = strchr(alphabet, text[i]);

		assert_non_null(letter);
		if (letter[1]) {
			text[i] = letter[1];
			return true;
		}
		text[i] = alphabet[0];
	}
	if (length == most)
		return false;
	text[length] = alphabet[0];
	text[length + 1] = '\0';
	return true;
}

static void
agrees_with_the_definition_on_all_short_texts(void **state)
{
	char glob[8] = "", name[8];
	size_t count = 0;

	(void)state;
	do {
		name[0] = '\0';
		do {
			if (matches(glob, name) != naive(glob, name))
				fail_msg("'%s' over '%s': the definition says %d", glob, name, naive(glob, name));
			count++;
		} while (next_text(name, 5, "ab/"));
	} while (next_text(glob, 5, "a*?/b"));
	assert_true(count > 1000000);
}

/* Twenty stars over a name that never matches: an exponential matcher would not come back. */
static void
many_stars_stay_cheap(void **state)
{
	char glob[128] = "", name[128];

	(void)state;
	for (size_t i = 0; i < 120; i += 2)
		memcpy(glob + i, "*a", 3);
	memcpy(glob + 120, "*b", 3);
	memset(name, 'a', 127);
	name[127] = '\0';
	assert_false(matches(glob, name));
	name[126] = 'b';
	assert_true(matches(glob, name));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(means_what_the_language_says),
	    cmocka_unit_test(agrees_with_the_definition_on_all_short_texts),
	    cmocka_unit_test(many_stars_stay_cheap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
