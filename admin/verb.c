/* SPDX-License-Identifier: Apache-2.0
 *
 * What every verb needs from its command line, and its messages (admin.h). The command line is of whoever runs us; texts in
 * messages may come from the broker and, through it, from peers: no control character of theirs reaches the terminal.
 */
#include "admin/admin.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/text.h"

#define MESSAGE_MAX 4096
#define OPTIONS_MAX 32 /* of one table */

/* ---- messages ---- */

/* Everything but backslashes is escaped as in print_escaped(): texts that were escaped before must not change again. */
static void
print_safely(FILE *stream, const char *text)
{
	char piece[4 * MESSAGE_MAX + 1];

	while (*text != '\0') {
		size_t length = strcspn(text, "\\");

		print_escaped(text, length, piece, sizeof piece);
		fputs(piece, stream);
		text += length;
		if (*text == '\\') {
			fputc('\\', stream);
			text++;
		}
	}
}

__attribute__((format(printf, 3, 0))) static void
print_line(FILE *stream, const char *prefix, const char *format, va_list arguments)
{
	char text[MESSAGE_MAX];

	vsnprintf(text, sizeof text, format, arguments);
	fputs(prefix, stream);
	print_safely(stream, text);
	fputc('\n', stream);
}

int
verb_fail(struct admin *admin, int exit_code, const char *format, ...)
{
	va_list arguments;

	(void)admin;
	fflush(stdout);
	va_start(arguments, format);
	print_line(stderr, "netbus-admin: ", format, arguments);
	va_end(arguments);
	return exit_code;
}

int
verb_usage(struct admin *admin, const char *format, ...)
{
	const struct verb *verb = admin->verb;
	va_list arguments;

	fflush(stdout);
	va_start(arguments, format);
	print_line(stderr, "netbus-admin: ", format, arguments);
	va_end(arguments);
	if (verb == NULL)
		fputs("usage: netbus-admin [OPTION...] NOUN [VERB] ...; netbus-admin --help lists "
		      "them\n",
		    stderr);
	else
		fprintf(stderr, "usage: netbus-admin %s%s%s%s%s\n", verb->noun, verb->name ? " " : "",
		    verb->name ? verb->name : "", verb->usage[0] ? " " : "", verb->usage);
	return ADMIN_USAGE;
}

void
verb_say(struct admin *admin, const char *format, ...)
{
	va_list arguments;

	if (admin->quiet || admin->json)
		return;
	va_start(arguments, format);
	print_line(stdout, "", format, arguments);
	va_end(arguments);
}

void
verb_warn(struct admin *admin, const char *format, ...)
{
	va_list arguments;

	if (admin->quiet)
		return;
	fflush(stdout);
	va_start(arguments, format);
	print_line(stderr, "warning: ", format, arguments);
	va_end(arguments);
}

int
verb_faults(struct admin *admin, const struct faults *faults, int exit_code)
{
	(void)admin;
	fflush(stdout);
	for (const struct fault *fault = faults->first; fault != NULL; fault = fault->next) {
		print_safely(stderr, fault->text);
		fputc('\n', stderr);
	}
	return exit_code;
}

void *
verb_memory(void *memory)
{
	if (memory == NULL) {
		fputs("netbus-admin: out of memory\n", stderr);
		exit(ADMIN_FAILURE);
	}
	return memory;
}

char *
verb_path(const struct admin *admin, const char *path)
{
	char *whole = NULL;

	if (asprintf(&whole, "%s%s", admin->root, path) < 0)
		whole = NULL;
	return verb_memory(whole);
}

/* ---- options ---- */

struct taking {
	struct admin *admin;
	const struct verb_option *options;
	bool strict; /* an option that is not in the table is an error */
	uint32_t seen;
	int argc, at;
	char **argv;
};

static const struct verb_option *
find_option(const struct taking *taking, const char *name, size_t length)
{
	for (const struct verb_option *option = taking->options; option->name != NULL; option++)
		if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
			return option;
	return NULL;
}

