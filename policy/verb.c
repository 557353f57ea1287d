/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs of the policy language by name (policy/policy.h).
 */
#include <string.h>

#include "base/auto.h"
#include "policy/policy.h"

static const struct {
	enum policy_verb verb;
	const char *name;
} verbs[] = {
    {VERB_LIST, "list"},
    {VERB_ATTACH, "attach"},
    {VERB_DISCARD, "discard"},
    {VERB_RESIZE_SEE, "resize-see"},
    {VERB_HANDOVER, "handover"},
    {VERB_STEAL, "steal"},
    {VERB_USB_CONTROL, "usb-control"},
};

const char *
verb_name(enum policy_verb verb)
{
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
		if (verbs[i].verb == verb)
			return verbs[i].name;
	return "unknown";
}

enum policy_verb
verb_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return verbs[i].verb;
	return 0;
}
