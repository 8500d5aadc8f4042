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

// A stream says that something is new; what is shown is asked of the server, which escapes it. At most once a second.
function listen(element) {
  const sign = document.getElementById(element.dataset.sign);
  const source = new EventSource(element.dataset.live);
  let timer = null;
  source.addEventListener("update", () => {
    sign?.classList.add("is-on");
    timer ??= setTimeout(() => {
      timer = null;
      htmx.trigger(element, "grandstand:update");
    }, 300);
  });
  source.addEventListener("error", () => sign?.classList.remove("is-on"));
  addEventListener("pagehide", () => source.close(), { once: true });
}

function begin() {
  document.documentElement.classList.add("has-script");
  showTimes(document);
  document.querySelectorAll("[data-live]").forEach(listen);
  const menu = document.getElementById("menu");
  menu?.addEventListener("click", () => {
    const isOpen = document.getElementById("rail").classList.toggle("is-open");
    menu.setAttribute("aria-expanded", String(isOpen));
  });
  for (const all of document.querySelectorAll("[data-ticks-all]")) {
    all.addEventListener("change", () => {
      for (const box of all.closest("form").querySelectorAll("input[name=id]")) box.checked = all.checked;
    });
  }
  document.body.addEventListener("htmx:afterSwap", (event) => showTimes(event.target));
  document.querySelector("[aria-invalid=true]")?.focus();
}

begin();
