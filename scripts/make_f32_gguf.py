#!/usr/bin/env python3
"""Write a GGUF model again with every tensor as F32.

    python scripts/make_f32_gguf.py IN.gguf OUT.gguf [--keep TENSOR]...

llama.cpp quantises the activations of a quantised matrix product, PyTorch does not. On the F32 file
both compute the same function of the same weights, so that tests can compare them closely.
All metadata is kept, general.file_type becomes 0 (ALL_F32). Tensors named by --keep stay as they are: a large embedding
is looked up exactly in any form, and only the product that makes
the logits then still rounds. Needs the packages gguf and numpy.
"""

import argparse
import os

import numpy as np
from gguf import (
    GGMLQuantizationType,
    GGUFReader,
    GGUFValueType,
    GGUFWriter,
    LlamaFileType,
    dequantize,
)

NOT_WEIGHTS = {
    GGMLQuantizationType.I8,
    GGMLQuantizationType.I16,
    GGMLQuantizationType.I32,
    GGMLQuantizationType.I64,
}
WRITTEN_BY_THE_WRITER = {
    "general.architecture",
    "general.file_type",
}  # and GGUF.*, the file's header


def copy_metadata(reader, writer):
    """Copies every key with its type, arrays with that of their elements, except empty arrays."""
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in WRITTEN_BY_THE_WRITER:
            continue
        value, is_array = field.contents(), field.types[0] == GGUFValueType.ARRAY
        if (
            is_array and len(value) == 0
        ):  # the writer rejects them, and the reader has lost their type
            continue
        if key == "general.alignment":
            writer.data_alignment = value
        writer.add_key_value(key, value, field.types[0], field.types[-1] if is_array else None)
    writer.add_file_type(int(LlamaFileType.ALL_F32))


def f32_values(tensor):
    """Tensor data as F32, row-major, slowest dimension first."""
    values = dequantize(tensor.data, tensor.tensor_type)
    return np.ascontiguousarray(values, dtype=np.float32).reshape(row_major_shape(tensor))


def row_major_shape(tensor):
    """ggml lists the fastest dimension first."""
    return [int(n) for n in reversed(tensor.shape)]


def stays(tensor, keep):
    return tensor.tensor_type in NOT_WEIGHTS or tensor.name in keep


def add_tensor_infos(reader, writer, keep):
    for t in reader.tensors:
        if stays(t, keep):
            writer.add_tensor_info(t.name, t.data.shape, t.data.dtype, t.n_bytes, t.tensor_type)
        else:
            writer.add_tensor_info(t.name, row_major_shape(t), np.dtype(np.float32), int(t.n_elements) * 4)


def convert(source, target, keep=()):
    """Write `target` under a temporary name, tensor by tensor, and rename it when complete."""
    reader = GGUFReader(source)
    missing = set(keep) - {t.name for t in reader.tensors}
    if missing:
        raise SystemExit(f"{source} has no tensor {', '.join(sorted(missing))}")
    partial = f"{target}.{os.getpid()}.tmp"
    writer = GGUFWriter(partial, reader.fields["general.architecture"].contents())
    try:
        copy_metadata(reader, writer)
        add_tensor_infos(reader, writer, keep)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for t in reader.tensors:
            writer.write_tensor_data(t.data if stays(t, keep) else f32_values(t))
        writer.close()
        os.replace(partial, target)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("input")
    p.add_argument("output")
    p.add_argument("--keep", metavar="TENSOR", action="append", default=[], help="stays as it is")
    a = p.parse_args()
    convert(a.input, a.output, a.keep)
    print(f"{a.output}: {os.path.getsize(a.output) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
