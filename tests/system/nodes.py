"""Several nodes as processes of their own, and the Redis or Valkey between them."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.broker.conftest import Server, _binary
from tests.system.kit import SECRET, Client, Served, command, environment, process_of, token

CHANNELS = """
channeld: 1
server: {drain: 1s}
broker: {redis: {url: "${REDIS_URL}", prefix: "${PREFIX:-nodes}"}}
auth:
  who: {type: jwt, algorithms: [HS256], secret: "${SECRET}", audience: chat}
channels:
  room:
    path: /rooms/{room}
    description: Everyone in a room.
    auth: who
    rooms: {join: "{params.room}", subscribe: {allow: ["*"]}}
    presence: {grace: 200ms, info: {name: "{user.id}"}}
    history: {size: 50, ttl: 1h}
    limits: {connections_per_user: 5}
    messages:
      say: {schema: true, route: room, stamp: {from: "{user.id}"}}
      tell:
        schema: {type: object, required: [to], properties: {to: {type: string}}, additionalProperties: false}
        route: {to: user, user: "{message.to}"}
      shout: {schema: true, route: global}
  open:
    path: /open
    description: No broker is needed to come in.
    auth: none
    messages:
      shout: {schema: true, route: global}
"""


@attrs.define(eq=False)
class Fleet:
    """Nodes that share a server. `start` starts one more."""

    server: Server
    folder: Path
    stack: contextlib.ExitStack
    nodes: list[Served] = attrs.field(factory=list)

    def start(self, *options: str, **variables: str) -> Served:
        """A node; it is not waited for."""
        arguments = command("run", "--bind", "127.0.0.1:0", "--log-format", "json", *options)
        known = {"SECRET": SECRET, "REDIS_URL": self.server.url, **variables}
        environ = environment(**known)
        node = self.stack.enter_context(process_of(arguments, self.folder, environ))
        self.nodes.append(node)
        return node

    def starts(self, count: int) -> list[Served]:
        """Nodes that serve."""
        for node in [self.start() for _ in range(count)]:
            node.wait_ready()
        return self.nodes[-count:]


@contextlib.contextmanager
def fleet_of(kind: str, folder: Path, *options: str) -> Iterator[Fleet]:
    """A fleet without nodes, on a server of its own."""
    folder.joinpath("channels.yaml").write_text(CHANNELS)
    # Not the test's folder: a socket's name must be short.
    with tempfile.TemporaryDirectory(prefix="cd-") as place, contextlib.ExitStack() as stack:
        server = Server(_binary(kind), Path(place))
        server.start(*options)
        stack.callback(_end, server)
        yield Fleet(server, folder, stack)


def _end(server: Server) -> None:
    if server.process is not None:
        server.kill()


def come(node: Served, user: str, room: str = "a", since: str = "") -> Client:
    """A user comes into a room; what is said on coming in is still to be read."""
    query = f"&since={since}" if since else ""
    return node.connect(f"/rooms/{room}?token={token(user)}{query}")


def enter(node: Served, user: str, room: str = "a") -> Client:
    """A user is in a room, and has read who is there."""
    client = come(node, user, room)
    while client.receive("presence").get("event") != "state":
        pass
    return client
