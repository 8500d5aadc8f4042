// The console's own script: times in the viewer's zone, live parts, and the menu of narrow screens. Without it every
// page still works: times are in UTC and a page shows what was there when it was loaded.
"use strict";

const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function showTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-shown])")) {
    const moment = new Date(element.dateTime);
    if (!Number.isNaN(moment.getTime())) {
      element.textContent = zoned.format(moment);
      element.dataset.shown = "";
    }
  }
}

// A calendar is in UTC, days and all; when that is where the viewer is shows to whoever points at it.
function showSlots() {
  for (const slot of document.querySelectorAll("[data-starts]")) {
    slot.title = zoned.formatRange(new Date(slot.dataset.starts), new Date(slot.dataset.ends));
  }
}

// Times are typed in UTC; what they are where the viewer is stands below, unless that is the same.
function sayLocalTime(input) {
  const note = document.createElement("p");
  note.className = "hint";
  input.parentElement.append(note);
  const say = () => {
    const moment = new Date(`${input.value}Z`);
    const isElsewhere = !Number.isNaN(moment.getTime()) && moment.getTimezoneOffset() !== 0;
    note.textContent = isElsewhere ? `${zoned.format(moment)} where you are` : "";
  };
  input.addEventListener("input", say);
  say();
}

// On narrow screens a table of many columns is shown as cards, and each cell says by itself what it is. Its parts are
// named, since what is not laid out as a table is none to a screen reader.
function dress(root) {
  for (const table of root.querySelectorAll("table.is-cards")) {
    const heads = [...table.querySelectorAll("thead th")];
    const labels = heads.map((head) => (head.querySelector("input, .visually-hidden") ? "" : head.textContent.trim()));
    table.classList.toggle("has-ticks", Boolean(table.querySelector("thead input")));
    table.role = "table";
    for (const group of table.querySelectorAll("thead, tbody")) group.role = "rowgroup";
    for (const row of table.querySelectorAll("tr")) row.role = "row";
    for (const head of heads) {
      head.role = "columnheader";
      head.dataset.label = head.querySelector("input")?.ariaLabel ?? "";
    }
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, number) => {
        cell.role = "cell";
        cell.dataset.label = labels[number] ?? "";
      });
    }
  }
}

// What is put in anew leaves whoever is inside it where they were: the same player by keyboard, the same place of a table.
const STOPS = "a, button, summary, [tabindex]";

function rememberPlace(element) {
  const held = document.activeElement;
  const stops = [...element.querySelectorAll(STOPS)];
  const inside = stops.indexOf(held);
  const row = inside < 0 ? null : held.closest("tr");
  const whose = row?.querySelector("a")?.href;
  const within = row ? [...row.querySelectorAll(STOPS)].indexOf(held) : -1;
  const open = [...element.querySelectorAll("details")].map((details) => details.open);
  const lefts = [...element.querySelectorAll(".scroll")].map((region) => region.scrollLeft);
  return () => {
    element.querySelectorAll("details").forEach((details, number) => (details.open = open[number] ?? false));
    element.querySelectorAll(".scroll").forEach((region, number) => (region.scrollLeft = lefts[number] ?? 0));
    if (inside < 0) return;
    const same = whose && [...element.querySelectorAll("tr")].find((each) => each.querySelector("a")?.href === whose);
    // Who has left the page of ranks leaves its reader at the table.
    const stop = whose ? (same ?? element).querySelectorAll(STOPS)[same ? within : 0] : element.querySelectorAll(STOPS)[inside];
    stop?.focus({ preventScroll: true });
  };
}

// The stream of the overview is the part itself, as the server has escaped it.
function putIn(element, text) {
  const putBack = rememberPlace(element);
  element.innerHTML = text;
  putBack();
  showTimes(element);
}

function saySign(sign, isOn) {
  if (!sign) return;
  sign.hidden = false;
  sign.classList.toggle("is-on", isOn);
  sign.textContent = isOn ? "Live" : "Not live";
}

// A server that refuses a stream may do so because the session has ended, or because what was shown is gone; then a page
// shows nothing that is not old.
async function checkPage() {
  const answer = await fetch(location.href, { headers: { "HX-Request": "true" } });
  if (answer.headers.has("hx-refresh") || answer.status === 404) location.reload();
}

// Another stream says that something is new; what is shown is asked of the server. At most once a second.
function listen(element) {
  const sign = document.getElementById(element.dataset.sign);
  let timer = null;
  let isHeld = false;
  const renew = () => {
    timer = null;
    // Whoever is asked whether to go on must not lose the question.
    isHeld = Boolean(element.querySelector(":popover-open"));
    if (!isHeld) htmx.trigger(element, "grandstand:update");
  };
  const tell = (event) => {
    if ("whole" in element.dataset) putIn(element, event.data);
    else timer ??= setTimeout(renew, 300);
  };
  element.addEventListener("toggle", () => isHeld && renew(), true);
  // Nor one that came while the new rows were on their way.
  element.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.requestConfig?.elt !== element || !element.querySelector(":popover-open")) return;
    event.detail.shouldSwap = false;
    isHeld = true;
  });
  follow(element.dataset.live, tell, (isOn, isOver) => {
    saySign(sign, isOn);
    if (isOver) checkPage().catch(() => {});
  });
}

// Says what is wrong with a field, or nothing any more.
function complain(form, name, text) {
  const input = form.elements.namedItem(name);
  if (!input?.id) return;
  let note = document.getElementById(`e-${name}`);
  if (!text) {
    note?.remove();
    input.removeAttribute("aria-invalid");
    input.setAttribute("aria-describedby", `h-${name}`);
    return;
  }
  if (!note) {
    note = document.createElement("p");
    note.className = "wrong";
    note.id = `e-${name}`;
    note.setAttribute("aria-live", "polite");
    input.after(note);
  }
  if (note.textContent !== text) note.textContent = text;
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", `e-${name} h-${name}`);
}

