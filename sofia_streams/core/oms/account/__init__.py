"""PURE. The account: its ledger and positions, and the checks that bound what an order may do to it."""
