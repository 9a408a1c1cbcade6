"""From a trained network to .tflite files, each read back and audited."""
