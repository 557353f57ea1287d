/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin doctor: the devices behind `shares:` of netbusd.yaml. What the monitor would say when a lease begins is said before.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/doctor.h"
#include "base/auto.h"

struct device {
	const char *share;
	dev_t of; /* a block device's own number, else the file system's */
	ino_t file;
};

static bool
is_same(const struct device *a, const struct device *b)
{
	return a->of == b->of && a->file == b->file;
}

/* Two shares of one device are two that know nothing of each other's leases. */
static void
check_twice(struct doctor *doctor, const struct device *devices, size_t count, const char *path)
{
	for (size_t i = 0; i + 1 < count; i++)
		if (is_same(&devices[i], &devices[count - 1]))
			doctor_find(doctor, "shares", SEVERITY_ERROR,
			    "export it once; `sharing:` says how many may have it",
			    "%s and %s are the same device %s: each would have its own writer", devices[i].share,
			    devices[count - 1].share, path);
}

static void
check_kind(struct doctor *doctor, const char *share, const char *path, const struct stat *status)
{
	char mend[512];

	if (!S_ISREG(status->st_mode) && !S_ISBLK(status->st_mode))
		doctor_find(doctor, "shares", SEVERITY_ERROR, "name a block device or a regular file",
		    "%s: %s is neither, so nobody can attach it", share, path);
	else if (S_ISREG(status->st_mode) && status->st_size == 0)
		doctor_find(doctor, "shares", SEVERITY_WARNING, "give it its size: truncate -s 10G FILE",
		    "%s: %s is empty", share, path);
	snprintf(mend, sizeof mend, "chmod o-rwx %s", path);
	if (status->st_mode & 06)
		doctor_find(doctor, "shares", status->st_mode & 02 ? SEVERITY_ERROR : SEVERITY_WARNING, mend,
		    "%s: everybody on this host may %s %s (mode %04o), past all leases", share,
		    status->st_mode & 02 ? "change" : "read", path, status->st_mode & 07777U);
}

/* False when there is no device to be compared. */
static bool
look_at(struct doctor *doctor, const struct yaml *share, const char *path, struct device *device)
{
	struct stat status;
	int code = doctor_stat(doctor, path, &status);

	if (code < 0) {
		if (code != -EACCES)
			doctor_find(doctor, "shares", SEVERITY_ERROR, "make it, or correct its path: in netbusd.yaml",
			    "%s: %s: %s", share->key, path, strerror(-code));
		return false;
	}
	check_kind(doctor, share->key, path, &status);
	*device = (struct device){share->key, S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev,
	    S_ISBLK(status.st_mode) ? 0 : status.st_ino};
	return S_ISREG(status.st_mode) || S_ISBLK(status.st_mode);
}

void
doctor_shares(struct doctor *doctor)
{
	const struct yaml *root = doctor->config ? yaml_root(doctor->config) : NULL;
	const struct yaml *shares = root && root->kind == YAML_MAP ? yaml_find(root, "shares") : NULL;
	size_t count = 0, before = json_array_size(doctor->findings);
	AUTO_FREE struct device *devices = NULL;

	if (shares == NULL || shares->kind != YAML_MAP || shares->count == 0)
		return;
	devices = verb_memory(calloc(shares->count, sizeof *devices));
	for (const struct yaml *share = shares->first; share; share = share->next) {
		const struct yaml *path = share->kind == YAML_MAP ? yaml_find(share, "path") : NULL;

		if (path == NULL || path->kind != YAML_SCALAR || !look_at(doctor, share, path->text, &devices[count]))
			continue;
		check_twice(doctor, devices, ++count, path->text);
	}
	if (json_array_size(doctor->findings) == before)
		doctor_find(doctor, "shares", SEVERITY_OK, "", "%zu are exported, %zu of them devices that are there",
		    shares->count, count);
}
