/* This file is the single-page application of the stand-in for DataHub's frontend, as far as a script on its pages can
 * see it: history routing, anchors, late drawing, and drawing anew, which throws away what it did not put there.
 */
const root = document.getElementById("root");
const base = new URL(document.baseURI).pathname;
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
let drawing = 0;

const element = (tag, about = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
const encodeUrn = (urn) =>
  urn.replaceAll("%", "{{encoded_percent}}").replaceAll("/", "%2F").replaceAll("?", "%3F").replaceAll("#", "%23")
    .replaceAll("[", "%5B").replaceAll("]", "%5D");
const actor = () => /(?:^|; )actor=([^;]+)/.exec(document.cookie)?.[1];

function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"]({}, "", base + path);
  draw();
}

function actions(name) {
  const group = element("div", { "data-testid": "entity-menu-actions", class: "actions" });
  group.append(element("button", { title: "Share" }, "Share"), element("button", { "data-testid": "view-more-button" }, "⋮"));
  group.dataset.of = name;
  return group;
}

/** The header comes late, its actions later still. */
async function entityPage(type, urn, tab, turn) {
  const page = element("main", { class: "page" }, "Loading…");
  root.replaceChildren(nav(), page);
  await wait(120);
  if (turn !== drawing) return;
  const graph = new URLSearchParams(location.search).get("is_lineage_mode") === "true";
  const header = element("div", { "data-testid": "entity-header-test-id", class: "header" },
    element("h1", { "data-testid": "entity-name-display" }, urn.split(",")[1] ?? urn));
  const tabs = element("nav", { class: "tabs" }, ...["Columns", "Lineage", "Properties"].map((name) => {
    const made = element("a", { href: `${base}${type}/${encodeUrn(urn)}/${name}`, "data-tab": name }, name);
    made.onclick = (event) => { event.preventDefault(); go(`${type}/${encodeUrn(urn)}/${name}`); };
    return made;
  }));
  const body = element("section", {}, graph ? "Graph" : `${tab || "Columns"} of ${urn}`);
  // a side bar with another entity's actions, which is not the place for anybody's button
  const side = element("aside", {}, actions("sidebar"));
  page.replaceChildren(...(graph || window.headless ? [] : [header]), tabs, element("div", { class: "row" }, body, side));
  await wait(120);
  if (turn !== drawing || !header.isConnected) return;
  header.append(actions("header"));
}

/** What React does when something above changed: its own children, and nobody else's. */
window.drawHeaderAnew = () => {
  const header = document.querySelector('[data-testid="entity-header-test-id"]');
  header.replaceChildren(header.querySelector("h1").cloneNode(true), actions("header"));
};
window.go = go;

function nav() {
  const links = [["", "Home"], ["search", "Search"], ...(window.fakeLinks ?? [])].map(([path, name]) => {
    const made = element("a", { href: base + path }, name);
    made.onclick = (event) => { event.preventDefault(); go(path); };
    return made;
  });
  const theme = element("button", { id: "theme" }, "Theme");
  theme.onclick = () => document.documentElement.toggleAttribute("data-dark");
  return element("header", { class: "top" }, "DataHub", ...links, theme, element("span", { id: "who" }, decodeURIComponent(actor() ?? "")));
}

function loginPage() {
  const name = element("input", { id: "username", autocomplete: "username" });
  const password = element("input", { id: "password", type: "password", autocomplete: "current-password" });
  const form = element("form", { class: "login" }, name, password, element("button", {}, "Log in"), element("p", { id: "wrong" }));
  form.onsubmit = async (event) => {
    event.preventDefault();
    const answer = await fetch(`${base}logIn`, {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ username: name.value, password: password.value }),
    });
    if (answer.ok) location.assign(new URLSearchParams(location.search).get("redirect_uri") ?? base);
    else form.querySelector("#wrong").textContent = (await answer.json()).message;
  };
  root.replaceChildren(form);
}

function search() {
  const card = element("div", { class: "card" }, "orders", actions("card"));
  root.replaceChildren(nav(), element("main", { class: "page" }, card));
}

function draw() {
  const turn = ++drawing;
  const path = location.pathname.slice(base.length);
  const found = /^(dataset|dashboard|chart|dataJob)\/([^/]+)(?:\/([^/]*))?/.exec(path);
  if (!actor()) {
    if (path !== "login") history.replaceState({}, "", `${base}login?redirect_uri=${encodeURIComponent(location.pathname)}`);
    loginPage();
  } else if (found) {
    const urn = decodeURIComponent(found[2]).replaceAll("{{encoded_percent}}", "%");
    entityPage(found[1], urn, found[3], turn);
  } else if (path === "search") search();
  else root.replaceChildren(nav(), element("main", { class: "page" }, "Welcome"));
}

addEventListener("popstate", draw);
draw();
