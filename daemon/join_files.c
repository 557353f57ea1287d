/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of etc/netbus/pki, read and replaced (daemon/join.h). They are root's and trusted.
 *
 * Three files cannot be renamed at once, and a key without its certificate would keep netbusd from starting. So all are first in next.pem, behind a line
 * "== name" each; whoever finds that file carries on from it.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "crypto/seal.h"
#include "daemon/join.h"

#define FILE_MOST ((size_t)64 << 10)
#define NEXT      "next.pem"

static const struct {
	const char *name, *mark;
	mode_t mode;
} parts[] = {{"host.key", "== host.key\n", 0600}, {"host.pem", "== host.pem\n", 0644}, {"ca.pem", "== ca.pem\n", 0644}};

/* ---- reading ---- */

static int
read_one(const char *directory, const char *name, char **text, size_t *length, struct error *error)
{
	char path[4096];
	int code = path_print(path, sizeof path, "%s/%s", directory, name);

	return code < 0 ? error_errno(error, code, "%s", directory)
			: file_read_all(path, FILE_MOST, text, length, error);
}

int
present_read(const char *directory, struct present *present, struct error *error)
{
	int code = read_one(directory, "host.key", &present->key, &present->key_length, error);

	if (code == 0)
		code = read_one(directory, "host.pem", &present->chain, &present->chain_length, error);
	if (code == 0)
		code = read_one(directory, "ca.pem", &present->bundle, &present->bundle_length, error);
	return code;
}

void
present_clear(struct present *present)
{
	if (present->key)
		sodium_memzero(present->key, present->key_length);
	free(present->key);
	free(present->chain);
	free(present->bundle);
	*present = (struct present){0};
}

/* ---- writing ---- */

static int
write_one(const char *directory, const char *name, const char *text, size_t length, mode_t mode, struct error *error)
{
	char path[4096];
	int code = path_print(path, sizeof path, "%s/%s", directory, name);

	return code < 0 ? error_errno(error, code, "%s", directory) : file_replace(path, text, length, mode, error);
}

int
files_complete(const char *directory, struct error *error)
{
	char path[4096], *text = NULL;
	const char *at, *next;
	size_t length = 0;
	int code = path_print(path, sizeof path, "%s/" NEXT, directory);

	if (code < 0)
		return error_errno(error, code, "%s", directory);
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 0;
	code = file_read_all(path, FILE_MOST * 3, &text, &length, error);
	if (code < 0)
		return code;
	at = strstr(text, parts[0].mark);
	for (size_t i = 0; i < ARRAY_LENGTH(parts) && code == 0; i++) {
		next = i + 1 < ARRAY_LENGTH(parts) && at ? strstr(at, parts[i + 1].mark) : text + length;
		if (at == NULL || next == NULL) {
			code = error_set(error, -EINVAL, "%s is damaged; take it away", path);
			break;
		}
		at += strlen(parts[i].mark);
		code = write_one(directory, parts[i].name, at, (size_t)(next - at), parts[i].mode, error);
		at = next;
	}
	sodium_memzero(text, length);
	free(text);
	if (code < 0)
		return code;
	return unlink(path) < 0 ? error_errno(error, -errno, "cannot take %s away", path) : 1;
}

int
files_replace(const char *directory, const struct newcomer_files *files, struct error *error)
{
	const char *const texts[] = {files->key, files->chain, files->bundle};
	char *all = NULL;
	int length =
	    asprintf(&all, "%s%s%s%s%s%s", parts[0].mark, texts[0], parts[1].mark, texts[1], parts[2].mark, texts[2]);
	int code;

	if (length < 0)
		return error_set(error, -ENOMEM, "out of memory");
	code = write_one(directory, NEXT, all, (size_t)length, 0600, error);
	sodium_memzero(all, (size_t)length);
	free(all);
	if (code == 0)
		code = files_complete(directory, error);
	return code < 0 ? code : 0;
}

int
files_make_seal(const char *directory, const char *trust_domain, const char *host, struct error *error)
{
	char name[SEAL_NAME_MAX + 1], secret[SEAL_TEXT_MAX], public[SEAL_TEXT_MAX], path[4096];
	int code = path_print(path, sizeof path, "%s/seal.key", directory);

	if (code == 0 && access(path, F_OK) == 0)
		return 0;
	if (code < 0 || path_print(name, sizeof name, "%s/%s", trust_domain, host) < 0)
		return error_set(
		    error, -ENAMETOOLONG, "the trust domain and the host's name are too long for a seal key");
	code = seal_generate(name, secret, sizeof secret, public, sizeof public, error);
	if (code == 0)
		code = write_one(directory, "seal.pub", public, strlen(public), 0644, error);
	if (code == 0)
		code = write_one(directory, "seal.key", secret, strlen(secret), 0600, error);
	sodium_memzero(secret, sizeof secret);
	return code;
}
