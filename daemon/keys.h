/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside netbus-keys.
 *
 *   keys.c            the process: start, the monitor, the broker
 *   keys_files.c      key files, and which of them are in force
 *   keys_handshake.c  a session or attachment, and its handshakes
 *   keys_enrol.c      certificates for newcomers
 */
#ifndef NETBUS_DAEMON_KEYS_H
#define NETBUS_DAEMON_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/loop.h"
#include "crypto/proof.h"
#include "daemon/channel.h"

#define KEY_FILE_MOST (64u << 10)

/* ---- keys_files.c ---- */

/* Both NULL at first. A reload that fails leaves `current` as it is. */
struct key_files {
	struct keystore *current;
	struct keystore *next; /* from the files that came since the last commit */
	struct error refusal;  /* the first fault among them; code 0 = none */
};

/* Takes fd. What is wrong is said by key_files_commit(). */
void key_files_add(struct key_files *files, uint8_t kind, int fd);
/* Fills the answer. */
void key_files_commit(struct key_files *files, const char *host, struct msg_keys_ready *ready);
void key_files_clear(struct key_files *files);

/* ---- keys_handshake.c ---- */

/* All sessions and attachments, and what they need. */
struct desks {
	struct loop *loop;
	struct key_files *files;
	struct desk *first;
	unsigned count;
	/* Tells the broker who the peer of process `id` is; 0 or negative: then it is not told to that process either. */
	int (*tell_proved)(uint32_t id, const struct proved_peer *peer);
};

/* Takes fd. */
void desk_open(struct desks *desks, const struct msg_keys_peer *peer, int fd);
void desks_clear(struct desks *desks);

/* ---- keys_enrol.c ---- */

/* What the broker orders: both signatures are checked here again, so that it can have nothing certified that nobody asked for. */
void enrol_answer(const struct key_files *files, const struct msg_issue *issue, struct msg_issued *issued);

/* The text for a message's field, cut where a letter ends. */
void copy_text(char *field, size_t size, const char *text);

#endif
