"""What a result depends on in code: found by following imports from where it is made, never listed by hand.

`source_revision(__name__)` names the state of a module together with every module of the project that it imports, at
its top or inside a function, and so on from there. Nothing is imported for it: the source is read. A root may also be
a function; then only those statements of its module count that the function uses, directly or through each other.

Followed are modules of the project and of the root's own top-level package: what a plug-in is made of counts, and so
does what it uses of ours. Other people's packages are not followed; the provenance of a run records their versions.

* `if TYPE_CHECKING` is left out, because it never runs.
* Registries are left out, table and class: what may be asked for by name is no part of who can be asked. Who asks puts
  the revision of what it was given into its own.
* The `__init__` files of the packages around a module count, because they run before it does.
* Files beside the code count where they are read by `importlib.resources.files("package") / "name"`; where the last
  part is computed, the whole folder does.
* What is imported by a name that is computed when the program runs cannot be found, and must be a root of its own.

The source is the text of a module's statements. Comments between them and the module's docstring do not count, those
within do: to leave these out as well would take a hash that depends on Python's version or costs ten times as much.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from visaudio_bench import __version__
from visaudio_bench.errors import UsageError

OWN = __name__.partition(".")[0]  # the top-level package of the project


def source_revision(*roots: str | Callable[..., Any]) -> str:
    """Version of this project, and a hash of the source that `roots` depend on.

    A changed line makes another revision, so that nothing made by older code is taken for new; nobody has to remember
    to raise a number. It is computed once for each import of the roots: what runs is what was there then.

    Args:
        roots: dotted names of modules, `module:name` for a function or class of one, or a function itself (one that
            is defined inside another stands for the outermost).

    Raises:
        UsageError: a root has no source that can be read.
    """
    names = tuple(map(root_name, roots))
    return _revision(names, tuple(sys.modules.get(name.partition(":")[0]) for name in names))


def root_name(root: str | Callable[..., Any]) -> str:
    """The name that a root is known by, `module:name` for a function."""
    if isinstance(root, str):
        return root
    if isinstance(root, partial):
        return root_name(root.func)
    return f"{root.__module__}:{root.__qualname__.partition('.')[0]}"


@lru_cache
def _revision(roots: tuple[str, ...], loaded: tuple[ModuleType | None, ...]) -> str:
    del loaded  # a module that is imported anew may be another one
    state = hashlib.sha256()
    for name, sha256 in sorted(sources(*roots).items()):
        state.update(f"{name} {sha256}\n".encode())
    return f"{__version__}+{state.hexdigest()[:12]}"


def sources(*roots: str) -> dict[str, str]:
    """Everything that `roots` depend on: SHA-256 by name of the module, `module:name`, or `package/file`.

    Raises:
        UsageError: a root has no source that can be read.
    """
    own = {OWN} | {root.partition(".")[0].partition(":")[0] for root in roots}
    hashes: dict[str, str] = {}
    pending = list(roots)
    for root in roots:
        if _place(root.partition(":")[0]) is None:
            raise UsageError(f"the source of {root} cannot be found: what it makes cannot be told from what it made.")
    while pending:
        name = pending.pop()
        module, _, only = name.partition(":")
        place = _place(module) if name not in hashes and module.partition(".")[0] in own else None
        if place is None:
            continue  # known, somebody else's, or no module but a name in one
        read = _read(place, module, only)
        hashes[name] = read.sha256
        pending += read.imports
        pending += [module[:end] for end, letter in enumerate(module) if letter == "."]
        for folder, parts in read.data:
            hashes |= dict(_data(folder, parts))
    return hashes


class _Place(NamedTuple):
    """Where a module lies: its file (None for a package without `__init__`), and the folders of a package."""

    file: Path | None
    folders: tuple[str, ...] | None


def _place(name: str) -> _Place | None:
    """Where a module lies, None where there is no such module; nothing is imported."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        return _where(loaded)
    above, _, _ = name.rpartition(".")
    if not above:
        return _found(name, tuple(sys.path))
    package = _place(above)
    return None if package is None or package.folders is None else _found(name, package.folders)


@lru_cache(maxsize=1024)
def _where(module: ModuleType) -> _Place | None:
    spec = getattr(module, "__spec__", None)
    path = getattr(module, "__file__", None)  # a script has no spec
    return _of(spec) if spec is not None else _Place(Path(path), None) if path else None


@lru_cache(maxsize=1024)
def _found(name: str, path: tuple[str, ...]) -> _Place | None:
    spec = PathFinder.find_spec(name, path) if "." in name else find_spec(name)
    return None if spec is None else _of(spec)


def _of(spec: ModuleSpec) -> _Place:
    folders = spec.submodule_search_locations
    file = Path(spec.origin) if spec.has_location and spec.origin else None
    return _Place(file, None if folders is None else tuple(folders))


class _Read(NamedTuple):
    """The hash of a module's source, the modules that it may import, and the files that it reads."""

    sha256: str
    imports: frozenset[str] = frozenset()
    data: frozenset[tuple[str, tuple[str, ...]]] = frozenset()


