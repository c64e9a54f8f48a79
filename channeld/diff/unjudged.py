"""The keys whose changes `channeld diff` does not report, each with the reason why clients do not depend on them.

Every other key of the language is compared. A test changes each key and expects a finding, and compares this table with
`channels.schema.json`: a new key has to be compared or listed here with a reason.
"""

from collections.abc import Mapping
from typing import Final

UNJUDGED: Final[Mapping[str, str]] = {
    "channeld": "There is one version of the language; another one is refused.",
    "include": "Included files are merged before anything is compared.",
    "server.bind": "Clients know a URL; names, ports and proxies between it and this address are not in the file.",
    "server.tls.certificate": "Another certificate for the same name changes nothing for clients that check it.",
    "server.tls.key": "It belongs to the certificate.",
    "server.workers": "Connections, rooms and presence are the same over all processes.",
    "server.compression": "It is negotiated: a client that does not offer it never sees it.",
    "server.connection_age.jitter": "It only spreads the ends of connections; the maximum is compared.",
    "server.drain": "It spreads the same close, 1012, over another time.",
    "server.limits.hook_timeout": "It bounds the server's own hooks; clients get the same answers.",
    "auth.NAME.public_key.file": "The path is not compared; the key in the file is.",
    "auth.NAME.secret.file": "The path is not compared; the secret in the file is.",
    "auth.NAME.tokens.file": "The path is not compared; the tokens in the file are.",
    "auth.NAME.tokens.token.file": "The path is not compared; the token in the file is.",
    "channels.NAME.limits.hook_timeout": "It bounds the server's own hooks; clients get the same answers.",
    "channels.NAME.presence.grace": "Only the moment at which the same `leave` is sent changes.",
    **dict.fromkeys(
        (f"backends.NAME.{key}" for key in ("url", "secret", "timeout", "concurrency", "headers")),
        "Clients do not see which server answers a hook, or how it is called.",
    ),
    "broker": "Clients see the same protocol. A broker without the old histories answers `recovered: false`.",
    "api": "Clients of channels never reach it.",
    "webhooks": "Backends receive them, not clients.",
    "hooks.lifespan": "Only hooks see its value, and their code is not compared.",
    "hooks.loop": "It says how hooks run, not what they do.",
    "hooks.path": "It says where hook modules are found, not what they do.",
    "log": "Logs are for operators.",
    "diff": "It says what to accept in a comparison.",
}
"""Key, dotted, with `NAME` for names → the reason. What is under a key is meant with it."""
