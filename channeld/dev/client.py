"""The interactive client: one connection with a line editor, and the same for scripts.

Received text is shown with everything unprintable escaped, so that it cannot control the terminal. A script ends with a
`ping` of a known id: frames are handled in order, so its answer follows all other answers.
"""

import signal
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Protocol, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import attrs
import orjson
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from channeld.dev.address import Opening
from channeld.dev.prompt import Quit, Say, SendCommand, Typed, parse_line
from channeld.groups import first, leaves
from channeld.protocol.frames import CheckedJson, Frame, Json
from channeld.telemetry import escaped, one_line

CONNECT_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 2.0
ANSWER_TIMEOUT: Final = 10.0
LARGEST: Final = 16 * 1024 * 1024
QUEUE: Final = 256
END_ID: Final = "channeld-connect-end"


_Stream: TypeAlias = trio.SocketStream | trio.SSLStream[trio.SocketStream]


class NotConnected(Exception):
    """Why there is no connection; for an HTTP refusal, its status and the problem's title."""


class Screen(Protocol):
    """Shows frames and notices."""

    def frame(self, arrow: str, value: Json) -> None:
        """Show a frame: `→` if sent, `←` if received."""

    def notice(self, text: str) -> None:
        """Show a message that is not a frame."""

    def ended(self, text: str, code: int | None) -> None:
        """Show that the server ended the connection: with a close code, an HTTP status, or neither (None)."""


async def _open_stream(opening: Opening) -> _Stream:
    """Open TCP, with TLS if the scheme says so, using the system's trust (`SSL_CERT_FILE` adds to it).

    Raises:
        NotConnected: nobody listens, the name is unknown, the certificate is not trusted, or it takes too long.
    """
    parts = urlsplit(opening.url)
    host, secure, where = parts.hostname or "", parts.scheme == "wss", _origin(opening)
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            tcp = await trio.open_tcp_stream(host, parts.port or (443 if secure else 80))
            if not secure:
                return tcp
            context = ssl.create_default_context()
            stream = trio.SSLStream(tcp, context, server_hostname=host, https_compatible=True)
            try:
                await stream.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(tcp)
                raise
            return stream
    except trio.TooSlowError:
        raise NotConnected(f"{where}: no answer within {CONNECT_TIMEOUT:g} s") from None
    except (OSError, trio.BrokenResourceError) as error:
        raise NotConnected(f"no connection to {where}: {_root(error)}") from None


