"""A form as it goes out: the neutral Questionnaire of the catalog with what a guide version wants added.

Shared pieces; `v2_0` puts them together. A neutral form is already FHIR R4 and SDC; it lacks narrative,
compiled expressions and profiles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from server.dtr.form import CORE, CQF_LIBRARY, QUESTIONNAIRE_ADAPTIVE, Form, define_of
from server.fhir import json
from server.fhir.canonical import canonical
from server.fhir.extensions import values

Resource = dict[str, Any]

ELM_JSON = "application/elm+json"
SUPPORT_LINK = f"{CORE}/questionnaire-supportLink"
ITEM_CONTROL = f"{CORE}/questionnaire-itemControl"
SUPPORT_HYPERLINK = f"{CORE}/questionnaire-supportHyperlink"
RENDERING_XHTML = f"{CORE}/rendering-xhtml"
LINK_LABEL = "Source"
"""Of a link: most are guidelines, some the definition of a code or score."""


def with_library_references(form: Resource, reference: Callable[[str], str]) -> Resource:
    """The form naming its libraries by `reference` of their canonical."""
    renamed = [
        {**found, "valueCanonical": reference(found["valueCanonical"])}
        if found["url"] == CQF_LIBRARY
        else found
        for found in form["extension"]
    ]
    return {**form, "extension": renamed}


def at_base(form: Resource, base: str) -> Resource:
    """An adaptive form saying where its next questions are had: the base, under which `$next-question` is."""
    said = {"url": QUESTIONNAIRE_ADAPTIVE, "valueUrl": base}
    others = [found for found in form["extension"] if found["url"] != QUESTIONNAIRE_ADAPTIVE]
    return {**form, "extension": [said, *others]}


def derived(form: Resource) -> Resource:
    """What an adaptive form under way keeps of the form it comes from."""
    kept = ("resourceType", "id", "extension", "title", "status", "subjectType", "item")
    canonical = f"{form['url']}|{form['version']}"
    return {**{name: form[name] for name in kept if form.get(name)}, "derivedFrom": [canonical]}


def with_compiled_expressions(form: Resource, url: str, language: str) -> Resource:
    """The form with its CQL expressions in that language and, beside each, its ELM in an extension of this
    URL."""
    libraries = map(canonical, Form(form).libraries)
    versions = {library.name: library.version for library in libraries}

    def compiled(expression: Resource) -> Resource:
        elm = {"language": ELM_JSON, "expression": json.encode(expression_elm(expression, versions)).decode()}
        extension = [{"url": url, "valueExpression": elm}]
        return {**expression, "extension": extension, "language": language}

    def with_elm(item: Resource) -> Resource:
        extensions = [
            {**found, "valueExpression": compiled(found["valueExpression"])}
            if "valueExpression" in found
            else found
            for found in item.get("extension", [])
        ]
        return {**item, "extension": extensions} if "extension" in item else item

    return {**form, "item": _each(form.get("item", []), with_elm)}


def with_labelled_links(form: Resource) -> Resource:
    """Beside each link to a guideline (supportLink) the same with a label (supportHyperlink), which took its
    place; renderers that know only the former still show it."""

    def labelled(item: Resource) -> Resource:
        links = [
            {
                "url": SUPPORT_HYPERLINK,
                "extension": [
                    {"url": "label", "valueString": LINK_LABEL},
                    {"url": "link", "valueUri": found["valueUri"]},
                ],
            }
            for found in item.get("extension", [])
            if found["url"] == SUPPORT_LINK
        ]
        return {**item, "extension": [*item["extension"], *links]} if links else item

    return {**form, "item": _each(form.get("item", []), labelled)}


def with_links_in_help(form: Resource) -> Resource:
    """The form with each question's link also at the end of its help, in XHTML: there are renderers that show
    help and pass over links. Whoever shows neither links nor XHTML still has the text."""

    def linked(item: Resource) -> Resource:
        links = [found["valueUri"] for found in item.get("extension", []) if found["url"] == SUPPORT_LINK]
        below = [_with_links(child, links) if _is_help(child) else child for child in item.get("item", [])]
        return {**item, "item": below} if links and below else item

    return {**form, "item": _each(form.get("item", []), linked)}


def _is_help(item: Resource) -> bool:
    controls = values(item, ITEM_CONTROL)
    return any(coding.get("code") == "help" for control in controls for coding in control["coding"])


def _with_links(item: Resource, links: list[str]) -> Resource:
    anchors = "".join(f' <a href="{escape(link)}">{LINK_LABEL}</a>' for link in links)
    told = f'<div xmlns="http://www.w3.org/1999/xhtml">{escape(item["text"])}{anchors}</div>'
    return {**item, "_text": {"extension": [{"url": RENDERING_XHTML, "valueString": told}]}}


def with_plain_conditions(form: Resource) -> Resource:
    """The form with "is not true" of a yes-or-no question said as "has no answer, or no". To R4 it is the
    same; but some renderers and validators take "is not" of a question without answer for false."""

    def plain(item: Resource) -> Resource:
        conditions = item.get("enableWhen", [])
        if len(conditions) != 1 or conditions[0]["operator"] != "!=" or "answerBoolean" not in conditions[0]:
            return item
        asked, refused = conditions[0]["question"], conditions[0]["answerBoolean"]
        return {
            **item,
            "enableWhen": [
                {"question": asked, "operator": "exists", "answerBoolean": False},
                {"question": asked, "operator": "=", "answerBoolean": not refused},
            ],
            "enableBehavior": "any",
        }

    return {**form, "item": _each(form.get("item", []), plain)}


def _each(items: list[Resource], change: Callable[[Resource], Resource]) -> list[Resource]:
    """Every item, however deep, changed."""
    return [
        {**changed, **({"item": _each(changed["item"], change)} if "item" in changed else {})}
        for item in items
        for changed in [change(item)]
    ]


def expression_elm(expression: Resource, versions: Mapping[str, str | None]) -> Resource:
    """The ELM library that `"Library"."Define"` compiles to: one define that refers to the other."""
    library, define = define_of(expression)
    return {
        "library": {
            "identifier": {"id": "Expression"},
            "schemaIdentifier": {"id": "urn:hl7-org:elm", "version": "r1"},
            "usings": {
                "def": [
                    {"localIdentifier": "System", "uri": "urn:hl7-org:elm-types:r1"},
                    {"localIdentifier": "FHIR", "uri": "http://hl7.org/fhir", "version": "4.0.1"},
                ]
            },
            "includes": {
                "def": [{"localIdentifier": library, "path": library, "version": versions.get(library)}]
            },
            "statements": {
                "def": [
                    {
                        "name": define,
                        "context": "Patient",
                        "accessLevel": "Public",
                        "expression": {"type": "ExpressionRef", "libraryName": library, "name": define},
                    }
                ]
            },
        }
    }


def narrative(form: Resource) -> Resource:
    """Title, purpose and questions as XHTML."""
    questions = "".join(f"<li>{escape(item.node['text'])}</li>" for item in Form(form).questions())
    body = f"<h1>{escape(form['title'])}</h1><p>{escape(form.get('description', ''))}</p><ul>{questions}</ul>"
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{body}</div>'}
