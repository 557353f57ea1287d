/* SPDX-License-Identifier: Apache-2.0
 *
 * Landlock: which part of the file system a process can reach from now on, whatever its user could.
 *
 * A rule holds for what a path names at the time of the call: a directory's rule covers what is put into it later, but a file's rule
 * is gone when the file is replaced by rename. Name the directory where files are replaced.
 */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/auto.h"

/* Rights that came after the kernel headers of Debian 12. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

#define RIGHTS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RIGHTS_WRITE                                                                                    \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
	    LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | \
	    LANDLOCK_ACCESS_FS_REFER)
/* Never given to anybody. */
#define RIGHTS_NEVER                                                                                \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
	    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
/* What a rule for something that is not a directory may hold. */
#define RIGHTS_OF_FILE (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)

/* All rights that this version of the kernel's interface knows. */
static uint64_t
known_rights(long version)
{
	uint64_t rights = RIGHTS_READ | RIGHTS_WRITE | RIGHTS_NEVER;

	if (version < 2)
		rights &= ~LANDLOCK_ACCESS_FS_REFER;
	if (version < 3)
		rights &= ~LANDLOCK_ACCESS_FS_TRUNCATE;
	return rights;
}

static int
add_path(int ruleset, const char *path, uint64_t rights, struct error *error)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights};
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat stat;

	if (fd < 0)
		return error_errno(error, -errno, "cannot open %s to stay within it", path);
	if (fstat(fd, &stat) < 0)
		return error_errno(error, -errno, "cannot look at %s", path);
	if (!S_ISDIR(stat.st_mode))
		rule.allowed_access &= RIGHTS_OF_FILE;
	rule.parent_fd = fd;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return error_errno(error, -errno, "cannot stay within %s", path);
	return 0;
}

static int
add_paths(int ruleset, const char *const *paths, uint64_t rights, struct error *error)
{
	int code = 0;

	for (; paths && *paths && code == 0; paths++)
		code = add_path(ruleset, *paths, rights, error);
	return code;
}

int
sandbox_paths(const char *const *read_only, const char *const *read_write, struct error *error)
{
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attributes = {0};
	AUTO_CLOSE int ruleset = -1;
	uint64_t known;
	int code;

	if (version < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return 1;
	if (version < 0)
		return error_errno(error, -errno, "cannot ask for Landlock's version");
	known = known_rights(version);
	attributes.handled_access_fs = known;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
	if (ruleset < 0)
		return error_errno(error, -errno, "cannot make a Landlock ruleset");
	code = add_paths(ruleset, read_only, RIGHTS_READ & known, error);
	if (code == 0)
		code = add_paths(ruleset, read_write, (RIGHTS_READ | RIGHTS_WRITE) & known, error);
	if (code < 0)
		return code;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, -errno, "cannot give up gaining privileges");
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return error_errno(error, -errno, "cannot enter the Landlock ruleset");
	return 0;
}
