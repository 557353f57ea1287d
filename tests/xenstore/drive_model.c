/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xen-dm as libxl starts it: the command line of 4.17, xenstore nodes, and QMP at the socket (tests/xenstore/drive.h). What netbus-xenwatch writes about disks is written here.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/loop.h"
#include "daemon/xen_dm.h"
#include "tests/xenstore/drive.h"

/* ---- libxl ---- */

struct model {
	pid_t pid;
	unsigned domid;
	char socket[108];
	int fd; /* -1: not connected */
	char heard[4096];
};

static void
run_model(unsigned domid, const char *chardev, const char *machine)
{
	char path[1024], number[12];

	snprintf(path, sizeof path, "%.900s/netbus-xen-dm", getenv("NETBUS_BIN"));
	snprintf(number, sizeof number, "%u", domid);
	execl(path, path, "-xen-domid", number, "-no-shutdown", "-chardev", chardev, "-mon",
	    "chardev=libxl-cmd,mode=control", "-chardev", "socket,id=libxenstat-cmd,path=/nowhere,server=on,wait=off",
	    "-mon", "chardev=libxenstat-cmd,mode=control", "-nodefaults", "-no-user-config", "-xen-attach", "-name",
	    "web-1", "-vnc", "none", "-display", "none", "-nographic", "-machine", machine, "-m", "128", (char *)NULL);
	_exit(127);
}

static pid_t
model_spawn(unsigned domid, const char *chardev, const char *machine)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0)
		run_model(domid, chardev, machine);
	return pid;
}

static struct model
model_start(unsigned domid)
{
	struct model model = {.domid = domid, .fd = -1};
	char chardev[256];

	snprintf(model.socket, sizeof model.socket, "%.80s/qmp-libxl-%u", getenv("NETBUS_ALONE"), domid);
	snprintf(chardev, sizeof chardev, "socket,id=libxl-cmd,path=%s,server=on,wait=off", model.socket);
	model.pid = model_spawn(domid, chardev, "xenpv");
	return model;
}

static int
exit_code(pid_t pid)
{
	int status = 0;

	REQUIRE(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
model_kill(struct model *model)
{
	if (model->fd >= 0)
		close(model->fd);
	REQUIRE(kill(model->pid, SIGHUP) == 0);
	REQUIRE(exit_code(model->pid) == 128 + SIGHUP);
}

/* As libxl waits for it. */
static void
wait_running(const struct model *model)
{
	wait_for("running", "/local/domain/0/device-model/%u/state", model->domid);
}

static bool
is_waiting(const struct model *model)
{
	require_quiet("/local/domain/0/device-model/%u", model->domid);
	return says(NULL, "/local/domain/0/device-model/%u/state", model->domid);
}

/* ---- QMP ---- */

static int
dial(const struct model *model)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, model->socket, sizeof model->socket);
	REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	return fd;
}

/* One line into model->heard; false when it hung up. */
static bool
hear_line(struct model *model, int milliseconds)
{
	size_t used = 0;

	do {
		struct pollfd ready = {.fd = model->fd, .events = POLLIN};

		REQUIRE(used + 1 < sizeof model->heard && poll(&ready, 1, milliseconds) == 1);
		if (recv(model->fd, model->heard + used, 1, 0) <= 0)
			return false;
		used++;
	} while (model->heard[used - 1] != '\n');
	model->heard[used] = '\0';
	return true;
}

static const char *
ask(struct model *model, const char *command)
{
	REQUIRE(send(model->fd, command, strlen(command), MSG_NOSIGNAL) == (ssize_t)strlen(command));
	REQUIRE(hear_line(model, 5000));
	return model->heard;
}

/* What libxl does once it runs; the answer to query-chardev. */
static const char *
post_configure(struct model *model)
{
	wait_running(model);
	model->fd = dial(model);
	REQUIRE(hear_line(model, 5000) && strncmp(model->heard, "{\"QMP\"", 6) == 0);
	REQUIRE(strcmp(ask(model, "{\"execute\":\"qmp_capabilities\",\"id\":2020372737}\r\n"),
		    "{\"return\":{},\"id\":2020372737}\r\n") == 0);
	return ask(model, "{\"execute\":\"query-chardev\",\"id\":2020372736}\r\n");
}

static struct place
disk_named(unsigned domid, unsigned device, const char *vdev, const char *params)
{
	struct place place = place_of(0, "qdisk", domid, device);

	disk_make(&place, params, "w");
	put(vdev, "%s/dev", place.backend);
	return place;
}

/* ---- scenarios ---- */

static void
holds_the_guest_up_until_each_disk_is_there(void)
{
	struct place first, second;
	struct model model;

	domain_make(71, "web-1");
	first = disk_named(71, 51712, "xvda", TARGET);
	second = disk_named(71, 51728, "xvdb", "aio:netbus://m2/acme/disk-2");
	model = model_start(71);
	REQUIRE(is_waiting(&model));
	put("2", "%s/state", second.backend);
	REQUIRE(is_waiting(&model));
	put("2", "%s/state", first.backend);
	REQUIRE(strcmp(post_configure(&model), "{\"return\":[],\"id\":2020372736}\r\n") == 0);
	/* Its work is done: what becomes of a disk is no longer its business. */
	put("lost", "%s/error", first.backend);
	REQUIRE(strcmp(ask(&model, "{\"execute\":\"query-chardev\"}\r\n"), "{\"return\":[]}\r\n") == 0);
	model_kill(&model);
}

