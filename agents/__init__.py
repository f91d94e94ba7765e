"""One Faust agent and app a file."""
