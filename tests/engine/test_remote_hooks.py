"""Hooks over HTTP, as the engine sees them: what a backend is asked, and what each of its answers means."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from channeld.broker.broker import BrokerUnavailable
from channeld.engine.ports import BackendAnswer
from channeld.plan.plan import RemoteHook
from channeld.testing import Refused, TestApp, running

CONFIG = """\
channeld: 1
backends:
  app: {url: "https://app.example", secret: "a secret of more than thirty-two bytes", HOW}
auth:
  who: {type: hook, hook: {backend: app, path: /who}, claims: {type: object}}
channels:
  room:
    path: /rooms/{id}
    auth: none
    params: {id: {type: string}}
    rooms: {join: "{params.id}", subscribe: {hook: {backend: app, path: /may}}}
    hooks: {connect: CONNECT, close: {backend: app, path: /out}, unsubscribe: {backend: app, path: /left}}
    messages:
      say:
        schema: {type: object, required: [text], properties: {text: {type: string, maxLength: 9}}, additionalProperties: false}
        route: room
        hook: {backend: app, path: /say}
  private: {path: /private, auth: who, events: {}}
"""
CONNECT = "{backend: app, path: /in}"


@attrs.define
class Backend:
    """Keeps `Backends`: answers by path, and remembers what it was asked."""

    answers: dict[str, Any] = attrs.field(factory=dict)
    asked: list[dict[str, Any]] = attrs.field(factory=list)
    seconds: list[float] = attrs.field(factory=list)
    bad: list[str] = attrs.field(factory=list)

    async def ask(self, remote: RemoteHook, body: bytes, seconds: float) -> BackendAnswer:
        self.seconds.append(seconds)
        self.asked.append({"path": remote.path, **json.loads(body)})
        answer = self.answers.get(remote.path, {})
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, BackendAnswer):
            return answer
        return BackendAnswer(200, json.dumps(answer).encode())

    def note_bad(self, hook: str, reason: str) -> None:
        self.bad.append(f"{hook}: {reason}")

    def about(self, path: str) -> dict[str, Any]:
        return next(one for one in reversed(self.asked) if one["path"] == path)


@pytest.fixture
def app(tmp_path: Path) -> Callable[..., Any]:
    def make(how: str = "timeout: 1s", connect: str = CONNECT) -> Any:
        file = tmp_path / "channels.yaml"
        file.write_text(CONFIG.replace("HOW", how).replace("CONNECT", connect))
        return running(file)

    return make


def with_backend(app: TestApp, **answers: Any) -> Backend:
    backend = Backend({f"/{path}": answer for path, answer in answers.items()})
    app.engine.backends = backend
    return backend


async def test_a_backend_hears_what_a_hook_would_see(app: Callable[..., Any]) -> None:
    async with app("headers: [x-app]") as running_app:
        backend = with_backend(running_app)
        headers = {"x-app": "1", "cookie": "secret", "authorization": "Bearer secret"}
        ann = await running_app.connect("/rooms/a?token=secret&lang=en", headers=headers)
        await ann.send({"type": "say", "text": "hi", "id": 1})
        assert await ann.receive("ack")
        await ann.send({"type": "subscribe", "room": "b"})
        await ann.send({"type": "unsubscribe", "room": "b"})
        await running_app.rest()
        connected = backend.about("/in")
        assert connected["request"] == {
            "path": "/rooms/a",
            "query": {"lang": "en"},
            "headers": {"x-app": "1"},
            "address": "127.0.0.1",
        }
        said = backend.about("/say")
        assert said == {
            "path": "/say",
            "hook": "message",
            "channel": "room",
            "connection": connected["connection"],
            "user": None,
            "params": {"id": "a"},
            "rooms": ["a"],
            "room": "a",
            "message": {"type": "say", "text": "hi"},
        }
        assert (backend.about("/may")["hook"], backend.about("/may")["room"]) == ("subscribe", "b")
        assert backend.about("/left")["hook"] == "unsubscribe"
        await ann.close(4900)
        await running_app.rest()
        closed = backend.about("/out")
        assert (closed["hook"], closed["code"]) == ("close", 4900)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        BackendAnswer(204, b""),
        {"message": None, "reply": None, "publish": None, "reject": None},
    ],
)
async def test_nothing_said_is_nothing_changed(app: Callable[..., Any], answer: object) -> None:
    async with app() as running_app:
        with_backend(running_app, say=answer)
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "say", "text": "hi"})
        assert await ann.receive("say") == {"type": "say", "text": "hi"}


async def test_a_message_in_its_place_a_reply_and_publications_after_it(
    app: Callable[..., Any],
) -> None:
    answer = {
        "message": {"text": "bye"},
        "reply": {"ok": True},
        "publish": [{"to": "room", "room": "a", "event": {"type": "later"}}],
    }
    async with app() as running_app:
        with_backend(running_app, say=answer)
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "say", "text": "hi", "id": 7})
        assert await ann.receive("reply") == {"type": "reply", "id": 7, "ok": True}
        assert await ann.receive("say") == {"type": "say", "text": "bye"}
        assert await ann.receive("later") == {"type": "later"}


async def test_of_many_publications_others_have_their_turn_in_between(
    app: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"to": "room", "room": "a", "event": {"type": "later"}}
    async with app() as running_app:
        with_backend(running_app, say={"publish": [one] * 120})
        ann = await running_app.connect("/rooms/a")
        published: list[int] = []
        count = running_app.engine.hub.statistics

        async def give_way() -> None:
            published.append(count().publications - before)

        before = count().publications
        monkeypatch.setattr(running_app.runtime, "give_way", give_way)
        await ann.send({"type": "say", "text": "hi", "id": 7})
        assert await ann.receive("ack") == {"type": "ack", "id": 7}
        await running_app.rest()
        assert [later - published[0] for later in published] == [0, 50]


async def test_a_rejection_is_a_reject(app: Callable[..., Any]) -> None:
    async with app() as running_app:
        with_backend(running_app, say={"reject": {"message": "no", "code": "LOUD", "left": 3}})
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "say", "text": "hi", "id": 7})
        found = await ann.receive("error")
        assert (found["code"], found["message"], found["left"]) == ("LOUD", "no", 3)


@pytest.mark.parametrize(
    "answer",
    [
        {"mesage": {}},
        {"message": []},
        {"message": {"text": 5}},
        {"user": {"id": "x"}},
        {"reject": {}},
        {"reject": {"message": "no", "close": 1}},
        {"publish": {}},
        {"publish": [{"to": "sender", "event": {}}]},
        {"publish": [{"to": "room", "event": {}}]},
        {"publish": [{"to": "global", "event": "x"}]},
        {"publish": [{"to": "global", "event": {"type": "ack"}}]},
        {"publish": [{"to": "global", "event": {"type": 5}}]},
        {"publish": [{"to": "global", "channel": "nowhere", "event": {"type": "x"}}]},
        {"publish": [{"to": "room", "room": "a\u0000", "event": {"type": "x"}}]},
        {
            "publish": [
                {"to": "global", "event": {"type": "x"}},
                {"to": "room", "room": "", "event": {"type": "x"}},
            ]
        },
        {
            "reply": {"n": 1},
            "publish": [{"to": "global", "channel": "*", "event": {"type": "pong"}}],
        },
        [],
        BackendAnswer(200, b"<html>"),
        BackendAnswer(200, None),
        BackendAnswer(500, b""),
        BackendAnswer(401, b""),
    ],
)
async def test_any_other_answer_has_failed_and_nothing_of_it_is_done(
    app: Callable[..., Any], answer: object
) -> None:
    async with app() as running_app:
        with_backend(running_app, say=answer)
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "say", "text": "hi", "id": 7})
        found = await ann.receive()
        assert (found["type"], found["code"]) == ("error", "INTERNAL_ERROR")
        assert isinstance(found["ref"], str)
        await ann.send({"type": "ping"})
        assert await ann.receive() == {"type": "pong"}


@pytest.mark.parametrize("is_unknown", [False, True])
async def test_a_backend_that_is_away_makes_the_message_unavailable(
    app: Callable[..., Any], is_unknown: bool
) -> None:
    async with app() as running_app:
        with_backend(running_app, say=BrokerUnavailable(3.0, is_unknown=is_unknown))
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "say", "text": "hi", "id": 7})
        found = await ann.receive("error")
        assert (found["code"], found["retry_after"]) == ("UNAVAILABLE", 3.0)
        assert (found.get("outcome") == "unknown") is is_unknown


async def test_what_a_late_backend_did_of_a_connection_or_a_subscription_is_unknown(
    app: Callable[..., Any],
) -> None:
    late = BrokerUnavailable(3.0, is_unknown=True)
    async with app() as running_app:
        backend = with_backend(running_app, may=late)
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "subscribe", "room": "b", "id": 1})
        found = await ann.receive("error")
        assert (found["code"], found["retry_after"], found.get("outcome")) == (
            "UNAVAILABLE",
            3.0,
            "unknown",
        )
        backend.answers["/in"] = late
        bob = await running_app.connect("/rooms/a")
        found = await bob.receive("error")
        assert (found["message"], found["retry_after"], found.get("outcome")) == (
            "Try again later",
            3.0,
            "unknown",
        )
        assert bob.closed[0] == 1013


async def test_who_subscribes_gets_what_the_backend_publishes_to_the_room(
    app: Callable[..., Any],
) -> None:
    publish = {"publish": [{"to": "room", "room": "b", "event": {"type": "came"}}]}
    async with app() as running_app:
        with_backend(running_app, may=publish)
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "subscribe", "room": "b", "id": 1})
        assert (await ann.receive())["type"] == "subscribed"
        assert await ann.receive() == {"type": "came"}


@pytest.mark.parametrize(
    "answer", [BrokerUnavailable(), BackendAnswer(500, b""), {"message": {"text": 5}}]
)
async def test_accepting_on_failure_is_for_messages_and_subscriptions(
    app: Callable[..., Any], answer: object
) -> None:
    async with app("on_failure: accept") as running_app:
        backend = with_backend(running_app, say=answer, may=answer)
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "say", "text": "hi"})
        assert await ann.receive("say") == {"type": "say", "text": "hi"}
        await ann.send({"type": "subscribe", "room": "b", "id": 1})
        assert (await ann.receive("subscribed"))["room"] == "b"
        backend.answers["/in"] = answer
        bob = await running_app.connect("/rooms/a")
        assert bob.closed[0] == (1013 if isinstance(answer, BrokerUnavailable) else 1011)


async def test_a_connect_hook_accepts_only_where_it_says_so(app: Callable[..., Any]) -> None:
    async with app(connect="{backend: app, path: /in, on_failure: accept}") as running_app:
        with_backend(running_app, **{"in": BrokerUnavailable()})
        ann = await running_app.connect("/rooms/a")
        await ann.send({"type": "say", "text": "hi"})
        assert await ann.receive("say")


async def test_a_connect_hook_s_publication_comes_after_the_join(app: Callable[..., Any]) -> None:
    answer = {"publish": [{"to": "room", "room": "a", "event": {"type": "here"}}]}
    async with app() as running_app:
        with_backend(running_app, **{"in": answer})
        ann = await running_app.connect("/rooms/a")
        assert await ann.receive("here") == {"type": "here"}


async def test_null_is_as_absent_in_a_user(app: Callable[..., Any]) -> None:
    async with app() as running_app:
        with_backend(running_app, who={"user": {"id": "ann", "claims": None, "expires": None}})
        ann = await running_app.connect("/private")
        assert await ann.receive() == {"type": "authenticated", "user": "ann"}


async def test_who_a_client_is(app: Callable[..., Any]) -> None:
    async with app("headers: [authorization]") as running_app:
        backend = with_backend(running_app, who={"user": {"id": "ann", "claims": {"a": 1}}})
        ann = await running_app.connect("/private", headers={"authorization": "Bearer x"})
        assert (await ann.receive("authenticated"))["user"] == "ann"
        asked = backend.about("/who")
        assert (asked["hook"], asked["connection"]) == ("authenticate", ann.session.connection_id)
        assert asked["request"]["headers"] == {"authorization": "Bearer x"}
        backend.asked.clear()
        await ann.send({"type": "authenticate", "token": "a newer one"})
        assert (await ann.receive("authenticated"))["user"] == "ann"
        assert backend.about("/who")["connection"] == asked["connection"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"user": None}, 4401),
        ({}, 4401),
        (BackendAnswer(401, b""), 4401),
        ({"reject": {"message": "no"}}, 4401),
        ({"user": {"id": 5}}, 1013),
        ({"user": {"id": ""}}, 1013),
        ({"user": {"id": "a" * 129}}, 1013),
        ({"user": {"id": "a", "claims": []}}, 1013),
        ({"user": {"id": "a", "expires": True}}, 1013),
        ({"user": {"id": "a", "expires": 1e300}}, 1013),
        ({"user": {"id": "a", "expires": "soon"}}, 1013),
        ({"message": {}}, 1013),
        (BackendAnswer(500, b""), 1013),
        (BrokerUnavailable(), 1013),
    ],
)
async def test_whom_a_backend_does_not_let_in(
    app: Callable[..., Any], answer: object, code: int
) -> None:
    async with app("on_failure: accept") as running_app:
        with_backend(running_app, who=answer)
        ann = await running_app.connect("/private")
        assert ann.closed[0] == code


@pytest.mark.parametrize("is_unknown", [False, True])
async def test_whether_an_authenticator_may_have_acted_is_said(
    app: Callable[..., Any], is_unknown: bool
) -> None:
    async with app() as running_app:
        with_backend(running_app, who=BrokerUnavailable(is_unknown=is_unknown))
        found = await (await running_app.connect("/private")).receive("error")
        assert (found["code"], found["retry_after"]) == ("UNAVAILABLE", 5.0)
        assert (found.get("outcome") == "unknown") is is_unknown


async def test_without_a_way_to_backends_they_are_away(app: Callable[..., Any]) -> None:
    async with app() as running_app:
        ann = await running_app.connect("/rooms/a")
        assert ann.closed[0] == 1013
        with pytest.raises(Refused):
            await running_app.connect("/nowhere")
