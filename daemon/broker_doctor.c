/* SPDX-License-Identifier: Apache-2.0
 *
 * What only the broker can see of doctor's checks: grants, peers and people of netbusd.yaml against what there is. Each finding has its remedy.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/broker.h"

/* A session costs the broker and the monitor a channel, a page and a device; with fewer than this the limits of wire/limits.h are not reached. */
#define FILES_LEAST (2u * LIMIT_SESSIONS)

void
client_finding(
    struct client *client, const char *check, const char *severity, const char *remedy, const char *format, ...)
{
	struct msg_row_finding row = {0};
	va_list arguments;

	snprintf(row.check, sizeof row.check, "%s", check);
	snprintf(row.severity, sizeof row.severity, "%s", severity);
	snprintf(row.remedy, sizeof row.remedy, "%s", remedy);
	va_start(arguments, format);
	vsnprintf(row.text, sizeof row.text, format, arguments);
	va_end(arguments);
	client_row(client, ADMIN_ROW_FINDING, &row);
}

/* ---- grants ---- */

static void
look_at_grant(const struct db_grant *grant, void *context)
{
	struct client *client = context;
	struct db_share share;
	struct db_host host;

	if (!client_sees(client, grant->vm.text, grant->share.text))
		return;
	if (db_share_get(client->broker->db, grant->share.text, &share) < 0 || !share.configured)
		client_finding(client, "grants", "warning", "revoke it, or export the share",
		    "grant %" PRIu64 " is for %s, which is not exported", grant->id, grant->share.text);
	else if (share.read_only && grant->mode)
		client_finding(client, "grants", "warning",
		    "grant it with --mode ro, or export the share with mode: rw",
		    "grant %" PRIu64 " is for writing, but %s is exported read-only", grant->id, grant->share.text);
	if (grant->host[0] && db_host_get(client->broker->db, grant->host, &host) == 0 && host.denied)
		client_finding(client, "grants", "warning", "netbus-admin host allow, or revoke it",
		    "grant %" PRIu64 " is for host %s, which is denied", grant->id, grant->host);
}

/* ---- peers ---- */

static void
look_at_exporter(struct client *client, const struct guest *guest)
{
	struct broker *broker = client->broker;
	struct db_host host;
	char mend[192];

	if (config_peer(broker->config, guest->row.exporter) ||
	    (db_host_get(broker->db, guest->row.exporter, &host) == 0 && host.address[0]))
		return;
	snprintf(mend, sizeof mend, "netbus-admin host add %s --address ADDRESS:PORT", guest->row.exporter);
	client_finding(client, "peers", "warning", mend,
	    "%s has %s from %s, of which no address is known any more: no further lane is connected",
	    guest->row.vm.text, guest->row.share.text, guest->row.exporter);
}

static void
look_at_peers(struct client *client)
{
	const struct config *config = client->broker->config;

	for (const struct guest *guest = client->broker->guests; guest; guest = guest->next)
		look_at_exporter(client, guest);
	if (config_peer(config, config->host.text))
		client_finding(client, "peers", "warning", "take it out of peers: in netbusd.yaml",
		    "peers: has %s, which is this host itself", config->host.text);
}

/* ---- people ---- */

static void
look_at_people(struct client *client, const char *what, const struct config_people *people)
{
	for (size_t i = 0; i < people->user_count; i++)
		if (!people_has_user(people->users[i]))
			client_finding(client, "admins", "warning",
			    "correct the name, or say the user's number when he is not in /etc/passwd",
			    "admins: %s names the user %s, whom /etc/passwd does not have", what, people->users[i]);
	for (size_t i = 0; i < people->group_count; i++)
		if (!people_has_group(people->groups[i]))
			client_finding(client, "admins", "warning",
			    "correct the name, or say the group's number when it is not in /etc/group",
			    "admins: %s names the group %s, which /etc/group does not have", what, people->groups[i]);
}

