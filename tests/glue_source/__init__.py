"""Tests of the source `headgate-glue`, held against DataHub's own `glue`."""
