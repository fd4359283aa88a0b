# A mail server for one test: Debian's aiosmtpd, on a port of its own. Says the port, then writes every message it takes
# to the directory it is given. Usage: smtpd.py DIRECTORY plain|starttls|tls [CERTIFICATE KEY]
import asyncio
import itertools
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

directory, mode, *files = sys.argv[1:]
numbers = itertools.count()


class Handler:
    async def handle_DATA(self, server, session, envelope):
        kept = b"%s\n%s\n" % (
            (envelope.mail_from or "").encode(),
            " ".join(envelope.rcpt_tos).encode(),
        )
        name = pathlib.Path(directory, str(next(numbers)))
        name.with_suffix(".new").write_bytes(kept + envelope.content)
        name.with_suffix(".new").rename(name)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    is_known = (data.login, data.password) == (b"otp", b"secret of the server")
    return AuthResult(success=is_known, handled=False)


context = None
if files:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)


def session():
    starttls = mode == "starttls"
    return SMTP(
        Handler(),
        tls_context=context if starttls else None,
        require_starttls=starttls,
        authenticator=authenticate,
        auth_required=mode != "plain",
        auth_require_tls=starttls,
    )


async def main():
    loop = asyncio.get_running_loop()
    outer = context if mode == "tls" else None
    server = await loop.create_server(session, "127.0.0.1", 0, ssl=outer)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
