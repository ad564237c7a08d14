"""The manual of the metrics is their docstrings: every public function has a full one, and every example in it runs."""

import doctest
import importlib
import inspect
import pkgutil
import re

import numpy as np
import pytest

from visaudio_bench import metrics

NAMES = [module.name for module in pkgutil.iter_modules(metrics.__path__)]
SECTION = re.compile(r"^(Args|Returns|Raises|Example):$", re.MULTILINE)


@pytest.fixture(params=NAMES)
def module(request):
    return importlib.import_module(f"{metrics.__name__}.{request.param}")


def own(module, kind):
    """The public functions or classes that a module itself defines."""
    members = inspect.getmembers(module, kind)
    return {name: value for name, value in members if not name.startswith("_") and value.__module__ == module.__name__}


def functions(module):
    """Its public functions and the public methods of its public classes."""
    named = own(module, inspect.isfunction)
    for name, owner in own(module, inspect.isclass).items():
        members = {key: value for key, value in vars(owner).items() if not key.startswith("_")}
        plain = {key: getattr(value, "__func__", value) for key, value in members.items()}
        named |= {f"{name}.{key}": value for key, value in plain.items() if inspect.isfunction(value)}
    return named


def sections(function):
    """The parts of a docstring by heading, "" for what comes before the first."""
    first, *rest = SECTION.split(inspect.getdoc(function) or "")
    return {"": first} | dict(zip(rest[::2], rest[1::2], strict=True))


def test_every_example_shows_what_the_code_answers(module):
    """With the public names of the module and numpy as np: what a reader has who imported the module's names."""
    names = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    answer = doctest.testmod(module, globs=names | {"np": np})
    assert answer.failed == 0
    assert answer.attempted or not own(module, inspect.isfunction)


def test_every_public_function_says_what_it_takes_and_returns_and_shows_it(module):
    for name, function in functions(module).items():
        parts = sections(function)
        signature = inspect.signature(function)
        taken = [parameter for parameter in signature.parameters if parameter not in ("self", "cls")]
        said = re.findall(r"^    (\w+):", parts.get("Args", ""), re.MULTILINE)
        assert said == taken, f"{name}: Args must name {taken}"
        assert ("Returns" in parts) == (signature.return_annotation != "None"), f"{name}: Returns"
        assert ">>> " in parts.get("Example", "") or "." in name, f"{name}: Example"


def test_every_field_of_a_public_class_is_described(module):
    for name, kind in own(module, inspect.isclass).items():
        text = inspect.getdoc(kind) or ""
        for field in getattr(kind, "__annotations__", {}):
            assert re.search(rf"^    {field}:", text, re.MULTILINE), f"{name}.{field} is not described"
