/* This file is the button "Run ingestion" on DataHub's dataset pages. It needs nothing but the browser.
 *
 * <script src="/headgate/button.js" defer></script> is all it takes; our reverse proxy adds that line by itself. Where
 * Headgate has another origin than the page, the line says so: data-api="https://datahub.example.com:8090". Where the
 * addresses of datasets do not begin at the page's base, it says that, too: data-root="/headgate/".
 *
 * Nothing that was received is ever taken for HTML, and no inline style or script is made, so that any
 * Content-Security-Policy that lets this file in lets all of it work.
 */
(() => {
  "use strict";

  const BUTTON = "headgate-run-ingestion";
  const OVERLAY = "headgate-ingestion-overlay";
  if (customElements.get(BUTTON)) return; // loaded twice: by the proxy and by a user script, say

  const HEADER = '[data-testid="entity-header-test-id"]';
  const ACTIONS = '[data-testid="entity-menu-actions"]';
  const FALLBACK_AFTER = 5000; // ms without a header, after which the button stands in a corner of the page
  const TIMEOUT = 20_000; // ms for a question
  const START_TIMEOUT = 60_000; // ms for a start; the server itself waits up to 10 s for the engine
  const STALE_AFTER = 30_000; // ms after which what is shown is asked again when the page is looked at again
  const MINUTE = 60_000;
  const OVER = new Set(["STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"]);
  const WORDS = {
    WAITING: "waiting", STARTING: "starting", RUNNING: "running", STOPPING: "stopping", STOPPED: "stopped",
    SUCCEEDED: "succeeded", FAILED: "failed", TIMEOUT: "timed out", ERROR: "could not run", EXPIRED: "expired",
  };
  const ENGINES = {
    local: "the Headgate server", recipe: "the Headgate server", step_functions: "AWS Step Functions",
    lambda: "AWS Lambda", glue: "AWS Glue",
  };

  const script = document.currentScript ?? document.querySelector('script[src*="headgate/button.js"]');
  const foreign = script?.dataset.api;
  const api = foreign
    ? `${foreign.replace(/\/+$/, "")}/api/ingestion/`
    : new URL("../api/ingestion/", script?.src || new URL("headgate/button.js", document.baseURI)).href;
  const sameOrigin = new URL(api, location.href).origin === location.origin;

  // ---- which dataset this page is of

  /** The URN of the dataset an address shows, or null. DataHub writes URNs nearly as they are into its paths. */
  function datasetOf(pathname) {
    const base = script?.dataset.root ?? new URL(document.baseURI).pathname.replace(/[^/]*$/, "");
    if (!pathname.startsWith(base)) return null;
    const found = /^dataset\/([^/]+)(?:\/|$)/.exec(pathname.slice(base.length));
    if (!found) return null;
    // piece by piece: a lone % that DataHub left as it was must not spoil the rest
    const urn = found[1].replace(/(?:%[0-9a-f]{2})+/gi, (coded) => {
      try {
        return decodeURIComponent(coded);
      } catch {
        return coded;
      }
    }).replaceAll("{{encoded_percent}}", "%");
    return urn.startsWith("urn:li:dataset:") ? urn : null;
  }

  function nameOf(urn) {
    const parts = /^urn:li:dataset:\(urn:li:dataPlatform:([^,]+),(.*),([^,]+)\)$/.exec(urn);
    return parts ? parts[2] : urn;
  }

  const showsGraph = () => new URLSearchParams(location.search).get("is_lineage_mode") === "true";

  // ---- talking to Headgate

  /** What Headgate answered: {status, body}; status 0 when nothing that is an answer came. Never throws but to abort. */
  async function call(path, { signal, timeout = TIMEOUT, post } = {}) {
    const stop = AbortSignal.any([AbortSignal.timeout(timeout), ...(signal ? [signal] : [])]);
    const headers = { Accept: "application/json" };
    if (post) Object.assign(headers, { "Content-Type": "application/json", "X-Headgate-Request": "1" });
    try {
      const response = await fetch(new URL(path, api), {
        method: post ? "POST" : "GET",
        headers,
        body: post ? JSON.stringify(post) : undefined,
        credentials: sameOrigin ? "same-origin" : "include",
        cache: "no-store",
        redirect: "error",
        signal: stop,
      });
      const body = await response.json();
      return { status: response.status, body: body && typeof body === "object" ? body : {} };
    } catch (error) {
      signal?.throwIfAborted();
      return { status: 0, body: {}, slow: error?.name === "TimeoutError" };
    }
  }

  // ---- what things look like

  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { all: initial; font: 14px/1.45 Mulish, Manrope, system-ui, sans-serif; color: inherit; }
    :host([hidden]) { display: none !important; }
    * { box-sizing: border-box; font: inherit; }
    button { cursor: pointer; border-radius: 6px; padding: 4px 12px; border: 1px solid; font-weight: 600; }
    :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
    code { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; font-size: 12px; overflow-wrap: anywhere; }
    .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
    :host { --accent: #4b39bc; --on-accent: #fff; --paper: #fff; --ink: #1f2430; --dim: #5b6172; --line: #cdd1dc;
            --good: #1a7f45; --bad: #b3261e; --busy: #2f5fd0; }
    :host([data-dark]) { --accent: #b4a7ff; --on-accent: #17132e; --paper: #1d2029; --ink: #eceef4; --dim: #a9afc0;
            --line: #454b5c; --good: #62d394; --bad: #ff8f86; --busy: #8db4ff; }
  `);
  const buttonSheet = new CSSStyleSheet();
  buttonSheet.replaceSync(`
    :host { display: inline-flex; align-items: center; gap: 8px; white-space: nowrap; flex: none; position: relative; }
    :host([data-fixed]) { position: fixed; right: 24px; bottom: 24px; z-index: 1000; padding: 10px 12px;
            border-radius: 10px; background: var(--paper); color: var(--ink); border: 1px solid var(--line);
            box-shadow: 0 6px 24px rgb(0 0 0 / .25); }
    button { color: var(--on-accent); background: var(--accent); border-color: var(--accent); min-height: 30px; }
    button:hover { filter: brightness(1.1); }
    button[aria-disabled="true"] { cursor: not-allowed; background: transparent; filter: none; font-weight: 500;
            color: var(--dim); border-color: var(--line); }
    .badge { display: inline-flex; align-items: center; gap: 4px; font-size: 12px; color: var(--dim); }
    .badge[hidden] { display: none; }
    :host([data-short]) .badge span:not(.dot) { /* the dot has to do; what it says is still read out */
            position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
    .dot { width: 8px; height: 8px; margin-right: 2px; border-radius: 50%; background: var(--dim); flex: none; }
    [data-state="SUCCEEDED"] .dot { background: var(--good); }
    [data-state="FAILED"] .dot, [data-state="ERROR"] .dot, [data-state="TIMEOUT"] .dot { background: var(--bad); }
    [data-state="WAITING"] .dot { background: transparent; border: 2px solid var(--busy); }
    [data-state="STARTING"] .dot, [data-state="RUNNING"] .dot, [data-state="STOPPING"] .dot { background: var(--busy); }
    @media (prefers-reduced-motion: no-preference) {
      [data-state="RUNNING"] .dot, [data-state="STARTING"] .dot { animation: pulse 1.4s ease-in-out infinite; }
      @keyframes pulse { 50% { opacity: .25; } }
    }
  `);
  const overlaySheet = new CSSStyleSheet();
  overlaySheet.replaceSync(`
    dialog { width: min(460px, calc(100vw - 32px)); padding: 20px 22px; border-radius: 12px; color: var(--ink);
            background: var(--paper); border: 1px solid var(--line); box-shadow: 0 16px 48px rgb(0 0 0 / .35); }
    dialog::backdrop { background: rgb(0 0 0 / .45); }
    h2 { margin: 0 0 8px; font-size: 17px; font-weight: 700; }
    p { margin: 0 0 8px; overflow-wrap: anywhere; }
    .dim { color: var(--dim); }
    label { display: block; margin: 12px 0 4px; font-weight: 600; }
    input { width: 100%; padding: 7px 10px; border-radius: 6px; border: 1px solid var(--line); color: inherit;
            background: transparent; }
    .row { display: flex; justify-content: flex-end; gap: 8px; margin-top: 18px; }
    button { background: transparent; color: inherit; border-color: var(--line); }
    button.go { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
    button:disabled { opacity: .55; cursor: progress; }
    .toasts { position: fixed; right: 24px; bottom: 24px; z-index: 2147483000; width: min(420px, calc(100vw - 48px)); }
    :host([data-raised]) .toasts { bottom: 92px; }
    .toast { display: flex; gap: 12px; align-items: start; padding: 12px 14px; border-radius: 10px; color: var(--ink);
            background: var(--paper); border: 1px solid var(--line); border-left: 4px solid var(--good);
            box-shadow: 0 8px 28px rgb(0 0 0 / .3); }
    .toast.bad { border-left-color: var(--bad); }
    .toast p { margin: 0; flex: 1; min-width: 0; }
    .toast b { font-weight: 700; display: block; }
    .toast button { padding: 0 8px; border-color: transparent; }
    @media (prefers-reduced-motion: no-preference) {
      .toast { animation: rise .18s ease-out; }
      @keyframes rise { from { transform: translateY(8px); opacity: 0; } }
    }
  `);

  /** An element with attributes and children; text stays text. */
  function make(tag, about = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(about)) {
      if (value === true) made.setAttribute(name, "");
      else if (value !== false && value != null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  /** Whether the page is dark where `place` is: by the colour really painted there, not by what the system prefers. */
  function isDark(place) {
    for (let at = place; at; at = at.parentElement ?? at.getRootNode().host) {
      const numbers = getComputedStyle(at).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
      if (numbers.length >= 3 && (numbers[3] ?? 1) > 0.5) {
        return 0.299 * numbers[0] + 0.587 * numbers[1] + 0.114 * numbers[2] < 128;
      }
    }
    return false;
  }

  function ago(time) {
    const at = Date.parse(time ?? "");
    if (Number.isNaN(at)) return "";
    const seconds = Math.max(0, (Date.now() - at) / 1000);
    const [unit, length] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, one]) => seconds >= one) ?? [];
    if (!unit) return "just now";
    return new Intl.RelativeTimeFormat("en").format(-Math.floor(seconds / length), unit);
  }

  /** A sentence of the server's begins with a capital; what begins with a name stays as it is. */
  const sentence = (text) => (/^[a-z]+[ ,]/.test(text) ? text[0].toUpperCase() + text.slice(1) : text);
  const person = (actor) => (actor ?? "").replace(/^urn:li:corpuser:/, "");
  const word = (run) => WORDS[run.state] ?? String(run.state ?? "").toLowerCase();

  /** "Last run failed" and "5 minutes ago", "A run is running" and "started just now". */
  function runInWords(run) {
    if (OVER.has(run.state)) return [`Last run ${word(run)}`, ago(run.endedAt)];
    const since = ago(run.startedAt);
    return [`A run is ${word(run)}`, since && `· started ${since}`];
  }

  // ---- the button in the header

  class RunIngestion extends HTMLElement {
    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [sheet, buttonSheet];
      this.button = make("button", { type: "button", "aria-haspopup": "dialog", "aria-describedby": "why" }, "Run ingestion");
      this.why = make("span", { id: "why", class: "unseen" });
      this.dot = make("span", { class: "dot", "aria-hidden": "true" });
      this.state = make("span", { role: "status" });
      this.when = make("span"); // beside the status: that a minute has passed need not be read out
      this.badge = make("span", { class: "badge", hidden: true }, this.dot, this.state, this.when);
      root.append(this.button, this.why, this.badge);
      this.button.addEventListener("click", () => this.pressed?.());
    }

    /** Enabled, or disabled with the reason, which is also read out and shown on hovering. It keeps its focus. */
    allow(reason) {
      this.button.setAttribute("aria-disabled", reason ? "true" : "false");
      this.button.title = reason ?? "";
      this.why.textContent = reason ?? "";
    }

    /** Answers whether the badge has another length now. */
    showRun(run) {
      const before = this.badge.hidden ? "" : this.badge.innerText;
      this.badge.hidden = !run;
      if (!run) return before !== "";
      this.badge.dataset.state = run.state;
      const [what, when] = runInWords(run);
      if (this.state.textContent !== what) this.state.textContent = what; // said again only when it is new
      this.when.textContent = when;
      const by = person(run.actor);
      this.badge.title = [`${what} ${when}`.trim(), by && `by ${by}`, run.message].filter(Boolean).join(" · ");
      return before !== this.badge.innerText;
    }

    paint() {
      this.toggleAttribute("data-dark", isDark(this.parentElement ?? document.body));
    }
  }

  // ---- the dialog and the toasts, which no re-render of the header can take away

  class Overlay extends HTMLElement {
    constructor() {
      super();
      const root = this.attachShadow({ mode: "open" });
      root.adoptedStyleSheets = [sheet, overlaySheet];
      this.what = make("p", { id: "what" });
      this.about = make("p", { class: "dim" });
      this.last = make("p", { class: "dim" });
      this.note = make("p", {});
      this.reason = make("input", { id: "reason", type: "text", maxlength: "2000", autocomplete: "off",
                                    placeholder: "Kept with the run" });
      this.go = make("button", { type: "submit", class: "go" }, "Start");
      this.cancel = make("button", { type: "button" }, "Cancel");
      this.form = make("form", { method: "dialog" }, make("h2", { id: "title" }, "Run ingestion?"), this.what, this.about,
        this.note, this.last, make("label", { for: "reason" }, "Reason (optional)"), this.reason,
        make("div", { class: "row" }, this.cancel, this.go));
      this.dialog = make("dialog", { "aria-labelledby": "title", "aria-describedby": "what" }, this.form);
      // two regions that are there from the start: what appears in them is read out
      this.polite = make("div", { role: "status" });
      this.urgent = make("div", { role: "alert" });
      this.toasts = make("div", { class: "toasts" }, this.polite, this.urgent);
      root.append(this.dialog, this.toasts);
      this.cancel.addEventListener("click", () => this.dialog.close());
      this.form.addEventListener("submit", (event) => {
        event.preventDefault();
        this.confirmed?.(this.reason.value.trim());
      });
      this.dialog.addEventListener("close", () => this.left?.());
      for (const type of ["keydown", "keyup", "keypress"]) { // the page's own shortcuts stay out of the reason
        this.addEventListener(type, (event) => event.stopPropagation());
      }
    }

    ask(urn, info) {
      this.paint();
      const job = info.job ?? {};
      this.what.textContent = typeof info.confirm === "string" && info.confirm
        ? info.confirm : `This starts ${job.name ?? "the job"} for ${nameOf(urn)}.`;
      this.about.textContent = Object.hasOwn(ENGINES, job.engine ?? "") ? `It runs on ${ENGINES[job.engine]}.` : "";
      this.note.textContent = job.description ?? "";
      const by = person(info.lastRun?.actor);
      this.last.textContent = info.lastRun
        ? `${[runInWords(info.lastRun).filter(Boolean).join(" ").replace(" ·", ","), by && `by ${by}`].filter(Boolean).join(", ")}.`
        : "No earlier run of it is known.";
      for (const one of [this.about, this.note]) one.hidden = !one.textContent;
      this.busy(false);
      this.dialog.showModal();
      this.reason.focus();
    }

    busy(yes) {
      this.go.disabled = yes;
      this.go.textContent = yes ? "Starting…" : "Start";
      this.cancel.textContent = yes ? "Close" : "Cancel"; // what is under way is not cancelled by leaving
    }

    /** `title`, then `text`, then `id` as code. Good news goes by itself after a while, bad news stays. */
    toast(title, text, id, bad) {
      this.paint();
      this.toggleAttribute("data-raised", Boolean(document.querySelector(`${BUTTON}[data-fixed]`))); // not upon it
      const close = make("button", { type: "button", "aria-label": "Dismiss" }, "×");
      const made = make("div", { class: bad ? "toast bad" : "toast" },
        make("p", {}, make("b", {}, title), sentence(text ?? ""), text && id ? " " : "", id ? make("code", {}, id) : ""), close);
      close.addEventListener("click", () => made.remove());
      (bad ? this.urgent : this.polite).replaceChildren(made);
      (bad ? this.polite : this.urgent).replaceChildren();
      if (bad) return;
      let timer;
      const leave = () => { timer = setTimeout(() => made.remove(), 10_000); };
      const stay = () => clearTimeout(timer);
      for (const type of ["pointerenter", "focusin"]) made.addEventListener(type, stay);
      for (const type of ["pointerleave", "focusout"]) made.addEventListener(type, leave);
      leave();
    }

    /** What was written and complained of on one dataset's page has no place on the next. Good news goes by itself. */
    clear() {
      this.reason.value = "";
      this.urgent.replaceChildren();
    }

    paint() {
      this.toggleAttribute("data-dark", isDark(document.querySelector(HEADER) ?? document.body));
    }
  }

  customElements.define(BUTTON, RunIngestion);
  customElements.define(OVERLAY, Overlay);

  // ---- one dataset's page

  class View {
    constructor(urn) {
      this.urn = urn;
      this.since = performance.now();
      this.leaving = new AbortController();
      this.element = null;
      this.info = null;
      this.asked = 0;
      this.starting = false;
      this.crowded = null; // the header that has no room for the button
      this.timers = {};
      this.ask(2000);
      this.after("fallback", FALLBACK_AFTER, () => this.place());
      this.clock();
    }

    leave() {
      this.leaving.abort();
      for (const timer of Object.values(this.timers)) clearTimeout(timer);
      this.element?.remove();
      if (!shared) return;
      shared.dialog.close();
      shared.clear();
    }

    /** "2 minutes ago" becomes "3 minutes ago". */
    clock() {
      this.after("clock", MINUTE, () => {
        this.showRun();
        this.clock();
      });
    }

    after(name, delay, then) {
      clearTimeout(this.timers[name]);
      this.timers[name] = setTimeout(then, delay);
    }

    /** Ask what may be done here. While there is no answer it is asked again, ever more slowly. */
    async ask(patience = 2000) {
      this.asked = performance.now();
      let got;
      try {
        got = await call(`runnable?datasetUrn=${encodeURIComponent(this.urn)}`, { signal: this.leaving.signal });
      } catch {
        return; // this page was left
      }
      const { status, body } = got;
      const known = typeof body.code === "string";
      if (status === 401 || status === 403 || body.code === "not_authenticated" || body.code === "no_right") {
        this.info = null; // who may not is shown nothing
      } else if (known && body.code !== "unavailable") {
        this.info = body;
      } else {
        const reason = body.reason ?? body.message ?? "Headgate does not answer; this will be tried again";
        this.info = { ...this.info, runnable: false, allowed: true, reason, lastRun: this.info?.lastRun ?? null };
        this.after("ask", patience, () => this.ask(Math.min(patience * 2, 60_000)));
      }
      this.show();
      if (this.info?.lastRun && !OVER.has(this.info.lastRun.state)) this.follow(this.info.lastRun.runId);
    }

    show() {
      if (!this.info || this.info.allowed === false) {
        this.element?.remove();
        this.element = null;
        return;
      }
      if (!this.element) {
        this.element = document.createElement(BUTTON);
        this.element.pressed = () => this.pressed();
      }
      this.element.allow(this.blocked());
      this.showRun();
      this.place();
    }

    showRun() {
      if (this.element?.showRun(this.info?.lastRun) && this.element.isConnected) this.refit();
    }

    /** Why the button cannot be pressed; null when it can. */
    blocked() {
      if (this.starting) return "It is being started";
      return this.info.runnable ? null : (this.info.reason || "Nothing can be started for this dataset");
    }

    /** Put the button where it belongs, if it is not there. Called after every change of the page, so it is quick. */
    place() {
      if (!this.element) return;
      const header = document.querySelector(HEADER);
      const home = header?.querySelector(ACTIONS) ?? header;
      if (home && home !== this.crowded) {
        if (this.element.parentNode !== home) {
          this.element.removeAttribute("data-fixed");
          home.prepend(this.element);
          this.element.paint();
          this.fit(header, home);
        }
      } else if (home || (performance.now() - this.since >= FALLBACK_AFTER - 50 && !showsGraph())) {
        if (this.element.parentNode !== document.body) {
          this.element.setAttribute("data-fixed", "");
          document.body.append(this.element);
          this.element.paint();
          this.squeeze();
        }
      } else {
        this.element.remove();
      }
    }

    /** The header cuts off what it has no room for: then the badge is a dot, or else the button stands in the corner. */
    fit(header, home) {
      const cut = () => {
        const edge = header.getBoundingClientRect().right + 1;
        return [this.element, home, home.lastElementChild].some((one) => one.getBoundingClientRect().right > edge);
      };
      this.element.removeAttribute("data-short");
      if (!cut()) return;
      this.element.setAttribute("data-short", "");
      if (!cut()) return;
      this.crowded = home;
      this.place();
    }

    /** In the corner there is as much room as the window is wide. */
    squeeze() {
      this.element.removeAttribute("data-short");
      this.element.toggleAttribute("data-short", this.element.getBoundingClientRect().left < 8);
    }

    /** The window has another size, or the badge another length: there may be room now, or none any more. */
    refit() {
      if (!this.element) return;
      const focused = this.element.matches(":focus-within");
      this.crowded = null;
      const header = document.querySelector(HEADER);
      const home = header?.querySelector(ACTIONS) ?? header;
      if (home && this.element.parentNode === home) this.fit(header, home);
      else this.place();
      if (this.element.parentNode === document.body) this.squeeze();
      if (focused && !this.element.matches(":focus-within")) this.element.button.focus();
    }

    pressed() {
      const blocked = this.blocked();
      const over = overlay();
      if (blocked) {
        over.toast("This cannot be run", blocked, null, true);
        return;
      }
      over.confirmed = (reason) => this.start(reason);
      over.left = () => this.element?.button.focus();
      over.ask(this.urn, this.info);
    }

    async start(reason) {
      if (this.starting) return;
      this.starting = true;
      const over = overlay();
      over.busy(true);
      const post = reason ? { datasetUrn: this.urn, reason } : { datasetUrn: this.urn };
      // not tied to this page: who navigates away has started it all the same, and is told so
      const { status, body, slow } = await call("run", { post, timeout: START_TIMEOUT });
      this.starting = false;
      over.dialog.close();
      const text = typeof body.message === "string" ? body.message : "";
      if (body.status === "started" && body.runId) {
        over.reason.value = "";
        over.toast(status === 202 ? "Accepted" : "Started", text || "Run", body.runId, false);
        if (this.leaving.signal.aborted) return;
        this.info = { ...this.info, lastRun: { runId: body.runId, state: status === 202 ? "WAITING" : "STARTING" } };
        this.show();
        this.follow(body.runId);
        return;
      }
      over.toast("Not started", text || nothingSaid(status, slow), body.runId, true);
      if (!this.leaving.signal.aborted) this.ask();
    }

    /** Keep the badge true until the run has ended: asked often at first, then ever more slowly, and only if seen. */
    follow(runId, delay = 700) {
      this.after("follow", delay, async () => {
        if (document.hidden) {
          this.follow(runId, delay); // asked when somebody looks
          return;
        }
        let got;
        try {
          got = await call(`runs/${encodeURIComponent(runId)}`, { signal: this.leaving.signal });
        } catch {
          return;
        }
        if (got.status === 200 && got.body.state) {
          this.info = { ...this.info, lastRun: { ...this.info?.lastRun, ...got.body, runId } };
          this.showRun();
          if (OVER.has(got.body.state)) return;
        } else if ([401, 403, 404].includes(got.status)) {
          return; // it is not for this user's eyes (any more)
        }
        this.follow(runId, Math.min(delay * 1.4, got.status === 200 ? 15_000 : 60_000));
      });
    }
  }

  function nothingSaid(status, slow) {
    if (slow) return "Headgate did not answer in time. It may have started; the last run will show it.";
    if (!status) return "Headgate cannot be reached. Try again in a moment.";
    return `Headgate answered ${status} without saying why.`;
  }

  let shared = null;
  function overlay() {
    shared ??= document.createElement(OVERLAY);
    if (!shared.isConnected) document.body.append(shared);
    return shared;
  }

  // ---- following the page

  let view = null;

  function look() {
    const urn = datasetOf(location.pathname);
    if (urn !== (view?.urn ?? null)) {
      view?.leave();
      view = urn ? new View(urn) : null;
    }
    view?.place();
  }

  for (const name of ["pushState", "replaceState"]) {
    const original = history[name];
    history[name] = function (...given) {
      const result = original.apply(this, given);
      queueMicrotask(look); // after the router has made up its mind
      return result;
    };
  }
  addEventListener("popstate", () => queueMicrotask(look));
  let resized = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(resized);
    resized = requestAnimationFrame(() => view?.refit()); // once a frame, however often it is told
  });
  addEventListener("visibilitychange", () => {
    if (!document.hidden && view && performance.now() - view.asked > STALE_AFTER) view.ask();
  });
  const changes = new MutationObserver((records) => {
    look();
    if (records.some((one) => one.type === "attributes")) { // a theme was chosen
      view?.element?.paint();
      shared?.paint();
    }
  });
  changes.observe(document.getElementById("root") ?? document.body, { childList: true, subtree: true });
  for (const one of [document.documentElement, document.body]) changes.observe(one, { attributes: true });
  look();
})();
