"""This folder is where headgate.yaml and the environment become one frozen record of settings.

Read in this order: `record` (what comes out), `load` (how), `top`, `jobs`, `triggers`, `datasets`, `notify` (the keys),
`reading`, `kinds`, `nodes` (the means), `reference` (the generated table of every key).
"""

from headgate.settings.load import NAME, InvalidSettings, describe, load
from headgate.settings.record import DataHub, Effective, Notification, Secret, Settings
from headgate.settings.reference import settings_reference

__all__ = [
    "NAME",
    "DataHub",
    "Effective",
    "InvalidSettings",
    "Notification",
    "Secret",
    "Settings",
    "describe",
    "load",
    "settings_reference",
]
