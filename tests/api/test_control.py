import pytest

from channeld.api.problems import Problem
from tests.api.conftest import KEY, Start


async def test_keys_are_those_of_the_plan_in_force(api: Start) -> None:
    async with api() as it:
        assert it.control.keys[0] == KEY


async def test_a_channel_that_is_declared_or_404(api: Start) -> None:
    async with api() as it:
        assert it.control.channel("lobby").name == "lobby"
        with pytest.raises(Problem) as caught:
            it.control.channel("nowhere")
        assert caught.value.status == 404


async def test_a_room_that_could_be_one_or_404(api: Start) -> None:
    async with api() as it:
        assert it.control.room("a/b") == "a/b"
        with pytest.raises(Problem) as caught:
            it.control.room("a\nb")
        assert caught.value.status == 404
