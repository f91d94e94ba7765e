"""PURE. A trained model as plain data and as a scorer; labels, measures and drift to hold it against."""
