/* SPDX-License-Identifier: Apache-2.0
 *
 * Parser of netbusd.yaml. Tables say which keys a map has and who takes each; every fault is collected, and a file with any
 * gives no configuration at all. Runs in the monitor and in the broker; the file is the operator's.
 */
#include "daemon/config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/address.h"
#include "base/auto.h"
#include "base/fd.h"
#include "base/text.h"
#include "wire/limits.h"
#include "wire/silence.h"

#define SOCKET_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define LABEL_LEN_MAX   63

struct parse {
	const struct yaml_file *file;
	struct faults *faults;
	struct config *config;
};

#define FAULT(parse, node, ...) \
	faults_add((parse)->faults, yaml_name((parse)->file), (node)->line, (node)->column, __VA_ARGS__)

/* One key of a map: `take` reads its value into `into`. */
struct key {
	const char *name;
	void (*take)(struct parse *parse, const struct yaml *value, void *into);
};

#define KEYS_MAX 16

/* ---- pieces ---- */

static bool
is_kind(struct parse *parse, const struct yaml *node, enum yaml_kind kind)
{
	static const char *const names[] = {"a single value", "a list", "a map (key: value)"};

	if (node->kind == kind)
		return true;
	FAULT(
	    parse, node, "%s: this must be %s, not %s", node->key ? node->key : "file", names[kind], names[node->kind]);
	return false;
}

static void
take_map(struct parse *parse, const struct yaml *map, const struct key *keys, void *into)
{
	const char *names[KEYS_MAX + 1] = {NULL};
	size_t count = 0;

	if (!is_kind(parse, map, YAML_MAP))
		return;
	for (; keys[count].name; count++)
		names[count] = keys[count].name;
	yaml_allow_keys(parse->file, map, names, parse->faults);
	for (size_t i = 0; i < count; i++) {
		const struct yaml *value = yaml_find(map, keys[i].name);

		if (value)
			keys[i].take(parse, value, into);
	}
}

static char *
copy_text(struct parse *parse, const char *text)
{
	char *copy = strdup(text);

	if (copy == NULL)
		faults_add(parse->faults, yaml_name(parse->file), 0, 0, "out of memory");
	return copy;
}

/* Room for one element for each child of `node`, zeroed; NULL (and a fault when memory is out) if there are none. */
static void *
room_for(struct parse *parse, const struct yaml *node, size_t size)
{
	void *array = node->count ? calloc(node->count, size) : NULL;

	if (array == NULL && node->count)
		FAULT(parse, node, "out of memory");
	return array;
}

/* The place of a scalar in a NULL-terminated list of words, or -1 and a fault. */
static int
take_word(struct parse *parse, const struct yaml *value, const char *const *words)
{
	char all[128] = "";
	size_t used = 0;

	if (!is_kind(parse, value, YAML_SCALAR))
		return -1;
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], value->text) == 0)
			return i;
		used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", words[i]);
	}
	FAULT(parse, value, "%s: '%s' is not known here; allowed: %s", value->key, value->text, all);
	return -1;
}

/* Absolute and without detours, so that what the file says is what is opened. */
static bool
path_is_plain(const char *path)
{
	size_t length = strlen(path);

	return path[0] == '/' && length > 1 && length < PATH_MAX && path[length - 1] != '/' && !strstr(path, "//") &&
	       !strstr(path, "/./") && !strstr(path, "/../") &&
	       !(length >= 2 && strcmp(path + length - 2, "/.") == 0) &&
	       !(length >= 3 && strcmp(path + length - 3, "/..") == 0);
}

static void
take_path(struct parse *parse, const struct yaml *value, void *into)
{
	char **path = into;

	if (!is_kind(parse, value, YAML_SCALAR))
		return;
	if (!path_is_plain(value->text)) {
		FAULT(parse, value,
		    "%s: '%s' is no path to use; wanted is an absolute path without '.', '..', "
		    "'//' or a '/' at its end",
		    value->key, value->text);
		return;
	}
	free(*path);
	*path = copy_text(parse, value->text);
}

