"""What good clients may ask of the server as often as an attack does: the load that its effect on others is measured against."""

import itertools

from tests.hostile.floods import STRANGE, all_answers, compressed, flood, head_and_frames, packed
from tests.hostile.ground import Ground
from tests.hostile.requests import AUTHORIZATION, STREAM, pulse
from tests.hostile.wire import GOODBYE, Answers, Raw, head, say

_KIB = 1024
# What is allowed to be wrong before the connection is closed, and so the most that an attack of that kind is answered.
_ERRORS = 31


def echoes(ground: Ground, count: int) -> Answers:
    """Small messages, of which none is over a rate."""
    return flood(ground, "/good", packed(say("echo"), min(count, 300_000)))


def as_many_frames(ground: Ground, count: int) -> Answers:
    """Whole messages, each for one frame of `chopped`."""
    return echoes(ground, 34 * count)


def large_echoes(ground: Ground, count: int) -> Answers:
    text = "x" * (64 * _KIB - len('{"type": "echo", "text": ""}'))
    return flood(ground, "/good", itertools.repeat(say("echo", text=text), min(count, 3_000)))


def compressed_echoes(ground: Ground, count: int) -> Answers:
    return compressed(ground, "/good", min(count, 3_000))


def few_large_echoes(ground: Ground, count: int) -> Answers:
    """As many as its errors leave to each of an attack's connections."""
    return large_echoes(ground, min(count, _ERRORS) * len(STRANGE))


def steady_echoes(ground: Ground, count: int) -> Answers:
    """Clients that stay, with a message after the other."""
    clients = [ground.raw().open("/good") for _ in range(count)]
    for _ in range(len(head_and_frames())):
        for client in clients:
            client.pour([say("echo")])
    for client in clients:
        client.pour([GOODBYE])
    return all_answers(clients)


def few_lists(ground: Ground, count: int) -> Answers:
    """What the schema accepts, as large as what `refusals` sends."""
    text = say("list", list=[1] * 20_000)
    return flood(ground, "/good", itertools.repeat(text, min(count, _ERRORS)))


def lists(ground: Ground, count: int) -> Answers:
    """Lists of lists, which the schema looks into."""
    text = say("list", more=[[1]] * 9_000, number=7)
    return flood(ground, "/good", itertools.repeat(text, count))


def one_room(ground: Ground, count: int) -> Answers:
    """A room joined and left again, with a message kept for each that an attack leaves."""
    piece = say("subscribe", room="one") + say("unsubscribe", room="one")
    return flood(ground, "/good", packed(piece, count))


def one_history(ground: Ground, count: int) -> Answers:
    piece = (
        say("subscribe", room="one")
        + say("say", into="one", text="x" * 8 * _KIB)
        + say("unsubscribe", room="one")
    )
    return flood(ground, "/good", itertools.repeat(piece, count))


def visits(ground: Ground, count: int) -> Answers:
    """Connections one after the other, each with as many messages as the attack's."""
    return _visits(ground, count, say("echo") * 200)


def half_at_once(ground: Ground, count: int) -> Answers:
    """As many as those of `unfinished` that are let in."""
    return all_at_once(ground, count // 2)


def all_at_once(ground: Ground, count: int) -> Answers:
    """Clients that come together, say one thing, and leave together."""
    clients = [ground.raw() for _ in range(count)]
    for client in clients:
        client.pour([head("/good") + say("echo")])
    for client in clients:
        client.read_until("echo")
    for client in clients:
        client.pour([GOODBYE])
    return all_answers(clients)


def short_visits(ground: Ground, count: int) -> Answers:
    return _visits(ground, count, say("echo"))


def streams(ground: Ground, count: int) -> Answers:
    """Event streams one after the other, each closed once its head has come."""
    answers = Answers()
    for _ in range(count):
        with ground.raw() as client:
            client.pour([STREAM])
            answers += client.read_until("HTTP").answers
    return answers


def api_requests(ground: Ground, count: int) -> Answers:
    """Of the application that has the key, over connections that are kept."""
    answers = Answers()
    for _ in range(0, count, 200):
        with Raw(ground.api_port, ground.source) as client:
            client.pour([pulse(AUTHORIZATION) * 100])
            answers += client.read_until("HTTP", count=200).answers
    return answers


def visits_of_a_room(ground: Ground, count: int) -> Answers:
    """Connections one after the other, each with one word in a room that it joins."""
    return _visits(ground, count, say("subscribe", room="one") + say("say", into="one", text="hi"))


def _visits(ground: Ground, count: int, text: bytes) -> Answers:
    return sum((flood(ground, "/good", iter([text])) for _ in range(count)), Answers())


def readers(ground: Ground, count: int) -> Answers:
    """Members of a busy room that read all they get, as fast as those of the attack write their Pongs."""
    room, size = f"/hall/{ground.read().cpu}", 50_000
    members = [ground.raw().open(room) for _ in range(count)]
    with ground.raw().open(room) as speaker:
        for said in range(1, 100):
            speaker.pour([say("say", text="x" * size)])
            speaker.read_until("say", count=said)
            for member in members:
                member.skip(size)
        answers = speaker.answers
    for member in members:
        with member:
            member.pour([GOODBYE])
            answers += member.answers
    return answers


def histories(ground: Ground, count: int) -> Answers:
    """Histories that are read as they come."""
    with ground.raw().open("/good") as client:
        client.pour([say("subscribe", room="shelf")])
        client.pour(itertools.repeat(say("say", into="shelf", text="x" * 60_000), 100))
        client.read_until("say", count=100)
        for number in range(count):
            client.pour([say("history", room="shelf", limit=100)])
            client.read_until("history", count=number + 1)
        client.pour([GOODBYE])
        return client.read_out().answers
