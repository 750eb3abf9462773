/* The chain's hashes. Private to ledger/. */
#ifndef LEDGER_CHAIN_H
#define LEDGER_CHAIN_H

#include "base/str.h"

#define LEDGER_HASH_BYTES 32
#define LEDGER_SALT_BYTES 16

struct ledger_link {
	int64_t seq, at_ms;
	struct str kind, actor, subject;
	unsigned char payload_digest[LEDGER_HASH_BYTES];
	unsigned char previous[LEDGER_HASH_BYTES];
};

void ledger_hash_payload(struct str salt, struct str summary, struct str details,
			 unsigned char out[LEDGER_HASH_BYTES]);
void ledger_hash_link(const struct ledger_link *link, unsigned char out[LEDGER_HASH_BYTES]);
void ledger_new_salt(unsigned char out[LEDGER_SALT_BYTES]);

#endif
