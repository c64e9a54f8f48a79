"""Ready-made links of `channeld run --dev`: a socket's URL with a token, and a short link that opens a page with it.

A short link is `/go/CODE` on the control API's address. Its code is derived from the API's key, so it needs no state, works
across reloads and worker processes, and cannot be guessed. What it opens is decided when it is followed: the example's chat
page if there is one that fits the channel, else the console's playground.
"""

import base64
import hmac
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import attrs

from channeld.auth.authenticator import CannotMint
from channeld.dev.address import likely_path
from channeld.dev.claims import likely_claims
from channeld.dev.mint import choose
from channeld.plan.plan import AuthPlan, ChannelPlan, Plan

DEV_USERS: Final = ("ann", "bob")
DEV_LIFETIME: Final = 12 * 3600.0
_CODE_LENGTH: Final = 12


class NoLink(LookupError):
    """Why there is no ready-made link to a channel."""


@attrs.frozen(kw_only=True)
class DevLink:
    """A link to a channel: the user (empty: anonymous) and the socket's URL, or why there is none."""

    channel: str
    user: str
    url: str = attrs.field(default="", repr=False)
    reason: str = ""


def links(plan: Plan, base: str) -> Iterator[DevLink]:
    """A link for each development user of each channel; `base` is the server's URL without a path."""
    for channel in plan.channels.values():
        for user in _users(channel):
            try:
                url = base + likely_path(plan, channel) + _query(plan, channel, user)
            except LookupError as error:
                yield DevLink(channel=channel.name, user=user, reason=str(error))
                break
            yield DevLink(channel=channel.name, user=user, url=url)


def api_key(plan: Plan) -> str:
    """The control API's first key; empty if it has none."""
    keys = plan.config.api.keys if plan.config.api is not None else ()
    return keys[0].text if keys else ""


def code_of(key: str, channel: str, user: str = "") -> str:
    """The code of a link; `key` is the control API's."""
    digest = hmac.digest(key.encode(), f"{channel}\0{user}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest)[:_CODE_LENGTH].decode()


def opened(plan: Plan, code: str, base: str, *, has_page: bool) -> str | None:
    """The target of a short link, as a path with a fragment, so that keys and tokens reach no log; None: unknown code.

    `base` is the server's URL without a path, empty if a browser cannot reach it.
    """
    key = api_key(plan)
    for channel in plan.channels.values() if key else ():
        for user in _users(channel):
            ours = code_of(key, channel.name, user)
            if hmac.compare_digest(code.encode(), ours.encode()):
                if has_page and base and _is_chat(plan, channel):
                    url = base + likely_path(plan, channel) + _query(plan, channel, user)
                    return f"/chat.html#{urlencode({'url': url})}"
                view = "/".join(
                    quote(part, safe="") for part in ("playground", channel.name, "", user)
                )
                return f"/#{urlencode({'key': key, 'view': view})}"
    return None


def chat_page(folder: Path) -> Path | None:
    """The chat page of a configuration's folder, `chat.html` there or in `examples/`, or None."""
    places = (folder / "chat.html", folder / "examples" / "chat.html")
    return next((place for place in places if place.is_file()), None)


def token_of(plan: Plan, auth: AuthPlan, user: str) -> str:
    """A development token of an authenticator, with generated claims.

    Raises:
        NoLink: nothing can sign a token, or its claims cannot be guessed.
    """
    if listed := auth.type.listed():
        first = next(iter(listed))
        raise NoLink(
            f"'{auth.name}' has a list of tokens; `channeld connect` finds them: --user {first}"
        )
    try:
        minter = choose(plan.config.auth, auth.name)
        claims = likely_claims(auth.compiled.claims, user)
        token, payload = minter.mint(user, claims, lifetime=DEV_LIFETIME)
    except CannotMint as error:
        raise NoLink(str(error)) from None
    schema = auth.compiled.claims
    if schema is not None and not schema.accepts(payload):
        raise NoLink(
            f"the claims of '{auth.name}' cannot be guessed; try `channeld token --user {user} --claim NAME=VALUE`"
        )
    return token


def _is_chat(plan: Plan, channel: ChannelPlan) -> bool:
    """Whether the example's page fits a channel: one `join` room, and `message` frames with a `text`."""
    declared = plan.config.channels[channel.name]
    message = channel.messages.get("message")
    return bool(declared.rooms.join) and message is not None and message.accepts({"text": "hello"})


def _users(channel: ChannelPlan) -> Sequence[str]:
    return DEV_USERS if channel.auth and not channel.auth_optional else ("",)


def _query(plan: Plan, channel: ChannelPlan, user: str) -> str:
    return f"?token={quote(token_of(plan, channel.auth[0], user))}" if user else ""
