"""Unmasks payloads (RFC 6455 section 5.3): in C if `websockets` is installed, else in Python.

`websockets.speedups` is available as a wheel for every platform and takes a twentieth of the time. It is loaded from its
file: importing the package would cost more than all other imports here.
"""

import importlib.util
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from typing import TypeAlias, cast

Unmask: TypeAlias = Callable[[bytes, bytes], bytes]
"""The payload XORed with its 4-byte masking key."""

# Below this size one XOR of big integers is faster, above it four byte translations.
_LARGE = 1400
_XOR = [bytes(a ^ b for a in range(256)) for b in range(256)]


def unmask_plainly(payload: bytes, key: bytes) -> bytes:
    """The payload XORed with its 4-byte masking key, by big integers and translations."""
    size = len(payload)
    if size < _LARGE:
        mask = (key * ((size + 3) >> 2))[:size]
        plain = int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")
        return plain.to_bytes(size, "little")
    out = bytearray(payload)
    for lane in range(4):
        out[lane::4] = out[lane::4].translate(_XOR[key[lane]])
    return bytes(out)


def find_accelerated(package: str = "websockets") -> Unmask | None:
    """The same in C, or None if not installed. Never raises."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return None
    folders = (found.submodule_search_locations or ()) if found is not None else ()
    files = (
        Path(folder, f"speedups{suffix}") for folder in folders for suffix in EXTENSION_SUFFIXES
    )
    for file in files:
        if file.is_file():
            return _loaded(file)
    return None


def _loaded(file: Path) -> Unmask | None:
    loader = ExtensionFileLoader("websockets.speedups", str(file))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    try:
        if spec is None:
            return None
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        apply_mask = cast("Unmask", module.apply_mask)
        is_right = apply_mask(b"channeld", b"\x01\x02\x03\x04") == unmask_plainly(
            b"channeld", b"\x01\x02\x03\x04"
        )
    except (ImportError, AttributeError, TypeError):
        return None
    return apply_mask if is_right else None


unmask: Unmask = find_accelerated() or unmask_plainly
