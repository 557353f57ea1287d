/* SPDX-License-Identifier: Apache-2.0
 *
 * The part of QEMU's machine protocol (QMP; QEMU's docs/interop/qmp-spec.rst) that libxl 4.17 and xentop speak to a device model. Pure: a line in, a line out.
 * netbus-xen-dm holds the socket (daemon/xen_dm_socket.c). The other side is the toolstack, which is root; its bytes are read as a stranger's all the same.
 *
 *     we:    {"QMP": {"version": {"qemu": {"major": ...}, "package": "netbus ..."}, "capabilities": []}}
 *     libxl: {"execute": "qmp_capabilities", "id": 2020372737}
 *     we:    {"return": {}, "id": 2020372737}
 *     libxl: {"execute": "query-chardev", "id": 2020372736}
 *     we:    {"return": [], "id": 2020372736}   or   {"error": {"class": "GenericError", "desc": "..."}, "id": 2020372736}
 *
 * libxl prints the "desc" of an error, and an error to query-chardev, its first command at a start, ends `xl create`: so what a person has to read is said there.
 * A command is one line here (libxl ends each with CR LF); QEMU would take one over several lines.
 */
#ifndef NETBUS_FRONTEND_QMP_H
#define NETBUS_FRONTEND_QMP_H

#include <stdbool.h>
#include <stddef.h>

#define QMP_LINE_MAX 16384 /* bytes of a command with its line end; who sends more is not listened to any more */

/* Of one connection. */
struct qmp {
	const char *guest;   /* borrowed: the domain's name, for query-name */
	const char *refusal; /* borrowed: why the guest must not start; NULL when it may */
	bool negotiated;     /* qmp_capabilities was said */
};

/* Both return a malloc'd line that ends with CR LF, or NULL when memory is out. jansson draws its seed at the first use: json_object_seed() before a lock-down. */
char *qmp_greeting(void);
/* The answer to one command, without its line end. Whatever the bytes are, there is an answer. */
char *qmp_answer(struct qmp *qmp, const char *line, size_t length);

#endif
