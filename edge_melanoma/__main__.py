"""python -m edge_melanoma: the same as the command edge-melanoma."""

from edge_melanoma.cli import run

if __name__ == "__main__":
    run()
