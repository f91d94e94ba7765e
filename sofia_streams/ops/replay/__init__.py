"""Recordings to bars, in one process or through the whole pipeline; runs compared, results exported.

What is not here: playing recordings to clients (`ops.simulate`).
"""
