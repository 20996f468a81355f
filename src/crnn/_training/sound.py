"""What a file says of a training, held against what a training can write.

Each function raises ValueError or TypeError, with the name of what is wrong. Shapes matter most:
compiled code trusts them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crnn._engine import validate
from crnn._network.config import Config
from crnn._training import schedule
from crnn._training.rule import Memory, Optimizer, Rule

#: Of steps, rows and symbols: the largest number that compiled code can count to, and more than
#: any training has.
MOST = 2**62


def check_memory(optimizer: Optimizer, saved: Any, fresh: Memory) -> None:
    """Check an optimizer's memory, which was `fresh` before the first step."""
    _check_kinds("optimizer", saved, fresh)
    if isinstance(optimizer, Rule):
        _check_rule(optimizer, saved, fresh)


def _check_kinds(name: str, saved: Any, fresh: Any) -> None:
    """Check that values are of the kinds and shapes of the first ones."""
    if isinstance(fresh, dict):
        if not isinstance(saved, dict) or fresh.keys() - saved.keys():
            raise ValueError(f"{name}: expected {', '.join(fresh)}")
        for key, value in fresh.items():
            _check_kinds(f"{name}.{key}", saved[key], value)
    elif isinstance(fresh, np.ndarray):
        check_array(name, saved, fresh.dtype, fresh.shape)
    elif type(fresh) in (bool, int, float, str):
        kinds = (int, float) if type(fresh) in (int, float) else (type(fresh),)
        if type(saved) not in kinds:
            raise ValueError(f"{name}: expected a {type(fresh).__name__}")


def _check_rule(rule: Rule, memory: Memory, fresh: Memory) -> None:
    """Check the numbers that the optimizers of crnn have in their memory."""
    step, since, until, lr = (memory[name] for name in ("step", "since", "until", "lr"))
    check_steps("optimizer.step", step)
    validate.count("optimizer.since", since, least=0, most=step)
    if until is not None:
        check_steps("optimizer.until", until, least=since)
    if lr is not None:
        validate.number("optimizer.lr", lr)
    if not np.array_equal(memory["weights"], fresh["weights"]):
        raise ValueError("optimizer.weights: expected the places of the model's weights")
    for name, value in memory.items():
        if isinstance(value, np.ndarray):
            if not isinstance(fresh.get(name), np.ndarray):
                raise ValueError(f"optimizer.{name}: expected no array")
            if not np.isfinite(value).all():
                raise ValueError(f"optimizer.{name}: expected finite numbers")
    for name in rule._squares:
        if (memory[name] < 0).any():
            raise ValueError(f"optimizer.{name}: expected means of squares, got one below 0")
    schedule.check(rule.lr, memory)


def check_carried(config: Config, state: Any, rows: list[int]) -> None:
    """Check a state that is carried to the next window: of one shard, or a list of several."""
    if not isinstance(state, list) or len(state) != len(rows):
        raise ValueError(f"state: expected those of {len(rows)} shards")
    for of_shard, m in zip(state, rows, strict=True):
        places = config.recurrences()
        if not isinstance(of_shard, list) or len(of_shard) != len(places):
            raise ValueError(f"state: expected those of {len(places)} layers")
        for of_layer in of_shard:
            if not isinstance(of_layer, list) or len(of_layer) != len(config.kind.states):
                raise ValueError(f"state: expected {', '.join(config.kind.states)} of a layer")
            for a in of_layer:
                check_array("state", a, config.np_dtype, (m, config.n_a))
                if not np.isfinite(a).all():
                    raise ValueError("state: expected finite numbers")


def check_array(name: str, a: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Check that a value is an array of this dtype and shape."""
    if not isinstance(a, np.ndarray) or (a.dtype, a.shape) != (dtype, shape):
        raise ValueError(f"{name}: expected {dtype} of shape {shape}")


def check_steps(name: str, value: Any, least: int = 0) -> None:
    """Check that a value can be a number of steps or rows."""
    validate.count(name, value, least, MOST)
