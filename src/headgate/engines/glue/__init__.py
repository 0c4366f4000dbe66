"""This package is the engine `glue`: runs that are runs of AWS Glue jobs.

StartJobRun knows no names: the attempt's id is planted among the run's arguments (`--headgate_run_id`), and a start
first searches the job's runs for it.
"""

from headgate.engines.glue.engine import GlueEngine
from headgate.engines.glue.seen import PLANTED

__all__ = ["PLANTED", "GlueEngine"]
