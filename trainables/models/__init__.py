"""Networks: the XiaoNet student, the PhaseNet teacher, the xLSTM U-Net and its rivals and heads."""
