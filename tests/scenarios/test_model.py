import attrs
import pytest

from channeld.scenarios import model


def test_steps_are_values() -> None:
    one = model.SendStep(client="ann", pointer="/s", frame={"type": "ping"})
    assert one == attrs.evolve(one)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        one.client = "bob"  # type: ignore[misc]
