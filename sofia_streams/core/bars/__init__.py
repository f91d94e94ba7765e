"""What a bar is: windows of trades, when they close, what they are worth, and their revisions."""
