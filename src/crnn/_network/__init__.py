"""The parts of a model: configuration, parameters, layers and losses."""
