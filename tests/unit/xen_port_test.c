/* SPDX-License-Identifier: Apache-2.0
 *
 * What netbus-attach-xen may ask of Xen's devices after it locked itself (SANDBOX_XEN of base/sandbox.h): the numbers of base/sandbox.c are those of Xen's headers, and no
 * others pass. The real port itself is tested on a real Xen host.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "frontend/xen_headers.h"
#include "frontend/xen_port.h"

#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

/* The list is not installed under a sanitizer. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_LIST false
#else
#define HAS_LIST true
#endif

/* On a file that knows none of them: what the list lets pass fails, what it does not kills. */
static bool
is_allowed(unsigned needs, unsigned long request)
{
	int status = -1, fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (sandbox_lock(needs, NULL) < 0)
			_exit(2);
		_exit(ioctl(fd, request, NULL) < 0 ? 0 : 1);
	}
	close(fd);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFEXITED(status);
}

static void
the_list_has_the_calls_of_both_devices_and_no_other(void **state)
{
	static const unsigned long allowed[] = {IOCTL_GNTDEV_MAP_GRANT_REF, IOCTL_GNTDEV_UNMAP_GRANT_REF,
	    IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, IOCTL_GNTDEV_GRANT_COPY, IOCTL_EVTCHN_BIND_INTERDOMAIN,
	    IOCTL_EVTCHN_UNBIND, IOCTL_EVTCHN_NOTIFY};
	static const unsigned long forbidden[] = {IOCTL_GNTDEV_SET_MAX_GRANTS, IOCTL_GNTDEV_SET_UNMAP_NOTIFY,
	    IOCTL_GNTDEV_DMABUF_EXP_FROM_REFS, IOCTL_GNTDEV_DMABUF_IMP_TO_REFS, IOCTL_EVTCHN_BIND_VIRQ,
	    IOCTL_EVTCHN_BIND_UNBOUND_PORT, IOCTL_EVTCHN_RESET, IOCTL_EVTCHN_RESTRICT_DOMID};

	(void)state;
	if (!HAS_LIST) {
		printf("SKIP: under a sanitizer there is no list of system calls\n");
		skip();
	}
	for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0]; i++) {
		assert_true(is_allowed(SANDBOX_XEN | SANDBOX_PASS_FDS, allowed[i]));
		assert_false(is_allowed(SANDBOX_PASS_FDS | SANDBOX_FILE_IO | SANDBOX_FILES, allowed[i]));
	}
	for (unsigned i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++)
		assert_false(is_allowed(SANDBOX_XEN | SANDBOX_PASS_FDS, forbidden[i]));
}

static void
where_there_is_no_xen_the_error_says_which_device_is_missing(void **state)
{
	struct error error = {0};
	struct xen_port *port;

	(void)state;
	if (access("/dev/xen/gntdev", F_OK) == 0) {
		printf("SKIP: this is a Xen host\n");
		skip();
	}
	port = xen_port_open(1, &error);
	assert_null(port);
	assert_non_null(strstr(error.text, "xen-gntdev"));
	assert_true(error.code < 0);
	xen_port_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_list_has_the_calls_of_both_devices_and_no_other),
	    cmocka_unit_test(where_there_is_no_xen_the_error_says_which_device_is_missing),
	};

	return cmocka_run_group_tests_name("xen_port", tests, NULL, NULL);
}
