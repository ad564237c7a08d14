"""Write the manifests of the simulated suites, `suites/simulator/assets/simroom*.jsonl`, from their seeds.

python scripts/make_simroom.py
"""

from __future__ import annotations

import json
from pathlib import Path

from visaudio_bench.suites.simulated import PLANS, SEED
from visaudio_bench.suites.simulator.design import design

ASSETS = Path(__file__).parents[1] / "suites" / "simulator" / "assets"

for plan in PLANS.values():
    lines = [json.dumps(scene.to_json()) for scene in design(plan.name, plan.clips, plan.duration, SEED)]
    (ASSETS / f"{plan.name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
