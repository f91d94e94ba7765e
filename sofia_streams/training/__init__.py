"""Models: rows to train on, cards, the registry, activation. Folders: where bars are from, fitting, retraining."""
