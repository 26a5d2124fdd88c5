"""The page behind the SMART card: the standard EHR launch with PKCE, then criteria and what is missing."""

import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.crd import builders as ehr
from tests.crd.conftest import Crd

SCRIPT = Path(__file__).parents[2] / "server/crd/pages/appropriateness.js"


def launch_link(crd: Crd) -> dict[str, str]:
    order = ehr.shoulder()
    answer = crd(ehr.sign(order, sent=ehr.prefetch([ehr.film("73030", 20)])))
    (link,) = [link for card in answer.cards for link in card.get("links", []) if link["type"] == "smart"]
    return dict(link)


def test_the_launch_address_and_where_the_ehr_comes_back_to_are_there(crd: Crd) -> None:
    launch = urlsplit(launch_link(crd)["url"]).path
    back = launch.removesuffix("launch")
    for path in (launch, back, f"{back}appropriateness.js", "/static/site.css"):
        assert crd.http.get(path).status_code == 200, path
    # Whoever comes without an EHR is told so, and waits for nothing.
    assert all("opens from the card" in crd.http.get(page).text for page in (launch, back))


def test_criteria_evidence_and_what_is_missing_are_shown_for_the_assertion(crd: Crd) -> None:
    link = launch_link(crd)
    assertion = json.loads(link["appContext"])["assertion"]
    path = urlsplit(link["url"]).path.removesuffix("launch")
    answer = crd.http.get(f"{path}criteria/{assertion}")
    assert answer.headers["cache-control"] == "no-store"
    criteria = {each["title"]: each for each in answer.json()["criteria"]}
    film = next(each for each in criteria.values() if any("X-ray" in found for found in each["evidence"]))
    assert film["value"] == "met"
    assert not any(", ordered on" in found for each in criteria.values() for found in each["evidence"])
    missing = [each for each in criteria.values() if each["in_the_way"]]
    assert missing
    assert all(each["would_satisfy"] and each["guideline"] for each in missing)
    assert "Berg" not in answer.text
    assert "anna" not in answer.text


def test_an_unknown_assertion_shows_nothing(crd: Crd) -> None:
    path = urlsplit(launch_link(crd)["url"]).path.removesuffix("launch")
    assert crd.http.get(f"{path}criteria/00000000-0000-4000-8000-000000000000").status_code == 404


