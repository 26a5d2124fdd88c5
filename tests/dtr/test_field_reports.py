"""What went wrong for others with DTR packages, and must not here."""

import pytest

from server.dtr.form import define_of
from server.dtr.populate import elm_of
from server.dtr.v2_0 import V2_0
from server.fhir import json
from tests.crd.builders import lumbar, shoulder
from tests.dtr.conftest import GUIDES, Dtr, Package
from tests.emitted import record

ORDERS = {"shoulder": shoulder(), "lumbar spine": lumbar()}


@pytest.fixture(params=ORDERS)
def package(request: pytest.FixtureRequest, dtr: Dtr) -> Package:
    return dtr.package(ORDERS[request.param])


def test_b4_a_package_as_it_goes_out_is_what_the_guide_describes(package: Package) -> None:
    """The official validator judges what is recorded here."""
    record(GUIDES[package.dtr.version], package.bundle)
    assert package.bundle["meta"]["profile"][0].endswith("DTR-QPackageBundle")


def included(package: Package) -> dict[str, set[str]]:
    """The names of the libraries that each library of a package includes."""
    return {
        library["name"]: {
            each["path"] for each in elm_of(library)["library"].get("includes", {}).get("def", [])
        }
        for library in package.libraries
    }


def unmet(held: dict[str, set[str]], package: Package) -> set[str]:
    """Names of the libraries that the form or one of those held wants and that are not held."""
    wanted = {name.partition("|")[0].rpartition("/")[2] for name in package.form.libraries}
    return wanted.union(*held.values()) - set(held)


def test_v18_f13_every_value_set_is_in_the_package_or_expanded_here(package: Package) -> None:
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


def test_v18_f13_2_2_leaves_large_value_sets_to_expand(dtr_2_2: Dtr) -> None:
    for value_set in dtr_2_2.package(shoulder()).value_sets:
        assert len(value_set["expansion"]["contains"]) < 40


def test_b1_f14_short_lists_stand_in_the_form_and_come_back_as_they_went_in(package: Package) -> None:
    questionnaire = package.of_type("Questionnaire")[0]
    read = package.dtr.get(f"Questionnaire/{questionnaire['id']}")
    assert json.decode_object(read.content) == questionnaire
    assert not any("answerValueSet" in item.node for item in package.form.questions())


def test_b3_f15_canonicals_are_absolute_and_nothing_is_contained_without_being_named(
    package: Package,
) -> None:
    draft = package.draft
    assert draft["questionnaire"].startswith("https://")
    assert "contained" not in draft
    assert "contained" not in package.of_type("Questionnaire")[0]


def test_a_f16_the_closure_of_includes_is_what_the_package_brings(package: Package) -> None:
    """Nothing is missing; and each is wanted by another or the form, which its lack would show."""
    held = included(package)
    assert unmet(held, package) == set()
    assert "FHIRHelpers" in held
    for name in held:
        rest = {other: includes for other, includes in held.items() if other != name}
        assert unmet(rest, package) == {name}


def test_c_f16_no_library_carries_a_translation_error(package: Package) -> None:
    for library in package.libraries:
        notes = elm_of(library)["library"].get("annotation", [])
        assert not [note for note in notes if note.get("errorSeverity") == "error"], library["name"]


def test_c_a_library_travels_without_what_only_a_debugger_reads(package: Package) -> None:
    for library in package.libraries:
        elm = elm_of(library)["library"]
        assert elm["annotation"][0]["type"] == "CqlToElmInfo"
        text = str({name: content for name, content in elm.items() if name != "annotation"})
        assert "'localId'" not in text
        assert "'resultTypeName'" not in text


def test_a_2_0_names_its_libraries_as_the_test_kit_compares_them_2_2_by_version(package: Package) -> None:
    (named,) = package.form.libraries
    held = {library["url"]: library["version"] for library in package.libraries}
    if package.dtr.version == "2.0":
        assert named in held
        # UNVERSIONED_LIBRARIES=false has it as the guide wants it.
        assert V2_0.library_reference(f"{named}|{held[named]}", False) == f"{named}|{held[named]}"
    else:
        url, _, version = named.partition("|")
        assert held[url] == version


def test_c_every_define_the_form_names_is_in_its_library(package: Package) -> None:
    defines = {
        library["name"]: {d["name"] for d in elm_of(library)["library"].get("statements", {}).get("def", [])}
        for library in package.libraries
    }
    for item in package.form.items.values():
        for expression in (item.initial_expression, item.gate):
            if expression:
                library, define = define_of(expression)
                assert define in defines[library], f"{item.link_id}: {library} has no {define}"
