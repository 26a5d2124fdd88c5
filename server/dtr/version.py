"""What a version of DTR must say of itself: a table, checked by types.

Shared code asks it and never asks which version it is. `v2_0.V2_0` beside its successor is the difference
between the guides (each entry's comment there says what the guide wants).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from server.dtr.form import Form
from server.fhir.errors import Issue

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """What the payer knows of a response before anybody has answered.

    References are the client's own, as it sent them. `purpose` is the code of what the answers are for;
    `items` are the response's items, with answers where the payer knows some.
    """

    form: Form
    subject: Resource | None
    coverages: Sequence[Resource]
    orders: Sequence[Resource]
    purpose: str
    items: Sequence[Resource]
    now: dt.datetime


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """
    name               as in the base address
    coverages          how many Coverages a package may be asked for; None: any number
    refuses_foreign    whether a context we never gave out is refused, or only remarked on
    by_code            whether an order of several billing codes is judged for each, as CRD answers it
    library_reference  a form's reference to a library, from its canonical `url|version`; the flag asks for it
                       without version
    questionnaire      a form in the guide's words, with its libraries named by `library_reference`
    library            a CQL library in the guide's words
    packs              whether an expanded value set travels in the package
    draft              the draft QuestionnaireResponse of a package
    adaptive           the adaptive form as it lies in a package, served at the base given
    contained          the adaptive form under way, inside its response: the neutral form with what was added,
                       its items in the neutral form's words
    adaptive_draft     the draft of an adaptive form around what is contained
    conditions         whether questions of an adaptive form under way may carry conditions
    package            the answer to `$questionnaire-package`: the bundles, and what to remark on
    from_server        origin code of an answer from the payer's own data
    from_client        origin code of an answer that CQL found in the EHR
    next_question      canonical of the definition of `$next-question`
    span               from when until when an authorization is good, as parts of coverage information
    """

    name: str
    coverages: int | None
    refuses_foreign: bool
    by_code: bool
    library_reference: Callable[[str, bool], str]
    questionnaire: Callable[[Resource, Callable[[str], str]], Resource]
    library: Callable[[Resource], Resource]
    packs: Callable[[Resource], bool]
    draft: Callable[[Draft], Resource]
    adaptive: Callable[[Resource, Callable[[str], str], str], Resource]
    contained: Callable[[Resource, Callable[[str], str], str], Resource]
    adaptive_draft: Callable[[Draft, Resource], Resource]
    conditions: bool
    package: Callable[[Sequence[Any], Sequence[Issue]], Resource]
    from_server: str
    from_client: str
    next_question: str
    span: Callable[[dt.date, dt.date], list[Resource]]
