"""Forecasts of series: windows, scaling, feeding answers back, and walk-forward validation."""
