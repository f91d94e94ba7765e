"""One table a file: a contract and a declaration."""
