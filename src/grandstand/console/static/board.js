// A public board follows the API's own stream of updates. Names are put in as text, never as HTML.
"use strict";

const body = document.querySelector("tbody[data-live]");
const numbers = new Intl.NumberFormat("en-US");

function cell(text) {
  const made = document.createElement("td");
  made.textContent = text;
  return made;
}

// Of a name of which nothing can be seen, what its characters are called.
function visible(text) {
  if (/[\p{L}\p{N}\p{P}\p{S}]/u.test(text.replace(/[\u115f\u1160\u2800\u3164\uffa0]/g, ""))) return text;
  const code = (each) => `U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  return [...text].slice(0, 8).map(code).join(" ");
}

function row(entry) {
  const made = document.createElement("tr");
  if (entry.rank <= 3) made.classList.add("is-top");
  const name = cell("");
  const text = document.createElement("bdi");
  text.textContent = visible(entry.display_name ?? entry.user_id);
  name.append(text);
  if (entry.tier) {
    const tier = document.createElement("span");
    tier.className = "tier";
    tier.textContent = entry.tier;
    name.append(tier);
  }
  made.append(cell(numbers.format(entry.rank)), name, cell(numbers.format(entry.score)));
  return made;
}

// Colours that the page around the frame has chosen; what is no plain value is left alone.
for (const [name, value] of new URLSearchParams(location.hash.slice(1))) {
  const isKnown = /^(ground|surface|line|text|soft|accent|radius|font)$/.test(name);
  if (isKnown && /^[\w\s#(),.%"'-]{1,120}$/.test(value)) {
    document.documentElement.style.setProperty(`--board-${name}`, value);
  }
}

// Whoever has put the board into a frame hears how high it is.
if (parent !== window) {
  const height = () => Math.ceil(document.body.getBoundingClientRect().height);
  const tell = () => parent.postMessage({ grandstandHeight: height() }, "*");
  new ResizeObserver(tell).observe(document.body);
}

if (body) {
  follow(body.dataset.live, (event) => {
    const page = JSON.parse(event.data);
    // A period may begin, or a board be reset, while somebody looks.
    const isEmpty = page.entries.length === 0;
    body.closest("table").hidden = isEmpty;
    document.querySelector(".empty").hidden = !isEmpty;
    body.replaceChildren(...page.entries.map(row));
    const total = document.getElementById("total");
    if (total) total.textContent = `${numbers.format(page.total)} ${page.total === 1 ? "player" : "players"}`;
  });
}
