"""What template expressions may name: their roots, and the fields of these."""

from channeld.lsp.references import channel_of, message_of, params_of
from channeld.lsp.view import View
from channeld.pointer import at, tokens


def roots(pointer: str) -> dict[str, str]:
    """The roots of expressions at a location, with descriptions."""
    if pointer.startswith("/auth/"):
        return {"claims": "claims of the token"}
    found = {
        "params": "params of the path",
        "query": "parameters of the URL's query",
        "user.id": "the user's ID",
        "claims": "claims of the user",
        "connection.id": "the connection's ID",
        "now": "the time, RFC 3339",
        "now_ms": "the time in milliseconds",
        "uuid": "a new UUID",
    }
    belongs = message_of(tokens(pointer))
    if belongs is not None and belongs[1] == "messages":
        return {"message": "the message as it was sent", **found, "room": "the room"}
    if belongs is not None:
        return {"event": "the event"}
    return {**found, "room": "the room"} if "/presence/" in pointer else found


def fields_of(view: View, pointer: str, root: str, path: tuple[str, ...]) -> dict[str, bool]:
    """The fields of what an expression names, each with whether it always exists."""
    channel = channel_of(pointer)
    belongs = message_of(tokens(pointer))
    if root in ("message", "event") and belongs is not None:
        fields = view.fields(at("/channels", channel, belongs[1], belongs[2], "schema"), path)
        return fields if path else {**fields, "type": True}
    if root == "claims":
        named = (
            [tokens(pointer)[1]] if pointer.startswith("/auth/") else view.authenticators(channel)
        )
        return view.claims(named, path)
    match root if not path else "":
        case "params":
            return dict.fromkeys(params_of(view.at("channels", channel, "path")), True)
        case "query":
            declared = view.at("channels", channel, "query")
            found = declared if isinstance(declared, dict) else {}
            return {name: isinstance(one, dict) and "default" in one for name, one in found.items()}
        case "user" | "connection":
            return {"id": True}
        case _:
            return {}
