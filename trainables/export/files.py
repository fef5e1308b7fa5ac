"""Names of tables that a finished trial leaves and that others read again."""

CONFUSIONS_FILE = "confusion_matrix.csv"
"""Of a classifier: one row a true class, one column a predicted one."""
RESIDUALS_FILE = "residuals.csv"
"""Of a picker: picker (FP32, INT8), phase, residual_s (the middle of a bin), picks (how many)."""
