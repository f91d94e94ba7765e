"""Every scenario one after another, resumable: results stand in a file, and what stands there is not run again.

What it does not do: run one (`run`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sofia_streams.ops.chaos.disk import can_mount
from sofia_streams.ops.chaos.scenarios import SCENARIOS


class Battery:
    """Results of one seed by scenario, one JSON object a line in `data_dir`/chaos/battery-SEED.jsonl."""

    def __init__(self, data_dir: Path, seed: int) -> None:
        self.path, self._seed = data_dir / "chaos" / f"battery-{seed}.jsonl", seed

    def results(self) -> list[dict[str, Any]]:
        """Those of finished scenarios; a line that was cut off is as if its scenario had not run."""
        if not self.path.exists():
            return []
        found: dict[str, dict[str, Any]] = {}
        for line in self.path.read_text().splitlines():
            try:
                one = json.loads(line)
            except ValueError:
                continue
            if one.get("scenario") in SCENARIOS:
                found[one["scenario"]] = one
        return list(found.values())

    def left(self) -> list[str]:
        """Scenarios still to run, in order; without root one that needs a disk of its own is not among them."""
        done = {one["scenario"] for one in self.results()}
        return [name for name, one in SCENARIOS.items() if name not in done and (can_mount() or not one.disk_mib)]

    def run(self, one: Callable[[str, int], dict[str, Any]], done: Callable[[dict[str, Any]], None]) -> None:
        """Run what is left; `one` runs a scenario by name and seed, `done` is told each result once it is kept."""
        for name in self.left():
            result = {**one(name, self._seed), "rows": SCENARIOS[name].rows, "date": f"{datetime.now(UTC):%Y-%m-%d}"}
            self._keep(result)
            done(result)

    def _keep(self, result: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(("\n" if self._is_cut() else "") + json.dumps(result, default=str) + "\n")

    def _is_cut(self) -> bool:
        """Whether the last line has no end: the run was killed while it was written."""
        text = self.path.read_bytes() if self.path.exists() else b""
        return bool(text) and not text.endswith(b"\n")

    def forget(self) -> None:
        """Begin anew."""
        self.path.unlink(missing_ok=True)
