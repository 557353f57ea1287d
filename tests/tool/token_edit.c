/* SPDX-License-Identifier: Apache-2.0
 *
 * A join token with one thing edited and its checksum made good again, for tests of what the enroller notices: token_edit TOKEN host NAME | expiry SECONDS |
 * id | seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/join_token.h"

static int
edit(struct join_token *token, const char *what, const char *value)
{
	if (strcmp(what, "host") == 0 && value)
		return name_parse(value, "host", &token->host, NULL);
	if (strcmp(what, "expiry") == 0 && value)
		token->expires_s = strtoull(value, NULL, 10);
	else if (strcmp(what, "id") == 0)
		token->id[0] ^= 1;
	else if (strcmp(what, "seed") == 0)
		token->seed[0] ^= 1;
	else if (strcmp(what, "ca") == 0)
		token->ca[0] ^= 1;
	else
		return -1;
	return 0;
}

int
main(int argc, char **argv)
{
	struct join_token token;
	struct error error = {0};
	char text[JOIN_TOKEN_TEXT_MAX];

	if (argc < 3 || join_token_parse(argv[1], &token, &error) < 0 ||
	    edit(&token, argv[2], argc > 3 ? argv[3] : NULL) < 0) {
		fprintf(stderr, "token_edit TOKEN host NAME | expiry SECONDS | id | seed | ca: %s\n", error.text);
		return 1;
	}
	join_token_print(&token, text);
	puts(text);
	return 0;
}
