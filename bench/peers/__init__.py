"""The same work in other libraries: each module is run as a process of its own, in its own environment."""