BROWSER = """
const asked = [];
const store = new Map();
let went = "";
const element = () => ({
  textContent: "", hidden: true, dataset: {},
  append(...cells) { this.cells = cells; }, replaceChildren(...rows) { this.rows = rows; },
});
const elements = new Map();
globalThis.btoa ??= (text) => Buffer.from(text, "binary").toString("base64");
globalThis.sessionStorage = {
  setItem: (name, text) => store.set(name, text),
  getItem: (name) => store.get(name) ?? null,
  removeItem: (name) => store.delete(name),
};
globalThis.document = {
  body: { dataset: { step: "launch" } },
  getElementById: (name) => elements.get(name) ?? elements.set(name, element()).get(name),
  createElement: element,
};
globalThis.location = {
  href: "https://payer.example/r2.0/appropriateness/launch",
  search: "?iss=https%3A%2F%2Fehr.example%2Ffhir%2F&launch=L1",
  replace: (url) => { went = url; },
};
const answers = {
  "https://ehr.example/fhir/.well-known/smart-configuration": {
    authorization_endpoint: "https://ehr.example/authorize?tenant=7", token_endpoint: "https://ehr.example/token",
  },
  "https://ehr.example/token": { access_token: "t", appContext: JSON.stringify({ assertion: "A1" }) },
  "https://payer.example/r2.0/appropriateness/criteria/A1": {
    title: "MRI", reason: "More is needed.",
    criteria: [{ title: "Film", value: "not-met", sentence: "Found: 73030 in April.",
                 evidence: ["73030 in April", "73030 in May", "73030 in June", "73030 in May"],
                 would_satisfy: "A film.", guideline: "ACR", in_the_way: true }],
  },
};
globalThis.fetch = async (url, options = {}) => {
  asked.push({ url: String(url), body: options.body ? Object.fromEntries(options.body) : null });
  if (!(String(url) in answers)) throw new TypeError("Failed to fetch");
  return { ok: true, status: 200, json: async () => answers[String(url)] };
};
const wait = () => new Promise((done) => setTimeout(done, 50));
await import(process.argv[2] + "?launch");
await wait();
const authorize = Object.fromEntries(new URL(went).searchParams);
document.body.dataset.step = "show";
location.href = "https://payer.example/r2.0/appropriateness/?code=C1&state=" + authorize.state;
location.search = "?code=C1&state=" + authorize.state;
await import(process.argv[2] + "?show");
await wait();
const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(asked[1].body.code_verifier));
const right = went;
const told = {};
const step = async (name, step, search) => {
  [document.body.dataset.step, location.search, went] = [step, search, ""];
  await import(process.argv[2] + "?" + name);
  await wait();
  told[name] = document.getElementById("state").textContent;
};
await step("nobody", "launch", "?iss=https%3A%2F%2Fdown.example&launch=L1");
await step("signed", "launch", "?iss=https%3A%2F%2Fehr.example%2Ffhir&launch=L1");
answers["https://ehr.example/token"].appContext = "shoulder";
await step("foreign", "show", "?code=C1&state=" + new URL(went).searchParams.get("state"));
went = "";
answers["https://ehr.example/fhir/.well-known/smart-configuration"].authorization_endpoint =
  "javascript:alert(document.domain)//";
document.body.dataset.step = "launch";
location.search = "?iss=https%3A%2F%2Fehr.example%2Ffhir&launch=L1";
await import(process.argv[2] + "?again");
await wait();
console.log(JSON.stringify({
  told, went: right, lured: went, state: document.getElementById("state").textContent,
  authorize, asked, expected: Buffer.from(hash).toString("base64url"),
  reason: document.getElementById("reason").textContent,
  rows: document.getElementById("criteria").rows.map(
    (row) => row.cells.map((cell) => [cell.dataset.column, cell.textContent])),
}));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="the page's script needs Node to run here")
def test_the_script_launches_with_pkce_and_shows_the_order_of_its_context(tmp_path: Path) -> None:
    """The page's own script, run with a browser's objects and an EHR's answers."""
    page = tmp_path / "page.mjs"
    page.write_text(SCRIPT.read_text())
    driver = tmp_path / "browser.mjs"
    driver.write_text(BROWSER)
    run = subprocess.run(["node", driver, page.as_uri()], capture_output=True, text=True, check=True)
    seen = json.loads(run.stdout)
    asked = seen["authorize"]
    assert seen["told"]["nobody"] == "The EHR does not say how to sign in. (no answer)"
    assert seen["told"]["foreign"] == "The EHR did not say which order this is about."
    assert seen["went"].startswith("https://ehr.example/authorize?tenant=7&")
    assert (seen["lured"], seen["state"]) == ("", "The EHR's sign-in is no web address.")
    assert (asked["response_type"], asked["launch"], asked["aud"]) == (
        "code",
        "L1",
        "https://ehr.example/fhir/",
    )
    assert (asked["code_challenge_method"], asked["code_challenge"]) == ("S256", seen["expected"])
    assert asked["redirect_uri"] == "https://payer.example/r2.0/appropriateness/"
    token = seen["asked"][1]
    assert token["body"]["grant_type"] == "authorization_code"
    assert token["body"]["redirect_uri"] == asked["redirect_uri"]
    assert seen["asked"][2]["url"].endswith("/r2.0/appropriateness/criteria/A1")
    assert seen["reason"] == "More is needed."
    assert [dict(row) for row in seen["rows"]] == [
        {
            "Criterion": "Film",
            "Value": "not met",
            "What was found": "Found: 73030 in April. 73030 in May; 73030 in June",
            "What is missing": "A film.",
            "Guideline": "ACR",
        }
    ]
