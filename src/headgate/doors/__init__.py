"""This folder is where events come in: decoded, given an identity, and handed over; no door decides anything."""
