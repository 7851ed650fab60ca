// Everything that does not depend on what is selected.

function showHeader() {
  byId("title").textContent = data.study;
  const { complete, failed, pruned, running, waiting } = data.counts;
  const parts = [`${write(complete)} measured trials`, `${data.front.num_pareto} on the front`];
  if (pruned) parts.push(`${pruned} stopped early`);
  if (failed) parts.push(`${failed} failed`);
  if (running || waiting) parts.push(`${running + waiting} still to come`);
  const goals = data.objectives.map((o) => `${o.direction} ${o.metric}`).join(", ");
  const share = data.front.hypervolume_share;
  const volume =
    share === null
      ? ""
      : ` Hypervolume of the objectives ${write(data.front.hypervolume)}, ${(100 * share).toFixed(1)}% of the box up to the best values.`;
  byId("summary").textContent = `${parts.join(", ")}. Objectives: ${goals}.${volume}`;
}

function showSlots() {
  const body = byId("slots-body");
  body.replaceChildren();
  if (!data.rules.length) {
    body.append(note("The objectives follow from the placement alone: nothing to test."));
    return;
  }
  const figure = element("div");
  if (data.rules.length > 1) {
    const select = element("select", { "aria-label": "Metric of the test" });
    data.rules.forEach((rule, i) => select.append(element("option", { value: i }, rule.metric)));
    select.addEventListener("change", () => showRule(figure, data.rules[select.value]));
    body.append(element("div", { class: "controls" }, element("label", {}, "metric ", select)));
  }
  body.append(figure);
  showRule(figure, data.rules[0]);
}

function showRule(target, rule) {
  if (rule.error) {
    target.replaceChildren(note(`No test for ${rule.metric}: ${rule.error}`));
    return;
  }
  const end = rule.end_of_stage;
  const headline =
    end.effect === null || end.effect === undefined
      ? end.reason ?? "cannot be estimated"
      : `${write(end.effect)}${intervalText(rule)}`;
  target.replaceChildren(
    element(
      "p",
      {},
      `“MSAs belong at the end of a stage”, for ${rule.metric}: `,
      element("span", { class: "verdict" }, rule.verdict),
      `. Last slot of a stage minus its other slots: ${headline}. `,
      `${rule.num_trials} trials of ${rule.num_placements} placements, ${rule.sampling} sampling.`,
    ),
    element("ul", {}, ...(rule.verdict_reasons ?? []).map((text) => element("li", {}, text))),
    element("div", { class: "figures" }, contrastFigure(rule), slotFigure(rule)),
    slotTable(rule),
  );
}

// The interval that the verdict is read from; 95% only where the verdict is.
function intervalText(rule) {
  const found = rule.verdict_interval;
  if (!found) return "";
  const percent = Number((100 * found.confidence).toPrecision(4));
  return ` (${percent}% interval, as the verdict: ${write(found.ci[0])} to ${write(found.ci[1])})`;
}

function contrastFigure(rule) {
  const marks = [
    { name: "end", effect: rule.end_of_stage.effect, ci: rule.verdict_interval?.ci ?? rule.end_of_stage.ci, isHeadline: true },
    ...(rule.stages ?? []).map((one) => ({ name: `s${one.stage}`, effect: one.effect, ci: one.ci })),
  ].filter((one) => known(one.effect) && known(one.ci?.[0]));
  if (!marks.length) return "";
  const chart = makeChart({
    title: "Last slot minus the others of its stage",
    xLabel: "all stages (as the verdict), each stage alone (95%)",
    yLabel: rule.metric,
    xs: [0.5, marks.length + 0.5],
    ys: [0, ...marks.flatMap((one) => one.ci)],
    xTicks: [],
  });
  const { left, right, bottom } = chart.area;
  chart.svg.append(drawing("line", { x1: left, x2: right, y1: chart.y(0), y2: chart.y(0), stroke: "var(--ink)" }));
  marks.forEach((one, at) => {
    const x = chart.x(at + 1);
    const [y1, y2] = one.ci.map((value) => chart.y(value));
    const colour = one.isHeadline ? "var(--warm)" : "var(--accent)";
    chart.svg.append(
      drawing("line", { x1: x, x2: x, y1, y2, stroke: colour, "stroke-width": one.isHeadline ? 3.5 : 2 }),
      drawing("circle", { cx: x, cy: chart.y(one.effect), r: one.isHeadline ? 6 : 4, fill: colour, stroke: "var(--ink)" }),
      drawing("text", { x, y: bottom + 16, "text-anchor": "middle", "font-weight": one.isHeadline ? 700 : 400 }, one.name),
    );
  });
  return element("figure", { class: "plot" }, chart.svg);
}

