"""The client's source, as it stands in the package, and the lines at the head of every generated module."""

from importlib.resources import files
from typing import Final, Literal

from channeld import __version__

__all__ = ["HEAD", "client_source"]

HEAD: Final = (
    f"// Made by channeld {__version__} from a channels.yaml; change that, and export again."
)


def client_source(name: Literal["client.ts", "client.js"]) -> str:
    """The client in TypeScript, or in JavaScript as the TypeScript compiler writes it."""
    return files("channeld.export").joinpath("templates", name).read_text("utf-8")
