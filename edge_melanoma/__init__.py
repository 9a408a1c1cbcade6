"""Melanoma classifiers for phones, with proof that the quantised file is as good as the network."""

__version__ = "0.1.0"
