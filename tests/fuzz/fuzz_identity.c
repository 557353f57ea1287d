/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, SPIFFE IDs, addresses, numbers with units (base/name.h, base/address.h, base/text.h, crypto/spiffe.c).
 *
 * Holds: whatever a parser takes matches the documented grammar, as POSIX regular expressions say it, and nothing that matches is refused;
 * what it does not take leaves the output alone; an address printed and parsed again is the same; text escaped for a log is printable.
 */
#include <errno.h>
#include <regex.h>

#include "base/address.h"
#include "base/name.h"
#include "base/text.h"
#include "crypto/proof.h"
#include "tests/fuzz/fuzz.h"

#define NAME   "[a-z0-9][a-z0-9._-]{0,62}"
#define FILLER 0xa5

enum { A_NAME, A_QUALIFIED, A_SPIFFE, A_NUMBER, A_SIZE, A_DURATION, AN_ADDRESS, GRAMMARS };
static const char *const grammars[GRAMMARS] = {
    [A_NAME] = "^" NAME "$",
    [A_QUALIFIED] = "^" NAME "/" NAME "$",
    [A_SPIFFE] = "^spiffe://[a-z0-9._-]{1,255}/host/" NAME "$",
    [A_NUMBER] = "^[0-9]+$",
    [A_SIZE] = "^[0-9]+(|B|KiB|MiB|GiB|TiB)$",
    [A_DURATION] = "^[0-9]+(ms|s|m|min|h|d)$",
    [AN_ADDRESS] = "^([0-9.]{7,15}|\\[[0-9a-fA-F:.]{2,45}\\]):[0-9]+$",
};
static const char *const seeds[] = {"m1", "acme/web-1", "spiffe://test.example/host/m1", "65535", "200MiB", "8h",
    "500ms", "192.0.2.1:7715", "[2001:db8::1]:7715", "[::ffff:192.0.2.1]:0", "18446744073709551615",
    "spiffe://a/host/0", "m\xc3\xbc\\\x01"};
static regex_t compiled[GRAMMARS];

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	for (int i = 0; i < GRAMMARS; i++)
		REQUIRE(regcomp(&compiled[i], grammars[i], REG_EXTENDED | REG_NOSUB) == 0);
	for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
		char name[] = {'s', (char)('a' + i), '\0'};

		seed_write(name, seeds[i], strlen(seeds[i]));
	}
	return 0;
}

static bool
matches(int grammar, const char *text)
{
	return regexec(&compiled[grammar], text, 0, NULL, 0) == 0;
}

static void
check_names(const char *text, const uint8_t *bytes, size_t length)
{
	bool is_text = memchr(bytes, '\0', length) == NULL;
	struct name name;
	struct qualified qualified;
	struct spiffe_id id;
	struct error error;

	memset(&name, FILLER, sizeof name), memset(&qualified, FILLER, sizeof qualified),
	    memset(&id, FILLER, sizeof id);
	REQUIRE((name_parse(text, "name", &name, &error) == 0) == matches(A_NAME, text));
	REQUIRE(matches(A_NAME, text) ? strcmp(name.text, text) == 0 : is_untouched(&name, sizeof name, FILLER));
	REQUIRE(name_is_valid((const char *)bytes, length) == (is_text && matches(A_NAME, text)));
	REQUIRE((qualified_parse(text, "name", &qualified, &error) == 0) == matches(A_QUALIFIED, text));
	if (matches(A_QUALIFIED, text)) {
		name = qualified_tenant(&qualified);
		REQUIRE(matches(A_NAME, name.text) && matches(A_NAME, qualified_local(&qualified)));
		REQUIRE(strlen(name.text) + 1 + strlen(qualified_local(&qualified)) == length || !is_text);
	} else {
		REQUIRE(is_untouched(&qualified, sizeof qualified, FILLER));
	}
	REQUIRE((spiffe_parse((const char *)bytes, length, &id, &error) == 0) == (is_text && matches(A_SPIFFE, text)));
	if (is_text && matches(A_SPIFFE, text))
		REQUIRE(
		    matches(A_NAME, id.host.text) && strncmp(text + 9, id.trust_domain, strlen(id.trust_domain)) == 0);
	else
		REQUIRE(is_untouched(&id, sizeof id, FILLER));
}

static void
check_numbers(const char *text)
{
	uint64_t number = UINT64_MAX - 1, bytes = UINT64_MAX;
	int64_t us = -1;
	int code = parse_number(text, 3, 70000, &number, NULL);

	REQUIRE(code == 0 || number == UINT64_MAX - 1);
	REQUIRE(code != 0 || (number >= 3 && number <= 70000 && number == strtoull(text, NULL, 10)));
	REQUIRE(code == 0 || !matches(A_NUMBER, text) || strlen(text) > 19 || strtoull(text, NULL, 10) < 3 ||
		strtoull(text, NULL, 10) > 70000);
	REQUIRE(code != 0 || matches(A_NUMBER, text));
	code = parse_size(text, &bytes, NULL);
	REQUIRE(code == 0 ? matches(A_SIZE, text) && bytes <= INT64_MAX : bytes == UINT64_MAX);
	REQUIRE(code != -EINVAL || !matches(A_SIZE, text) || strlen(text) > 19);
	code = parse_duration(text, &us, NULL);
	REQUIRE(code == 0 ? matches(A_DURATION, text) && us >= 0 : us == -1);
	REQUIRE(code != -EINVAL || !matches(A_DURATION, text) || strlen(text) > 19);
}

static void
check_address(const char *text)
{
	union address address, again;
	char printed[ADDRESS_TEXT_LEN], source[ADDRESS_TEXT_LEN];

	memset(&address, FILLER, sizeof address), memset(&again, FILLER, sizeof again);
	if (address_parse(text, &address, NULL) != 0) {
		REQUIRE(is_untouched(&address, sizeof address, FILLER));
		return;
	}
	REQUIRE(matches(AN_ADDRESS, text));
	address_print(&address, printed);
	address_print_source(&address, source);
	REQUIRE(address_parse(printed, &again, NULL) == 0 && memcmp(&address, &again, sizeof address) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char *text = text_of(bytes, length), shown[40];

	check_names(text, bytes, length);
	check_numbers(text);
	check_address(text);
	print_escaped((const char *)bytes, length, shown, sizeof shown);
	for (const char *at = shown; *at; at++)
		REQUIRE((unsigned char)*at >= ' ' && *at != 0x7f);
	free(text);
	return 0;
}
