"""`compress --target-size`, `--target-ratio`, `--ssim`: options that find the bound, and tell which were looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from aezip.core.errors import InvalidInput

from . import arguments
from .common import say, to_stdout

if TYPE_CHECKING:
    from aezip.archive.report import Report
    from aezip.array.bounds import Bound


def of_arrays(arrays: dict[str, Any], target: str, options: dict[str, Any], **settings: Any) -> Report:
    """Compress arrays into a file of the size, or of the similarity, that was asked for."""
    if options["model"] is not None or options["recommend"]:
        raise InvalidInput("a model and --recommend go with a bound: leave --target-size, --target-ratio and --ssim away")
    settings.pop("bound")
    place = None if target == "-" else target
    if options["ssim"] is not None:
        from aezip.tools.alike import compress_alike

        if options["per_feature"]:
            raise InvalidInput("--per-feature is for bounds relative to a range: leave it or --ssim away")
        data, report = compress_alike(
            arrays, place, options["ssim"], overwrite=options["force"], told=_likeness(options), **settings
        )
    else:
        from aezip.archive.target import compress_to

        size = arguments.target(options, sum(array.nbytes for array in arrays.values()))
        features, told = options["per_feature"], _looked_for(options, size)
        data, report = compress_to(arrays, place, size, per_feature=features, overwrite=options["force"], told=told, **settings)
    if place is None:
        to_stdout(data)
    return report


def of_file(source: str, target: str, options: dict[str, Any], **settings: Any) -> Report:
    """Compress a whole file into an archive of the size that was asked for."""
    from aezip.files.sizes import compress_file_to
    from aezip.files.whole import size_of

    if options["ssim"] is not None:
        raise InvalidInput("--ssim is for arrays: name the data set with --dataset, or give a bound")
    if options["model"] is not None:
        raise InvalidInput("a model goes with a bound: leave --target-size and --target-ratio away")
    size = arguments.target(options, size_of(source))
    return compress_file_to(source, target, size, overwrite=options["force"], told=_looked_for(options, size), **settings)


def _looked_for(options: dict[str, Any], size: float) -> Callable[[Bound, int], None]:
    from . import show as render

    def told(bound: Bound, made: int) -> None:
        if not options["quiet"]:
            say(render.looked_for(bound, made, size))

    return told


def _likeness(options: dict[str, Any]) -> Callable[[Mapping[str, float], Mapping[str, float]], None]:
    def told(shares: Mapping[str, float], found: Mapping[str, float]) -> None:
        least = min(found, key=lambda name: found[name])
        if not options["quiet"]:
            say(f"{least}: range-relative {shares[least]:g} gives SSIM {found[least]:.6f}, at least {options['ssim']:g} wanted")

    return told
