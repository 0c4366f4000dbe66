"""This package is where what headgate.yaml says of AWS Glue's jobs and triggers is held against what is there.

`words` (what is declared, in Glue's words), `far` (Glue itself), `compare` (the differences, as values), `doing` (the
differences made), `adoption` (all of it as two calls), `writing` (what is there, as a headgate.yaml).

AWS is only ever changed by `apply`. It makes and changes what is declared, keeps every member that the file does not
mention, and deletes what it made itself and nobody declares any more; what others made is shown and left alone.
"""

from headgate.adopt.adoption import Adoption
from headgate.adopt.compare import Does, GlueChange

__all__ = ["Adoption", "Does", "GlueChange"]
