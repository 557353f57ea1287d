/* SPDX-License-Identifier: Apache-2.0
 *
 * netbusd.yaml (netbus.yaml(5)): what this host is, listens on and exports. Read by the monitor, which opens what stands
 * here and nothing else, and by the broker, for names, administrators and peers.
 *
 * The file is the operator's and is trusted; it is still parsed strictly, and every fault in it is reported. A struct
 * config never changes after it was loaded: a reload makes a new one, or none when there is any fault.
 */
#ifndef NETBUS_DAEMON_CONFIG_H
#define NETBUS_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/authz.h"
#include "base/name.h"
#include "base/yaml.h"
#include "crypto/ticket.h"
#include "daemon/config_xen.h"
#include "policy/policy.h"

#define CONFIG_LISTEN_MAX  16
#define CONFIG_LABELS_MAX  16
#define CONFIG_ADDRESS_LEN 128          /* with the NUL; "192.0.2.1:7715", "[2001:db8::1]:7715" */
#define CONFIG_MEMORY_MAX  (1ULL << 40) /* bytes of a memory share */

struct config_share {
	struct qualified name;
	char *path;            /* absolute; NULL for a memory share */
	uint64_t memory_bytes; /* 0 for a path */
	bool read_only;
	bool discard; /* may pass DISCARD on (default true) */
	bool direct;  /* past the host's page cache (default false) */
	enum share_mode sharing;
	char class[16]; /* "disk" */
	struct policy_label labels[CONFIG_LABELS_MAX];
	size_t label_count;
};

/* Users and groups of this machine by name; numbers are allowed ("1000"). */
struct config_people {
	char **users, **groups;
	size_t user_count, group_count;
};

struct config_tenant {
	struct name tenant;
	struct config_people people;
};

struct config_peer {
	struct name host;
	char address[CONFIG_ADDRESS_LEN];
};

/* Disks of Xen guests of this host. */
struct config_xen {
	bool on; /* there is a `xen:` */
	char serve
	    [32]; /* backend types in xenstore, as netbus-xenwatch takes them: "netbus,qdisk" (the default), "vbd" */
	struct xen_map vms;
};

/* Of enrol: life. */
#define CONFIG_LIFE_DEFAULT_US (INT64_C(90) * 86400 * 1000000)
#define CONFIG_LIFE_LEAST_US   (INT64_C(10) * 1000000)
#define CONFIG_LIFE_MOST_US    (INT64_C(3650) * 86400 * 1000000)

/* Of poll_us. */
#define CONFIG_POLL_DEFAULT 200u
#define CONFIG_POLL_MOST    1000u

struct config {
	struct name host;
	char listen[CONFIG_LISTEN_MAX][CONFIG_ADDRESS_LEN];
	size_t listen_count; /* 0: attach-only host */

	struct config_share *shares; /* in file order, names unique */
	size_t share_count;

	uint32_t lease_ttl_ms; /* how long a lease lives without a sign of life (wire/silence.h; default 15 s) */
	unsigned poll_us; /* how long a lane may look for the next request before it sleeps; 0: never (default 200) */

	/* Beside root and the daemon's own user, who are always operators. */
	struct config_people operators, auditors;
	struct config_tenant *tenants;
	size_t tenant_count;

	struct config_peer *peers;
	size_t peer_count;

	/* Who may sign placement tickets: "k4.public...." or the absolute path of a file that has it; netbus-broker reads those. */
	char *ticket_keys[TICKET_KEYS_MOST];
	size_t ticket_key_count;
	/* Of an enroller: it lets newcomers in, and renews. `enrol_listen` "": this host is none. */
	char enrol_listen[CONFIG_ADDRESS_LEN];
	char *enrol_ca;        /* directory of the CA, or NULL */
	int64_t enrol_life_us; /* of a certificate (default 90 days) */

	char enroller[CONFIG_ADDRESS_LEN]; /* where our own certificate is renewed; "": nowhere */

	struct config_xen xen;

	char *attach_directory; /* /run/netbus/nbd */
	char *attach_group;     /* group of the sockets in it, or NULL */

	/* Directories. Defaults lie under `root`; what the file names is taken as it stands. */
	char *state_directory;  /* /var/lib/netbus */
	char *log_directory;    /* /var/log/netbus */
	char *run_directory;    /* /run/netbus */
	char *pki_directory;    /* /etc/netbus/pki */
	char *policy_directory; /* /etc/netbus/policy.d */

	/* Files in them. */
	char *state_db;         /* state/state.db */
	char *audit_trail;      /* log/audit.jsonl */
	char *audit_checkpoint; /* log/audit.checkpoint */
	char *epoch_mark;   /* log/epoch.mark: beside the trail, so that restoring the state does not take it along */
	char *admin_socket; /* run/admin.sock */

	struct yaml_file *source; /* label texts point into it */
};

/* Where the file is when --config was not given: <root>/etc/netbus/netbusd.yaml. `root` "" or NULL: "/".
 * 0 or -ENAMETOOLONG. */
int config_default_path(const char *root, char *path, size_t room);

/* Reads and checks the file. NULL when anything was added to `faults` (also that it cannot be read). */
struct config *config_load(const char *path, const char *root, struct faults *faults);
/* The same from text in memory; `name` is shown in faults. */
struct config *config_parse(const char *name, const char *text, size_t length, const char *root, struct faults *faults);
void config_free(struct config *config); /* NULL is fine */

/* Borrowed, or NULL. */
const struct config_share *config_share(const struct config *config, const char *name);
const struct config_peer *config_peer(const struct config *config, const char *host);

#endif
