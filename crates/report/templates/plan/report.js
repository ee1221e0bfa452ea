
(() => {
  "use strict";
  // A long table must not stop the page: no slice of work is longer than this, in milliseconds.
  const SLICE = 10, PAUSE_AFTER_KEY = 150;
  const form = document.getElementById("filter");
  const output = form.querySelector("output");
  const sections = Array.from(document.querySelectorAll("section.repository"));
  // What a part of a table holds is read when it is first searched, and not again.
  const known = new Map();
  let latest = 0;
  let timer = 0;

  const parts = (section) => {
    let found = known.get(section);
    if (!found) {
      found = Array.from(section.querySelectorAll(".wide"), (box) => ({ box, rows: null, texts: null, partly: false }));
      known.set(section, found);
    }
    return found;
  };

  const filterPart = (part, words, verdict) => {
    part.rows ??= Array.from(part.box.querySelector("tbody").rows);
    const { rows, box } = part;
    let matching = rows.length;
    if (words.length > 0 || verdict) {
      part.texts ??= rows.map((row) => row.textContent.toLowerCase());
      const matches = rows.map((row, at) =>
        (!verdict || row.className === verdict) && words.every((word) => part.texts[at].includes(word)));
      matching = matches.reduce((sum, match) => sum + match, 0);
      // A part that is hidden whole needs no look at its rows.
      if (matching > 0 && (matching < rows.length || part.partly)) {
        rows.forEach((row, at) => { if (row.hidden === matches[at]) row.hidden = !matches[at]; });
        part.partly = matching < rows.length;
      }
    } else if (part.partly) {
      rows.forEach((row) => { if (row.hidden) row.hidden = false; });
      part.partly = false;
    }
    if (box.hidden !== (matching === 0)) box.hidden = matching === 0;
    return matching;
  };

  const run = async () => {
    const mine = ++latest;
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const repository = form.elements.repository.value.trim().toLowerCase();
    const verdict = form.elements.verdict.value;
    let shown = 0, repositories = 0, until = performance.now() + SLICE;
    output.setAttribute("aria-busy", "true");
    for (const section of sections) {
      const name = section.dataset.name;
      const incomplete = section.classList.contains("incomplete");
      let visible = 0;
      if (name.includes(repository)) {
        const rest = words.filter((word) => !name.includes(word));
        if (incomplete) {
          const text = section.textContent.toLowerCase();
          visible = (verdict === "" || verdict === "incomplete") && rest.every((word) => text.includes(word)) ? 1 : 0;
        } else if (verdict !== "incomplete") {
          for (const part of parts(section)) {
            const matching = filterPart(part, rest, verdict);
            visible += matching;
            shown += matching;
            if (performance.now() > until) {
              await new Promise((resume) => setTimeout(resume));
              if (mine !== latest) return;
              until = performance.now() + SLICE;
            }
          }
        }
      }
      // A repository of which there are no rows at all is shown as long as nothing is asked of its rows.
      if (!incomplete && name.includes(repository) && !verdict && words.every((word) => name.includes(word))) visible ||= 1;
      if (visible > 0) repositories += 1;
      if (section.hidden !== (visible === 0)) section.hidden = visible === 0;
      if (performance.now() > until) {
        await new Promise((resume) => setTimeout(resume));
        if (mine !== latest) return;
        until = performance.now() + SLICE;
      }
    }
    const number = (value) => value.toLocaleString("en");
    output.textContent = `${number(shown)} ${shown === 1 ? "row" : "rows"} in ${number(repositories)} ${repositories === 1 ? "repository" : "repositories"}`;
    output.removeAttribute("aria-busy");
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
})();
