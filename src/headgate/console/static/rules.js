// This file is where the page of rules keeps and deletes: it calls the REST API, then shows the page anew.
"use strict";
(() => {
  const API = "/headgate/api/v1/rules";
  const byId = (id) => document.getElementById(id);

  async function call(method, address, body) {
    let response;
    try {
      response = await fetch(address, {
        method,
        headers: { "Content-Type": "application/json", "X-Headgate-Request": "1" },
        body: JSON.stringify(body),
      });
    } catch {
      throw new Error("the server cannot be reached");
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw new Error(answer.message || `it answered ${response.status}`);
  }

  async function trying(button, problem, work) {
    button.disabled = true;
    problem.textContent = "";
    try {
      await work();
      location.reload();
    } catch (error) {
      problem.textContent = `That did not work: ${error.message}.`;
    } finally {
      button.disabled = false;
    }
  }

  byId("add-rule").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(event.target);
    const kind = given.get("kind");
    const body = { [kind]: kind === "default" ? true : given.get("value").trim() };
    body[given.get("what")] = given.get("target").trim();
    if (given.get("reason").trim()) body.reason = given.get("reason").trim();
    trying(event.submitter, byId("add-problem"), () => call("PUT", API, body));
  });

  byId("add-kind").addEventListener("change", (event) => {
    byId("add-value").disabled = event.target.value === "default";
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-delete]");
    if (!button) return;
    const dialog = byId("ask");
    const yes = byId("ask-yes");
    const reason = byId("ask-reason");
    const problem = byId("ask-problem");
    byId("ask-title").textContent = "Delete this rule?";
    byId("ask-text").textContent = `${button.dataset.what}: what it covered is then decided by the other rules.`;
    yes.textContent = "Delete it";
    reason.value = problem.textContent = "";
    yes.onclick = (clicked) => {
      clicked.preventDefault();
      const body = reason.value.trim() ? { reason: reason.value.trim() } : {};
      trying(yes, problem, () => call("POST", `${API}/${button.dataset.delete}/delete`, body));
    };
    dialog.onclose = () => button.focus();
    dialog.showModal();
    reason.focus();
  });
})();
