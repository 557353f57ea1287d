/* SPDX-License-Identifier: Apache-2.0
 *
 * netbus-admin doctor: what is misconfigured on this host, and how to mend it. Looks at files itself, so that it helps where netbusd does
 * not even start (admin/doctor.h), and asks the broker for what only that can see.
 */
#include "admin/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/files.h"
#include "base/auto.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"

/* ---- findings ---- */

static const char *const severities[] = {"ok", "warning", "error"};

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

void
doctor_find(
    struct doctor *doctor, const char *check, enum severity severity, const char *remedy, const char *format, ...)
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

static void
count_unseen(struct doctor *doctor, const char *path)
{
	if (doctor->unseen++ == 0)
		snprintf(doctor->first_unseen, sizeof doctor->first_unseen, "%s", path);
}

int
doctor_stat(struct doctor *doctor, const char *path, struct stat *status)
{
	if (stat(path, status) == 0)
		return 0;
	if (errno != EACCES)
		return -errno;
	count_unseen(doctor, path);
	return -EACCES;
}

bool
doctor_owner_only(struct doctor *doctor, const char *check, const char *path, mode_t forbidden, const char *missing)
{
	struct stat status;
	char mend[512];
	int code = doctor_stat(doctor, path, &status);

	if (code < 0) {
		if (code == -EACCES || (code == -ENOENT && missing == NULL))
			return missing == NULL;
		doctor_find(
		    doctor, check, SEVERITY_ERROR, missing ? missing : "look why", "%s: %s", path, strerror(-code));
		return false;
	}
	if ((status.st_mode & forbidden) == 0)
		return true;
	snprintf(mend, sizeof mend, "chmod %s %s", forbidden & 044 ? "0600" : "go-w", path);
	doctor_find(doctor, check, SEVERITY_ERROR, mend, "%s: its mode is %04o, so others than its owner may %s it",
	    path, status.st_mode & 07777U, forbidden & 044 ? "read or change" : "change");
	return false;
}

char *
doctor_directory(const struct doctor *doctor, const char *key, const char *usual)
{
	const struct yaml *root = doctor->config ? yaml_root(doctor->config) : NULL;
	const struct yaml *paths = root && root->kind == YAML_MAP ? yaml_find(root, "paths") : NULL;
	const struct yaml *value = paths && paths->kind == YAML_MAP ? yaml_find(paths, key) : NULL;

	if (value && value->kind == YAML_SCALAR && value->text[0] == '/')
		return verb_memory(strdup(value->text));
	return verb_path(doctor->admin, usual);
}

char *
doctor_read(struct doctor *doctor, const char *path, size_t *length)
{
	struct error error = {0};
	char *text = NULL;
	int code = file_read_all(path, YAML_FILE_MAX, &text, length, &error);

	if (code == -EACCES)
		count_unseen(doctor, path);
	else if (code < 0 && code != -ENOENT)
		doctor_find(doctor, "files", SEVERITY_ERROR, "look why", "%s", error.text);
	return code < 0 ? NULL : text;
}

static void
check_configuration(struct doctor *doctor)
{
	AUTO_FREE char *usual = verb_path(doctor->admin, "/etc/netbus/netbusd.yaml");
	const char *path = doctor->has_status && doctor->status.config[0] ? doctor->status.config : usual;
	AUTO_FREE char *text = NULL;
	struct faults faults;
	size_t length;

	if (!doctor_owner_only(doctor, "configuration", path, 022, "write it; netbus.yaml(5) has an example"))
		return;
	text = doctor_read(doctor, path, &length);
	if (text == NULL)
		return;
	faults_init(&faults);
	doctor->config = yaml_parse(path, text, length, &faults);
	find_faults(doctor, "configuration", &faults, "mend that line; netbus.yaml(5) has the whole language");
	if (faults.count == 0)
		doctor_find(doctor, "configuration", SEVERITY_OK, "", "%s is well-formed", path);
	faults_clear(&faults);
}

/* A file that is newer than what is in force was edited and not loaded. */
static void
check_loaded(struct doctor *doctor, const char *directory, const struct files *files)
{
	char path[4096];
	struct stat status;

	if (!doctor->has_status || doctor->status.policy_loaded_at == 0 || doctor->status.load_failed_at != 0)
		return;
	for (size_t i = 0; i < files->count; i++) {
		if (path_print(path, sizeof path, "%s/%s", directory, files->names[i]) < 0 || stat(path, &status) < 0)
			continue;
		if (status.st_mtim.tv_sec * INT64_C(1000000) + status.st_mtim.tv_nsec / 1000 >
		    (int64_t)doctor->status.policy_loaded_at)
			doctor_find(doctor, "policy", SEVERITY_WARNING, "netbus-admin policy reload",
			    "%s was changed after the policy in force was loaded", path);
	}
}

