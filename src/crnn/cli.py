"""The command line: train, sample, bench, check."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

import crnn
from crnn import check
from crnn._validate import choice
from crnn.benchmark import command
from crnn.text import Vocabulary, python_topics

BITS = 1 / np.log(2)  # in a nat


class UsageError(Exception):
    """What the user asked for cannot be done; one line says why."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command; give the exit code.

    0 is well, 1 is a failed check or a training that diverged, 2 is what cannot be done as asked.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.threads is not None:
            crnn.set_num_threads(options.threads)
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone, as in `crnn sample ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (UsageError, OSError, ValueError, RuntimeError, crnn.DivergenceError) as error:
        print(f"crnn {options.command}: {_one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, crnn.DivergenceError) else 2
    return code


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crnn", description="The vanilla recurrent network on the CPU."
    )
    parser.add_argument("--version", action="version", version=f"crnn {crnn.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_train(commands)
    _add_sample(commands)
    _add_bench(commands)
    _add_check(commands)
    return parser


def _add(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help: str,
         run: object, threads: bool = True) -> argparse.ArgumentParser:  # fmt: skip
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=help, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.set_defaults(run=run, threads=None)
    if threads:
        parser.add_argument("--threads", type=int, metavar="N", help="threads of the BLAS")
    return parser


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = _add(commands, "train", "train a character model on a text", _train).add_argument
    add("--text", type=Path, metavar="FILE", help="UTF-8 text (default: the help topics of Python)")
    add("--out", type=Path, default=Path("model.safetensors"), metavar="FILE", help="the model")
    add("--resume", type=Path, metavar="FILE", help="go on with this model")
    add("--hidden", type=int, default=256, metavar="N", help="hidden units")
    add("--layers", type=int, default=1, metavar="N", help="recurrent layers")
    add("--activation", default="tanh", choices=["tanh", "relu"])
    add("--dtype", default="float32", choices=["float32", "float64"])
    add("--epochs", type=int, default=7, metavar="N", help="passes over the text")
    add("--batch", type=int, default=32, metavar="N", help="parallel rows of text")
    add("--steps", type=int, default=64, metavar="N", help="steps of backpropagation through time")
    add("--lr", type=float, metavar="RATE", help="learning rate (default: 0.002; sgd 0.5)")
    add("--optimizer", default="adam", choices=["adam", "sgd"])
    add("--momentum", type=float, default=0.0, metavar="M", help="of sgd")
    add("--clip", type=float, default=1.0, metavar="NORM", help="most that a gradient may measure")
    add("--patience", type=int, metavar="N", help="stop after N epochs without a better one")
    add("--validation", type=float, default=0.1, metavar="SHARE", help="held out, from the end")
    add("--seed", type=int, default=0, metavar="N", help="of parameters and sample")
    add("--length", type=int, default=300, metavar="N", help="characters of the final sample")
    add("--temperature", type=float, default=0.7, metavar="T", help="of the final sample")
    add("--quiet", action="store_true", help="no progress bar")


def _add_sample(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    add = _add(commands, "sample", "write text with a trained model", _sample).add_argument
    add("model", type=Path, help="a file that `crnn train` wrote")
    add("--prime", default="", metavar="TEXT", help="how the text begins")
    add("-n", "--length", type=int, default=400, metavar="N", help="characters to write")
    add("--temperature", type=float, default=0.7, metavar="T", help="0 takes the most probable")
    add("--seed", type=int, metavar="N", help="same seed, same text (default: another each time)")


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    help = "time crnn beside other implementations, on this machine"
    command.add_options(_add(commands, "bench", help, command.bench, threads=False))


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    _add(commands, "check", "hold this build against the equations, on this machine", _check)


def _train(options: argparse.Namespace) -> int:
    text = _read_text(options.text)
    if not 0 < options.validation < 1:
        raise UsageError(f"--validation: expected a share in (0, 1), got {options.validation:g}")
    if not options.out.absolute().parent.is_dir():
        raise UsageError(f"--out: there is no folder {options.out.absolute().parent}")
    model, vocabulary = _model_to_train(options, text)
    symbols = vocabulary.encode(text)
    learned = len(symbols) - round(len(symbols) * options.validation)
    if learned <= options.batch or len(symbols) - learned < 2:
        raise UsageError(
            f"the text of {len(symbols)} characters is too short for {options.batch} rows and a "
            f"held-out share of {options.validation:g}"
        )
    size = sum(p.size for p in model.parameters.values())
    print(
        f"{len(text)} characters, {len(vocabulary)} different; {learned} to learn from, "
        f"{len(text) - learned} held out\n{size} parameters in {model.config.num_layers} "
        f"layer(s) of {model.config.n_a} {model.config.activation} units",
        flush=True,
    )
    began = time.perf_counter()
    try:
        history = model.fit_stream(
            symbols[:learned],
            validation=symbols[learned:],
            epochs=options.epochs,
            batch_size=options.batch,
            steps=options.steps,
            optimizer=_optimizer(options),
            clip_norm=options.clip,
            patience=options.patience,
            progress=not options.quiet,
            callback=lambda history: _report(history, began, options),
        )
    except crnn.DivergenceError:
        model.save(options.out)  # of the last good step
        raise
    model.save(options.out)
    if history.interrupted:
        print("interrupted: the model of the last finished step is kept")
    print(f"wrote {options.out} after {time.perf_counter() - began:.1f} s of training\n")
    drawn = model.sample(options.length, temperature=options.temperature, rng=options.seed)
    _write(vocabulary.decode(drawn))
    return 0


def _read_text(path: Path | None) -> str:
    if path is None:
        try:
            return python_topics()
        except ImportError:
            raise UsageError("this Python ships no pydoc_data.topics: name a --text") from None
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    if not text:
        raise UsageError(f"{path}: the file is empty")
    return text


def _model_to_train(options: argparse.Namespace, text: str) -> tuple[crnn.RNN, Vocabulary]:
    if options.resume is not None:
        return _load(options.resume)
    vocabulary = Vocabulary.of(text)
    model = crnn.RNN(
        len(vocabulary),
        options.hidden,
        len(vocabulary),
        num_layers=options.layers,
        activation=options.activation,
        steps="all",
        dtype=options.dtype,
        rng=options.seed,
    )
    model.metadata["vocabulary"] = json.dumps(vocabulary.characters)
    return model, vocabulary


def _optimizer(options: argparse.Namespace) -> crnn.SGD | crnn.Adam:
    if choice("--optimizer", options.optimizer, ("adam", "sgd")) == "sgd":
        return crnn.SGD(0.5 if options.lr is None else options.lr, options.momentum)
    return crnn.Adam(0.002 if options.lr is None else options.lr)


def _report(history: crnn.History, began: float, options: argparse.Namespace) -> None:
    from tqdm import tqdm

    if len(history.val_loss) < len(history.loss):  # interrupted: nothing was validated
        return
    characters = history.steps_per_second[-1] * options.batch * options.steps
    tqdm.write(
        f"epoch {len(history.loss)}/{options.epochs}  "
        f"bits per character {history.loss[-1] * BITS:.3f}, "
        f"held out {history.val_loss[-1] * BITS:.3f}  "
        f"{characters:,.0f} characters/s  {time.perf_counter() - began:.1f} s",
        file=sys.stdout,
    )
    sys.stdout.flush()


def _sample(options: argparse.Namespace) -> int:
    model, vocabulary = _load(options.model)
    try:
        prime = vocabulary.encode(options.prime)
    except ValueError as error:
        raise UsageError(f"--prime: {error}") from None
    drawn = model.sample(options.length, prime, options.temperature, options.seed)
    _write(options.prime + vocabulary.decode(drawn))
    return 0


def _load(path: Path) -> tuple[crnn.RNN, Vocabulary]:
    model = crnn.load(path)
    try:
        vocabulary = Vocabulary(json.loads(model.metadata["vocabulary"]))
    except (KeyError, ValueError, TypeError):
        raise UsageError(f"{path}: a model without a vocabulary, not one of text") from None
    if len(vocabulary) != model.config.n_x:
        raise UsageError(f"{path}: its vocabulary does not fit its inputs")
    return model, vocabulary


def _write(text: str) -> None:
    """Print, with ? for what the terminal's encoding cannot show."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def _check(_: argparse.Namespace) -> int:
    crnn.show_config()
    print(f"\n{'comparison':58} cases  largest error  allowed")
    passed = True
    for result in check.run():
        passed &= result.passed
        print(
            f"{result.what:58} {result.cases:5}  {result.error:13.1e}  {result.tolerance:.1e}"
            f"  {'ok' if result.passed else 'FAILED'}",
            flush=True,
        )
    print("every comparison holds" if passed else "SOME COMPARISONS FAILED")
    return 0 if passed else 1
