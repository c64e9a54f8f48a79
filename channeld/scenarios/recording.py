"""Writes a conversation as a scenario: the frames that were sent, and those that are expected.

Tokens are left out: the client connects as the token's user, and `authenticate` frames are not written. Values that differ
between runs (times, positions, random ids) or are marked as sensitive match anything.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs
import orjson

from channeld.config.writing import flow
from channeld.dev.claims import claims_in
from channeld.plan.sensitive import SensitiveFrames
from channeld.protocol.frames import Json
from channeld.scenarios.scenario_text import scenario_text

_CLIENT: Final = "client"
_REGISTERED: Final = ("sub", "exp", "nbf", "iat", "iss", "aud", "jti")
_ANY: Final = "$any"
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_RANDOM_ID = re.compile(r"[0-9A-Za-z_-]{22}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*")
_CHANGING: Final = frozenset({"pos", "ref", "connection", "epoch", "since"})
"""Fields of the server's own that no two runs have in common."""
_OF_TOKENS: Final = frozenset({"authenticated", "token_expiring"})
"""The types of frames about tokens, which the scenario's client does not have."""
_NEAR: Final = 86_400.0
_GAP: Final = 1.0


def client_of(url: str, token: str | None, places: Collection[str] = ()) -> dict[str, Json]:
    """The scenario's entry for a client: its path without tokens, and the token's user, which only a JWT names.

    `places` are query parameters that hold tokens, besides `token` and `access_token`.
    """
    parts = urlsplit(url)
    hidden = {"token", "access_token", *places}
    query = parse_qsl(parts.query, keep_blank_values=True)
    token = token or next((value for name, value in query if name in hidden), None)
    kept = urlencode([(name, value) for name, value in query if name not in hidden])
    client: dict[str, Json] = {"path": f"{parts.path or '/'}{f'?{kept}' if kept else ''}"}
    if token is not None:
        claims = claims_in(token)
        client["user"] = str(claims.get("sub") or "somebody")
        own = {name: value for name, value in claims.items() if name not in _REGISTERED}
        client |= {"claims": own} if own else {}
    return client


@attrs.define(eq=False)
class Recording:
    """Records a connection.

    `client` is its entry in the scenario; `clock` gives monotonic and wall time; `secrets` are texts that must not be
    written anywhere.
    """

    client: Mapping[str, Json]
    clock: Callable[[], tuple[float, float]]
    sensitive: SensitiveFrames = attrs.field(factory=SensitiveFrames)
    secrets: Collection[str] = ()
    _steps: list[str] = attrs.field(factory=list, init=False)
    _has_sent: bool = attrs.field(default=False, init=False)
    _refused: int | None = attrs.field(default=None, init=False)
    _last: float | None = attrs.field(default=None, init=False)
    _only_errors: bool = attrs.field(default=True, init=False)

    def sent(self, value: Json) -> None:
        """Record a sent frame, or any other text."""
        self._pass_time()
        self._has_sent = True
        if not isinstance(value, dict):
            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            self._say(f"send_raw: {flow(text)}")
        elif value.get("type") == "authenticate":
            self._steps.append("# an `authenticate` frame was sent here; tokens are not recorded")
        else:
            masked = self.sensitive.masked(value)
            if masked != value:
                self._steps.append("# a value that is marked as sensitive is not recorded")
            self._say(f"send: {flow(masked)}")

    def received(self, value: Json) -> None:
        """Record a received frame."""
        if not isinstance(value, dict) or value.get("type") in _OF_TOKENS:
            return
        self._pass_time()
        self._only_errors = self._only_errors and value.get("type") == "error"
        pattern = self._pattern(value, self.sensitive.masked(value))
        self._say(f"expect: {flow(pattern)}")

    def ended(self, code: int) -> None:
        """Record that the server closed (a close code) or refused the handshake (an HTTP status)."""
        if code < 1000 or (not self._has_sent and self._only_errors):
            self._refused = code
        else:
            self._pass_time()
            self._say(f"expect_close: {code}")

    def text(self, config: str = "") -> str:
        """The scenario file; `config` is the configuration, relative to it."""
        refused = self._refused
        client = dict(self.client) if refused is None else {**self.client, "refused": refused}
        name = f"recorded on {self.client['path']}"
        # Frames before a refusal belong to it.
        steps = self._steps if refused is None else ()
        text = scenario_text(name, {_CLIENT: client}, steps, config=config)
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "•••") if secret else text
        return text

    @property
    def count(self) -> int:
        """The number of steps."""
        return len(self._steps)

    def _say(self, words: str) -> None:
        self._steps.append(f"{_CLIENT}: {{{words}}}")

    def _pass_time(self) -> None:
        now = self.clock()[0]
        if self._last is not None and now - self._last >= _GAP:
            self._steps.append(f"advance: {now - self._last:.1f}s")
        self._last = now

    def _pattern(self, value: Json, masked: Json, name: str = "") -> Json:
        if isinstance(value, dict) and isinstance(masked, dict):
            return {key: self._pattern(held, masked.get(key), key) for key, held in value.items()}
        if isinstance(value, list) and isinstance(masked, list) and len(value) == len(masked):
            pairs = zip(value, masked, strict=True)
            return [self._pattern(held, shown) for held, shown in pairs]
        differs = value != masked or name in _CHANGING or self._is_of_this_run(value)
        return _ANY if differs and value is not None else value

    def _is_of_this_run(self, value: Json) -> bool:
        """Whether a value looks like a current time or a random id."""
        if isinstance(value, str):
            patterns = (_UUID, _RANDOM_ID, _TIME)
            # Text that begins with `$` would be taken as a matcher.
            return value.startswith("$") or any(each.fullmatch(value) for each in patterns)
        if isinstance(value, int | float) and not isinstance(value, bool):
            wall = self.clock()[1]
            return abs(value - wall) < _NEAR or abs(value / 1000 - wall) < _NEAR
        return False
