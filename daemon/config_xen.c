/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of Xen domains and VMs (daemon/config_xen.h).
 */
#include "daemon/config_xen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._+-";

/* "web-1", or "acme-*": the part before the star. */
static int
parse_domain(const char *text, struct xen_map_entry *entry, struct error *error)
{
	size_t length = strspn(text, letters);
	bool is_beginning = text[length] == '*' && text[length + 1] == '\0';

	if (text[length + is_beginning] != '\0' || length > XEN_DOMAIN_LEN_MAX || length == 0)
		return error_set(error, -EINVAL,
		    "'%.80s' is no name of a Xen domain; allowed: 1-%d of [A-Za-z0-9._+-], with a '*' at its end for "
		    "all that begin so",
		    text, XEN_DOMAIN_LEN_MAX);
	memcpy(entry->domain, text, length);
	entry->domain[length] = '\0';
	entry->is_beginning = is_beginning;
	return 0;
}

static int
refuse_double(const struct xen_map *map, const struct xen_map_entry *entry, struct error *error)
{
	for (size_t i = 0; i < map->count; i++) {
		const struct xen_map_entry *other = &map->entries[i];

		if (other->is_beginning != entry->is_beginning)
			continue;
		if (strcmp(other->domain, entry->domain) == 0)
			return error_set(error, -EEXIST, "domain '%s%s' stands here twice", entry->domain,
			    entry->is_beginning ? "*" : "");
		if (!entry->is_beginning && strcmp(other->vm.text, entry->vm.text) == 0)
			return error_set(error, -EEXIST,
			    "domain '%s': %s is the domain '%s' already; no two domains are one VM", entry->domain,
			    entry->vm.text, other->domain);
	}
	return 0;
}

int
xen_map_add(struct xen_map *map, const char *domain, const char *vm, struct error *error)
{
	struct xen_map_entry entry = {0};
	int code = parse_domain(domain, &entry, error);

	if (code == 0)
		code = entry.is_beginning ? name_parse(vm, "tenant", &entry.tenant, error)
					  : qualified_parse(vm, "VM", &entry.vm, error);
	if (code == 0)
		code = refuse_double(map, &entry, error);
	if (code == 0)
		map->entries[map->count++] = entry;
	return code;
}

static const struct xen_map_entry *
find(const struct xen_map *map, const char *domain)
{
	const struct xen_map_entry *best = NULL;

	for (size_t i = 0; i < map->count; i++) {
		const struct xen_map_entry *entry = &map->entries[i];
		size_t length = strlen(entry->domain);

		if (!entry->is_beginning && strcmp(entry->domain, domain) == 0)
			return entry;
		if (entry->is_beginning && strncmp(entry->domain, domain, length) == 0 &&
		    (best == NULL || length > strlen(best->domain)))
			best = entry;
	}
	return best;
}

static bool
is_named(const struct xen_map *map, const struct qualified *vm)
{
	for (size_t i = 0; i < map->count; i++)
		if (!map->entries[i].is_beginning && strcmp(map->entries[i].vm.text, vm->text) == 0)
			return true;
	return false;
}

bool
xen_map_vm(const struct xen_map *map, const char *untrusted_domain, struct qualified *vm)
{
	const struct xen_map_entry *entry = find(map, untrusted_domain);
	struct qualified made;

	if (entry == NULL)
		return false;
	if (!entry->is_beginning) {
		*vm = entry->vm;
		return true;
	}
	if (!name_is_valid(untrusted_domain, strlen(untrusted_domain)))
		return false;
	snprintf(made.text, sizeof made.text, "%s/%s", entry->tenant.text, untrusted_domain);
	if (is_named(map, &made))
		return false;
	*vm = made;
	return true;
}
