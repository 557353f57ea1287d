/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and globs as they stand in selectors, and whose they are: a tenant's file speaks of that tenant's VMs and
 * shares only, so a name without a tenant gets the file's; an operator's file (tenant "*") writes tenant/name.
 */
#include <string.h>

#include "policy/parse.h"

const char *const dimension_words[DIMENSIONS] = {[BY_SHARE] = "share", [BY_VM] = "VM", [BY_HOST] = "host"};
const char *const section_words[DIMENSIONS] = {[BY_SHARE] = "shares", [BY_VM] = "vms", [BY_HOST] = "hosts"};

/* A name, in which '*' and '?' may stand anywhere. */
static bool
is_name_or_glob(const char *text, size_t length)
{
	char plain[NAME_LEN_MAX];

	if (length > sizeof plain)
		return false;
	for (size_t i = 0; i < length; i++)
		plain[i] = text[i] == '*' || text[i] == '?' ? 'x' : text[i];
	return name_is_valid(plain, length);
}

static bool
refuse_form(struct parse *parse, const struct yaml *node, enum dimension dimension)
{
	FAULT(parse, node,
	    "%s: '%s' is neither a name nor a glob: %s1 to %d of a-z 0-9 . _ - * ?, the first no "
	    "'.', '_' or '-'",
	    section_words[dimension], show(node->text).text,
	    dimension == BY_HOST ? "" : "at most one '/', on each side of it ", NAME_LEN_MAX);
	return false;
}

/* "web-1" or "acme/web-1" in the file of tenant acme. */
static bool
scope_to_tenant(struct parse *parse, const struct yaml *node, enum dimension dimension, struct scoped_name *name)
{
	const char *slash = strchr(node->text, '/'), *local = slash ? slash + 1 : node->text;
	size_t length = strlen(parse->tenant);

	if (!is_name_or_glob(local, strlen(local)))
		return refuse_form(parse, node, dimension);
	if (slash && ((size_t)(slash - node->text) != length || memcmp(node->text, parse->tenant, length) != 0)) {
		FAULT(parse, node,
		    "%s: '%s' is not %s's; this file is of tenant %s and speaks of its %ss only (a "
		    "file with tenant: \"*\" may "
		    "speak of all)",
		    section_words[dimension], show(node->text).text, parse->tenant, parse->tenant,
		    dimension_words[dimension]);
		return false;
	}
	memcpy(name->text, parse->tenant, length);
	name->text[length] = '/';
	memcpy(name->text + length + 1, local, strlen(local) + 1);
	return true;
}

/* "acme/web-1", a glob in either half, or "*" in an operator's file. */
static bool
scope_to_all(struct parse *parse, const struct yaml *node, enum dimension dimension, struct scoped_name *name)
{
	const char *slash = strchr(node->text, '/');

	if (strcmp(node->text, "*") == 0) {
		name->any = true;
		return true;
	}
	if (slash == NULL && is_name_or_glob(node->text, strlen(node->text))) {
		FAULT(parse, node,
		    "%s: '%s' names no tenant, nor a set of this file; in a file with tenant: "
		    "\"*\" write tenant/name (globs may "
		    "stand in both), or \"*\" for all",
		    section_words[dimension], node->text);
		return false;
	}
	if (slash == NULL || !is_name_or_glob(node->text, (size_t)(slash - node->text)) ||
	    !is_name_or_glob(slash + 1, strlen(slash + 1)))
		return refuse_form(parse, node, dimension);
	memcpy(name->text, node->text, strlen(node->text) + 1);
	return true;
}

static bool
scope_host(struct parse *parse, const struct yaml *node, struct scoped_name *name)
{
	if (strcmp(node->text, "*") == 0) {
		name->any = true;
		return true;
	}
	if (!is_name_or_glob(node->text, strlen(node->text)))
		return refuse_form(parse, node, BY_HOST);
	memcpy(name->text, node->text, strlen(node->text) + 1);
	return true;
}

bool
parse_scoped_name(struct parse *parse, const struct yaml *node, enum dimension dimension, struct scoped_name *name)
{
	memset(name, 0, sizeof *name);
	if (!parse_is_kind(parse, node, YAML_SCALAR, section_words[dimension]))
		return false;
	if (dimension == BY_HOST)
		return scope_host(parse, node, name);
	if (parse->tenant)
		return scope_to_tenant(parse, node, dimension, name);
	return scope_to_all(parse, node, dimension, name);
}

const char *
parse_exact_name(struct parse *parse, const struct yaml *node, enum dimension dimension)
{
	struct scoped_name name;
	const char *copy;

	if (!parse_scoped_name(parse, node, dimension, &name))
		return NULL;
	if (name.any || is_glob(name.text)) {
		FAULT(parse, node, "%s: '%s' is a glob; a test asks about one %s, so write its name",
		    dimension_words[dimension], show(node->text).text, dimension_words[dimension]);
		return NULL;
	}
	copy = arena_text(&parse->policy->arena, name.text, strlen(name.text));
	if (copy == NULL)
		parse_out_of_memory(parse);
	return copy;
}
