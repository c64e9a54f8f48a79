import attrs

from channeld.config.model import Message
from channeld.plan.options.table import OPTIONS


def test_each_option_is_a_key_of_a_message_once() -> None:
    keys = [option.key for option in OPTIONS]
    assert len(keys) == len(set(keys))
    assert {*keys} <= {field.name for field in attrs.fields(Message)}
