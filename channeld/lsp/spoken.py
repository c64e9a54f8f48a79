"""Completion in scenario files: clients, channels, types, fields of frames, hooks to stub."""

from collections.abc import Iterator

from channeld.lsp.conversation import FRAMES, PUBLISHED, Conversation
from channeld.lsp.cursor import Cursor
from channeld.lsp.offer import Offer, quoted
from channeld.lsp.projects import Projects
from channeld.pointer import at, tokens, value_at


def spoken(projects: Projects, cursor: Cursor) -> Iterator[Offer]:
    """Names from the configuration for a scenario file."""
    conversation = Conversation(projects, cursor.view.name, cursor.view.tree)
    pointer, path = cursor.pointer, cursor.path
    if cursor.is_key and path[-1:] == ["hooks"]:
        for hook in conversation.hooks():
            yield Offer(hook, "function", text=f'"{hook}": ', rank=1)
    elif (cursor.is_key or cursor.own_line) and len(path) == 4 and path[2] == "steps":
        clients = value_at(cursor.view.tree.value, at("/scenarios", path[1], "clients"))
        for client in clients if isinstance(clients, dict) else ():
            yield Offer(client, "variable", text=f"{client}: ", detail="client", rank=1)
    elif FRAMES.fullmatch(pointer) or PUBLISHED.fullmatch(pointer):
        yield from _types(conversation, pointer)
    elif path[-2:] == ["publish", "channel"]:
        yield from (Offer(one, "reference", rank=1) for one in conversation.paths())
    elif path[-1:] == ["path"]:
        for channel, written in conversation.paths().items():
            text = quoted(written, cursor)
            yield Offer(written, "reference", text=text, detail=channel, rank=1)
    elif cursor.is_key:
        yield from _frame_fields(conversation, cursor)


def _types(conversation: Conversation, pointer: str) -> Iterator[Offer]:
    """The types of the channels that a frame may be on; sent frames are messages."""
    sections = ("messages",) if "send" in tokens(pointer) else ("events", "messages")
    for channel in conversation.channels_at(pointer):
        view = conversation.view_of(channel)
        for section in sections if view is not None else ():
            for name in view.names("channels", channel, section) if view is not None else ():
                yield Offer(name, "reference", detail=f"{section} of {channel}", rank=1)


def _frame_fields(conversation: Conversation, cursor: Cursor) -> Iterator[Offer]:
    """The fields of a frame, by the schema of its type."""
    if not FRAMES.fullmatch(f"{cursor.pointer}/type"):
        return
    type_ = value_at(cursor.view.tree.value, f"{cursor.pointer}/type")
    fields: dict[str, bool] = {} if "type" in cursor.siblings else {"type": True}
    for channel in conversation.channels_at(cursor.pointer) if isinstance(type_, str) else ():
        view = conversation.view_of(channel)
        for section in ("events", "messages") if view is not None else ():
            where = at("/channels", channel, section, str(type_), "schema")
            fields.update(view.fields(where) if view is not None else {})
    for field in fields:
        if field not in cursor.siblings:
            yield Offer(field, "field", text=f"{field}: ", rank=1)
