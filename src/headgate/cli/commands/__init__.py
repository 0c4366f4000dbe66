"""This package is where each command is a function; the words of its docstring are its help."""
