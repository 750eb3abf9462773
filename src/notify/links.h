/* Signed links: a keyed MAC (HMAC-SHA256, cut to 128 bits) over page, person, act and expiry, as
 * the capability path /a/TOKEN. Whoever holds the link may do that one act: a GET only shows, a
 * POST does. Layout of the token in base64url: version, act, expiry (u32 seconds, big endian),
 * length of page, page, person, MAC. */
#ifndef NOTIFY_LINKS_H
#define NOTIFY_LINKS_H

#include "base/cx.h"

#define NOTIFY_LINK_KEY_BYTES 32
#define NOTIFY_LINK_NAME_BYTES 64
#define NOTIFY_LINK_TOKEN_BYTES 256

enum notify_link_act { NOTIFY_LINK_ACKNOWLEDGE = 'a' };

struct notify_link {
	char page[NOTIFY_LINK_NAME_BYTES], person[NOTIFY_LINK_NAME_BYTES];
	enum notify_link_act act;
	struct wall expires; /* whole seconds */
};

/* RC_INVALID when a name is empty or too long, or the expiry is out of range. */
enum rc notify_link_make(struct cx *cx, const uint8_t key[NOTIFY_LINK_KEY_BYTES],
			 const struct notify_link *link,
			 char token[NOTIFY_LINK_TOKEN_BYTES]) NODISCARD;
/* RC_DENIED when it is not ours, was tampered with, or has expired by cx's clock. */
enum rc notify_link_read(struct cx *cx, const uint8_t key[NOTIFY_LINK_KEY_BYTES], struct str token,
			 struct notify_link *out) NODISCARD;
#endif
