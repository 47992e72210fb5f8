"""The command `compress`: arrays, and whole files of other formats, into archives; several inputs, one after the other."""

from __future__ import annotations

import os
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aezip.core.errors import FillWarning, InvalidInput, SlowWarning
from aezip.core.sources import check_file
from aezip.plans.autoencoder import variants

from . import arguments, cluster, targets
from . import train as modelcommand
from .common import (
    FILE,
    Batch,
    datasets_option,
    device_option,
    force_option,
    output_dir_option,
    output_option,
    preset_option,
    print_json,
    raw_options,
    report_json,
    say,
    seed_option,
    skip_option,
    telling_options,
    threads_option,
    to_stdout,
    warn_of,
    with_missing,
)
from .helping import command

if TYPE_CHECKING:
    from aezip.archive.report import Report

    from .formats import Inputs

_ARRAYS = (".npy", ".npz")  # what a folder is searched for, beside files that are taken whole


@command(
    "aezip compress temperature.npy --range-rel 1e-3 --preset instant",
    "aezip compress model.nc --bound 'tas:abs=0.05' --preset instant   # the rest: lossless",
)
@click.argument("sources", type=FILE, metavar="IN...", nargs=-1, required=True)
@output_option("OUT.aez", "IN.aez")
@output_dir_option
@click.option("-r", "--recursive", is_flag=True, help="IN may be folders: all files in them of a known name.")
@arguments.bound_options
@arguments.rule_options
@arguments.target_options
@arguments.keep_options
@preset_option("balanced")
@modelcommand.variant_option
@modelcommand.model_option
@click.option("--separate", is_flag=True, help="Code each array alone: none is predicted from others of the file.")
@click.option("--embed-model/--no-embed-model", default=True, help="Put the model into OUT (default), or refer to it.")
@datasets_option
@click.option("--drop", is_flag=True, help="Of a whole file, leave out what cannot be kept.")
@click.option("--exact-text", is_flag=True, help="Of a CSV file: the very text comes back, not equal values only.")
@arguments.missing_options
@raw_options
@seed_option
@device_option
@click.option("--codes", is_flag=True, help="Take a plan with codes (features) even where another is smaller.")
@click.option("--width", type=click.IntRange(1, 255), metavar="N", help="Codes of a row; implies --codes.")
@click.option("--recommend", is_flag=True, help="Ratings, NaN = not rated: store a model of what was not rated.")
@threads_option
@click.option("--dry-run", is_flag=True, help="Tell size and time to expect of every preset; write nothing.")
@click.option("--dask", metavar="tcp://HOST:PORT", help="An array through this dask cluster, the same bytes.")
@click.option("--no-verify", is_flag=True, help="Do not decode and compare before the file gets its name.")
@click.option("--rm/-k", "remove", default=False, help="Remove IN once OUT is verified, or keep it (default).")
@force_option
@skip_option
@telling_options
def compress(sources: tuple[str, ...], output: str | None, **options: Any) -> int:
    """Compress each IN: .npy, .npz, raw binary; whole netCDF, HDF5, safetensors, table, Zarr files."""
    options["targeted"] = arguments.has_target(options)
    options["rules"] = arguments.rules(options)
    options["asked"] = arguments.bound(options)
    places = _places(sources, output, options)
    options["alone"] = len(places) == 1
    batch, made = Batch(list(places)), {}

    def one(source: str) -> None:
        made[source] = _one(source, places[source], options)

    with cluster.connected(options["dask"]):
        batch.each(one)
    if options["as_json"] and len(places) == 1:
        print_json(next(iter(made.values())))
    elif options["as_json"]:
        print_json({"files": list(made.values()), "failed": batch.failed})
    elif len(places) > 1 and not options["quiet"] and not options["dry_run"]:
        from . import show as render

        raw = sum(told["original"]["bytes"] if "original" in told else told["raw_bytes"] for told in made.values())
        stored = sum(told["file_bytes"] for told in made.values())
        click.echo(render.all_in_one(len(made), len(batch.failed), raw, stored))
    return batch.code


