"""How a form is shown: what renderers of different ages make the same of."""

from __future__ import annotations

from server.dtr.form import Form
from server.dtr.render import (
    RENDERING_XHTML,
    SUPPORT_HYPERLINK,
    SUPPORT_LINK,
    with_labelled_links,
    with_plain_conditions,
)
from server.fhir.extensions import extension, value
from tests.crd.builders import shoulder
from tests.dtr.conftest import Dtr
from tests.dtr.forms import answers, form, neutral


def test_b1_a_condition_that_renderers_read_in_two_ways_is_said_in_one() -> None:
    plain = Form(with_plain_conditions(neutral("mri-shoulder")))
    item = plain.items["CC-DUR.start"].node
    assert item["enableBehavior"] == "any"
    assert {condition["operator"] for condition in item["enableWhen"]} == {"exists", "="}


def test_it_means_the_same() -> None:
    own, plain = form("mri-shoulder"), Form(with_plain_conditions(neutral("mri-shoulder")))
    for given in ({}, {"CC_DUR_none": True}, {"CC_DUR_none": False}, {"CC_DUR_start": "2026-09-01"}):
        told = answers(own, **given)
        assert plain.enabled(told) == own.enabled(told)


def test_b1_a_guideline_has_a_label_where_the_guide_has_a_place_for_it(dtr: Dtr) -> None:
    shown = dtr.package(shoulder()).form
    for item in shown.questions():
        urls = [found["url"] for found in item.node.get("extension", [])]
        assert (SUPPORT_HYPERLINK in urls) == (SUPPORT_LINK in urls and dtr.version == "2.2")


def test_b1_a_label_leads_where_the_link_does() -> None:
    labelled = Form(with_labelled_links(neutral("mri-shoulder"))).items["CC-DUR.start"].node
    links = {found["url"]: found for found in labelled["extension"]}
    parts = {part["url"]: part for part in links[SUPPORT_HYPERLINK]["extension"]}
    assert parts["link"]["valueUri"] == links[SUPPORT_LINK]["valueUri"]
    assert parts["label"]["valueString"]


def test_b1_a_renderer_that_passes_over_links_has_them_in_the_help(dtr: Dtr) -> None:
    shown = dtr.package(shoulder()).form
    question, text = shown.items["CC-DUR.start"].node, shown.items["CC-DUR.start.help"].node
    link = value(extension(question, SUPPORT_LINK))
    told = value(extension(text["_text"], RENDERING_XHTML))
    assert text["text"] in told
    assert f'href="{link}"' in told
