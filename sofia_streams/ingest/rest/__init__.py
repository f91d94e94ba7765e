"""What venues are asked over REST: listings, candles, trades that have passed; and what is mended with the answers.

What is not here: sockets, or how live frames are read.
"""
