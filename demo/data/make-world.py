#!/usr/bin/env python3
"""world.json from Natural Earth's admin-0 countries at 1:110m (a .shp file): see README.md.

make-world.py FILE.shp > world.json

A ring is a flat list: the first point, then differences, in 1/50 of a degree.
"""
import json
import struct
import sys

SCALE = 50


def polygons(data):
    """The rings of each record of a shapefile of polygons."""
    at = 100
    while at < len(data):
        length = struct.unpack_from(">i", data, at + 4)[0] * 2
        record = data[at + 8:at + 8 + length]
        at += 8 + length
        if struct.unpack_from("<i", record)[0] != 5:
            continue
        parts, points = struct.unpack_from("<2i", record, 36)
        starts = list(struct.unpack_from(f"<{parts}i", record, 44)) + [points]
        base = 44 + 4 * parts
        yield [
            [struct.unpack_from("<2d", record, base + 16 * i) for i in range(a, b)]
            for a, b in zip(starts, starts[1:])
        ]


def encode(ring):
    """Rounded, without repetitions and without the closing point; differences after the first."""
    points = []
    for x, y in ring:
        point = (round(x * SCALE), round(y * SCALE))
        if not points or points[-1] != point:
            points.append(point)
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    flat = list(points[0])
    for (ax, ay), (bx, by) in zip(points, points[1:]):
        flat += [bx - ax, by - ay]
    return flat if len(points) > 2 else None


with open(sys.argv[1], "rb") as file:
    countries = [[r for r in map(encode, rings) if r] for rings in polygons(file.read())]
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in countries if c)
print(f'{{"scale":{SCALE},"countries":[\n{lines}\n]}}')
