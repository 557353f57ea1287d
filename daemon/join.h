/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside netbus-join: join.c is the process and the conversation, join_files.c the files of the host's PKI directory.
 */
#ifndef NETBUS_DAEMON_JOIN_H
#define NETBUS_DAEMON_JOIN_H

#include "crypto/enrol.h"

/* ---- join_files.c ---- */

struct present {
	char *key, *chain, *bundle; /* owned; NULL: not there */
	size_t key_length, chain_length, bundle_length;
};
int present_read(const char *directory, struct present *present, struct error *error);
void present_clear(struct present *present); /* wipes */

/* All three files, so that after a crash at any moment files_complete() makes the old or the new ones of them: they are first written into one file, which
 * is the moment at which it counts. */
int files_replace(const char *directory, const struct newcomer_files *files, struct error *error);
/* What files_replace() began. 1: something was completed, 0: there was nothing. */
int files_complete(const char *directory, struct error *error);
/* The key that seals the audit trail, unless there is one: it outlives certificates. */
int files_make_seal(const char *directory, const char *trust_domain, const char *host, struct error *error);

#endif
