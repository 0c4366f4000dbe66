"""This folder is where changes of a catalog's tables become events: `door` looks, `glue` and `iceberg` read."""

from headgate.doors.catalog.door import CatalogDoor, Inside
from headgate.doors.catalog.reading import Broken, Look, Reader, Turn

__all__ = ["Broken", "CatalogDoor", "Inside", "Look", "Reader", "Turn"]
