/* SPDX-License-Identifier: Apache-2.0
 *
 * Key files as the monitor hands them over, and which of them are in force: a new set replaces the old one as a whole, or not at all.
 */
#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/text.h"
#include "crypto/enrol.h"
#include "daemon/keys.h"

void
copy_text(char *field, size_t size, const char *text)
{
	size_t length = strnlen(text, size - 1);

	while (length > 0 && !is_utf8(text, length))
		length--;
	memmove(field, text, length);
	memset(field + length, 0, size - length);
}

static const char *
file_name(uint8_t kind)
{
	switch ((enum key_file_kind)kind) {
	case KEY_FILE_CERTIFICATE:
		return "host.pem";
	case KEY_FILE_KEY:
		return "host.key";
	case KEY_FILE_CA:
		return "ca.pem";
	case KEY_FILE_SEAL:
		return "seal.key";
	case KEY_FILE_AUTHORITY:
		return "the CA's ca.pem";
	case KEY_FILE_AUTHORITY_KEY:
		return "the CA's ca.key";
	case KEY_FILE_CROSS:
		return "the CA's cross.pem";
	}
	return "a key file";
}

static int
read_into(struct keystore *store, uint8_t kind, int fd, struct error *error)
{
	char *text = NULL;
	size_t length = 0;
	int code = fd_read_all(fd, KEY_FILE_MOST, &text, &length);

	if (code < 0)
		return error_errno(error, code, "cannot read %s (at most %u bytes)", file_name(kind), KEY_FILE_MOST);
	code = keystore_add(store, kind, text, length, error);
	sodium_memzero(text, length);
	free(text);
	return code;
}

void
key_files_add(struct key_files *files, uint8_t kind, int fd)
{
	AUTO_CLOSE int owned = fd;

	if (files->refusal.code != 0)
		return;
	if (files->next == NULL)
		files->next = keystore_new();
	if (files->next == NULL)
		error_set(&files->refusal, -ENOMEM, "cannot hold %s: out of memory", file_name(kind));
	else
		read_into(files->next, kind, owned, &files->refusal);
}

static void
describe(const struct keystore *store, struct msg_keys_ready *ready)
{
	const struct spiffe_id *identity = keystore_identity(store);

	copy_text(ready->host, sizeof ready->host, identity->host.text);
	copy_text(ready->trust_domain, sizeof ready->trust_domain, identity->trust_domain);
	copy_text(ready->fingerprint, sizeof ready->fingerprint, keystore_fingerprint(store));
	copy_text(ready->authority, sizeof ready->authority, keystore_authority(store));
	ready->not_after_us = (uint64_t)keystore_not_after_us(store);
	ready->not_before_us = (uint64_t)keystore_not_before_us(store);
	ready->ca_not_after_us = (uint64_t)keystore_ca_not_after_us(store);
	ready->ca_count = (uint8_t)keystore_ca_count(store);
}

void
key_files_commit(struct key_files *files, const char *host, struct msg_keys_ready *ready)
{
	struct error *refusal = &files->refusal;

	*ready = (struct msg_keys_ready){0};
	if (refusal->code == 0 && files->next == NULL)
		error_set(refusal, -ENOENT, "there are no key files");
	if (refusal->code == 0 && keystore_commit(files->next, host, refusal) == 0) {
		keystore_free(files->current);
		files->current = TAKE(files->next);
		ready->ok = 1;
	}
	copy_text(ready->text, sizeof ready->text, refusal->text);
	if (files->current != NULL)
		describe(files->current, ready);
	keystore_free(TAKE(files->next));
	*refusal = (struct error){0};
}

void
key_files_clear(struct key_files *files)
{
	keystore_free(TAKE(files->next));
	keystore_free(TAKE(files->current));
}
