"""A web server for tests: a metrics page that the test sets, and targets that misbehave."""
import http.server
import socket
import ssl
import threading
import time


class Targets:
    """`page` is what /metrics says, a text or a function of the count; `delay_s` how long / waits; /hop/N
    redirects N times; counts what it was asked. With a certificate (two files) it speaks TLS."""

    def __init__(self, certificate=None):
        self.page = "probe_me 1\n"
        self.value = 0
        self.status = 200
        self.delay_s = 0
        self.release = threading.Event()
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body, headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def handle(self):
                try:
                    super().handle()
                except OSError:  # a client that refuses the certificate
                    self.close_connection = True

            def do_GET(self):
                outer.asked += 1
                try:
                    self.serve()
                except OSError:
                    self.close_connection = True

            def serve(self):
                if self.path == "/metrics":
                    outer.value += 1
                    if callable(outer.page):
                        self.answer(200, outer.page(outer.value).encode())
                        return
                    self.answer(200, (outer.page.replace("{n}", str(outer.value)).replace("{t}", "%d" % (time.time() * 1000))).encode())
                elif self.path == "/hang":
                    outer.release.wait(60)
                elif self.path == "/lies":
                    self.send_response(200)
                    self.send_header("Content-Length", "100000")
                    self.end_headers()
                    self.wfile.write(b"a 1\n")
                    self.close_connection = True
                elif self.path == "/huge":
                    self.send_response(200)
                    self.end_headers()
                    while True:
                        self.wfile.write(b"a 1\n" * 65536)
                elif self.path.startswith("/hop/") and self.path != "/hop/0":
                    self.answer(302, b"", [("Location", "/hop/%d" % (int(self.path[5:]) - 1))])
                elif self.path == "/stream":  # no length
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"5\r\nhello\r\n0\r\n\r\n")
                elif self.path == "/garbage":
                    self.answer(200, bytes(range(256)) * 50)
                else:
                    if outer.delay_s:
                        outer.release.wait(outer.delay_s)
                    self.answer(outer.status, b'{"ok": true}')

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """Whoever asks may be killed meanwhile."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket.listen(64)  # probes come in bursts; a full queue delays a connection by a second
        self.port = self.server.server_address[1]
        self.base = "%s://127.0.0.1:%d" % ("https" if certificate else "http", self.port)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


def raw(port, data, timeout_s=15):
    """Sends bytes as they are; what came back until the peer closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as s:
        s.sendall(data)
        answer = b""
        try:
            while True:
                piece = s.recv(65536)
                if not piece:
                    break
                answer += piece
        except socket.timeout:
            answer += b"(no end)"
        except ConnectionResetError:
            pass
        return answer
