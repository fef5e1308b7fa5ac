"""Pure numbers: conditions, comparisons, importances, fronts."""