def _origin(opening: Opening) -> str:
    """The address without path and token, for messages."""
    parts = urlsplit(opening.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


async def _speak(
    opening: Opening, screen: Screen, speak: Callable[[WebSocketConnection], Awaitable[int]]
) -> int:
    """Connect, `speak`, and close within two seconds; returns its result, or 1 after a notice of the failure.

    We open and close the stream: trio-websocket leaves it open after a refusal and after the server's close.
    """
    try:
        stream = await _open_stream(opening)
    except NotConnected as error:
        screen.notice(str(error))
        return 1
    status = 1
    try:
        async with trio.open_nursery() as nursery:
            with trio.fail_after(CONNECT_TIMEOUT):
                connection = await _shake_hands(nursery, stream, opening)
            try:
                status = await speak(connection)
            except ConnectionClosed as closed:
                screen.ended(*_farewell(closed))
            finally:
                with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
                    await connection.aclose()
            nursery.cancel_scope.cancel()
    except* ConnectionRejected as group:
        refused = next(leaf for leaf in leaves(group) if isinstance(leaf, ConnectionRejected))
        words = _refusal(refused.status_code, refused.body)
        screen.ended(f"{_origin(opening)}: {words}", refused.status_code)
    except* trio.TooSlowError:
        screen.notice(f"{_origin(opening)}: no answer within {CONNECT_TIMEOUT:g} s")
    finally:
        await trio.aclose_forcefully(stream)
    return status


async def _shake_hands(
    nursery: trio.Nursery, stream: _Stream, opening: Opening
) -> WebSocketConnection:
    parts = urlsplit(opening.url)
    return await wrap_client_stream(
        nursery,
        stream,
        parts.netloc.rpartition("@")[2],
        urlunsplit(("", "", parts.path, parts.query, "")),
        subprotocols=opening.subprotocols or None,
        extra_headers=[(name.encode(), text.encode()) for name, text in opening.headers],
        max_message_size=LARGEST,
        message_queue_size=QUEUE,
    )


def _root(error: BaseException) -> str:
    """The message of the root cause, such as `Connection refused`."""
    error = first(error)
    while error.__cause__ is not None:
        error = first(error.__cause__)
    if isinstance(error, ConnectionRefusedError):
        return "connection refused; is the server running?"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or "the handshake failed"


def _refusal(status: int, body: bytes | None) -> str:
    try:
        problem = orjson.loads(body or b"")
    except orjson.JSONDecodeError:
        problem = None
    known = {each.value: each.phrase for each in HTTPStatus}
    title = problem.get("title") if isinstance(problem, dict) else None
    detail = problem.get("detail") if isinstance(problem, dict) else None
    words = title if isinstance(title, str) else known.get(status, "")
    more = f" ({escaped(detail)})" if isinstance(detail, str) else ""
    return f"refused: HTTP {status} {escaped(words)}{more}"


@attrs.frozen(slots=True, kw_only=True)
class ClientScript:
    """A script: texts to send, then the number of frames, or the type of frame, to wait for.

    Without `wait` it ends once everything sent has been answered, and fails if an answer is an error.
    """

    send: tuple[str, ...] = ()
    wait: int | str | None = None
    timeout: float = ANSWER_TIMEOUT


class _Conversation:
    """The conversation on one connection."""

    def __init__(self, connection: WebSocketConnection, screen: Screen) -> None:
        self._connection = connection
        self._screen = screen

    async def greet(self, opening: Opening) -> None:
        """Send the `authenticate` frame, if needed; it is not shown, since it contains a token."""
        if opening.first is not None:
            await self._connection.send_message(one_line(opening.first))

    async def send(self, text: str) -> None:
        """Send and show."""
        await self._connection.send_message(text)
        self._screen.frame("→", _value(text))

    async def ask_for_the_end(self) -> None:
        """Ask the server for a last answer, after which `receive` returns."""
        await self._connection.send_message(one_line({"type": "ping", "id": END_ID}))

    async def receive(self, wait: int | str | None = None) -> bool:
        """Show frames until what is awaited or the requested end; returns whether that succeeded."""
        seen, refused = 0, False
        while True:
            value = _value(await self._connection.get_message())
            frame: Frame = value if isinstance(value, dict) else {}
            is_error = frame.get("type") == "error"
            if frame.get("id") == END_ID and not is_error:
                return not refused
            self._screen.frame("←", value)
            seen, refused = seen + 1, refused or is_error
            if wait in (seen, frame.get("type")):
                return wait == "error" or not refused
            if frame.get("id") == END_ID:
                return False


def _value(text: str | bytes) -> CheckedJson:
    """The JSON of a frame, or its text if it is not JSON or nested too deep to encode."""
    try:
        value = orjson.loads(text)
        one_line(value)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return text if isinstance(text, str) else f"{len(text)} bytes of binary"
    return value


async def play(opening: Opening, script: ClientScript, screen: Screen) -> int:
    """Run a script. 0: success; 1: refused, closed, an error, or timed out (shown as a notice)."""

    async def speak(connection: WebSocketConnection) -> int:
        talk = _Conversation(connection, screen)
        with trio.move_on_after(script.timeout):
            # Closed while we were sending: earlier frames, such as the error, still have to be shown.
            with suppress(ConnectionClosed):
                await talk.greet(opening)
                for text in script.send:
                    await talk.send(text)
                if script.wait is None:
                    await talk.ask_for_the_end()
            return 0 if await talk.receive(script.wait) else 1
        screen.notice(f"{_awaited(script.wait)} within {script.timeout:g} s")
        return 1

    return await _speak(opening, screen, speak)


def _awaited(wait: int | str | None) -> str:
    match wait:
        case None:
            return "the answers did not come"
        case int():
            return f"fewer than {wait} frame{'s' * (wait > 1)} came"
        case _:
            return f"no `{escaped(wait)}` frame came"


class LineClosed(Exception):
    """The connection has ended; `code` is the server's close code, or None."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


@attrs.frozen
class Line:
    """A connection for programs: texts in both directions. Both verbs raise `LineClosed`."""

    _connection: WebSocketConnection

    async def send(self, text: str) -> None:
        """Send a frame."""
        try:
            await self._connection.send_message(text)
        except ConnectionClosed as closed:
            raise LineClosed(closed.reason.code if closed.reason else None) from None

    async def receive(self) -> str:
        """The next frame."""
        try:
            text = await self._connection.get_message()
        except ConnectionClosed as closed:
            raise LineClosed(closed.reason.code if closed.reason else None) from None
        return text if isinstance(text, str) else text.decode("utf-8", "replace")


async def speak_on(
    opening: Opening, screen: Screen, speak: Callable[[Line], Awaitable[None]]
) -> None:
    """Connect, authenticate, `speak` and close; the screen shows why if there is no connection."""

    async def speak_first(connection: WebSocketConnection) -> int:
        with suppress(ConnectionClosed):
            await _Conversation(connection, screen).greet(opening)
        await speak(Line(connection))
        return 0

    await _speak(opening, screen, speak_first)


def _farewell(closed: ConnectionClosed) -> tuple[str, int | None]:
    if closed.reason is None:
        return "closed", None
    code, words = closed.reason.code, closed.reason.reason or closed.reason.name
    return f"closed by the server: {code} {escaped(words or '')}".rstrip(), code


async def converse(
    opening: Opening, screen: Screen, read_line: Callable[[], str], *, piped: bool = False
) -> int:
    """Run interactively until one side ends. 0: the user left; 1: refused or closed; 130: Ctrl-C.

    `read_line` is called in a thread and raises EOFError at the end. With a pipe, the answers to the last lines are
    awaited, and an error among them gives 1.
    """

    async def speak(connection: WebSocketConnection) -> int:
        talk = _Conversation(connection, screen)
        with suppress(ConnectionClosed):
            await talk.greet(opening)
        return await _both_ways(talk, screen, read_line, piped=piped)

    return await _speak(opening, screen, speak)


async def _both_ways(
    talk: _Conversation, screen: Screen, read_line: Callable[[], str], *, piped: bool
) -> int:
    status = 0
    async with trio.open_nursery() as nursery:

        def end(with_status: int) -> None:
            nonlocal status
            status = with_status
            nursery.cancel_scope.cancel()

        async def listen() -> None:
            try:
                end(0 if await talk.receive() else 1)
            except ConnectionClosed as closed:
                screen.ended(*_farewell(closed))
                end(1)

        async def watch_for_interrupts(task_status: trio.TaskStatus[None]) -> None:
            with trio.open_signal_receiver(signal.SIGINT) as interrupts:
                task_status.started()
                async for _ in interrupts:
                    end(130)

        await nursery.start(watch_for_interrupts)
        nursery.start_soon(listen)
        if await _type(talk, screen, read_line, piped=piped):
            if piped:
                await trio.sleep(ANSWER_TIMEOUT)
                screen.notice(f"the last answers did not arrive within {ANSWER_TIMEOUT:g} s")
            end(1 if piped else 0)
    return status


async def _type(
    talk: _Conversation, screen: Screen, read_line: Callable[[], str], *, piped: bool
) -> bool:
    """Send what is typed until the user leaves; False if the connection ended first (the listener shows why)."""
    with suppress(ConnectionClosed):
        typed: Typed = None
        while not isinstance(typed, Quit):
            try:
                line = await trio.to_thread.run_sync(read_line, abandon_on_cancel=True)
            except EOFError:
                break
            typed = parse_line(line)
            if isinstance(typed, SendCommand):
                await talk.send(typed.text)
            elif isinstance(typed, Say):
                screen.notice(typed.text)
        if piped:
            await talk.ask_for_the_end()
        return True
    return False
