"""The texts of scenario files, for renderings of findings."""

import attrs

from channeld.scenarios.outcome import FileResult

__all__ = ["FileTexts"]


@attrs.frozen
class FileTexts:
    """Results as `diagnostics.render.Texts`."""

    _results: tuple[FileResult, ...]

    @property
    def files(self) -> list[str]:
        """Names, in the order of the results."""
        return [one.file for one in self._results]

    def text(self, file: str) -> str | None:
        """The text of a scenario file; None for any other."""
        return next((one.text for one in self._results if one.file == file), None)
