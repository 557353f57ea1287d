/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin policy show: the canonical form, in which policies that mean the same look the same. Of what is in force, as the broker tells it; or of files,
 * offline.
 */
#include "admin/admin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "admin/files.h"
#include "base/buffer.h"
#include "base/text.h"
#include "policy/print.h"

#define TEXT_MOST ((size_t)1 << 30)

struct showing {
	struct asking asking;
	struct admin *admin;
	json_t *files; /* [{"file": ..., "text": ...}] */
	char file[256];
	struct buffer text; /* of that file, as far as it came */
};

/* A policy file has no character that a terminal would obey: the loader's YAML allows none. What came over the socket is looked at once more. */
static void
print_file(const char *file, const char *text, size_t length)
{
	bool clean = is_utf8(text, length);

	for (size_t i = 0; i < length; i++)
		clean = clean && ((unsigned char)text[i] >= 0x20 || text[i] == '\n') && text[i] != 0x7f;
	printf("# %s\n", file);
	if (clean)
		fwrite(text, 1, length, stdout);
	else
		puts("# is not shown: it has control characters");
}

static void
end_file(struct showing *showing)
{
	const char *text = (const char *)buffer_front(&showing->text);
	size_t length = buffer_length(&showing->text);
	json_t *object;

	if (showing->file[0] == '\0')
		return;
	if (showing->admin->json) {
		object = verb_memory(json_object());
		output_put(object, "file", json_string(showing->file));
		output_put(object, "text", json_stringn(length ? text : "", length));
		output_append(showing->files, object);
	} else {
		print_file(showing->file, length ? text : "", length);
	}
	buffer_consume(&showing->text, length);
	showing->file[0] = '\0';
}

static void
begin_file(struct showing *showing, const char *file)
{
	if (strcmp(showing->file, file) == 0)
		return;
	end_file(showing);
	snprintf(showing->file, sizeof showing->file, "%s", file);
}

static void
take_policy(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct showing *showing = asking->context;

	if (number != ADMIN_ROW_POLICY)
		return;
	begin_file(showing, body->row_policy.file);
	if (buffer_append(&showing->text, body->row_policy.text.bytes, body->row_policy.text.length) < 0)
		verb_memory(NULL);
}

static int
show_files(struct admin *admin, struct showing *showing, int argc, char **argv)
{
	struct files files = {0};
	struct policy *policy = files_policy(admin, argc, argv, &files);

	for (size_t i = 0; policy && i < policy_file_count(policy); i++) {
		begin_file(showing, policy_file_name(policy, i));
		if (policy_print(policy, i, &showing->text) < 0)
			verb_memory(NULL);
	}
	files_clear(&files);
	if (policy == NULL)
		return ADMIN_FAILURE;
	policy_free(policy);
	return ADMIN_OK;
}

int
cmd_policy_show(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	struct showing showing = {.asking = {.take = take_policy, .context = &showing, .renews = true}, .admin = admin};
	int code = verb_options(admin, &argc, argv, options, 0, INT32_MAX);

	if (code != 0)
		return code;
	showing.files = verb_memory(json_array());
	buffer_init(&showing.text, TEXT_MOST);
	if (argc > 0)
		code = show_files(admin, &showing, argc, argv);
	else
		code = client_ask(admin, ADMIN_GET_POLICY, &(struct msg_get_policy){0}, &showing.asking);
	end_file(&showing);
	if (admin->json && code == ADMIN_OK)
		output_json(json_incref(showing.files));
	json_decref(showing.files);
	buffer_clear(&showing.text);
	return code;
}
