// Everything that does not depend on what is selected.

function showHeader() {
  byId("title").textContent = data.study;
  const { complete, failed, pruned, running, waiting } = data.counts;
  const parts = [`${complete} trained trials`, `${data.front.num_pareto} on the front`];
  if (pruned) parts.push(`${pruned} stopped early`);
  if (failed) parts.push(`${failed} failed`);
  if (running || waiting) parts.push(`${running + waiting} still to come`);
  const goals = data.objectives.map((o) => `${o.direction} ${o.metric}`).join(", ");
  byId("summary").textContent = `${parts.join(", ")}. Objectives: ${goals}.`;
  const reference = Object.entries(data.front.reference)
    .map(([metric, value]) => `${metric} ${write(value)}`)
    .join(", ");
  const share = data.front.hypervolume_share;
  const volume = write(data.front.hypervolume);
  byId("volume").textContent =
    `Hypervolume ${volume}` +
    (share === null ? "" : ` (${(100 * share).toFixed(1)}% of the box up to the best values)`) +
    `; reference point: ${reference}. The line joins the best trials of the two metrics shown.`;
}

function showSlots() {
  const body = byId("slots-body");
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
      : `${write(end.effect)}` +
        (end.ci?.[0] == null ? "" : ` (95% interval ${write(end.ci[0])} to ${write(end.ci[1])})`);
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
    slotFigure(rule),
    slotTable(rule),
  );
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
    drawing("line", { x1: left, x2: right, y1: chart.y(0), y2: chart.y(0), stroke: "#1b1f24" }),
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
      chart.svg.append(drawing("line", { x1: edge, x2: edge, y1: top, y2: bottom, stroke: "#8c959f" }));
    }
    if (slot.effect === null || slot.effect === undefined) continue;
    if (slot.ci?.[0] != null) {
      const [y1, y2] = slot.ci.map((value) => chart.y(value));
      chart.svg.append(drawing("line", { x1: x, x2: x, y1, y2, stroke: BLUE, "stroke-width": 2 }));
    }
    const dot = drawing("circle", { cx: x, cy: chart.y(slot.effect), r: last ? 6 : 4, fill: last ? "#E69F00" : BLUE, stroke: "#000000" });
    dot.append(drawing("title", {}, `stage ${slot.stage}, block ${slot.block}: ${write(slot.effect)}`));
    chart.svg.append(dot);
  }
  return element("figure", { class: "plot", style: "max-width:720px" }, chart.svg);
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
    element(
      "table",
      {},
      element("thead", {}, element("tr", {}, ...head.map((text) => element("th", {}, text)))),
      element("tbody", {}, ...rows),
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
    xLabel: "trained trials",
    yLabel,
    xs: steps.map(([at]) => at),
    ys: steps.map(([, value]) => value),
  });
  const path = steps
    .map(([at, value], i) => (i ? `H${chart.x(at)}V${chart.y(value)}` : `M${chart.x(at)},${chart.y(value)}`))
    .join("");
  chart.svg.append(drawing("path", { d: path, fill: "none", stroke: BLUE, "stroke-width": 2 }));
  byId(target).replaceChildren(chart.svg);
}

const MAX_ROWS = 300;

function showTable() {
  const objectives = data.objectives.map((objective) => objective.metric);
  const listed = [];
  for (let i = 0; i < numTrials; i += 1) {
    if (trials.pareto[i] || trials.baseline[i]) listed.push(i);
  }
  const columns = [
    { name: "trial", value: (i) => trials.number[i], text: (i) => String(trials.number[i]) },
    { name: "placement", value: placementOf, text: placementOf, mono: true },
    { name: "is_pareto", value: (i) => -trials.pareto[i], text: (i) => (trials.pareto[i] ? "yes" : "no") },
    { name: "baseline", value: (i) => trials.baseline[i], text: (i) => trials.baseline[i] },
    ...objectives.map((metric) => ({
      name: metric,
      number: true,
      value: (i) => data.values[metric]?.[i] ?? Infinity,
      text: (i) => writeMetric(metric, i),
    })),
    { name: "seed", number: true, value: (i) => trials.seed[i], text: (i) => String(trials.seed[i]) },
  ];
  const body = element("tbody");
  let order = 1;
  let sorted = null;
  const fill = (column) => {
    order = column === sorted ? -order : 1;
    sorted = column;
    listed.sort((a, b) => {
      const [left, right] = [column.value(a), column.value(b)];
      return order * (left < right ? -1 : left > right ? 1 : 0);
    });
    body.replaceChildren(...listed.slice(0, MAX_ROWS).map((i) => tableRow(i, columns)));
    showChosen();
  };
  const head = columns.map((column) =>
    element(
      "th",
      { scope: "col", class: column.number ? "number" : "" },
      element("button", { type: "button", onclick: () => fill(column) }, column.name),
    ),
  );
  const title = element("tr", {}, ...head, element("th", {}));
  byId("table-body").append(element("table", {}, element("thead", {}, title), body));
  if (listed.length > MAX_ROWS) {
    byId("table-body").append(note(`The first ${MAX_ROWS} of ${listed.length} rows.`));
  }
  fill(columns[0]);
}

function tableRow(index, columns) {
  const cells = columns.map((column) =>
    element(
      "td",
      { class: [column.number ? "number" : "", column.mono ? "mono" : ""].join(" ").trim() },
      column.text(index),
    ),
  );
  const choose = element(
    "button",
    {
      type: "button",
      "aria-label": `Select ${titleOf(index)}`,
      onclick: () => toggle(index),
    },
    "select",
  );
  return element("tr", { "data-index": index }, ...cells, element("td", {}, choose));
}

function showFailures() {
  const body = byId("failures-body");
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
    element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-label": "Failed trials" },
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
    ),
  );
}

function showProvenance() {
  const { header, config, problems } = data.provenance;
  const facts = Object.entries(header).flatMap(([key, value]) => [
    element("dt", {}, key.replaceAll("_", " ")),
    element("dd", {}, value || "–"),
  ]);
  byId("provenance-body").append(
    element("dl", {}, ...facts),
    ...problems.map((text) => element("p", {}, `Left out: ${text}`)),
    element("details", {}, element("summary", {}, "Every setting"), element("pre", {}, config)),
  );
}
