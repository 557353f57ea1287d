/* SPDX-License-Identifier: Apache-2.0
 *
 * Policy files in the broker's memory: read from policy.d, copied from the state database, or sent by an operator who asks about them first.
 */
#include <dirent.h>
#include <errno.h>
#include <sodium/crypto_hash_sha256.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "daemon/broker.h"

void
policy_files_clear(struct policy_files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free((char *)(uintptr_t)files->list[i].name);
		free((char *)(uintptr_t)files->list[i].text);
	}
	free(files->list);
	*files = (struct policy_files){0};
}

bool
policy_files_add(struct policy_files *files, char *name, char *text, size_t length)
{
	struct policy_file *list = reallocarray(files->list, files->count + 1, sizeof *list);

	if (list)
		files->list = list;
	if (list == NULL || name == NULL || text == NULL) {
		free(name);
		free(text);
		return false;
	}
	list[files->count++] = (struct policy_file){name, text, length};
	return true;
}

static void
read_file(struct policy_files *files, const char *directory, const char *name, struct faults *faults)
{
	struct error error = {0};
	char path[4096], *text = NULL;
	size_t length = 0;

	if (path_print(path, sizeof path, "%s/%s", directory, name) < 0)
		faults_add(faults, name, 0, 0, "the path is too long");
	else if (file_read_all(path, YAML_FILE_MAX, &text, &length, &error) < 0)
		faults_add(faults, name, 0, 0, "%s", error.text);
	else if (!policy_files_add(files, strdup(name), text, length))
		faults_add(faults, name, 0, 0, "out of memory");
}

/* Hidden files and editors' backups are not policy; any other name is, and a wrong one is a fault of the load. */
static bool
is_ignored(const char *name)
{
	size_t length = strlen(name);

	return name[0] == '.' || (length > 0 && name[length - 1] == '~');
}

void
policy_files_read(struct policy_files *files, const char *path, struct faults *faults)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;

	if (directory == NULL) {
		if (errno != ENOENT) /* none at all: a policy that denies everything */
			faults_add(faults, path, 0, 0, "the policy directory cannot be read: %s", strerror(errno));
		return;
	}
	while ((entry = readdir(directory)) != NULL) {
		if (is_ignored(entry->d_name))
			continue;
		if (files->count == LIMIT_CANDIDATE_FILES) {
			faults_add(faults, path, 0, 0, "more than %d files; join some", LIMIT_CANDIDATE_FILES);
			break;
		}
		read_file(files, path, entry->d_name, faults);
	}
	closedir(directory);
}

/* ---- what they are, in 32 bytes ---- */

static int
by_name(const void *a, const void *b)
{
	return strcmp(((const struct policy_file *)a)->name, ((const struct policy_file *)b)->name);
}

static void
add_text(crypto_hash_sha256_state *state, const char *text, size_t length)
{
	uint8_t size[8];

	put_be64(size, length);
	crypto_hash_sha256_update(state, size, sizeof size);
	crypto_hash_sha256_update(state, (const uint8_t *)text, length);
}

void
policy_files_digest(struct policy_files *files, uint8_t digest[static 32])
{
	crypto_hash_sha256_state state;

	if (files->count > 1)
		qsort(files->list, files->count, sizeof files->list[0], by_name);
	crypto_hash_sha256_init(&state);
	for (size_t i = 0; i < files->count; i++) {
		add_text(&state, files->list[i].name, strlen(files->list[i].name));
		add_text(&state, files->list[i].text, files->list[i].length);
	}
	crypto_hash_sha256_final(&state, digest);
}