def _read(place: _Place, module: str, only: str) -> _Read:
    source = place.file.read_bytes().replace(b"\r\n", b"\n") if place.file else b""
    if place.file is not None and place.file.suffix != ".py":  # compiled
        return _Read(hashlib.sha256(source).hexdigest())
    return _understood(source, module if place.folders is not None else module.rpartition(".")[0], only)


@lru_cache(maxsize=1024)
def _understood(source: bytes, package: str, only: str) -> _Read:
    """What a source says, as a module of `package`; of the statements that the name `only` uses, if it is not empty."""
    body = [
        statement
        for statement in ast.parse(source).body
        if not (_is_registry(statement) or _is_text(statement) or _never_runs(statement))
    ]
    if only:
        body = _used(body, only)
    lines = source.split(b"\n")
    state = hashlib.sha256()
    for statement in body:
        begin = min([statement.lineno, *(each.lineno for each in getattr(statement, "decorator_list", ()))])
        state.update(b"\n".join(lines[begin - 1 : statement.end_lineno]) + b"\n")
    imports = {name for statement in _statements(body) for name in _imported(statement, package)}
    data = (
        {resource for statement in body for resource in _resources(statement, package)}
        if b"files(" in source
        else set()
    )
    return _Read(state.hexdigest(), frozenset(imports), frozenset(data))


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_registry(statement: ast.stmt) -> bool:
    """Whether a statement is a subclass of `Registry` or makes a registry (see `visaudio_bench.registry`)."""
    if isinstance(statement, ast.ClassDef):
        return any(_last_name(base).endswith("Registry") for base in statement.bases)
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign) else None
    return isinstance(value, ast.Call) and _last_name(value.func).endswith("Registry")


def _never_runs(statement: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING`, without an `else`."""
    return _is_for_types(statement) and not getattr(statement, "orelse", ())


def _is_for_types(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and _last_name(statement.test) == "TYPE_CHECKING"


def _last_name(expression: ast.expr) -> str:
    """`c` of `c`, `b.c` and `b.c[d]`."""
    if isinstance(expression, ast.Subscript):
        expression = expression.value
    return expression.attr if isinstance(expression, ast.Attribute) else getattr(expression, "id", "")


def _used(body: Sequence[ast.stmt], name: str) -> list[ast.stmt]:
    """The statements that a name uses, and those that bind none, which run whenever the module is imported."""
    binds = [_bound(statement) for statement in body]
    if not any(name in names for names in binds):
        raise UsageError(f'the module whose source is asked for has no "{name}" at its top.')
    kept = {index for index, names in enumerate(binds) if not names}
    pending, known = [name], {name}
    for index in kept:
        pending += _names(body[index])
    while pending:
        wanted = pending.pop()
        known.add(wanted)
        for index, names in enumerate(binds):
            if wanted in names and index not in kept:
                kept.add(index)
                pending += _names(body[index]) - known
    return [body[index] for index in sorted(kept)]


def _names(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _bound(statement: ast.stmt) -> set[str]:
    """The module's names that a statement binds."""
    bound: set[str] = set()
    for part in _statements([statement], inside=False):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(part.name)
        elif isinstance(part, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name.partition(".")[0] for alias in part.names if alias.name != "*"}
        else:
            bound |= {
                node.id for node in ast.walk(part) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }
    return bound


def _statements(body: Iterable[Any], *, inside: bool = True) -> Iterator[Any]:
    """All statements, those within others included, `inside` functions and classes too; without `if TYPE_CHECKING`."""
    for statement in body:
        yield statement
        if not inside and isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for part in ("orelse",) if _is_for_types(statement) else ("body", "handlers", "orelse", "finalbody", "cases"):
            yield from _statements(getattr(statement, part, ()), inside=inside)


def _imported(statement: ast.stmt, package: str) -> Iterator[str]:
    """Names of modules that a statement imports, and of what it takes from them, which may be modules as well."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        base = statement.module or ""
        if statement.level:
            parts = package.split(".")
            base = ".".join([*parts[: len(parts) - statement.level + 1], *([base] if base else [])])
        yield base
        yield from (f"{base}.{alias.name}" for alias in statement.names)


def _resources(statement: ast.stmt, package: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Package and literal parts of every `files("package") / "folder" / "name"`."""
    longer: set[ast.expr] = set()
    for node in ast.walk(statement):
        if not isinstance(node, ast.BinOp | ast.Call) or node in longer:
            continue
        parts: list[ast.expr] = []
        inner: ast.expr = node
        while isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Div):
            parts.insert(0, inner.right)
            inner = inner.left
            longer.add(inner)
        if isinstance(inner, ast.Call) and _last_name(inner.func) == "files" and len(inner.args) == 1:
            where = inner.args[0]
            named = where.value if isinstance(where, ast.Constant) else package
            literal: list[str] = []
            for part in parts:
                if not isinstance(part, ast.Constant):
                    break
                literal.append(str(part.value))
            if literal:  # a package as a whole is its modules
                yield str(named), tuple(literal)


def _data(package: str, parts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of the file of a package, or of all files of the folder."""
    place = _place(package)
    for folder in (place.folders or ()) if place else ():
        path = Path(folder, *parts)
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.suffix not in {".py", ".pyc"}:
                name = f"{package}/{file.relative_to(folder).as_posix()}"
                yield name, hashlib.sha256(file.read_bytes()).hexdigest()
