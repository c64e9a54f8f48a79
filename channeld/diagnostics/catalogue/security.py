"""CH4xx: authentication and security."""

from channeld.diagnostics.catalogue.entry import Entry
from channeld.diagnostics.diagnostic import Severity

__all__ = ["ENTRIES"]

_LOBBY = """\
channeld: 1
channels:
  lobby:
    path: /chat
    description: One room for all.
    auth: none
    rooms: lobby
    messages:
      say: {schema: true, route: room}
"""

_ROOM = """\
channeld: 1
auth:
  session:
    type: jwt
    algorithms: [HS256]
    secret: ${CHANNELD_JWT_SECRET}
    audience: chat
channels:
  room:
    path: /room
    description: One room for all.
    auth: session
    rooms: lobby
    messages:
      say: {schema: true, route: room}
"""

_PUBLIC = _ROOM.replace("HS256", "ES256").replace(
    "secret: ${CHANNELD_JWT_SECRET}", "jwks: https://login.example.com/jwks.json"
)

_KEY = """\
    public_key: |
      -----BEGIN PUBLIC KEY-----
      MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEy3rFxNWuHcaYeYJltWcihmVt4cfX
      9EUvNBbUSWpCXsCAsajJuK7oYGhcOHBMOr6rv9lBDA/O6xKqnSrjcqfHIA==
      -----END PUBLIC KEY-----
"""

_SENSORS = """\
channeld: 1
auth:
  sensors:
    type: tokens
    tokens:
      - {token: "${SENSOR_TOKEN}", user: sensor-1}
channels:
  readings:
    path: /readings
    description: What the sensors measure.
    auth: sensors
    rooms: all
    messages:
      reading: {schema: true, route: room}
"""


def _api(text: str) -> str:
    """A small whole file with a control API."""
    return _LOBBY.replace("channels:", f"api: {text}\nchannels:", 1)


def _origins(text: str) -> str:
    """A small whole file with allowed origins."""
    return _LOBBY.replace("channels:", f"server:\n  allowed_origins: {text}\nchannels:", 1)


def _webhook(text: str, default: str = "") -> str:
    """A small whole file with a webhook, whose secret has a default if one is given."""
    secret = f"${{CHANNELD_WEBHOOK_SECRET:-{default}}}" if default else "${CHANNELD_JWT_SECRET}"
    line = f'webhooks: [{{{text}, secret: "{secret}", events: [joined]}}]\n'
    return _LOBBY.replace("channels:", line + "channels:", 1)


def _jwt(line: str) -> str:
    """A small whole file with one more line in its authenticator."""
    return _ROOM.replace("    audience: chat\n", f"    audience: chat\n    {line}\n")


def _keyed(algorithm: str) -> str:
    """A small whole file whose authenticator has an EC key."""
    return _PUBLIC.replace("ES256", algorithm).replace(
        "    jwks: https://login.example.com/jwks.json\n", _KEY
    )


def _claimed(line: str) -> str:
    """A small whole file with one more line in its channel, whose authenticator says what a token may hold."""
    claims = (
        "    claims:\n      type: object\n      additionalProperties: false\n"
        "      properties: {sub: {type: string}, exp: {type: number}, aud: {}, role: {type: string}}\n"
    )
    with_claims = _ROOM.replace("    audience: chat\n", f"    audience: chat\n{claims}")
    return _channel(with_claims, line)