function slotFigure(rule) {
  const drawn = rule.slots.map((slot, at) => ({ ...slot, at: at + 1 }));
  const known = drawn.filter((slot) => slot.effect !== null && slot.effect !== undefined);
  if (!known.length) return note("No slot has an effect that can be estimated.");
  const limits = known.flatMap((slot) => [slot.effect, ...(slot.ci ?? [])]);
  const chart = makeChart({
    title: `Change of ${rule.metric} when a slot turns from Conv to MSA`,
    xLabel: "stage.block (bold: end of a stage)",
    yLabel: rule.metric,
    xs: [0.5, drawn.length + 0.5],
    ys: [0, ...limits],
    xTicks: [],
  });
  const { left, right, bottom, top } = chart.area;
  chart.svg.append(
    drawing("line", { x1: left, x2: right, y1: chart.y(0), y2: chart.y(0), stroke: "var(--ink)" }),
  );
  for (const slot of drawn) {
    const x = chart.x(slot.at);
    const next = drawn[slot.at];
    const last = !next || next.stage !== slot.stage;
    if (drawn.length <= 24 || last) {
      chart.svg.append(
        drawing(
          "text",
          {
            x, y: bottom + 16, "text-anchor": "middle", "font-size": drawn.length > 12 ? 9 : 12,
            "font-weight": last ? 700 : 400,
          },
          `${slot.stage}.${slot.block}`,
        ),
      );
    }
    if (last && next) {
      const edge = chart.x(slot.at + 0.5);
      chart.svg.append(drawing("line", { x1: edge, x2: edge, y1: top, y2: bottom, stroke: "var(--soft)" }));
    }
    if (slot.effect === null || slot.effect === undefined) continue;
    if (slot.ci?.[0] != null) {
      const [y1, y2] = slot.ci.map((value) => chart.y(value));
      chart.svg.append(drawing("line", { x1: x, x2: x, y1, y2, stroke: "var(--accent)", "stroke-width": 2 }));
    }
    const dot = drawing("circle", { cx: x, cy: chart.y(slot.effect), r: last ? 6 : 4, fill: last ? "var(--warm)" : "var(--accent)", stroke: "var(--ink)" });
    dot.append(drawing("title", {}, `stage ${slot.stage}, block ${slot.block}: ${write(slot.effect)}`));
    chart.svg.append(dot);
  }
  return element("figure", { class: "plot" }, chart.svg);
}

function slotTable(rule) {
  const head = ["stage", "block", "effect", "95% interval", "p"];
  const rows = rule.slots.map((slot) =>
    element(
      "tr",
      {},
      element("td", {}, String(slot.stage)),
      element("td", {}, String(slot.block)),
      element("td", { class: "number" }, write(slot.effect)),
      element("td", { class: "number" }, slot.ci?.[0] == null ? (slot.reason ?? "–") : `${write(slot.ci[0])} to ${write(slot.ci[1])}`),
      element("td", { class: "number" }, write(slot.p, 2)),
    ),
  );
  return element(
    "details",
    {},
    element("summary", {}, "As a table"),
    scrolling(
      "Effect of every slot",
      element(
        "table",
        {},
        element("thead", {}, element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)))),
        element("tbody", {}, ...rows),
      ),
    ),
  );
}

function showProgress() {
  const first = data.objectives[0].metric;
  stepFigure("volume-curve", "Hypervolume", "hypervolume", data.progress.hypervolume);
  stepFigure("best-curve", `Best ${first} so far`, first, data.progress.best);
}