static bool
take_address(struct parse *parse, const struct yaml *value, bool any_port, char text[static CONFIG_ADDRESS_LEN])
{
	struct error error = {0};
	union address address;

	if (!is_kind(parse, value, YAML_SCALAR))
		return false;
	if (address_parse(value->text, &address, &error) < 0) {
		FAULT(parse, value, "%s", error.text);
		return false;
	}
	if (!any_port && (address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port) == 0) {
		FAULT(parse, value, "'%s': port 0 cannot be connected to; name the port on which that host listens",
		    value->text);
		return false;
	}
	address_print(&address, text);
	return true;
}

/* ---- version, host, listen ---- */

static void
take_version(struct parse *parse, const struct yaml *value, void *into)
{
	(void)into;
	if (is_kind(parse, value, YAML_SCALAR) && strcmp(value->text, "1") != 0)
		FAULT(parse, value, "version: '%s' is not known to this netbusd; allowed: 1", value->text);
}

static void
take_host(struct parse *parse, const struct yaml *value, void *into)
{
	struct error error = {0};

	(void)into;
	if (is_kind(parse, value, YAML_SCALAR) && name_parse(value->text, "host", &parse->config->host, &error) < 0)
		FAULT(parse, value, "%s", error.text);
}

static void
take_listen(struct parse *parse, const struct yaml *value, void *into)
{
	struct config *config = parse->config;

	(void)into;
	if (!is_kind(parse, value, YAML_LIST))
		return;
	if (value->count > CONFIG_LISTEN_MAX) {
		FAULT(parse, value, "listen: %zu addresses; at most %d are allowed", value->count, CONFIG_LISTEN_MAX);
		return;
	}
	for (const struct yaml *item = value->first; item; item = item->next)
		if (take_address(parse, item, true, config->listen[config->listen_count]))
			config->listen_count++;
}

static void
take_poll(struct parse *parse, const struct yaml *value, void *into)
{
	size_t digits;

	if (!is_kind(parse, value, YAML_SCALAR))
		return;
	digits = strspn(value->text, "0123456789");
	if (digits == 0 || digits > 4 || value->text[digits] != '\0' ||
	    strtoul(value->text, NULL, 10) > CONFIG_POLL_MOST)
		FAULT(parse, value, "poll_us: '%s' is not 0 (never) to %u microseconds", value->text, CONFIG_POLL_MOST);
	else
		((struct config *)into)->poll_us = (unsigned)strtoul(value->text, NULL, 10);
}

static void
take_lease_ttl(struct parse *parse, const struct yaml *value, void *into)
{
	struct config *config = into;
	struct error error = {0};
	int64_t us;

	if (!is_kind(parse, value, YAML_SCALAR))
		return;
	if (parse_duration(value->text, &us, &error) < 0)
		FAULT(parse, value, "lease_ttl: %s", error.text);
	else if (us < LEASE_TTL_LEAST_MS * INT64_C(1000) || us > LEASE_TTL_MOST_MS * INT64_C(1000))
		FAULT(parse, value, "lease_ttl: '%s' is not 3s to 60m", value->text);
	else
		config->lease_ttl_ms = (uint32_t)(us / 1000);
}

/* ---- shares ---- */

static void
take_memory(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_share *share = into;
	struct error error = {0};
	uint64_t bytes;

	if (!is_kind(parse, value, YAML_SCALAR))
		return;
	if (parse_size(value->text, &bytes, &error) < 0)
		FAULT(parse, value, "memory: %s", error.text);
	else if (bytes < 4096 || bytes > CONFIG_MEMORY_MAX || bytes % 4096 != 0)
		FAULT(parse, value, "memory: '%s' must be a multiple of 4KiB, at least 4KiB and at most 1TiB",
		    value->text);
	else
		share->memory_bytes = bytes;
}

static void
take_mode(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_share *share = into;

	share->read_only = take_word(parse, value, (const char *const[]){"ro", "rw", NULL}) == 0;
}

static void
take_sharing(struct parse *parse, const struct yaml *value, void *into)
{
	static const char *const words[] = {[SHARE_EXCLUSIVE] = "exclusive",
	    [SHARE_SHARED_READ] = "shared-read",
	    [SHARE_SHARED_WRITE] = "shared-write",
	    NULL};
	struct config_share *share = into;
	int word = take_word(parse, value, words);

	if (word >= 0)
		share->sharing = (enum share_mode)word;
}

