// Uses the report as a reader would, and sends back how long the reader waited, in milliseconds.
addEventListener("load", () => setTimeout(async () => {
  const figures = {};
  const frame = () => new Promise((resume) => requestAnimationFrame(() => setTimeout(resume)));
  const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));
  const [navigation] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  await frame();
  const longest = (from) => Math.max(0, ...blocks.filter((task) => task.startTime >= from).map((task) => task.duration));
  figures["load: first paint"] = paint ? paint.startTime : performance.now();
  figures["load: whole"] = navigation.loadEventEnd;
  figures["load: longest block"] = longest(0);

  const form = document.getElementById("filter");
  const output = form.querySelector("output");
  let slowest = 0, blocked = 0;
  // How long nothing else could run, painting included: a beat that comes late tells.
  let beat = performance.now(), late = 0;
  const channel = new MessageChannel();
  channel.port1.onmessage = () => {
    const now = performance.now();
    late = Math.max(late, now - beat);
    beat = now;
    setTimeout(() => channel.port2.postMessage(0), 1);
  };
  channel.port2.postMessage(0);
  await pause(300);

  // Told of each change, also where a filter begins and ends between two beats.
  const settled = () => new Promise((resume) => {
    const watch = new MutationObserver(() => {
      if (output.hasAttribute("aria-busy")) return;
      watch.disconnect();
      frame().then(resume);
    });
    watch.observe(output, { attributes: true, attributeFilter: ["aria-busy"] });
  });
  const ask = async (name, asked) => {
    late = 0;
    const start = performance.now();
    for (const [field, value] of Object.entries(asked)) form.elements[field].value = value;
    const done = settled();
    form.dispatchEvent(new Event("input", { bubbles: true }));
    await done;
    const took = performance.now() - start;
    await pause(200);
    figures[`filter ${name}: answer`] = took;
    figures[`filter ${name}: block`] = late;
    slowest = Math.max(slowest, took);
    blocked = Math.max(blocked, late);
  };
  const none = { text: "", repository: "", verdict: "" };
  await ask("1 by text, the first time", { ...none, text: "rc.7" });
  await ask("2 by text, a few rows", { ...none, text: "1.77.0 kept" });
  await ask("3 by text, one row", { ...none, text: "1.15003.0-rc.3" });
  await ask("4 by verdict", { ...none, verdict: "delete" });
  await ask("5 by repository", { ...none, repository: "service-42" });
  await ask("6 that matches nothing", { ...none, text: "nothing-like-it" });
  await ask("7 everything again", none);

  // Somebody types a word.
  late = 0;
  const word = "beyond the last 2";
  for (let length = 1; length <= word.length; length += 1) {
    form.elements.text.value = word.slice(0, length);
    form.dispatchEvent(new Event("input", { bubbles: true }));
    await pause(60);
  }
  await pause(600);
  figures["typing: longest block"] = late;
  blocked = Math.max(blocked, late);
  await ask("8 everything again", none);

  // And looks around.
  late = 0;
  for (const part of [0.5, 0.99, 0.25, 0.75, 0]) {
    scrollTo(0, document.documentElement.scrollHeight * part);
    await frame();
    await frame();
  }
  figures["scrolling: longest block"] = late;
  late = 0;
  const details = document.querySelectorAll("details");
  for (const at of [0, 100, 20000]) {
    const one = details[Math.min(at, details.length - 1)];
    one.open = true;
    await frame();
  }
  figures["unfolding: longest block"] = late;
  figures["filter: slowest answer"] = slowest;
  figures["filter: longest block"] = blocked;
  await fetch("/figures", { method: "POST", body: JSON.stringify(figures) });
}, 100));
