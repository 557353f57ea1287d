/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin doctor: keys and certificates, and whether they belong together and to this host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/doctor.h"
#include "base/auto.h"
#include "base/clock.h"
#include "crypto/pki.h"

#define ISSUE                                                                                                      \
	"netbusd --join TOKEN ADDRESS:PORT gets it from the enroller; netbus-admin pki issue HOST --dir CA --out " \
	"DIRECTORY makes it; copy it here with its mode"

struct texts {
	char *certificate, *key, *bundle; /* owned, NULL: could not be read */
	size_t certificate_length, key_length, bundle_length;
};

static void
texts_clear(struct texts *texts)
{
	if (texts->key)
		explicit_bzero(texts->key, texts->key_length);
	free(texts->certificate);
	free(texts->key);
	free(texts->bundle);
}

static char *
path_in(const char *directory, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		path = NULL;
	return verb_memory(path);
}

static char *
read_in(struct doctor *doctor, const char *directory, const char *name, size_t *length)
{
	AUTO_FREE char *path = path_in(directory, name);

	return doctor_read(doctor, path, length);
}

static bool
check_modes(struct doctor *doctor, const char *directory)
{
	static const struct {
		const char *name;
		mode_t forbidden;
	} files[] = {{"host.key", 077}, {"host.pem", 022}, {"ca.pem", 022}, {"seal.key", 077}, {"seal.pub", 022}};
	bool good = true;

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		AUTO_FREE char *path = path_in(directory, files[i].name);

		good &= doctor_owner_only(doctor, "pki", path, files[i].forbidden, ISSUE);
	}
	return good;
}

/* The name in the certificate is who this host is to others; netbusd does not start with another one in its configuration. */
static bool
check_name(struct doctor *doctor, const struct pki_facts *facts)
{
	const struct yaml *root = doctor->config ? yaml_root(doctor->config) : NULL;
	const struct yaml *host = root && root->kind == YAML_MAP ? yaml_find(root, "host") : NULL;
	char mend[256];

	if (facts->kind != PKI_HOST) {
		doctor_find(doctor, "identity", SEVERITY_ERROR, ISSUE,
		    "host.pem is no certificate of a host: it has not the one URI spiffe://DOMAIN/host/NAME");
		return false;
	}
	if (host == NULL || host->kind != YAML_SCALAR || strcmp(host->text, facts->host) == 0)
		return true;
	snprintf(
	    mend, sizeof mend, "netbus-admin pki issue %.63s, or `host: %s` in netbusd.yaml", host->text, facts->host);
	doctor_find(doctor, "identity", SEVERITY_ERROR, mend,
	    "host.pem is the certificate of %s, but netbusd.yaml says that this host is %s", facts->host, host->text);
	return false;
}

static bool
check_clock(struct doctor *doctor, const struct pki_facts *facts)
{
	char begins[CLOCK_TEXT_LEN];

	if (facts->not_before_us <= clock_wall_us())
		return true;
	clock_print(facts->not_before_us, begins);
	doctor_find(doctor, "clock", SEVERITY_ERROR, "set this host's clock (timedatectl set-ntp true)",
	    "host.pem is not valid before %s: this clock is behind, or the authority's was ahead", begins);
	return false;
}

static bool
check_together(struct doctor *doctor, const struct texts *texts)
{
	bool good = true;

	if (texts->key &&
	    pki_key_fits(texts->certificate, texts->certificate_length, texts->key, texts->key_length) != 1) {
		doctor_find(doctor, "pki", SEVERITY_ERROR,
		    "copy host.key and host.pem of the same netbus-admin pki issue",
		    "host.key is not the key of the certificate host.pem");
		good = false;
	}
	if (texts->bundle &&
	    pki_is_issued_by(texts->certificate, texts->certificate_length, texts->bundle, texts->bundle_length) != 1) {
		doctor_find(doctor, "pki", SEVERITY_ERROR,
		    "put the ca.pem here that issued host.pem, or have it issued anew",
		    "host.pem was signed by none of the authorities in ca.pem, so no host believes it");
		good = false;
	}
	return good;
}

/* False when anything was found. */
static bool
check_contents(struct doctor *doctor, const struct texts *texts)
{
	struct pki_facts facts;
	struct error error = {0};
	bool good;

	if (texts->certificate == NULL)
		return false;
	if (pki_describe(texts->certificate, texts->certificate_length, &facts, &error) < 0) {
		doctor_find(doctor, "pki", SEVERITY_ERROR, ISSUE, "host.pem: %s", error.text);
		return false;
	}
	good = check_name(doctor, &facts);
	good &= check_clock(doctor, &facts);
	return check_together(doctor, texts) && good;
}

void
doctor_pki(struct doctor *doctor)
{
	AUTO_FREE char *directory = doctor_directory(doctor, "pki", "/etc/netbus/pki");
	AUTO(texts_clear) struct texts texts = {0};
	bool good = check_modes(doctor, directory);

	texts.certificate = read_in(doctor, directory, "host.pem", &texts.certificate_length);
	texts.key = read_in(doctor, directory, "host.key", &texts.key_length);
	texts.bundle = read_in(doctor, directory, "ca.pem", &texts.bundle_length);
	if (check_contents(doctor, &texts) && good)
		doctor_find(doctor, "pki", SEVERITY_OK, "",
		    "keys and certificates belong together, and only their owner may change them");
}