static void
take_class(struct parse *parse, const struct yaml *value, void *into)
{
	static const char *const words[] = {"disk", NULL};
	struct config_share *share = into;
	int word = take_word(parse, value, words);

	if (word >= 0)
		snprintf(share->class, sizeof share->class, "%s", words[word]);
}

static void
take_discard(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_share *share = into;

	share->discard = take_word(parse, value, (const char *const[]){"false", "true", NULL}) == 1;
}

static void
take_direct(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_share *share = into;

	share->direct = take_word(parse, value, (const char *const[]){"false", "true", NULL}) == 1;
}

static void
take_labels(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_share *share = into;

	if (!is_kind(parse, value, YAML_MAP))
		return;
	if (value->count > CONFIG_LABELS_MAX) {
		FAULT(parse, value, "labels: %zu labels; at most %d are allowed", value->count, CONFIG_LABELS_MAX);
		return;
	}
	for (const struct yaml *label = value->first; label; label = label->next) {
		if (!is_kind(parse, label, YAML_SCALAR))
			continue;
		if (!name_is_valid(label->key, strlen(label->key)))
			FAULT(parse, label, "labels: '%s' is no label name; allowed: 1-63 of [a-z0-9._-]", label->key);
		else if (strlen(label->text) > LABEL_LEN_MAX)
			FAULT(parse, label, "labels: %s: the value is longer than %d bytes", label->key, LABEL_LEN_MAX);
		else
			share->labels[share->label_count++] = (struct policy_label){label->key, label->text};
	}
}

static void
take_share_path(struct parse *parse, const struct yaml *value, void *into)
{
	take_path(parse, value, &((struct config_share *)into)->path);
}

static const struct key share_keys[] = {
    {"path", take_share_path},
    {"memory", take_memory},
    {"mode", take_mode},
    {"sharing", take_sharing},
    {"class", take_class},
    {"labels", take_labels},
    {"discard", take_discard},
    {"direct", take_direct},
    {NULL, NULL},
};

/* Two names for one device would let two exclusive leases reach it. */
static void
refuse_second_name(struct parse *parse, const struct yaml *node, const struct config_share *share)
{
	const struct config *config = parse->config;

	for (size_t i = 0; share->path && i < config->share_count; i++)
		if (config->shares[i].path && strcmp(config->shares[i].path, share->path) == 0)
			FAULT(parse, node, "share '%s': %s is exported as '%s' already; one device has one name",
			    share->name.text, share->path, config->shares[i].name.text);
}

static void
take_share(struct parse *parse, const struct yaml *node)
{
	struct config_share *share = &parse->config->shares[parse->config->share_count];
	struct error error = {0};
	bool has_path = yaml_find(node, "path") != NULL, has_memory = yaml_find(node, "memory") != NULL;

	share->discard = true;
	snprintf(share->class, sizeof share->class, "disk");
	if (qualified_parse(node->key, "share", &share->name, &error) < 0)
		faults_add(parse->faults, yaml_name(parse->file), node->key_line, node->key_column, "%s", error.text);
	take_map(parse, node, share_keys, share);
	if (node->kind == YAML_MAP && has_path == has_memory)
		FAULT(parse, node, "share '%s': exactly one of 'path' and 'memory' says what is exported; here %s",
		    node->key, has_path ? "are both" : "is neither");
	if (share->direct && has_memory)
		FAULT(parse, node, "share '%s': 'direct' is for a 'path'; memory has no cache to go past", node->key);
	refuse_second_name(parse, node, share);
	parse->config->share_count++;
}

static void
take_shares(struct parse *parse, const struct yaml *value, void *into)
{
	(void)into;
	if (!is_kind(parse, value, YAML_MAP))
		return;
	if (value->count > LIMIT_SHARES) {
		FAULT(parse, value, "shares: %zu shares; at most %u are allowed", value->count, LIMIT_SHARES);
		return;
	}
	parse->config->shares = room_for(parse, value, sizeof *parse->config->shares);
	if (parse->config->shares == NULL)
		return;
	for (const struct yaml *node = value->first; node; node = node->next)
		take_share(parse, node);
}

/* ---- admins ---- */

struct names {
	char ***list;
	size_t *count;
};