def _places(sources: tuple[str, ...], output: str | None, options: dict[str, Any]) -> dict[str, str]:
    """Return the output of each input; folders are searched."""
    folder = options["output_dir"]
    if output is not None and folder is not None:
        raise InvalidInput("-o names one file, --output-dir a folder: give one of them")
    found: dict[str, str] = {}
    for source in (name.rstrip(os.sep) or name for name in sources):
        for path in _searched(source) if options["recursive"] and _is_searched(source) else [source]:
            inside = os.path.relpath(path, source) if path != source else os.path.basename(path)
            beside = path if folder is None else os.path.join(folder, inside)
            found[path] = "-" if path == "-" else f"{beside}.aez"
    if output is not None and len(found) != 1:
        raise InvalidInput(f"-o names one file, there are {len(found)} inputs: use --output-dir DIR")
    if output is not None:
        found = dict.fromkeys(found, output)
    twice = [place for place in found.values() if list(found.values()).count(place) > 1]
    if twice:
        raise InvalidInput(f"two inputs would go to {twice[0]}: compress them one at a time, with -o")
    for place in found.values() if folder is not None else ():
        os.makedirs(os.path.dirname(place) or ".", exist_ok=True)
    return found


def _is_searched(path: str) -> bool:
    """Tell whether a path is a folder of files, not one that is taken whole."""
    from aezip.files import whole

    return os.path.isdir(path) and not whole.is_whole(path)


def _searched(folder: str) -> list[str]:
    from aezip.files import documents, tables, whole

    known = (*_ARRAYS, *whole.SUFFIXES, *tables.SUFFIXES, *documents.SUFFIXES)
    found = []
    for place, inside, names in os.walk(folder):
        stores = [name for name in inside if whole.is_whole(os.path.join(place, name))]
        inside[:] = [name for name in inside if name not in stores]
        files = [name for name in names if name.lower().endswith(known) and os.path.isfile(os.path.join(place, name))]
        found += [Path(place, name) for name in (*stores, *files)]
    if not found:
        raise InvalidInput(f"{folder} holds no file of a known name ({', '.join(sorted(known))}): name the files")
    return [str(path) for path in sorted(found)]


def _one(source: str, target: str, options: dict[str, Any]) -> dict[str, Any]:
    """Compress one file; return what --json says."""
    began = time.perf_counter()
    _check(source, target, options)
    if options["dry_run"]:
        from .foresee import dry_run

        return dry_run(source, options, whole=_is_whole(source, options))
    report, told = (_whole if _is_whole(source, options) else _arrays)(source, target, options)
    if options["remove"]:
        shutil.rmtree(source) if os.path.isdir(source) else os.unlink(source)
    seconds = time.perf_counter() - began
    if not options["quiet"]:
        _tell(report, target, options, seconds)
    return {"input": source, "output": target, **told, **report_json(report), "seconds": seconds}


def _is_whole(source: str, options: dict[str, Any]) -> bool:
    from aezip.files import whole

    return not options["dask"] and not options["datasets"] and options["dtype"] is None and whole.is_whole(source)


def _arrays(source: str, target: str, options: dict[str, Any]) -> tuple[Report, dict[str, Any]]:
    """Compress the arrays of a file, and nothing else of it; return also what is to be said of the input."""
    from aezip.core import atomic

    from . import formats, progress

    kept = {name: options[name] for name in ("datasets", "dtype", "shape", "skip")}
    inputs = cluster.read(source, options) if options["dask"] else formats.read(source, **kept)
    if options["remove"] and not inputs.whole:
        raise InvalidInput(f"--rm would lose {_left_out(source, inputs)}")
    formats.check_output(target, source=source, overwrite=options["force"])
    if not options["quiet"]:
        warn_of(source, inputs)
    fill, limits = arguments.fill_value(options["fill_values"]), arguments.valid_range(options["valid_range"])
    fills, ranges = with_missing(inputs, fill, limits)
    settings = {
        "bound": arguments.bounds_of_arrays(options, inputs.arrays, source),
        "fill_value": fills,
        "valid_range": ranges,
        "recommend": options["recommend"],
        "variant": options["variant"],
        "embed_model": options["embed_model"],
        "codes": options["width"] or options["codes"],
        **_common(options),
    }
    way = cluster.compress if options["dask"] else targets.of_arrays if options["targeted"] else _compress
    with _told(quiet=options["quiet"]), progress.followed(options, source) as told, atomic.sources(source):
        report = way(inputs.arrays, target, options, progress=told, **settings)
    return report, {"lossy_before": inputs.lossy, "skipped": inputs.skipped}


