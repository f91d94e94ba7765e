"""PURE. The market as orders meet it: what is known of it, what it gives them, and what venues charge."""