def _channel(text: str, line: str) -> str:
    """A small whole file with one more line in its channel."""
    return text.replace("    rooms: lobby\n", f"    rooms: lobby\n    {line}\n")


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "CH401",
        "authenticator-undefined",
        Severity.ERROR,
        "no authenticator has this name",
        "A channel's `auth` names an authenticator that `auth` at the top level does not define. `none` stands alone: it "
        "cannot be one of a list, and `use: none` is no way to say that a token is optional.",
        _ROOM.replace("auth: session", "auth: sesion"),
        _ROOM,
    ),
    Entry(
        "CH402",
        "authenticator-unused",
        Severity.WARNING,
        "no channel uses the authenticator",
        "An authenticator that nobody names protects nothing. Either a channel is open that should not be, or the entry can "
        "go.",
        _ROOM.replace("auth: session", "auth: none"),
        _ROOM,
    ),
    Entry(
        "CH403",
        "route-to-nobody",
        Severity.ERROR,
        "nobody on the channel is a user who could be reached",
        "`to: user` delivers to the connections of a user. With `auth: none` every connection is anonymous, so the frame "
        "would reach nobody. Give the channel an authenticator, or use rooms.",
        _LOBBY.replace("route: room", 'route: {to: user, user: "ann"}'),
        _ROOM.replace("route: room", 'route: {to: user, user: "ann"}'),
    ),
    Entry(
        "CH404",
        "jwt-algorithm-none",
        Severity.ERROR,
        "the algorithm `none` accepts forged tokens",
        "A token with the algorithm `none` has no signature: anybody can write one for any user (RFC 8725 section 3.2). "
        "There is no way to switch verification off.",
        _ROOM.replace("[HS256]", "[HS256, none]"),
        _ROOM,
    ),
    Entry(
        "CH405",
        "jwt-secret-weak",
        Severity.ERROR,
        "the HMAC secret has fewer than 32 bytes",
        "A short secret can be found by trying, offline, from one token (RFC 7518 section 3.2 wants as many bytes as the "
        "hash has). Make one with `openssl rand -base64 48` and keep it out of the file.",
        _ROOM.replace("${CHANNELD_JWT_SECRET}", "too short"),
        _ROOM,
    ),
    Entry(
        "CH406",
        "jwt-algorithms-mixed",
        Severity.ERROR,
        "HMAC and public-key algorithms are mixed",
        "If one authenticator accepts both, a token signed by HMAC with the *public* key as its secret can pass (RFC 8725 "
        "section 2.1). Make two authenticators; a channel can name both in a list.",
        _ROOM.replace("[HS256]", "[HS256, RS256]"),
        _ROOM,
    ),
    Entry(
        "CH407",
        "jwt-audience-missing",
        Severity.WARNING,
        "tokens that were made for other services are accepted",
        "Issuers make tokens for many services, and the `aud` claim says for which. Without `audience` a token that a user "
        "gave to another service opens this one, too (RFC 8725 section 3.9).",
        _ROOM.replace("    audience: chat\n", ""),
        _ROOM,
    ),
    Entry(
        "CH408",
        "jwks-not-https",
        Severity.ERROR,
        "the key set is fetched without TLS",
        "Whoever stands between the server and the issuer could answer with keys of their own, and sign any token. On a "
        "loopback address it is only a warning.",
        _PUBLIC.replace("https:", "http:"),
        _PUBLIC,
    ),
    Entry(
        "CH409",
        "secret-inline",
        Severity.WARNING,
        "a secret is written in the file",
        "Configuration goes into version control, images and bug reports, and secrets in it go with it. Write `${NAME}` and "
        "set the variable, or `{file: PATH}`. A fixed token can be given as `sha256:HEX`, which is not secret.",
        _ROOM.replace("${CHANNELD_JWT_SECRET}", "0123456789abcdef0123456789abcdef"),
        _ROOM,
    ),
    Entry(
        "CH410",
        "cookie-any-origin",
        Severity.ERROR,
        "any web page can connect with its visitor's cookie",
        "A browser sends cookies with a WebSocket handshake from *any* page. With `allowed_origins: any` a hostile page "
        "connects as its visitor and reads along: cross-site WebSocket hijacking. List your own origins, or use "
        "`same-origin`.",
        _jwt("token_from: [cookie:sid]").replace(
            "auth:\n", "server: {allowed_origins: any}\nauth:\n", 1
        ),
        _jwt("token_from: [cookie:sid]"),
    ),
    Entry(
        "CH411",
        "origin-never-matches",
        Severity.WARNING,
        "no browser sends this origin",
        "An origin is a scheme, a host, and a port where it is not the usual one: `https://chat.example.com` (RFC 6454 "
        "section 7). It has no path, no `/` at the end and no capitals, and its scheme is the page's `http` or `https`, not "
        "`ws`. `null` is what every sandboxed page sends, so allowing it allows them all.",
        _origins("[https://chat.example.com/]"),
        _origins("[https://chat.example.com]"),
    ),
    Entry(
        "CH412",
        "token-in-query",
        Severity.INFO,
        "a token in the URL ends up in logs",
        "URLs are written to the logs of proxies and load balancers. channeld itself never logs them whole. Where clients "
        "can do otherwise, prefer a header, a cookie, the subprotocol or an `authenticate` frame.",
        _jwt("token_from: [query]"),
        _jwt("token_from: [header, message]"),
    ),
    Entry(
        "CH413",
        "presence-of-nobody",
        Severity.WARNING,
        "presence where no user can be",
        "Presence shows users, and with `auth: none` there are none: it stays empty. (How many connections there are can be "
        "asked for all the same.) Give the channel an authenticator, or remove `presence`.",
        _channel(_LOBBY, "presence: true"),
        _channel(_ROOM, "presence: true"),
    ),
    Entry(
        "CH414",
        "plaintext-public",
        Severity.WARNING,
        "everyone on the network can connect, in plain text",
        "The server listens on every interface without TLS, so tokens and messages can be read on the way. Add `tls`; or, "
        "if a proxy in front adds it, say so with `trusted_proxies`; or bind to `127.0.0.1`.",
        _LOBBY.replace("channels:", 'server: {bind: "0.0.0.0:4000"}\nchannels:', 1),
        _LOBBY.replace("channels:", 'server: {bind: "127.0.0.1:4000"}\nchannels:', 1),
    ),
    Entry(
        "CH415",
        "api-public",
        Severity.WARNING,
        "the control API can be reached from other machines",
        "Whoever has a key to the control API can send as anybody and close every connection. Let it listen on a loopback "
        "address or a Unix socket, with a proxy that adds TLS where others need it.",
        _api('{bind: "0.0.0.0:4001", keys: ["${CHANNELD_API_KEY}"]}'),
        _api('{bind: "127.0.0.1:4001", keys: ["${CHANNELD_API_KEY}"]}'),
    ),
    Entry(
        "CH416",
        "claim-impossible",
        Severity.ERROR,
        "no token can have the claim that is required",
        "The `claims` schema of each of the channel's authenticators says what a token may hold, and this claim is not "
        "among it, so nobody would ever meet the requirement. It is misspelt, or has to be declared.",
        _claimed("require: {rol: admin}"),
        _claimed("require: {role: admin}"),
    ),
    Entry(
        "CH418",
        "origin-wildcard",
        Severity.ERROR,
        "the wildcard lets in more, or less, than it seems to",
        "`*` stands for the labels before a host you own: `https://*.example.com`. Elsewhere it is refused: "
        "`https://*example.com` would let in `https://evil-example.com`, and `https://*.com` half of the web. If every page "
        "may connect, say `allowed_origins: any`.",
        _origins('["https://*example.com"]'),
        _origins('["https://*.example.com"]'),
    ),
    Entry(
        "CH419",
        "jwt-algorithm-unknown",
        Severity.ERROR,
        "not a known signature algorithm",
        "The names are those of RFC 7518, in capitals: HS256, HS384, HS512 with a secret; RS256, RS384, RS512, PS256, PS384, "
        "PS512, ES256, ES384, ES512, ES256K and EdDSA with a public key.",
        _ROOM.replace("HS256", "HMAC256"),
        _ROOM,
    ),
    Entry(
        "CH420",
        "jwt-key-missing",
        Severity.ERROR,
        "the authenticator has nothing to verify tokens with",
        "HS* algorithms need `secret`; RS*, PS*, ES* and EdDSA need `public_key` or `jwks`.",
        _ROOM.replace("    secret: ${CHANNELD_JWT_SECRET}\n", ""),
        _ROOM,
    ),
    Entry(
        "CH421",
        "jwt-key-mismatch",
        Severity.ERROR,
        "the key does not go with the algorithms",
        "HMAC algorithms (HS*) verify with a shared `secret`, the others with a `public_key` or a key set (`jwks`). A key of "
        "the other kind would never be used, which is hardly what was meant.",
        _PUBLIC.replace("[ES256]", "[HS256]"),
        _PUBLIC,
    ),
    Entry(
        "CH422",
        "jwt-expiry-optional",
        Severity.WARNING,
        "tokens that never end are accepted",
        "A token without `exp` that gets into the wrong hands is good for ever: there is no list of revoked ones. Let the "
        "issuer set `exp`; a live connection can renew its token with an `authenticate` frame.",
        _jwt("expiry: optional"),
        _jwt("expiry: required"),
    ),
    Entry(
        "CH423",
        "require-of-nobody",
        Severity.ERROR,
        "claims are required where nobody has any",
        "`require` compares claims, and with `auth: none` nobody has any: it could never be met. Give the channel an "
        "authenticator, or remove `require`.",
        _channel(_LOBBY, "require: {role: admin}"),
        _channel(_ROOM, "require: {role: admin}"),
    ),
    Entry(
        "CH424",
        "message-never-awaited",
        Severity.WARNING,
        "an `authenticate` frame is never awaited where a token is optional",
        "With `optional: true` a client without a token in its handshake is anonymous at once, so `message` in `token_from` "
        "can never be used. Remove one of the two.",
        _jwt("token_from: [header, message]").replace(
            "auth: session", "auth: {use: session, optional: true}"
        ),
        _jwt("token_from: [header, message]"),
    ),
    Entry(
        "CH425",
        "claims-shown-to-anonymous",
        Severity.WARNING,
        "anonymous clients see claims of users",
        "Presence sends `info` to everybody in the room, and on this channel that includes clients without a token. Show "
        "only what the whole world may know, or ask everybody for a token.",
        _channel(_ROOM, 'presence: {info: {mail: "{claims.email?}"}}').replace(
            "auth: session", "auth: {use: session, optional: true}"
        ),
        _channel(_ROOM, 'presence: {info: {mail: "{claims.email?}"}}'),
    ),
    Entry(
        "CH426",
        "api-key-weak",
        Severity.ERROR,
        "the API key has fewer than 32 characters",
        "A key to the control API opens everything, so it must not be guessable. Make one with `openssl rand -hex 32`.",
        _api('{keys: ["${CHANNELD_KEY:-let-me-in}"]}'),
        _api('{keys: ["${CHANNELD_API_KEY}"]}'),
    ),
    Entry(
        "CH427",
        "token-twice",
        Severity.ERROR,
        "a token is in the list twice",
        "A token says who its bearer is, so two entries with the same one contradict each other. Give each user a token.",
        _SENSORS.replace(
            "user: sensor-1}\n", 'user: sensor-1}\n      - {token: "${SENSOR_TOKEN}", user: b}\n'
        ),
        _SENSORS,
    ),
    Entry(
        "CH428",
        "token-weak",
        Severity.WARNING,
        "a token is short enough to guess",
        "A fixed token is a password that never changes and is never asked for twice. Use 16 characters or more, at random: "
        "`openssl rand -hex 24`.",
        _SENSORS.replace("${SENSOR_TOKEN}", "secret"),
        _SENSORS,
    ),
    Entry(
        "CH429",
        "webhook-not-https",
        Severity.ERROR,
        "a webhook is sent without TLS",
        "What it tells names users, rooms and addresses, and whoever stands between the server and the backend could read "
        "it. On a loopback address it is only a warning.",
        _webhook("url: http://app.example.com/told"),
        _webhook("url: https://app.example.com/told"),
    ),
    Entry(
        "CH430",
        "webhook-channel-undefined",
        Severity.ERROR,
        "a webhook is about a channel that is not there",
        "`channels` of a webhook names those that it is about, and without it the webhook is about all. Nothing would ever "
        "be told about a channel that does not exist.",
        _webhook("url: https://app.example.com/told, channels: [loby]"),
        _webhook("url: https://app.example.com/told, channels: [lobby]"),
    ),
    Entry(
        "CH431",
        "webhook-secret-weak",
        Severity.ERROR,
        "the webhook's secret has fewer than 32 bytes",
        "The signature is all by which the backend knows that a request is ours. A short secret can be found by trying, "
        "offline, from one request. Make one with `openssl rand -hex 32`.",
        _webhook("url: https://app.example.com/told", "let-me-in"),
        _webhook("url: https://app.example.com/told"),
    ),
    Entry(
        "CH432",
        "public-key-unusable",
        Severity.ERROR,
        "the public key cannot be used",
        "`public_key` takes a PEM public key (`-----BEGIN PUBLIC KEY-----`) of the kind that the algorithms need: RSA for "
        "RS* and PS*, an elliptic curve for ES*, each with its own curve, Ed25519 or Ed448 for EdDSA. With another one no "
        "token could be verified. A private key verifies, too, but it does not belong here: whoever reads it can "
        "sign tokens.",
        _keyed("RS256"),
        _keyed("ES256"),
    ),
)
