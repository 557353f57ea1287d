/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-xen-dm: the command line, which is the one that libxl makes for QEMU. libxl is trusted; what an operator put into device_model_args is passed over.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "daemon/xen_dm.h"
#include "wire/channel.h"

#define LIBXL_CHARDEV "socket,id=libxl-cmd,"

/* "socket,id=libxl-cmd,path=/var/run/xen/qmp-libxl-7,server=on,wait=off" */
static int
take_chardev(const char *text, struct xen_dm_options *options, struct error *error)
{
	const char *path;
	size_t length;

	if (strncmp(text, LIBXL_CHARDEV, strlen(LIBXL_CHARDEV)) != 0)
		return 0;
	text += strlen(LIBXL_CHARDEV);
	if (strncmp(text, "fd=", 3) == 0)
		return error_set(error, -EINVAL,
		    "the guest's configuration has device_model_restrict or dm_restrict: take it out, netbus-xen-dm "
		    "restricts itself");
	if (strncmp(text, "path=", 5) != 0)
		return error_set(error, -EINVAL, "-chardev %s: no path of a socket", text);
	path = text + strlen("path=");
	length = strcspn(path, ",");
	if (length == 0 || length >= sizeof options->socket)
		return error_set(
		    error, -EINVAL, "-chardev: a socket's path has 1..%zu bytes", sizeof options->socket - 1);
	memcpy(options->socket, path, length);
	options->socket[length] = 0;
	return 0;
}

static int
take_machine(const char *text, struct xen_dm_options *options, struct error *error)
{
	if (strncmp(text, "xenpv", strlen("xenpv")) == 0)
		return 0;
	return error_set(error, -EINVAL,
	    "%s is not a PV or PVH guest (machine %.32s): an HVM guest needs QEMU as its device model, so leave out "
	    "device_model_override "
	    "and attach the share with script=block-netbus, netbus-xen(7)",
	    options->guest, text);
}

static int
take_domid(const char *text, struct xen_dm_options *options, struct error *error)
{
	uint64_t domid;
	int code = parse_number(text, 1, XEN_DOMID_MOST, &domid, error);

	if (code < 0)
		return error_wrap(error, "-xen-domid");
	options->domid = (unsigned)domid;
	return 0;
}

static int
take_name(const char *text, struct xen_dm_options *options, struct error *error)
{
	(void)error;
	options->guest = text;
	return 0;
}

static const struct {
	const char *option;
	int (*take)(const char *text, struct xen_dm_options *options, struct error *error);
} options_of_libxl[] = {
    {"-xen-domid", take_domid},
    {"-name", take_name},
    {"-chardev", take_chardev},
    {"-machine", take_machine},
};

int
xen_dm_options_parse(int argc, char **argv, struct xen_dm_options *options, struct error *error)
{
	*options = (struct xen_dm_options){.guest = "the guest"};
	for (int i = 1; i + 1 < argc; i++) {
		for (size_t k = 0; k < sizeof options_of_libxl / sizeof options_of_libxl[0]; k++) {
			if (strcmp(argv[i], options_of_libxl[k].option) != 0)
				continue;
			if (options_of_libxl[k].take(argv[++i], options, error) < 0)
				return error->code;
			break;
		}
	}
	if (options->domid == 0 || options->socket[0] == 0)
		return error_set(error, -EINVAL,
		    "started without -xen-domid or without libxl's socket: this program is for xl, by "
		    "device_model_override in a guest's configuration: netbus-xen(7)");
	return 0;
}
