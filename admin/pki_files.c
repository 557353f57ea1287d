/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a CA's and of a host's directory (admin/pki_files.h).
 */
#include "admin/pki_files.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"

char *
pki_path(const char *directory, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		path = NULL;
	return verb_memory(path);
}

int
pki_write(struct admin *admin, const char *directory, const char *name, const char *text, size_t length, mode_t mode)
{
	AUTO_FREE char *path = pki_path(directory, name);
	struct error error = {0};

	return file_replace(path, text, length, mode, &error) < 0 ? verb_fail(admin, ADMIN_FAILURE, "%s", error.text)
								  : 0;
}

bool
pki_exists(const char *directory, const char *name)
{
	AUTO_FREE char *path = pki_path(directory, name);

	return access(path, F_OK) == 0 || errno != ENOENT;
}

int
pki_make_directory(struct admin *admin, const char *directory)
{
	struct error error = {0};

	return make_directories(directory, 0755, &error) < 0 ? verb_fail(admin, ADMIN_FAILURE, "%s", error.text) : 0;
}

struct pki_ca *
pki_load_ca(struct admin *admin, const char *directory, char **certificate, int *code)
{
	AUTO_FREE char *certificate_path = pki_path(directory, "ca.pem"), *key_path = pki_path(directory, "ca.key");
	char *key = NULL;
	size_t certificate_length, key_length;
	struct error error = {0};
	struct pki_ca *ca = NULL;

	if (file_read_all(certificate_path, PKI_FILE_MOST, certificate, &certificate_length, &error) == 0 &&
	    file_read_all(key_path, PKI_FILE_MOST, &key, &key_length, &error) == 0) {
		ca = pki_ca_parse(*certificate, certificate_length, key, key_length, clock_wall_us(), &error);
		sodium_memzero(key, key_length);
	}
	free(key);
	if (ca == NULL)
		*code = verb_fail(admin, ADMIN_FAILURE, "%s: %s", directory, error.text);
	return ca;
}

int
pki_read_cross(struct admin *admin, const char *directory, char **text)
{
	AUTO_FREE char *path = pki_path(directory, "cross.pem");
	struct error error = {0};
	size_t length;

	if (!pki_exists(directory, "cross.pem"))
		*text = verb_memory(strdup(""));
	else if (file_read_all(path, PKI_FILE_MOST, text, &length, &error) < 0)
		return verb_fail(admin, ADMIN_FAILURE, "%s", error.text);
	return 0;
}
