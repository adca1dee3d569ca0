"""Archives of the zoo's models."""

import lzma
import tarfile
from io import BytesIO


def pack(path, files):
    """A .tar.xz that is the same whenever it is made of the same bytes."""
    tar = BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as t:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            t.addfile(entry, BytesIO(data))
    path.write_bytes(lzma.compress(tar.getvalue(), preset=9 | lzma.PRESET_EXTREME))
