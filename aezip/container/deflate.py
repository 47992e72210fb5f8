"""Headers as raw deflate with a preset dictionary of what headers mostly say: a small array's header is most of what it needs.

The dictionaries are part of the format: they never change.
"""

from __future__ import annotations

import zlib

from aezip.core.errors import CorruptFile, UnsafeFile

_COMMON = (
    b'"hidden":32,"precision":10,"origin":0,"spike":{"signal":{"axis":0,"columns":null,"segments":1"raster":[0,1,2]'
    b'"layout":[1,"difference":{"variant":"deep""scale_hidden":"width":"convolution":[1,2]"by_feature":true'
    b'{"kind":"ranks","inner":{"kind":"integer","step":1,"offset":0}{"kind":"ordered","type":"f4"}{"kind":"digits","digits":'
    b'"lowest":-2,"narrow":true{"kind":"linear","scale":[1.0],"shift":[0.0],"divisor":[1.0],"axis":null,"keys":[],"deltas":[]'
    b'"kind":"log","steps":"octaves":1,"base":"whole":true,"step":0.01,"offset":0.0"count":"zlib":"'
    b'"specials":{"patterns":["0000c07f","000000000000f87f"],"fills":1},"builtin":{"number":1,"sha256":"'
    b'"plan":{"kind":"bytes","shuffled":true,"changes":true}"plan":{"kind":"difference","axis":0}"plan":{"kind":"buckets","axes":[0,1,2]}'
    b'"plan":{"kind":"columns","order":[0,1,2,3],"keys":[0,0,1,2],"networks":{"columns":[1,2,3],"differences":['
    b'"plan":{"kind":"static""plan":{"kind":"autoencoder"'
    b'"plan":{"kind":"context","order":[[0],[1,2]],"grid":null,"grid":{"kind":"hidden","lattice":'
    b'"grid":{"kind":"linear","whole":true,"step":"masked":{"pattern":"","fill_value":"'
    b'"bound":{"kind":"range_relative","value":0.001},"bound":{"kind":"point_relative","value":"bound":{"kind":"lossless"},'
    b'{"shape":[64,64,64],"dtype":"<f8","bound":{"kind":"absolute","value":0.01},"chunk_length":64,"dtype":"<i4","dtype":"<f4",'
)
FILE_DICTIONARY = (
    b'"masked":{"recommender":{"rank":"held_out_rmse":"trained":{"id":"embedded":true,"file_bytes":"stream_bytes":"kind":"model",'
    b'"features":["model-reference"]"features":["file"],"file":{"format":"hdf5","name":"bytes":"sha256":"modified":"kept":"digest":"'
    b'"channels":{"count":"companions":[["weights":"companions":"base":{"kind":"autoencoder""rates":{"held_out":"held_out_float":'
    b"bytes, zstd: bytes, shuffled: columns: columns, sorted by others: static, block 16, difference 0: difference 1: "
    b"context 0, 32 hidden, fine: context 0+1+2, signal along 0, 1 columns, 32 hidden, fine: raster, deep, width 8: buckets: "
    b'"preset":"best""preset":"balanced""preset":"fast","candidates":["difference 0: "per_feature":true,"valid":["apart":true'
    b'"achieved":{"max_abs_error":0.0,"rmse":0.0,"nrmse":0.0,"psnr":null,"max_rel_error":0.0,"count":1000,"ideal_bytes":'
    b'"preset":"instant","rates":{"trained":0.0},"candidates":["'
    b'{"format":"aezip","version":[1,0],"features":[],"software":"aezip 0.1.0","arrays":[{"name":"data",'
    b'"streams":["codes","mask","model","outliers","residual"],"streams":["data"],"shape":[' + _COMMON
)
FRAME_DICTIONARY = _COMMON + (
    b'"specials":{"fills":0,"patterns":["00000080"]},"plan":{"kind":"static","layout":[1,1,64],"difference":{"axis":0,"columns":null}}}'
    b'"lattice":{"kind":"linear","axis":null,"narrow":false,"scale":[1.0],"shift":[0.0],"divisor":[100.0],"keys":[],"deltas":[]}},'
    b'"plan":{"kind":"difference","axis":0}}"plan":{"kind":"bytes"}}'
    b',"grid":{"kind":"hidden","lattice":{"kind":"integer","step":1,"offset":0}},"plan":{"kind":"context","order":[[0],[1]],'
    b'"precision":10,"channels":{"axis":0,"count":64,"levels":false,"alike":true},"builtin":1}}'
    b'"offset":0.0},"plan":{"kind":"buckets","axes":[0,1,2]}}'
    b'"offset":-0.0},"plan":{"kind":"context","order":[[0],[1,2]],"hidden":32,"precision":10,"builtin":1}}'
    b'"chunk_length":64,"grid":{"kind":"linear","whole":true,"step":0.'
    b'{"shape":[64,64,64],"dtype":"<f8","chunk_length":64,"grid":{"kind":"linear","whole":false,"step":0.0'
    b'{"shape":[64,64],"dtype":"<f4","chunk_length":'
)
_DAMAGED = "a header is not readable: the file is damaged, get another copy"


def deflated(text: bytes, dictionary: bytes) -> bytes:
    """Return `text` as raw deflate."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, dictionary)
    return packer.compress(text) + packer.flush()


def inflated(raw: bytes, dictionary: bytes, most: int) -> tuple[bytes, bytes]:
    """Return the text at the beginning of `raw`, and what follows it.

    Raises
    ------
    CorruptFile
        If it is none.
    UnsafeFile
        If it has more than `most` bytes.
    """
    inflater = zlib.decompressobj(-15, dictionary)
    try:
        text = inflater.decompress(raw, most)
    except zlib.error as error:
        raise CorruptFile(_DAMAGED) from error
    if inflater.unconsumed_tail:
        raise UnsafeFile(f"a header is beyond the limit of {most} bytes: do not trust this file")
    if not inflater.eof:
        raise CorruptFile(_DAMAGED)
    return text, inflater.unused_data
