"""A mail server that is not ours: aiosmtpd, on a port of its own, until standard input ends.

Takes `tls`, `starttls` or `plain`, and for the first two a certificate with its chain and its key. Prints a JSON value
a line: the port, then each attempt to sign in and each mail that it took.
"""

import asyncio
import email
import json
import os
import ssl
import sys
import threading

from aiosmtpd.smtp import SMTP, AuthResult

ACCOUNT = (b"server", b"a birch")


def tell(value):
    print(json.dumps(value), flush=True)


def authenticate(server, session, envelope, mechanism, shown):
    right = (shown.login, shown.password) == ACCOUNT
    tell({"login": shown.login.decode(), "right": right})
    return AuthResult(success=right, handled=False)


class Mailbox:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content)
        headers = {name: mail[name] for name in ("From", "To", "Subject", "Message-ID", "Date")}
        tell({"from": envelope.mail_from, "to": envelope.rcpt_tos, **headers, "text": mail.get_payload()})
        return "250 OK"


def wait_for_end():
    sys.stdin.read()
    os._exit(0)


async def serve(security, files):
    options = {}
    context = None
    if security != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        options = {
            "auth_required": True,
            "authenticator": authenticate,
            # It only knows of the TLS that it began itself.
            "auth_require_tls": security == "starttls",
        }
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    listener = await asyncio.get_running_loop().create_server(
        lambda: SMTP(Mailbox(), hostname="mail.example.com", loop=asyncio.get_running_loop(), **options),
        "127.0.0.1",
        0,
        ssl=context if security == "tls" else None,
    )
    tell({"port": listener.sockets[0].getsockname()[1]})
    await listener.serve_forever()


threading.Thread(target=wait_for_end, daemon=True).start()
asyncio.run(serve(sys.argv[1], sys.argv[2:]))
