"""This file is where the engine `recipe` is: `datahub ingest` in processes here that outlive their supervisor.

A run is forked from a process that has DataHub's SDK and the recipe's plugins loaded already, one for each set of
plugins and version. It is supervised as the engine `local` does it, and found again in the same way: by its run
directory.
"""

from headgate.engines.recipe.engine import RecipeEngine

__all__ = ["RecipeEngine"]
