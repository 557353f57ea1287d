/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin doctor: where netbusd keeps its state and its trail: who may change it, whether there is room, and whether what belongs together is there.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "admin/doctor.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/text.h"

#define ROOM_LITTLE   (UINT64_C(64) << 20) /* bytes that are free */
#define ROOM_NONE     (UINT64_C(4) << 20)
#define FILES_LITTLE  16
#define SEALED_LATE_S 600 /* between a record and a checkpoint that covers it */
#define CLOCK_WRONG_S 300

struct place {
	struct doctor *doctor;
	const char *check, *directory;
};

static char *
path_in(const char *directory, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		path = NULL;
	return verb_memory(path);
}

static void
check_room(const struct place *place)
{
	struct statvfs room;
	uint64_t bytes;
	char left[SIZE_TEXT_LEN];

	if (statvfs(place->directory, &room) < 0)
		return; /* that it is not there was found */
	bytes = (uint64_t)room.f_bavail * room.f_frsize;
	print_size(bytes, left);
	if (bytes < ROOM_LITTLE)
		doctor_find(place->doctor, place->check, bytes < ROOM_NONE ? SEVERITY_ERROR : SEVERITY_WARNING,
		    "make room there, or give it a file system of its own",
		    "%s has %s left; when it is full, nothing new is allowed", place->directory, left);
	if (room.f_files > 0 && room.f_favail < FILES_LITTLE)
		doctor_find(place->doctor, place->check, SEVERITY_ERROR, "delete files there",
		    "%s has room for %llu more files", place->directory, (unsigned long long)room.f_favail);
}

/* A time of this host's own files that is still to come. */
static void
check_clock(const struct place *place, const char *path, const struct stat *status)
{
	if (status->st_mtim.tv_sec > clock_wall_us() / 1000000 + CLOCK_WRONG_S)
		doctor_find(place->doctor, "clock", SEVERITY_ERROR, "set this host's clock (timedatectl set-ntp true)",
		    "%s was written in the future: the clock is behind, or it was ahead", path);
}

static void
check_state(struct doctor *doctor)
{
	AUTO_FREE char *directory = doctor_directory(doctor, "state", "/var/lib/netbus");
	AUTO_FREE char *database = path_in(directory, "state.db");
	const struct place place = {doctor, "state", directory};
	struct stat status;

	if (!doctor_owner_only(doctor, "state", directory, 022, NULL) || doctor_stat(doctor, directory, &status) < 0)
		return;
	doctor_owner_only(doctor, "state", database, 022, NULL);
	check_room(&place);
	if (doctor_stat(doctor, database, &status) == 0)
		check_clock(&place, database, &status);
}

/* Both are made with the database. Without the mark a start is refused, since nobody could know whether the database is the newest. */
static void
check_there(struct doctor *doctor, const char *log)
{
	AUTO_FREE char *state = doctor_directory(doctor, "state", "/var/lib/netbus");
	AUTO_FREE char *database = path_in(state, "state.db"), *mark = path_in(log, "epoch.mark"),
		       *trail = path_in(log, "audit.jsonl");
	struct stat status;

	if (doctor_stat(doctor, database, &status) < 0)
		return;
	if (doctor_stat(doctor, mark, &status) == -ENOENT)
		doctor_find(doctor, "mark", SEVERITY_ERROR,
		    "put it back from where it was moved to; else after the next stop: netbusd --adopt-state, see "
		    "netbusd(8)",
		    "%s is missing: netbusd will not start again", mark);
	if (doctor_stat(doctor, trail, &status) == -ENOENT)
		doctor_find(doctor, "trail", SEVERITY_ERROR,
		    "put it back from where it was moved to; a rotation is done with netbusd stopped",
		    "%s is missing: nothing new is allowed without it", trail);
}

