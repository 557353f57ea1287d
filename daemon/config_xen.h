/* SPDX-License-Identifier: Apache-2.0
 *
 * Which VM a Xen domain is: `xen: vms:` of netbusd.yaml as a table. A domain goes by the name that the toolstack gave it; a guest cannot change it.
 *
 * "web-1" -> "acme/web-1" names one domain. "acme-*" -> "acme" (a tenant) stands for every domain whose name begins so, which is the tenant's VM of the
 * domain's own name. A whole name comes before beginnings, and the longest beginning before shorter ones. No two domains are one VM: what a whole name has
 * is not reached by a beginning.
 *
 * Pure. The texts are the operator's.
 */
#ifndef NETBUS_DAEMON_CONFIG_XEN_H
#define NETBUS_DAEMON_CONFIG_XEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/name.h"
#include "wire/limits.h"

#define XEN_DOMAIN_LEN_MAX 63 /* of a name that the table can have */

struct xen_map_entry {
	char domain[XEN_DOMAIN_LEN_MAX + 1]; /* without its '*' */
	bool is_beginning;
	struct qualified vm; /* of a whole name */
	struct name tenant;  /* of a beginning */
};

struct xen_map {
	struct xen_map_entry *entries; /* owned by whoever made the table */
	size_t count;
};

/* Into `entries[count]`, which must be there. 0, or -EINVAL (a malformed name), or -EEXIST (it is there already, or its VM is another domain's). */
int xen_map_add(struct xen_map *map, const char *domain, const char *vm, struct error *error);
/* Whether it is a VM of the table; *vm is untouched if not. */
bool xen_map_vm(const struct xen_map *map, const char *untrusted_domain, struct qualified *vm);

#endif
