"""Attacks of clients that were let in: each sends what it should not, and returns what it was answered."""

import itertools
import json
import time
import zlib
from collections import Counter
from collections.abc import Iterator

from tests.hostile.ground import Ground
from tests.hostile.wire import BINARY, GOODBYE, PING, PONG, TEXT, Answers, Raw, frame, head, say
from tests.system.kit import eventually, token

_KIB = 1024


def packed(piece: bytes, count: int) -> Iterator[bytes]:
    """`count` copies of a piece, in portions of about 64 KiB."""
    each = max(1, 64 * _KIB // len(piece))
    while count > 0:
        yield piece * min(each, count)
        count -= each


def flood(ground: Ground, path: str, pieces: Iterator[bytes]) -> Answers:
    """Send them all, reading the answers, and say goodbye."""
    with ground.raw().open(path) as client:
        client.pour(itertools.chain(pieces, [GOODBYE]))
        return client.read_out().answers


def tiny_frames(ground: Ground, count: int) -> Answers:
    return flood(ground, "/echo", packed(say("echo"), count))


def tiny_frames_unread(ground: Ground, count: int) -> Answers:
    """Nothing is read until the server takes no more."""
    start = len(ground.served.err.lines)
    with ground.raw(buffer=4096).open("/echo") as client:
        client.pour(packed(say("echo", id="x" * 64), count), reads=False)
        answers = client.read_out().answers
    return answers + _cut(ground, start)


def pings(ground: Ground, count: int) -> Answers:
    return flood(ground, "/echo", packed(frame(b"p" * 125, PING), count))


def pings_unread(ground: Ground, count: int) -> Answers:
    start = len(ground.served.err.lines)
    with ground.raw(buffer=4096).open("/echo") as client:
        client.pour(packed(frame(b"p" * 125, PING), count), reads=False)
        answers = client.read_out().answers
    return answers + _cut(ground, start)


def large_frames(ground: Ground, count: int) -> Answers:
    """As large as allowed, over and over, at a rate that the slowest machine is over."""
    room = 64 * _KIB - len('{"type": "echo", "text": ""}')
    return flood(ground, "/narrow", itertools.repeat(say("echo", text="x" * room), count))


def huge_frame(ground: Ground, count: int) -> Answers:
    """A header that announces a GiB, and as much of it as the server takes: 64 KiB, `count` times."""
    with ground.raw().open("/echo") as client:
        header = bytes((TEXT, 255)) + (1 << 30).to_bytes(8, "big") + bytes(4)
        client.pour(itertools.chain([header], itertools.repeat(bytes(64 * _KIB), count)))
        return client.read_out().answers


def byte_by_byte(ground: Ground, count: int) -> Answers:
    """`count` clients whose every byte travels alone, from the first of the head to the last of the Close frame."""
    clients = [ground.raw() for _ in range(count)]
    script = head_and_frames()
    for at in range(len(script)):
        for client in clients:
            client.pour([script[at : at + 1]])
    return all_answers(clients)


def head_and_frames() -> bytes:
    """What a client says from beginning to end."""
    text = say("echo", text="é" * 40, id=7)
    return head("/echo") + text + frame(b"beat", PING) + text + GOODBYE


def all_answers(clients: list[Raw]) -> Answers:
    """What all of them are answered until their ends."""
    total: Answers = Counter()
    for client in clients:
        with client:
            total += client.read_out().answers
    return total


def fragments(ground: Ground, count: int) -> Answers:
    """Two messages that never end: in empty pieces, and in pieces of a byte."""
    answers: Answers = Counter()
    for payload in (b"", b"x"):
        start, more = frame(payload, 0x01), frame(payload, 0x00)
        with ground.raw().open("/echo") as client:
            client.pour(itertools.chain([start], packed(more, count)))
            answers += client.read_out().answers
    return answers


def chopped(ground: Ground, count: int) -> Answers:
    """Good messages, each byte a frame of its own and a Ping behind each."""
    text = b'{"type": "echo", "text": "chopped"}'
    first, *more = (bytes((byte,)) for byte in text)
    frames = [frame(first, 0x01), *(frame(byte, 0x00) for byte in more[:-1]), frame(more[-1], 0x80)]
    return flood(ground, "/echo", packed(frame(b"", PING).join(frames), count))


def large_tokens(ground: Ground, count: int) -> Answers:
    """Renewed over and over, with a token of a thousand claims."""
    large = token("renewer", more={f"claim-{number}": "x" * 8 for number in range(1000)})
    return flood(ground, "/private", itertools.repeat(say("authenticate", token=large), count))


def large_token_subscribes(ground: Ground, count: int) -> Answers:
    """In and out of a room, by the holder of as large a token as a message can bring."""
    large = token("holder", more={f"claim-{number}": "x" * 30 for number in range(950)})
    with ground.raw().open("/lobby") as client:
        client.pour([say("authenticate", token=large)])
        client.read_until("authenticated", "close")
        piece = say("subscribe", room="one") + say("unsubscribe", room="one")
        client.pour(itertools.chain(packed(piece, count), [GOODBYE]))
        return client.read_out().answers


def who_is_here(ground: Ground, count: int) -> Answers:
    """Asked without an end in a room of a hundred users."""
    members = [ground.raw().open(f"/crowd?token={token(str(user))}") for user in range(100)]
    for member in members:
        member.read_until("presence")
    answers = flood(
        ground, f"/crowd?token={token('curious')}", packed(say("presence", room="crowd"), count)
    )
    for member in members:
        member.pour([GOODBYE])
    all_answers(members)
    return answers


def bombs(ground: Ground, count: int) -> Answers:
    """64 KiB in about a hundred bytes each, most of them over the rate."""
    return compressed(ground, "/narrow", count)


def compressed(ground: Ground, path: str, count: int) -> Answers:
    """As large messages as are allowed, which compress as well as any."""
    text = json.dumps({"type": "echo", "text": "x" * (64 * _KIB - 40)}).encode()
    deflater = zlib.compressobj(wbits=-15)
    bomb = frame((deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4], 0xC1)
    offer = (
        "Sec-WebSocket-Extensions: permessage-deflate; "
        "server_no_context_takeover; client_no_context_takeover"
    )
    with ground.raw().open(path, offer) as client:
        client.pour(itertools.chain(packed(bomb, count), [GOODBYE]))
        return client.read_out().answers


def flapping(ground: Ground, count: int) -> Answers:
    """In and out of a room whose hundred members are told each time."""
    members = [ground.raw().open(f"/lobby?token={token(str(user))}") for user in range(100)]
    for member in members:
        member.pour([say("subscribe", room="flat")])
        member.read_until("subscribed")
    piece = say("subscribe", room="flat") + say("unsubscribe", room="flat")
    answers = flood(ground, f"/lobby?token={token('restless')}", packed(piece, count))
    for member in members:
        member.pour([GOODBYE])
    all_answers(members)
    return answers


def recoveries(ground: Ground, count: int) -> Answers:
    """The same history recovered over and over, and nothing of it is awaited."""
    room = f"/archive/{ground.pid}-recovered"
    with ground.raw().open(room) as writer:
        writer.pour(itertools.repeat(say("say", text="x" * 8 * _KIB), 100))
        writer.read_until("say", count=100)
    answers: Answers = Counter()
    for _ in range(count):
        with ground.raw(buffer=4096).open(f"{room}?since=0") as client:
            client.read_until("subscribed")
            answers += client.answers
            client.reset()
    return answers


def binary(ground: Ground, count: int) -> Answers:
    return flood(ground, "/echo", packed(frame(bytes(1000), BINARY), count))


def strange_json(ground: Ground, count: int) -> Answers:
    """What parsers stumble over: each a flood of its own, ended by the limit of errors."""
    answers: Answers = Counter()
    for text in STRANGE:
        answers += flood(ground, "/echo", packed(frame(text.encode()), count))
    return answers


def refusals(ground: Ground, count: int) -> Answers:
    """As many things that the schema refuses as a message can hold, ended by the limit of errors."""
    return flood(ground, "/lists", itertools.repeat(say("list", list=["x"] * 12_000), count))


def containers(ground: Ground, count: int) -> Answers:
    """As many lists as a message can hold, beside a number that must be looked at twice."""
    text = say("list", more=[[1]] * 9_000, number=1234567890123456789)
    return flood(ground, "/lists", itertools.repeat(text, count))


STRANGE = (
    '{"type":"echo","text":' + "[" * 30_000 + "]" * 30_000 + "}",
    '{"type":"echo","text":' + '{"a":' * 9_000 + "1" + "}" * 9_000 + "}",
    "[" * 60_000,
    '{"type":"echo","text":' + "9" * 60_000 + "}",
    '{"type":"echo","text":1e999}',
    '{"type":"echo","text":-' + "1" * 25 + "}",
    '{"type":"echo","text":NaN}',
    r'{"type":"echo","text":"\ud800"}',
    '{"type":{},"type":[]}',
    '{"type":"echo",' + '"text":1,' * 6_000 + '"type":7}',
    "",
)


def duplicate_keys(ground: Ground, count: int) -> Answers:
    """The last one counts, in all that is decided: what is echoed was checked."""
    text = '{"type":"nothing",' + '"text":1,' * 6_000 + '"text":"last","type":"echo"}'
    return flood(ground, "/echo", packed(frame(text.encode()), count))


def room_names(ground: Ground, count: int) -> Answers:
    """A name after the other, by a client that leaves each room again and one that does not, without a rate."""
    cycle = flood(ground, "/many", _names(count, leaves=True))
    return cycle + flood(ground, "/many", _names(max(200, count // 100), leaves=False))


def _names(count: int, *, leaves: bool) -> Iterator[bytes]:
    for start in range(0, count, 200):
        portion = b""
        for number in range(start, min(count, start + 200)):
            room = f"{number:08}" + "n" * 120
            portion += say("subscribe", room=room)
            if leaves:
                portion += say("unsubscribe", room=room)
        yield portion


def room_names_as_shipped(ground: Ground, count: int) -> Answers:
    return flood(ground, "/rooms", _names(count, leaves=False))


def named_rooms(ground: Ground, count: int) -> Answers:
    """Leave 8 KiB of history in each of `count` rooms that nobody else will ever be in."""
    text = "x" * 8 * _KIB
    rooms = (f"{number:08}" for number in range(count))
    return flood(
        ground,
        "/named",
        (
            say("subscribe", room=room)
            + say("say", into=room, text=text)
            + say("unsubscribe", room=room)
            for room in rooms
        ),
    )


def reconnects(ground: Ground, count: int) -> Answers:
    """Use up the burst of 200, come back for another, `count` times: all of them together get what one would have."""
    answers: Answers = Counter()
    began = time.monotonic()
    for _ in range(count):
        answers += flood(ground, "/again", packed(say("echo"), 200))
    # An upper bound, which a slow machine only raises: the server cannot have counted more time than passed here.
    allowed = 200 + 100 * (time.monotonic() - began)
    assert answers["echo"] <= allowed + 1, f"reconnecting gained {answers['echo'] - allowed:.0f}"
    return answers


def archives(ground: Ground, count: int) -> Answers:
    """Asking for half a megabyte of history with every few bytes, `count` times, before anything of it is read."""
    room, text = f"/archive/{ground.pid}", "x" * 60_000
    with ground.raw().open(room) as writer:
        writer.pour(itertools.repeat(say("say", text=text), 100))
        writer.read_until("say", count=100)
    with ground.raw(buffer=4096).open(room) as reader:
        reader.pour(packed(say("history", limit=100), count), reads=False)
        reader.read_until("history", "RATE_LIMITED", count=count)
        reader.pour([GOODBYE])
        return reader.read_out().answers


def never_reading(ground: Ground, count: int) -> Answers:
    """`count` members of a busy room read nothing; one more reads, and must miss nothing."""
    return _deaf(ground, count, b"")


def stalled_readers(ground: Ground, count: int) -> Answers:
    """The same, but each sends a Pong after every message: alive to any keep-alive, and still a slow consumer."""
    return _deaf(ground, count, frame(b"", PONG))


def _deaf(ground: Ground, count: int, beat: bytes) -> Answers:
    start, room = len(ground.served.err.lines), f"/hall/{ground.read().cpu}"
    silent = [ground.raw(buffer=4096).open(room) for _ in range(count)]
    with ground.raw().open(room) as reader, ground.raw().open(room) as speaker:
        said = 0
        while ground.closed_with(4508, start) < count:
            assert said < 20_000, "slow consumers are not cut off"
            speaker.pour([say("say", text="x" * 50_000)])
            said += 1
            speaker.read_until("say", "RATE_LIMITED", count=said)
            reader.read_until("say", count=speaker.answers["say"])
            for client in silent if beat else ():
                if not client.ended:
                    client.pour([beat], reads=False)
        assert reader.answers["say"] == speaker.answers["say"]
    for client in silent:
        client.socket.close()
    return _cut(ground, start)


def _cut(ground: Ground, start: int, code: int = 4508) -> Answers:
    """How many the server says it has cut: they did not read it themselves."""
    eventually(lambda: ground.closed_with(code, start) > 0)
    return Counter({f"closed {code}": ground.closed_with(code, start)})
