"""Programs made from a seed, and the way back to the few lines that fail.

``generate(seed)`` is the source of one module with a ``main()``: the same text for the
same seed and target, on whatever Python it is made. It ends within a fraction of a
second, imports the standard library alone (and ``kolo_c`` where it is there), and
prints a transcript that depends on nothing but the program: no address, time, order of
a set of texts. So a program that is traced must print what it prints untraced.

``shrink(program, fails)`` takes away what it can while ``fails`` still says True.

What a run of ``ENOUGH`` programs must have produced: ``expected_kinds``,
``expected_tags``, and every one of ``FEATURES`` that the target has among
``Program.features``. A program of fewer than ``LEAST_RECORDS`` proves too little.

Threads: any. Owns: nothing. Fails: ValueError for a target that is not supported.
"""

from __future__ import annotations

from kolo_c.validate.generate.build import FEATURES as FEATURES
from kolo_c.validate.generate.build import generate as generate
from kolo_c.validate.generate.coverage import ENOUGH as ENOUGH
from kolo_c.validate.generate.coverage import expected_kinds as expected_kinds
from kolo_c.validate.generate.coverage import expected_tags as expected_tags
from kolo_c.validate.generate.program import LEAST_RECORDS as LEAST_RECORDS
from kolo_c.validate.generate.program import Program as Program
from kolo_c.validate.generate.program import Target as Target
from kolo_c.validate.generate.shrink import shrink as shrink
