/* SPDX-License-Identifier: Apache-2.0
 *
 * What netbus-xen-dm answers to QMP commands (frontend/qmp.h). A table of commands; all others do not exist, and the answer says so.
 */
#include "frontend/qmp.h"

#include <jansson.h>
#include <string.h>

#include "base/auto.h"

static void
release_json(json_t **value)
{
	json_decref(*value);
}

/* ---- lines ---- */

/* Takes `message`, which may be NULL. */
static char *
line_of(json_t *message)
{
	AUTO(release_json) json_t *owned = message;
	AUTO_FREE char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	size_t length = text ? strlen(text) : 0;
	char *line = text ? realloc(text, length + sizeof "\r\n") : NULL;

	if (line == NULL)
		return NULL;
	text = NULL;
	memcpy(line + length, "\r\n", sizeof "\r\n");
	return line;
}

/* Takes `message`; the id is as it came, of whatever type, and missing where it was missing. */
static char *
line_with_id(json_t *message, json_t *id)
{
	if (message && id && json_object_set(message, "id", id) < 0) {
		json_decref(message);
		return NULL;
	}
	return line_of(message);
}

/* The classes that libxl knows: others it reports as unknown. */
static char *
refuse(json_t *id, const char *class, json_t *text)
{
	return line_with_id(json_pack("{s:{s:s, s:o}}", "error", "class", class, "desc", text), id);
}

char *
qmp_greeting(void)
{
	/* libxl compares the version: that of QEMU whose answers these are. */
	return line_of(json_pack("{s:{s:{s:{s:i, s:i, s:i}, s:s}, s:[]}}", "QMP", "version", "qemu", "major", 7,
	    "minor", 2, "micro", 0, "package", "netbus " NETBUS_VERSION, "capabilities"));
}

/* ---- commands ---- */

static json_t *
nothing(const struct qmp *qmp)
{
	(void)qmp;
	return json_object();
}

static json_t *
no_chardevs(const struct qmp *qmp)
{
	(void)qmp;
	return json_array();
}

static json_t *
status(const struct qmp *qmp)
{
	(void)qmp;
	return json_pack("{s:s, s:b, s:b}", "status", "running", "singlestep", 0, "running", 1);
}

static json_t *
version(const struct qmp *qmp)
{
	(void)qmp;
	return json_pack("{s:{s:i, s:i, s:i}, s:s}", "qemu", "major", 7, "minor", 2, "micro", 0, "package",
	    "netbus " NETBUS_VERSION);
}

static json_t *
name(const struct qmp *qmp)
{
	return json_pack("{s:s}", "name", qmp->guest);
}

static json_t *commands(const struct qmp *qmp);

static const struct command {
	const char *name;
	json_t *(*answer)(const struct qmp *qmp);
} table[] = {
    {"qmp_capabilities", nothing},
    {"query-chardev", no_chardevs},
    {"query-commands", commands},
    {"query-name", name},
    {"query-status", status},
    {"query-version", version},
};

static json_t *
commands(const struct qmp *qmp)
{
	json_t *list = json_array();

	(void)qmp;
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
		json_array_append_new(list, json_pack("{s:s}", "name", table[i].name));
	return list;
}

static const struct command *
find_command(const char *text)
{
	for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
		if (strcmp(table[i].name, text) == 0)
			return &table[i];
	return NULL;
}

static char *
run(struct qmp *qmp, const char *text, json_t *id)
{
	const struct command *command = find_command(text);

	if (command == NULL)
		return refuse(id, "CommandNotFound",
		    json_sprintf(
			"netbus-xen-dm is no QEMU and does not know '%.64s': it only waits for a guest's netbus disks",
			text));
	if (!qmp->negotiated && command != &table[0])
		return refuse(id, "CommandNotFound", json_string("say qmp_capabilities first"));
	qmp->negotiated = true;
	if (qmp->refusal && command->answer == no_chardevs)
		return refuse(id, "GenericError", json_string(qmp->refusal));
	return line_with_id(json_pack("{s:o}", "return", command->answer(qmp)), id);
}

char *
qmp_answer(struct qmp *qmp, const char *line, size_t length)
{
	json_error_t error;
	AUTO(release_json) json_t *message = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	const char *text = json_string_value(json_object_get(message, "execute"));

	if (message == NULL)
		return refuse(NULL, "GenericError", json_sprintf("not JSON: %s", error.text));
	if (text == NULL)
		return refuse(json_object_get(message, "id"), "GenericError",
		    json_string("a command is an object with \"execute\", the command's name"));
	return run(qmp, text, json_object_get(message, "id"));
}
