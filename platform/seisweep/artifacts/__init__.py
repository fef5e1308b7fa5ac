"""From a name to files: pickers and weights, wherever they lie."""
