import uuid

from tests.system.kit import Served, token


def name() -> str:
    return f"u{uuid.uuid4().hex[:12]}"


def test_two_users_see_each_other_and_talk(chat: Served, room: str) -> None:
    with chat.enter(room, "ann") as ann, chat.enter(room, "bob") as bob:
        came = ann.receive("presence")
        assert (came["event"], came["user"], came["info"]) == ("join", "bob", {"name": "Bob"})
        bob.send("message", text="hello")
        said = ann.receive("message")
        assert (said["text"], said["from"], said["name"]) == ("hello", "bob", "Bob")
        assert said == bob.receive("message")


def test_presence_lists_everyone_and_tells_who_left(chat: Served, room: str) -> None:
    with chat.enter(room, "ann") as ann:
        with chat.enter(room, "bob"):
            state = ann.ask("presence", room=room)
            assert [user["user"] for user in state["users"]] == ["ann", "bob"]
            assert ann.ask("presence", room=room, only="count")["users"] == 2
        while (gone := ann.receive("presence"))["event"] != "leave":
            pass
        assert gone["user"] == "bob"


def test_history_has_what_was_said_before(chat: Served, room: str) -> None:
    with chat.enter(room, "ann") as ann:
        for text in ("one", "two", "three"):
            ann.ask("message", text=text)
    with chat.enter(room, "bob") as bob:
        page = bob.ask("history", room=room, limit=2)
        assert [frame["text"] for frame in page["frames"]] == ["two", "three"]
        assert page["more"] is True
        before = page["frames"][0]["pos"]
        earlier = bob.ask("history", room=room, limit=2, before=before)
        assert [frame["text"] for frame in earlier["frames"]] == ["one"]


def test_a_whisper_reaches_every_connection_of_one_user(chat: Served, room: str) -> None:
    bob = name()
    with (
        chat.enter(room, "ann") as ann,
        chat.enter(room, bob) as first,
        chat.enter(room, bob) as second,
    ):
        assert ann.ask("whisper", to=bob, text="psst")["type"] == "ack"
        wanted = {"type": "whisper", "text": "psst", "from": "ann"}
        assert first.receive("whisper") == second.receive("whisper") == wanted
        ann.ask("ping")
        ann.send("message", text="aloud")
        assert [first.receive()["type"], second.receive()["type"]] == ["message", "message"]


def test_an_admin_announces_to_all_rooms_and_others_may_not(chat: Served, room: str) -> None:
    with (
        chat.enter(room, "ann", role="admin") as admin,
        chat.enter(room + "-b", "bob", role="member") as bob,
    ):
        assert bob.ask("announce", text="me too")["code"] == "FORBIDDEN"
        assert admin.ask("announce", text="noon", level="warning")["type"] == "ack"
        frame = bob.receive("announce")
        assert (frame["text"], frame["level"], frame["from"]) == ("noon", "warning", "ann")


def test_a_hook_refuses_shouting_with_its_own_code(chat: Served, room: str) -> None:
    with chat.enter(room, "ann") as ann, chat.enter(room, "bob") as bob:
        refusal = ann.ask("message", text="LOUD WORDS")
        assert (refusal["code"], refusal["message"]) == ("NO_SHOUTING", "please don't shout")
        ann.send("message", text="quiet words")
        assert bob.receive("message")["text"] == "quiet words"


def test_typing_is_shown_to_others_and_not_kept(chat: Served, room: str) -> None:
    with chat.enter(room, "ann") as ann, chat.enter(room, "bob") as bob:
        assert ann.ask("typing")["type"] == "ack"
        assert bob.receive("typing")["user"] == "ann"
        assert bob.ask("history", room=room)["frames"] == []


def test_too_many_messages_are_told_when_to_come_again(chat: Served, room: str) -> None:
    with chat.enter(room, "ann") as ann:
        for _ in range(12):
            ann.send("whisper", to=name(), text="again")
        refusal = ann.receive("error")
        assert refusal["code"] == "RATE_LIMITED"
        assert 0 < refusal["retry_after"] <= 1


