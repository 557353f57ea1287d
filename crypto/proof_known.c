/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains that were accepted, as they were parsed: hosts come again and again with the same certificates, and to read one costs more than to verify it. Only the
 * reading is spared. What a chain is worth is judged anew each time, by the bundle and the clock of then; and what is remembered goes with the keystore, that
 * is, at each reload. Only who was accepted is remembered, so that no stranger can fill the places.
 */
#include <string.h>

#include "crypto/proof_internal.h"

static void
forget(struct known_chain *known)
{
	free(known->bytes);
	sk_X509_pop_free(known->chain, X509_free);
	*known = (struct known_chain){0};
}

void
known_chains_clear(struct known_chains *chains)
{
	for (size_t i = 0; i < KNOWN_CHAINS_MOST; i++)
		forget(&chains->list[i]);
}

STACK_OF(X509) * known_chain_get(const struct known_chains *chains, const uint8_t *untrusted, size_t length)
{
	for (size_t i = 0; i < KNOWN_CHAINS_MOST; i++) {
		const struct known_chain *known = &chains->list[i];

		if (known->length == length && length > 0 && memcmp(known->bytes, untrusted, length) == 0)
			return X509_chain_up_ref(known->chain);
	}
	return NULL;
}

void
known_chain_put(struct known_chains *chains, const uint8_t *bytes, size_t length, STACK_OF(X509) * chain)
{
	struct known_chain *known = &chains->list[chains->next];
	AUTO(auto_certificates_free) STACK_OF(X509) *held = known_chain_get(chains, bytes, length);
	uint8_t *copy;

	if (held) /* it is there */
		return;
	copy = malloc(length);
	held = X509_chain_up_ref(chain);
	if (copy == NULL || held == NULL) {
		free(copy);
		return;
	}
	memcpy(copy, bytes, length);
	forget(known);
	*known = (struct known_chain){.bytes = copy, .length = length, .chain = TAKE(held)};
	chains->next = (chains->next + 1) % KNOWN_CHAINS_MOST;
}
