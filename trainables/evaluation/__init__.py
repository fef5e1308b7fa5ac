"""How good is it: pick matching and scores."""
