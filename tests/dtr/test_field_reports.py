"""What went wrong for others with DTR packages, and must not here."""

from base64 import b64decode
from collections.abc import Iterable
from typing import Any

import pytest

from server.dtr.form import define_of
from server.fhir import json
from tests.crd.builders import lumbar, shoulder
from tests.dtr.conftest import GUIDES, Dtr, Package, elm_of
from tests.emitted import record

ORDERS = {"shoulder": shoulder(), "lumbar spine": lumbar()}


@pytest.fixture(params=ORDERS)
def package(request: pytest.FixtureRequest, dtr: Dtr) -> Package:
    return dtr.package(ORDERS[request.param])


def test_a_package_as_it_goes_out_is_what_the_guide_describes(package: Package) -> None:
    """The official validator judges what is recorded here."""
    record(GUIDES[package.dtr.version], package.bundle)
    assert package.bundle["meta"]["profile"][0].endswith("DTR-QPackageBundle")


def unmet(libraries: Iterable[dict[str, Any]], form_libraries: Iterable[str]) -> set[str]:
    """Names of the libraries that the form or another library wants and nobody brings."""
    held = {library["name"]: elm_of(library)["library"] for library in libraries}
    wanted = {name.partition("|")[0].rpartition("/")[2] for name in form_libraries}
    for elm in held.values():
        wanted |= {included["path"] for included in elm.get("includes", {}).get("def", [])}
    return wanted - set(held)


def test_f13_every_value_set_is_in_the_package_or_expanded_here(package: Package) -> None:
    held = {value_set["url"]: value_set for value_set in package.value_sets}
    used = {
        declared["id"]
        for library in package.libraries
        for declared in elm_of(library)["library"].get("valueSets", {}).get("def", [])
    }
    assert used
    if package.dtr.version == "2.0":
        assert used <= set(held)
    for url in used:
        value_set = held.get(url) or package.dtr.get("ValueSet/$expand", url=url).json()
        assert value_set["expansion"]["contains"], url


def test_f13_2_2_leaves_large_value_sets_to_expand(dtr_2_2: Dtr) -> None:
    for value_set in dtr_2_2.package(shoulder()).value_sets:
        assert len(value_set["expansion"]["contains"]) < 40


def test_f14_short_lists_stand_in_the_form_and_come_back_as_they_went_in(package: Package) -> None:
    questionnaire = package.of_type("Questionnaire")[0]
    read = package.dtr.get(f"Questionnaire/{questionnaire['id']}")
    assert json.decode_object(read.content) == questionnaire
    assert not any("answerValueSet" in item.node for item in package.form.questions())


def test_f15_canonicals_are_absolute_and_nothing_is_contained_without_being_named(package: Package) -> None:
    draft = package.draft
    assert draft["questionnaire"].startswith("https://")
    assert "contained" not in draft
    assert "contained" not in package.of_type("Questionnaire")[0]


def test_f16_the_closure_of_includes_is_what_the_package_brings(package: Package) -> None:
    assert unmet(package.libraries, package.form.libraries) == set()
    names = [library["name"] for library in package.libraries]
    assert len(names) == len(set(names))
    assert "FHIRHelpers" in names


def test_f16_without_any_one_of_them_the_lack_is_noticed_by_name(package: Package) -> None:
    for library in package.libraries:
        rest = [other for other in package.libraries if other is not library]
        assert unmet(rest, package.form.libraries) >= {library["name"]}


def test_f16_nothing_is_brought_that_nobody_includes(package: Package) -> None:
    for library in package.libraries:
        rest = [other for other in package.libraries if other is not library]
        assert library["name"] in unmet(rest, package.form.libraries)


def test_f16_no_library_carries_a_translation_error(package: Package) -> None:
    for library in package.libraries:
        notes = elm_of(library)["library"].get("annotation", [])
        assert not [note for note in notes if note.get("errorSeverity") == "error"], library["name"]


def test_each_library_brings_cql_and_elm_under_one_name_and_version(package: Package) -> None:
    for library in package.libraries:
        content = {found["contentType"]: b64decode(found["data"]) for found in library["content"]}
        assert set(content) == {"text/cql", "application/elm+json"}
        identifier = json.decode_object(content["application/elm+json"])["library"]["identifier"]
        assert (identifier["id"], identifier["version"]) == (library["name"], library["version"])
        assert f"library {library['name']} version" in content["text/cql"].decode()


def test_a_library_travels_without_what_only_a_debugger_reads(package: Package) -> None:
    for library in package.libraries:
        elm = elm_of(library)["library"]
        assert elm["annotation"][0]["type"] == "CqlToElmInfo"
        text = str({name: content for name, content in elm.items() if name != "annotation"})
        assert "'localId'" not in text
        assert "'resultTypeName'" not in text


def test_a_librarys_dependencies_are_named_by_version_and_said_twice_as_sdc_wants(package: Package) -> None:
    held = {f"{library['url']}|{library['version']}" for library in package.libraries}
    for library in package.libraries:
        for artifact in library.get("relatedArtifact", []):
            assert artifact["display"]
            assert artifact["url"]
            if "/Library/" in artifact["resource"]:
                assert artifact["resource"] in held


def test_2_0_names_its_libraries_as_the_test_kit_compares_them_2_2_by_version(package: Package) -> None:
    (named,) = package.form.libraries
    held = {library["url"]: library["version"] for library in package.libraries}
    if package.dtr.version == "2.0":
        assert named in held
    else:
        url, _, version = named.partition("|")
        assert held[url] == version


def test_every_define_the_form_names_is_in_its_library(package: Package) -> None:
    defines = {
        library["name"]: {d["name"] for d in elm_of(library)["library"].get("statements", {}).get("def", [])}
        for library in package.libraries
    }
    for item in package.form.items.values():
        for expression in (item.initial_expression, item.gate):
            if expression:
                library, define = define_of(expression)
                assert define in defines[library], f"{item.link_id}: {library} has no {define}"
