"""This package is where DataHub's recipes are: their text, what is wrong with them, and the process that runs one.

- `text`: a recipe's document, the `${…}` in it, and the values put in
- `entry`, `reporting`: the process of one run; the only place that loads DataHub's SDK
- `warming`: what such a process finds loaded already
- `own`: our own sources, where DataHub does not know them; `quietly`: what libraries look for in the environment
- `environments`, `building`: another version of DataHub than the installed one, and the run that installs it first
- `values`: who is asked for `${NAME}`, and which values are secret; `awsing`: whether a recipe calls AWS
- `lint`, `inspecting`, `preflight`, `findings`: what is wrong with a recipe, and with those it names

It is loaded by interpreters of other versions of DataHub, too: what a run needs of it (`entry`) asks for nothing
but Python, PyYAML and DataHub itself.
"""