function stepFigure(target, title, yLabel, column) {
  const steps = data.progress.trained
    .map((at, i) => [at, column[i]])
    .filter(([, value]) => value !== null);
  if (!steps.length) {
    emptyFigure(target, `${title}: no trained trial yet.`);
    return;
  }
  const chart = makeChart({
    title,
    xLabel: "measured trials",
    yLabel,
    xs: steps.map(([at]) => at),
    ys: steps.map(([, value]) => value),
  });
  const path = steps
    .map(([at, value], i) => (i ? `H${chart.x(at)}V${chart.y(value)}` : `M${chart.x(at)},${chart.y(value)}`))
    .join("");
  chart.svg.append(drawing("path", { d: path, fill: "none", stroke: "var(--accent)", "stroke-width": 2 }));
  byId(target).replaceChildren(chart.svg);
}

const MAX_FORECAST = 12;

function showForecast() {
  const { reason, metric, placement, space_size: size, trust, left_out: leftOut, front: judged } = data.forecast;
  const body = byId("forecast-body");
  if (!placement?.length) {
    body.replaceChildren(note(reason ? `No prediction: ${reason}.` : "Every placement of the space is trained."));
    return;
  }
  const rows = placement.slice(0, MAX_FORECAST).map((name, i) =>
    element(
      "tr",
      {},
      element("td", { class: "mono" }, name),
      ...forecastTexts(i).map((text) => element("td", { class: "number" }, text)),
    ),
  );
  const head = ["placement", `predicted ${metric}`, "95% interval"].map((text, at) =>
    element("th", { scope: "col", class: at ? "number" : "" }, text),
  );
  body.replaceChildren(
    note(`The space holds ${write(size)} placements; the best of those that were not trained, as nas predict predicts them. ${trust}`),
    scrolling("Predicted placements", element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows))),
    leftOut?.placement.length ? element("figure", { class: "plot narrow" }, leftOutFigure(metric, leftOut)) : "",
    judged?.length ? judgedTable(metric, judged) : "",
  );
}

// Predicted without its own trainings against measured; the band is the ceiling.
function leftOutFigure(metric, { placement, predicted, measured, noise }) {
  const chart = makeChart({
    title: `Left out of the model: ${metric}`,
    xLabel: `predicted ${metric}`,
    yLabel: `measured ${metric}`,
    xs: predicted,
    ys: measured,
  });
  const { x, y, area } = chart;
  const clip = (value) => Math.min(Math.max(value, area.top), area.bottom);
  const [from, to] = [x.low, x.high];
  const line = (shift) => [from, to].map((value) => `${round(x(value))},${round(clip(y(value + shift)))}`);
  if (noise !== null) {
    const points = [...line(noise), ...line(-noise).reverse()].join(" ");
    chart.svg.append(drawing("polygon", { points, fill: "var(--accent)", opacity: 0.12 }));
  }
  chart.svg.append(drawing("polyline", { points: line(0).join(" "), fill: "none", stroke: "var(--soft)" }));
  placement.forEach((name, i) => {
    const dot = drawing("circle", { cx: round(x(predicted[i])), cy: round(y(measured[i])), r: 3, fill: "var(--accent)", opacity: 0.7 });
    const title = drawing("title");
    title.textContent = `${name}: predicted ${write(predicted[i])}, measured ${write(measured[i])}`;
    dot.append(title);
    chart.svg.append(dot);
  });
  const band = noise === null ? "" : " The band is the ceiling: seed noise around a perfect prediction (95%).";
  return element("div", {}, chart.svg, element("figcaption", { class: "note" }, `Each trained placement, predicted from the others.${band}`));
}

function judgedTable(metric, judged) {
  const head = ["on the front", `measured ${metric}`, "expected", "95% interval", "p best", "p better than all-Conv"].map((text, at) =>
    element("th", { scope: "col", class: at ? "number" : "" }, text),
  );
  const rows = judged.map((one) => {
    const [measured, expected, low, high] = withDigits([one.measured, one.expected, one.low, one.high], (one.high - one.low) / 4);
    const cells = [measured, expected, `${low} to ${high}`, write(one.p_best, 2), write(one.p_better_than_parent, 2)];
    return element("tr", {}, element("td", { class: "mono" }, one.placement), ...cells.map((text) => element("td", { class: "number" }, text)));
  });
  return element(
    "div",
    {},
    note("The best of many is lucky. Expected: over seeds, as the model has it; p best: probability of being the best of all measured placements. Below 0.95 a placement cannot be told from the all-Conv parent."),
    scrolling("The front with its luck taken off", element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows))),
  );
}

