/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xen-dm: what libxl starts as the device model of a PV or PVH guest whose disks are netbus shares (`backendtype=qdisk` and `device_model_override` in the
 * guest's configuration, netbus-xen(7)). One process for each such guest, started by xl as root.
 *
 * It serves no device: netbusd does. It holds xl up until each netbus disk of the guest is published or refused, so that the guest finds its root disk and a refusal
 * is what xl prints. Then it answers the few things that libxl asks a QEMU. libxl may kill it at any time, and no disk notices.
 *
 * Trusts the toolstack (its command line, xenstore nodes that guests cannot write). Reads nothing that a guest wrote.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "daemon/xen_dm.h"

#define DM_USER "netbus-xen-dm"

enum { EXIT_CLEAN = 0, EXIT_FAILED = 1 };

static struct dm {
	struct xen_dm_options options;
	struct loop *loop;
	struct xs_handle *store;
	struct watch changes;
	struct timer deadline;
	int listener;
	bool decided;
	char text[ERROR_TEXT_MAX]; /* why not, or what is still waited for */
	struct xen_dm_socket socket;
} dm;

/* ---- the decision ---- */

/* From here on libxl speaks to us. It is told of a refusal when it asks for query-chardev: that text it prints, where of a device model that merely exits it
 * says only that it failed. */
static void
decide(const char *refusal)
{
	char path[64];
	int code;

	if (refusal)
		log_warning("%s does not start: %s", dm.options.guest, refusal);
	else
		log_info("%s can start: its netbus disks are there", dm.options.guest);
	dm.decided = true;
	timer_stop(&dm.deadline);
	snprintf(path, sizeof path, "device-model/%u/state", dm.options.domid);
	code = xen_dm_socket_serve(&dm.socket, dm.loop, dm.listener, dm.options.guest, refusal);
	if (code == 0 && xs_write(dm.store, XBT_NULL, path, "running", strlen("running")))
		return;
	log_error("cannot say to libxl that %s can start (%s in xenstore)", dm.options.guest, path);
	loop_quit(dm.loop, EXIT_FAILED);
}

static void
on_deadline(struct timer *timer)
{
	char text[ERROR_TEXT_MAX];

	(void)timer;
	snprintf(text, sizeof text, "%.*s (waited %d seconds)", ERROR_TEXT_MAX - 32, dm.text, XEN_DM_WAIT_MS / 1000);
	memcpy(dm.text, text, sizeof dm.text);
	decide(dm.text);
}

static void
look(void)
{
	switch (xen_dm_look(dm.store, dm.options.domid, dm.text)) {
	case XEN_DM_READY:
		decide(NULL);
		break;
	case XEN_DM_REFUSED:
		decide(dm.text);
		break;
	case XEN_DM_WAITING:
		break;
	}
}

/* ---- xenstore ---- */

static void
on_change(struct watch *watch, uint32_t events)
{
	char **change;

	(void)watch, (void)events;
	while ((change = xs_check_watch(dm.store)) != NULL)
		free(change);
	if (!xs_is_domain_introduced(dm.store, dm.options.domid)) {
		log_info("%s is gone", dm.options.guest);
		loop_quit(dm.loop, EXIT_CLEAN);
	} else if (!dm.decided) {
		look();
	}
}

static int
open_store(struct error *error)
{
	dm.store = xs_open(0);
	return dm.store ? 0 : error_errno(error, -errno, "cannot open xenstore; is xenstored running?");
}

/* The first watch makes libxenstore's reader thread: after the user was changed, before the lock-down, which holds for it too. */
static int
watch_store(struct error *error)
{
	char disks[64];
	int code;

	snprintf(disks, sizeof disks, "backend/qdisk/%u", dm.options.domid);
	if (!xs_watch(dm.store, disks, "disks") || !xs_watch(dm.store, "@releaseDomain", "end"))
		return error_errno(error, -errno, "cannot watch xenstore");
	code = watch_start(dm.loop, &dm.changes, xs_fileno(dm.store), EPOLLIN, on_change);
	return code < 0 ? error_errno(error, code, "cannot wait for xenstore") : 0;
}

/* ---- start ---- */

/* The socket lies in a directory of root's, and so does xenstored's: both come before the user does. */
static int
open_all(struct error *error)
{
	int code = dm.listener = xen_dm_socket_open(dm.options.socket, error);

	if (code >= 0)
		code = open_store(error);
	if (code >= 0 && (dm.loop = loop_new(error)) == NULL)
		code = error->code;
	json_object_seed(0);
	return code;
}

static int
begin(int argc, char **argv, struct error *error)
{
	int code = xen_dm_options_parse(argc, argv, &dm.options, error);

	log_label(dm.options.guest);
	if (code == 0)
		code = sandbox_begin_orphan(error);
	if (code == 0)
		code = open_all(error);
	if (code >= 0)
		code = sandbox_drop_to_user(DM_USER, error);
	if (code == 1)
		log_notice(
		    "there is no user " DM_USER " (systemd-sysusers makes it): goes on as the user that xl runs as");
	if (code >= 0)
		code = watch_store(error);
	return code < 0 ? code : sandbox_lock(SANDBOX_ACCEPT | SANDBOX_THREADS, error);
}

int
main(int argc, char **argv)
{
	struct error error = {0};

	log_open("netbus-xen-dm", LOG_INFO_);
	if (begin(argc, argv, &error) < 0) {
		log_error("%s", error.text);
		return EXIT_FAILED;
	}
	timer_start(dm.loop, &dm.deadline, XEN_DM_WAIT_MS * NS_PER_MS, on_deadline);
	return loop_run(dm.loop);
}
