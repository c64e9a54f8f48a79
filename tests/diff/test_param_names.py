from channeld.config.model import Channel, ChannelAuth, Message, Presence, Rooms, Route, Subscribe
from channeld.diff.param_names import with_params_of


def channel(param: str, path: str = "") -> Channel:
    here = f"{{params.{param}}}"
    return Channel(
        name="room",
        path=path or f"/rooms/{{{param}}}",
        auth=ChannelAuth(),
        require=({"rooms": [here], f"docs.{here}": "write"},),
        rooms=Rooms(join=(here,), subscribe=Subscribe(allow=(f"x-{here}",))),
        presence=Presence(info={"in": here}),
        messages={
            "say": Message(
                schema=True,
                route=(Route(to="room", room=here), Route(to="user", user=here)),
                emit={"room": here, "deep": {"of": [here, 1]}},
                stamp={"room": here},
                require=({"room": here},),
                key=here,
            )
        },
    )


def test_every_template_is_renamed() -> None:
    assert with_params_of(channel("id"), channel("room")) == channel("room", "/rooms/{id}")


def test_nothing_is_done_where_names_are_the_same_or_paths_differ() -> None:
    for other in (channel("id"), channel("id", "/rooms"), channel("id", "no path")):
        one = channel("id")
        assert with_params_of(one, other) is one


def test_params_that_change_places_are_left_alone() -> None:
    one, other = channel("a", "/{a}/{b}"), channel("a", "/{b}/{a}")
    assert with_params_of(one, other) is one
