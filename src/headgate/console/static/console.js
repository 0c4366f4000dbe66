// This file is where the pages come alive: new fragments are put in place, logs grow, buttons press the REST API.
// No library, no state but what is on the page. Everything readable is there without it.
"use strict";
(() => {
  const API = "/headgate/api/v1/";
  const byId = (id) => document.getElementById(id);

  // --- times: in the reader's own zone, and how long something has been running

  const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

  function localTimes(root) {
    for (const time of root.querySelectorAll("time:not([title])")) {
      time.title = time.textContent;
      time.textContent = clock.format(new Date(time.dateTime));
    }
  }

  function inWords(seconds) {
    if (seconds < 60) return `${Math.max(seconds, 0).toFixed(0)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
    return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  }

  function tick() {
    for (const span of document.querySelectorAll("[data-since]")) {
      const words = inWords((Date.now() - Date.parse(span.dataset.since)) / 1000);
      if (span.textContent !== words) span.textContent = words;
    }
  }

  // --- fragments: only what differs is replaced, and the keyboard's place is kept

  const shown = new Map();

  function keepingFocus(change) {
    const id = document.activeElement?.id;
    change();
    if (id && document.activeElement?.id !== id) byId(id)?.focus({ preventScroll: true });
  }

  function replace(id, html) {
    const place = byId(id);
    if (!place || shown.get(id) === html) return;
    const left = place.scrollLeft;
    keepingFocus(() => { place.innerHTML = html; });
    place.scrollLeft = left;
    localTimes(place);
    shown.set(id, html);
    tick();
  }

  function replaceRows(html) {
    const body = document.querySelector("tbody[data-rows]");
    if (!body || shown.get("rows") === html) return;
    const first = !shown.has("rows");
    shown.set("rows", html);
    const table = document.createElement("template");
    table.innerHTML = `<table>${html}</table>`;
    const old = new Map([...body.children].map((row) => [row.dataset.key, row]));
    keepingFocus(() => {
      const rows = [...table.content.querySelectorAll("tr")].map((row) => {
        const before = old.get(row.dataset.key);
        const text = row.innerHTML;
        if (before && before.html === text) return before;
        row.html = text;
        if (!before && !first) row.classList.add("new");
        localTimes(row);
        return row;
      });
      body.replaceChildren(...rows);
    });
    tick();
  }

  // --- streams: open only while the page is seen, for a browser opens but six to one server

  const streams = [];

  function whileSeen(open) {
    let source = null;
    const stream = {
      wake() { if (!source && !document.hidden) source = open(); },
      rest() { source?.close(); source = null; },
    };
    streams.push(stream);
    stream.wake();
    return stream;
  }

  document.addEventListener("visibilitychange", () => {
    for (const stream of streams) document.hidden ? stream.rest() : stream.wake();
  });
  window.addEventListener("pagehide", () => { for (const stream of streams) stream.rest(); });
  window.addEventListener("pageshow", () => { for (const stream of streams) stream.wake(); });

  function follow(address) {
    const link = byId("link");
    const say = (live, words) => {
      if (link.textContent === words) return;
      link.dataset.live = live;
      link.textContent = words;
    };
    whileSeen(() => {
      const source = new EventSource(address);
      source.addEventListener("open", () => say("yes", "live"));
      source.addEventListener("view", (event) => {
        say("yes", "live");
        for (const [id, html] of Object.entries(JSON.parse(event.data))) {
          if (id === "runs") replaceRows(html);
          else if (id === "log-attempt") newestAttempt(html);
          else replace(id, html);
        }
      });
      source.addEventListener("problem", (event) => say("no", JSON.parse(event.data).message));
      source.addEventListener("error", () => {
        const closed = source.readyState === EventSource.CLOSED;
        say("no", closed ? "not live: reload the page" : "connecting again…");
      });
      return source;
    });
  }

  // --- the log

  let logStream = null;
  let attemptShown = null;

  function readLog(attempt) {
    const log = byId("log");
    const state = byId("log-state");
    let next = 0;
    let over = false;
    logStream?.rest();
    streams.splice(streams.indexOf(logStream), logStream ? 1 : 0);
    log.textContent = "";
    logStream = whileSeen(() => {
      if (over) return null;
      const query = new URLSearchParams({ follow: "1", offset: next });
      if (attempt !== null) query.set("attempt", attempt);
      const source = new EventSource(`${log.dataset.log}?${query}`);
      source.addEventListener("open", () => { state.textContent = "following"; });
      source.addEventListener("log", (event) => {
        const part = JSON.parse(event.data);
        const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
        next = part.next;
        log.append(part.text);
        if (atEnd) log.scrollTop = log.scrollHeight;
      });
      source.addEventListener("end", () => {
        over = true;
        state.textContent = log.textContent ? "complete" : "empty";
        source.close();
      });
      source.addEventListener("error", () => { if (!over) state.textContent = "connecting again…"; });
      return source;
    });
  }

  function newestAttempt(number) {
    if (byId("log").dataset.attempt !== undefined || number === attemptShown) return;
    const first = attemptShown === null;
    attemptShown = number;
    if (!first) readLog(number);
  }

  // --- buttons

  let hiding = 0;

  function tell(words) {
    const told = byId("told");
    told.textContent = words;
    told.hidden = false;
    clearTimeout(hiding);
    hiding = setTimeout(() => { told.hidden = true; }, 6000);
  }

  async function press(address, body) {
    let response;
    try {
      response = await fetch(API + address, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Headgate-Request": "1" },
        body: JSON.stringify(body),
      });
    } catch {
      throw new Error("the server cannot be reached");
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.message || `it answered ${response.status}`);
    return answer;
  }

  function ask(button) {
    const dialog = byId("ask");
    const yes = byId("ask-yes");
    const reason = byId("ask-reason");
    const problem = byId("ask-problem");
    byId("ask-title").textContent = button.dataset.title;
    byId("ask-text").textContent = button.dataset.text;
    yes.textContent = button.dataset.yes;
    reason.value = problem.textContent = "";
    const id = button.id;
    yes.onclick = async (event) => {
      event.preventDefault();
      yes.disabled = true;
      try {
        const body = button.dataset.job ? { job: button.dataset.job } : {};
        if (reason.value.trim()) body.reason = reason.value.trim();
        const answer = await press(button.dataset.press, body);
        dialog.close();
        const what = answer.job ? `${answer.job} is ${answer.state}` : `${answer.name} is ${answer.state}`;
        tell(what);
      } catch (error) {
        problem.textContent = `That did not work: ${error.message}.`;
      } finally {
        yes.disabled = false;
      }
    };
    dialog.onclose = () => byId(id)?.focus();
    dialog.showModal();
    reason.focus();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-press]");
    if (button) ask(button);
  });

  localTimes(document);
  tick();
  setInterval(tick, 1000);
  const live = document.body.dataset.live;
  if (live) follow(live);
  if (byId("log")) readLog(byId("log").dataset.attempt ?? null);
})();
