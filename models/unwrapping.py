"""The weights of one network out of whatever a training script filed away.

Trainers keep weights beside optimisers, running averages and settings, under names of their own; wrappers of torch put
prefixes before the names of tensors. What is taken is told, and where a file keeps a running average of the weights
that has begun, it is that: it is what trainers make sound with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from visaudio_bench.errors import BenchError
from visaudio_bench.models.pickles import made_of

State = Mapping[str, Tensor]

# Names under which trainers file weights and running averages of them away; the first that is there counts.
_WEIGHTS = ("weights", "model", "state_dict", "model_state_dict", "generator", "network", "net", "module", "params")
_AVERAGES = ("ema", "ema_state_dict", "state_dict_ema", "ema_model_state_dict", "model_ema", "ema_model", "params_ema")
# Parts of names that wrappers of torch put in, wherever they wrap.
_WRAPPED = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
_PREFIXES = ("module.", "model.", "network.", "net.", "averaged_model.")
_COUNTERS = ("n_averaged", "initted", "step")  # what averages count beside their weights
# `ema_models.0.ema_model.NAME` of nitrous-ema and `ema_model.NAME` of ema-pytorch
_PROFILE = re.compile(r"(?:ema_models\.(?P<number>\d+)\.)?ema_model\.(?P<name>.+)")
_DEEPEST = 3


class Unwrapped(NamedTuple):
    """A state dict, and what was unwrapped to get it, for people; empty where nothing was."""

    state: State
    taken: str


class _Found(NamedTuple):
    state: State
    where: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def unwrap(value: Any, source: str) -> Unwrapped:
    """Find the weights of one network in what a file holds.

    Args:
        value: as it was read.
        source: name of the file, for messages.

    Returns:
        The state dict, and in words where it lay and what was left aside.

    Raises:
        BenchError: there are none, or several and nothing says which.
    """
    weights = _find(value, source)
    if not weights.state:
        raise BenchError(f"{source} holds no state dict (names mapped to tensors), got an empty one")
    beside = list(weights.remarks)
    if weights.where:
        beside.insert(0, f"weights taken from {_place(weights.where)}")
    left = _left(value, weights.where[0]) if weights.where else _others(value)
    if left:
        beside.append(f"left aside: {', '.join(left[:8])}{', …' if len(left) > 8 else ''}")
    return Unwrapped(weights.state, "; ".join(beside))


def _find(value: Any, source: str, depth: int = 0) -> _Found:
    if isinstance(value, Mapping) and depth <= _DEEPEST:
        weights = _wrapped(value, source, depth)
        if weights is not None:
            return weights
        if _is_state(value):
            return _plain(value)
    raise BenchError(f"{source} holds no state dict (names mapped to tensors), got {_described(value)}. {_ADVICE}")


_ADVICE = "Save the one that is meant by itself: torch.save(model.state_dict(), FILE)"


def _wrapped(value: Mapping[Any, Any], source: str, depth: int) -> _Found | None:
    """Weights that lie one level or more below, averaged ones first."""
    inner = {key: part for key, part in value.items() if isinstance(part, Mapping) and part and _may_hold(part)}
    weights = next((_below(inner, key, source, depth) for key in _WEIGHTS if key in inner), None)
    for key in _AVERAGES:
        average = _average(inner[key]) if key in inner else None
        if average is None:
            continue
        if weights is None:
            return average._replace(where=(key,))
        return _completed(average._replace(where=(key,)), weights)
    if weights is not None:
        unused = [key for key in _AVERAGES if isinstance(value.get(key), Mapping | list) and value[key]]
        remark = (f"the running average in {_quoted(unused)} has not begun or holds no weights by name",)
        return weights._replace(remarks=weights.remarks + (remark if unused else ()))
    if _is_state(value):
        return None
    states = [str(key) for key, part in inner.items() if _holds_somewhere(part, depth + 1)]
    if len(states) > 1:
        raise BenchError(f"{source} holds several sets of weights ({', '.join(states[:6])}). {_ADVICE}")
    return _below(inner, states[0], source, depth) if states else None


def _below(inner: Mapping[Any, Any], key: str, source: str, depth: int) -> _Found:
    weights = _find(inner[key], source, depth + 1)
    return weights._replace(where=(key, *weights.where))


def _may_hold(part: Mapping[Any, Any]) -> bool:
    """Optimisers are not searched: theirs are tensors too."""
    return "param_groups" not in part and all(isinstance(key, str) for key in part)


def _holds_somewhere(part: Any, depth: int) -> bool:
    if not isinstance(part, Mapping) or not _may_hold(part):
        return False
    return _is_state(part) or (depth < _DEEPEST and any(_holds_somewhere(below, depth + 1) for below in part.values()))


def _completed(average: _Found, weights: _Found) -> _Found:
    """An average of parameters only is completed by the buffers of the weights that it averages."""
    lacking = [name for name in weights.state if name not in average.state]
    unknown = [name for name in average.state if name not in weights.state]
    if unknown:
        remark = f"the running average in {_place(average.where)} has other names ({unknown[0]}) and was not used"
        return weights._replace(remarks=(*weights.remarks, remark))
    if not lacking:
        return average
    remark = f"{len(lacking)} tensors that it does not have from {_place(weights.where)}"
    return average._replace(
        state={name: average.state.get(name, tensor) for name, tensor in weights.state.items()},
        remarks=(*average.remarks, remark),
    )


def _average(part: Mapping[str, Any]) -> _Found | None:
    """The weights of a running average that has begun."""
    numbers = [match["number"] for key in part if (match := _PROFILE.fullmatch(key))]
    if not numbers:
        plain = {key: value for key, value in part.items() if key not in _COUNTERS}
        if _is_state(plain):
            return _plain(plain)
        below = [key for key in _WEIGHTS if isinstance(part.get(key), Mapping)]
        return _average(part[below[0]]) if below else None
    chosen = numbers[0]
    before = f"ema_models.{chosen}." if chosen is not None else ""
    told = part.get(f"{before}_extra_state", part)
    if isinstance(told, Mapping) and not bool(told.get("initted", True)):
        return None
    state = {
        match["name"]: value
        for key, value in part.items()
        if (match := _PROFILE.fullmatch(key)) and match["number"] == chosen and isinstance(value, Tensor)
    }
    remarks = ("a running average of the weights",)
    if len(set(numbers)) > 1:
        remarks = (
            f"the first of {len(set(numbers))} running averages, of which MMAudio's trainer makes its own result",
        )
    plain_names = _plain(state)
    return plain_names._replace(remarks=remarks + plain_names.remarks)


def _plain(value: Mapping[str, Any]) -> _Found:
    """The tensors of a state dict under the names that the network gave them."""
    average = _average(value) if any(_PROFILE.fullmatch(key) for key in value) else None
    if average is not None:
        return average
    state = {key: tensor for key, tensor in value.items() if isinstance(tensor, Tensor) and key != _COUNTERS[0]}
    removed: list[str] = []
    while (names := _shorter(state, removed)) is not None:
        state = dict(zip(names, state.values(), strict=True))
    remark = f"{_quoted(dict.fromkeys(removed))} removed from the names of tensors"
    return _Found(state, (), (remark,) if removed else ())


def _shorter(state: State, removed: list[str]) -> list[str] | None:
    """The names without one more wrapper, where there is one."""
    for part in _WRAPPED:
        names = [name.replace(part, "") for name in state]
        if names != list(state) and len(set(names)) == len(names):
            removed.append(part)
            return names
    for prefix in _PREFIXES:
        if state and all(name.startswith(prefix) for name in state):
            removed.append(prefix)
            return [name.removeprefix(prefix) for name in state]
    return None


def _is_state(value: Any) -> bool:
    """Names mapped to tensors, for the most part: a step or a version may stand between them."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(key, str) for key in value):
        return False
    return 2 * sum(isinstance(tensor, Tensor) for tensor in value.values()) > len(value)


def _left(value: Mapping[Any, Any], taken: str) -> list[str]:
    return [f"{key}{_class(part)}" for key, part in value.items() if key != taken and part is not None]


def _others(value: Any) -> list[str]:
    return [f"{key}{_class(part)}" for key, part in value.items() if not isinstance(part, Tensor)]


def _place(where: tuple[str, ...]) -> str:
    return f'"{".".join(where)}"'


def _class(part: Any) -> str:
    return f" ({made_of(part)})" if made_of(part) else ""


def _described(value: Any) -> str:
    if made_of(value):
        return f"an object of {made_of(value)}, which is not made because that would run its code"
    if isinstance(value, Mapping):
        names = ", ".join(_names(value))
        return f"a mapping of {names or 'nothing'}"
    return type(value).__name__


def _names(value: Mapping[Any, Any]) -> Iterator[str]:
    for key in list(value)[:6]:
        part = value[key]
        yield f"{key} ({made_of(part) or type(part).__name__})"
    if len(value) > 6:
        yield "…"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
