"""Rules about authenticators: keys, algorithms, tokens and where they are sent."""

import re
from typing import Final

import attrs

from channeld.config.checker import shown
from channeld.config.language import joined
from channeld.config.model import Config, JwtAuth, TokensAuth
from channeld.config.rules.evidence import (
    Findings,
    authenticators,
    channel_names,
    entries,
    finding,
    host_of,
    is_doubtful,
    is_written,
    secrets,
    texts,
    with_tokens,
)
from channeld.config.scalars import is_loopback
from channeld.config.source import Sources
from channeld.config.tree import ScalarNode
from channeld.diagnostics.diagnostic import Related, Severity
from channeld.pointer import at
from channeld.protocol.frames import Json
from channeld.suggest import closest, did_you_mean

HMAC: Final = ("HS256", "HS384", "HS512")
PUBLIC: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "ES256K", "EdDSA"),
)
ALGORITHMS: Final = (*HMAC, *PUBLIC)
"""The signature algorithms that an authenticator may accept (RFC 7518 section 3, RFC 8037, RFC 8812)."""

_OPEN: Final = frozenset(
    {"anonymous", "public", "open", "anyone", "everyone", "guest", "no", "off", "none"}
)
_LEAST_SECRET = 32
_LEAST_TOKEN = 16


def authenticator_undefined(config: Config, sources: Sources) -> Findings:
    """CH401: a channel names an authenticator that does not exist."""
    defined = entries(sources, "/auth")
    if "/auth" in sources.refused:
        return
    for channel, name, pointer in channel_names(sources):
        if name in defined:
            continue
        meant = closest(name, defined)
        help = f"define it under `auth`, or correct the name in channel `{channel}`"
        if name == "none":
            help = (
                "write `auth: none` alone; with `optional: true` a channel lets anonymous users in"
            )
        elif meant:
            help = f"did you mean `{meant}`?"
        elif name.lower() in _OPEN:
            help = "write `auth: none` to let everyone in"
        elif defined:
            listed = joined([f"`{one}`" for one in defined])
            help = f"name one that the file defines: {listed}"
        yield finding("CH401", f"there is no authenticator {shown(name)}", sources, pointer, help)


def authenticator_unused(config: Config, sources: Sources) -> Findings:
    """CH402: an authenticator that no channel names."""
    named = {channel for channel, _, _ in channel_names(sources)}
    used = {name for _, name, _ in channel_names(sources)}
    channels = entries(sources, "/channels")
    # A channel with an invalid `auth` may have meant this one.
    silent = (c for c in channels if c not in named)
    unclear = any(sources.written(at("/channels", c, "auth")) != "none" for c in silent)
    # So may a channel that names an authenticator which does not exist.
    misspelt = used - set(entries(sources, "/auth"))
    if not channels or unclear or misspelt or "/auth" in sources.refused:
        return
    for name in entries(sources, "/auth"):
        if name not in used:
            message = f"no channel uses authenticator `{name}`"
            help = f"write `auth: {name}` in a channel, or remove it"
            yield finding("CH402", message, sources, at("/auth", name), help, key=True)


def algorithm_none(config: Config, sources: Sources) -> Findings:
    """CH404: `none`, which accepts forged tokens."""
    for name, _ in authenticators(config, JwtAuth):
        for text, pointer in texts(sources, at("/auth", name, "algorithms")):
            if text.lower() == "none":
                message = "the algorithm `none` accepts forged tokens"
                yield finding("CH404", message, sources, pointer, "remove it")


def algorithm_unknown(config: Config, sources: Sources) -> Findings:
    """CH419: an algorithm that does not exist, or that channeld does not know."""
    for name, _ in authenticators(config, JwtAuth):
        for text, pointer in texts(sources, at("/auth", name, "algorithms")):
            if text in ALGORITHMS or text.lower() == "none":
                continue
            help = did_you_mean(text, ALGORITHMS, f"the known ones are {joined([*ALGORITHMS])}")
            message = f"{shown(text)} is not a known signature algorithm"
            yield finding("CH419", message, sources, pointer, help)


def _families(auth: JwtAuth) -> set[str]:
    families = {"hmac" for name in auth.algorithms if name in HMAC}
    return families | {"public" for name in auth.algorithms if name in PUBLIC}


def algorithms_mixed(config: Config, sources: Sources) -> Findings:
    """CH406: HMAC and public-key algorithms in one authenticator."""
    for name, auth in authenticators(config, JwtAuth):
        if len(_families(auth)) > 1:
            message = f"authenticator `{name}` mixes HMAC and public-key algorithms"
            help = "define two authenticators; a channel can name both in a list"
            yield finding("CH406", message, sources, at("/auth", name, "algorithms"), help)


