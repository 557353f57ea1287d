/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin pki rollover: a new CA in the place of an old one, with an overlap in which both are trusted. Works on the CA's directory alone.
 *
 *   begin   the new CA signs from now on. ca.pem is the new and the old one; cross.pem, the new one's key as the old one certifies it, goes out with each
 *           certificate, so that a host that knows the old one only accepts it as well. No host has to be first.
 *   finish  the old one is trusted no more: when every host has renewed since.
 *
 * Two files have to change at once, ca.key and ca.pem. So both are first beside them (next-ca.*); once next-ca.pem is there it counts, and whoever comes next
 * carries on from it.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/pki_files.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"

#define END_LINE "-----END CERTIFICATE-----\n"

static int
move(struct admin *admin, const char *directory, const char *from, const char *to)
{
	AUTO_FREE char *old = pki_path(directory, from), *new = pki_path(directory, to);

	return rename(old, new) < 0 && errno != ENOENT
		   ? verb_fail(admin, ADMIN_FAILURE, "cannot rename %s to %s: %s", old, new, strerror(errno))
		   : 0;
}

static int
discard(struct admin *admin, const char *directory, const char *name)
{
	AUTO_FREE char *path = pki_path(directory, name);

	return unlink(path) < 0 && errno != ENOENT
		   ? verb_fail(admin, ADMIN_FAILURE, "cannot take %s away: %s", path, strerror(errno))
		   : 0;
}

/* A begin that was interrupted after it counted. */
static int
carry_on(struct admin *admin, const char *directory)
{
	int code;

	if (!pki_exists(directory, "next-ca.pem"))
		return 0;
	code = move(admin, directory, "next-ca.key", "ca.key");
	return code == 0 ? move(admin, directory, "next-ca.pem", "ca.pem") : code;
}

static unsigned
count(const char *bundle)
{
	unsigned found = 0;

	for (const char *at = bundle; (at = strstr(at, END_LINE)) != NULL; at += strlen(END_LINE))
		found++;
	return found;
}

/* ---- begin ---- */

static int
write_next(struct admin *admin, const char *directory, const struct pki_pair *pair, const char *cross,
    size_t cross_length, const char *bundle)
{
	AUTO_FREE char *both = NULL;
	int length = asprintf(&both, "%s%s", pair->certificate, bundle), code;

	if (length < 0)
		both = NULL;
	verb_memory(both);
	code = pki_write(admin, directory, "cross.pem", cross, cross_length, 0644);
	if (code == 0)
		code = pki_write(admin, directory, "next-ca.key", pair->key, pair->key_length, 0600);
	if (code == 0)
		code = pki_write(admin, directory, "next-ca.pem", both, (size_t)length, 0644);
	return code == 0 ? carry_on(admin, directory) : code;
}

static int
make_next(struct admin *admin, const char *directory, const struct pki_ca *old, const char *bundle)
{
	struct pki_pair pair = {0};
	struct pki_ca *new = NULL;
	AUTO_FREE char *cross = NULL;
	size_t cross_length = 0;
	struct error error = {0};
	int64_t now_us = clock_wall_us();
	int code = pki_make_ca(pki_ca_trust_domain(old), now_us, &pair, &error);

	if (code == 0)
		new =
		    pki_ca_parse(pair.certificate, pair.certificate_length, pair.key, pair.key_length, now_us, &error);
	if (code == 0)
		code = new ? pki_cross(old, new, now_us, &cross, &cross_length, &error) : -EINVAL;
	if (code < 0)
		code = verb_fail(admin, ADMIN_FAILURE, "%s", error.text);
	else
		code = write_next(admin, directory, &pair, cross, cross_length, bundle);
	pki_ca_free(new);
	pki_pair_clear(&pair);
	return code;
}

static int
begin(struct admin *admin, const char *directory)
{
	AUTO_FREE char *bundle = NULL;
	int code = 0;
	struct pki_ca *old = pki_load_ca(admin, directory, &bundle, &code);

	if (old == NULL)
		return code;
	if (count(bundle) > 1)
		code = verb_fail(admin, ADMIN_CONFLICT,
		    "%s/ca.pem has %u CAs: a roll-over is under way; netbus-admin pki rollover finish ends it",
		    directory, count(bundle));
	else if (admin->dry_run)
		verb_say(admin, "would make a new CA of %s in %s", pki_ca_trust_domain(old), directory);
	else
		code = make_next(admin, directory, old, bundle);
	pki_ca_free(old);
	if (code == 0 && !admin->dry_run)
		verb_say(admin,
		    "%s has a new CA, which signs from now on; the old one stays trusted. Next: kill -HUP of the "
		    "enroller's "
		    "netbusd; netbus-admin pki renew on each host, or wait until each has renewed by itself; when "
		    "netbus-admin doctor on the enroller names no host any more: netbus-admin pki rollover finish "
		    "--dir %s",
		    directory, directory);
	return code;
}

/* ---- finish ---- */

static int
finish(struct admin *admin, const char *directory)
{
	AUTO_FREE char *bundle = NULL;
	int code = 0;
	struct pki_ca *ca = pki_load_ca(admin, directory, &bundle, &code);

	if (ca == NULL)
		return code;
	pki_ca_free(ca);
	if (count(bundle) < 2)
		return verb_fail(admin, ADMIN_CONFLICT, "no roll-over is under way in %s", directory);
	if (admin->dry_run) {
		verb_say(admin, "would trust %u old CA no more", count(bundle) - 1);
		return 0;
	}
	if (!admin->yes)
		return verb_usage(admin, "a host that has not renewed since the roll-over began is refused from then "
					 "on; netbus-admin doctor on the "
					 "enroller names such hosts. --yes says that there is none");
	code = pki_write(
	    admin, directory, "ca.pem", bundle, (size_t)(strstr(bundle, END_LINE) + strlen(END_LINE) - bundle), 0644);
	if (code == 0)
		code = discard(admin, directory, "cross.pem");
	if (code == 0)
		verb_say(admin,
		    "The old CA is in %s/ca.pem no more. Next: kill -HUP of the enroller's netbusd; hosts forget it "
		    "when they "
		    "next renew.",
		    directory);
	return code;
}

int
cmd_pki_rollover(struct admin *admin, int argc, char **argv)
{
	const char *directory = NULL;
	const struct verb_option options[] = {{"dir", .value = &directory}, {NULL}};
	bool begins;
	int code = verb_options(admin, &argc, argv, options, 1, 1);

	if (code != 0)
		return code;
	begins = strcmp(argv[0], "begin") == 0;
	if (!begins && strcmp(argv[0], "finish") != 0)
		return verb_usage(admin, "'%s' is neither begin nor finish", argv[0]);
	if (directory == NULL)
		return verb_usage(admin, "--dir (of the certificate authority) is needed");
	code = carry_on(admin, directory);
	if (code != 0)
		return code;
	return begins ? begin(admin, directory) : finish(admin, directory);
}