static void
take_names(struct parse *parse, const struct yaml *value, struct names names)
{
	if (!is_kind(parse, value, YAML_LIST))
		return;
	*names.list = room_for(parse, value, sizeof **names.list);
	if (*names.list == NULL)
		return;
	for (const struct yaml *item = value->first; item; item = item->next) {
		if (!is_kind(parse, item, YAML_SCALAR))
			continue;
		if (item->text[0] == '\0' || strlen(item->text) > NAME_LEN_MAX || strpbrk(item->text, " \t\r\n:/,"))
			FAULT(parse, item, "%s: '%s' is no name of a user or group", value->key, item->text);
		else if (((*names.list)[*names.count] = copy_text(parse, item->text)) != NULL)
			++*names.count;
	}
}

static void
take_users(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_people *people = into;

	take_names(parse, value, (struct names){&people->users, &people->user_count});
}

static void
take_groups(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_people *people = into;

	take_names(parse, value, (struct names){&people->groups, &people->group_count});
}

static const struct key people_keys[] = {{"users", take_users}, {"groups", take_groups}, {NULL, NULL}};

static void
take_operators(struct parse *parse, const struct yaml *value, void *into)
{
	take_map(parse, value, people_keys, &((struct config *)into)->operators);
}

static void
take_auditors(struct parse *parse, const struct yaml *value, void *into)
{
	take_map(parse, value, people_keys, &((struct config *)into)->auditors);
}

static void
take_tenants(struct parse *parse, const struct yaml *value, void *into)
{
	struct config *config = into;
	struct error error = {0};

	if (!is_kind(parse, value, YAML_MAP))
		return;
	config->tenants = room_for(parse, value, sizeof *config->tenants);
	if (config->tenants == NULL)
		return;
	for (const struct yaml *node = value->first; node; node = node->next) {
		struct config_tenant *tenant = &config->tenants[config->tenant_count++];

		if (name_parse(node->key, "tenant", &tenant->tenant, &error) < 0)
			faults_add(
			    parse->faults, yaml_name(parse->file), node->key_line, node->key_column, "%s", error.text);
		take_map(parse, node, people_keys, &tenant->people);
	}
}

static const struct key admin_keys[] = {
    {"operators", take_operators}, {"auditors", take_auditors}, {"tenants", take_tenants}, {NULL, NULL}};

static void
take_admins(struct parse *parse, const struct yaml *value, void *into)
{
	take_map(parse, value, admin_keys, into);
}

/* ---- ticket_keys ---- */

/* As far as a text shows it: whether it is a point of the curve, netbus-broker sees. */
static bool
is_ticket_key(const char *text)
{
	static const char prefix[] = "k4.public.",
			  letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	return strlen(text) == PASERK_PUBLIC_LEN && strncmp(text, prefix, strlen(prefix)) == 0 &&
	       strspn(text + strlen(prefix), letters) == PASERK_PUBLIC_LEN - strlen(prefix);
}

static void
take_ticket_key(struct parse *parse, const struct yaml *item)
{
	struct config *config = parse->config;

	if (!is_kind(parse, item, YAML_SCALAR))
		return;
	if (!is_ticket_key(item->text) && !path_is_plain(item->text)) {
		FAULT(parse, item,
		    "ticket_keys: '%.80s' is neither a public key (k4.public. and 43 letters, as netbus-admin ticket "
		    "key "
		    "makes it) nor the absolute path of a file with one",
		    item->text);
		return;
	}
	for (size_t i = 0; i < config->ticket_key_count; i++)
		if (strcmp(config->ticket_keys[i], item->text) == 0)
			FAULT(parse, item, "ticket_keys: '%.80s' stands here twice", item->text);
	config->ticket_keys[config->ticket_key_count] = copy_text(parse, item->text);
	if (config->ticket_keys[config->ticket_key_count])
		config->ticket_key_count++;
}

static void
take_ticket_keys(struct parse *parse, const struct yaml *value, void *into)
{
	(void)into;
	if (!is_kind(parse, value, YAML_LIST))
		return;
	if (value->count > TICKET_KEYS_MOST) {
		FAULT(parse, value, "ticket_keys: %zu keys; at most %d are allowed", value->count, TICKET_KEYS_MOST);
		return;
	}
	for (const struct yaml *item = value->first; item; item = item->next)
		take_ticket_key(parse, item);
}

/* ---- attach, paths, peers ---- */

