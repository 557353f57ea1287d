/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of everything that is wrong with a set of files (base/yaml.h).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/auto.h"
#include "base/yaml.h"

void
faults_init(struct faults *faults)
{
	faults->first = NULL;
	faults->last = &faults->first;
	faults->count = 0;
}

void
faults_clear(struct faults *faults)
{
	while (faults->first) {
		struct fault *fault = faults->first;

		faults->first = fault->next;
		free(fault->text);
		free(fault);
	}
	faults_init(faults);
}

void
faults_add(struct faults *faults, const char *file, unsigned line, unsigned column, const char *format, ...)
{
	struct fault *fault = calloc(1, sizeof *fault);
	AUTO_FREE char *text = NULL;
	va_list arguments;

	/* Counted even when memory is out: whoever looks at the count must not take the file for a good one. */
	faults->count++;
	if (fault == NULL)
		return;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if ((line ? asprintf(&fault->text, "%s:%u:%u: %s", file, line, column, text ? text : "out of memory")
		  : asprintf(&fault->text, "%s: %s", file, text ? text : "out of memory")) < 0) {
		free(fault);
		return;
	}
	*faults->last = fault;
	faults->last = &fault->next;
}
