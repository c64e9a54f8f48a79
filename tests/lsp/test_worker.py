import io
import os
from collections.abc import Mapping
from pathlib import Path

from channeld.lsp import worker
from channeld.lsp.checking import Checkup
from channeld.lsp.worker import Reported, Wanted, answer, framed, read_framed, serve


def test_values_travel_whole() -> None:
    stream = io.BytesIO(framed("one") + framed(["two"]) + framed("cut")[:-1][:3])
    assert [read_framed(stream) for _ in range(3)] == ["one", ["two"], None]


def test_an_answer_is_what_checking_says(chat: Path) -> None:
    answered = answer(Wanted(number=7, name=str(chat), texts={str(chat): "channeld: 2"}))
    assert answered.checkup is not None
    assert (answered.number, answered.name) == (7, str(chat))
    assert [one.code for one in answered.checkup.findings] == ["CH102"]


def test_a_mistake_of_ours_is_told() -> None:
    def broken(name: str, texts: Mapping[str, str]) -> Checkup:
        raise ZeroDivisionError(name)

    answered = answer(Wanted(number=1, name="f", texts={}), broken)
    assert answered.checkup is None
    assert "ZeroDivisionError: f" in answered.failure


def test_requests_are_answered_by_children(chat: Path) -> None:
    read, write = os.pipe()
    names = [str(chat), str(chat.parent / "chat.test.yaml")]
    requests = b"".join(framed(Wanted(number=i, name=n, texts={})) for i, n in enumerate(names))
    with os.fdopen(read, "rb") as answers, os.fdopen(write, "wb") as stream:
        # What children still do when requests end is not wanted any more, so the end waits for them here.
        waiting = _Waiting(requests, answers, 2)
        serve(waiting, stream)
    assert sorted(one.number for one in waiting.answered) == [0, 1]


class _Waiting(io.BytesIO):
    """Requests whose end is read after some answers."""

    def __init__(self, requests: bytes, answers: io.BufferedReader, count: int) -> None:
        super().__init__(requests)
        self.answers, self.count = answers, count
        self.answered: list[Reported] = []

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        while not data and len(self.answered) < self.count:
            one = read_framed(self.answers)
            assert isinstance(one, Reported)
            self.answered.append(one)
        return data


def test_an_older_request_of_the_same_document_is_ended(chat: Path) -> None:
    read, write = os.pipe()
    endless, held = os.pipe()
    first, second = (framed(Wanted(number=i, name=str(chat), texts={})) for i in (1, 2))
    original = worker.answer

    def slow(wanted: Wanted) -> Reported:
        if wanted.number == 1:
            os.read(endless, 1)
        return original(wanted)

    with os.fdopen(read, "rb") as answers, os.fdopen(write, "wb") as stream:
        worker.answer = slow  # type: ignore[assignment]
        try:
            requests = _Waiting(first + second, answers, 1)
            serve(requests, stream)
        finally:
            worker.answer = original
            os.close(endless)
            os.close(held)
    assert [one.number for one in requests.answered] == [2]