static void
take_attach_directory(struct parse *parse, const struct yaml *value, void *into)
{
	take_path(parse, value, &((struct config *)into)->attach_directory);
}

static void
take_attach_group(struct parse *parse, const struct yaml *value, void *into)
{
	struct config *config = into;

	if (!is_kind(parse, value, YAML_SCALAR))
		return;
	if (value->text[0] == '\0' || strlen(value->text) > NAME_LEN_MAX || strpbrk(value->text, " \t\r\n:/,"))
		FAULT(parse, value, "group: '%s' is no name of a group", value->text);
	else
		config->attach_group = copy_text(parse, value->text);
}

static const struct key attach_keys[] = {
    {"directory", take_attach_directory}, {"group", take_attach_group}, {NULL, NULL}};

static void
take_attach(struct parse *parse, const struct yaml *value, void *into)
{
	take_map(parse, value, attach_keys, into);
}

#define TAKE_DIRECTORY(name)                                                               \
	static void take_##name(struct parse *parse, const struct yaml *value, void *into) \
	{                                                                                  \
		take_path(parse, value, &((struct config *)into)->name##_directory);       \
	}
TAKE_DIRECTORY(state)
TAKE_DIRECTORY(log)
TAKE_DIRECTORY(run)
TAKE_DIRECTORY(pki)
TAKE_DIRECTORY(policy)

static const struct key path_keys[] = {{"state", take_state}, {"log", take_log}, {"run", take_run}, {"pki", take_pki},
    {"policy", take_policy}, {NULL, NULL}};

static void
take_paths(struct parse *parse, const struct yaml *value, void *into)
{
	take_map(parse, value, path_keys, into);
}

static void
take_peers(struct parse *parse, const struct yaml *value, void *into)
{
	struct config *config = into;
	struct error error = {0};

	if (!is_kind(parse, value, YAML_MAP))
		return;
	config->peers = room_for(parse, value, sizeof *config->peers);
	if (config->peers == NULL)
		return;
	for (const struct yaml *node = value->first; node; node = node->next) {
		struct config_peer *peer = &config->peers[config->peer_count++];

		if (name_parse(node->key, "peer", &peer->host, &error) < 0)
			faults_add(
			    parse->faults, yaml_name(parse->file), node->key_line, node->key_column, "%s", error.text);
		take_address(parse, node, false, peer->address);
	}
}

/* ---- enrolment ---- */

static void
take_enrol_listen(struct parse *parse, const struct yaml *value, void *into)
{
	take_address(parse, value, true, ((struct config *)into)->enrol_listen);
}

static void
take_enrol_ca(struct parse *parse, const struct yaml *value, void *into)
{
	take_path(parse, value, &((struct config *)into)->enrol_ca);
}

static void
take_enrol_life(struct parse *parse, const struct yaml *value, void *into)
{
	int64_t us;

	if (!is_kind(parse, value, YAML_SCALAR))
		return;
	if (parse_duration(value->text, &us, NULL) < 0 || us < CONFIG_LIFE_LEAST_US || us > CONFIG_LIFE_MOST_US)
		FAULT(parse, value, "life: '%s' is no life of a certificate; allowed: 10s to 3650d, such as 90d",
		    value->text);
	else
		((struct config *)into)->enrol_life_us = us;
}

static const struct key enrol_keys[] = {
    {"listen", take_enrol_listen}, {"ca", take_enrol_ca}, {"life", take_enrol_life}, {NULL, NULL}};

static void
take_enrol(struct parse *parse, const struct yaml *value, void *into)
{
	struct config *config = into;

	take_map(parse, value, enrol_keys, config);
	if (value->kind == YAML_MAP && (yaml_find(value, "listen") == NULL || yaml_find(value, "ca") == NULL))
		FAULT(parse, value,
		    "enrol: both listen (an address for newcomers) and ca (the directory that pki init made) are "
		    "needed");
}

static void
take_enroller(struct parse *parse, const struct yaml *value, void *into)
{
	take_address(parse, value, false, ((struct config *)into)->enroller);
}

/* ---- xen ---- */

static void
take_xen_vm(struct parse *parse, const struct yaml *node)
{
	struct error error = {0};

	if (!is_kind(parse, node, YAML_SCALAR))
		return;
	if (xen_map_add(&parse->config->xen.vms, node->key, node->text, &error) < 0)
		faults_add(parse->faults, yaml_name(parse->file), node->key_line, node->key_column, "xen: vms: %s",
		    error.text);
}

static void
take_xen_vms(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_xen *xen = into;

	if (!is_kind(parse, value, YAML_MAP))
		return;
	if (value->count > LIMIT_XEN_VMS) {
		FAULT(parse, value, "vms: %zu domains; at most %u are allowed", value->count, LIMIT_XEN_VMS);
		return;
	}
	xen->vms.entries = room_for(parse, value, sizeof *xen->vms.entries);
	if (xen->vms.entries == NULL)
		return;
	for (const struct yaml *node = value->first; node; node = node->next)
		take_xen_vm(parse, node);
}

/* In the order of the words, whatever the file's is: that is what is compared at a reload. */
static void
take_xen_serve(struct parse *parse, const struct yaml *value, void *into)
{
	static const char *const words[] = {"netbus", "qdisk", "vbd", NULL};
	struct config_xen *xen = into;
	bool is_there[ARRAY_LENGTH(words)] = {false};
	size_t used = 0;

	if (!is_kind(parse, value, YAML_LIST))
		return;
	if (value->count == 0)
		FAULT(parse, value, "serve: at least one of netbus, qdisk and vbd is needed");
	for (const struct yaml *item = value->first; item; item = item->next) {
		int word = take_word(parse, item, words);

		if (word >= 0 && is_there[word])
			FAULT(parse, item, "serve: '%s' stands here twice", words[word]);
		if (word >= 0)
			is_there[word] = true;
	}
	for (size_t i = 0; words[i]; i++)
		if (is_there[i])
			used += (size_t)snprintf(
			    xen->serve + used, sizeof xen->serve - used, "%s%s", used ? "," : "", words[i]);
}

static const struct key xen_keys[] = {{"vms", take_xen_vms}, {"serve", take_xen_serve}, {NULL, NULL}};

static void
take_xen(struct parse *parse, const struct yaml *value, void *into)
{
	struct config_xen *xen = &((struct config *)into)->xen;

	xen->on = true;
	take_map(parse, value, xen_keys, xen);
	if (xen->serve[0] == '\0')
		snprintf(xen->serve, sizeof xen->serve, "netbus,qdisk");
}

static const struct key file_keys[] = {
    {"version", take_version},
    {"host", take_host},
    {"listen", take_listen},
    {"paths", take_paths},
    {"shares", take_shares},
    {"admins", take_admins},
    {"attach", take_attach},
    {"peers", take_peers},
    {"lease_ttl", take_lease_ttl},
    {"poll_us", take_poll},
    {"ticket_keys", take_ticket_keys},
    {"enrol", take_enrol},
    {"enroller", take_enroller},
    {"xen", take_xen},
    {NULL, NULL},
};

/* ---- the whole ---- */

/* Fills an empty *slot with "<base>/<name>". */
static void
default_path(struct parse *parse, char **slot, const char *base, const char *name)
{
	if (*slot != NULL || base == NULL)
		return;
	if (asprintf(slot, "%s/%s", base, name) < 0) {
		*slot = NULL;
		faults_add(parse->faults, yaml_name(parse->file), 0, 0, "out of memory");
	}
}

static void
complete_paths(struct parse *parse, const char *root)
{
	struct config *config = parse->config;

	default_path(parse, &config->state_directory, root, "var/lib/netbus");
	default_path(parse, &config->log_directory, root, "var/log/netbus");
	default_path(parse, &config->run_directory, root, "run/netbus");
	default_path(parse, &config->pki_directory, root, "etc/netbus/pki");
	default_path(parse, &config->policy_directory, root, "etc/netbus/policy.d");
	default_path(parse, &config->attach_directory, config->run_directory, "nbd");
	default_path(parse, &config->state_db, config->state_directory, "state.db");
	default_path(parse, &config->audit_trail, config->log_directory, "audit.jsonl");
	default_path(parse, &config->audit_checkpoint, config->log_directory, "audit.checkpoint");
	default_path(parse, &config->epoch_mark, config->log_directory, "epoch.mark");
	default_path(parse, &config->admin_socket, config->run_directory, "admin.sock");
	if (config->admin_socket && strlen(config->admin_socket) > SOCKET_PATH_MAX)
		faults_add(parse->faults, yaml_name(parse->file), 0, 0,
		    "paths: run: '%s' would be longer than the %zu bytes that the path of a unix "
		    "socket may have; choose a shorter directory",
		    config->admin_socket, SOCKET_PATH_MAX);
}

static void
demand(struct parse *parse, const char *key, const char *example)
{
	const struct yaml *root = yaml_root(parse->file);

	if (root->kind == YAML_MAP && yaml_find(root, key) == NULL)
		faults_add(parse->faults, yaml_name(parse->file), 0, 0, "'%s' is missing; write for example '%s: %s'",
		    key, key, example);
}

struct config *
config_parse(const char *name, const char *text, size_t length, const char *root, struct faults *faults)
{
	size_t before = faults->count, root_length = root ? strlen(root) : 0;
	struct parse parse = {.faults = faults};
	struct config *config = calloc(1, sizeof *config);
	AUTO_FREE char *plain_root = NULL;

	while (root_length && root[root_length - 1] == '/')
		root_length--;
	plain_root = root ? strndup(root, root_length) : strdup("");
	if (config)
		config->source = yaml_parse(name, text, length, faults);
	if (config == NULL || plain_root == NULL || config->source == NULL) {
		if (faults->count == before)
			faults_add(faults, name, 0, 0, "out of memory");
		config_free(config);
		return NULL;
	}
	parse.file = config->source;
	parse.config = config;
	config->lease_ttl_ms = LEASE_TTL_DEFAULT_MS;
	config->poll_us = CONFIG_POLL_DEFAULT;
	config->enrol_life_us = CONFIG_LIFE_DEFAULT_US;
	demand(&parse, "version", "1");
	demand(&parse, "host", "m1");
	take_map(&parse, yaml_root(parse.file), file_keys, config);
	complete_paths(&parse, plain_root);
	if (faults->count == before)
		return config;
	config_free(config);
	return NULL;
}

struct config *
config_load(const char *path, const char *root, struct faults *faults)
{
	AUTO_FREE char *text = NULL;
	struct error error = {0};
	size_t length;

	if (file_read_all(path, YAML_FILE_MAX, &text, &length, &error) < 0) {
		faults_add(faults, path, 0, 0, "%s", error.text);
		return NULL;
	}
	return config_parse(path, text, length, root, faults);
}

int
config_default_path(const char *root, char *path, size_t room)
{
	size_t length = root ? strlen(root) : 0;

	while (length && root[length - 1] == '/')
		length--;
	return path_print(path, room, "%.*s/etc/netbus/netbusd.yaml", (int)length, root ? root : "");
}

static void
free_people(struct config_people *people)
{
	for (size_t i = 0; i < people->user_count; i++)
		free(people->users[i]);
	for (size_t i = 0; i < people->group_count; i++)
		free(people->groups[i]);
	free(people->users);
	free(people->groups);
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->share_count; i++)
		free(config->shares[i].path);
	for (size_t i = 0; i < config->tenant_count; i++)
		free_people(&config->tenants[i].people);
	for (size_t i = 0; i < config->ticket_key_count; i++)
		free(config->ticket_keys[i]);
	free_people(&config->operators);
	free_people(&config->auditors);
	char *const texts[] = {config->enrol_ca, config->attach_directory, config->attach_group,
	    config->state_directory, config->log_directory, config->run_directory, config->pki_directory,
	    config->policy_directory, config->state_db, config->audit_trail, config->audit_checkpoint,
	    config->epoch_mark, config->admin_socket};
	for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
		free(texts[i]);
	free(config->shares);
	free(config->tenants);
	free(config->peers);
	free(config->xen.vms.entries);
	yaml_free(config->source);
	free(config);
}

const struct config_share *
config_share(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->share_count; i++)
		if (strcmp(config->shares[i].name.text, name) == 0)
			return &config->shares[i];
	return NULL;
}

const struct config_peer *
config_peer(const struct config *config, const char *host)
{
	for (size_t i = 0; i < config->peer_count; i++)
		if (strcmp(config->peers[i].host.text, host) == 0)
			return &config->peers[i];
	return NULL;
}
