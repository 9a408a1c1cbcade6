"""Proof, image by image, that a candidate model is as good as its reference."""
