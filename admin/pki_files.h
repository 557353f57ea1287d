/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a CA's directory and of a host's, for the verbs of pki: ca.pem (the CA that signs, then those that are trusted beside it), ca.key, and while a
 * roll-over lasts cross.pem. Each is replaced so that after a crash it is the old or the new one. What goes wrong is said, and an exit code is the result.
 */
#ifndef NETBUS_ADMIN_PKI_FILES_H
#define NETBUS_ADMIN_PKI_FILES_H

#include <sys/types.h>

#include "admin/admin.h"
#include "crypto/pki.h"

#define PKI_FILE_MOST ((size_t)64 << 10)

/* <directory>/<name>: malloc'd. */
char *pki_path(const char *directory, const char *name);
bool pki_exists(const char *directory, const char *name); /* also when it cannot be known */
int pki_make_directory(struct admin *admin, const char *directory);
int pki_write(
    struct admin *admin, const char *directory, const char *name, const char *text, size_t length, mode_t mode);
/* The CA, ready to sign, and ca.pem as it is (owned by the caller). NULL and *code. */
struct pki_ca *pki_load_ca(struct admin *admin, const char *directory, char **certificate, int *code);
/* cross.pem (owned by the caller), "" when there is none. */
int pki_read_cross(struct admin *admin, const char *directory, char **text);

#endif
