// SMART App Launch (EHR launch, authorization code with PKCE) for the appropriateness page.
// The card's link carries the assertion id as app context; the EHR hands it back with the token.
// The token itself is not used for anything else: the page shows what the payer already knows.

const CLIENT_ID = "davinci-payer-appropriateness";
const PENDING = "appropriateness-launch";

const state = document.getElementById("state");

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function challenge(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

// Whoever reads the page is told what did not work, not what the browser calls it.
async function read(address, what, options) {
  const response = await fetch(address, options).catch(() => ({ ok: false, status: "no answer" }));
  if (!response.ok) throw new Error(`${what} (${response.status})`);
  return response.json().catch(() => { throw new Error(what); });
}

async function launch(asked) {
  const iss = asked.get("iss"); // goes back as it came: the EHR compares
  const silent = "The EHR does not say how to sign in.";
  const address = `${iss.replace(/\/$/, "")}/.well-known/smart-configuration`;
  const smart = await read(address, silent, { headers: { Accept: "application/json" } });
  if (!smart.authorization_endpoint || !smart.token_endpoint) throw new Error(silent);
  const pending = { state: random(), verifier: random(), token: smart.token_endpoint };
  sessionStorage.setItem(PENDING, JSON.stringify(pending));
  const authorize = signIn(smart.authorization_endpoint, {
    response_type: "code",
    client_id: CLIENT_ID,
    redirect_uri: new URL("./", location.href).href,
    scope: "launch",
    launch: asked.get("launch"),
    aud: iss,
    state: pending.state,
    code_challenge: await challenge(pending.verifier),
    code_challenge_method: "S256",
  });
  location.replace(authorize);
}

// Whoever wrote the link chose the EHR: what it calls its address may be a script, to be run as ours.
function signIn(endpoint, asked) {
  if (!/^https?:\/\//i.test(endpoint)) throw new Error("The EHR's sign-in is no web address.");
  const address = new URL(endpoint);
  Object.entries(asked).forEach(([name, content]) => address.searchParams.set(name, content));
  return address.href;
}

async function show(asked) {
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  if (!pending || asked.get("state") !== pending.state) {
    throw new Error("This sign-in was not begun here. Open the page from your EHR again.");
  }
  if (asked.get("error")) throw new Error(asked.get("error_description") ?? "The EHR refused to sign in.");
  const granted = await read(pending.token, "The EHR did not complete the sign-in.", {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      code: asked.get("code"),
      redirect_uri: new URL("./", location.href).href,
      client_id: CLIENT_ID,
      code_verifier: pending.verifier,
    }),
  });
  const address = new URL(`criteria/${encodeURIComponent(meant(granted.appContext))}`, location.href);
  render(await read(address, "The plan does not know this order."));
}

// The card's app context, as the text it was or as what the EHR made of that.
function meant(context) {
  try {
    const { assertion } = typeof context === "string" ? JSON.parse(context) : context;
    if (assertion) return assertion;
  } catch {}
  throw new Error("The EHR did not say which order this is about.");
}

// Where there is no room for columns, each cell says which it is.
function cell(column, text) {
  const element = document.createElement("td");
  element.dataset.column = column;
  element.textContent = text;
  return element;
}

function render(order) {
  document.getElementById("title").textContent = order.title;
  document.getElementById("reason").textContent = order.reason;
  const openFirst = [...order.criteria].sort((a, b) => Number(b.in_the_way) - Number(a.in_the_way));
  document.getElementById("criteria").replaceChildren(
    ...openFirst.map((criterion) => {
      const row = document.createElement("tr");
      const more = new Set(criterion.evidence.filter((each) => !criterion.sentence.includes(each)));
      const found = `${criterion.sentence} ${[...more].join("; ")}`;
      const missing = criterion.in_the_way ? criterion.would_satisfy : "";
      row.append(
        cell("Criterion", criterion.title),
        cell("Value", criterion.value.replace("-", " ")),
        cell("What was found", found),
        cell("What is missing", missing),
        cell("Guideline", criterion.guideline),
      );
      return row;
    }),
  );
  document.getElementById("found").hidden = false;
  state.hidden = true;
}

const steps = { launch, show };
const doing = { launch: "Signing in…", show: "Reading what the plan found…" };

async function run() {
  const asked = new URLSearchParams(location.search);
  const step = document.body.dataset.step;
  const ready = step === "launch" ? asked.has("iss") && asked.has("launch") : asked.has("state");
  if (!ready) return;
  state.textContent = doing[step];
  try {
    await steps[step](asked);
  } catch (error) {
    state.hidden = false;
    state.textContent = error.message;
  }
}

run();
