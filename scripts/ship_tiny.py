"""Put a checkpoint of `bench train visaudio` into the package as `visaudio-tiny`, with its card.

    bench train visaudio
    bench features build --suite simroom-crowded --parts built-in --out features
    bench train visaudio --data features --from runs/visaudio-tiny/last.safetensors --set ... --out runs/second
    python benchmarks/tiny_figures.py --weights runs/second/last.safetensors --media FOLDER --out runs/figures
    python scripts/ship_tiny.py runs/second runs/figures/figures.json

What the card says of training and figures is read, never typed in; `tests/models/visaudio/test_shipped.py` compares the
card with the file.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from visaudio_bench.files import write_text
from visaudio_bench.models import weights
from visaudio_bench.models.visaudio.checkpoint_notes import read_notes
from visaudio_bench.models.visaudio.checkpoints import load_network, save_network
from visaudio_bench.models.visaudio.tiny.shipped import shipped_checkpoint
from visaudio_bench.models.visaudio.training.recipe import PRESETS, FlowRecipe
from visaudio_bench.suites.filmed_scenes import FILMED

GOING_ON = "bench train visaudio --data features --from runs/visaudio-tiny/last.safetensors --out runs/second"
CARD = """# visaudio-tiny

The small model that is part of this package: ViSAudio's network (two branches, conditional spacetime module) with
{parameters:.1f} M weights, conditioners and a codec that are built in, and nothing to download. It is not the published
model, and its numbers are never shown as those.

- **Data**: {first_clips} simulated scenes of 2 s (`simroom-filmed`), then {clips} with more of two sources and of
  silence (`simroom-crowded`), rendered by this project: synthetic sounds of seven kinds, rooms with the head responses
  of MIT KEMAR, pictures that are filmed as real videos are. No recording.
- **Training**: {first_steps} steps of {batch} clips by the first of the commands below, {steps} more by the last; seed
  {seed}, on processors.
- **Heard with**: {sampling} Euler steps, guidance {guidance}, in windows of {window} s, as long as what it learnt from.
  What sounds starts from the noise that it learnt from, and where it sounds from none (`Vocoder.sampling`).
- **Licence**: Apache-2.0, as the code; the head responses are free to use with citation (Gardner and Martin 1995).
- **File**: `visaudio-tiny.safetensors`, {size:.1f} MB, SHA-256 `{sha256}`

```
bench train visaudio
bench features build --suite simroom-crowded --parts built-in --out features
{command}
```

## What it can, and what it cannot

It makes one of its seven kinds of sound, or silence, on the side where something suddenly moves. It knows no real
sounds: a dog becomes the chime or the drum that its colours and its movement are nearest to. Whatever the video, no
band is louder than in the loudest scene that it learnt from, and no sample is beyond full scale. Captions are words by
spelling: those of the simulated scenes mean something to it, others do not.

## Measured

`python benchmarks/tiny_figures.py`: on the 40 clips of `simroom`, with 95 % intervals over clips; "silent scenes" are
scenes like those it learnt from, with others' rooms and pictures; real videos show the peak, the level, and the mean
lateralisation (positive to the left) of the first 3.9 s and of the same mirrored.

| what | value |
|---|---|
{rows}

{remarks}"""


def main() -> None:
    """Write the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("figures", type=Path)
    parser.add_argument("--remarks", type=Path, help="what is to be said of the figures, Markdown")
    asked = parser.parse_args()
    checkpoint, training = asked.run / "last.safetensors", json.loads((asked.run / "training.json").read_text())
    recipe, notes = training["recipe"], read_notes(checkpoint)
    network = load_network(checkpoint)
    kept = {key: value for key, value in notes.items() if key not in ("format", "config", "data")}
    kept |= {name: str(recipe[name]) for name in ("guidance", "sampling_steps")} | {"recipe": json.dumps(recipe)}
    save_network(network, shipped_checkpoint(), kept)
    figures = json.loads(asked.figures.read_text())
    text = CARD.format(
        parameters=sum(value.numel() for value in network.parameters()) / 1e6,
        clips=training["data"]["clips"],
        first_clips=FILMED.clips,
        first_steps=PRESETS["tiny"].steps,
        command=" ".join([GOING_ON, *changes(recipe)]),
        steps=notes["step"],
        batch=recipe["batch"],
        seed=recipe["seed"],
        sampling=recipe["sampling_steps"],
        window=kept["duration"].removesuffix(".0"),
        guidance=f"{recipe['guidance']:g}",
        size=shipped_checkpoint().stat().st_size / 1e6,
        sha256=weights.sha256(shipped_checkpoint()),
        rows="\n".join(f"| {name} | {value} |" for name, value in figures.items()),
        remarks=asked.remarks.read_text() if asked.remarks else "",
    )
    write_text(shipped_checkpoint().with_name("CARD.md"), text.rstrip() + "\n")


def changes(recipe: dict[str, Any]) -> list[str]:
    """Options that turn the preset into this recipe; what does not change what is learnt is left out."""
    usual = json.loads(json.dumps(PRESETS["tiny"].to_dict()))
    untold = {"validate_every", "save_every", "log_every", "threads", "ahead"}
    changed = {key: value for key, value in recipe.items() if key not in untold and value != usual[key]}
    FlowRecipe.from_dict(recipe)  # it is one
    return [
        f"--set {key}={','.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in changed.items()
    ]


if __name__ == "__main__":
    main()
