"""Answers the editor's requests: converts the other modules' results to the protocol's types and units."""

from collections.abc import Callable
from typing import Final

import attrs

from channeld.lsp.buffers import Caret, TextSpan
from channeld.lsp.completion import Offer, offers
from channeld.lsp.definition import definitions
from channeld.lsp.findings import range_of
from channeld.lsp.fixes import Fix, fixes
from channeld.lsp.hover import hover
from channeld.lsp.projects import Projects
from channeld.lsp.rename import rename, renamed_at
from channeld.lsp.symbols import Outline, OutlineEntry
from channeld.protocol.frames import Json

_COMPLETIONS: Final = {
    "text": 1, "function": 3, "field": 5, "variable": 6, "property": 10, "value": 12, "file": 17, "reference": 18,
    "folder": 19, "constant": 21,
}  # fmt: skip
_SYMBOLS: Final = {
    "module": 2, "class": 5, "method": 6, "function": 12, "variable": 13, "object": 19, "key": 20, "event": 24,
}  # fmt: skip


@attrs.define(eq=False)
class Answers:
    """Answers about documents, open or not. A missing file gives no answers."""

    projects: Projects
    uri_of: Callable[[str], str]
    outline: Outline = attrs.field(factory=Outline)

    def _caret(self, name: str, line: int, units: int) -> Caret | None:
        buffer = self.projects.buffer(name)
        return None if buffer is None else buffer.caret(line, units)

    def _range(self, name: str, span: TextSpan) -> dict[str, Json]:
        return range_of(span, self.projects.buffer(name))

    def completion(self, name: str, line: int, units: int) -> Json:
        """`textDocument/completion`."""
        caret = self._caret(name, line, units)
        found = offers(self.projects, name, caret) if caret is not None else None
        if found is None:
            return []
        span, offered = found
        where = self._range(name, span)
        return [self._item(offer, where) for offer in offered]

    def _item(self, offer: Offer, where: Json) -> Json:
        text = offer.text or offer.label
        item: dict[str, Json] = {
            "label": offer.label,
            "kind": _COMPLETIONS[offer.kind],
            "sortText": f"{offer.rank}{offer.label}",
            "filterText": text,
            "textEdit": {"range": where, "newText": text},
        }
        if offer.detail:
            item["detail"] = offer.detail
        if offer.documentation:
            item["documentation"] = {"kind": "markdown", "value": offer.documentation}
        return item

    def hover(self, name: str, line: int, units: int) -> Json:
        """`textDocument/hover`."""
        caret = self._caret(name, line, units)
        found = hover(self.projects, name, caret) if caret is not None else None
        if found is None:
            return None
        span, text = found
        answer: dict[str, Json] = {"contents": {"kind": "markdown", "value": text}}
        if span is not None:
            answer["range"] = self._range(name, span)
        return answer

    def definition(self, name: str, line: int, units: int) -> Json:
        """`textDocument/definition`."""
        caret = self._caret(name, line, units)
        found = definitions(self.projects, name, caret) if caret is not None else []
        return [
            {"uri": self.uri_of(one.name), "range": self._range(one.name, one.span)}
            for one in found
        ]

    def prepare_rename(self, name: str, line: int, units: int) -> Json:
        """`textDocument/prepareRename`."""
        caret = self._caret(name, line, units)
        found = renamed_at(self.projects, name, caret) if caret is not None else None
        if found is None:
            return None
        return {"range": self._range(name, found[0]), "placeholder": found[1]}

    def rename(self, name: str, line: int, units: int, new: str) -> Json:
        """`textDocument/rename`.

        Raises:
            RenameRefused: it cannot be renamed so.
        """
        caret = self._caret(name, line, units)
        changes: dict[str, list[Json]] = {}
        for one in rename(self.projects, name, caret, new) if caret is not None else ():
            edit: Json = {"range": self._range(one.name, one.span), "newText": one.text}
            changes.setdefault(self.uri_of(one.name), []).append(edit)
        return {"changes": dict(changes)}

    def actions(self, name: str, start: tuple[int, int], end: tuple[int, int]) -> Json:
        """`textDocument/codeAction`: quick fixes."""
        first, last = self._caret(name, *start), self._caret(name, *end)
        if first is None or last is None:
            return []
        found = fixes(self.projects, name, TextSpan(first, last))
        return [self._action(name, fix) for fix in found]

    def _action(self, name: str, fix: Fix) -> Json:
        edit: Json = {"range": self._range(name, fix.span), "newText": fix.text}
        place = self._range(name, TextSpan.of(fix.finding.place))
        message, code = fix.finding.message, fix.finding.code
        finding: Json = {"range": place, "code": code, "source": "channeld", "message": message}
        return {
            "title": fix.title,
            "kind": "quickfix",
            "diagnostics": [finding],
            "isPreferred": fix.is_preferred,
            "edit": {"changes": {self.uri_of(name): [edit]}},
        }

    def symbols(self, name: str) -> Json:
        """`textDocument/documentSymbol`."""
        return [self._symbol(name, entry) for entry in self.outline.of(self.projects, name)]

    def _symbol(self, name: str, entry: OutlineEntry) -> Json:
        symbol: dict[str, Json] = {
            "name": entry.name,
            "kind": _SYMBOLS[entry.kind],
            "range": self._range(name, entry.whole),
            "selectionRange": self._range(name, entry.span),
            "children": [self._symbol(name, one) for one in entry.below],
        }
        if entry.detail:
            symbol["detail"] = entry.detail
        return symbol
