"""Parts of programs, one for each thing that a tracer can get wrong.

A part is a function without parameters, whose body the writer gives. What it needs
beside (classes, generators, decorators) it defines; what varies is chosen.

Threads: one at a time. Owns: nothing. Fails: never.
"""

from __future__ import annotations

from kolo_c.validate.generate.features import (
    asyncs as asyncs,
)
from kolo_c.validate.generate.features import (
    classes as classes,
)
from kolo_c.validate.generate.features import (
    errors as errors,
)
from kolo_c.validate.generate.features import (
    functions as functions,
)
from kolo_c.validate.generate.features import (
    generators as generators,
)
from kolo_c.validate.generate.features import (
    library as library,
)
from kolo_c.validate.generate.features import (
    objects as objects,
)
from kolo_c.validate.generate.features import (
    scopes as scopes,
)
from kolo_c.validate.generate.features import (
    threads as threads,
)
from kolo_c.validate.generate.features.part import PARTS as PARTS
from kolo_c.validate.generate.features.part import Part as Part
