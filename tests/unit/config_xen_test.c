/* SPDX-License-Identifier: Apache-2.0
 *
 * daemon/config_xen.h and the `xen:` of netbusd.yaml: which domain is which VM, and what of it is refused, with its place in the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/auto.h"
#include "daemon/config.h"

/* NULL: refused, and the first fault is in `fault`. */
static struct config *
load(const char *xen, char *fault, size_t room)
{
	char yaml[1024];
	struct faults faults;
	struct config *config;

	snprintf(yaml, sizeof yaml, "version: 1\nhost: m1\n%s", xen);
	faults_init(&faults);
	config = config_parse("f", yaml, strlen(yaml), "/", &faults);
	snprintf(fault, room, "%s", faults.first ? faults.first->text : "");
	faults_clear(&faults);
	return config;
}

static const char map_text[] = "xen:\n"
			       "  vms:\n"
			       "    web-1: acme/web-1\n"
			       "    OLD+Name: acme/old\n"
			       "    acme-*: acme\n"
			       "    acme-lab-*: lab\n"
			       "    g*: globex\n"
			       "    other: globex/g7\n";

static void
a_domain_is_the_vm_that_the_table_says(void **state)
{
	static const struct {
		const char *domain, *vm; /* NULL: none */
	} cases[] = {
	    {"web-1", "acme/web-1"},
	    {"web-2", NULL},
	    {"web-1x", NULL},
	    {"web-", NULL},
	    {"WEB-1", NULL},
	    {"", NULL},
	    {"OLD+Name", "acme/old"},
	    {"acme-db", "acme/acme-db"},
	    {"acme-", "acme/acme-"},
	    {"acme", NULL},
	    {"acme-lab-1", "lab/acme-lab-1"}, /* the longer beginning */
	    {"acme-Upper", NULL},             /* no name of a VM */
	    {"acme-a/b", NULL},
	    {"acme-*", NULL},
	    {"g1", "globex/g1"},
	    {"g7", NULL}, /* globex/g7 is the domain `other` */
	    {"other", "globex/g7"},
	    {"web-1/xvda", NULL},
	};
	char fault[512], long_name[80] = "acme-";
	struct config *config = load(map_text, fault, sizeof fault);
	struct qualified vm = {"untouched"};

	(void)state;
	assert_non_null(config);
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		bool is_known;

		snprintf(vm.text, sizeof vm.text, "untouched");
		is_known = xen_map_vm(&config->xen.vms, cases[i].domain, &vm);
		if (is_known != (cases[i].vm != NULL) || strcmp(vm.text, is_known ? cases[i].vm : "untouched") != 0)
			fail_msg("'%s' is %s", cases[i].domain, is_known ? vm.text : "none");
	}
	memset(long_name + 5, 'x', NAME_LEN_MAX - 5);
	assert_true(xen_map_vm(&config->xen.vms, long_name, &vm));
	strncat(long_name, "x", 2);
	assert_false(xen_map_vm(&config->xen.vms, long_name, &vm));
	config_free(config);
}

static void
what_is_no_table_is_refused_where_it_stands(void **state)
{
	static const struct {
		const char *yaml, *fault;
	} cases[] = {
	    {"xen: {vms: {web-1: web-1}}\n", "f:3:13: xen: vms: "},
	    {"xen: {vms: {web-1: ACME/web-1}}\n", "f:3:13: xen: vms: "},
	    {"xen: {vms: {web 1: acme/web-1}}\n", "f:3:13: xen: vms: 'web 1' is no name of a Xen domain"},
	    {"xen: {vms: {w*b: acme/web-1}}\n", "f:3:13: xen: vms: 'w*b' is no name"},
	    {"xen: {vms: {w**: acme}}\n", "f:3:13: xen: vms: 'w**' is no name"},
	    {"xen: {vms: {acme-*: acme/web-1}}\n", "f:3:13: xen: vms: "},
	    {"xen: {vms: {web-1: [acme/web-1]}}\n", "f:3:20: web-1: this must be a single value"},
	    {"xen: {vms: [web-1]}\n", "f:3:12: vms: this must be a map"},
	    {"xen: {vms: {web-1: acme/web-1, web-1: acme/web-2}}\n",
		"f:3:32: 'web-1' stands here a second time (first in line 3)"},
	    {"xen:\n  vms:\n    web-1: acme/web-1\n    web-2: acme/web-1\n",
		"f:6:5: xen: vms: domain 'web-2': acme/web-1 is the domain 'web-1' already"},
	    {"xen: {serve: netbus}\n", "f:3:14: serve: this must be a list"},
	    {"xen: {serve: []}\n", "f:3:14: serve: at least one of netbus, qdisk and vbd"},
	    {"xen: {serve: [tap]}\n", "'tap' is not known here; allowed: netbus, qdisk, vbd"},
	    {"xen: {serve: [vbd, vbd]}\n", "f:3:20: serve: 'vbd' stands here twice"},
	    {"xen: {domains: {}}\n", "f:3:7: 'domains' is not known here"},
	    {"xen: yes\n", "f:3:6: xen: this must be a map"},
	};
	char fault[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct config *config = load(cases[i].yaml, fault, sizeof fault);

		if (config || strstr(fault, cases[i].fault) == NULL)
			fail_msg("%s: '%s'", cases[i].yaml, fault);
		config_free(config);
	}
}

static void
what_is_served_has_one_order(void **state)
{
	static const struct {
		const char *yaml, *serve;
	} cases[] = {
	    {"", ""},
	    {"xen: {}\n", "netbus,qdisk"},
	    {"xen: {serve: [qdisk, netbus]}\n", "netbus,qdisk"},
	    {"xen: {serve: [vbd, qdisk, netbus]}\n", "netbus,qdisk,vbd"},
	    {"xen: {serve: [vbd]}\n", "vbd"},
	};
	char fault[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
		struct config *config = load(cases[i].yaml, fault, sizeof fault);

		assert_non_null(config);
		assert_int_equal(config->xen.on, cases[i].serve[0] != '\0');
		assert_string_equal(config->xen.serve, cases[i].serve);
		config_free(config);
	}
}

static void
a_name_has_so_many_bytes(void **state)
{
	struct xen_map_entry entries[2] = {0};
	struct xen_map map = {.entries = entries};
	struct error error;
	char domain[XEN_DOMAIN_LEN_MAX + 3] = "";

	(void)state;
	memset(domain, 'x', XEN_DOMAIN_LEN_MAX);
	assert_int_equal(xen_map_add(&map, domain, "acme/web-1", &error), 0);
	domain[XEN_DOMAIN_LEN_MAX] = 'x';
	assert_int_equal(xen_map_add(&map, domain, "acme/web-2", &error), -EINVAL);
	domain[XEN_DOMAIN_LEN_MAX] = '*';
	assert_int_equal(xen_map_add(&map, domain, "acme", &error), 0);
	assert_int_equal(map.count, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_domain_is_the_vm_that_the_table_says),
	    cmocka_unit_test(what_is_no_table_is_refused_where_it_stands),
	    cmocka_unit_test(what_is_served_has_one_order),
	    cmocka_unit_test(a_name_has_so_many_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
