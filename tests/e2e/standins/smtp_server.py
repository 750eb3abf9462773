#!/usr/bin/python3
"""An SMTP server (aiosmtpd): smtp_server.py OUT [--cert F --key F] [--auth USER:PASSWORD] [--refuse REPLY]... [--delay S]

Prints its port, then writes each mail taken to OUT as a JSON line {"from", "to", "tls", "message"}. With a
certificate it wants STARTTLS, with --auth a login. Each --refuse answers one DATA with that reply."""
import argparse
import asyncio
import contextlib
import json
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

options = argparse.ArgumentParser()
options.add_argument("out")
options.add_argument("--cert")
options.add_argument("--key")
options.add_argument("--auth")
options.add_argument("--delay", type=float, default=0, help="seconds between keeping a mail and saying so")
options.add_argument("--refuse", action="append", default=[])
args = options.parse_args()


class Keep:
    async def handle_DATA(self, server, session, envelope):
        if args.refuse:
            return args.refuse.pop(0)
        with open(args.out, "a") as out:
            out.write(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None,
                                  "message": envelope.content.decode("latin-1")}) + "\n")
        if args.delay:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), args.delay)
        return "250 kept"


def allowed(_server, _session, _envelope, _mechanism, data):
    user, _, password = args.auth.partition(":")
    good = isinstance(data, LoginPassword) and data.login == user.encode() and data.password == password.encode()
    return AuthResult(success=good, handled=good)


def session():
    more = {}
    if args.cert:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(args.cert, args.key)
        more.update(tls_context=context, require_starttls=True)
    if args.auth:
        more.update(authenticator=allowed, auth_required=True, auth_require_tls=bool(args.cert))
    return SMTP(Keep(), hostname="localhost", **more)


async def serve():
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve())
