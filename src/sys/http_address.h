/* Which addresses the HTTP client may connect to. Private to sys/http_*.c. */
#ifndef SYS_HTTP_ADDRESS_H
#define SYS_HTTP_ADDRESS_H

#include <sys/socket.h>

#include "sys/http_client.h"

bool http_address_allowed(enum http_address_class class, const struct sockaddr *address);
/* "127.0.0.1", "::1"; false for anything else. */
bool http_address_read(const char *text, struct sockaddr_storage *out);

#endif
