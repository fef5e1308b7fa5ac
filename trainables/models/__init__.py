"""Networks: the XiaoNet student and the PhaseNet teacher."""