static void
check_sealed(struct doctor *doctor, const char *log, const struct stat *trail)
{
	AUTO_FREE char *checkpoint = path_in(log, "audit.checkpoint");
	struct stat status;
	int code = doctor_stat(doctor, checkpoint, &status);
	char late[DURATION_TEXT_LEN];

	if (code == -EACCES)
		return;
	if (code < 0) {
		doctor_find(doctor, "checkpoint", SEVERITY_WARNING,
		    "netbus-admin pki issue makes the seal key; its log says why netbusd does not sign",
		    "%s: %s: what was cut from the end of the trail would not be noticed", checkpoint, strerror(-code));
		return;
	}
	print_duration((trail->st_mtim.tv_sec - status.st_mtim.tv_sec) * INT64_C(1000000), late);
	if (trail->st_mtim.tv_sec - status.st_mtim.tv_sec > SEALED_LATE_S)
		doctor_find(doctor, "checkpoint", SEVERITY_WARNING,
		    "its log says why netbusd does not sign: journalctl -u netbusd",
		    "%s is older than the last record, by %s", checkpoint, late);
}

static void
check_trail(struct doctor *doctor)
{
	AUTO_FREE char *directory = doctor_directory(doctor, "log", "/var/log/netbus");
	AUTO_FREE char *trail = path_in(directory, "audit.jsonl");
	const struct place place = {doctor, "trail", directory};
	struct stat status;

	if (!doctor_owner_only(doctor, "trail", directory, 022, NULL) || doctor_stat(doctor, directory, &status) < 0)
		return;
	doctor_owner_only(doctor, "trail", trail, 022, NULL);
	check_room(&place);
	check_there(doctor, directory);
	if (doctor_stat(doctor, trail, &status) < 0)
		return;
	check_clock(&place, trail, &status);
	check_sealed(doctor, directory, &status);
	if (status.st_mode & 04)
		doctor_find(doctor, "trail", SEVERITY_WARNING, "chmod o-r there",
		    "%s: everybody on this host may read who has what (mode %04o)", trail, status.st_mode & 07777U);
}

/* Who may do what netbusd decides, from who is at the other end. */
static void
check_socket(struct doctor *doctor)
{
	struct stat status;
	char mend[512];

	if (!doctor->has_status || doctor_stat(doctor, doctor->admin->socket, &status) < 0)
		return;
	snprintf(mend, sizeof mend, "chmod 0666 %.200s; who may do what, `admins:` in netbusd.yaml says",
	    doctor->admin->socket);
	if ((status.st_mode & 0666) != 0666)
		doctor_find(doctor, "socket", SEVERITY_WARNING, mend,
		    "%s has mode %04o: people whom netbusd.yaml gives a role cannot connect", doctor->admin->socket,
		    status.st_mode & 07777U);
}

/* What one tenant's operator could read there of the others. */
static void
check_secrecy(struct doctor *doctor)
{
	AUTO_FREE char *usual = verb_path(doctor->admin, "/etc/netbus/netbusd.yaml");
	AUTO_FREE char *policy = doctor_directory(doctor, "policy", "/etc/netbus/policy.d");
	const struct yaml *root = doctor->config ? yaml_root(doctor->config) : NULL;
	const struct yaml *admins = root && root->kind == YAML_MAP ? yaml_find(root, "admins") : NULL;
	const struct yaml *tenants = admins && admins->kind == YAML_MAP ? yaml_find(admins, "tenants") : NULL;
	const char *paths[] = {doctor->config ? yaml_name(doctor->config) : usual, policy};
	struct stat status;
	char mend[512];

	if (tenants == NULL || tenants->count == 0)
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
		snprintf(mend, sizeof mend, "chgrp netbus-broker %s && chmod o-rwx %s", paths[i], paths[i]);
		if (doctor_stat(doctor, paths[i], &status) == 0 && (status.st_mode & 04))
			doctor_find(doctor, "secrecy", SEVERITY_WARNING, mend,
			    "%s can be read by everybody, so also by one tenant's people what others have", paths[i]);
	}
}

void
doctor_places(struct doctor *doctor)
{
	check_state(doctor);
	check_trail(doctor);
	check_socket(doctor);
	check_secrecy(doctor);
}
