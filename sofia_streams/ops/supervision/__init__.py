"""`sofia up` and what keeps its processes running: started, watched, started again or left down, said in alerts.

What is not here: how far a stack is, for people (`ops.look`).
"""
