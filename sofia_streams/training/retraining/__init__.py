"""What the worker `trainer` does: follow the log, train in processes, let challengers compete."""
