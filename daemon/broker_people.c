/* SPDX-License-Identifier: Apache-2.0
 *
 * Who types a command: the kernel says which user and groups are at the other end of the socket, netbusd.yaml says what they may do. Names are
 * looked up in /etc/passwd and /etc/group only: a process that is confined to its directories asks no name service; users from elsewhere are
 * named by number.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/text.h"
#include "daemon/broker.h"

#define GROUPS_MAX 256

struct person {
	uid_t uid;
	gid_t groups[GROUPS_MAX];
	size_t group_count;
};

static void
close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

static void
user_name(uid_t uid, char name[static NAME_LEN_MAX + 1])
{
	AUTO(close_file) FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry;

	snprintf(name, NAME_LEN_MAX + 1, "uid:%u", uid);
	while (file && (entry = fgetpwent(file)) != NULL) {
		if (entry->pw_uid != uid)
			continue;
		snprintf(name, NAME_LEN_MAX + 1, "%.*s", NAME_LEN_MAX, entry->pw_name);
		return;
	}
}

static bool
is_user(const struct person *person, const char *name)
{
	AUTO(close_file) FILE *file = NULL;
	const struct passwd *entry;
	uint64_t number;

	if (parse_number(name, 0, UINT32_MAX, &number, NULL) == 0)
		return number == person->uid;
	file = fopen("/etc/passwd", "re");
	while (file && (entry = fgetpwent(file)) != NULL)
		if (strcmp(entry->pw_name, name) == 0)
			return entry->pw_uid == person->uid;
	return false;
}

static bool
is_in(const struct person *person, uint64_t group)
{
	for (size_t i = 0; i < person->group_count; i++)
		if (person->groups[i] == group)
			return true;
	return false;
}

static bool
is_in_group(const struct person *person, const char *name)
{
	AUTO(close_file) FILE *file = NULL;
	const struct group *entry;
	uint64_t number;

	if (parse_number(name, 0, UINT32_MAX, &number, NULL) == 0)
		return is_in(person, number);
	file = fopen("/etc/group", "re");
	while (file && (entry = fgetgrent(file)) != NULL)
		if (strcmp(entry->gr_name, name) == 0)
			return is_in(person, entry->gr_gid);
	return false;
}

static bool
is_among(const struct person *person, const struct config_people *people)
{
	for (size_t i = 0; i < people->user_count; i++)
		if (is_user(person, people->users[i]))
			return true;
	for (size_t i = 0; i < people->group_count; i++)
		if (is_in_group(person, people->groups[i]))
			return true;
	return false;
}

static bool
ask_kernel(int fd, struct person *person)
{
	struct ucred credentials;
	socklen_t length = sizeof credentials, groups_length = sizeof person->groups;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
		return false;
	person->uid = credentials.uid;
	/* Supplementary groups; a person with more of them than fit has only the first one, and so no rights by group. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, person->groups, &groups_length) < 0)
		groups_length = 0;
	person->group_count = groups_length / sizeof person->groups[0];
	if (person->group_count < GROUPS_MAX)
		person->groups[person->group_count++] = credentials.gid;
	return true;
}

bool
people_has_user(const char *name)
{
	AUTO(close_file) FILE *file = NULL;
	const struct passwd *entry;
	uint64_t number;

	if (parse_number(name, 0, UINT32_MAX, &number, NULL) == 0)
		return true;
	file = fopen("/etc/passwd", "re");
	while (file && (entry = fgetpwent(file)) != NULL)
		if (strcmp(entry->pw_name, name) == 0)
			return true;
	return false;
}

bool
people_has_group(const char *name)
{
	AUTO(close_file) FILE *file = NULL;
	const struct group *entry;
	uint64_t number;

	if (parse_number(name, 0, UINT32_MAX, &number, NULL) == 0)
		return true;
	file = fopen("/etc/group", "re");
	while (file && (entry = fgetgrent(file)) != NULL)
		if (strcmp(entry->gr_name, name) == 0)
			return true;
	return false;
}

enum admin_role
people_role(const struct config *config, int fd, char name[static NAME_LEN_MAX + 1], struct name *tenant)
{
	struct person person = {0};

	snprintf(name, NAME_LEN_MAX + 1, "nobody");
	if (!ask_kernel(fd, &person))
		return ROLE_NOBODY;
	user_name(person.uid, name);
	if (person.uid == 0 || person.uid == geteuid() || is_among(&person, &config->operators))
		return ROLE_OPERATOR;
	for (size_t i = 0; i < config->tenant_count; i++) {
		if (!is_among(&person, &config->tenants[i].people))
			continue;
		*tenant = config->tenants[i].tenant;
		return ROLE_TENANT;
	}
	return is_among(&person, &config->auditors) ? ROLE_AUDITOR : ROLE_NOBODY;
}
