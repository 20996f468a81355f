"""
Where a memory settles
======================

Two units, each of which excites itself, keep two bits. The states that stay where they are without
input are nine: four stable ones, the memories, and five unstable ones between them, where the
network decides.
"""

import crnn

memory = crnn.RNN(1, 2, 2, rng=0)
memory.parameters["Waa"] = [[2, 0.1], [0.1, 2]]

found = crnn.inspect.fixed_points(memory, rng=0)
print(found)
found.plot()
