"""Formats to the sketches of their simple lines, most common first. No I/O."""

from shipper.sketch import Sketch
from shipper.sketches import access, java, plain, python

SKETCHES: dict[str, tuple[Sketch, ...]] = {
    "plain": plain.SKETCHES,
    "nginx": access.SKETCHES,
    "apache": access.SKETCHES,
    "java": java.SKETCHES,
    "python": python.SKETCHES,
}
"""By the name of the format."""
