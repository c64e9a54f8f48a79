"""An editor as the server sees it: raw JSON-RPC over the standard streams of `channeld lsp`."""

import itertools
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE = 100.0
COMMAND = [sys.executable, "-m", "channeld", "lsp"]


class Editor:
    """One connection. What the server sends is read by a thread, so that no answer is waited for in vain."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.capabilities: dict[str, Any] = {}
        self.findings: dict[str, list[Any]] = {}
        self.logged: list[str] = []
        self.requests: list[Any] = []
        self.ended = False
        self.opened: set[str] = set()
        self.versions = itertools.count(1)
        self._ids = itertools.count(1)
        self._incoming: queue.Queue[Any] = queue.Queue()
        self._answers: dict[Any, Any] = {}
        threading.Thread(target=self._read, daemon=True).start()

    # -------------------------------------------------------------------------------------------------- the wire

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while head := stream.readline():
            length = 0
            while head.strip():
                name, _, value = head.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                head = stream.readline()
            self._incoming.put(json.loads(stream.read(length)))
        self._incoming.put(None)

    def raw(self, data: bytes) -> None:
        stream = self.process.stdin
        assert stream is not None
        stream.write(data)
        stream.flush()

    def send(self, **message: Any) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.raw(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def notify(self, method: str, params: Any) -> None:
        self.send(method=method, params=params)

    def ask(self, method: str, params: Any) -> Any:
        number = next(self._ids)
        self.send(id=number, method=method, params=params)
        self.until(lambda: number in self._answers)
        answer = self._answers.pop(number)
        return answer["error"] if "error" in answer else answer["result"]

    def until(self, done: Callable[[], bool]) -> None:
        while not done():
            message = self._incoming.get(timeout=PATIENCE)
            assert message is not None, f"the server ended; {self.logged}"
            self._take(message)

    def _take(self, message: Any) -> None:
        match message:
            case {"method": "textDocument/publishDiagnostics", "params": params}:
                self.findings[params["uri"]] = params["diagnostics"]
            case {"method": "window/logMessage", "params": params}:
                self.logged.append(params["message"])
            case {"method": _, "id": number}:
                self.requests.append(message)
                self.send(id=number, result=None)
            case {"id": number}:
                self._answers[number] = message

    # --------------------------------------------------------------------------------------------------- a session

    def initialize(self, **capabilities: Any) -> None:
        result = self.ask(
            "initialize", {"processId": None, "rootUri": None, "capabilities": capabilities}
        )
        self.capabilities = result["capabilities"]
        self.notify("initialized", {})

    def open(self, path: Path | str, text: str | None = None) -> str:
        uri = path.as_uri() if isinstance(path, Path) else path
        if text is None:
            text = Path(path).read_bytes().decode()
        document = {"uri": uri, "languageId": "yaml", "version": next(self.versions), "text": text}
        self.notify("textDocument/didOpen", {"textDocument": document})
        self.opened.add(uri)
        return uri

    def change(self, uri: str, text: str, span: tuple[int, int, int, int] | None = None) -> None:
        change: dict[str, Any] = {"text": text}
        if span is not None:
            change["range"] = {
                "start": {"line": span[0], "character": span[1]},
                "end": {"line": span[2], "character": span[3]},
            }
        document = {"uri": uri, "version": next(self.versions)}
        self.notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}
        )

    def close(self, uri: str) -> None:
        self.notify("textDocument/didClose", {"textDocument": {"uri": uri}})
        self.opened.discard(uri)

    def at(self, method: str, uri: str, line: int, unit: int, **more: Any) -> Any:
        position = {"line": line, "character": unit}
        params = {"textDocument": {"uri": uri}, "position": position, **more}
        return self.ask(f"textDocument/{method}", params)

    def codes(self, uri: str) -> list[str]:
        return sorted(one["code"] for one in self.findings.get(uri, []))

    def until_codes(self, uri: str, *codes: str) -> None:
        """Wait until these, and no others, are the findings of a document."""
        self.until(lambda: uri in self.findings and self.codes(uri) == sorted(codes))

    def finding(self, uri: str, code: str) -> Any:
        return next(one for one in self.findings[uri] if one["code"] == code)


@contextmanager
def editing(
    folder: Path,
    command: list[str] = COMMAND,
    environ: Mapping[str, str] | None = None,
    **capabilities: Any,
) -> Iterator[Editor]:
    """An editor whose server works in a folder; at the end it shuts the server down as it should."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, env=environ) as process:
        editor = Editor(process)
        try:
            editor.initialize(**capabilities)
            yield editor
            if editor.ended:
                return
            editor.ask("shutdown", None)
            editor.notify("exit", None)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
