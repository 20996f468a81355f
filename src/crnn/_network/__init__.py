"""What a model is made of: configuration, parameters, layers and losses."""
