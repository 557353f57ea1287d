/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGHUP: configuration, keys and policy are read again. A file with any fault changes nothing.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "daemon/monitor.h"

void
config_complain(const struct faults *faults)
{
	for (const struct fault *fault = faults->first; fault; fault = fault->next)
		log_error("%s", fault->text);
}

static bool
same_listen(const struct config *a, const struct config *b)
{
	bool same = a->listen_count == b->listen_count;

	for (size_t i = 0; same && i < a->listen_count; i++)
		same = strcmp(a->listen[i], b->listen[i]) == 0;
	return same;
}

/* What is bound to running processes: NULL, or the key that another value was given. */
static const char *
changed_beyond_reload(const struct config *old, const struct config *new)
{
	if (strcmp(old->host.text, new->host.text) != 0)
		return "host";
	if (!same_listen(old, new))
		return "listen";
	if (strcmp(old->enrol_listen, new->enrol_listen) != 0)
		return "enrol: listen";
	if (old->xen.on != new->xen.on)
		return "xen";
	if (strcmp(old->xen.serve, new->xen.serve) != 0)
		return "xen: serve";
	if (strcmp(old->state_directory, new->state_directory) != 0 ||
	    strcmp(old->log_directory, new->log_directory) != 0 ||
	    strcmp(old->run_directory, new->run_directory) != 0 ||
	    strcmp(old->pki_directory, new->pki_directory) != 0 ||
	    strcmp(old->policy_directory, new->policy_directory) != 0 ||
	    strcmp(old->attach_directory, new->attach_directory) != 0)
		return "a directory";
	return NULL;
}

static int
take_config(struct monitor *monitor)
{
	struct faults faults;
	struct config *config;
	const char *key;

	faults_init(&faults);
	config = config_load(monitor->config_path, monitor->root, &faults);
	config_complain(&faults);
	faults_clear(&faults);
	if (config == NULL)
		return -EINVAL;
	key = changed_beyond_reload(monitor->config, config);
	if (key) {
		log_error("%s: %s was changed, which takes a restart", monitor->config_path, key);
		config_free(config);
		return -EINVAL;
	}
	config_free(monitor->config);
	monitor->config = config;
	memory_forget_unconfigured(monitor);
	return 0;
}

void
monitor_reload(struct monitor *monitor)
{
	struct error error = {0};

	if (monitor->phase != PHASE_RUNNING)
		return;
	log_info("reloading");
	if (take_config(monitor) < 0) {
		log_error("nothing was changed: what was in force before the reload stays in force");
		return;
	}
	if (keys_send_files(monitor, &error) < 0)
		log_error("the keys and certificates in use stay in use: %s", error.text);
	child_tell(monitor->broker, MSG_RELOAD, &(struct msg_reload){0}, -1);
}
