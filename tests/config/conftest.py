from collections.abc import Callable, Mapping

import pytest

from channeld.config.load import Loaded, load
from channeld.config.source import FileSystem

ENVIRONMENT = {
    "CHANNELD_JWT_SECRET": "a secret of more than thirty-two bytes",
    "SENSOR_TOKEN": "a-token-nobody-can-guess",
}

Load = Callable[..., Loaded]


def load_text(
    text: str | bytes,
    *,
    files: Mapping[str, str | bytes] | None = None,
    environ: Mapping[str, str] | None = None,
    missing_is_error: bool = False,
) -> Loaded:
    """Load `conf/channels.yaml`, which holds `text`, from files that only exist here."""
    held = {"conf/channels.yaml": text, **(files or {})}

    def read(file: str) -> bytes:
        if file not in held:
            raise FileNotFoundError(2, "No such file or directory", file)
        found = held[file]
        return found.encode() if isinstance(found, str) else found

    return load(
        "conf/channels.yaml",
        FileSystem(read, lambda pattern: [name for name in held if name == pattern]),
        ENVIRONMENT if environ is None else environ,
        missing_is_error=missing_is_error,
    )


@pytest.fixture(scope="session")
def load_config() -> Load:
    """`load` on a text, with `files` beside it and an `environ`."""
    return load_text
