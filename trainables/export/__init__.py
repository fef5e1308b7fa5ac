"""From trained weights to files for people and devices: ONNX, INT8, the gate, figures."""
