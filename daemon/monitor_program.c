/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the other programs are and which user each becomes. Both are found once, at the start: nothing is looked up later, and
 * nothing comes from PATH or the environment.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/monitor.h"

static const struct {
	enum role role;
	const char *name, *user; /* user NULL: it stays, or begins, as root */
	bool is_optional;        /* built only where Xen's libraries are */
} programs[] = {
    {ROLE_GATE, "netbus-gate", "netbus-gate", false},
    {ROLE_SESSION, "netbus-session", "netbus-session", false},
    {ROLE_ATTACH, "netbus-attach", "netbus-attach", false},
    {ROLE_BROKER, "netbus-broker", "netbus-broker", false},
    {ROLE_KEYS, "netbus-keys", "netbus-keys", false},
    {ROLE_ENROL, "netbus-enrol", "netbus-enrol", false},
    {ROLE_JOIN, "netbus-join", NULL, false}, /* it writes root's key files; Landlock keeps it to them */
    {ROLE_XENWATCH, "netbus-xenwatch", NULL, true},
    {ROLE_ATTACH_XEN, "netbus-attach-xen", NULL, true},
};

const char *
role_program(enum role role)
{
	for (size_t i = 0; i < ARRAY_LENGTH(programs); i++)
		if (programs[i].role == (role == ROLE_ZYGOTE ? ROLE_SESSION : role))
			return programs[i].name;
	return "netbusd";
}

const struct credentials *
role_credentials(const struct monitor *monitor, enum role role)
{
	return &monitor->credentials[__builtin_ctz(role == ROLE_ZYGOTE ? ROLE_SESSION : role)];
}

static bool
is_complete(const char *directory)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LENGTH(programs); i++)
		if (!programs[i].is_optional &&
		    (path_print(path, sizeof path, "%s/%s", directory, programs[i].name) < 0 || access(path, X_OK) < 0))
			return false;
	return true;
}

/* Beside netbusd itself (a build directory), or where `make install` puts them. */
static int
find_directory(struct monitor *monitor, struct error *error)
{
	char self[PATH_MAX], *slash;
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

	if (length < 0)
		return error_errno(error, -errno, "cannot find netbusd's own directory in /proc/self/exe");
	self[length] = '\0';
	slash = strrchr(self, '/');
	if (slash == NULL)
		return error_set(error, -ENOENT, "cannot find netbusd's own directory: /proc/self/exe is '%s'", self);
	*slash = '\0';
	if (is_complete(self))
		return path_print(monitor->program_directory, PATH_MAX, "%s", self);
	if (path_print(monitor->program_directory, PATH_MAX, "%s/../libexec/netbus", self) == 0 &&
	    is_complete(monitor->program_directory))
		return 0;
	return error_set(error, -ENOENT,
	    "netbus-gate, netbus-session, netbus-attach, netbus-broker, netbus-keys, netbus-enrol and netbus-join are "
	    "not all in %s or "
	    "%s/../libexec/netbus; "
	    "install Netbus completely",
	    self, self);
}

static void
say_who_we_are(const char *missing)
{
	if (geteuid() != 0)
		log_notice("not started as root: every process runs as user %u, so the kernel does not keep one that "
			   "is broken from "
			   "reaching the files of the others",
		    geteuid());
	else if (missing[0])
		log_warning("no such users:%s; these programs run as root, and only their sandboxes hold them "
			    "(etc/netbus.sysusers has the users)",
		    missing);
}

/* 0, -ENOENT (and its name is added to `missing`), or an error. */
static int
find_user(const char *name, struct credentials *credentials, char *missing, size_t room, struct error *error)
{
	const struct passwd *user;
	size_t used = strlen(missing);

	errno = 0;
	user = getpwnam(name);
	if (user) {
		*credentials = (struct credentials){true, user->pw_uid, user->pw_gid};
		return 0;
	}
	if (errno != 0 && errno != ENOENT)
		return error_errno(error, -errno, "cannot look up user %s", name);
	snprintf(missing + used, room - used, " %s", name);
	return -ENOENT;
}

static int
find_users(struct monitor *monitor, struct error *error)
{
	struct credentials xen;
	char missing[160] = "";
	int code = 0;

	for (size_t i = 0; i < ARRAY_LENGTH(programs) && geteuid() == 0 && (code == 0 || code == -ENOENT); i++)
		if (programs[i].user)
			code = find_user(programs[i].user, &monitor->credentials[__builtin_ctz(programs[i].role)],
			    missing, sizeof missing, error);
	if (monitor->config->xen.on && geteuid() == 0 && (code == 0 || code == -ENOENT)) {
		code = find_user(XEN_USER, &xen, missing, sizeof missing, error);
		monitor->has_xen_user = code == 0;
	}
	if (code < 0 && code != -ENOENT)
		return code;
	say_who_we_are(missing);
	return 0;
}

int
programs_find(struct monitor *monitor, struct error *error)
{
	int code = find_directory(monitor, error);

	return code < 0 ? code : find_users(monitor, error);
}
