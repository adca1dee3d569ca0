"""PNG files as arrays, read with zlib alone; and how far two of them look apart."""

import struct
import zlib

import numpy as np


def _unfilter(kind, line, above, step):
    """One row as a list of bytes, undone from PNG's prediction from its left, upper and upper left neighbours."""
    if kind == 0:
        return line
    row = [0] * step + line  # as long as there is no left neighbour it is 0
    above = [0] * step + above
    for x in range(step, len(row)):
        left, up, corner = row[x - step], above[x], above[x - step]
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            p = left + up - corner
            near, by_up, by_corner = abs(p - left), abs(p - up), abs(p - corner)
            guess = left if near <= by_up and near <= by_corner else up if by_up <= by_corner else corner
        row[x] = (row[x] + guess) & 255
    return row[step:]


def read(path):
    """[height, width, channels] bytes of an 8-bit PNG that is not interlaced."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        n, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + n]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", body)
            assert depth == 8 and not interlaced
        elif kind == b"IDAT":
            packed += body
        at += 12 + n
    step = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, width * step + 1)
    rows = [[0] * (width * step)]
    for line in lines.tolist():
        rows.append(_unfilter(line[0], line[1:], rows[-1], step))
    return np.array(rows[1:], np.uint8).reshape(height, width, step)


def size(path):
    return struct.unpack(">II", path.read_bytes()[16:24])


def blocks(image, side=8):
    """Mean colour of blocks of side x side pixels, 0 to 1: what is left when edges of letters fall elsewhere."""
    h, w = (n // side * side for n in image.shape[:2])
    return image[:h, :w, :3].reshape(h // side, side, w // side, side, 3).mean((1, 3)) / 255