static void
tells_xl_why_a_disk_is_refused(void)
{
	struct place first, second;
	struct model model;
	const char *answer;

	domain_make(72, "web-1");
	first = disk_named(72, 51712, "xvda", TARGET);
	second = disk_named(72, 51728, "xvdb", "aio:netbus://m2/acme/disk-2");
	model = model_start(72);
	REQUIRE(is_waiting(&model));
	put("acme/web-1 does not get it: no grant (record 512 of m2)", "%s/error", first.backend);
	answer = post_configure(&model);
	REQUIRE(strstr(answer, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"disk xvda (netbus://m2/acme/disk-1): "
			       "acme/web-1 does not get it: no "
			       "grant (record 512 of m2)\"},\"id\":2020372736}\r\n"));
	REQUIRE(says("1", "%s/state", second.backend));
	model_kill(&model);
}

static void
takes_no_disk_and_no_guest_that_needs_qemu(void)
{
	struct model model;
	char chardev[] = "socket,id=libxl-cmd,path=/nowhere/qmp,server=on,wait=off";
	char restricted[] = "socket,id=libxl-cmd,fd=7,server=on,wait=off",
	     elsewhere[] = "socket,id=other,path=/nowhere/qmp";

	domain_make(73, "web-1");
	disk_named(73, 51712, "xvda", TARGET);
	disk_named(73, 51728, "xvdb", "aio:/var/lib/xen/images/web-1.img");
	model = model_start(73);
	REQUIRE(strstr(post_configure(&model), "disk xvdb (aio:/var/lib/xen/images/web-1.img) is no netbus share"));
	model_kill(&model);

	domain_make(74, "web-1");
	put("1", "/local/domain/0/backend/vfb/74/0/state");
	model = model_start(74);
	REQUIRE(strstr(post_configure(&model), "the guest has a vfb device, which needs QEMU"));
	model_kill(&model);

	REQUIRE(exit_code(model_spawn(74, chardev, "xenfv")) == 1);
	REQUIRE(exit_code(model_spawn(74, restricted, "xenpv")) == 1);
	REQUIRE(exit_code(model_spawn(74, elsewhere, "xenpv")) == 1);
	REQUIRE(exit_code(model_spawn(0, chardev, "xenpv")) == 1);
	REQUIRE(exit_code(model_spawn(0x7ff0, chardev, "xenpv")) == 1);
}

static void
ends_with_its_guest(void)
{
	struct place place;
	struct model waiting, running;

	domain_make(75, "web-1");
	domain_make(76, "web-1");
	place = disk_named(75, 51712, "xvda", TARGET);
	waiting = model_start(75);
	REQUIRE(is_waiting(&waiting));
	running = model_start(76);
	wait_running(&running);
	/* libxl takes the nodes away, and then the domain. */
	take_away("%s", place.backend);
	take_away("/local/domain/0/backend/qdisk/75");
	wait_running(&waiting);
	domain_end(75);
	REQUIRE(exit_code(waiting.pid) == 0);
	domain_end(76);
	REQUIRE(exit_code(running.pid) == 0);
}

/* The longest waits, at once: a disk that nobody answers for, and a peer that says nothing. */
static void
bounds_every_wait_and_every_line(void)
{
	static char flood[QMP_LINE_MAX];
	struct model waiting, served;
	uint64_t began_ns = clock_monotonic_ns(), heard_ns;
	struct place place;
	int silent;

	domain_make(77, "web-1");
	domain_make(78, "web-1");
	place = disk_named(77, 51712, "xvda", TARGET);
	put("m2 cannot be reached", "%s/waiting", place.backend);
	waiting = model_start(77);
	served = model_start(78);
	REQUIRE(strstr(post_configure(&served), "return"));

	memset(flood, 'x', sizeof flood);
	REQUIRE(send(served.fd, flood, sizeof flood, MSG_NOSIGNAL) == (ssize_t)sizeof flood);
	REQUIRE(!hear_line(&served, 5000));
	close(served.fd);

	silent = dial(&served);
	heard_ns = clock_monotonic_ns();
	served.fd = dial(&served);
	REQUIRE(hear_line(&served, XEN_DM_SILENT_MS + 5000) && strncmp(served.heard, "{\"QMP\"", 6) == 0);
	REQUIRE(clock_monotonic_ns() - heard_ns > (XEN_DM_SILENT_MS - 1000) * NS_PER_MS);
	close(silent);
	model_kill(&served);

	while (clock_monotonic_ns() - began_ns < XEN_DM_WAIT_MS * NS_PER_MS &&
	       says(NULL, "/local/domain/0/device-model/77/state"))
		require_quiet("/local/domain/0/device-model/77x");
	REQUIRE(strstr(post_configure(&waiting),
	    "disk xvda (netbus://m2/acme/disk-1) is not there: m2 cannot be reached (waited 30 seconds)"));
	REQUIRE(clock_monotonic_ns() - began_ns > (XEN_DM_WAIT_MS - 1000) * NS_PER_MS);
	model_kill(&waiting);
}

const struct scenario model_scenarios[] = {
    {"holds_the_guest_up_until_each_disk_is_there", holds_the_guest_up_until_each_disk_is_there},
    {"tells_xl_why_a_disk_is_refused", tells_xl_why_a_disk_is_refused},
    {"takes_no_disk_and_no_guest_that_needs_qemu", takes_no_disk_and_no_guest_that_needs_qemu},
    {"ends_with_its_guest", ends_with_its_guest},
    {"bounds_every_wait_and_every_line", bounds_every_wait_and_every_line},
    {NULL, NULL},
};
