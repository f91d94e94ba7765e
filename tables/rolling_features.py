"""One table a file: what features remember, and which models are in force.

key        see `core.signals`: "market|symbol", "market|symbol|open", "models/<partition>"; co-partitioned with `bars`
value      core.signals: RollingRow, OpenRow, ChosenRow
window     none by time: each indicator keeps as many bars as its formula needs, about 600 numbers a symbol
retention  one row of each a symbol; at most 64 activations a partition
changelog  sofia-signals-rolling_features-changelog, compacted; start-up and recovery are the same path
"""

from __future__ import annotations

from typing import Any

import faust


def rolling_features_table(app: faust.App, partitions: int) -> Any:
    """The table on the app of its one worker."""
    return app.Table("rolling_features", partitions=partitions, help="memory of features, and models in force")
