"""A server that speaks the four venues' protocols."""
