"""Formats to the sketches of their simple lines, most common first. No I/O."""

from shipper.sketch import Sketch
from shipper.sketches import access, java, plain

SKETCHES: dict[str, tuple[Sketch, ...]] = {
    "plain": plain.SKETCHES,
    "nginx": access.SKETCHES,
    "apache": access.SKETCHES,
    "java": java.SKETCHES,
}
"""By the name of the format."""
