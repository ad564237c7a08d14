"""The settings that every training has, and the change of single ones by `--set key=value`."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeVar

from visaudio_bench.errors import UsageError
from visaudio_bench.registry import did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


# What torch and NumPy take, and what a training can be meant by; no number lies between any two of them.
_RANGES = {
    "seed": (0, 2**63 - 1),
    "ema": (1e-3, 0.28),
    "learning_rate": (0.0, 1.0),
    "weight_decay": (0.0, 1.0),
    "beta1": (0.0, 1 - 1e-9),
    "beta2": (0.0, 1 - 1e-9),
    "epsilon": (0.0, 1.0),
    "clip_norm": (1e-9, 1e9),
    "warmup": (0, 10**12),
    "decay": (0.0, 1.0),
}
_MOST_OFTEN = 10_000  # times that a clip comes in an epoch


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; a kind of network adds settings of its own.

    Attributes:
        config: class of the network's configuration, which `network.KEY=value` changes.
        fixed: settings that decide what a step is made of: with others it would be another training.
        steps: updates. batch: samples of one update, over all processes. accumulate: parts that each process
            makes of its share, one after the other, to save memory.
        learning_rate, weight_decay, beta1, beta2, epsilon: of AdamW; an epsilon of None is 1e-6 with bfloat16 and
            1e-8 without. clip_norm: largest norm of the gradient.
        warmup: steps. decay_at: steps after the warm-up at which the learning rate is multiplied by `decay`.
        ema: relative width of the running average of the weights, which is what is kept and evaluated.
        precision: `bfloat16` (autocast; weights stay float32), `float32`, or `auto`: the former on a GPU.
        compile: torch.compile. checkpoint: compute activations again in the backward pass instead of keeping them.
        parallel: `ddp` keeps all of the network and its optimiser on every card, `fsdp` shares them out.
        seed: of the order of clips, of what is drawn for them, and of first weights.
        validate_every, save_every, log_every: steps.
        threads: that read features. ahead: batches that they may be ahead.
        weights: how often clips of a source (a suite's name) come in an epoch.
        network: changes of the network's configuration.
    """

    config: ClassVar[type]
    fixed: ClassVar[tuple[str, ...]] = ("batch", "seed", "network", "weights", "ema")

    steps: int = 50_000
    batch: int = 64
    accumulate: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 1e-6
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float | None = None
    clip_norm: float = 1.0
    warmup: int = 1000
    decay_at: tuple[int, ...] = ()
    decay: float = 0.1
    ema: float = 0.05
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    checkpoint: bool = False
    parallel: Literal["ddp", "fsdp"] = "ddp"
    seed: int = 14_159_265
    validate_every: int = 1000
    save_every: int = 1000
    log_every: int = 10
    threads: int = 8
    ahead: int = 3
    weights: Mapping[str, float] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "accumulate", "validate_every", "save_every", "log_every", "threads", "ahead"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name, (low, high) in _RANGES.items():
            if getattr(self, name) is not None:
                self.require_between(name, low, high)
        if any(at < 0 for at in self.decay_at):
            raise UsageError(f"decay_at takes steps after the warm-up, from 0 on, got {min(self.decay_at)}.")
        if not all(0 < weight <= _MOST_OFTEN for weight in self.weights.values()):
            raise UsageError(
                f"the weight of a source must be above 0 and at most {_MOST_OFTEN}; leave out what should not be "
                "learnt from."
            )

    def require_between(self, name: str, low: float, high: float) -> None:
        """Refuse a setting outside its range."""
        if not low <= getattr(self, name) <= high:
            raise UsageError(f"{name} must lie between {low} and {high}, got {getattr(self, name)}.")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The recipe that `to_dict` gave."""
        return cls(**{**values, "decay_at": tuple(values["decay_at"])})


AnyRecipe = TypeVar("AnyRecipe", bound=Recipe)
AnyConfig = TypeVar("AnyConfig", bound="DataclassInstance")


def find_preset(name: str, presets: Mapping[str, AnyRecipe]) -> AnyRecipe:
    """Find the recipe of a preset.

    Args:
        name: of the preset.
        presets: the recipes by name.

    Returns:
        The recipe.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in presets:
        raise UsageError(f'no preset "{name}".{did_you_mean(name, presets)} Known: {", ".join(presets)}')
    return presets[name]


def configured(config: AnyConfig, recipe: Recipe) -> AnyConfig:
    """Change a network's configuration as a recipe says.

    Args:
        config: of the network.
        recipe: with the table `network`.

    Returns:
        The changed configuration.

    Raises:
        UsageError: the changes contradict each other.
    """
    try:
        return replace(config, **recipe.network)
    except (ValueError, TypeError) as error:
        raise UsageError(f"the network cannot be built: {error}.") from error


def changed(recipe: AnyRecipe, settings: Iterable[str]) -> AnyRecipe:
    """Change single settings of a recipe.

    Args:
        recipe: which stays as it is.
        settings: `key=value` each; `weights.SOURCE=3` and `network.KEY=value` reach into the two tables.

    Returns:
        The changed recipe.

    Raises:
        UsageError: an unknown key (with the closest known one), or a value of another type.
    """
    known = {f.name: f for f in fields(recipe) if f.name not in ("weights", "network")}
    parts: dict[str, Any] = {}
    weights, network = dict(recipe.weights), dict(recipe.network)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(f"--set {setting} has no value. Write: --set KEY=VALUE, e.g. --set batch=32")
        group, _, inner = key.partition(".")
        if group == "weights" and inner:
            weights[inner] = _parsed(key, text, float)
        elif group == "network" and inner:
            network[inner] = _parsed(key, text, _network_type(recipe.config, inner))
        elif key in known:
            parts[key] = _parsed(key, text, typing.get_type_hints(type(recipe))[key])
        else:
            names = [
                *known,
                *(f"network.{f.name}" for f in fields(recipe.config) if f.name != "name"),
                "weights.SOURCE",
            ]
            raise UsageError(f'there is no setting "{key}".{did_you_mean(key, names)} Known: {", ".join(names)}')
    return replace(recipe, **parts, weights=weights, network=network)


def _network_type(config: type, key: str) -> Any:
    hints = typing.get_type_hints(config)
    if key not in hints or key == "name":
        names = [f"network.{name}" for name in hints if name != "name"]
        raise UsageError(
            f'the network has no setting "{key}".{did_you_mean(f"network.{key}", names)} Known: {", ".join(names)}'
        )
    return hints[key]


def _parsed(key: str, text: str, kind: Any) -> Any:
    """`text` as a value of the annotated type."""
    try:
        return _value(text, kind)
    except ValueError as error:
        raise UsageError(f'{key} takes {_named(kind)}, got "{text}".') from error


def _value(text: str, kind: Any) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        if text not in inner:
            raise ValueError(text)
        return text
    if origin is tuple:
        return tuple(int(part) for part in text.split(",") if part)
    if origin in (types.UnionType, typing.Union):
        return None if text.lower() in ("none", "") else _value(text, inner[0])
    if kind is bool:
        return (
            {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
            if text.lower() in ("true", "1", "yes", "false", "0", "no")
            else _refuse(text)
        )
    if kind is int:
        return int(text.replace("_", ""))
    return kind(text)


def _refuse(text: str) -> bool:
    raise ValueError(text)


def _named(kind: Any) -> str:
    if typing.get_origin(kind) is Literal:
        return f"one of {', '.join(typing.get_args(kind))}"
    if typing.get_origin(kind) is tuple:
        return "whole numbers separated by commas"
    simple = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return simple.get(kind, "a number or none")
