"use strict";
// Unpacks Plotly and the charts' data, draws each chart when it comes into view, resolves the CSS variables in its
// colours, redraws when the colour scheme changes, and hands charts and data out as files.
const sepo = (() => {
  const touch = matchMedia("(pointer: coarse)").matches;
  const config = { responsive: true, displayModeBar: false, displaylogo: false, scrollZoom: false };

  const unpack = async (element) => {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  const hand = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  const resolve = (value, key, style) => {
    if (typeof value === "string") {
      const name = /color$/.test(key) && /^var\((--[a-z0-9-]+)\)$/.exec(value);
      return name ? style.getPropertyValue(name[1]).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => resolve(item, key, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, resolve(v, k, style)]));
    }
    return value;
  };

  let library = null;
  const plotly = () => {
    library ??= unpack(document.getElementById("plotly")).then((code) => {
      const script = document.createElement("script");
      script.textContent = code;
      document.head.append(script);
    });
    return library;
  };

  addEventListener("load", () => setTimeout(plotly, 100)); // the page is there first, and charts when they are scrolled to

  const figures = [...document.querySelectorAll("figure")].map((element) => ({
    element,
    packed: element.querySelector("script.packed"),
    document: null,
    hidden: new Set(),
    linear: false,
  }));
  const opened = (figure) => {
    figure.document ??= unpack(figure.packed).then(JSON.parse);
    return figure.document;
  };

  const drawn = new Set();
  const built = (figure, spec) => {
    const style = getComputedStyle(document.documentElement);
    const layout = resolve(spec.layout, "", style);
    const data = resolve(spec.data, "", style);
    for (const trace of data) trace.visible = !(trace.meta && figure.hidden.has(trace.meta.arm));
    if (spec.log && figure.linear) Object.assign(layout.yaxis, { type: "linear", tickmode: "auto", rangemode: "tozero" });
    if (touch) layout.dragmode = false;
    return { data, layout };
  };
  const draw = async (chart) => {
    const [document_] = await Promise.all([opened(chart.figure), plotly()]);
    const { data, layout } = built(chart.figure, document_.plots[chart.number]);
    await Plotly.react(chart.div, data, layout, config);
    drawn.add(chart);
  };

  const charts = figures.flatMap((figure) =>
    [...figure.element.querySelectorAll(".chart")].map((div, number) => ({ div, figure, number })),
  );
  const of = new Map(charts.map((chart) => [chart.div, chart]));
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((e) => e.isIntersecting)) {
        seen.unobserve(entry.target);
        draw(of.get(entry.target));
      }
    },
    { rootMargin: "600px" },
  );
  for (const chart of charts) seen.observe(chart.div);
  addEventListener("beforeprint", () => charts.filter((chart) => !drawn.has(chart)).forEach(draw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));

  const image = async (chart, format, name) => {
    await draw(chart);
    const { data, layout } = built(chart.figure, (await opened(chart.figure)).plots[chart.number]);
    layout.paper_bgcolor = getComputedStyle(document.documentElement).getPropertyValue("--card").trim();
    const size = { width: chart.div.clientWidth, height: chart.div.clientHeight };
    const uri = await Plotly.toImage({ data, layout }, { format, ...size, scale: format === "png" ? 2 : 1 });
    const content = uri.slice(uri.indexOf(",") + 1);
    const bytes =
      format === "svg" ? decodeURIComponent(content) : Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    hand(new Blob([bytes], { type: format === "svg" ? "image/svg+xml" : "image/png" }), `${name}.${format}`);
  };

  for (const figure of figures) {
    const own = charts.filter((chart) => chart.figure === figure);
    const name = figure.element.dataset.name.replace(/[^\w.-]+/g, "_");
    for (const button of figure.element.querySelectorAll(".legend button")) {
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(on));
        if (button.classList.contains("scale")) figure.linear = !on;
        else if (on) figure.hidden.delete(Number(button.dataset.arm));
        else figure.hidden.add(Number(button.dataset.arm));
        own.forEach(draw);
      });
    }
    figure.element.querySelector(".csv").addEventListener("click", async () => {
      hand(new Blob([(await opened(figure)).csv], { type: "text/csv" }), `${name}.csv`);
    });
    for (const button of figure.element.querySelectorAll("[data-format]")) {
      const chart = of.get(button.closest(".plot").querySelector(".chart"));
      const suffix = own.length > 1 ? `-${chart.number + 1}` : "";
      button.addEventListener("click", () => image(chart, button.dataset.format, name + suffix));
    }
  }
  return { unpack };
})();
