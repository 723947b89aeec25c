"use strict";
(() => {
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map();

  // Figures name their colours; the style sheet knows them for light and dark.
  const paint = (value, style) => {
    if (typeof value === "string") {
      return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    }
    if (Array.isArray(value)) {
      const numbers = typeof value[0] === "number" && typeof value.at(-1) === "number";
      return numbers ? value : value.map((v) => paint(v, style));
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v, style)]));
    }
    return value;
  };

  const axis = (own, style) => ({
    gridcolor: style.getPropertyValue("--line").trim(),
    zerolinecolor: style.getPropertyValue("--line").trim(),
    linecolor: style.getPropertyValue("--line").trim(),
    automargin: true,
    ...own,
  });

  const draw = (element) => {
    const figure = drawn.get(element);
    const style = getComputedStyle(document.documentElement);
    const layout = {
      margin: { l: 52, r: 14, t: 26, b: 40 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: style.getPropertyValue("--ink").trim(), family: "system-ui, sans-serif", size: 12 },
      hoverlabel: {
        bgcolor: style.getPropertyValue("--card").trim(),
        font: { color: style.getPropertyValue("--ink").trim() },
      },
      ...paint(figure.layout, style),
    };
    for (const name of new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((k) => /^[xy]axis\d*$/.test(k))])) {
      layout[name] = axis(layout[name], style);
    }
    const config = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };
    window.Plotly.react(element, paint(figure.data, style), layout, config);
  };

  const show = (element, figure) => { drawn.set(element, figure); draw(element); };
  const redraw = () => drawn.forEach((_, element) => draw(element));
  dark.addEventListener("change", redraw);

  const tradesWidget = (box) => {
    const symbols = page.widgets[box.dataset.widget];
    const plot = box.querySelector(".plot");
    const select = box.querySelector("select");
    const note = box.querySelector("[data-note]");
    const buttons = [...box.querySelectorAll("button[data-level]")];
    let level = "all";
    const update = () => {
      const symbol = select.value;
      const own = symbols[symbol];
      for (const button of buttons) button.hidden = !(button.dataset.level in own.levels);
      if (!(level in own.levels)) level = "all";
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.level === level));
      if (!(level in own.levels)) { note.textContent = "This symbol has no bars."; return; }
      show(plot, { data: [page.candles[symbol][level], ...own.levels[level]], layout: page.candleLayout });
      const bars = own.bars[level];
      note.textContent = `${own.count[level]} candles of ${bars === 1 ? "one bar" : `${bars} bars`} each; `
        + (own.shown < own.total ? `the latest ${own.shown} of ${own.total} trades.` : `${own.total} trades.`);
    };
    select.addEventListener("change", update);
    for (const button of buttons) {
      button.addEventListener("click", () => { level = button.dataset.level; update(); });
    }
    return update;
  };

  // Tables sort by a click, or Enter, on a column's name.
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = head.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign < 0 ? "descending" : "ascending");
        const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          const [x, y] = [key(a), key(b)];
          const [m, n] = [Number(x), Number(y)];
          if (x === "" || y === "") return x === y ? 0 : x === "" ? 1 : -1;
          return sign * (Number.isNaN(m) || Number.isNaN(n) ? x.localeCompare(y) : m - n);
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  // Plotly comes gzipped: it is most of the page. Nothing is fetched to unpack it.
  const unpack = async (packed) => {
    const bytes = Uint8Array.from(atob(packed.textContent.trim()), (sign) => sign.charCodeAt(0));
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(plain).text();
    document.head.append(script);
    script.remove();
  };

  const drawAll = () => {
    // What is near the window is drawn first, the rest one by one: a report has dozens of figures.
    const jobs = new Map();
    for (const element of document.querySelectorAll("[data-figure]")) {
      jobs.set(element, () => show(element, page.figures[element.dataset.figure]));
    }
    for (const box of document.querySelectorAll("[data-widget]")) jobs.set(box, tradesWidget(box));
    const run = (element) => {
      const job = jobs.get(element);
      if (job) { jobs.delete(element); job(); }
    };
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) { watcher.unobserve(entry.target); run(entry.target); }
      }
    }, { rootMargin: "600px" });
    for (const element of jobs.keys()) watcher.observe(element);
    const next = () => {
      const element = jobs.keys().next().value;
      if (element) { run(element); setTimeout(next, 30); }
    };
    setTimeout(next, 300);
    window.addEventListener("beforeprint", () => [...jobs.keys()].forEach(run));
  };

  const ready = () => { document.documentElement.dataset.ready = "yes"; };
  const packed = document.getElementById("plotly-packed");
  if (!packed) { ready(); return; }
  unpack(packed).then(drawAll).then(ready, (error) => {
    for (const plot of document.querySelectorAll(".plot")) {
      plot.textContent = "This browser cannot unpack the charts; a newer one can.";
    }
    throw error;
  });
})();
