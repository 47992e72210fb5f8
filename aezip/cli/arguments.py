"""What the words of the command line mean: bounds, fill values, slices. Knows no commands and no files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aezip.core.errors import InvalidInput

from .common import FILE

if TYPE_CHECKING:
    from aezip.array.bounds import Bound

Command = TypeVar("Command", bound=Callable[..., Any])

REL = (
    "--rel has three meanings: use --range-rel E (of max - min), --point-rel E (of each value), or "
    "--range-rel E --per-feature (of each column's max - min)"
)
VARIANT = "deep (default), sparse, denoising, contractive, stacked, rbm; auto."
ONE = "give one bound only: --abs, --range-rel, --point-rel, --psnr, --nrmse or --lossless"


def bound_options(function: Command) -> Command:
    """Add the options of the bound to a command; `bound` reads them."""
    options = [
        click.option("--abs", "absolute", type=float, metavar="E", help="abs(x - y) <= E for every value."),
        click.option("--range-rel", type=float, metavar="E", help="abs(x - y) <= E times (max - min)."),
        click.option("--point-rel", type=float, metavar="E", help="abs(x - y) <= E times abs(x)."),
        click.option("--psnr", type=float, metavar="DB", help="Peak signal-to-noise ratio of at least DB."),
        click.option("--nrmse", type=float, metavar="E", help="Root mean squared error of at most E times (max - min)."),
        click.option("--lossless", is_flag=True, help="Bit-identical (the default)."),
        click.option("--rel", metavar="E", hidden=True),
        click.option("--per-feature", is_flag=True, help="With --range-rel: each column has its own range."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def bound(options: dict[str, Any]) -> Bound:
    """Return the bound that was asked for.

    Raises
    ------
    InvalidInput
        If the options contradict each other, or the value is not positive and finite.
    """
    from aezip.array.bounds import NRMSE, PSNR, Absolute, Lossless, PointRelative, RangeRelative

    if options["rel"] is not None:
        raise InvalidInput(REL)
    given = [name for name in ("absolute", "range_rel", "point_rel", "psnr", "nrmse") if options[name] is not None]
    if len(given) + options["lossless"] > 1:
        raise InvalidInput(ONE)
    if options["per_feature"] and given != ["range_rel"] and not options.get("targeted"):
        raise InvalidInput("--per-feature goes with --range-rel only: give --range-rel E, or leave it away")
    if not given:
        return Lossless()
    value = options[given[0]]
    if given == ["range_rel"]:
        return RangeRelative(value, options["per_feature"])
    kinds: dict[str, Callable[[float], Bound]]
    kinds = {"absolute": Absolute, "point_rel": PointRelative, "psnr": PSNR, "nrmse": NRMSE}
    return kinds[given[0]](value)


def target_options(function: Command) -> Command:
    """Add the options of the size that a file is to have; `target` reads them."""
    options = [
        click.option("--target-size", metavar="SIZE", help="The smallest error whose file has at most SIZE: 10MB, 800kB."),
        click.option("--target-ratio", type=float, metavar="R", help="The smallest error that makes it R times smaller."),
        click.option("--ssim", type=float, metavar="S", help="The largest error that keeps planes so similar, such as 0.999."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def has_target(options: dict[str, Any]) -> bool:
    """Tell whether a size or a similarity was asked for.

    Raises
    ------
    InvalidInput
        If a bound was asked for too.
    """
    asked = [name for name in ("target_size", "target_ratio", "ssim") if options[name] is not None]
    if not asked:
        return False
    bounds = "absolute", "range_rel", "point_rel", "psnr", "nrmse", "rel", "bounds_file"
    given = [name for name in bounds if options[name] is not None]
    if given or options["bound_rules"] or options["lossless"]:
        option = f"--{asked[0].replace('_', '-')}"
        raise InvalidInput(f"{option} finds the bound by itself: give no other bound beside it, or leave {option} away")
    if len(asked) > 1:
        raise InvalidInput("--target-size, --target-ratio and --ssim each find the bound: give one of them")
    return True


def target(options: dict[str, Any], raw_bytes: int) -> float:
    """Return how many bytes a file of arrays of `raw_bytes` may have.

    Raises
    ------
    InvalidInput
        If the size is none.
    """
    ratio = options["target_ratio"]
    if ratio is not None:
        if not (math.isfinite(ratio) and ratio > 0):
            raise InvalidInput(f"a ratio of {ratio:g} cannot be: give a positive number")
        return float(raw_bytes / ratio)
    text = options["target_size"]
    words = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?i?b?)\s*", text.lower())
    unit = "" if words is None else words[2].removesuffix("b")
    try:
        number = 0.0 if words is None else float(words[1]) * _UNITS.get(unit, 0)
    except ValueError:
        number = 0.0
    if not number:
        raise InvalidInput(f"{text!r} is no size: write for example 10MB, 800kB or 5e6")
    return number


def map_option(function: Command) -> Command:
    """Add the option --abs-map; `error_map` reads it."""
    text = "Array of the largest error at each place; .npz: for each array its own."
    return click.option("--abs-map", type=FILE, metavar="MAP.npy", help=text)(function)


def error_map(path: str | None) -> Any:
    """Return the largest error at each place, of one array or by name; None where none is given.

    Raises
    ------
    InvalidInput
        If the file is no .npy or .npz file.
    """
    if path is None:
        return None
    from . import formats

    if formats.file_format(path) not in ("npy", "npz"):
        raise InvalidInput(f"{path}: a map of errors is a .npy file, or a .npz file with a map for each array: convert it")
    found = formats.read(path).arrays
    return next(iter(found.values())) if formats.file_format(path) == "npy" else found


def keep_options(function: Command) -> Command:
    """Add the options of what holds beside the bound; `kept` reads them."""
    options = [
        map_option,
        click.option("--keep-sign", is_flag=True, help="No value changes its sign, zeros stay zero."),
        click.option(
            "--keep-threshold", "thresholds", type=float, multiple=True, metavar="X", help="No value crosses X; repeatable."
        ),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def kept(options: dict[str, Any]) -> dict[str, Any]:
    """Return what is to hold beside the bound, as options of `aezip.compress`."""
    if options["abs_map"] is not None and options["lossless"]:
        raise InvalidInput("--abs-map allows errors, --lossless none: give one of them")
    places = error_map(options["abs_map"])
    found = {} if places is None else {"error_map": places}
    found |= {"keep_sign": True} if options["keep_sign"] else {}
    return found | ({"keep_thresholds": options["thresholds"]} if options["thresholds"] else {})


def rule_options(function: Command) -> Command:
    """Add the options of bounds by variable; `rules` reads them."""
    options = [
        click.option(
            "--bound", "bound_rules", multiple=True, metavar="NAME:KIND=E",
            help="Of variables so named: 'air:range-rel=1e-3', '*_bnds:lossless'.",
        ),
        click.option(
            "--bounds", "bounds_file", type=FILE, metavar="FILE.toml",
            help="Such bounds, the first that fits, in a table [bounds].",
        ),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def rules(options: dict[str, Any]) -> list[tuple[str, Bound]]:
    """Return the bounds by variable that were asked for.

    Raises
    ------
    InvalidInput
        If one is not understood.
    """
    if not options["bound_rules"] and options["bounds_file"] is None:
        return []
    from aezip.files.bounds import from_toml, rule

    found = [rule(text) for text in options["bound_rules"]]
    return found if options["bounds_file"] is None else [*found, *from_toml(options["bounds_file"])]


def file_rules(options: dict[str, Any]) -> list[tuple[str, Bound]]:
    """Return the bounds by variable of a whole file: those of `rules`, then that of `bound` for the others."""
    from aezip.array.bounds import Lossless

    asked = options["asked"]
    return [*options["rules"], *([] if isinstance(asked, Lossless) else [("*", asked)])]


def bounds_of_arrays(options: dict[str, Any], arrays: dict[str, Any], source: str) -> Bound | dict[str, Bound]:
    """Return the bound of all arrays of a file, or by name where `rules` were asked for."""
    if not options["rules"]:
        asked: Bound = options["asked"]
        return asked
    from aezip.files.bounds import assign
    from aezip.files.parts import Parts

    return assign(options["rules"], Parts(arrays=arrays), source)


def missing_options(function: Command) -> Command:
    """Add the options that tell which values are missing; `fill_value` and `valid_range` read them."""
    options = [
        click.option(
            "--fill-value", "fill_values", metavar="X", multiple=True,
            help="Stands for missing values: exact, out of the range; repeatable.",
        ),
        click.option("--valid-range", metavar="LOW,HIGH", help="Values outside are missing too; one side may be empty."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


def fill_value(texts: tuple[str, ...]) -> list[int | float] | None:
    """Parse fill values; integers stay exact.

    Raises
    ------
    InvalidInput
        If one is not a number.
    """
    return [_number(text, "--fill-value", "1e20, -9999 or nan") for text in texts] or None


def valid_range(text: str | None) -> tuple[int | float | None, int | float | None] | None:
    """Parse LOW,HIGH; one side may be empty.

    Raises
    ------
    InvalidInput
        If it is no pair of numbers.
    """
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not any(part.strip() for part in parts):
        raise InvalidInput(f"--valid-range {text!r} is no pair: write for example 0,100 or ,1e10")
    low, high = (_number(part, "--valid-range", "0,100") if part.strip() else None for part in parts)
    return low, high


def _number(text: str, option: str, example: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"{option} {text!r} is not a number: write for example {example}") from None


def slices(text: str) -> tuple[Any, ...]:
    """Parse "0:10,:,3" as Python reads it between brackets.

    Raises
    ------
    InvalidInput
        If it is not made of integers, slices and "...".
    """
    parts: list[Any] = []
    try:
        for word in (part.strip() for part in text.split(",")):
            if word == "...":
                parts.append(Ellipsis)
            elif ":" in word:
                bounds = [int(n) if n.strip() else None for n in word.split(":")]
                if bounds[2:] == [0]:
                    raise ValueError
                parts.append(slice(*bounds))
            else:
                parts.append(int(word))
    except (ValueError, TypeError):
        raise InvalidInput(f"--slice {text!r} is not understood: write for example --slice '0:10,:,3'") from None
    return tuple(parts)