def _whole(source: str, target: str, options: dict[str, Any]) -> tuple[Report, dict[str, Any]]:
    """Compress a file as a whole; return also what is to be said of the input."""
    from aezip.core import atomic
    from aezip.files import whole

    from . import formats, progress
    from . import show as render

    for option, words in (("recommend", "--recommend"), ("codes", "--codes"), ("width", "--width")):
        if options[option]:
            raise InvalidInput(f"{words} is for arrays, not for whole files: name the data set with --dataset")
    if target == "-":
        raise InvalidInput("a whole file goes into a file: name it with -o, or choose data sets with --dataset")
    fill, limits = arguments.fill_value(options["fill_values"]), arguments.valid_range(options["valid_range"])
    if fill is not None or limits is not None:
        raise InvalidInput("a whole file says what is missing: leave --fill-value and --valid-range away, or use --dataset")
    if not os.path.isdir(source):
        check_file(source)
    formats.check_output(target, source=source, overwrite=options["force"])
    found: dict[str, Any] = {}

    def told(taken: whole.Taken) -> None:
        found.update({"lossy_before": taken.lossy, "dropped": taken.refused, "elsewhere": taken.elsewhere})
        for line in () if options["quiet"] else render.taken(source, taken):
            say(line, "warning")

    rules = arguments.file_rules(options)
    with _told(quiet=options["quiet"]), progress.followed(options, source) as follow, atomic.sources(source):
        settings = {"drop": options["drop"], "exact_text": options["exact_text"], "progress": follow, **_common(options)}
        if options["targeted"]:
            report = targets.of_file(source, target, options, taken=told, **settings)
        else:
            report = whole.compress_file(source, target, bounds=rules, overwrite=options["force"], told=told, **settings)
    return report, found


def _common(options: dict[str, Any]) -> dict[str, Any]:
    kept = {name: options[name] for name in ("preset", "seed", "device", "threads", "model", "separate")}
    return {**kept, **arguments.kept(options), "verify": not options["no_verify"]}


def _tell(report: Report, target: str, options: dict[str, Any], seconds: float) -> None:
    """Say what was made: one line, and three more where it is the only file."""
    from . import show as render

    for line in render.tried(report) if options["verbose"] else ():
        click.echo(line, err=True)
    if options["as_json"]:
        return
    unused = options["model"] if options["model"] is not None else ""
    lines = [render.summary(report, target) + render.unused(report, unused)]
    lines += render.at_a_glance(report, seconds) if options["alone"] else []
    click.echo("\n".join(lines), err=target == "-")


def _left_out(source: str, inputs: Inputs) -> str:
    """Return what of a file is not compressed, and what to do about it."""
    if inputs.skipped:
        return f"{next(iter(inputs.skipped))!r} of {source}, which is left out: leave --rm away"
    return f"the other data sets of {source}: leave it away, or name all with --dataset"


@contextmanager
def _told(*, quiet: bool) -> Iterator[None]:
    """Say in one line each, in the end, what the library warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        for kind in (FillWarning, SlowWarning):
            warnings.simplefilter("always", kind)
        yield
    for warning in () if quiet else caught:
        say(str(warning.message), "warning")


def _check(source: str, target: str, options: dict[str, Any]) -> None:
    """Refuse what contradicts itself, before anything is read."""
    variants.check(options["variant"])
    if options["model"] is None and not options["embed_model"]:
        raise InvalidInput("--no-embed-model goes with -m MODEL.aezm: train a model first")
    if options["remove"] and (source == "-" or target == "-"):
        raise InvalidInput("--rm is for a file that goes into a file: leave it away with standard input or output")
    if options["remove"] and options["no_verify"]:
        raise InvalidInput("--rm removes the input only after verified success: leave --no-verify away")
    if options["as_json"] and target == "-":
        raise InvalidInput("--json and the archive cannot both go to standard output: name a file with -o")


def _compress(arrays: dict[str, Any], target: str, options: dict[str, Any], **settings: Any) -> Report:
    from aezip.archive.writing import compress

    if target != "-":
        written: Report = compress(arrays, target, overwrite=options["force"], **settings)
        return written
    report: Report
    data, report = compress(arrays, None, **settings)
    to_stdout(data)
    return report
