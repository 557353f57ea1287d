/* SPDX-License-Identifier: Apache-2.0
 *
 * Policy files as the broker would read them: whole directories, or the files named, into memory, with every fault kept. Used by
 * policy check and test, and by doctor.
 */
#include "admin/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/admin.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"

void
files_clear(struct files *files)
{
	for (size_t i = 0; i < files->count; i++) {
		free(files->names[i]);
		free(files->texts[i]);
	}
	free(files->names);
	free(files->texts);
	free(files->rows);
	memset(files, 0, sizeof *files);
}

static bool
has_name(const struct files *files, const char *name)
{
	for (size_t i = 0; i < files->count; i++)
		if (strcmp(files->names[i], name) == 0)
			return true;
	return false;
}

static void
add_file(struct files *files, const char *path, struct faults *faults)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	struct error error;
	char *text = NULL;
	size_t length;

	if (has_name(files, name)) {
		faults_add(faults, path, 0, 0,
		    "another file of this name was given; names say in which order files are "
		    "taken, so each can be there once");
		return;
	}
	if (file_read_all(path, YAML_FILE_MAX, &text, &length, &error) < 0) {
		faults_add(faults, path, 0, 0, "%s", error.text);
		return;
	}
	files->names = verb_memory(reallocarray(files->names, files->count + 1, sizeof *files->names));
	files->texts = verb_memory(reallocarray(files->texts, files->count + 1, sizeof *files->texts));
	files->rows = verb_memory(reallocarray(files->rows, files->count + 1, sizeof *files->rows));
	files->names[files->count] = verb_memory(strdup(name));
	files->texts[files->count] = text;
	files->rows[files->count] = (struct policy_file){files->names[files->count], text, length};
	files->count++;
}

/* As the broker: hidden files and editors' backups are not policy, any other name is. */
static int
is_policy(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 0 && entry->d_name[length - 1] != '~';
}

static int
in_c_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
add_directory(struct files *files, const char *path, struct faults *faults)
{
	struct dirent **entries = NULL;
	int count = scandir(path, &entries, is_policy, in_c_order);
	char whole[4096];

	if (count < 0) {
		faults_add(faults, path, 0, 0, "cannot read the directory: %s", strerror(errno));
		return;
	}
	for (int i = 0; i < count; i++) {
		if (path_print(whole, sizeof whole, "%s/%s", path, entries[i]->d_name) < 0)
			faults_add(faults, path, 0, 0, "%s: the path is too long", entries[i]->d_name);
		else
			files_add(files, whole, FILES_REGULAR, faults);
		free(entries[i]);
	}
	free(entries);
}

void
files_add(struct files *files, const char *path, enum files_allowed allowed, struct faults *faults)
{
	struct stat status;

	if (stat(path, &status) < 0)
		faults_add(faults, path, 0, 0, "%s", strerror(errno));
	else if (S_ISREG(status.st_mode))
		add_file(files, path, faults);
	else if (S_ISDIR(status.st_mode) && allowed == FILES_OR_DIRECTORIES)
		add_directory(files, path, faults);
	else
		faults_add(
		    faults, path, 0, 0, "this is not a file; a policy directory has only files named NN-name.yaml");
}

struct policy *
files_load(const struct files *files, struct faults *faults)
{
	struct policy *policy = policy_load(files->rows, files->count, 1, clock_wall_us(), faults);

	if (faults->count > 0) { /* some were there before the load */
		policy_free(policy);
		return NULL;
	}
	return policy;
}

struct policy *
files_policy(struct admin *admin, int count, char **paths, struct files *files)
{
	struct policy *policy;
	struct faults faults;

	faults_init(&faults);
	for (int i = 0; i < count; i++)
		files_add(files, paths[i], FILES_OR_DIRECTORIES, &faults);
	policy = files_load(files, &faults);
	if (policy == NULL) {
		verb_faults(admin, &faults, 0);
		verb_fail(admin, ADMIN_FAILURE, "%zu fault%s: a load of this would change nothing", faults.count,
		    faults.count == 1 ? "" : "s");
	}
	faults_clear(&faults);
	return policy;
}
