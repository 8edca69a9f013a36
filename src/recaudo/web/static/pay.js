// Comfort only: every page works without this file.
"use strict";

// "50.000" and "$ 50.000" in minor units; null for anything doubtful. The server decides in the end.
function readAmount(text) {
  const found = /^\$?\s*(\d{1,3}(?:\.\d{3})+|\d+)$/.exec(text.trim());
  if (!found) return null;
  const minor = Number(found[1].replace(/\./g, "")) * 100;
  return Number.isSafeInteger(minor) && minor > 0 ? minor : null;
}

function group(digits) {
  return digits.replace(/\B(?=(\d{3})+$)/g, ".");
}

function label(minor) {
  return "$ " + group(String(minor / 100));
}

const withoutDots = (text) => text.replace(/\./g, "");

// Puts dots into a whole number while it is typed. It never touches dots that the payer typed: "50000.00" must
// reach the server as it is and be refused, not become five million.
function regroup(input, before) {
  const digits = withoutDots(input.value);
  const addedDot = input.value.length - digits.length > before.length - withoutDots(before).length;
  const wasOurs = before === "" || before === group(withoutDots(before)) || /^\d+$/.test(before);
  if (!/^\d+$/.test(digits) || addedDot || !wasOurs || digits === withoutDots(before)) return;
  let behindCaret = withoutDots(input.value.slice(input.selectionEnd)).length;
  input.value = group(digits);
  let caret = input.value.length;
  for (; behindCaret > 0; caret--) if (input.value[caret - 1] !== ".") behindCaret--;
  input.setSelectionRange(caret, caret);
}

function followAmount(form, input) {
  const full = form.querySelector("#choice-full");
  const says = form.querySelector(".says-part");
  const understood = form.querySelector("[name=understood_minor]");
  let before = input.value;
  function show() {
    const minor = readAmount(input.value);
    understood.value = minor === null ? "" : minor;
    says.textContent = minor === null ? form.dataset.other : form.dataset.pay.replace("{amount}", label(minor));
    form.classList.toggle("is-full", Boolean(full && full.checked));
  }
  input.addEventListener("input", () => {
    regroup(input, before);
    before = input.value;
    show();
  });
  form.addEventListener("change", show);
  window.addEventListener("pageshow", show);
  form.classList.add("scripted");
  show();
}

// A second tap must not start a second payment. The server would see through it; the payer should not worry. Where the
// network swallowed the first one the button comes back: the same form is one payment however often it is sent.
function sendOnce(form) {
  const button = form.querySelector("button[type=submit]");
  const says = [...button.childNodes];
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) return event.preventDefault();
    sent = true;
    button.setAttribute("aria-disabled", "true");
    if (form.dataset.busy) button.textContent = form.dataset.busy;
    setTimeout(() => {
      sent = false;
      button.removeAttribute("aria-disabled");
      button.replaceChildren(...says);
    }, 30000);
  });
  // The browser's back button may revive the page with its key already used: fetch a fresh one.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted && button.hasAttribute("aria-disabled")) location.reload();
  });
}

// Looks again, less and less often, and soon when the payer comes back from the bank's app.
function waitForAnswer(address) {
  const shown = document.querySelector("main").textContent;
  const until = Date.now() + 30 * 60 * 1000;
  let delay = 3000;
  let timer = 0;
  function next() {
    clearTimeout(timer);
    if (!document.hidden && delay < Infinity && Date.now() < until) timer = setTimeout(look, delay);
  }
  async function look() {
    try {
      const answer = await fetch(address, { cache: "no-store" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      if (delay < Infinity && answer.ok && fresh && fresh.textContent !== shown) return location.replace(address);
    } catch {
      // No connection just now; the next look may have one.
    }
    if (delay < Infinity) delay = Math.min(delay * 1.4, 20000);
    next();
  }
  document.addEventListener("visibilitychange", () => {
    if (delay === Infinity) return;
    delay = 1000;
    next();
  });
  // A look that answers while a form is on its way must not take its page away.
  document.addEventListener("submit", () => {
    clearTimeout(timer);
    delay = Infinity;
  });
  next();
}

for (const form of document.querySelectorAll("form")) {
  const amount = form.querySelector("#amount");
  if (amount) followAmount(form, amount);
  sendOnce(form);
}
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
const again = document.querySelector("[data-look-again]");
if (again) waitForAnswer(again.href);
const go = document.querySelector("form[data-go]");
if (go) go.submit();
