// LHC-Forms in a headless browser, asked by `tests.forms`.
//
// Reads one JSON object on standard input,
//   { browser: "/usr/bin/chromium", screenshots: "/folder",
//     forms: [{ name, questionnaire, response }] }
// renders each form in turn on one page, saves `<name>.png`, and writes one JSON object:
//   { "<name>": { title, errors: ["…"], items: { "<linkId>": { text, required, answers: ["…"], help, links: [{ text, href }] } } } }
// `errors` holds what the page wrote to the console as an error or warning, threw, or asked the network for.
// The page comes from the package's own files; nothing else is served.

import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

const { chromium } = createRequire(import.meta.url)("playwright-core");

const FILES = fileURLToPath(new URL("node_modules/lforms/dist/lforms/", import.meta.url));
const ORIGIN = "http://forms.test";
const TYPES = { ".js": "text/javascript", ".css": "text/css", ".png": "image/png" };
const PAGE = `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/webcomponent/styles.css">
<script src="/webcomponent/assets/lib/zone.min.js"></script>
<script src="/webcomponent/runtime.js" type="module"></script>
<script src="/webcomponent/polyfills.js" type="module"></script>
<script src="/webcomponent/main.js" type="module"></script>
<script src="/fhir/R4/lformsFHIR.min.js" type="module"></script>
<div id="form"></div>`;

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

async function serve(route, errors) {
  const { origin, pathname } = new URL(route.request().url());
  if (origin !== ORIGIN) {
    errors.push(`asks the network for ${route.request().url()}`);
    return route.abort();
  }
  if (pathname === "/") return route.fulfill({ contentType: "text/html", body: PAGE });
  const contentType = TYPES[path.extname(pathname)] ?? "application/octet-stream";
  return route.fulfill({ contentType, body: await readFile(path.join(FILES, pathname)) });
}

/** In the page: puts the form there, with its help beside the questions. */
async function show({ questionnaire, response }) {
  const empty = LForms.Util.convertFHIRQuestionnaireToLForms(questionnaire, "R4");
  const form = LForms.Util.mergeFHIRDataIntoLForms("QuestionnaireResponse", response, empty, "R4");
  form.templateOptions = { ...form.templateOptions, allowHTML: true, allowExternalURL: true, showCodingInstruction: true };
  await LForms.Util.addFormToPage(form, "form");
}

/** In the page: what a person sees of the form. */
function seen() {
  const visible = (element) => element?.checkVisibility() ?? false;
  const shown = (element) => (visible(element) ? element.innerText.trim() : "");
  const items = {};
  for (const question of document.querySelectorAll("#form lhc-item-question")) {
    const all = (selector) => [...question.querySelectorAll(selector)];
    const chosen = all(".autocomp_selected li").map((each) => each.lastChild.textContent.trim());
    const checked = all("input:checked").map((each) => each.closest("label").innerText.trim()).filter((each) => each !== "Not Answered");
    const written = all("input:not([type=radio], [type=checkbox]), textarea").map((each) => each.value.trim());
    const help = question.querySelector(".lhc-inline-help");
    items[question.closest("lhc-item").id.replace(/^item-/, "").split("/")[0]] = {
      text: shown(question.querySelector(".question")),
      required: visible(question.querySelector(".lhc-required")),
      answers: [...chosen, ...checked, ...written].filter(Boolean),
      help: shown(help),
      links: [...(help?.querySelectorAll("a") ?? [])].filter(visible).map((a) => ({ text: a.innerText, href: a.href })),
    };
  }
  return { title: shown(document.querySelector("#form .lhc-form-title")), items };
}

const job = JSON.parse(await text(process.stdin));
const context = await chromium.launchPersistentContext("", {
  executablePath: job.browser,
  headless: true,
  args: FLAGS,
  viewport: { width: 1000, height: 800 },
});
let errors = [];
const page = context.pages()[0] ?? (await context.newPage());
page.on("pageerror", (error) => errors.push(String(error)));
page.on("console", (said) => ["error", "warning"].includes(said.type()) && errors.push(said.text()));
await context.route("**/*", (route) => serve(route, errors));
await page.goto(ORIGIN);
await page.waitForFunction(() => window.LForms?.FHIR?.R4);
const found = {};
for (const form of job.forms) {
  await page.evaluate(show, form);
  await page.screenshot({ path: path.join(job.screenshots, `${form.name}.png`), fullPage: true });
  found[form.name] = { ...(await page.evaluate(seen)), errors };
  errors = [];
}
await context.close();
process.stdout.write(JSON.stringify(found));