static bool
has_share(const struct config *config, const char *tenant)
{
	size_t length = strlen(tenant);

	for (size_t i = 0; i < config->share_count; i++)
		if (strncmp(config->shares[i].name.text, tenant, length) == 0 &&
		    config->shares[i].name.text[length] == '/')
			return true;
	return false;
}

static void
look_at_admins(struct client *client)
{
	const struct config *config = client->broker->config;

	look_at_people(client, "operators", &config->operators);
	look_at_people(client, "auditors", &config->auditors);
	for (size_t i = 0; i < config->tenant_count; i++) {
		const struct config_tenant *tenant = &config->tenants[i];

		look_at_people(client, tenant->tenant.text, &tenant->people);
		/* On a host that exports nothing a tenant's people attach. */
		if (config->share_count && !has_share(config, tenant->tenant.text))
			client_finding(client, "admins", "warning",
			    "correct the tenant's name, or export a share of it",
			    "admins: has tenant %s, of which nothing is exported", tenant->tenant.text);
	}
}

/* ---- Xen ---- */

static void
look_at_xenwatch(struct client *client)
{
	const struct broker *broker = client->broker;

	if (broker->xenwatch.id == 0)
		client_finding(client, "xen", "error",
		    "journalctl -u netbusd says why; xenstored must run, and this be dom0 or a driver domain",
		    "netbus-xenwatch does not run: Xen guests get no disks, and keep those that they have");
	else
		client_finding(client, "xen", "ok", "", "netbus-xenwatch runs");
}

static void
look_at_domain(struct client *client, const struct xen_map_entry *entry)
{
	const struct config *config = client->broker->config;
	struct name tenant = entry->is_beginning ? entry->tenant : qualified_tenant(&entry->vm);

	/* On a host that exports nothing the shares are others'. */
	if (config->share_count && !has_share(config, tenant.text))
		client_finding(client, "xen", "warning", "correct the tenant's name, or export a share of it",
		    "xen: vms: has %s%s of tenant %s, of which nothing is exported", entry->domain,
		    entry->is_beginning ? "*" : "", tenant.text);
}

/* The table was changed under it. */
static void
look_at_disk(struct client *client, const struct guest *guest)
{
	struct qualified vm = {""};
	char mend[320];

	if (!guest->xen.is || (xen_map_vm(&client->broker->config->xen.vms, guest->xen.domain, &vm) &&
				  strcmp(vm.text, guest->row.vm.text) == 0))
		return;
	snprintf(mend, sizeof mend, "netbus-admin detach %s %s", guest->row.vm.text, guest->row.share.text);
	client_finding(client, "xen", "warning", mend,
	    "domain '%s' has a disk as %s, but is %s in netbusd.yaml (xen: vms:)", guest->xen.domain,
	    guest->row.vm.text, vm.text[0] ? vm.text : "no VM");
}

static void
look_at_xen(struct client *client)
{
	const struct config_xen *xen = &client->broker->config->xen;

	if (!xen->on)
		return;
	look_at_xenwatch(client);
	if (xen->vms.count == 0)
		client_finding(client, "xen", "warning", "add a line such as web-1: acme/web-1 under xen: vms:",
		    "xen: vms: names no domain, so every disk of a Xen guest is refused");
	for (size_t i = 0; i < xen->vms.count; i++)
		look_at_domain(client, &xen->vms.entries[i]);
	for (const struct guest *guest = client->broker->guests; guest; guest = guest->next)
		look_at_disk(client, guest);
}

/* ---- this process ---- */

static void
look_at_files(struct client *client)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_LEAST)
		return;
	client_finding(client, "descriptors", "warning",
	    "LimitNOFILE=65536 in the unit of netbusd (or ulimit -n), then restart",
	    "netbusd may open %llu files, which is too few for %u sessions", (unsigned long long)limit.rlim_cur,
	    LIMIT_SESSIONS);
}

void
doctor_asked(struct client *client)
{
	db_grants_each(client->broker->db, NULL, NULL, NULL, look_at_grant, client);
	if (client->role == ROLE_TENANT)
		return;
	look_at_peers(client);
	look_at_admins(client);
	look_at_xen(client);
	look_at_files(client);
}
