// Follows a stream of updates for as long as somebody sees the page. A browser keeps six connections to a server for all its
// tabs together, so a hidden page lets go of its own. It comes back when it is seen again, and after whatever ended it.
"use strict";

const PAUSE_MS = 2000;
const PAUSE_MS_MAX = 60000;

// `tell` hears each update, and `say` whether the stream is open; with `isOver` when the server has refused it.
function follow(address, tell, say = () => {}) {
  let source = null;
  let timer = null;
  let pause = PAUSE_MS;
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const open = () => {
    close();
    if (document.hidden) return;
    source = new EventSource(address);
    source.addEventListener("open", () => {
      pause = PAUSE_MS;
      say(true, false);
    });
    source.addEventListener("update", tell);
    source.addEventListener("error", () => {
      const isOver = source?.readyState === EventSource.CLOSED;
      say(false, isOver);
      if (!isOver) return;
      // After an answer that is no stream a browser does not ask again, though a proxy may have given it for a moment.
      // Not all at the same moment: whoever watched has lost the stream together.
      timer = setTimeout(open, pause * (0.5 + Math.random()));
      pause = Math.min(2 * pause, PAUSE_MS_MAX);
    });
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  // A page that the browser had put away is taken out again as it was.
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
