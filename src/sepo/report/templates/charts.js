"use strict";
// Draws every chart, resolves the CSS variables in its colours, and redraws when the colour scheme changes.
(() => {
  const touch = matchMedia("(pointer: coarse)").matches;
  const config = { responsive: true, displayModeBar: false, displaylogo: false, scrollZoom: false };

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

  const charts = [...document.querySelectorAll(".chart")].map((div) => ({
    div,
    figure: div.closest("figure"),
    spec: JSON.parse(div.nextElementSibling.textContent),
    hidden: new Set(),
    linear: false,
  }));

  const draw = ({ div, spec, hidden, linear }) => {
    const style = getComputedStyle(document.documentElement);
    const layout = resolve(spec.layout, "", style);
    const data = resolve(spec.data, "", style);
    for (const trace of data) trace.visible = !(trace.meta && hidden.has(trace.meta.arm));
    if (spec.log && linear) Object.assign(layout.yaxis, { type: "linear", tickmode: "auto", rangemode: "tozero" });
    if (touch) layout.dragmode = false;
    Plotly.react(div, data, layout, config);
  };

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(on));
      for (const chart of charts.filter((c) => c.figure === button.closest("figure"))) {
        if (button.classList.contains("scale")) chart.linear = !on;
        else if (on) chart.hidden.delete(Number(button.dataset.arm));
        else chart.hidden.add(Number(button.dataset.arm));
        draw(chart);
      }
    });
  }

  charts.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.forEach(draw));
})();
