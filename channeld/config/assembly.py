"""From a mapping in the model's own form to the model, by cattrs, strictly: nothing is coerced, no key is ignored."""

import functools
import operator
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn, override

from channeld.config.model import Auth, Config, HookAuth, JwtAuth, Rate, Secret, TokensAuth

__all__ = ["make_model"]

_AUTHENTICATORS: Final = {"jwt": JwtAuth, "tokens": TokensAuth, "hook": HookAuth}


def make_model(clean: Mapping[str, Any]) -> Config:
    """A `Config` from a mapping with every short form written out and every scalar read.

    Raises:
        cattrs.BaseValidationError: if the mapping is not in that form, which the walk over the language rules out.
    """
    return _CONVERTER.structure(clean, Config)


def _exactly(*kinds: type) -> Callable[[Any, object], Any]:
    def check(value: Any, _: object) -> Any:
        if type(value) not in kinds:
            raise TypeError(f"expected {kinds[0].__name__}, got {type(value).__name__}")
        return value

    return check


def _number(value: Any, _: object) -> float:
    return float(_exactly(float, int)(value, _))


def _holds_json(annotation: object) -> bool:
    """Whether a field's type is made of `Json`, which stands in the model as a forward reference."""
    if get_origin(annotation) is Literal:
        return False
    return isinstance(annotation, str) or any(_holds_json(part) for part in get_args(annotation))


def _json_field(annotation: object) -> Callable[[Any, object], Any]:
    return lambda value, _: tuple(value) if get_origin(annotation) is tuple else value


def _class(cls: type, converter: cattrs.Converter) -> Callable[[Mapping[str, Any], Any], Any]:
    if cls in {Rate, Secret}:
        return _exactly(cls)
    # As they are written in the class: cattrs resolves forward references in the fields' own types.
    json = {
        name: override(struct_hook=_json_field(annotation))
        for name, annotation in cls.__annotations__.items()
        if _holds_json(annotation)
    }
    # mypy takes the fields' overrides for cattrs' own keywords.
    return make_dict_structure_fn(cls, converter, _cattrs_forbid_extra_keys=True, **json)  # type: ignore[arg-type]


def _authenticator(entry: Mapping[str, Any], _: object) -> Any:
    rest = {key: value for key, value in entry.items() if key != "type"}
    return _CONVERTER.structure(rest, _AUTHENTICATORS[entry["type"]])


def _is_word_or(union: Any) -> bool:
    """Whether a type is one of some words, or something else: `Literal[...] | X`."""
    parts = get_args(union)
    return len(parts) == 2 and get_origin(parts[0]) is Literal and parts[1] is not NoneType


def _word_or(union: Any, converter: cattrs.Converter) -> Callable[[Any, Any], Any]:
    """The word as it is, since the walk has checked it, or the form of the other part."""
    other = get_args(union)[1]
    return lambda value, _: value if type(value) is str else converter.structure(value, other)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for kind in (bool, int, str):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_factory(attrs.has, _class)
    converter.register_structure_hook_factory(_is_word_or, _word_or)
    converter.register_structure_hook_func(functools.partial(operator.eq, Auth), _authenticator)
    return converter


_CONVERTER: Final = _converter()
