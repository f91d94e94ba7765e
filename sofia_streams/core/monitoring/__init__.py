"""PURE. How good models have been: labels as they mature, drift, contests, when to train anew."""
