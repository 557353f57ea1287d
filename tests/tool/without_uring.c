/* SPDX-License-Identifier: Apache-2.0
 *
 * without_uring COMMAND [ARGUMENTS...]: runs the command where io_uring is not to be had, as on a kernel or in a container that forbids it: its
 * system calls answer EPERM, to the command and to all that it starts. Everything else is as it was, the process's number too.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"

static int
forbid_uring(void)
{
	static const int calls[] = {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)};
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int code = filter ? 0 : -ENOMEM;

	/* Root needs no PR_SET_NO_NEW_PRIVS for it: the command finds its privileges as they were. */
	if (code == 0 && geteuid() == 0)
		code = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
	for (size_t i = 0; i < ARRAY_LENGTH(calls) && code == 0; i++)
		code = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), calls[i], 0, NULL);
	if (code == 0)
		code = seccomp_load(filter);
	seccomp_release(filter);
	return code;
}

int
main(int argc, char **argv)
{
	int code;

	if (argc < 2) {
		fprintf(stderr, "usage: without_uring COMMAND [ARGUMENTS...]\n");
		return 2;
	}
	code = forbid_uring();
	if (code < 0) {
		fprintf(stderr, "without_uring: cannot install the filter: %s\n", strerror(-code));
		return 2;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "without_uring: %s: %s\n", argv[1], strerror(errno));
	return 127;
}
