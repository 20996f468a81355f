"""How a model learns: what from, by which rule, and the loop."""
