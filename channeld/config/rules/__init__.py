"""Rules that a schema cannot express: a table with one function per code, each `(config, sources)` → findings.

A rule looks at what could be understood (`config`), and at what was written (`sources`) before it reports something as
missing: a key that another finding refused is not missing.

`evidence.py` has the helpers. The rules by subject: `style.py` (channels and messages), `access.py` (who may connect),
`authentication.py` and `keys.py` (authenticators), `limits.py`, `effect.py` (keys without effect), `webhooks.py`, `backends.py`,
`broker.py`.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from channeld.config.model import Config
from channeld.config.rules import (
    access,
    authentication,
    backends,
    broker,
    effect,
    keys,
    limits,
    style,
    webhooks,
)
from channeld.config.rules.evidence import Findings
from channeld.config.source import Sources

RuleFunction: TypeAlias = Callable[[Config, Sources], Findings]

RULES: Final[Mapping[str, RuleFunction]] = {
    "CH122": style.emit_and_stamp,
    "CH123": style.stamp_reserved,
    "CH308": style.channel_silent,
    "CH313": style.reserved_type,
    "CH401": authentication.authenticator_undefined,
    "CH402": authentication.authenticator_unused,
    "CH403": access.route_to_nobody,
    "CH404": authentication.algorithm_none,
    "CH405": authentication.weak_secret,
    "CH406": authentication.algorithms_mixed,
    "CH407": authentication.no_audience,
    "CH408": authentication.jwks_not_https,
    "CH409": authentication.secret_inline,
    "CH410": access.cookie_any_origin,
    "CH411": access.origin_never_matches,
    "CH412": authentication.token_in_query,
    "CH413": access.presence_of_nobody,
    "CH414": access.plaintext_public,
    "CH415": access.api_public,
    "CH418": access.origin_wildcard,
    "CH419": authentication.algorithm_unknown,
    "CH420": authentication.key_missing,
    "CH421": authentication.key_of_other_family,
    "CH422": authentication.expiry_optional,
    "CH423": access.require_of_nobody,
    "CH424": authentication.message_never_awaited,
    "CH425": access.claims_shown_to_anonymous,
    "CH426": access.api_key_weak,
    "CH427": authentication.token_twice,
    "CH428": authentication.token_weak,
    "CH429": webhooks.webhook_not_https,
    "CH430": webhooks.webhook_of_no_channel,
    "CH431": webhooks.webhook_secret_weak,
    "CH432": keys.key_unusable,
    "CH433": backends.backend_url,
    "CH434": backends.backend_secret_weak,
    "CH435": backends.backend_undefined,
    "CH436": backends.backend_unused,
    "CH442": access.revocations_forgotten,
    "CH444": authentication.never_asked,
    "CH445": authentication.jwks_is_discovery,
    "CH446": access.proxies_everywhere,
    "CH603": limits.ping_timeout_long,
    "CH606": limits.history_without_rooms,
    "CH608": limits.history_memory,
    "CH609": limits.outbox_small,
    "CH610": limits.burst_below_rate,
    "CH611": limits.rate_never_reached,
    "CH612": limits.auth_timeout_short,
    "CH613": limits.batch_without_events,
    "CH614": limits.subscriptions_over_limit,
    "CH615": limits.health_hidden,
    "CH616": effect.without_effect,
    "CH617": limits.message_size_costly,
    "CH620": limits.history_of_any_room,
    "CH701": style.no_description,
    "CH703": style.names_alike,
    "CH704": style.workers_without_broker,
    "CH705": style.workers_on_a_unix_socket,
    "CH707": broker.server_twice,
    "CH708": broker.shards_without_cluster,
    "CH710": broker.url_of_nothing,
    "CH709": access.address_twice,
}


def check(config: Config, sources: Sources) -> Findings:
    """Run all rules, in the order of the table."""
    for rule in RULES.values():
        yield from rule(config, sources)