def weak_secret(config: Config, sources: Sources) -> Findings:
    """CH405: an HMAC secret of fewer than 32 bytes."""
    for name, auth in authenticators(config, JwtAuth):
        for secret, pointer in secrets(sources, auth.secrets, at("/auth", name, "secret")):
            size = len(secret.text.encode("utf-8", "surrogatepass"))
            if size < _LEAST_SECRET:
                message = f"the secret of `{name}` has {size} bytes; at least {_LEAST_SECRET} are required"
                help = "generate one with `openssl rand -base64 48`"
                yield finding("CH405", message, sources, pointer, help)


def key_missing(config: Config, sources: Sources) -> Findings:
    """CH420: no key to verify with."""
    for name, auth in authenticators(config, JwtAuth):
        families = _families(auth)
        keys = {key for key in _KEYS if is_written(sources, at("/auth", name, key))}
        if len(families) == 1 and not keys and not is_doubtful(sources, at("/auth", name)):
            message = f"authenticator `{name}` has no key to verify tokens with"
            help = _HMAC_KEY if families == {"hmac"} else _PUBLIC_KEY
            yield finding("CH420", message, sources, at("/auth", name), help, key=True)


_HMAC_KEY: Final = "add `secret: ${CHANNELD_JWT_SECRET}`"
_PUBLIC_KEY: Final = "add `public_key: {file: key.pem}`, or `jwks:` with the issuer's https URL"
_KEYS: Final = {"secret": "hmac", "public_key": "public", "jwks": "public"}


def key_of_other_family(config: Config, sources: Sources) -> Findings:
    """CH421: a key that does not fit the algorithms."""
    for name, auth in authenticators(config, JwtAuth):
        families = _families(auth)
        for key, family in _KEYS.items():
            pointer = at("/auth", name, key)
            if len(families) == 1 and family not in families and is_written(sources, pointer):
                wanted = "`secret`" if families == {"hmac"} else "`public_key` or `jwks`"
                message = f"{joined([*auth.algorithms], 'and')} cannot use `{key}`"
                help = f"use {wanted} instead, or change `algorithms`"
                yield finding("CH421", message, sources, pointer, help, key=True)


def no_audience(config: Config, sources: Sources) -> Findings:
    """CH407: without an audience, tokens meant for other services are accepted."""
    for name, auth in authenticators(config, JwtAuth):
        pointer = at("/auth", name)
        is_checked = is_written(sources, at(pointer, "audience")) or _names_client(auth.claims)
        if not is_checked and not is_doubtful(sources, pointer):
            message = f"authenticator `{name}` accepts tokens issued for other services"
            help = "add `audience:` with the `aud` that your issuer uses for this service"
            yield finding("CH407", message, sources, pointer, help, key=True)


def _names_client(claims: Json) -> bool:
    """Whether a `claims` schema fixes the client that a token was issued to, as for issuers without `aud` (RFC 9068)."""
    if not isinstance(claims, dict):
        return False
    required, properties = claims.get("required"), claims.get("properties")
    if not isinstance(required, list) or not isinstance(properties, dict):
        return False
    fixed = (properties.get(name) for name in _CLIENT_CLAIMS if name in required)
    return any(isinstance(schema, dict) and schema.keys() & {"const", "enum"} for schema in fixed)


_CLIENT_CLAIMS: Final = ("aud", "azp", "client_id", "cid", "appid")


def jwks_not_https(config: Config, sources: Sources) -> Findings:
    """CH408: keys fetched without https; only a warning for this machine."""
    for name, auth in authenticators(config, JwtAuth):
        url = auth.jwks.url if auth.jwks else None
        if url is None or not url.lower().startswith("http://"):
            continue
        message = f"the keys of `{name}` are fetched without TLS"
        problem = finding("CH408", message, sources, at("/auth", name, "jwks"), "write `https://`")
        if is_loopback(host_of(url)):
            problem = attrs.evolve(problem, severity=Severity.WARNING)
        yield problem


def jwks_is_discovery(config: Config, sources: Sources) -> Findings:
    """CH445: the issuer's discovery document in place of its key set."""
    for name, auth in authenticators(config, JwtAuth):
        if auth.jwks and auth.jwks.url and "/.well-known/openid-configuration" in auth.jwks.url:
            message = (
                f"the `jwks` of `{name}` is the issuer's discovery document, which contains no keys"
            )
            help = "write the `jwks_uri` from it"
            yield finding("CH445", message, sources, at("/auth", name, "jwks"), help)


def secret_inline(config: Config, sources: Sources) -> Findings:
    """CH409: a secret in the file itself."""
    found = [
        pair
        for name, auth in authenticators(config, JwtAuth)
        for pair in secrets(sources, auth.secrets, at("/auth", name, "secret"))
    ]
    for name, tokens in authenticators(config, TokensAuth):
        kept = tuple(entry.token for entry in tokens.tokens if entry.token is not None)
        for secret, pointer in secrets(sources, kept, at("/auth", name, "tokens")):
            inner = f"{pointer}/token"
            found.append((secret, inner if is_written(sources, inner) else pointer))
    if config.api is not None:
        found += secrets(sources, config.api.keys, "/api/keys")
    for name, backend in config.backends.items():
        found += secrets(sources, backend.secrets, at("/backends", name, "secret"))
    for index, webhook in enumerate(config.webhooks):
        found.append((webhook.secret, at("/webhooks", index, "secret")))
    for secret, pointer in found:
        default = _default(sources, pointer)
        if default is not None:
            message = f"the default of `${{{default[1]}}}` is a secret that is written in the file"
            help = f"write `${{{default[1]}}}` and set it in the environment, or `{{file: PATH}}`"
            yield finding("CH409", message, sources, pointer, help)
        elif secret.inline:
            help = "write `${NAME}` and set it in the environment, or `{file: PATH}`"
            yield finding("CH409", "a secret is written in the file", sources, pointer, help)


