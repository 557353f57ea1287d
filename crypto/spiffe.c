/* SPDX-License-Identifier: Apache-2.0
 *
 * The one form of SPIFFE ID that a host has: spiffe://<trust domain>/host/<name>. Pure. The text comes from a certificate.
 *
 * Source: SPIFFE-ID section 2: lower-case letters, digits, dots, dashes and underscores in a trust domain, no port, no user, no query, no
 * fragment, no percent-encoding.
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "crypto/proof.h"

#define SCHEME "spiffe://"
#define FOLDER "/host/"

static bool
trust_domain_is_valid(const char *text, size_t length)
{
	if (length < 1 || length > TRUST_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < length; i++) {
		char c = text[i];

		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_')
			return false;
	}
	return true;
}

/* Takes `word` off the front. */
static bool
skip(const char **at, size_t *left, const char *word)
{
	size_t length = strlen(word);

	if (*left < length || memcmp(*at, word, length) != 0)
		return false;
	*at += length;
	*left -= length;
	return true;
}

int
spiffe_parse(const char *uri, size_t length, struct spiffe_id *id, struct error *error)
{
	const char *at = uri, *domain, *slash;
	size_t left = length, domain_length = 0;
	char shown[200];

	if (skip(&at, &left, SCHEME)) {
		domain = at;
		slash = memchr(at, '/', left);
		domain_length = slash ? (size_t)(slash - domain) : left;
		at += domain_length;
		left -= domain_length;
		if (trust_domain_is_valid(domain, domain_length) && skip(&at, &left, FOLDER) &&
		    name_is_valid(at, left)) {
			memset(id, 0, sizeof *id);
			memcpy(id->trust_domain, domain, domain_length);
			memcpy(id->host.text, at, left);
			return 0;
		}
	}
	print_escaped(uri, length, shown, sizeof shown);
	return error_set(error, -EINVAL,
	    "'%s' is not the SPIFFE ID of a host: it must be " SCHEME "<trust domain>" FOLDER "<name>", shown);
}
