/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy in its canonical form: what files that mean the same look like. One policy file for each that was loaded, of the same name and tenant; sets by
 * name, members in order and each once, rules by id, one a line; what is the default is left out. Loading it gives the same decisions, and printing that
 * gives the same bytes. Comments, and on which lines rules stand, are lost. Pure.
 */
#ifndef NETBUS_POLICY_PRINT_H
#define NETBUS_POLICY_PRINT_H

#include "base/buffer.h"
#include "policy/policy.h"

size_t policy_file_count(const struct policy *policy);
/* In C order; valid as long as the policy. */
const char *policy_file_name(const struct policy *policy, size_t file);
/* Appends the file's text. A file of nearly YAML_FILE_MAX may come out longer than that, if it was written with fewer spaces. -ENOMEM, or -ENOBUFS by the
 * buffer's limit; what was appended until then stays. */
int policy_print(const struct policy *policy, size_t file, struct buffer *out);

#endif
