"""The simulator as the run uses it: started with a ledger, hurt over HTTP, asked for its counts. Blocks."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

from sofia_streams.embedded import process
from sofia_streams.embedded.ports import HOST
from sofia_streams.errors import DependencyDown
from sofia_streams.ops.chaos.plan import Fault, Plan
from sofia_streams.ops.supervision.up import start_simulator
from sofia_streams.settings import Settings
from sofia_streams.venues.registry import VENUES

_ANSWER_S = 5.0


class Exchange:
    """One simulator; call it from the main thread to start it."""

    def __init__(self, settings: Settings, data_dir: Path, port: int, plan: Plan) -> None:
        self._settings, self._port = settings, port
        self.ledger = data_dir / "ledger.jsonl"
        shares = [f"{kind}={share}" for kind, share in plan.frames.items()]
        self.child = start_simulator(
            settings, data_dir, port, rate=plan.rate, seed=plan.seed, faults=shares, control=True, ledger=self.ledger
        )

    def symbols(self) -> dict[tuple[str, str], str]:
        """Symbols by (venue, listing)."""
        return {
            (venue, self._listing(venue, symbol)): symbol
            for venue in self._settings.crypto_exchanges
            for symbol in self._settings.crypto_symbols
        }

    def _listing(self, venue: str, symbol: str) -> str:
        return VENUES[venue].to_listing(symbol, self._settings.crypto_market)

    def written(self) -> int:
        """Bytes of the ledger: everything printed until about a second ago is before that."""
        return self.ledger.stat().st_size if self.ledger.exists() else 0

    def hurt(self, fault: Fault) -> tuple[Literal["fired", "unknown", "refused"], str]:
        """Ask for a fault; the state, and the answer in words."""
        asked: dict[str, object] = {"do": fault.kind, "venue": fault.target}
        if fault.kind in ("drop", "stall") and fault.detail:
            asked["listing"] = self._listing(fault.target, fault.detail)
        if fault.kind == "drop":
            asked["trades"] = fault.trades
        if fault.kind in ("stall", "rest", "skew"):
            asked["seconds"] = round(fault.seconds, 3)
        if fault.kind == "rest":
            asked["trouble"] = fault.detail
        try:
            status, found = self._get(f"/control?{urlencode(asked)}")
        except DependencyDown as error:
            return "unknown", str(error)
        return ("fired", str(found.get("done"))) if status == http.client.OK else ("refused", str(found.get("error")))

    def heal(self) -> None:
        """Every clock is right again; the rest ends by itself. Raises DependencyDown."""
        for venue in self._settings.crypto_exchanges:
            self._get(f"/control?{urlencode({'do': 'skew', 'venue': venue, 'seconds': 0})}")

    def fired(self) -> dict[str, int]:
        """Faults that happened, by kind, as the simulator counts them. Raises DependencyDown."""
        found: dict[str, int] = self._get("/stats")[1]["fired"]
        return found

    def stop(self) -> None:
        """No more trades."""
        process.stop([self.child], grace_s=5.0)

    def _get(self, target: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=_ANSWER_S)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise DependencyDown(f"simulator: expected an answer on port {self._port}, found {error!r}") from error
        finally:
            connection.close()