_DEFAULT: Final = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*):-[^}]+\}")


def _default(sources: Sources, pointer: str) -> re.Match[str] | None:
    """The first reference in a value, as written, that has a default."""
    tree = sources.tree(sources.file_of(pointer))
    node = tree.node(pointer) if tree is not None else None
    return _DEFAULT.search(node.raw) if isinstance(node, ScalarNode) else None


def token_in_query(config: Config, sources: Sources) -> Findings:
    """CH412: tokens in the URL, if the file asks for it."""
    for name, _ in with_tokens(config):
        for text, pointer in texts(sources, at("/auth", name, "token_from")):
            if text.partition(":")[0] == "query":
                message = "a token in the URL ends up in proxy logs"
                help = "prefer `header`, `cookie:NAME`, `subprotocol` or `message`"
                yield finding("CH412", message, sources, pointer, help)


def expiry_optional(config: Config, sources: Sources) -> Findings:
    """CH422: tokens that never end."""
    for name, auth in authenticators(config, JwtAuth):
        if auth.expiry == "optional":
            message = f"authenticator `{name}` accepts tokens without an expiry"
            help = "remove it, so that `exp` is required"
            yield finding("CH422", message, sources, at("/auth", name, "expiry"), help)


def message_never_awaited(config: Config, sources: Sources) -> Findings:
    """CH424: `message` although every channel accepts clients without a token."""
    for name, _ in with_tokens(config):
        users = [c for c in config.channels.values() if name in c.auth.names]
        if not users or not all(channel.auth.optional for channel in users):
            continue
        for text, pointer in texts(sources, at("/auth", name, "token_from")):
            if text == "message":
                message = (
                    "the server never waits for an `authenticate` frame if a token is optional"
                )
                help = "remove `message`, or `optional: true` in a channel that uses it"
                where = sources.place(at("/channels", users[0].name, "auth"))
                related = (Related(place=where, message="a token is optional here"),)
                problem = finding("CH424", message, sources, pointer, help)
                yield attrs.evolve(problem, related=related)


def never_asked(config: Config, sources: Sources) -> Findings:
    """CH444: an authenticator that only looks where earlier ones of the channel already do."""
    taken: dict[str, set[str]] = {}
    for channel, name, pointer in channel_names(sources):
        places = getattr(config.auth.get(name), "token_from", ())
        places = {"query" if place == "query:token" else place for place in places}
        before = taken.setdefault(channel, set())
        if places and places <= before:
            message = f"`{name}` is never asked: an earlier authenticator takes every token that it would find"
            help = f"give `{name}` a place of its own, such as `token_from: [query:device_token]`"
            yield finding("CH444", message, sources, pointer, help)
        before |= places


def _token_pointer(sources: Sources, name: str, index: int, count: int) -> str:
    pointer = at("/auth", name, "tokens")
    value = sources.written(pointer)
    apart = isinstance(value, list) and len(value) == count
    return at(pointer, index) if apart else pointer


def token_twice(config: Config, sources: Sources) -> Findings:
    """CH427: the same token for two users."""
    for name, auth in authenticators(config, TokensAuth):
        seen: dict[str, int] = {}
        for index, entry in enumerate(auth.tokens):
            key = entry.token.text if entry.token is not None else f"sha256:{entry.sha256}"
            if key in seen:
                pointer = _token_pointer(sources, name, index, len(auth.tokens))
                message = f"the token of `{entry.user}` is listed twice"
                there = _token_pointer(sources, name, seen[key], len(auth.tokens))
                related = Related(place=sources.place(there), message="first here")
                help = "give each user a token of their own"
                problem = finding("CH427", message, sources, pointer, help)
                yield attrs.evolve(problem, related=(related,))
            seen.setdefault(key, index)


def token_weak(config: Config, sources: Sources) -> Findings:
    """CH428: a token short enough to guess."""
    for name, auth in authenticators(config, TokensAuth):
        for index, entry in enumerate(auth.tokens):
            if entry.token is not None and len(entry.token.text) < _LEAST_TOKEN:
                pointer = _token_pointer(sources, name, index, len(auth.tokens))
                message = f"the token of {shown(entry.user)} has {len(entry.token.text)} characters"
                help = f"use at least {_LEAST_TOKEN} random characters: `openssl rand -hex 24`"
                yield finding("CH428", message, sources, pointer, help)
