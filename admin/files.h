/* SPDX-License-Identifier: Apache-2.0
 *
 * Policy files in memory, as a load would take them (files.c).
 */
#ifndef NETBUS_ADMIN_FILES_H
#define NETBUS_ADMIN_FILES_H

#include <stddef.h>

#include "base/yaml.h"
#include "policy/policy.h"

struct files {
	struct policy_file *rows; /* point into names and texts */
	char **names, **texts;    /* owned */
	size_t count;
};

enum files_allowed { FILES_REGULAR, FILES_OR_DIRECTORIES };

/* Reads a file, or all files of a directory. What cannot be read is a fault. */
void files_add(struct files *files, const char *path, enum files_allowed allowed, struct faults *faults);
/* NULL when `faults` has any, also from before. */
struct policy *files_load(const struct files *files, struct faults *faults);
void files_clear(struct files *files);
/* A policy that is not in force: files and directories, loaded as the broker would. NULL after every fault was said: the verb ends with ADMIN_FAILURE. */
struct admin;
struct policy *files_policy(struct admin *admin, int count, char **paths, struct files *files);

#endif
