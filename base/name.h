/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of things, made only by this parser: 1-63 of [a-z0-9._-], first a letter or digit.
 * A qualified name is "tenant/name" (a VM, a share). Tenant, host, share and VM names are such names.
 */
#ifndef NETBUS_BASE_NAME_H
#define NETBUS_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define NAME_LEN_MAX      63
#define QUALIFIED_LEN_MAX (2 * NAME_LEN_MAX + 1)

struct name {
	char text[NAME_LEN_MAX + 1];
};

struct qualified {
	char text[QUALIFIED_LEN_MAX + 1]; /* "tenant/name" */
};

/* `what` names the object for the error: "host name 'M 1': ...". Return 0 or -EINVAL; output untouched on error. */
int name_parse(const char *untrusted_text, const char *what, struct name *name, struct error *error);
int qualified_parse(const char *untrusted_text, const char *what, struct qualified *name, struct error *error);

bool name_is_valid(const char *untrusted_text, size_t length);
/* "acme" of "acme/web-1". */
struct name qualified_tenant(const struct qualified *name);
/* "web-1" of "acme/web-1"; points into `name`. */
const char *qualified_local(const struct qualified *name);

#endif
