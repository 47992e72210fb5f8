"""An HDF5 file copied object by object, without the values of the data sets that are coded: its skeleton.

Groups, data sets, committed types, attributes, links, references and creation properties are kept as they are: types and
spaces are taken over as HDF5 has them, values without conversion wherever they hold no pointers. What HDF5's own
`h5repack` does, but with the places of the arrays left empty.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import h5py
import numpy as np
from h5py import h5, h5a, h5d, h5f, h5g, h5l, h5o, h5p, h5r, h5s, h5t, h5z

from aezip.core.names import stored

_WITHOUT_ATTRIBUTES = 0x10  # H5O_COPY_WITHOUT_ATTR_FLAG
_DEFLATE = 4  # level that stands in for a filter which cannot be written here
_BOUNDS = {2: h5f.LIBVER_V18, 3: h5f.LIBVER_V110}  # by the version of the superblock, which says what a file may hold


@dataclass
class Skeleton:
    """What a copy left out.

    Attributes
    ----------
    refused : dict
        Paths of what cannot be kept, with the reason.
    elsewhere : list of str
        Paths of what refers to other files.
    """

    refused: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)


def copy(source: h5py.File, path: str, coded: Collection[str | bytes]) -> Skeleton:
    """Write a copy of a file.

    Parameters
    ----------
    source
        The file, open for reading.
    path
        Where the copy goes; an existing file is replaced.
    coded
        Names, as h5py has them, of the data sets whose values are left out.

    Returns
    -------
    Skeleton
        What could not be kept.
    """
    made = _Copy(source, path, {_bytes(name) for name in coded})
    try:
        made.run()
    finally:
        made.target.close()
    if source.userblock_size:
        with open(source.filename, "rb") as old, open(path, "r+b") as new:
            new.write(old.read(source.userblock_size))
    return made.told


def _bytes(name: str | bytes) -> bytes:
    return (name.encode("utf-8", "surrogateescape") if isinstance(name, str) else name).strip(b"/")


class _Copy:
    def __init__(self, source: h5py.File, path: str, coded: set[bytes]) -> None:
        settings, access = source.id.get_create_plist(), h5p.create(h5p.FILE_ACCESS)
        version = settings.get_version()[0]
        root = h5o.open(source.id, b"/").get_create_plist()  # what the file's own settings do not tell
        settings.set_link_creation_order(root.get_link_creation_order())
        settings.set_attr_creation_order(root.get_attr_creation_order())
        access.set_libver_bounds(_BOUNDS.get(version, h5f.LIBVER_EARLIEST), h5f.LIBVER_V110)
        access.set_fclose_degree(h5f.CLOSE_STRONG)  # whatever of it is still at hand: the file is complete when it is closed
        self.source = source.id
        self.target = h5f.create(path.encode(), h5f.ACC_TRUNC, settings, access)
        self.coded, self.told = coded, Skeleton()
        self._places: dict[int, bytes] = {}  # of objects seen, by address: hard links share them
        self._later: list[Callable[[], None]] = []  # what holds references: they need their targets

    def run(self) -> None:
        root = h5o.open(self.source, b"/")
        target = h5o.open(self.target, b"/")
        self._places[h5o.get_info(root).addr] = b"/"
        self._committed(root, target, b"")
        self._group(root, target, b"")
        self._attributes(root, target, b"")
        for action in self._later:
            action()

    def _links(self, group: h5g.GroupID) -> list[tuple[bytes, Any]]:
        """Return names and kinds of the links of a group, in the order of their creation if it is known."""
        tracked = group.get_create_plist().get_link_creation_order() & h5p.CRT_ORDER_TRACKED
        found: list[tuple[bytes, Any]] = []

        def note(name: bytes, info: Any) -> None:
            found.append((bytes(name), (info.type, info.cset)))

        group.links.iterate(note, idx_type=h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME, info=True)
        return found

    def _committed(self, source: h5g.GroupID, target: h5g.GroupID, path: bytes) -> None:
        """Copy the committed types of a group, before whatever uses them."""
        for name, (kind, cset) in self._links(source):
            if kind != h5l.TYPE_HARD:
                continue
            info = h5o.get_info(source, name)
            if info.type == h5o.TYPE_NAMED_DATATYPE and info.addr not in self._places:
                where = path + b"/" + name
                h5o.copy(source, name, target, name, self._copying(), _link(cset))
                self._places[info.addr] = where
                self._attributes(h5o.open(source, name), h5o.open(target, name), where)

    @staticmethod
    def _copying() -> h5p.PropCopyID:
        settings = h5p.create(h5p.OBJECT_COPY)
        settings.set_copy_object(_WITHOUT_ATTRIBUTES)
        return settings

    def _group(self, source: h5g.GroupID, target: h5g.GroupID, path: bytes) -> None:
        for name, (kind, cset) in self._links(source):
            where = path + b"/" + name
            if kind == h5l.TYPE_SOFT:
                target.links.create_soft(name, source.links.get_val(name), _link(cset))
            elif kind == h5l.TYPE_EXTERNAL:
                file, inside = source.links.get_val(name)
                target.links.create_external(name, file, inside, _link(cset))
                self.told.elsewhere.append(stored(where))
            elif kind == h5l.TYPE_HARD:
                self._object(source, target, name, where, cset)
            else:
                self.told.refused[stored(where)] = "a link of a kind that a program defined"

    def _object(self, source: h5g.GroupID, target: h5g.GroupID, name: bytes, where: bytes, cset: int) -> None:
        info = h5o.get_info(source, name)
        known = self._places.get(info.addr)
        if known is not None:
            if known != where:
                h5o.link(h5o.open(self.target, known), target, name, lcpl=_link(cset))
            return
        self._places[info.addr] = where
        item = h5o.open(source, name)
        if info.type == h5o.TYPE_GROUP:
            made: Any = h5g.create(target, name, _link(cset), _timeless(item.get_create_plist()))
            self._committed(item, made, where)
            self._group(item, made, where)
        elif info.type == h5o.TYPE_DATASET:
            made = self._dataset(item, target, name, where, cset)
        else:
            return
        self._attributes(item, made, where)

    def _dataset(self, source: h5d.DatasetID, target: h5g.GroupID, name: bytes, where: bytes, cset: int) -> h5d.DatasetID:
        settings = _timeless(source.get_create_plist())
        kind, empty = source.get_type(), where.strip(b"/") in self.coded or not _has_values(source)
        layout = settings.get_layout()
        if layout == h5d.VIRTUAL or settings.get_external_count():
            self.told.elsewhere.append(stored(where))
            empty = True
        elif empty and layout != h5d.COMPACT:
            late = h5d.ALLOC_TIME_INCR if layout == h5d.CHUNKED else h5d.ALLOC_TIME_LATE
            settings.set_alloc_time(late)
        held = _held(kind)
        if not empty and not held and not kind.committed():
            # HDF5's own copy needs no filters; of pointers it copies the fill value wrongly, of committed types it makes two
            h5o.copy(self.source, where, target, name, self._copying(), _link(cset))
            return h5o.open(target, name)
        try:
            made = h5d.create(target, name, self._type(kind), source.get_space(), _writable(settings), _link(cset))
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            raise _refusal(where, error) from error
        if not empty and "reference" in held:
            self._later.append(partial(self._values, source, made, where))
        elif not empty:
            self._values(source, made, where)
        return made

    def _values(self, source: h5d.DatasetID, target: h5d.DatasetID, where: bytes) -> None:
        """Copy values that HDF5 itself would not copy well."""
        kind = source.get_type()
        try:
            if not _held(kind):  # as it lies in the file
                values = np.empty(source.shape, np.dtype((np.void, kind.get_size())))
                source.read(h5s.ALL, h5s.ALL, values, kind)
                target.write(h5s.ALL, h5s.ALL, values, kind)
                return
            values = np.empty(source.shape, source.dtype)
            source.read(h5s.ALL, h5s.ALL, values)
            target.write(h5s.ALL, h5s.ALL, self._moved(values))
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            self.told.refused[stored(where)] = f"values that cannot be copied ({str(error)[:60]})"

    def _type(self, kind: h5t.TypeID) -> h5t.TypeID:
        """Return a type for the copy: the same committed one."""
        if kind.committed():
            place = self._places.get(h5o.get_info(kind).addr)
            if place is not None:
                return h5t.open(self.target, place)
        return kind.copy()

    def _attributes(self, source: Any, target: Any, where: bytes) -> None:
        """Copy the attributes of an object."""
        names: list[bytes] = []
        tracked = _tracks_attributes(source)
        order = {"index_type": h5.INDEX_CRT_ORDER} if tracked else {"index_type": h5.INDEX_NAME, "order": h5.ITER_NATIVE}
        h5a.iterate(source, lambda name, *_: names.append(name), **order)
        for name in names:
            attribute = h5a.open(source, name)
            kind = attribute.get_type()
            made = h5a.create(target, name, self._type(kind), attribute.get_space())
            held = _held(kind)
            if attribute.get_space().get_simple_extent_type() == h5s.NULL:
                continue
            if "unknown" in held:
                self.told.refused[f"{stored(where)}@{stored(name)}"] = "values of a type that h5py cannot read"
            elif "reference" in held:
                self._later.append(partial(self._attribute, attribute, made, where, name))
            elif "pointer" in held:
                values = np.empty(attribute.shape, attribute.dtype)
                attribute.read(values)
                made.write(values)
            else:  # as it lies in the file
                values = np.empty(attribute.shape, np.dtype((np.void, kind.get_size())))
                attribute.read(values, kind)
                made.write(values, kind)

    def _attribute(self, source: h5a.AttrID, target: h5a.AttrID, where: bytes, name: bytes) -> None:
        """Copy the value of an attribute that holds references."""
        try:
            values = np.empty(source.shape, source.dtype)
            source.read(values)
            target.write(self._moved(values))
        except (TypeError, ValueError, RuntimeError, OSError) as error:
            self.told.refused[f"{stored(where)}@{stored(name)}"] = f"references that cannot be followed ({str(error)[:60]})"

    def _moved(self, value: Any) -> Any:
        """Return values with references to the same objects of the copy."""
        if isinstance(value, h5py.RegionReference | h5r.RegionReference):
            return self._region(value)
        if isinstance(value, h5py.Reference | h5r.Reference):
            return self._reference(value)
        if isinstance(value, np.ndarray):
            out = value.copy()
            if value.dtype.names:
                for name in value.dtype.names:
                    if value.dtype[name].hasobject:
                        out[name] = self._moved(value[name])
            elif value.dtype.hasobject:
                flat, moved = value.reshape(-1), out.reshape(-1)
                for number in range(flat.size):
                    moved[number] = self._moved(flat[number])
            return out
        return value

    def _reference(self, reference: Any) -> Any:
        name = h5r.get_name(reference, self.source) if reference else None
        return h5r.Reference() if name is None else h5r.create(self.target, name, h5r.OBJECT)

    def _region(self, reference: Any) -> Any:
        name = h5r.get_name(reference, self.source) if reference else None
        if name is None:
            return h5r.RegionReference()
        return h5r.create(self.target, name, h5r.DATASET_REGION, h5r.get_region(reference, self.source))


class Refused(Exception):  # noqa: N818 - it becomes an InvalidInput where the file's name is known
    """Something cannot be kept; its path and the reason."""


def _refusal(where: bytes, error: BaseException) -> Refused:
    return Refused(stored(where), str(error).splitlines()[0][:80] if str(error) else type(error).__name__)


def _link(cset: int) -> h5p.PropLCID:
    settings = h5p.create(h5p.LINK_CREATE)
    settings.set_char_encoding(cset)
    return settings


def _timeless(settings: Any) -> Any:
    """Return creation properties of an object that does not note when it was made: the same file gives the same copy."""
    if hasattr(settings, "set_obj_track_times"):
        settings.set_obj_track_times(False)
    return settings


def _has_values(dataset: h5d.DatasetID) -> bool:
    """Tell whether values were ever written to a data set: until then it has its fill value throughout."""
    space = dataset.get_space()
    return bool(space.get_simple_extent_type() != h5s.NULL and space.get_simple_extent_npoints() and dataset.get_storage_size())


def _writable(settings: h5p.PropDCID) -> h5p.PropDCID:
    """Return creation properties with filters that can be written here: deflate stands in for others."""
    filters = [settings.get_filter(number)[0] for number in range(settings.get_nfilters())]
    if all(h5z.filter_avail(code) and h5z.get_filter_info(code) & h5z.FILTER_CONFIG_ENCODE_ENABLED for code in filters):
        return settings
    for code in filters:
        settings.remove_filter(code)
    settings.set_shuffle()
    settings.set_deflate(_DEFLATE)
    return settings


def _tracks_attributes(item: Any) -> bool:
    if not hasattr(item, "get_create_plist"):
        return False
    settings = item.get_create_plist()
    return (
        bool(settings.get_attr_creation_order() & h5p.CRT_ORDER_TRACKED)
        if hasattr(settings, "get_attr_creation_order")
        else False
    )


def _held(kind: h5t.TypeID) -> set[str]:
    """Return what a type holds that is no plain value: "pointer", "reference", "unknown" (references of later kinds)."""
    code = kind.get_class()
    if code == h5t.REFERENCE:
        return {"reference"} if kind.equal(h5t.STD_REF_OBJ) or kind.equal(h5t.STD_REF_DSETREG) else {"unknown"}
    if code == h5t.STRING:
        return {"pointer"} if kind.is_variable_str() else set()
    if code == h5t.VLEN:
        return {"pointer"} | _held(kind.get_super())
    if code == h5t.ARRAY:
        return _held(kind.get_super())
    if code == h5t.COMPOUND:
        return set().union(*(_held(kind.get_member_type(number)) for number in range(kind.get_nmembers())))
    return set()
