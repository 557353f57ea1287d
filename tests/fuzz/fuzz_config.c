/* SPDX-License-Identifier: Apache-2.0
 *
 * netbusd.yaml (daemon/config.h), from memory.
 *
 * Holds: what is refused has a fault that names the file; what is taken is taken twice with the same result; then names are names, addresses
 * are addresses, each share is found by its name and has either a path or memory, and every path is absolute.
 */
#include "base/address.h"
#include "daemon/config.h"
#include "tests/fuzz/fuzz.h"

static bool
is_name(const char *text)
{
	return name_is_valid(text, strlen(text));
}

static void
check_share(const struct config *config, const struct config_share *share)
{
	struct qualified name;

	REQUIRE(qualified_parse(share->name.text, "share", &name, NULL) == 0);
	REQUIRE(config_share(config, share->name.text) == share);
	REQUIRE((share->path != NULL) == (share->memory_bytes == 0));
	REQUIRE(share->path == NULL || share->path[0] == '/');
	REQUIRE(share->memory_bytes <= CONFIG_MEMORY_MAX && share->memory_bytes % 4096 == 0);
	REQUIRE(share->label_count <= CONFIG_LABELS_MAX && share->class[0] != '\0');
}

static void
check_config(const struct config *config)
{
	const char *const paths[] = {config->attach_directory, config->state_directory, config->log_directory,
	    config->run_directory, config->pki_directory, config->policy_directory, config->state_db,
	    config->audit_trail, config->audit_checkpoint, config->epoch_mark, config->admin_socket};
	union address address;

	REQUIRE(is_name(config->host.text) && config->listen_count <= CONFIG_LISTEN_MAX);
	for (size_t i = 0; i < config->listen_count; i++)
		REQUIRE(address_parse(config->listen[i], &address, NULL) == 0);
	for (size_t i = 0; i < config->share_count; i++)
		check_share(config, &config->shares[i]);
	for (size_t i = 0; i < config->tenant_count; i++)
		REQUIRE(is_name(config->tenants[i].tenant.text));
	for (size_t i = 0; i < config->peer_count; i++) {
		REQUIRE(is_name(config->peers[i].host.text));
		REQUIRE(config_peer(config, config->peers[i].host.text) == &config->peers[i]);
		REQUIRE(address_parse(config->peers[i].address, &address, NULL) == 0);
	}
	REQUIRE(config->ticket_key_count <= TICKET_KEYS_MOST);
	for (size_t i = 0; i < config->ticket_key_count; i++)
		REQUIRE(config->ticket_keys[i][0] == '/' || strncmp(config->ticket_keys[i], "k4.public.", 10) == 0);
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		REQUIRE(paths[i] != NULL && paths[i][0] == '/');
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct faults faults, again;
	struct config *config, *other;

	faults_init(&faults), faults_init(&again);
	config = config_parse("netbusd.yaml", (const char *)bytes, length, "/srv/root", &faults);
	other = config_parse("netbusd.yaml", (const char *)bytes, length, "/srv/root", &again);
	REQUIRE((config == NULL) == (faults.count > 0) && faults.count == again.count);
	for (const struct fault *fault = faults.first; fault; fault = fault->next)
		REQUIRE(strncmp(fault->text, "netbusd.yaml:", 13) == 0);
	if (config) {
		check_config(config);
		REQUIRE(other->share_count == config->share_count && other->peer_count == config->peer_count);
		REQUIRE(strcmp(other->state_db, config->state_db) == 0);
	}
	config_free(config), config_free(other);
	faults_clear(&faults), faults_clear(&again);
	return 0;
}