// A form is judged while it is typed, by the rules that saving goes by. Only fields that were touched are told of.
function judge(form) {
  const touched = new Set();
  let timer = null;
  let latest = 0;
  const ask = async () => {
    const number = ++latest;
    const typed = new FormData(form);
    // The mark is for the sending.
    typed.delete("form_once");
    const answer = await fetch(form.dataset.check, { method: "POST", body: new URLSearchParams(typed) });
    if (!answer.ok || !answer.headers.get("content-type")?.startsWith("application/json")) return;
    const told = await answer.json();
    if (number === latest) for (const name of touched) complain(form, name, told[name]);
  };
  form.addEventListener("input", (event) => {
    if (!event.target.name) return;
    touched.add(event.target.name);
    clearTimeout(timer);
    timer = setTimeout(() => ask().catch(() => {}), 400);
  });
}

// A picture becomes a file in the browser: drawn twice as large, on the colour of the panel that it stands on.
async function savePng(button) {
  const shown = document.getElementById(button.dataset.png);
  const picture = new Image();
  picture.src = shown.src;
  await picture.decode();
  const lines = [...(shown.closest("figure")?.querySelectorAll(".series li") ?? [])];
  const head = lines.length ? 100 : 60;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [1520, head + Math.round((1520 * shown.clientHeight) / shown.clientWidth)];
  const style = getComputedStyle(shown.closest(".panel"));
  const pen = canvas.getContext("2d");
  pen.fillStyle = style.backgroundColor;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = style.color;
  pen.font = "600 30px system-ui, sans-serif";
  pen.fillText(shown.alt.split(";")[0], 24, 42);
  pen.font = "24px system-ui, sans-serif";
  let left = 24;
  for (const line of lines) {
    pen.fillStyle = getComputedStyle(line, "::before").backgroundColor;
    pen.fillRect(left, 64, 20, 20);
    pen.fillStyle = style.color;
    pen.fillText(line.textContent, left + 30, 83);
    left += 60 + pen.measureText(line.textContent).width;
  }
  pen.drawImage(picture, 0, head, canvas.width, canvas.height - head);
  const file = document.createElement("a");
  file.href = URL.createObjectURL(await new Promise((done) => canvas.toBlob(done, "image/png")));
  file.download = `${button.dataset.name}.png`;
  file.click();
  setTimeout(() => URL.revokeObjectURL(file.href), 10000);
}

// The server reads no longer form, and could not send it back either; so it is told before it is sent.
const FORM_BYTES_MAX = 262144;

function isTooLong(form) {
  const typed = [...new FormData(form)];
  if (new URLSearchParams(typed).toString().length <= FORM_BYTES_MAX) return false;
  const [name] = typed.reduce((one, other) => (other[1].length > one[1].length ? other : one));
  const input = form.elements.namedItem(name);
  // What a log-in carries along nobody can shorten, and the server takes it.
  if (!input?.id) return false;
  complain(form, name, "is too long for a form");
  input.focus();
  return true;
}

// The way back from what follows leads to where the form stood, and not to its refusal, which a browser could show only by
// sending it again. Until then the refusal can be loaded anew with what was typed.
function forgetAnswer() {
  const isOurs = document.referrer.startsWith(`${location.origin}/`);
  if ("answer" in document.body.dataset && isOurs) history.replaceState(null, "", document.referrer);
}

// A form that was sent is not sent again by a second click; a download leaves its page, and its form, as it was.
function sendOnce(event) {
  const form = event.target;
  if (form.method !== "post") return;
  if (isTooLong(form)) {
    event.preventDefault();
    return;
  }
  if ("sent" in form.dataset) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "";
  forgetAnswer();
  setTimeout(() => delete form.dataset.sent, 5000);
}

function offerPng(root) {
  for (const button of root.querySelectorAll("[data-png]")) button.addEventListener("click", () => savePng(button));
}

function begin() {
  document.documentElement.classList.add("has-script");
  showTimes(document);
  showSlots();
  const zone = document.getElementById("zone");
  if (zone) zone.textContent = `Times are in ${zoned.resolvedOptions().timeZone}`;
  document.querySelectorAll("input[type=datetime-local]").forEach(sayLocalTime);
  dress(document);
  document.querySelectorAll("[data-live]").forEach(listen);
  const menu = document.getElementById("menu");
  menu?.addEventListener("click", () => {
    const isOpen = document.getElementById("rail").classList.toggle("is-open");
    menu.setAttribute("aria-expanded", String(isOpen));
  });
  document.querySelectorAll("form[data-check]").forEach(judge);
  offerPng(document);
  document.addEventListener("submit", sendOnce);
  document.addEventListener("click", (event) => event.target.closest("a[href^='/']") && forgetAnswer());
  // Whoever comes back to a page may send its form again.
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));
  for (const all of document.querySelectorAll("[data-ticks-all]")) {
    all.addEventListener("change", () => {
      for (const box of all.closest("form").querySelectorAll("input[name=id]")) box.checked = all.checked;
    });
  }
  let putBack = () => {};
  document.body.addEventListener("htmx:afterSwap", (event) => {
    putBack();
    showTimes(event.target);
  });
  // A report that could not be counted comes with what is wrong, in its place.
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    putBack = rememberPlace(event.detail.target);
    if (event.detail.target.id === "report") event.detail.shouldSwap = true;
  });
  document.body.addEventListener("htmx:load", (event) => {
    if (event.target.id === "report") offerPng(event.target);
  });
  document.querySelector("[aria-invalid=true]")?.focus();
}

begin();
