/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin doctor, in parts: cmd_doctor.c asks the broker and prints; the others look at this host themselves, with the rights of whoever typed it, so that
 * they help where netbusd does not start. What cannot be looked at is said once.
 *
 *   doctor_pki.c     keys and certificates
 *   doctor_shares.c  what netbusd.yaml exports, against the devices that are there
 *   doctor_places.c  state, trail, mark, checkpoint, the admin socket, and the room for them
 *   doctor_host.c    users, io_uring, addresses, Xen's devices
 */
#ifndef NETBUS_ADMIN_DOCTOR_H
#define NETBUS_ADMIN_DOCTOR_H

#include <sys/stat.h>

#include "admin/admin.h"
#include "base/yaml.h"

enum severity { SEVERITY_OK, SEVERITY_WARNING, SEVERITY_ERROR };

struct doctor {
	struct asking asking;
	struct admin *admin;
	json_t *findings;
	bool any_error;
	unsigned unseen; /* files that may not be looked at by who asks */
	char first_unseen[256];
	struct yaml_file *config; /* netbusd.yaml as far as it is well-formed YAML, or NULL */
	struct msg_row_status status;
	bool has_status;
};

/* A finding; the texts are escaped here. `remedy` is what to type or to do; "" with SEVERITY_OK. */
void doctor_find(struct doctor *doctor, const char *check, enum severity severity, const char *remedy,
    const char *format, ...) __attribute__((format(printf, 5, 6)));
/* 0, or -errno; what may not be looked at is counted. */
int doctor_stat(struct doctor *doctor, const char *path, struct stat *status);
/* True when it is there and nobody but its owner may do what `forbidden` says (077: read or change, 022: change). `missing`: the remedy when it is not
 * there, NULL: that is fine, and true. */
bool doctor_owner_only(
    struct doctor *doctor, const char *check, const char *path, mode_t forbidden, const char *missing);
/* A directory of netbusd.yaml's `paths:`, or where it is without; owned by the caller. */
char *doctor_directory(const struct doctor *doctor, const char *key, const char *usual);
/* The whole file, NULL when that cannot be (which is counted, or was found already). */
char *doctor_read(struct doctor *doctor, const char *path, size_t *length);

void doctor_pki(struct doctor *doctor);
void doctor_shares(struct doctor *doctor);
void doctor_places(struct doctor *doctor);
void doctor_host(struct doctor *doctor);

#endif
