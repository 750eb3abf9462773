/* The two sockets the server listens on: the network's and the command line's. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "sys/http_internal.h"

enum rc http_listen_network(struct cx *cx, struct http_server *server, int *out)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(server->options.port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
				  .sin6_port = htons(server->options.port)};
	bool is_v4 = inet_pton(AF_INET, server->address, &v4.sin_addr) == 1;
	if (!is_v4 && inet_pton(AF_INET6, server->address, &v6.sin6_addr) != 1)
		return cx_fail(cx, RC_INVALID, "'%s' is not an address", server->address);
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cx_fail_os(cx, RC_IO, "could not make a socket");
	int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	const struct sockaddr *address = is_v4 ? (const void *)&v4 : (const void *)&v6;
	socklen_t length = is_v4 ? sizeof(v4) : sizeof(v6);
	if (bind(fd, address, length) != 0 || listen(fd, 256) != 0) {
		enum rc rc = cx_fail_os(cx, RC_IO, "could not listen on %s port %u",
					server->address, (unsigned)server->options.port);
		cx_hint(cx, "Is another Backline running? --listen ADDR:PORT takes another place.");
		close(fd);
		return rc;
	}
	struct sockaddr_in6 bound;
	length = sizeof(bound);
	CHECK(getsockname(fd, (void *)&bound, &length) == 0);
	server->port =
		ntohs(bound.sin6_port); /* the port stands at the same place for both families */
	*out = fd;
	return RC_OK;
}

enum rc http_listen_local(struct cx *cx, struct http_server *server, int *out)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(server->socket_path) >= sizeof(address.sun_path))
		return cx_fail(cx, RC_INVALID, "the path of the socket is too long: '%s'",
			       server->socket_path);
	memcpy(address.sun_path, server->socket_path, strlen(server->socket_path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cx_fail_os(cx, RC_IO, "could not make a socket");
	unlink(server->socket_path); /* the data directory's lock says that nobody else has it */
	mode_t former = umask(0177);
	int failed = bind(fd, (const void *)&address, sizeof(address));
	umask(former);
	if (failed != 0 || listen(fd, 64) != 0) {
		enum rc rc = cx_fail_os(cx, RC_IO, "could not listen on '%s'", server->socket_path);
		close(fd);
		return rc;
	}
	*out = fd;
	return RC_OK;
}
