"""The settings of a training, by preset, and the change of single ones by `--set key=value`."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from visaudio_bench.errors import UsageError
from visaudio_bench.models.visaudio.config import CONFIGS, Config
from visaudio_bench.models.visaudio.flow import TimeDistribution
from visaudio_bench.models.visaudio.settings import GUIDANCE, STEPS
from visaudio_bench.registry import did_you_mean


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the defaults are those of MMAudio, as far as ViSAudio's paper does not say otherwise.

    Attributes:
        steps: updates. batch: samples of one update, over all processes. accumulate: parts that each process
            makes of its share, one after the other, to save memory.
        learning_rate, weight_decay, beta1, beta2, epsilon: of AdamW; an epsilon of None is 1e-6 with bfloat16 and
            1e-8 without. clip_norm: largest norm of the gradient.
        warmup: steps. decay_at: steps after the warm-up at which the learning rate is multiplied by `decay`.
        ema: relative width of the running average of the weights, which is what is kept and evaluated.
        drop: probability of dropping clip, sync (and spatial with it) and text, each for itself. drop_text: that of
            text; as `drop` when None.
        time: distribution of the flow's time.
        precision: `bfloat16` (autocast; weights stay float32), `float32`, or `auto`: the former on a GPU.
        compile: torch.compile. checkpoint: compute activations again in the backward pass instead of keeping them.
        parallel: `ddp` keeps all of the network and its optimiser on every card, `fsdp` shares them out.
        seed: of the order of clips, noise, times, dropped conditions and first weights.
        validate_every, save_every, log_every: steps.
        guidance: strength of classifier-free guidance of the sounds that are made to validate and to judge.
        sampling_steps: Euler steps of the sounds that are made to judge.
        threads: that read features. ahead: batches that they may be ahead.
        weights: how often clips of a source (a suite's name) come in an epoch.
        network: changes of the network's configuration.
    """

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
    drop: float = 0.1
    drop_text: float | None = None
    time: TimeDistribution = "logit_normal"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    checkpoint: bool = False
    parallel: Literal["ddp", "fsdp"] = "ddp"
    seed: int = 14_159_265
    validate_every: int = 1000
    save_every: int = 1000
    log_every: int = 10
    guidance: float = GUIDANCE
    sampling_steps: int = STEPS
    threads: int = 8
    ahead: int = 3
    weights: Mapping[str, float] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = ("steps", "batch", "accumulate", "validate_every", "save_every", "log_every", "threads", "ahead")
        for name in (*counts, "sampling_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, got {getattr(self, name)}.")
        ranges = {"drop": (0.0, 1.0), "drop_text": (0.0, 1.0), "ema": (1e-3, 0.28), "learning_rate": (0.0, 1.0)}
        for name, (low, high) in ranges.items():
            if getattr(self, name) is not None and not low <= getattr(self, name) <= high:
                raise UsageError(f"{name} must lie between {low} and {high}, got {getattr(self, name)}.")
        if any(weight <= 0 for weight in self.weights.values()):
            raise UsageError("the weight of a source must be above 0; leave out what should not be learnt from.")

    @property
    def text_drop(self) -> float:
        """Probability of dropping the text."""
        return self.drop if self.drop_text is None else self.drop_text

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `to_dict` gave."""
        return cls(**{**values, "decay_at": tuple(values["decay_at"])})


# What the paper states: 50,000 steps of 64 samples, 1e-4, 1e-6, MUSIC three times an epoch.
PAPER = Recipe(weights={"music": 3.0})
# Sixteen clips of 2 s at a time, for some 45 minutes of one core.
TINY = Recipe(
    steps=3600,
    batch=16,
    # Twice that after a warm-up of 40 steps drives the spatial projection to where SiLU is flat, and it stays there.
    learning_rate=1e-3,
    warmup=400,
    decay_at=(2800,),
    decay=0.2,
    # Captions say what sounds, and the pictures would not be asked: half of the clips have none.
    drop_text=0.5,
    ema=0.1,
    validate_every=600,
    save_every=150,
    # With the paper's 4.5 so small a network puts sounds on the right side but too far out.
    guidance=2.0,
    sampling_steps=8,
    threads=2,
)
PRESETS: dict[str, Recipe] = {name: TINY if name == "tiny" else PAPER for name in CONFIGS}


def find_preset(name: str) -> Recipe:
    """The recipe of a preset.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in PRESETS:
        raise UsageError(f'no preset "{name}".{did_you_mean(name, PRESETS)} Known: {", ".join(PRESETS)}')
    return PRESETS[name]


def changed(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """The recipe with `key=value` settings; `weights.SOURCE=3` and `network.KEY=value` reach into the two tables.

    Raises:
        UsageError: an unknown key (with the closest known one), or a value of another type.
    """
    known = {f.name: f for f in fields(Recipe) if f.name not in ("weights", "network")}
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
            network[inner] = _parsed(key, text, _network_type(inner))
        elif key in known:
            parts[key] = _parsed(key, text, typing.get_type_hints(Recipe)[key])
        else:
            names = [*known, *(f"network.{f.name}" for f in fields(Config)), "weights.SOURCE"]
            raise UsageError(f'there is no setting "{key}".{did_you_mean(key, names)} Known: {", ".join(names)}')
    return replace(recipe, **parts, weights=weights, network=network)


def configured(preset: str, recipe: Recipe) -> Config:
    """The network's configuration: the preset's, with the recipe's changes.

    Raises:
        UsageError: the changes contradict each other.
    """
    try:
        return replace(CONFIGS[preset], **recipe.network)
    except (ValueError, TypeError) as error:
        raise UsageError(f"the network cannot be built: {error}.") from error


def _network_type(key: str) -> Any:
    hints = typing.get_type_hints(Config)
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