def test_a_schema_refusal_names_the_place(chat: Served, room: str) -> None:
    with chat.enter(room, "ann") as ann:
        refusal = ann.ask("message", text="", extra=1)
        assert refusal["code"] == "INVALID_MESSAGE"
        assert {(e["path"], e["keyword"]) for e in refusal["errors"]} >= {("/text", "minLength")}


def test_a_client_comes_back_for_what_it_missed(chat: Served, room: str) -> None:
    # Of their own: a user's rate is shared by all its connections, also those of the tests before.
    speaker, bob = name(), name()
    with chat.enter(room, speaker) as ann:
        with chat.enter(room, bob) as first:
            ann.send("message", text="seen")
            pos = first.receive("message")["pos"]
        for text in ("missed 1", "missed 2"):
            ann.ask("message", text=text)
        with chat.connect(f"/rooms/{room}?since={pos}&token={token(bob)}") as again:
            subscribed = again.receive("subscribed")
            assert (subscribed["room"], subscribed["recovered"]) == (room, True)
            missed = [again.receive("message")["text"] for _ in range(2)]
            ann.send("message", text="live")
            assert [*missed, again.receive("message")["text"]] == ["missed 1", "missed 2", "live"]


def test_an_unknown_position_is_no_silent_gap(chat: Served, room: str) -> None:
    with chat.connect(f"/rooms/{room}?since=nonsense&token={token('ann')}") as ann:
        assert ann.receive("subscribed")["recovered"] is False


def test_the_sixth_connection_replaces_the_oldest(chat: Served, room: str) -> None:
    ann = name()
    held = [chat.enter(room, ann) for _ in range(5)]
    with chat.enter(room, ann) as sixth:
        frames, code = held[0].until_closed()
        assert code == 4409
        assert (frames[-1]["type"], frames[-1]["reconnect"]) == ("disconnect", False)
        assert held[1].ask("ping")["type"] == sixth.ask("ping")["type"] == "pong"
        for client in held[1:]:
            client.close()


def test_the_lobby_lets_clients_choose_their_rooms(chat: Served) -> None:
    topic = f"topic-{name()}"
    with chat.connect("/chat") as one, chat.connect("/chat") as two:
        assert one.ask("subscribe", room=topic)["type"] == "subscribed"
        assert two.ask("message", room=topic, text="from outside")["code"] == "FORBIDDEN"
        assert two.ask("subscribe", room=topic)["room"] == topic
        assert two.ask("message", room=topic, text="hello")["type"] == "ack"
        assert one.receive("message") == {"type": "message", "room": topic, "text": "hello"}
        assert one.ask("unsubscribe", room=topic)["type"] == "unsubscribed"
        assert one.ask("message", room=topic, text="left")["code"] == "FORBIDDEN"


def test_the_lobby_has_rooms_that_nobody_may_join(chat: Served) -> None:
    with chat.connect("/chat") as client:
        refusal = client.ask("subscribe", room="cellar")
        assert (refusal["code"], refusal["room"]) == ("FORBIDDEN", "cellar")


def test_the_lobby_counts_a_clients_rooms(chat: Served) -> None:
    with chat.connect("/chat") as client:
        answers = [client.ask("subscribe", room=f"topic-{n}") for n in range(21)]
        assert [answer["type"] for answer in answers] == ["subscribed"] * 20 + ["error"]
        assert (answers[-1]["code"], answers[-1]["limit"]) == ("LIMIT_EXCEEDED", 20)


def test_a_connection_is_one_line_at_its_start_and_one_at_its_end(chat: Served, room: str) -> None:
    ann = name()
    with chat.enter(room, ann):
        opened = chat.event("connection_opened", user=ann)
    closed = chat.event("connection_closed", user=ann)
    assert closed["connection"] == opened["connection"]
    assert (closed["channel"], closed["code"]) == ("room", 1000)
    assert len([line for line in chat.events() if line.get("user") == ann]) == 2
