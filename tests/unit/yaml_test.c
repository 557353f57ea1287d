/* SPDX-License-Identifier: Apache-2.0
 *
 * The strict loader: what it refuses and where it says so, and that any bytes at all end in a tree or in faults.
 */
#include "tests/unit/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/yaml.h"

static const struct {
	const char *why, *text, *fault; /* NULL: good */
} cases[] = {
    {"plain", "a: 1\nb: [x, y]\n", NULL},
    {"empty", "", NULL},
    {"only a comment", "# nothing\n", NULL},
    {"quoted values", "a: \"x\"\nb: 'y'\n", NULL},
    {"anchor", "a: &x 1\n", "f:1:4: the anchor '&x'"},
    {"alias", "a: &x 1\nb: *x\n", "f:2:4: the alias '*x'"},
    {"tag", "a: !!int 1\n", "f:1:4: the tag"},
    {"merge key", "a: {}\nb:\n  <<: 1\n", "f:3:3: merge keys"},
    {"second document", "a: 1\n---\nb: 1\n", "f:2:1: a second document"},
    {"directive", "%YAML 1.1\n---\na: 1\n", "f:1:1: directives"},
    {"duplicate", "a: 1\nb: 2\na: 3\n", "f:3:1: 'a' stands here a second time (first in line 1)"},
    {"quoted key", "\"a\": 1\n", "f:1:1: the key 'a' is quoted"},
    {"list as key", "? [a]\n: 1\n", "f:1:3: a list or map cannot be a key"},
    {"too deep", "[[[[[[[[[x]]]]]]]]]\n", "f:1:9: nested deeper than 8"},
    {"as deep as allowed", "[[[[[[[[x]]]]]]]]\n", NULL},
    {"syntax", "a: [1\n", "f:2:1: "},
    {"tab", "a:\n\tb: 1\n", "f:2:1: "},
    {"not UTF-8", "a: b\nc: \xff\n", "f:2:4: here or in the next bytes the file is not UTF-8"},
    {"UTF-16",
	"\xff\xfe"
	"a\0",
	"f:1:1: here"},
    {"a control character", "a: \x01\n", "f:1:4: "},
};

static bool
has_fault(const struct faults *faults, const char *text)
{
	for (const struct fault *fault = faults->first; fault; fault = fault->next)
		if (strncmp(fault->text, text, strlen(text)) == 0)
			return true;
	for (const struct fault *fault = faults->first; fault; fault = fault->next)
		print_message("fault: %s\n", fault->text);
	return false;
}

static void
refuses_what_makes_a_file_mean_something_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct faults faults;
		struct yaml_file *file;

		faults_init(&faults);
		file = yaml_parse("f", cases[i].text, strlen(cases[i].text), &faults);
		if ((file != NULL) != (cases[i].fault == NULL))
			fail_msg("%s: %s", cases[i].why, file ? "taken" : "refused");
		if (cases[i].fault && !has_fault(&faults, cases[i].fault))
			fail_msg("%s: not the fault '%s'", cases[i].why, cases[i].fault);
		yaml_free(file);
		faults_clear(&faults);
	}
}

static void
remembers_where_everything_stood(void **state)
{
	static const char text[] = "hosts:\n  rack: [m1, \"m2\"]\n";
	struct faults faults;
	struct yaml_file *file;
	const struct yaml *rack;

	(void)state;
	faults_init(&faults);
	file = yaml_parse("f", text, strlen(text), &faults);
	assert_non_null(file);
	rack = yaml_find(yaml_find(yaml_root(file), "hosts"), "rack");
	assert_int_equal(rack->kind, YAML_LIST);
	assert_int_equal(rack->key_line, 2);
	assert_int_equal(rack->key_column, 3);
	assert_int_equal(rack->count, 2);
	assert_string_equal(rack->first->text, "m1");
	assert_false(rack->first->quoted);
	assert_true(rack->first->next->quoted);
	assert_int_equal(rack->first->next->column, 14);
	yaml_free(file);
}

static void
reports_all_faults_of_a_file(void **state)
{
	static const char text[] = "a: &x 1\nb: !t 2\nc: 1\nc: 2\n";
	struct faults faults;

	(void)state;
	faults_init(&faults);
	assert_null(yaml_parse("f", text, strlen(text), &faults));
	assert_int_equal(faults.count, 3);
	faults_clear(&faults);
}

static void
suggests_the_nearest_key(void **state)
{
	static const char *const keys[] = {"allow", "deny", "hosts", NULL};
	struct faults faults;
	struct yaml_file *file;

	(void)state;
	faults_init(&faults);
	file = yaml_parse("f", "alow: 1\nzzzzzz: 2\n", 18, &faults);
	yaml_allow_keys(file, yaml_root(file), keys, &faults);
	assert_int_equal(faults.count, 2);
	assert_non_null(strstr(faults.first->text, "f:1:1: 'alow' is not known here; did you mean 'allow'?"));
	assert_non_null(
	    strstr(faults.first->next->text, "f:2:1: 'zzzzzz' is not known here; allowed: allow, deny, hosts"));
	yaml_free(file);
	faults_clear(&faults);
}

static void
holds_its_limits(void **state)
{
	size_t large = YAML_FILE_MAX + 1, many = 2 * (size_t)YAML_NODES_MAX + 16;
	char *text = malloc(large);
	struct faults faults;

	(void)state;
	memset(text, '#', large);
	faults_init(&faults);
	assert_null(yaml_parse("f", text, large, &faults));
	assert_true(has_fault(&faults, "f: the file is larger"));
	faults_clear(&faults);
	text[0] = '[';
	for (size_t i = 1; i < many; i += 2)
		memcpy(text + i, "x,", 2);
	text[many] = ']';
	assert_null(yaml_parse("f", text, many + 1, &faults));
	assert_true(has_fault(&faults, "f:1:"));
	faults_clear(&faults);
	free(text);
}

/* A map with very many keys must not take quadratic time: this test would not end. */
static void
finds_duplicates_among_very_many_keys(void **state)
{
	size_t room = 1 << 20, used = 0;
	char *text = malloc(room);
	struct faults faults;

	(void)state;
	for (unsigned i = 0; i < 90000; i++)
		used += (size_t)snprintf(text + used, room - used, "k%u: \n", i);
	used += (size_t)snprintf(text + used, room - used, "k7: \n");
	faults_init(&faults);
	assert_null(yaml_parse("f", text, used, &faults));
	assert_int_equal(faults.count, 1);
	faults_clear(&faults);
	free(text);
}

static void
survives_any_bytes(void **state)
{
	static const char alphabet[] = "ab:-[]{},&*!|>'\"%#?\n\n  \t\xc3\xa9\xff";
	char text[200];

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		size_t length = (size_t)random() % sizeof text;
		struct faults faults;

		for (size_t i = 0; i < length; i++)
			text[i] = alphabet[(size_t)random() % (sizeof alphabet - 1)];
		faults_init(&faults);
		yaml_free(yaml_parse("f", text, length, &faults));
		faults_clear(&faults);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(refuses_what_makes_a_file_mean_something_else),
	    cmocka_unit_test(remembers_where_everything_stood),
	    cmocka_unit_test(reports_all_faults_of_a_file),
	    cmocka_unit_test(suggests_the_nearest_key),
	    cmocka_unit_test(holds_its_limits),
	    cmocka_unit_test(finds_duplicates_among_very_many_keys),
	    cmocka_unit_test(survives_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
