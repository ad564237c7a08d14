"""What JSON of somebody else's must look like, before anything is done with it.

A shape is a type (`str`, `int`, `float`, `bool`, `None`, or a dataclass, whose fields' annotations count), a list of
one shape, an object of named shapes (`?` behind a name: it may be absent; names that are not listed may be there), an
object `{str: shape}` with any names, a set of allowed values, a tuple of alternatives, or `object` for anything.
"""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    None: "null",
}
_LARGEST = 2**63  # beyond this a whole number is none that anybody counted
_SHOWN = 60  # characters of a wrong value in a message


def require(value: Any, shape: Any, where: str = "") -> None:
    """Refuse a value that has not the shape.

    Args:
        value: what was read.
        shape: what it must look like.
        where: what the value is called in messages.

    Raises:
        ValueError: the first thing that is wrong, with the place: `results[3].n is "x", a whole number was expected`.
    """
    if isinstance(shape, tuple):
        _require_one_of(value, shape, where)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise ValueError(_wrong(value, "a list", where))
        for number, entry in enumerate(value):
            require(entry, shape[0], f"{where}[{number}]")
    elif isinstance(shape, frozenset):
        if not isinstance(value, str) or value not in shape:
            raise ValueError(_wrong(value, f"one of {', '.join(sorted(shape))}", where))
    elif isinstance(shape, dict):
        _require_object(value, shape, where)
    elif isinstance(shape, type) and dataclasses.is_dataclass(shape):
        fields, known = _of_dataclass(shape)
        _require_object(value, fields, where)
        unknown = sorted(value.keys() - known)
        if unknown:
            raise ValueError(f"{_dotted(where, unknown[0])} is not a field of this schema")
    elif shape is not object and not _is(value, shape):
        raise ValueError(_wrong(value, _WORDS[shape], where))


def _require_one_of(value: Any, shapes: Sequence[Any], where: str) -> None:
    for shape in shapes:
        if shape is None and value is None:
            return
    others = [shape for shape in shapes if shape is not None]
    if len(others) == 1 and value is not None:
        require(value, others[0], where)
        return
    for shape in others:
        try:
            require(value, shape, where)
        except ValueError:
            continue
        return
    raise ValueError(_wrong(value, " or ".join(_WORDS.get(shape, "another shape") for shape in shapes), where))


def _require_object(value: Any, shape: Mapping[Any, Any], where: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(_wrong(value, "an object", where))
    if str in shape:
        for name, inner in value.items():
            require(name, str, f"a name in {where or 'it'}")
            require(inner, shape[str], _dotted(where, name))
        return
    for name, inner in shape.items():
        if (bare := name.removesuffix("?")) in value:
            require(value[bare], inner, _dotted(where, bare))
    missing = [name for name in shape if not name.endswith("?") and name not in value]
    if missing:
        raise ValueError(f"{_dotted(where, missing[0])} is missing")


def _is(value: Any, shape: Any) -> bool:
    if shape is None:
        return value is None
    if shape is str:
        return isinstance(value, str) and not _broken(value)
    if isinstance(value, bool):
        return shape is bool
    if shape is int:
        return isinstance(value, int) and abs(value) < _LARGEST
    if shape is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max  # NaN is not
    return False


def _broken(text: str) -> bool:
    """Whether a text holds half a character, which no file and no terminal takes."""
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


def _wrong(value: Any, expected: str, where: str) -> str:
    try:
        shown = ascii(value)
    except ValueError:  # a number of thousands of digits
        shown = "a very long number"
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return f"{where or 'it'} is {shown}, {expected} was expected"


def _dotted(where: str, name: str) -> str:
    shown = name if name.isidentifier() else ascii(name)
    return f"{where}.{shown}" if where else shown


@lru_cache
def _of_dataclass(kind: type) -> tuple[dict[str, Any], frozenset[str]]:
    """The shapes of a dataclass's fields, and their names; fields with a default may be absent."""
    hints = get_type_hints(kind)
    fields = {}
    for field in dataclasses.fields(kind):
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        fields[field.name + "?" * optional] = _of_hint(hints[field.name])
    return fields, frozenset(hints)


def _of_hint(hint: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return tuple(None if hint is type(None) else _of_hint(hint) for hint in inner)
    if origin is Literal:
        return frozenset(inner)
    if origin is not None and issubclass(origin, Mapping):
        return {str: _of_hint(inner[1])}
    if origin is not None and issubclass(origin, Sequence):
        return [_of_hint(inner[0])]
    return object if hint is Any else hint
