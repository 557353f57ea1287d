/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin doctor: what this machine has to have: users for the processes, io_uring, the addresses that are to be listened on, Xen's devices.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "admin/doctor.h"
#include "base/address.h"
#include "base/auto.h"

/* A `xen:` in netbusd.yaml. */
static bool
serves_xen(const struct doctor *doctor)
{
	const struct yaml *root = doctor->config ? yaml_root(doctor->config) : NULL;

	return root && root->kind == YAML_MAP && yaml_find(root, "xen");
}

/* Processes of one user could reach each other's memory and files. An instance under --root may have none of them. */
static void
check_users(struct doctor *doctor)
{
	static const char *const users[] = {
	    "netbus-gate", "netbus-session", "netbus-attach", "netbus-broker", "netbus-keys", "netbus-xen"};
	size_t of_all = ARRAY_LENGTH(users) - !serves_xen(doctor);
	char missing[128] = "";
	size_t used = 0, count = 0;

	for (size_t i = 0; i < of_all; i++) {
		if (getpwnam(users[i]) != NULL)
			continue;
		used += (size_t)snprintf(missing + used, sizeof missing - used, " %s", users[i]);
		count++;
	}
	if (count > 0 && (doctor->admin->root[0] == '\0' || count < of_all))
		doctor_find(doctor, "users", SEVERITY_WARNING,
		    "systemd-sysusers netbus.conf (etc/netbus.sysusers), then restart netbusd",
		    "there is no user%s: these processes run as root, and only their sandboxes hold them", missing);
}

/* The answer to a call that can do nothing: a kernel that has it complains of the address. */
static void
check_uring(struct doctor *doctor)
{
	if (syscall(SYS_io_uring_setup, 0, NULL) < 0 && (errno == ENOSYS || errno == EPERM))
		doctor_find(doctor, "io_uring", SEVERITY_WARNING,
		    "sysctl kernel.io_uring_disabled=0, and let the container's seccomp profile have it",
		    "this host forbids io_uring (%s): devices are read and written one request at a time",
		    strerror(errno));
}

static void
check_address(struct doctor *doctor, const char *text)
{
	union address address;
	AUTO_CLOSE int fd = -1;
	int one = 1;

	if (address_parse(text, &address, NULL) < 0)
		return; /* netbusd's log has it, with its line */
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (address.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(fd, &address.any, address_length(&address)) == 0)
		return;
	if (errno == EADDRINUSE)
		doctor_find(doctor, "listen", SEVERITY_ERROR, "stop it (ss -ltnp says who), or listen: on another port",
		    "another process listens on %s", text);
	else
		doctor_find(doctor, "listen", SEVERITY_ERROR,
		    "correct listen: in netbusd.yaml (ip addr says which there are)", "%s cannot be listened on: %s",
		    text, strerror(errno));
}

/* Why it may not have started. */
static void
check_listen(struct doctor *doctor)
{
	const struct yaml *root = doctor->config ? yaml_root(doctor->config) : NULL;
	const struct yaml *listen = root && root->kind == YAML_MAP ? yaml_find(root, "listen") : NULL;

	if (doctor->has_status || listen == NULL || listen->kind != YAML_LIST)
		return;
	for (const struct yaml *item = listen->first; item; item = item->next)
		if (item->kind == YAML_SCALAR)
			check_address(doctor, item->text);
}

/* Where the kernel shows itself to be one that Xen runs, and where its toolstack's store is reached. */
static void
check_xen(struct doctor *doctor)
{
	static const char *const devices[][2] = {
	    {"/dev/xen/gntdev", "modprobe xen_gntdev; this must be dom0 or a driver domain of Xen"},
	    {"/dev/xen/evtchn", "modprobe xen_evtchn; this must be dom0 or a driver domain of Xen"},
	};
	static const char *const stores[] = {"/run/xenstored/socket", "/var/run/xenstored/socket", "/dev/xen/xenbus"};
	bool has_store = false;

	if (!serves_xen(doctor))
		return;
	for (size_t i = 0; i < ARRAY_LENGTH(devices); i++)
		if (access(devices[i][0], F_OK) < 0)
			doctor_find(doctor, "xen", SEVERITY_ERROR, devices[i][1],
			    "xen: is in netbusd.yaml, but %s is not there", devices[i][0]);
	for (size_t i = 0; i < ARRAY_LENGTH(stores); i++)
		has_store |= access(stores[i], F_OK) == 0;
	if (!has_store)
		doctor_find(doctor, "xen", SEVERITY_ERROR, "start xenstored (systemctl start xenstored, or xencommons)",
		    "xen: is in netbusd.yaml, but there is no xenstore: neither %s nor %s", stores[0], stores[2]);
}

void
doctor_host(struct doctor *doctor)
{
	check_users(doctor);
	check_uring(doctor);
	check_listen(doctor);
	check_xen(doctor);
}
