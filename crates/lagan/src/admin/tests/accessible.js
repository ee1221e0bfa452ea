// What keeps a page from being read, heard or used by keyboard: a list of what is wrong, empty where nothing is.
(() => {
  "use strict";
  const all = (selector, of = document) => Array.from(of.querySelectorAll(selector));
  const wrong = [];
  const say = (what, element) => wrong.push(`${what}: ${element.outerHTML.slice(0, 160)}`);
  const seen = (element) => element.checkVisibility({ visibilityProperty: true });

  const structure = () => {
    if (!document.documentElement.lang) wrong.push("the page has no language");
    if (!document.title.trim()) wrong.push("the page has no title");
    for (const selector of ["h1", "main", "body > header"]) {
      const many = all(selector).length;
      if (many !== 1) wrong.push(`the page has ${many} ${selector}`);
    }
    let level = 0;
    for (const heading of all("h1, h2, h3, h4, h5, h6")) {
      const next = Number(heading.localName[1]);
      if (next > level + 1) say("a level of headings is left out", heading);
      if (!heading.textContent.trim()) say("a heading is empty", heading);
      level = next;
    }
    for (const child of document.body.children) {
      if (!child.matches("header, main, footer, a.skip, script")) say("it is in no landmark", child);
    }
    const first = document.querySelector("a[href]");
    if (all("nav a").length > 0 && !first.matches(".skip")) say("the first link skips nothing", first);
    const ids = all("[id]").map((element) => element.id);
    if (new Set(ids).size !== ids.length) wrong.push(`an id is there twice: ${ids}`);
    for (const link of all("a[href^='#']")) {
      if (!document.getElementById(decodeURIComponent(link.hash.slice(1)))) say("it leads nowhere", link);
    }
    for (const element of all("[aria-labelledby], [aria-describedby]")) {
      const names = ["aria-labelledby", "aria-describedby"].flatMap((name) => element.getAttribute(name)?.split(" ") ?? []);
      if (!names.every((id) => document.getElementById(id))) say("its label is nowhere", element);
    }
    for (const element of all("[tabindex]")) {
      if (element.tabIndex > 0) say("it is out of order", element);
    }
    // A placeholder is gone when somebody writes, and a title is not heard by everybody.
    for (const control of all("input, select, textarea")) {
      const label = Array.from(control.labels, (label) => label.textContent).join("").trim();
      if (!label && !control.ariaLabel) say("a control has no label", control);
    }
    for (const table of all("table")) {
      if (all("thead th", table).length === 0) say("a table has no head", table);
      const rows = all("tbody tr", table);
      if (!rows.every((row) => row.querySelector("th[scope=row]"))) say("a row has no head", table);
      if (!all("thead th", table).every((th) => th.scope === "col")) say("a head is of no column", table);
      if (!all("thead th", table).every((th) => th.textContent.trim())) say("a head is empty", table);
    }
  };

  const colour = (text) => {
    const found = text.match(/^rgba?\(([\d.]+), ([\d.]+), ([\d.]+)(?:, ([\d.]+))?\)$/);
    if (!found) throw new Error(`a colour that is not known here: ${text}`);
    return [Number(found[1]), Number(found[2]), Number(found[3]), Number(found[4] ?? 1)];
  };
  const over = (above, below) => {
    const part = above[3];
    return [0, 1, 2].map((at) => above[at] * part + below[at] * (1 - part)).concat(1);
  };
  // What an element is painted on, itself included; the page must not leave that to the browser.
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const layer = colour(getComputedStyle(at).backgroundColor);
      layers.push(layer);
      if (layer[3] === 1) return layers.reduceRight((below, above) => over(above, below));
    }
    throw new Error(`nothing is behind ${element.outerHTML.slice(0, 160)}`);
  };
  // WCAG 2.2, relative luminance and contrast ratio.
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const stands = (what, element, text, ground, least) => {
    const ratio = contrast(over(colour(text), ground), ground);
    if (ratio < least) say(`${what} has a contrast of ${ratio.toFixed(2)}`, element);
  };
  const contrasts = () => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let many = 0;
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (!texts.currentNode.data.trim() || element.closest("script, style, svg") || !seen(element)) continue;
      stands("text", element, getComputedStyle(element).color, behind(element), 4.5);
      many += 1;
    }
    if (many < 5) wrong.push(`the page has ${many} texts`);
    for (const control of all("input, select, button, textarea").filter(seen)) {
      const style = getComputedStyle(control);
      if (control.type === "checkbox") continue;
      stands("what is written", control, style.color, behind(control), 4.5);
      stands("the edge", control, style.borderTopColor, behind(control.parentElement), 3);
      if (control.placeholder) {
        stands("the placeholder", control, getComputedStyle(control, "::placeholder").color, behind(control), 4.5);
      }
    }
    for (const bar of all("svg rect").filter(seen)) {
      stands("a bar", bar, getComputedStyle(bar).fill, behind(bar.closest("svg").parentElement), 3);
    }
  };

  const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  const scrolled = (element) => {
    const above = element.parentElement;
    return above !== document.body && (scrolls(above) || scrolled(above));
  };
  const widths = () => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) {
      wrong.push(`the page is ${scrollWidth} pixels wide, of which ${clientWidth} are seen`);
      for (const element of all("body *").filter(seen)) {
        if (!scrolled(element) && element.getBoundingClientRect().right > clientWidth + 1) say("it sticks out", element);
      }
    }
    const usable = "a[href], button, input, select, textarea, summary, [tabindex='0']";
    for (const element of all("body *").filter(seen)) {
      if (!scrolls(element) || element.scrollWidth <= element.clientWidth) continue;
      if (!element.matches(usable) && !element.querySelector(usable)) say("only a mouse scrolls it", element);
    }
  };

  // All that Tab should come to, in this order.
  const stops = () => all("a[href], button, input, select, textarea, summary, [tabindex='0']").filter(seen);
  const named = (element) => `${stops().indexOf(element)} ${element.outerHTML.slice(0, 160)}`;
  const focused = () => {
    const element = document.activeElement;
    if (!element || element === document.body) return [];
    const style = getComputedStyle(element);
    if (!element.matches(":focus-visible") || style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) {
      say("it is not seen that it has the focus", element);
    } else {
      stands("the focus", element, style.outlineColor, behind(element.parentElement), 3);
    }
    const at = element.getBoundingClientRect();
    if (at.bottom <= 0 || at.right <= 0 || at.top >= innerHeight || at.left >= innerWidth) say("it is out of sight", element);
    return [named(element)];
  };

  window.accessible = {
    structure: () => { structure(); return wrong.splice(0); },
    contrasts: () => { contrasts(); return wrong.splice(0); },
    widths: () => { widths(); return wrong.splice(0); },
    stops: () => stops().map(named),
    focused,
    wrong: () => wrong.splice(0),
  };
})();
