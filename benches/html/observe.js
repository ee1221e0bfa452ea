// Tasks of more than 50 ms, from the first byte on.
window.blocks = [];
new PerformanceObserver((list) => window.blocks.push(...list.getEntries())).observe({ type: "longtask", buffered: true });
