/* SPDX-License-Identifier: Apache-2.0
 *
 * One policy file from top to bottom: version, tenant, sets, rules, limits, tests.
 */
#include <string.h>

#include "policy/parse.h"

static bool
parse_version(struct parse *parse, const struct yaml *root)
{
	const struct yaml *version = yaml_find(root, "version");

	if (version == NULL)
		FAULT(parse, root, "the file has no version; it begins with 'version: 1'");
	else if (parse_is_kind(parse, version, YAML_SCALAR, "version") && strcmp(version->text, "1") != 0)
		FAULT(parse, version, "version: '%s' is not known to this program; 1 is", show(version->text).text);
	else
		return true;
	return false;
}

static bool
parse_tenant(struct parse *parse, const struct yaml *root)
{
	const struct yaml *tenant = yaml_find(root, "tenant");

	if (tenant == NULL) {
		FAULT(parse, root,
		    "the file has no tenant; write 'tenant: NAME' for rules about that tenant's "
		    "shares, or 'tenant: \"*\"' for the "
		    "operator's own");
		return false;
	}
	if (tenant->kind == YAML_SCALAR && strcmp(tenant->text, "*") == 0)
		return true;
	parse->tenant = parse_name(parse, tenant, "tenant");
	return parse->tenant != NULL;
}

static void
keep_source(struct parse *parse)
{
	struct policy *policy = parse->policy;
	struct source *sources = arena_grow(
	    &policy->arena, policy->sources, policy->source_count, &policy->source_room, sizeof(struct source));
	struct source *source;

	if (sources == NULL) {
		parse_out_of_memory(parse);
		return;
	}
	policy->sources = sources;
	source = &sources[policy->source_count++];
	*source = (struct source){.name = parse->file, .tenant = parse->tenant, .everything = parse->everything};
	for (enum dimension d = 0; d < DIMENSIONS; d++) {
		source->sets[d] = parse->sets[d].at;
		source->set_count[d] = parse->sets[d].names.count;
	}
}

static void
parse_root(struct parse *parse, const struct yaml *root)
{
	static const char *const keys[] = {
	    "version", "tenant", "hosts", "vms", "shares", "rules", "limits", "tests", NULL};
	bool version_known, tenant_known;

	if (!parse_is_kind(parse, root, YAML_MAP, "the file"))
		return;
	yaml_allow_keys(parse->yaml, root, keys, parse->faults);
	/* Under another version the words may mean something else, and without a tenant no name is anyone's. */
	version_known = parse_version(parse, root);
	tenant_known = parse_tenant(parse, root);
	if (!version_known || !tenant_known || !parse_everything(parse))
		return;
	for (enum dimension d = 0; d < DIMENSIONS; d++)
		parse_sets(parse, yaml_find(root, section_words[d]), d);
	keep_source(parse);
	parse_rules(parse, yaml_find(root, "rules"));
	parse_limits(parse, yaml_find(root, "limits"));
	parse_tests(parse, yaml_find(root, "tests"));
}

void
parse_policy_file(struct policy *policy, const struct policy_file *file, struct faults *faults)
{
	struct yaml_file *yaml = yaml_parse(file->name, file->text, file->length, faults);
	struct parse parse = {.policy = policy, .faults = faults, .yaml = yaml};

	if (yaml == NULL)
		return;
	parse.file = arena_text(&policy->arena, file->name, strlen(file->name));
	if (parse.file)
		parse_root(&parse, yaml_root(yaml));
	else
		faults_add(faults, file->name, 0, 0, "out of memory");
	yaml_free(yaml);
}
