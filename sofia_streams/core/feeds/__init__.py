"""What a feed is worth: identities, gaps, plausible times and prices, liveness, request budgets."""
