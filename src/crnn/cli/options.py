"""The options of the command line.

Every option is checked when it is parsed, so that an error names the option and occurs before any
work begins.
"""

from __future__ import annotations

import argparse
from typing import NoReturn

import crnn
from crnn._network.initial import INITIAL
from crnn.cli import bench, training_options
from crnn.cli.errors import one_line
from crnn.cli.training_options import UNKNOWN
from crnn.cli.values import ABOVE_0, COUNT, COUNT_OR_0, LENGTHS, NOT_BELOW_0, SCALE, SEED, named
from crnn.tasks import TASKS

Commands = argparse._SubParsersAction  # argparse has no public name for it


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message).removeprefix('argument ')}\n")


class _Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds the defaults that are not None or False, and not in the help already."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        without = (
            action.default is None or action.default is False or "(default" in str(action.help)
        )
        return action.help if without else super()._get_help_string(action)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands and options of ``crnn``."""
    top = _Parser(prog="crnn", description="Recurrent networks on the CPU.")
    top.add_argument("--version", action="version", version=f"crnn {crnn.__version__}")
    commands = top.add_subparsers(
        dest="command",
        required=True,
        metavar="{train,eval,sample,inspect,tasks,bench,check}",
        parser_class=_Parser,
    )
    _add_train(commands)
    _add_eval(commands)
    _add_sample(commands)
    _add_inspect(commands)
    _add_tasks(commands)
    _add_bench(commands)
    _add_check(commands)
    return top


def _add(
    commands: Commands[_Parser], name: str, help: str, threads: bool = True
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help, formatter_class=_Formatter)
    if threads:
        parser.add_argument("--threads", type=COUNT, metavar="N", help="most threads to use")
    return parser


def _add_train(commands: Commands[_Parser]) -> None:
    training_options.add_options(_add(commands, "train", "train a model of text"))


def _add_eval(commands: Commands[_Parser]) -> None:
    add = _add(commands, "eval", "measure how well a model predicts a text").add_argument
    add("model", type=named, help="a file that `crnn train` wrote")
    add("text", type=named, help="UTF-8 text that the model has not learned from")
    add("--unknown", choices=["error", "skip", "replace"], help=UNKNOWN)
    add("--batch", type=COUNT, default=1, metavar="N",
        help="read the text as N parallel rows, each from the initial state: faster")  # fmt: skip


def _add_sample(commands: Commands[_Parser]) -> None:
    add = _add(commands, "sample", "write text with a trained model").add_argument
    add("model", type=named, help="a file that `crnn train` wrote")
    add("--prime", default="", metavar="TEXT", help="how the text begins (default: nothing)")
    add("-n", "--length", type=COUNT_OR_0, default=400, metavar="N",
        help="characters, words or bytes to write")  # fmt: skip
    add("--unknown", choices=["error", "skip", "replace"], help=UNKNOWN)
    add("--temperature", type=NOT_BELOW_0, default=0.7, metavar="T",
        help="0 takes the most probable")  # fmt: skip
    add("--seed", type=SEED, metavar="N", help="same seed, same text (default: another each time)")


def _add_inspect(commands: Commands[_Parser]) -> None:
    add = _add(commands, "inspect", "show how far a text model's gradient reaches").add_argument
    add("model", type=named, help="a file that `crnn train` wrote")
    add("--text", type=named, metavar="FILE",
        help="UTF-8 text (default: the help topics of Python)")  # fmt: skip
    add("--steps", type=COUNT, default=200, metavar="T",
        help="characters, words or bytes of a window")  # fmt: skip
    add("--windows", type=COUNT, default=32, metavar="N", help="most windows, spread over the text")
    add("--unknown", choices=["error", "skip", "replace"], help=UNKNOWN)
    add("--plot", type=named, metavar="FILE", help="draw the norms (needs matplotlib)")


def _add_tasks(commands: Commands[_Parser]) -> None:
    tasks = _add(commands, "tasks", "list the benchmark tasks for memory, or train on one", False)
    below = tasks.add_subparsers(dest="action", metavar="{run}", parser_class=_Parser)
    add = _add(below, "run", "train a model on a task and report whether it is solved").add_argument
    add("task", choices=[*TASKS], help="the name of the task")
    add("--steps", type=COUNT, metavar="T", help="steps of the task (default: 100; digits 64)")
    add("--permuted", action="store_true", help="of digits: read the pixels in a random order")
    add("--cell", choices=["vanilla", "gru", "lstm"], default="vanilla", help="of the hidden units")
    add("--hidden", type=COUNT, default=100, metavar="N", help="hidden units")
    add("--activation", choices=["tanh", "relu"],
        help="of the vanilla cell (this default and the next depend on task and cell)")  # fmt: skip
    add("--init", choices=[*INITIAL], help="how Waa is drawn")
    add("--gain", type=SCALE, metavar="G", help="a factor of Waa at the start")
    add("--input-std", type=SCALE, metavar="S", help="standard deviation of Wax at the start")
    add("--output-gain", type=SCALE, metavar="G", help="a factor of Wya at the start")
    add("--optimizer", choices=["adam", "rmsprop", "sgd"], help="the optimizer")
    add("--lr", type=ABOVE_0, metavar="RATE", help="learning rate")
    add("--batch", type=COUNT, metavar="N", help="examples of an update")
    add("--clip", type=NOT_BELOW_0, metavar="NORM",
        help="largest norm of a gradient; 0: no clipping")  # fmt: skip
    add("--clip-value", type=ABOVE_0, metavar="VALUE",
        help="largest size of each number of a gradient")  # fmt: skip
    add("--curriculum", type=LENGTHS, metavar="T,T,...",
        help="lengths to solve before that of --steps (default: depends on the task)")  # fmt: skip
    add("--updates", type=COUNT, metavar="N", help="most updates")
    add("--seconds", type=ABOVE_0, default=60.0, metavar="S", help="longest time of training")
    add("--seed", type=SEED, default=0, metavar="N", help="for parameters and examples")
    add("--plot", type=named, metavar="FILE", help="draw the learning curve (needs matplotlib)")
    add("--out", type=named, metavar="FILE", help="save the model")
    add("--quiet", action="store_true", help="no progress bar")


def _add_bench(commands: Commands[_Parser]) -> None:
    help = "compare the speed of crnn and other implementations, on this machine"
    bench.add_options(_add(commands, "bench", help, threads=False))


def _add_check(commands: Commands[_Parser]) -> None:
    _add(commands, "check", "compare the results of this build with the equations, on this machine")
