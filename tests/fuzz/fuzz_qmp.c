/* SPDX-License-Identifier: Apache-2.0
 *
 * What netbus-xen-dm answers at its QMP socket (frontend/qmp.h), line by line.
 *
 * Holds: each line is answered with one line, which is JSON with exactly one of "return" and "error"; an error's class is one that libxl knows; the id comes back as it
 * was; nothing but qmp_capabilities is answered before it was said.
 */
#include <jansson.h>

#include "frontend/qmp.h"
#include "tests/fuzz/fuzz.h"

static const char *const seeds[] = {
    "{\"execute\":\"qmp_capabilities\",\"id\":2020372737}\n{\"execute\":\"query-chardev\",\"id\":7}\n",
    "{\"execute\":\"qmp_capabilities\",\"id\":\"a\"}\n{\"execute\":\"query-commands\",\"id\":[1.5]}\n",
    "{\"execute\":\"query-version\",\"arguments\":{}}\n{\"execute\":\"query-name\",\"id\":null}\n",
    "{\"execute\":\"stop\"}\n[]\n{}\n{\"execute\":\"query-status\"}\n",
};

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	json_object_seed(1);
	for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
		char name[] = {'s', (char)('a' + i), '\0'};

		seed_write(name, seeds[i], strlen(seeds[i]));
	}
	return 0;
}

static bool
is_known_class(const json_t *error)
{
	const char *class = json_string_value(json_object_get(error, "class"));

	return class && (strcmp(class, "GenericError") == 0 || strcmp(class, "CommandNotFound") == 0) &&
	       json_is_string(json_object_get(error, "desc"));
}

static void
check_line(struct qmp *qmp, const char *line, size_t length)
{
	bool was_negotiated = qmp->negotiated;
	char *answer = qmp_answer(qmp, line, length);
	json_t *sent = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL), *got;
	const json_t *error, *id = json_object_get(sent, "id");
	size_t end;

	REQUIRE(answer != NULL && strlen(answer) > 2);
	end = strlen(answer) - 2;
	REQUIRE(strcmp(answer + end, "\r\n") == 0 && memchr(answer, '\n', end) == NULL);
	got = json_loadb(answer, end, JSON_REJECT_DUPLICATES, NULL);
	error = json_object_get(got, "error");
	REQUIRE(got != NULL && (error != NULL) != (json_object_get(got, "return") != NULL));
	REQUIRE(error == NULL || is_known_class(error));
	REQUIRE(id ? json_equal(id, json_object_get(got, "id")) : json_object_get(got, "id") == NULL);
	REQUIRE(error || was_negotiated || qmp->negotiated);
	json_decref(got);
	json_decref(sent);
	free(answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char *text = text_of(bytes, length), *line = text, *end;
	struct qmp qmp = {.guest = "web-1", .refusal = length % 2 ? "no \"grant\"" : NULL};

	while ((end = memchr(line, '\n', (size_t)(text + length - line))) != NULL) {
		check_line(&qmp, line, (size_t)(end - line));
		line = end + 1;
	}
	free(text);
	return 0;
}
