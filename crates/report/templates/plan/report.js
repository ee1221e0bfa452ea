
(() => {
  "use strict";
  // A long table must not stop the page: no slice of work is longer than this, in milliseconds.
  const SLICE = 10, PAUSE_AFTER_KEY = 150;
  const form = document.getElementById("filter");
  const output = form.querySelector("output");
  const sections = Array.from(document.querySelectorAll("section.repository"));
  // What a part of a table holds is read when it is first searched, and not again.
  const known = new Map();
  const groups = Array.from(document.querySelectorAll("section.group"));
  let latest = 0, prepared = 0;
  let timer = 0;

  const parts = (section) => {
    let found = known.get(section);
    if (!found) {
      found = Array.from(section.querySelectorAll(".wide"), (box) => ({
        box, rows: null, texts: null, partly: false, size: Number(box.dataset.rows), matching: 0, matches: null,
      }));
      known.set(section, found);
    }
    return found;
  };

  const textsOf = (part) => {
    part.rows ??= Array.from(part.box.querySelector("tbody").rows);
    part.texts ??= part.rows.map((row) => row.textContent.toLowerCase());
  };

  // Lets the browser paint and listen. A timer would wait four milliseconds more each time.
  const channel = new MessageChannel();
  const waiting = [];
  channel.port1.onmessage = () => waiting.shift()();
  const yielded = () => new Promise((resume) => { waiting.push(resume); channel.port2.postMessage(0); });

  // Runs a step for each element in slices; false where another filter was asked for meanwhile.
  const sliced = async (mine, list, step) => {
    let until = performance.now() + SLICE;
    for (const element of list) {
      if (performance.now() > until) {
        await yielded();
        if (mine !== latest) return false;
        until = performance.now() + SLICE;
      }
      step(element);
    }
    return true;
  };

  const match = (part, words, verdict) => {
    part.matches = null;
    part.matching = part.size;
    if (words.length === 0 && !verdict) return;
    textsOf(part);
    part.matches = part.rows.map((row, at) =>
      (!verdict || row.className === verdict) && words.every((word) => part.texts[at].includes(word)));
    part.matching = part.matches.reduce((sum, match) => sum + match, 0);
  };

  const show = (part) => {
    const { box, matching, matches } = part;
    // A part that is hidden whole needs no look at its rows.
    if (matching > 0 && (part.partly || matching < part.size)) {
      part.rows.forEach((row, at) => {
        const hidden = matches !== null && !matches[at];
        if (row.hidden !== hidden) row.hidden = hidden;
      });
      part.partly = matching < part.size;
    }
    if (box.hidden !== (matching === 0)) box.hidden = matching === 0;
  };

  const run = async () => {
    const mine = ++latest;
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const repository = form.elements.repository.value.trim().toLowerCase();
    const verdict = form.elements.verdict.value;
    output.setAttribute("aria-busy", "true");
    // First what matches, without touching the page: a change that it would have to paint costs more than a match.
    const plan = [], work = [];
    for (const section of sections) {
      const name = section.dataset.name;
      const entry = { section, name, found: [], visible: 0 };
      plan.push(entry);
      if (!name.includes(repository)) continue;
      const rest = words.filter((word) => !name.includes(word));
      if (section.classList.contains("incomplete")) {
        const text = section.textContent.toLowerCase();
        entry.visible = (verdict === "" || verdict === "incomplete") && rest.every((word) => text.includes(word)) ? 1 : 0;
      } else if (verdict !== "incomplete") {
        entry.found = parts(section);
        for (const part of entry.found) work.push({ part, rest });
        // A repository of which there are no rows at all is shown as long as nothing is asked of its rows.
        if (!verdict && rest.length === 0) entry.visible = 1;
      }
    }
    if (!await sliced(mine, work, ({ part, rest }) => match(part, rest, verdict))) return;
    let shown = 0;
    const names = new Set();
    const apply = (entry) => {
      for (const part of entry.found) { shown += part.matching; entry.visible += part.matching; }
      if (entry.visible > 0) names.add(entry.name);
      if (entry.section.hidden !== (entry.visible === 0)) entry.section.hidden = entry.visible === 0;
    };
    if (!await sliced(mine, plan, apply)) return;
    const visible = plan.filter((entry) => entry.visible > 0).flatMap((entry) => entry.found);
    if (!await sliced(mine, visible, show)) return;
    for (const group of groups) {
      const hidden = !group.querySelector("section.repository:not([hidden])");
      if (group.hidden !== hidden) group.hidden = hidden;
    }
    const number = (value) => value.toLocaleString("en");
    output.textContent = `${number(shown)} ${shown === 1 ? "row" : "rows"} in ${number(names.size)} ${names.size === 1 ? "repository" : "repositories"}`;
    output.removeAttribute("aria-busy");
  };

  // While nobody waits: what the first search would otherwise have to read.
  const prepare = async (deadline) => {
    while (prepared < sections.length && deadline.timeRemaining() > 2) {
      const part = parts(sections[prepared]).find((part) => part.texts === null);
      if (part) textsOf(part); else prepared += 1;
    }
    if (prepared < sections.length) requestIdleCallback(prepare);
  };

  // The address holds the filter, so that it can be sent to somebody.
  const remember = () => {
    const asked = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) asked.set(name, value);
    history.replaceState(null, "", asked.size ? `#?${asked}` : "#repositories");
  };
  const recall = () => {
    if (!location.hash.startsWith("#?")) return;
    for (const [name, value] of new URLSearchParams(location.hash.slice(2))) {
      if (["text", "repository", "verdict"].includes(name)) form.elements[name].value = value;
    }
    run();
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => { remember(); run(); }, PAUSE_AFTER_KEY);
  };

  form.hidden = false;
  form.addEventListener("input", soon);
  form.addEventListener("reset", soon);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", recall);
  recall();
  if ("requestIdleCallback" in window) addEventListener("load", () => requestIdleCallback(prepare));
})();
