/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin doctor: what is misconfigured on this host, and how to mend it. Looks at files itself, so that it helps where netbusd does
 * not even start, and asks the broker for what only that can see.
 */
#include "admin/admin.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/files.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

enum severity { SEVERITY_OK, SEVERITY_WARNING, SEVERITY_ERROR };

struct doctor {
	struct asking asking;
	struct admin *admin;
	json_t *findings;
	bool any_error;
	struct msg_row_status status;
	bool has_status;
};

/* ---- findings ---- */

static const char *const severities[] = {"ok", "warning", "error"};

static void find(struct doctor *doctor, const char *check, enum severity severity, const char *remedy,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

static void
add_finding(struct doctor *doctor, const char *check, enum severity severity, const char *text, const char *remedy)
{
	struct msg_row_finding finding = {0};

	snprintf(finding.check, sizeof finding.check, "%s", check);
	snprintf(finding.severity, sizeof finding.severity, "%s", severities[severity]);
	print_escaped(text, strlen(text), finding.text, sizeof finding.text);
	print_escaped(remedy, strlen(remedy), finding.remedy, sizeof finding.remedy);
	output_append(doctor->findings, output_object(&admin_row(ADMIN_ROW_FINDING)->type, &finding));
	doctor->any_error |= severity == SEVERITY_ERROR;
}

static void
find(struct doctor *doctor, const char *check, enum severity severity, const char *remedy, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	add_finding(doctor, check, severity, text, remedy);
}

static void
find_faults(struct doctor *doctor, const char *check, const struct faults *faults, const char *remedy)
{
	for (const struct fault *fault = faults->first; fault != NULL; fault = fault->next)
		add_finding(doctor, check, SEVERITY_ERROR, fault->text, remedy);
	if (faults->count > 0 && faults->first == NULL) /* they were counted, but memory was out */
		add_finding(doctor, check, SEVERITY_ERROR, "could not be read to its end", remedy);
}

/* ---- files ---- */

/* True when it is there and nobody but its owner may change it. */
static bool
check_owner_only(struct doctor *doctor, const char *check, const char *path, mode_t forbidden, const char *remedy)
{
	struct stat status;
	char mend[512];

	if (stat(path, &status) < 0 && errno == EACCES) {
		find(doctor, check, SEVERITY_WARNING, "run doctor as root, or as netbusd's user",
		    "%s cannot be looked at by you", path);
		return false;
	}
	if (stat(path, &status) < 0) {
		find(doctor, check, SEVERITY_ERROR, remedy, "%s: %s", path, strerror(errno));
		return false;
	}
	if (status.st_mode & forbidden) {
		snprintf(mend, sizeof mend, "%s %s", forbidden & 044 ? "chmod 0600" : "chmod go-w", path);
		find(doctor, check, SEVERITY_ERROR, mend, "%s: its mode is %04o, so others than its owner may %s it",
		    path, status.st_mode & 07777U, forbidden & 044 ? "read or change" : "change");
		return false;
	}
	return true;
}

static void
check_configuration(struct doctor *doctor)
{
	AUTO_FREE char *path = verb_path(doctor->admin, "/etc/netbus/netbusd.yaml");
	AUTO_FREE char *text = NULL;
	struct faults faults;
	struct error error;
	size_t length;

	if (!check_owner_only(doctor, "configuration", path, 022, "write it; netbus.yaml(5) has an example"))
		return;
	if (file_read_all(path, YAML_FILE_MAX, &text, &length, &error) < 0) {
		find(doctor, "configuration", SEVERITY_WARNING, "run doctor as root, or as netbusd's user", "%s",
		    error.text);
		return;
	}
	faults_init(&faults);
	yaml_free(yaml_parse(path, text, length, &faults));
	find_faults(doctor, "configuration", &faults, "mend that line; netbus.yaml(5) has the whole language");
	if (faults.count == 0)
		find(doctor, "configuration", SEVERITY_OK, "", "%s is well-formed", path);
	faults_clear(&faults);
}

static void
check_policy(struct doctor *doctor)
{
	AUTO_FREE char *path = verb_path(doctor->admin, "/etc/netbus/policy.d");
	struct files files = {0};
	struct policy *policy;
	struct faults faults;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		find(doctor, "policy", SEVERITY_WARNING, "make it, with a file such as 10-acme.yaml; netbus-policy(5)",
		    "%s is not there, so everything is denied", path);
		return;
	}
	if (!check_owner_only(doctor, "policy", path, 022, "make it readable for you"))
		return;
	faults_init(&faults);
	files_add(&files, path, FILES_OR_DIRECTORIES, &faults);
	policy = files_load(&files, &faults);
	find_faults(doctor, "policy", &faults, "mend that line, then: netbus-admin policy reload");
	if (policy != NULL && policy_rule_count(policy) == 0)
		find(doctor, "policy", SEVERITY_WARNING, "write a rule; netbus-policy(5)",
		    "%s has no rule, so everything is denied", path);
	else if (policy != NULL)
		find(doctor, "policy", SEVERITY_OK, "", "%s: %zu rules, %zu tests pass", path,
		    policy_rule_count(policy), policy_test_count(policy));
	policy_free(policy);
	files_clear(&files);
	faults_clear(&faults);
}

