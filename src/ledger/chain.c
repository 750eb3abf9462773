/* SHA-256 over fields that carry their length: no two entries share their bytes. */
#include "ledger/chain.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/check.h"

static EVP_MD_CTX *begin(void)
{
	EVP_MD_CTX *sha = EVP_MD_CTX_new();
	CHECK(sha != NULL && EVP_DigestInit_ex(sha, EVP_sha256(), NULL) == 1);
	return sha;
}

static void put_number(EVP_MD_CTX *sha, uint64_t value)
{
	unsigned char bytes[8];
	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(value >> (8 * i));
	CHECK(EVP_DigestUpdate(sha, bytes, sizeof(bytes)) == 1);
}

static void put_str(EVP_MD_CTX *sha, struct str s)
{
	put_number(sha, s.n);
	CHECK(EVP_DigestUpdate(sha, s.n == 0 ? "" : s.p, s.n) == 1);
}

static void finish(EVP_MD_CTX *sha, unsigned char out[LEDGER_HASH_BYTES])
{
	CHECK(EVP_DigestFinal_ex(sha, out, NULL) == 1);
	EVP_MD_CTX_free(sha);
}

void ledger_hash_payload(struct str salt, struct str summary, struct str details,
			 unsigned char out[LEDGER_HASH_BYTES])
{
	EVP_MD_CTX *sha = begin();
	put_str(sha, salt);
	put_str(sha, summary);
	put_str(sha, details);
	finish(sha, out);
}

void ledger_hash_link(const struct ledger_link *link, unsigned char out[LEDGER_HASH_BYTES])
{
	EVP_MD_CTX *sha = begin();
	put_str(sha, str_make((const char *)link->previous, LEDGER_HASH_BYTES));
	put_number(sha, (uint64_t)link->seq);
	put_number(sha, (uint64_t)link->at_ms);
	put_str(sha, link->kind);
	put_str(sha, link->actor);
	put_str(sha, link->subject);
	put_str(sha, str_make((const char *)link->payload_digest, LEDGER_HASH_BYTES));
	finish(sha, out);
}

void ledger_new_salt(unsigned char out[LEDGER_SALT_BYTES])
{
	CHECK(RAND_bytes(out, LEDGER_SALT_BYTES) == 1);
}
