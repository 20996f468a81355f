"""A network seen: how far its gradient reaches, how its state moves, what moved an answer.

`gradient_flow` gives the size of the gradient at each step of a sequence, and how fast it vanishes.
`lyapunov_exponents` measures how fast small differences of the state grow or die out along a
trajectory, `jacobian` and `spectral_radius` at one point of it. `fixed_points` finds the states
that a constant input leaves where they are, and `saliency` how much each step of an input moved an
answer. All but `gradient_flow` compute in float64, whatever the dtype. All take every cell, layer
and direction.

A cell here is one layer read in one direction. Cells are numbered in the order of computation:
layer by layer from the input, forward before reverse.

The methods called `plot` need matplotlib: ``python -m pip install "crnn[plot]"``.
"""

from crnn.inspect.fixed import FixedPoints, fixed_points
from crnn.inspect.flow import GradientFlow, gradient_flow
from crnn.inspect.jacobians import jacobian, spectral_radius
from crnn.inspect.lyapunov import LyapunovExponents, lyapunov_exponents
from crnn.inspect.salient import Saliency, saliency

__all__ = [
    "FixedPoints",
    "GradientFlow",
    "LyapunovExponents",
    "Saliency",
    "fixed_points",
    "gradient_flow",
    "jacobian",
    "lyapunov_exponents",
    "saliency",
    "spectral_radius",
]
