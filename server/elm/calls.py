"""Calls of functions: the frame handed over, what is remembered, what is held.

CQL functions have no side effects, so a call with the same operands has the same value. Calls with a list, a
resource or another structure among their operands are remembered for the evaluation by the identity of the
structure: criteria ask the same of the same chart again and again.

Traced, what the log says of a list operand is held back: the list is evidence where it is used, as far as it
is used, not where it is handed over. Of one that is empty or null all there is to say is why it is, which may
differ from call to call: a call with it is another where another log tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from server.elm.code import FIRST_SLOT, LOG, RUN, Code, CompiledFunction, Frame, Thunk
from server.elm.compiler import Compiler
from server.elm.evidence import told

_BY_VALUE: Final = (str, int, bool, type(None))


def calling(compiler: Compiler, compiled: CompiledFunction, operands: Sequence[Code]) -> Thunk:
    """A closure calling a function with these operands."""
    if not compiled.memoised:
        return _holding(compiled, operands) if compiled.held else _plain(compiled, operands)
    fixed = tuple(
        (place, value)
        for place, operand in enumerate(operands)
        if operand.constant and type(value := operand.run([None, None])) in _BY_VALUE
    )
    token = compiler.token((compiled.index, *((place, type(value), value) for place, value in fixed)))
    known = {place for place, _ in fixed}
    moving = [(place, operand) for place, operand in enumerate(operands) if place not in known]
    template = [None] * len(operands)
    for place, value in fixed:
        template[place] = value
    if len(moving) == 1 and moving[0][0] in compiled.structures:
        return _remembered_one(compiled, token, template, *moving[0])
    return _remembered(compiled, token, template, moving)


def _plain(compiled: CompiledFunction, operands: Sequence[Code]) -> Thunk:
    thunks = [operand.run for operand in operands]
    if len(thunks) == 1:
        only, slot = thunks[0], operands[0].slot

        def unary(frame: Frame) -> Any:
            run = frame[RUN]
            run.left -= 1
            if run.left < 0:
                run.check()
            argument = only(frame) if slot is None else frame[slot]
            return compiled.run([run, frame[LOG], argument, *compiled.extra])

        return unary

    def several(frame: Frame) -> Any:
        run = frame[RUN]
        run.left -= 1
        if run.left < 0:
            run.check()
        return compiled.run([run, frame[LOG], *[thunk(frame) for thunk in thunks], *compiled.extra])

    return several


def _holding(compiled: CompiledFunction, operands: Sequence[Code]) -> Thunk:
    places = dict(compiled.held)
    thunks = [(operand.run, places.get(place)) for place, operand in enumerate(operands)]

    def holding(frame: Frame) -> Any:
        run, log = frame[RUN], frame[LOG]
        run.left -= 1
        if run.left < 0:
            run.check()
        inner = [run, log, *[None] * len(thunks), *compiled.extra]
        for place, (thunk, held) in enumerate(thunks, FIRST_SLOT):
            if held is not None:
                inner[held] = frame[LOG] = []
            inner[place] = thunk(frame)
            frame[LOG] = log
        return compiled.run(inner)

    return holding


def _remembered_one(
    compiled: CompiledFunction, token: int, template: list[Any], place: int, operand: Code
) -> Thunk:
    """One structure as the only operand that is not fixed."""
    thunk, slot, at = operand.run, operand.slot, place + FIRST_SLOT
    held = dict(compiled.held).get(place)

    def remembered(frame: Frame) -> Any:
        run, argument = frame[RUN], thunk(frame) if slot is None else frame[slot]
        key = (token, id(argument))
        known = run.calls.get(key)
        if known is None:
            run.left -= 1
            if run.left < 0:
                run.check()
            found: list[Any] = []
            inner = [run, found, *template, *compiled.extra]
            inner[at] = argument
            # What the key names is kept too: while it is, its id is nobody else's.
            run.calls[key] = known = (compiled.run(inner), told(found), argument)
        if known[1]:
            frame[LOG].append(known[1])
        return known[0]

    if held is None:
        return remembered

    def held_back(frame: Frame) -> Any:
        run, log, why = frame[RUN], frame[LOG], None
        before: list[Any] = []
        frame[LOG] = before
        argument = thunk(frame)
        frame[LOG] = log
        if not argument and before:
            why = _shared(before)
            if why is None:
                run.left -= 1
                if run.left < 0:
                    run.check()
                inner = [run, log, *template, *compiled.extra]
                inner[at], inner[held] = argument, told(before)
                return compiled.run(inner)
        key = (token, id(argument), id(why))
        known = run.calls.get(key)
        if known is None:
            run.left -= 1
            if run.left < 0:
                run.check()
            found: list[Any] = []
            inner = [run, found, *template, *compiled.extra]
            inner[at], inner[held] = argument, told(before)
            run.calls[key] = known = (compiled.run(inner), told(found), (argument, why))
        if known[1]:
            log.append(known[1])
        return known[0]

    return held_back


def _remembered(
    compiled: CompiledFunction, token: int, template: list[Any], moving: list[tuple[int, Code]]
) -> Thunk:
    """Several operands: structures by identity, words and numbers by value; others are not remembered."""
    places = dict(compiled.held)
    parts = [
        (place + FIRST_SLOT, operand.run, place in compiled.structures, places.get(place))
        for place, operand in moving
    ]
    last = FIRST_SLOT + len(template)

    def remembered(frame: Frame) -> Any:
        run, log = frame[RUN], frame[LOG]
        found: list[Any] = []
        inner = [run, found, *template, *compiled.extra]
        key: list[Any] = [token]
        whys: list[Any] = []
        lasting = True
        for at, thunk, structure, held in parts:
            if held is None:
                inner[at] = argument = thunk(frame)
            else:
                before: list[Any] = []
                frame[LOG] = before
                inner[at] = argument = thunk(frame)
                frame[LOG] = log
                inner[held] = told(before)
                if before and not argument:
                    why = _shared(before)
                    if why is None:
                        lasting = False
                    else:
                        key.append(id(why))
                        whys.append(why)
            if structure:
                key.append(id(argument))
            elif argument.__class__ in _BY_VALUE:
                key.append(argument)
            else:
                lasting = False
        asked = tuple(key)
        known = run.calls.get(asked) if lasting else None
        if known is None:
            run.left -= 1
            if run.left < 0:
                run.check()
            arguments = inner[FIRST_SLOT:last]
            known = (compiled.run(inner), told(found), (arguments, whys))
            if lasting:
                run.calls[asked] = known
        if known[1]:
            log.append(known[1])
        return known[0]

    return remembered


def _shared(why: list[Any]) -> Any:
    """The one entry of a log, which another expression may have shared; None where it says more."""
    return why[0] if len(why) == 1 else None