static int
unknown_option(const struct taking *taking, const char *name, size_t length)
{
	static const char *const globals[] = {
	    "json", "quiet", "no-color", "dry-run", "yes", "socket", "timeout", "reason", "root", "help"};
	const char *words[OPTIONS_MAX + ARRAY_LENGTH(globals) + 1];
	size_t count = 0;
	char given[65] = "";
	const char *nearest;

	for (const struct verb_option *option = taking->options; option->name != NULL && count < OPTIONS_MAX; option++)
		words[count++] = option->name;
	for (size_t i = 0; i < ARRAY_LENGTH(globals); i++)
		words[count++] = globals[i];
	words[count] = NULL;
	if (length < sizeof given)
		memcpy(given, name, length);
	nearest = nearest_word(given, words);
	return verb_usage(taking->admin, "unknown option '--%.*s'%s%s%s", (int)length, name,
	    nearest ? "; did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "");
}

/* The value of the option at taking->at: behind its "=", or the next word, over which it steps. NULL when there is none. */
static const char *
value_of(struct taking *taking, const char *equals)
{
	const char *next;

	if (equals != NULL)
		return equals + 1;
	if (taking->at + 1 >= taking->argc)
		return NULL;
	next = taking->argv[taking->at + 1];
	if (strncmp(next, "--", 2) == 0) /* more likely a forgotten value; --name=--x says what it means */
		return NULL;
	taking->at++;
	return next;
}

/* The option at taking->at. 0, or ADMIN_USAGE; *taken false when it is none of ours. */
static int
take_option(struct taking *taking, bool *taken)
{
	const char *name = taking->argv[taking->at] + 2;
	const char *equals = strchr(name, '=');
	size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
	const struct verb_option *option = find_option(taking, name, length);
	const char *value;
	uint32_t bit;

	*taken = option != NULL;
	if (option == NULL)
		return taking->strict ? unknown_option(taking, name, length) : 0;
	bit = UINT32_C(1) << (option - taking->options);
	if (taking->seen & bit && option->value != NULL)
		return verb_usage(taking->admin, "--%s is given twice", option->name);
	taking->seen |= bit;
	if (option->flag != NULL) {
		if (equals != NULL)
			return verb_usage(taking->admin, "--%s takes no value", option->name);
		*option->flag = true;
		return 0;
	}
	assert(option->value != NULL); /* a row of a table has one of the two */
	value = value_of(taking, equals);
	if (value == NULL || value[0] == '\0')
		return verb_usage(taking->admin, "--%s needs a value", option->name);
	*option->value = value;
	return 0;
}

static int
take_options(struct taking *taking, int *argc)
{
	char **argv = taking->argv;
	int kept = 0;
	bool ended = false;

	taking->argc = *argc;
	for (taking->at = 0; taking->at < taking->argc; taking->at++) {
		char *word = argv[taking->at];
		bool taken = false;
		int code = 0;

		if (!ended && strcmp(word, "--") == 0) {
			ended = true;
			taken = taking->strict; /* the verb's own options end here too */
		} else if (!ended && strncmp(word, "--", 2) == 0) {
			code = take_option(taking, &taken);
		} else if (!ended && taking->strict && word[0] == '-' && word[1] != '\0') {
			code =
			    verb_usage(taking->admin, "unknown option '%s'; options are written with two dashes", word);
		}
		if (code != 0)
			return code;
		if (!taken)
			argv[kept++] = word;
	}
	*argc = kept;
	return 0;
}

int
verb_globals(struct admin *admin, int *argc, char **argv, const struct verb_option *options)
{
	struct taking taking = {.admin = admin, .options = options, .argv = argv};

	return take_options(&taking, argc);
}

int
verb_options(struct admin *admin, int *argc, char **argv, const struct verb_option *options, int least, int most)
{
	struct taking taking = {.admin = admin, .options = options, .strict = true, .argv = argv};
	int code = take_options(&taking, argc);

	if (code != 0)
		return code;
	if (*argc < least)
		return *argc == 0 ? verb_usage(admin, "an operand is missing")
				  : verb_usage(admin, "an operand is missing after '%s'", argv[*argc - 1]);
	if (*argc > most)
		return verb_usage(admin, "'%s' is an operand too many", argv[most]);
	return 0;
}
