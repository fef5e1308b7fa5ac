"""Names of files that a finished trial leaves and that others read again."""

FP32_FILE, INT8_FILE = "model_fp32.onnx", "model_int8.onnx"
"""The second where the gate accepted it."""

CONFUSIONS_FILE = "confusion_matrix.csv"
"""Of a classifier: one row a true class, one column a predicted one."""
RESIDUALS_FILE = "residuals.csv"
"""Of a picker: picker (FP32, INT8), phase, residual_s (the middle of a bin), picks (how many)."""
RELIABILITY_FILE = "reliability.csv"
"""Of a picker: picker (before calibration, FP32, INT8), phase, from and to (a bin of probabilities), peaks, arrivals
(how many of them are), probability_sum (of the peaks)."""
