"""The language server's connection: pygls reads and writes, `service.py` answers. Only this module knows pygls."""

import logging
import os
import sys
from collections.abc import Callable, Generator
from importlib import import_module
from typing import Any, Final, TypeAlias

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter
from pygls.protocol.language_server import lsp_method

from channeld import __version__
from channeld.lsp.answers import Answers
from channeld.lsp.buffers import Encoding, name_of
from channeld.lsp.rename import RenameRefused
from channeld.lsp.service import Edit, Service
from channeld.protocol.frames import Json

_WATCHED: Final = ("**/*.yaml", "**/*.yml", "**/*.json", "**/*.py")
_COMPLETION: Final = types.CompletionOptions(trigger_characters=[".", "{", ":", " ", "/", "[", '"'])
_ACTIONS: Final = types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
_ENCODINGS: Final[dict[str, Encoding]] = {"utf-8": "utf-8", "utf-32": "utf-32"}


_Steps: TypeAlias = Generator[object, object, None]
_Places: TypeAlias = types.TextDocumentPositionParams
_Question: TypeAlias = Callable[[Answers, str, int, int], Json]


def _left(method: str) -> Any:
    """Leaves document notifications to the service alone."""

    @lsp_method(method)
    def handle(self: "_Protocol", params: object) -> _Steps:
        yield self.fm.features[method], (params,), None

    return handle


class _Protocol(LanguageServerProtocol):
    """pygls' protocol with our own documents, and answers that are already encoded."""

    lsp_text_document__did_open = _left(types.TEXT_DOCUMENT_DID_OPEN)
    # pygls treats U+2028 and others as line breaks, clients don't.
    lsp_text_document__did_change = _left(types.TEXT_DOCUMENT_DID_CHANGE)
    lsp_text_document__did_close = _left(types.TEXT_DOCUMENT_DID_CLOSE)

    def _send_response(
        self,
        msg_id: str | int,
        result: object = None,
        error: types.ResponseError | None = None,
    ) -> None:
        """Send encoded JSON as it is; decoding and encoding again is slow for large answers."""
        if error is None and isinstance(result, dict | list):
            self._result_types.pop(msg_id, None)
            self._send_data({"jsonrpc": "2.0", "id": msg_id, "result": result})
        else:
            super()._send_response(msg_id, result, error)

    @property
    def is_shut_down(self) -> bool:
        """Whether the client has requested a shutdown."""
        return bool(self._shutdown)

    def tell(self, method: str, params: Json) -> None:
        """Send an encoded notification."""
        self._send_data({"jsonrpc": "2.0", "method": method, "params": params})


class _Wired(LanguageServer):
    """The server with its service. A failing request is answered with an error; nothing pops up in the editor."""

    service: Service

    @property
    def wire(self) -> _Protocol:
        """The protocol with its actual type."""
        assert isinstance(self.protocol, _Protocol)  # noqa: S101 - pygls types it as its own
        return self.protocol

    def report_server_error(self, error: Exception, source: object) -> None:
        """Write a failure to the client's log."""
        self.wire.tell("window/logMessage", {"type": 1, "message": f"channeld: {error}"})


def start() -> int:
    """Serve on standard input and output until the client exits; returns 0 after a shutdown request, else 1."""
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    server = _Wired(
        "channeld", __version__, protocol_cls=_Protocol, converter_factory=default_converter
    )
    _add_session(server)
    _add_documents(server)
    _add_questions(server)
    _add_edits(server)
    # Other output must not get between the messages.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server.start_io(sys.stdin.buffer, answers)
    return 0 if server.wire.is_shut_down else 1


def _add_session(server: _Wired) -> None:
    @server.feature(types.INITIALIZE)
    def initialize(params: types.InitializeParams) -> None:
        server.service = Service(server.wire.tell)
        chosen = server.workspace.position_encoding
        encoding = _ENCODINGS.get(str(getattr(chosen, "value", chosen)), "utf-16")
        server.service.projects.encoding = encoding

    @server.feature(types.INITIALIZED)
    def initialized(params: types.InitializedParams) -> None:
        workspace = server.client_capabilities.workspace
        watching = workspace.did_change_watched_files if workspace else None
        if watching is not None and watching.dynamic_registration:
            server.client_register_capability(_watching())
        # The first keystroke should not wait for it.
        import_module("channeld.plan.compile")

    @server.feature(types.SHUTDOWN)
    async def shutdown(params: None) -> None:
        await server.service.close()


def _add_documents(server: _Wired) -> None:
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: types.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        server.service.opened(document.uri, document.text, document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: types.DidChangeTextDocumentParams) -> None:
        document = params.text_document
        edits = [_edit(change) for change in params.content_changes]
        server.service.changed(document.uri, edits, document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: types.DidCloseTextDocumentParams) -> None:
        server.service.closed(params.text_document.uri)

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(params: types.DidChangeWatchedFilesParams) -> None:
        server.service.files_changed()


def _add_questions(server: _Wired) -> None:
    questions: dict[str, tuple[_Question, object]] = {
        types.TEXT_DOCUMENT_COMPLETION: (Answers.completion, _COMPLETION),
        types.TEXT_DOCUMENT_HOVER: (Answers.hover, None),
        types.TEXT_DOCUMENT_DEFINITION: (Answers.definition, None),
        types.TEXT_DOCUMENT_PREPARE_RENAME: (Answers.prepare_rename, None),
    }
    for method, (question, options) in questions.items():

        @server.feature(method, options)
        def answer(params: _Places, question: _Question = question) -> Json:
            name, position = name_of(params.text_document.uri), params.position
            return question(server.service.answers, name, position.line, position.character)

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def symbols(params: types.DocumentSymbolParams) -> Json:
        return server.service.answers.symbols(name_of(params.text_document.uri))


def _add_edits(server: _Wired) -> None:
    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename(params: types.RenameParams) -> Json:
        name, position = name_of(params.text_document.uri), params.position
        place = position.line, position.character
        try:
            return server.service.answers.rename(name, *place, params.new_name)
        except RenameRefused as refusal:
            raise JsonRpcInvalidParams(str(refusal)) from refusal

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, _ACTIONS)
    def actions(params: types.CodeActionParams) -> Json:
        ends = ((end.line, end.character) for end in (params.range.start, params.range.end))
        return server.service.answers.actions(name_of(params.text_document.uri), *ends)


def _edit(change: types.TextDocumentContentChangeEvent) -> Edit:
    if not isinstance(change, types.TextDocumentContentChangePartial):
        return None, change.text
    start, end = change.range.start, change.range.end
    return (start.line, start.character, end.line, end.character), change.text


def _watching() -> types.RegistrationParams:
    watchers = [types.FileSystemWatcher(glob_pattern=pattern) for pattern in _WATCHED]
    options = types.DidChangeWatchedFilesRegistrationOptions(watchers=watchers)
    method = types.WORKSPACE_DID_CHANGE_WATCHED_FILES
    registration = types.Registration(id="files", method=method, register_options=options)
    return types.RegistrationParams(registrations=[registration])