static void
check_policy(struct doctor *doctor)
{
	AUTO_FREE char *path = doctor_directory(doctor, "policy", "/etc/netbus/policy.d");
	struct files files = {0};
	struct policy *policy;
	struct faults faults;

	if (access(path, F_OK) < 0 && errno == ENOENT) {
		doctor_find(doctor, "policy", SEVERITY_WARNING,
		    "make it, with a file such as 10-acme.yaml; netbus-policy(5)",
		    "%s is not there, so everything is denied", path);
		return;
	}
	if (!doctor_owner_only(doctor, "policy", path, 022, "make it readable for you"))
		return;
	if (access(path, R_OK | X_OK) < 0) {
		count_unseen(doctor, path);
		return;
	}
	faults_init(&faults);
	files_add(&files, path, FILES_OR_DIRECTORIES, &faults);
	policy = files_load(&files, &faults);
	find_faults(doctor, "policy", &faults, "mend that line, then: netbus-admin policy reload");
	if (policy != NULL && policy_rule_count(policy) == 0 && doctor->config &&
	    yaml_find(yaml_root(doctor->config), "shares"))
		doctor_find(doctor, "policy", SEVERITY_WARNING, "write a rule; netbus-policy(5)",
		    "%s has no rule, so everything is denied", path);
	else if (policy != NULL)
		doctor_find(doctor, "policy", SEVERITY_OK, "", "%s: %zu rules, %zu tests pass", path,
		    policy_rule_count(policy), policy_test_count(policy));
	check_loaded(doctor, path, &files);
	policy_free(policy);
	files_clear(&files);
	faults_clear(&faults);
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
	struct error error;
	int code = client_ask_quietly(doctor->admin, ADMIN_GET_STATUS, &status, &doctor->asking, &error);

	if (error.code != 0) {
		doctor_find(doctor, "daemon", SEVERITY_ERROR, "its log says why it does not run: journalctl -u netbusd",
		    "%s", error.text);
		return;
	}
	if (code != ADMIN_OK || !doctor->has_status) {
		doctor_find(doctor, "daemon", SEVERITY_ERROR, "give yourself a role under `admins:` in netbusd.yaml",
		    "it does not tell its status: %s", doctor->asking.done.text);
		return;
	}
	doctor_find(
	    doctor, "daemon", SEVERITY_OK, "", "netbusd %s runs as %s", doctor->status.version, doctor->status.host);
	if (strcmp(doctor->status.version, NETBUS_VERSION) != 0)
		doctor_find(doctor, "version", SEVERITY_WARNING, "restart netbusd after an upgrade",
		    "netbusd is %s, this is netbus-admin %s", doctor->status.version, NETBUS_VERSION);
}

static void
ask_findings(struct doctor *doctor)
{
	struct msg_get_findings findings = {0};
	struct error error;
	int code = client_ask_quietly(doctor->admin, ADMIN_GET_FINDINGS, &findings, &doctor->asking, &error);

	if (code != ADMIN_OK)
		doctor_find(doctor, "daemon", SEVERITY_ERROR, "its log has more", "it does not tell its findings: %s",
		    error.code != 0 ? error.text : doctor->asking.done.text);
}

/* The whole host is its operators' and auditors'; the operator of one tenant is told what is his. */
static void
check_host(struct doctor *doctor)
{
	if (strcmp(doctor->status.role, "tenant-operator") == 0)
		return;
	check_configuration(doctor);
	doctor_pki(doctor);
	check_policy(doctor);
	doctor_shares(doctor);
	doctor_places(doctor);
	doctor_host(doctor);
	if (doctor->unseen)
		doctor_find(doctor, "files", SEVERITY_WARNING, "run doctor as root",
		    "%s and %u more could not be looked at by you", doctor->first_unseen, doctor->unseen - 1);
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
	check_daemon(&doctor);
	check_host(&doctor);
	if (doctor.has_status)
		ask_findings(&doctor);
	if (admin->json)
		output_json(json_incref(doctor.findings));
	else
		print_findings(admin, doctor.findings);
	json_decref(doctor.findings);
	yaml_free(doctor.config);
	return doctor.any_error ? ADMIN_FAILURE : ADMIN_OK;
}
