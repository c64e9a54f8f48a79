"""What the keys, values and files of other tools are called here, for the help text of a finding."""

from collections.abc import Mapping
from typing import Final

import attrs

from channeld.pointer import tokens
from channeld.suggest import synonyms

ALIASES: Final = synonyms(
    {
        "require allow": "acl",
        "algorithms": "alg algo algorithm",
        "allowed_origins": "allow_origins check_origin cors origin origins",
        "auth use": "authenticator",
        "auth": "authenticators authentication security security_schemes",
        "audience": "aud client_id",
        "backends": "proxy upstream upstreams",
        "history": "backlog",
        "schema": "body fields validate validation data format payload request_body content",
        "schemas": "components definitions $defs models types",
        "route": "broadcast send_to to route_to",
        "outbox": "buffer_size send_queue",
        "certificate": "cert",
        "claims require": "claim",
        "channels": "channel namespace namespaces hubs endpoints location locations",
        "size limit": "count",
        "conflate": "debounce delay",
        "once": "dedupe idempotency",
        "description": "desc doc tags title summary",
        "compression": "deflate permessage_deflate",
        "close": "disconnect on_disconnect",
        "bind path": "address",
        "path": "pattern",
        "path url": "endpoint uri",
        "events": "event outgoing send",
        "except_sender": "exclude_self exclude_sender skip_sender",
        "expiry": "exp",
        "ttl expiry": "expire expiration",
        "expiry ttl": "expires",
        "emit": "frame output",
        "call hook": "function",
        "hook": "handler uses run publish_proxy rpc_proxy",
        "ping": "heartbeat keepalive",
        "bind": "host listen listeners port ports entry_points",
        "api": "admin",
        "headers": "http_headers forward_headers proxy_http_headers",
        "health": "healthcheck healthz liveness_probe readiness_probe",
        "drain": "grace_period graceful_timeout stop_grace_period termination_grace_period_seconds",
        "hooks": "interceptors middleware middlewares plugs",
        "info": "meta metadata track user_info",
        "issuer": "iss",
        "leeway": "clock_skew clock_tolerance skew",
        "jwks": "jwks_uri jwks_url",
        "size": "length limit",
        "log": "log_level logging",
        "require": "guard permissions capabilities role roles scopes scope if when condition",
        "connections connections_per_user": "max_connections",
        "message_size": "max_message_size max_payload",
        "rooms_per_connection": "max_rooms",
        "message_size size": "max_size",
        "messages": "handle_in handlers msgs incoming publish receive",
        "ttl": "max_age",
        "user use": "name",
        "user": "name_claim principal_claim subject user_claim username_claim",
        "connect": "on_connect",
        "params": "parameters",
        "secret": "password key secret_key signing_key",
        "public_key certificate": "pem",
        "interval": "ping_interval",
        "timeout": "ping_timeout",
        "workers": "instances processes replicas threads worker_processes",
        "trusted_proxies": "proxies real_ip_from set_real_ip_from",
        "rate messages": "rate_limit",
        "broker": "adapter engine redis redis_address redis_url",
        "ttl history": "retention",
        "rooms join": "room",
        "tls": "ssl",
        "route to": "target",
        "rate conflate": "throttle",
        "hook_timeout": "timeout",
        "tokens": "token",
        "rooms room": "topic",
        "rooms": "topics",
        "path jwks": "url",
        "transports": "transport",
        "channeld": "version",
    }
)
"""Key of another tool, in lower case with `_` → what it is called here, the likeliest first."""

NESTED: Final[Mapping[str, tuple[str, str]]] = {
    "allow_subscribe_for_client": ("rooms", "subscribe"),
    "client_max_body_size": ("limits", "message_size"),
    "connections": ("limits", "connections"),
    "heartbeat_interval": ("ping", "interval"),
    "history_size": ("history", "size"),
    "history_ttl": ("history", "ttl"),
    "max_connections": ("limits", "connections"),
    "max_http_buffer_size": ("limits", "message_size"),
    "max_message_size": ("limits", "message_size"),
    "max_payload": ("limits", "message_size"),
    "message_size": ("limits", "message_size"),
    "outbox": ("limits", "outbox"),
    "ping_interval": ("ping", "interval"),
    "ping_timeout": ("ping", "timeout"),
    "worker_connections": ("limits", "connections"),
    "public_key_file": ("public_key", "file"),
    "jwks_file": ("jwks", "file"),
    "rate_limit": ("limits", "messages"),
    "secret_file": ("secret", "file"),
    "tokens_file": ("tokens", "file"),
    "ssl_cert": ("tls", "certificate"),
    "ssl_certificate": ("tls", "certificate"),
    "ssl_certificate_key": ("tls", "key"),
    "ssl_key": ("tls", "key"),
}
"""Flat key of another tool, in lower case with `_` → the key of the mapping that holds it here."""

WORDS: Final = synonyms(
    {
        "tokens": "api_key apikey static token",
        "jwt": "auth0 azure bearer clerk cognito firebase jws keycloak oauth oauth2 oidc okta openid supabase",
        "hook": "callback function http webhook",
        "websocket": "ws wss",
        "sse": "eventsource event_source",
        "streams": "long_polling polling",
        "any": "* all",
        "joined": "member_added join",
        "left": "member_removed leave",
        "room_occupied": "channel_occupied",
        "room_vacated": "channel_vacated",
        "connected": "connect",
        "disconnected": "disconnect",
        "error": "fatal critical",
        "debug": "trace verbose",
        "console": "text pretty",
        "optional": "false",
        "latest": "last newest",
        "valkey": "redis",
        "memory": "inmemory in_memory local",
    }
)
"""Value of another tool, in lower case with `_` → what it is called here."""

TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("str", "text"), "string"),
    **dict.fromkeys(("float", "double", "decimal"), "number"),
    **dict.fromkeys(("dict", "map", "mapping"), "object"),
    "int": "integer",
    "bool": "boolean",
    "list": "array",
}
"""Type of another language, in lower case → the type of JSON Schema."""


FOREIGN: Final[Mapping[str, str]] = {
    "asyncapi": "an AsyncAPI document",
    "openapi": "an OpenAPI document",
    "swagger": "an OpenAPI document",
    "services": "a Compose file",
    "jobs": "a workflow of GitHub Actions",
    "apiVersion": "a manifest of Kubernetes",
    "scrape_configs": "a configuration of Prometheus",
    "scenarios": "a scenario file (`channeld test` plays it)",
}
"""Top-level key of another kind of file → what such a file is."""


@attrs.frozen(slots=True)
class Note:
    """What to do about a key that does not exist here. `where`: the section whose entries it concerns; empty: all."""

    help: str
    where: str = ""

    def fits(self, pointer: str) -> bool:
        """Whether it applies to a key in the mapping at a pointer."""
        return not self.where or tokens(pointer)[-2:-1] == [self.where]


_PROVIDER: Final = Note(
    "write `issuer:` and `jwks:`, the URLs that your provider documents", "auth"
)
_API_KEYS: Final = Note("remove it: the console asks for one of `api.keys`")
_HMAC: Final = Note(
    "write `auth: {session: {type: jwt, algorithms: [HS256], secret: …}}`, and `auth: session` in channels"
)
_SECRET: Final = Note("did you mean `secret`?", "auth")
_BACKEND: Final = Note(
    "declare the server under `backends`, and write `hooks: {connect: {backend: NAME, path: /connect}}` in channels"
)
_REPLY: Final = Note("write `route: sender` for an answer to the sender", "messages")
_VARIABLES: Final = Note("write `${NAME}`, or `{file: PATH}`, where the value is used")

NOTES: Final[Mapping[str, tuple[Note, ...]]] = {
    **dict.fromkeys(("admin_password", "admin_secret"), (_API_KEYS,)),
    **dict.fromkeys(("token_hmac_secret_key", "hmac_secret_key", "jwt_secret"), (_SECRET, _HMAC)),
    **dict.fromkeys(("proxy_connect_endpoint", "connect_endpoint", "auth_endpoint"), (_BACKEND,)),
    **dict.fromkeys(("reply", "response_type"), (_REPLY,)),
    "apps": (Note("remove it: clients are identified by `auth`, backends by `api.keys`"),),
    "secret_encoding": (Note("remove it, and decode the secret: it is used unchanged"),),
    "ack": (Note("remove it: each message with an `id` is acknowledged", "messages"),),
    "allow": (Note("write `require:` for who may send it", "messages"),),
    "async": (Note("remove it: that the function is `async` is seen in its source"),),
    "auth": (Note("write `require:` for who may send it", "messages"),),
    "direction": (
        Note("remove it: clients send `messages`, and the server sends `events`", "messages"),
        Note("remove it: clients send `messages`, and the server sends `events`", "events"),
    ),
    **dict.fromkeys(("auth_server_url", "authority", "domain", "realm", "tenant"), (_PROVIDER,)),
    **dict.fromkeys(("env", "env_file", "environment", "secrets", "variables"), (_VARIABLES,)),
    **dict.fromkeys(
        ("extends", "inherits", "inherit", "template"),
        (Note("write an anchor under an `x-` key, and `<<: *NAME` for what it holds"),),
    ),
    **dict.fromkeys(
        ("join_leave", "force_push_join_leave"),
        (Note("remove it: `presence` announces who joins and leaves"),),
    ),
    **dict.fromkeys(
        ("recover", "recovery", "force_recovery"),
        (Note("remove it: `history` lets clients recover from their last position"),),
    ),
    **dict.fromkeys(
        ("client_events", "enable_client_messages"),
        (Note("remove it: what clients may send is declared under `messages`"),),
    ),
    **dict.fromkeys(
        ("response", "responses"),
        (Note("remove it: what is delivered is declared with `emit`, and `ack` is the answer"),),
    ),
    "server_name": (Note("remove it: every host name is served; `allowed_origins` lists pages"),),
    "enabled": (Note("remove it: everything in the file is enabled"),),
    "name": (
        Note("remove it: the key is the channel's name", "channels"),
        Note("remove it: the key is the message's type", "messages"),
        Note("remove it: the key is the event's type", "events"),
    ),
    "on": (Note("declare what clients send under `messages`", "channels"),),
    "on_message": (Note("write `hook:` in the message itself"),),
    "route": (Note("remove it: API and hooks say where they publish an event", "events"),),
    "type": (
        Note("remove it: the key is the message's type", "messages"),
        Note("remove it: the key is the event's type", "events"),
        Note("remove it: what a channel does follows from what it declares", "channels"),
    ),
}
"""Keys of other tools, in lower case with `_`, that have no counterpart here."""
