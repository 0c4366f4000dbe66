"""This file is where the package of engines begins: each module in it is somewhere a run can happen."""
