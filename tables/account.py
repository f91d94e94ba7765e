"""One table a file: the paper account, and how far each input of it is handed out.

key        "paper"; one row, in the one partition of its changelog, whoever reads `control` has it
value      core.oms.steps.Sealed, an AccountRow and its digest: money, positions, open orders, risk, what is known of
           markets, places of inputs
window     none; open orders and positions, quotes of each instrument, 12 instruments: about 10 kB
retention  one row
changelog  sofia-paper_oms-account-changelog, compacted; written four times a second at most, with what it is behind
"""

from __future__ import annotations

from typing import Any

import faust


def account_table(app: faust.App) -> Any:
    """The table on the app of its one worker."""
    return app.Table("account", partitions=1, help="the paper account, its orders and positions")
