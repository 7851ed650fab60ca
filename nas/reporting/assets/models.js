// The selected models: a card each, and their blocks beside each other.

function showChosen() {
  const cards = front.chosen.map((index, order) => card(index, CHOSEN[order]));
  const hint = element("p", { class: "note" }, "No model is selected.");
  byId("selected").replaceChildren(...(cards.length ? cards : [hint]));
  for (const row of document.querySelectorAll("#table-body tbody tr")) {
    row.classList.toggle("selected", front.chosen.includes(Number(row.dataset.index)));
  }
  depthFigure("amplitude", "amplitude", {
    title: "Highest frequency after each block",
    yLabel: "relative log amplitude (nats)",
    missing: "No Fourier analysis is recorded for the selected models.",
  });
  depthFigure("variance", "variance", {
    title: "Feature-map variance after each block",
    yLabel: "variance",
    logY: true,
    missing: "No feature-map variance is recorded for the selected models.",
  });
  curveFigure();
}

function card(index, style) {
  const objectives = data.objectives.map((objective) => objective.metric);
  const rest = data.metrics
    .map((metric) => metric.name)
    .filter((name) => !objectives.includes(name) && data.values[name]?.[index] != null);
  const facts = [`seed ${trials.seed[index]}`, `${trials.epochs[index]} epochs`];
  facts.push(trials.pareto[index] ? "on the front" : "not on the front");
  const title = titleOf(index);
  return element(
    "article",
    { class: "card" },
    element(
      "header",
      {},
      element("span", { class: "tag", style: `background:${style.colour}` }, style.letter),
      element("h3", {}, title),
      element(
        "button",
        { type: "button", "aria-label": `Remove ${title}`, onclick: () => toggle(index) },
        "✕",
      ),
    ),
    element("div", { class: "mono" }, placementOf(index)),
    placementPicture(placementOf(index)),
    metricTable(objectives, index),
    element("div", { class: "note" }, facts.join(", ")),
    rest.length
      ? element(
          "details",
          {},
          element("summary", {}, `${rest.length} more metrics`),
          metricTable(rest, index),
        )
      : null,
  );
}

function metricTable(names, index) {
  const rows = names.map((name) => {
    const metric = metricOf.get(name);
    return element(
      "tr",
      { title: metric?.definition ?? "" },
      element("td", {}, name),
      element("td", { class: "number" }, writeMetric(name, index)),
      element("td", { class: "note" }, metric?.unit === "1" ? "" : (metric?.unit ?? "")),
    );
  });
  return element("table", {}, element("tbody", {}, ...rows));
}

function detailsOf(index) {
  return data.details[String(trials.number[index])];
}

function notEmbedded() {
  const without = front.chosen.filter((index) => !detailsOf(index));
  if (!without.length) return "";
  const numbers = without.map((index) => trials.number[index]).join(", ");
  return `Blocks and curves are kept for the baselines and the best of the front only, not for trial ${numbers}.`;
}

function depthFigure(target, column, { title, yLabel, missing, logY = false }) {
  const series = front.chosen
    .map((index, order) => ({
      style: CHOSEN[order],
      blocks: detailsOf(index)?.blocks ?? [],
    }))
    .map(({ style, blocks }) => ({
      style,
      points: blocks
        .map((block, at) => ({ ...block, depth: at + 1, value: block[column] }))
        .filter((block) => block.value !== undefined && block.value !== null),
      blocks,
    }))
    .filter(({ points }) => points.length);
  if (!series.length) {
    emptyFigure(target, [missing, notEmbedded()].join(" "));
    return;
  }
  const all = series.flatMap(({ points }) => points);
  const depths = [...new Set(all.map((block) => block.depth))].sort((a, b) => a - b);
  const every = Math.ceil(depths.length / 14);
  const chart = makeChart({
    title,
    xLabel: "block",
    yLabel,
    xs: all.map((block) => block.depth),
    ys: all.map((block) => block.value),
    logY,
    xTicks: depths.filter((_, i) => i % every === 0),
  });
  series[0].blocks.forEach((block, at) => {
    if (at === 0 || block.stage === series[0].blocks[at - 1].stage) return;
    const x = chart.x(at + 0.5);
    const { top, bottom } = chart.area;
    chart.svg.append(drawing("line", { x1: x, x2: x, y1: top, y2: bottom, stroke: "#8c959f" }));
  });
  for (const { style, points } of series) drawSeries(chart, style, points, column);
  byId(target).replaceChildren(chart.svg, note(notEmbedded()));
}

function drawSeries(chart, style, points, column) {
  const path = points.map((p) => `${chart.x(p.depth)},${chart.y(p.value)}`).join("L");
  chart.svg.append(
    drawing("path", {
      d: `M${path}`,
      fill: "none",
      stroke: style.colour,
      "stroke-width": 1.8,
      "stroke-dasharray": style.dash,
    }),
  );
  for (const block of points) {
    const [x, y] = [chart.x(block.depth), chart.y(block.value)];
    const error = block[`${column}_se`];
    const bottom = block.value - error;
    if (error && !(chart.y.isLog && bottom <= 0)) {
      const [y1, y2] = [chart.y(bottom), chart.y(block.value + error)];
      chart.svg.append(drawing("line", { x1: x, x2: x, y1, y2, stroke: style.colour }));
    }
    const tip = drawing("title", {}, `${style.letter}: ${block.name} ${block.kind ? `(${block.kind}) ` : ""}${write(block.value)}`);
    const shape =
      block.kind === "msa"
        ? drawing("rect", { x: x - 4, y: y - 4, width: 8, height: 8, fill: style.colour })
        : drawing("circle", { cx: x, cy: y, r: 3.2, fill: style.colour });
    shape.append(tip);
    chart.svg.append(shape);
  }
  const end = points[points.length - 1];
  const at = { x: chart.x(end.depth) - 3, y: chart.y(end.value) - 8 };
  chart.svg.append(
    drawing(
      "text",
      { ...at, fill: style.colour, "font-weight": 700, "text-anchor": "end" },
      style.letter,
    ),
  );
}

function curveFigure() {
  const series = front.chosen
    .map((index, order) => ({ style: CHOSEN[order], history: detailsOf(index)?.history ?? {} }))
    .filter(({ history }) => history.epoch?.length && history.val_accuracy?.length);
  if (!series.length) {
    emptyFigure("curves", ["No training curve is recorded.", notEmbedded()].join(" "));
    return;
  }
  const chart = makeChart({
    title: "Validation accuracy by epoch",
    xLabel: "epoch",
    yLabel: "accuracy",
    xs: series.flatMap(({ history }) => history.epoch),
    ys: series.flatMap(({ history }) => history.val_accuracy),
    xTicks: wholeTicks(series.flatMap(({ history }) => history.epoch)),
  });
  for (const { style, history } of series) {
    const points = history.epoch
      .map((epoch, i) => ({ depth: epoch, value: history.val_accuracy[i] }))
      .filter((point) => point.value !== null)
      .map((point) => ({ ...point, name: `epoch ${point.depth}`, kind: "" }));
    if (points.length) drawSeries(chart, style, points, "value");
  }
  byId("curves").replaceChildren(chart.svg, note(notEmbedded()));
}

function wholeTicks(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const step = Math.max(1, Math.ceil((high - low) / 8));
  const ticks = [];
  for (let value = low; value <= high; value += step) ticks.push(value);
  return ticks;
}

function note(text) {
  return element("p", { class: "note" }, text);
}