// Prediction and interval, with the digits that the interval leaves meaning to.
function forecastTexts(i) {
  const { mean, low, high } = data.forecast;
  const [middle, from, to] = withDigits([mean[i], low[i], high[i]], (high[i] - low[i]) / 4);
  return [middle, `${from} to ${to}`];
}

function withDigits(values, error) {
  const digits = digitsOf(error);
  return values.map((value) => (digits === null || !known(value) ? write(value) : value.toFixed(digits)));
}

function scrolling(label, content) {
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, content);
}

function facts(pairs) {
  return element(
    "dl",
    {},
    ...pairs.flatMap(([key, value]) => [element("dt", {}, key), element("dd", {}, value || "–")]),
  );
}

function showData() {
  const { src, width, height, labels, augmented, counts, classes, image_size: size, channels, reason } = data.images;
  const pairs = [...data.facts];
  if (counts) {
    pairs.push(["images", `${write(counts.train)} to train on, ${write(counts.validation)} for validation, ${write(counts.test)} for the test`]);
    pairs.push(["what the network sees", `${channels} x ${size} x ${size}`]);
    pairs.push(["classes", classes.join(", ")]);
  }
  const picture = src
    ? element(
        "figure",
        { class: "sheet" },
        element("img", { src, width, height, alt: `Validation images (${labels.join(", ")}), and below them training images${augmented ? " after augmentation" : ""}` }),
        element("figcaption", { class: "note" }, `Above: validation images, ${labels.join(", ")}. Below: training images${augmented ? " as augmented" : ""}.`),
      )
    : note(reason === "left out" ? "" : `No picture of the images: ${reason}.`);
  byId("images-body").replaceChildren(facts(pairs), picture);
}

const WORDS = [
  ["front", "trials that no other trial beats in every objective"],
  ["dominated", "some other trial is at least as good in every objective and better in one"],
  ["hypervolume", "volume between the front and a reference point; grows when a trial improves the front"],
  ["reference point", "a tenth of the range worse than the worst trial; where the hypervolume is measured from"],
  ["all-Conv parent", "the network without attention that every placement starts from"],
  ["baseline", "a placement that every search trains beside its own, such as the paper's rule"],
  ["standard error", "how far a measured value is likely to be from that on infinitely many images"],
  ["ICC", "intraclass correlation: share of the variance between single trainings that is between networks; 1 is all network, 0 all luck"],
  ["slot", "a place in a stage where a block of one kind or another can stand, as stage.block"],
  ["placement", "one letter for each block, stages separated by hyphens"],
];

function showGlossary() {
  const known = data.metrics
    .filter((metric) => metric.definition && data.values[metric.name])
    .map(({ name, definition, unit }) => {
      const text = definition.replace(/\.$/, "");
      return [name, unit && unit !== "1" ? `${text} (${unit})` : text];
    });
  byId("glossary-body").replaceChildren(facts([...WORDS, ...known]));
}

function showFailures() {
  const body = byId("failures-body");
  body.replaceChildren();
  if (!data.failures.length) {
    body.append(note("No trial failed."));
    return;
  }
  const rows = data.failures.map(({ reason, count, numbers }) => {
    const more = count > numbers.length ? `, … (${count} in all)` : "";
    return element(
      "tr",
      {},
      element("td", { class: "number" }, String(count)),
      element("td", {}, reason),
      element("td", {}, numbers.join(", ") + more),
    );
  });
  const head = ["trials", "reason", "numbers"].map((text) => element("th", { scope: "col" }, text));
  body.append(
    scrolling("Failed trials", element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows))),
  );
}

function showProvenance() {
  const { header, config, problems } = data.provenance;
  const pairs = Object.entries(header).map(([key, value]) => [key.replaceAll("_", " "), value]);
  const settings = element("pre", { tabindex: "0", role: "region", "aria-label": "Settings" }, config);
  byId("provenance-body").replaceChildren(
    facts(pairs),
    ...problems.map((text) => element("p", {}, `Left out: ${text}`)),
    element("details", {}, element("summary", {}, "Every setting"), settings),
  );
}
