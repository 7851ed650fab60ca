// The selected models: a card each, and their blocks beside each other.

function showChosen() {
  const cards = front.chosen.map((index, order) => card(index, CHOSEN[order]));
  const hint = element("p", { class: "note" }, "No model is selected.");
  byId("selected").replaceChildren(...(cards.length ? cards : [hint]));
  markRows();
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
  const tested = ["test_accuracy", "test_nll"].filter((n) => known(data.values[n]?.[index]));
  const first = [...objectives, ...tested];
  const rest = data.metrics
    .map((metric) => metric.name)
    .filter((name) => !first.includes(name) && known(data.values[name]?.[index]));
  const facts = [`seed ${trials.seed[index]}`, `${trials.epochs[index]} epochs`];
  const seconds = trials.duration_s[index];
  if (known(seconds)) facts.push(`${write(seconds)} s`);
  facts.push(isTrained(index) ? (trials.pareto[index] ? "on the front" : "not on the front") : data.states[trials.state[index]]);
  const title = titleOf(index);
  const number = trials.number[index];
  const yaml = architectureText(index);
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
    metricTable(first, index),
    note(differenceText(objectives[0], index)),
    note(facts.join(", ")),
    noteOf(number),
    element(
      "div",
      { class: "controls" },
      copyButton("Copy export command", () => `${data.export} ${number} --to trial-${number}`),
      yaml ? copyButton("Copy YAML", () => yaml) : null,
    ),
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

function differenceText(metric, index) {
  const found = difference(metric, index);
  if (!found) return "";
  const sign = (value) => (value > 0 ? "+" : "") + write(value, 3);
  const told = found.isTold ? "" : ": cannot be told from it";
  return `Against the all-Conv parent: ${metric} ${sign(found.value)} [${sign(found.low)}, ${sign(found.high)}]${told}.`;
}

function noteOf(number) {
  const kept = data.notes[String(number)];
  if (typeof noteForm === "function" && data.live?.edit) return noteForm(number, kept);
  if (!kept) return null;
  const tags = (kept.tags ?? []).map((tag) => element("span", { class: "label" }, tag));
  return element("p", {}, ...tags, kept.note ?? "");
}

function metricTable(names, index) {
  const rows = names.map((name) => {
    const metric = metricOf.get(name);
    return element(
      "tr",
      {},
      element("td", { title: metric?.definition ?? "" }, name),
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
  return `Blocks are kept for the baselines and the best of the front only, not for trial ${numbers}.`;
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
    chart.svg.append(drawing("line", { x1: x, x2: x, y1: top, y2: bottom, stroke: "var(--soft)" }));
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

// Curves of every trial: half-precision numbers, one trial after the other.
let decoded = null;
function curveOf(index) {
  const { curves } = data;
  if (!curves.points.length) return null;
  if (!decoded || decoded.of !== curves) {
    const starts = [0];
    for (const count of curves.points) starts.push(starts[starts.length - 1] + count);
    decoded = { of: curves, starts, epoch: words(curves.epoch) };
  }
  const column = byId("curve-column")?.value || "val_accuracy";
  decoded[column] ??= words(curves[column]);
  const curve = [];
  for (let at = decoded.starts[index]; at < decoded.starts[index + 1]; at += 1) {
    const value = half(decoded[column][at]);
    if (!Number.isNaN(value)) curve.push({ depth: decoded.epoch[at], value });
  }
  return curve.length ? curve : null;
}

function words(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const found = new Uint16Array(bytes.length / 2);
  for (let i = 0; i < found.length; i += 1) found[i] = view.getUint16(2 * i, true);
  return found;
}

// IEEE 754 half precision.
function half(word) {
  const sign = word & 0x8000 ? -1 : 1;
  const exponent = (word >> 10) & 31;
  const fraction = word & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const CURVES = {
  val_accuracy: ["Validation accuracy by epoch", "accuracy"],
  val_loss: ["Validation loss by epoch", "loss (nats)"],
  train_loss: ["Training loss by epoch", "loss (nats)"],
};

function curveFigure() {
  const [title, yLabel] = CURVES[byId("curve-column").value];
  const series = front.chosen
    .map((index, order) => ({ style: CHOSEN[order], points: curveOf(index) }))
    .filter(({ points }) => points);
  if (!series.length) {
    emptyFigure("curves", "No training curve of the selected models is recorded.");
    return;
  }
  const epochs = series.flatMap(({ points }) => points.map((point) => point.depth));
  const chart = makeChart({
    title,
    xLabel: "epoch",
    yLabel,
    xs: epochs,
    ys: series.flatMap(({ points }) => points.map((point) => point.value)),
    xTicks: wholeTicks(epochs),
  });
  for (const { style, points } of series) {
    const named = points.map((p) => ({ ...p, name: `epoch ${p.depth}`, kind: "" }));
    drawSeries(chart, style, named, "value");
  }
  byId("curves").replaceChildren(chart.svg);
}

function wholeTicks(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const step = Math.max(1, Math.ceil((high - low) / 8));
  const ticks = [];
  for (let value = low; value <= high; value += step) ticks.push(value);
  return ticks;
}

function note(text) {
  return text ? element("p", { class: "note" }, text) : "";
}
