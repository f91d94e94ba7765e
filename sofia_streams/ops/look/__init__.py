"""What is seen of a stack from outside: status, doctor, logs, the bundle for a bug report. Changes nothing."""
