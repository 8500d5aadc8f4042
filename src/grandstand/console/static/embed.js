// Puts a public board into another page: <script src="https://game.example/boards/-/embed.js" data-board="global" async>.
// The board is a frame that grows with its content. CSS variables --board-… of where it stands are its own, too.
"use strict";

(() => {
  const script = document.currentScript;
  const { board, theme, period, segment, title } = script.dataset;
  const source = new URL(`../${encodeURIComponent(board)}`, script.src);
  source.searchParams.set("embed", "1");
  for (const [name, value] of Object.entries({ theme, period, segment })) {
    if (value) source.searchParams.set(name, value);
  }
  const style = getComputedStyle(script.parentElement);
  const wanted = new URLSearchParams();
  for (const name of ["ground", "surface", "line", "text", "soft", "accent", "radius", "font"]) {
    const value = style.getPropertyValue(`--board-${name}`).trim();
    if (value) wanted.set(name, value);
  }
  source.hash = wanted.toString();
  const frame = document.createElement("iframe");
  frame.src = source.href;
  frame.title = title || "Leaderboard";
  frame.loading = "lazy";
  frame.style.cssText = "border: 0; width: 100%; height: 520px; display: block";
  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || event.origin !== source.origin) return;
    const height = Number(event.data?.grandstandHeight);
    if (height > 0) frame.style.height = `${Math.min(height, 4000)}px`;
  });
  script.after(frame);
})();
