/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of the CA that this host enrols for (crypto/enrol.h). The request is a stranger's, handed on by the broker, which says that he may.
 */
#include <errno.h>
#include <string.h>

#include "crypto/enrol.h"
#include "daemon/keys.h"

#define PART(blob) ((struct enrol_part){(blob).bytes, (blob).length})
#define FILL(blob, from, used)                                                                     \
	do {                                                                                       \
		_Static_assert(sizeof(blob).bytes == sizeof(from), "one limit for both messages"); \
		memcpy((blob).bytes, (from), (used));                                              \
		(blob).length = (uint16_t)(used);                                                  \
	} while (0)

void
enrol_answer(const struct key_files *files, const struct msg_issue *issue, struct msg_issued *answer)
{
	struct enrol_case ask = {.statement = PART(issue->statement),
	    .possession = PART(issue->possession),
	    .proof = PART(issue->proof),
	    .chain = PART(issue->chain),
	    .not_after_us = (int64_t)issue->not_after_us};
	struct enrol_issued issued = {0};
	struct error error = {0};
	int code;

	*answer = (struct msg_issued){.id = issue->id};
	memcpy(ask.nonces.newcomer, issue->newcomer_nonce, ENROL_NONCE_LEN);
	memcpy(ask.nonces.enroller, issue->nonce, ENROL_NONCE_LEN);
	code = files->current ? keystore_enrol(files->current, &ask, &issued, &error)
			      : error_set(&error, -ENOKEY, "there are no keys yet");
	if (code < 0) {
		copy_text(answer->text, sizeof answer->text, error.text);
		return;
	}
	answer->ok = 1;
	answer->not_after_us = (uint64_t)issued.not_after_us;
	copy_text(answer->fingerprint, sizeof answer->fingerprint, issued.fingerprint);
	copy_text(answer->issuer, sizeof answer->issuer, issued.issuer);
	FILL(answer->chain, issued.chain, issued.chain_length);
	FILL(answer->bundle, issued.bundle, issued.bundle_length);
	FILL(answer->signature, issued.signature, issued.signature_length);
}
