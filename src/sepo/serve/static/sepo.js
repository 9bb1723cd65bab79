// What a page does beyond its forms and links: it works without. A move is sent and the board exchanged in place, what
// happened is read out, and the focus goes to what comes next. A run's page is looked at again every two seconds.
"use strict";

const POLL = 2000;
const live = () => document.getElementById("live");

function busy(form, on) {
  for (const control of form.querySelectorAll("button")) control.disabled = on;
}

async function fetched(url, options) {
  const answer = await fetch(url, options);
  return { ok: answer.ok, page: new DOMParser().parseFromString(await answer.text(), "text/html") };
}

function exchange(page, id) {
  const fresh = page.getElementById(id);
  const old = document.getElementById(id);
  if (!fresh || !old) return null;
  const here = document.importNode(fresh, true);
  old.replaceWith(here);
  return here;
}

function focusNext(board, submitter) {
  const same = submitter && submitter.value
    ? [...board.querySelectorAll("button")].find((b) => b.name === submitter.name && b.value === submitter.value)
    : null;
  const next = board.querySelector("[data-focus]") || same || board.querySelector("select, button");
  if (next) next.focus();
}

async function send(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  busy(form, true);
  live().textContent = "Waiting for the policy\u2026";
  try {
    // by attribute: a form's own field named "action" would stand in the way
    const { ok, page } = await fetched(form.getAttribute("action"), { method: "POST", body });
    const board = ok ? exchange(page, "board") : null;
    if (board) {
      live().textContent = board.dataset.said || "";
      focusNext(board, submitter);
      return;
    }
    const message = page.getElementById("message");
    live().textContent = message ? message.textContent : "That did not work.";
  } catch {
    live().textContent = "The server does not answer.";
  }
  busy(form, false);
  if (submitter) submitter.focus();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.matches("form[data-live]")) {
    event.preventDefault();
    send(form, event.submitter);
  } else if (form.matches("form[data-waits]")) {
    live().textContent = "Waiting for the policy\u2026";
    setTimeout(() => busy(form, true), 0); // after the form was read
  }
});

window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-waits]")) busy(form, false);
  if (document.querySelector("form[data-waits]")) live().textContent = "";
});

async function poll() {
  const before = document.getElementById("progress");
  try {
    if (!document.hidden) {
      const { ok, page } = await fetched(location.href, {});
      const fresh = page.getElementById("progress");
      if (ok && fresh && fresh.outerHTML !== before.outerHTML) {
        const held = before.contains(document.activeElement) ? document.activeElement : null;
        const scrolled = before.querySelector(".scroll")?.scrollLeft || 0;
        const here = exchange(page, "progress");
        const region = here.querySelector(".scroll");
        if (region) region.scrollLeft = scrolled;
        const again = held && [...here.querySelectorAll("a, .scroll")].find(
          (e) => (held.href ? e.href === held.href : e.className === held.className));
        if (again) again.focus();
        if (here.dataset.said !== before.dataset.said) live().textContent = here.dataset.said;
      }
    }
  } catch {
    live().textContent = "The server does not answer.";
  }
  setTimeout(poll, POLL);
}

if (document.querySelector("[data-poll]")) setTimeout(poll, POLL);
