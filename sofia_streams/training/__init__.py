"""Models from stored bars: dataset, walk-forward validation, calibration, model card, registry."""