static void
check_keys(struct doctor *doctor)
{
	static const struct {
		const char *path;
		mode_t forbidden;
	} files[] = {{"/etc/netbus/pki/host.key", 077}, {"/etc/netbus/pki/host.pem", 022},
	    {"/etc/netbus/pki/ca.pem", 022}, {"/etc/netbus/pki/seal.key", 077}, {"/etc/netbus/pki/seal.pub", 022}};
	bool good = true;

	for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
		AUTO_FREE char *path = verb_path(doctor->admin, files[i].path);

		good &= check_owner_only(doctor, "pki", path, files[i].forbidden,
		    "netbusd --join TOKEN ADDRESS:PORT gets it from the enroller; netbus-admin pki issue HOST makes it, to be copied here with its mode");
	}
	if (good)
		find(doctor, "pki", SEVERITY_OK, "",
		    "keys and certificates are there, and only their owner may change them");
}

/* ---- the broker ---- */

static enum severity
severity_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(severities); i++)
		if (strcmp(severities[i], name) == 0)
			return (enum severity)i;
	return SEVERITY_ERROR;
}

static void
take(struct asking *asking, uint16_t number, const union admin_body *body)
{
	struct doctor *doctor = asking->context;
	const struct msg_row_finding *finding = &body->row_finding;

	if (number == ADMIN_ROW_STATUS) {
		doctor->status = body->row_status;
		doctor->has_status = true;
	} else if (number == ADMIN_ROW_FINDING) {
		add_finding(doctor, finding->check, severity_of(finding->severity), finding->text, finding->remedy);
	}
}

static void
check_daemon(struct doctor *doctor)
{
	struct msg_get_status status = {0};
	struct msg_get_findings findings = {0};
	struct error error;
	int code = client_ask_quietly(doctor->admin, ADMIN_GET_STATUS, &status, &doctor->asking, &error);

	if (error.code != 0) {
		find(doctor, "daemon", SEVERITY_ERROR, "its log says why it does not run: journalctl -u netbusd", "%s",
		    error.text);
		return;
	}
	if (code != ADMIN_OK || !doctor->has_status) {
		find(doctor, "daemon", SEVERITY_ERROR, "give yourself a role under `admins:` in netbusd.yaml",
		    "it does not tell its status: %s", doctor->asking.done.text);
		return;
	}
	find(doctor, "daemon", SEVERITY_OK, "", "netbusd %s runs as %s", doctor->status.version, doctor->status.host);
	if (strcmp(doctor->status.version, NETBUS_VERSION) != 0)
		find(doctor, "version", SEVERITY_WARNING, "restart netbusd after an upgrade",
		    "netbusd is %s, this is netbus-admin %s", doctor->status.version, NETBUS_VERSION);
	code = client_ask_quietly(doctor->admin, ADMIN_GET_FINDINGS, &findings, &doctor->asking, &error);
	if (code != ADMIN_OK)
		find(doctor, "daemon", SEVERITY_ERROR, "its log has more", "it does not tell its findings: %s",
		    error.code != 0 ? error.text : doctor->asking.done.text);
}

/* ---- the answer ---- */

static const char *
text_of(const json_t *finding, const char *key)
{
	return json_string_value(json_object_get(finding, key));
}

static void
print_findings(struct admin *admin, const json_t *findings)
{
	static const char *const colors[] = {"\033[32m", "\033[33m", "\033[31m"};
	json_t *finding;
	size_t i;

	json_array_foreach(findings, i, finding)
	{
		enum severity severity = severity_of(text_of(finding, "severity"));

		if (admin->quiet && severity == SEVERITY_OK)
			continue;
		printf("%s%-8s%s %-14s %s\n", admin->color ? colors[severity] : "", severities[severity],
		    admin->color ? "\033[0m" : "", text_of(finding, "check"), text_of(finding, "text"));
		if (severity != SEVERITY_OK && text_of(finding, "remedy")[0] != '\0')
			printf("%-23s -> %s\n", "", text_of(finding, "remedy"));
	}
}

int
cmd_doctor(struct admin *admin, int argc, char **argv)
{
	const struct verb_option options[] = {{NULL}};
	struct doctor doctor = {.asking = {.take = take, .context = &doctor}, .admin = admin};
	int code = verb_options(admin, &argc, argv, options, 0, 0);

	if (code != 0)
		return code;
	doctor.findings = verb_memory(json_array());
	check_configuration(&doctor);
	check_keys(&doctor);
	check_policy(&doctor);
	check_daemon(&doctor);
	if (admin->json)
		output_json(json_incref(doctor.findings));
	else
		print_findings(admin, doctor.findings);
	json_decref(doctor.findings);
	return doctor.any_error ? ADMIN_FAILURE : ADMIN_OK;
}
