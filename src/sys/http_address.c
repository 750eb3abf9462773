/* Addresses by class; see http_client.h. */
#include "sys/http_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static bool v4_is_public(uint32_t ip)
{
	uint32_t a = ip >> 24, b = ip >> 16 & 255;
	return !(a == 0 || a == 10 || a == 127 || a >= 224 || (a == 100 && b >= 64 && b < 128) ||
		 (a == 169 && b == 254) || (a == 172 && b >= 16 && b < 32) ||
		 (a == 192 && b == 168) || (ip >> 8 == (192u << 16)) ||
		 (a == 198 && (b == 18 || b == 19)));
}

/* Link-local metadata services are never a declared target by accident. */
static bool v4_allowed(enum http_address_class class, uint32_t ip)
{
	bool link_local = ip >> 16 == (169u << 8 | 254u);
	return class == HTTP_DECLARED ? !link_local : v4_is_public(ip);
}

bool http_address_allowed(enum http_address_class class, const struct sockaddr *address)
{
	if (address->sa_family == AF_UNIX)
		return class == HTTP_DECLARED;
	if (address->sa_family == AF_INET)
		return v4_allowed(class, ntohl(((const struct sockaddr_in *)(const void *)address)
						       ->sin_addr.s_addr));
	if (address->sa_family != AF_INET6)
		return false;
	const struct in6_addr *ip =
		&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
	static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
	if (IN6_IS_ADDR_V4MAPPED(ip) || memcmp(ip->s6_addr, nat64, sizeof(nat64)) == 0) {
		uint32_t v4;
		memcpy(&v4, ip->s6_addr + 12, sizeof(v4));
		return v4_allowed(class, ntohl(v4));
	}
	if (IN6_IS_ADDR_LINKLOCAL(ip))
		return false;
	bool is_private = IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_UNSPECIFIED(ip) ||
			  IN6_IS_ADDR_MULTICAST(ip) || (ip->s6_addr[0] & 0xfe) == 0xfc;
	return class == HTTP_DECLARED || !is_private;
}

bool http_address_read(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;
	memset(out, 0, sizeof(*out));
	if (text != NULL && inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		out->ss_family = AF_INET;
		return true;
	}
	out->ss_family = AF_INET6;
	return text != NULL && inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
}
