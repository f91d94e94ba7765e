"""From bars to a judged model: splits by time, members, calibration, the card."""
