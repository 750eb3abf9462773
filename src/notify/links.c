/* Signed links; see links.h for the layout. The MAC is compared in constant time before any field
 * of the token is believed. */
#include "notify/links.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define VERSION 1
#define MAC_BYTES 16
#define HEAD_BYTES 7 /* version, act, expiry, length of page */
#define RAW_BYTES (HEAD_BYTES + 2 * NOTIFY_LINK_NAME_BYTES + MAC_BYTES)

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(const uint8_t *raw, size_t length, char *out)
{
	uint32_t bits = 0;
	int have = 0;
	for (size_t i = 0; i < length; i++) {
		bits = bits << 8 | raw[i];
		for (have += 8; have >= 6; have -= 6)
			*out++ = alphabet[bits >> (have - 6) & 63];
	}
	if (have > 0)
		*out++ = alphabet[bits << (6 - have) & 63];
	*out = '\0';
}

/* False on a foreign character, too long a text, or bits left over that are not zero. */
static bool decode(struct str text, uint8_t *raw, size_t room, size_t *length)
{
	uint32_t bits = 0;
	int have = 0;
	size_t n = 0;
	for (size_t i = 0; i < text.n; i++) {
		const char *at = text.p[i] == '\0' ? NULL : strchr(alphabet, text.p[i]);
		if (at == NULL)
			return false;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have >= 8) {
			if (n == room)
				return false;
			have -= 8;
			raw[n++] = (uint8_t)(bits >> have);
		}
	}
	*length = n;
	return have < 6 && (bits & ((1U << have) - 1)) == 0;
}

static enum rc mac_of(struct cx *cx, const uint8_t *key, const uint8_t *raw, size_t length,
		      uint8_t mac[EVP_MAX_MD_SIZE])
{
	unsigned size = 0;
	if (HMAC(EVP_sha256(), key, NOTIFY_LINK_KEY_BYTES, raw, length, mac, &size) == NULL)
		return cx_fail(cx, RC_INTERNAL, "could not sign link: HMAC failed");
	return RC_OK;
}

enum rc notify_link_make(struct cx *cx, const uint8_t key[NOTIFY_LINK_KEY_BYTES],
			 const struct notify_link *link, char token[NOTIFY_LINK_TOKEN_BYTES])
{
	size_t page = strnlen(link->page, sizeof(link->page));
	size_t person = strnlen(link->person, sizeof(link->person));
	int64_t expires_s = link->expires.ms / 1000;
	if (page == 0 || page == sizeof(link->page) || person == sizeof(link->person))
		return cx_fail(cx, RC_INVALID, "could not sign link: name is empty or too long");
	if (expires_s <= 0 || expires_s > UINT32_MAX)
		return cx_fail(cx, RC_INVALID, "could not sign link: expiry is out of range");
	uint8_t raw[RAW_BYTES] = {VERSION,
				  (uint8_t)link->act,
				  (uint8_t)(expires_s >> 24),
				  (uint8_t)(expires_s >> 16),
				  (uint8_t)(expires_s >> 8),
				  (uint8_t)expires_s,
				  (uint8_t)page};
	memcpy(raw + HEAD_BYTES, link->page, page);
	memcpy(raw + HEAD_BYTES + page, link->person, person);
	size_t length = HEAD_BYTES + page + person;
	uint8_t mac[EVP_MAX_MD_SIZE];
	TRY(mac_of(cx, key, raw, length, mac));
	memcpy(raw + length, mac, MAC_BYTES);
	encode(raw, length + MAC_BYTES, token);
	return RC_OK;
}

enum rc notify_link_read(struct cx *cx, const uint8_t key[NOTIFY_LINK_KEY_BYTES], struct str token,
			 struct notify_link *out)
{
	uint8_t raw[RAW_BYTES], mac[EVP_MAX_MD_SIZE];
	size_t length = 0;
	memset(out, 0, sizeof(*out));
	if (!decode(token, raw, sizeof(raw), &length) || length < HEAD_BYTES + MAC_BYTES)
		return cx_fail(cx, RC_DENIED, "link is not valid");
	length -= MAC_BYTES;
	TRY(mac_of(cx, key, raw, length, mac));
	if (CRYPTO_memcmp(mac, raw + length, MAC_BYTES) != 0)
		return cx_fail(cx, RC_DENIED, "link is not valid");
	size_t page = raw[6];
	if (raw[0] != VERSION || page == 0 || page >= sizeof(out->page) ||
	    page > length - HEAD_BYTES || length - HEAD_BYTES - page >= sizeof(out->person))
		return cx_fail(cx, RC_DENIED, "link is not valid");
	if (raw[1] != NOTIFY_LINK_ACKNOWLEDGE)
		return cx_fail(cx, RC_DENIED, "link is not valid");
	uint32_t expires_s =
		(uint32_t)raw[2] << 24 | (uint32_t)raw[3] << 16 | (uint32_t)raw[4] << 8 | raw[5];
	out->expires.ms = (int64_t)expires_s * 1000;
	if (cx_wall(cx).ms >= out->expires.ms)
		return cx_fail(cx, RC_DENIED, "link has expired");
	out->act = (enum notify_link_act)raw[1];
	memcpy(out->page, raw + HEAD_BYTES, page);
	memcpy(out->person, raw + HEAD_BYTES + page, length - HEAD_BYTES - page);
	return RC_OK;
}
